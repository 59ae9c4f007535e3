//! Pods, and what else holds the spec of one.

use super::{address::address, claim_spec, containers, fraction, labels, overlap};
use crate::registry::cells::items;
use crate::registry::kinds::app_armor;
use crate::validation::Path;
use crate::validation::present::Present;
use serde_json::Value;
use std::collections::BTreeSet;
use tinyplane_wire::meta::{Meta, dns_label, pairs};

/// Annotations that do nothing any more, and what there is instead.
const ANNOTATIONS: [(&str, &str); 3] = [
    ("scheduler.alpha.kubernetes.io/critical-pod", "v1.16+; use the \"priorityClassName\" field instead"),
    ("security.alpha.kubernetes.io/sysctls", "v1.11+; use the \"sysctls\" field instead"),
    ("security.alpha.kubernetes.io/unsafe-sysctls", "v1.11+; use the \"sysctls\" field instead"),
];

/// Kinds of volumes that are on their way out, or gone.
const VOLUMES: [(&str, &str); 9] = [
    ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

/// What there is to say of a volume's source, and the name by which it is told.
pub(super) fn source(name: &str) -> Option<(&'static str, &'static str)> {
    let (known, told) = VOLUMES.iter().find(|(known, _)| *known == name)?;
    Some((if *known == "storageos" { "storageOS" } else { known }, told))
}

/// Tells of a new pod. Updates come from programs mostly, and are told nothing.
pub(in crate::registry) fn pod(new: &Value, old: Option<&Value>) -> Vec<String> {
    let mut out = Vec::new();
    if old.is_none() {
        let complaints = dns_label(Meta::of(new).name());
        if !complaints.is_empty() {
            let told = "this is used in the Pod's hostname, which can result in surprising behavior";
            out.push(format!("metadata.name: {told}; a DNS label is recommended: [{}]", complaints.join(" ")));
        }
        holder(new, &Path::root(""), &mut out);
    }
    out
}

/// Tells of the spec and annotations of a pod, or of a template at this path.
pub(super) fn holder(holder: &Value, path: &Path<'_>, out: &mut Vec<String>) {
    let (spec, annotations) = (&Present::of(&holder["spec"]), &holder["metadata"]["annotations"]);
    let at = path.child("spec");
    node_labels(spec, &at, out);
    let annotations_path = path.child("metadata.annotations");
    let annotated = |key: &str| annotations_path.key(key).to_string();
    for (key, told) in ANNOTATIONS.into_iter().filter(|(key, _)| !annotations[*key].is_null()) {
        out.push(format!("{}: non-functional in {told}", annotated(key)));
    }
    volumes(spec, &at, out);
    doubles(spec, &at, out);
    for name in ["memory", "ephemeral-storage"] {
        fraction(&spec["overhead"], name, &at.child("overhead"), out);
    }
    let annotates = annotations.is_object();
    let seccomp = |key: &str, holder: &Value, out: &mut Vec<String>| {
        if !annotations[key].is_null() && holder["securityContext"]["seccompProfile"].is_null() {
            let told = "non-functional in v1.27+; use the \"seccompProfile\" field instead";
            out.push(format!("{}: {told}", annotated(key)));
        }
    };
    seccomp("seccomp.security.alpha.kubernetes.io/pod", spec, out);
    let all = containers::with_paths(spec, &at);
    for (place, container) in &all {
        if annotates {
            let name = container["name"].as_str().unwrap_or_default();
            seccomp(&format!("container.seccomp.security.alpha.kubernetes.io/{name}"), container, out);
            let key = format!("container.apparmor.security.beta.kubernetes.io/{name}");
            let profile = |holder: &'_ Value| holder["securityContext"]["appArmorProfile"].clone();
            let differs = |annotation: &str| {
                let of_pod = profile(spec);
                of_pod.is_null() || app_armor::profile(annotation).as_ref() != Some(&of_pod)
            };
            // Of those of a pod its author was told when they were made fields.
            if !path.is_empty() && profile(container).is_null() && annotations[&key].as_str().is_some_and(differs) {
                let told = "deprecated since v1.30; use the \"appArmorProfile\" field instead";
                out.push(format!("{}: {told}", annotated(&key)));
            }
        }
        containers::told(container, place, out);
    }
    containers::ports(&all, out);
    if spec["terminationGracePeriodSeconds"].as_i64().is_some_and(|seconds| seconds < 0) {
        let told = "must be >= 0; negative values are invalid and will be treated as 1";
        out.push(format!("{}: {told}", at.child("terminationGracePeriodSeconds")));
    }
    affinity(&spec["affinity"], &at.child("affinity"), out);
    for (nth, server) in items(&spec["dnsConfig"]["nameservers"]).enumerate() {
        let path = at.item("dnsConfig.nameservers", nth).to_string();
        address(&path, server.as_str().unwrap_or_default(), out);
    }
    for (nth, alias) in items(&spec["hostAliases"]).enumerate() {
        let path = at.item("hostAliases", nth).child("ip").to_string();
        address(&path, alias["ip"].as_str().unwrap_or_default(), out);
    }
}

/// Labels of nodes, and constraints that select no pod.
fn node_labels(spec: &Present<'_>, path: &Path<'_>, out: &mut Vec<String>) {
    for (key, _) in pairs(&spec["nodeSelector"]) {
        if let Some(told) = labels::deprecated(key) {
            out.push(format!("{}: {told}", path.child("nodeSelector").key(key)));
        }
    }
    node_affinity(&spec["affinity"]["nodeAffinity"], path, out);
    for (at, constraint) in items(&spec["topologySpreadConstraints"]).enumerate() {
        let path = path.item("topologySpreadConstraints", at);
        let key = constraint["topologyKey"].as_str().unwrap_or_default();
        if let Some(told) = labels::deprecated(key) {
            out.push(format!("{}: {key} is {told}", path.child("topologyKey")));
        }
        selects(constraint, &path, out);
    }
}

fn node_affinity(of_nodes: &Value, path: &Path<'_>, out: &mut Vec<String>) {
    if !of_nodes.is_object() {
        return;
    }
    let path = path.child("affinity.nodeAffinity");
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let terms = path.child(required);
    for (at, term) in items(&of_nodes[required]["nodeSelectorTerms"]).enumerate() {
        labels::term(term, &terms.item("nodeSelectorTerms", at), false, out);
    }
    let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    for (at, wish) in items(&of_nodes[preferred]).enumerate() {
        labels::term(&wish["preference"], &path.item(preferred, at).child("preference"), true, out);
    }
}

/// A selector that is not there selects nothing.
fn selects(holder: &Value, path: &Path<'_>, out: &mut Vec<String>) {
    if holder["labelSelector"].is_null() {
        let told = "a null labelSelector results in matching no pod";
        out.push(format!("{}: {told}", path.child("labelSelector")));
    }
}

fn affinity(affinity: &Value, path: &Path<'_>, out: &mut Vec<String>) {
    for which in ["podAffinity", "podAntiAffinity"].into_iter().filter(|which| affinity[*which].is_object()) {
        let path = path.child(which);
        let required = "requiredDuringSchedulingIgnoredDuringExecution";
        for (at, term) in items(&affinity[which][required]).enumerate() {
            selects(term, &path.item(required, at), out);
        }
        let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
        for (at, wish) in items(&affinity[which][preferred]).enumerate() {
            selects(&wish["podAffinityTerm"], &path.item(preferred, at).child("podAffinityTerm"), out);
        }
    }
}

fn volumes(spec: &Present<'_>, path: &Path<'_>, out: &mut Vec<String>) {
    for (at, volume) in items(&spec["volumes"]).enumerate() {
        let path = path.item("volumes", at);
        for (name, _) in volume.as_object().into_iter().flatten().filter(|(_, source)| !source.is_null()) {
            if let Some((name, told)) = source(name) {
                out.push(format!("{}: {told}", path.child(name)));
            }
        }
        claim_spec(
            &volume["ephemeral"]["volumeClaimTemplate"]["spec"],
            &path.child("ephemeral.volumeClaimTemplate.spec"),
            out,
        );
    }
    overlap::told(&spec["volumes"], out);
}

/// Entries that stand there twice, or have no name.
fn doubles(spec: &Present<'_>, path: &Path<'_>, out: &mut Vec<String>) {
    for (list, field, what) in [("hostAliases", "ip", "duplicate ip"), ("imagePullSecrets", "name", "duplicate name")] {
        let mut seen = BTreeSet::new();
        for (at, one) in items(&spec[list]).enumerate() {
            let said = one[field].as_str().unwrap_or_default();
            if !seen.insert(said) {
                let path = path.item(list, at).child(field).to_string();
                out.push(format!("{path}: {what} {said:?}"));
            }
        }
    }
    for (at, secret) in items(&spec["imagePullSecrets"]).enumerate() {
        if secret["name"].as_str().unwrap_or_default().is_empty() {
            let path = path.item("imagePullSecrets", at).child("name").to_string();
            out.push(format!("{path}: invalid empty name \"\""));
        }
    }
}
