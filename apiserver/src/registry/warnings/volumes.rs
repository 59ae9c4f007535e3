//! Volumes, claims on them, and their classes.

use super::pod::source;
use super::{claim_spec, labels};
use crate::registry::cells::items;
use crate::validation::{Path, child, field::index};
use serde_json::Value;
use tinyplane_wire::meta::{Meta, pairs};

/// How classes were named before there was a field for it.
const CLASS: (&str, &str) =
    ("volume.beta.kubernetes.io/storage-class", "deprecated since v1.8; use \"storageClassName\" attribute instead");
/// How options of a mount were told before there was a field for them.
const OPTIONS: (&str, &str) =
    ("volume.beta.kubernetes.io/mount-options", "deprecated since v1.31; use \"mountOptions\" attribute instead");

fn annotation(object: &Value, (key, told): (&str, &str), out: &mut Vec<String>) {
    if Meta::of(object).annotation(key).is_some() {
        out.push(format!("metadata.annotations[{key}]: {told}"));
    }
}

/// Persistent volumes.
pub(in crate::registry) fn volume(new: &Value, _old: Option<&Value>) -> Vec<String> {
    let (mut out, spec) = (Vec::new(), &new["spec"]);
    annotation(new, CLASS, &mut out);
    annotation(new, OPTIONS, &mut out);
    if spec["persistentVolumeReclaimPolicy"] == "Recycle" {
        let told = "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.";
        out.push(format!("spec.persistentVolumeReclaimPolicy: {told}"));
    }
    for (at, term) in items(&spec["nodeAffinity"]["required"]["nodeSelectorTerms"]).enumerate() {
        let path = Path::root("spec.nodeAffinity.required.nodeSelectorTerms");
        labels::term(term, &path.index(at), false, &mut out);
    }
    // Those that never were persistent volumes' or are told of in pods alone.
    let untold = ["flocker", "quobyte", "gitRepo"];
    for (name, _) in spec.as_object().into_iter().flatten().filter(|(name, _)| !untold.contains(&name.as_str())) {
        if let Some((name, told)) = source(name) {
            out.push(format!("{}: {told}", child("spec", name)));
        }
    }
    out
}

/// Claims.
pub(in crate::registry) fn claim(new: &Value, _old: Option<&Value>) -> Vec<String> {
    let mut out = Vec::new();
    annotation(new, CLASS, &mut out);
    claim_spec(&new["spec"], &Path::root("spec"), &mut out);
    out
}

/// Storage classes.
pub(in crate::registry) fn storage_class(new: &Value, _old: Option<&Value>) -> Vec<String> {
    let mut out = Vec::new();
    for (at, term) in items(&new["allowedTopologies"]).enumerate() {
        let path = child(&index("allowedTopologies", at), "matchLabelExpressions");
        for (nth, one) in items(&term["matchLabelExpressions"]).enumerate() {
            if let Some(told) = labels::deprecated(one["key"].as_str().unwrap_or_default()) {
                out.push(format!("{}: {told}", child(&index(&path, nth), "key")));
            }
        }
    }
    out
}

/// Capacities of storage.
pub(in crate::registry) fn storage_capacity(new: &Value, _old: Option<&Value>) -> Vec<String> {
    let (mut out, selector) = (Vec::new(), &new["nodeTopology"]);
    labels::requirements(&selector["matchExpressions"], &Path::root("nodeTopology.matchExpressions"), &mut out);
    for (key, _) in pairs(&selector["matchLabels"]) {
        if let Some(told) = labels::deprecated(key) {
            out.push(format!("nodeTopology.matchLabels.{key}: {told}"));
        }
    }
    out
}
