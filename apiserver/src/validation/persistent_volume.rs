//! Persistent volumes: where they lie, and what of that stays.

use super::affinity::check_node_selector;
use super::claim::{check_access_modes, check_basic, check_class_name, check_positive};
use super::field::{Errors, Path, child, key, list, same, text};
use super::internal;
use super::volume_sources::{self as sources, Holder};
use serde_json::{Map, Value};
use tinyplane_wire::meta::{Meta, dns_subdomain};

/// The places where a volume may lie, in the order in which upstream looks at them; with the words that it uses in
/// paths, for a second place and for what is wrong within the first.
const PLACES: [(&str, &str, &str); 22] = [
    ("hostPath", "hostPath", "hostPath"),
    ("gcePersistentDisk", "gcePersistentDisk", "persistentDisk"),
    ("awsElasticBlockStore", "awsElasticBlockStore", "awsElasticBlockStore"),
    ("glusterfs", "glusterfs", "glusterfs"),
    ("flocker", "flocker", "flocker"),
    ("nfs", "nfs", "nfs"),
    ("rbd", "rbd", "rbd"),
    ("quobyte", "quobyte", "quobyte"),
    ("cephfs", "cephFS", "cephfs"),
    ("iscsi", "iscsi", "iscsi"),
    ("cinder", "cinder", "cinder"),
    ("fc", "fc", "fc"),
    ("flexVolume", "flexVolume", "flexVolume"),
    ("azureFile", "azureFile", "azureFile"),
    ("vsphereVolume", "vsphereVolume", "vsphereVolume"),
    ("photonPersistentDisk", "photonPersistentDisk", "photonPersistentDisk"),
    ("portworxVolume", "portworxVolume", "portworxVolume"),
    ("azureDisk", "azureDisk", "azureDisk"),
    ("scaleIO", "scaleIO", "scaleIO"),
    ("local", "local", "local"),
    ("storageos", "storageos", "storageos"),
    ("csi", "csi", "csi"),
];

pub(super) fn check(volume: &Value, errors: &mut Errors) {
    check_spec(&volume["spec"], Meta::of(volume).name(), "spec", errors);
}

fn check_spec(spec: &Value, name: &str, path: &str, errors: &mut Errors) {
    if list(&spec["accessModes"]).is_empty() {
        errors.required(child(path, "accessModes"), "");
    }
    check_access_modes(&spec["accessModes"], &child(path, "accessModes"), errors);
    check_capacity(&spec["capacity"], &child(path, "capacity"), errors);
    let policy = &spec["persistentVolumeReclaimPolicy"];
    if !text(policy).is_empty() {
        errors.known(child(path, "persistentVolumeReclaimPolicy"), policy, &["Delete", "Recycle", "Retain"]);
    }
    let affinity = &spec["nodeAffinity"];
    match (affinity.is_object(), affinity["required"].is_object()) {
        (true, true) => {
            let path = Path::root(path);
            check_node_selector(&affinity["required"], &path.child("nodeAffinity.required"), errors);
        }
        (true, false) => {
            errors.required(child(path, "nodeAffinity.required"), "must specify required node constraints");
        }
        (false, _) => {}
    }
    check_places(spec, name, path, errors);
    if spec["hostPath"].is_object() && is_root(text(&spec["hostPath"]["path"])) && policy == "Recycle" {
        let told = "may not be 'recycle' for a hostPath mount of '/'";
        errors.forbidden(child(path, "persistentVolumeReclaimPolicy"), told);
    }
    check_class_name(spec, "storageClassName", path, errors);
    errors.known(child(path, "volumeMode"), &spec["volumeMode"], &["Block", "Filesystem"]);
    if let Some(class) = spec["volumeAttributesClassName"].as_str() {
        match class {
            "" => errors.required(child(path, "volumeAttributesClassName"), "an empty string is disallowed"),
            class => errors.grammar(child(path, "volumeAttributesClassName"), class, dns_subdomain(class)),
        }
        if !spec["csi"].is_object() {
            errors.required(child(path, "csi"), "has to be specified when using volumeAttributesClassName");
        }
    }
}

/// Whether a path means the root once it is cleaned.
fn is_root(place: &str) -> bool {
    let mut depth = 0_usize;
    for part in place.split('/') {
        match part {
            "" | "." => {}
            ".." => depth = depth.saturating_sub(1),
            _ => depth += 1,
        }
    }
    place.starts_with('/') && depth == 0
}

fn check_capacity(capacity: &Value, path: &str, errors: &mut Errors) {
    let amounts = capacity.as_object();
    if amounts.is_none_or(Map::is_empty) {
        errors.required(path, "");
    }
    if amounts.is_none_or(|amounts| amounts.len() > 1 || !amounts.contains_key("storage")) {
        errors.unsupported_as(path, &capacity.to_string(), &["storage"]);
    }
    for (name, value) in amounts.into_iter().flatten() {
        check_basic(&key(path, name), value, errors);
        check_positive(&key(path, name), value, errors);
    }
}

fn check_places(spec: &Value, name: &str, path: &str, errors: &mut Errors) {
    let mut found = 0;
    for (field, as_second, as_first) in PLACES.iter().filter(|(field, ..)| spec[*field].is_object()) {
        // Upstream forgets to count this one when it comes second.
        if found > 0 && *field != "flexVolume" {
            errors.forbidden(child(path, as_second), "may not specify more than 1 volume type");
            continue;
        }
        found += 1;
        sources::check(&spec[*field], field, Holder::Cluster(name), &child(path, as_first), errors);
        if *field == "local" && !spec["nodeAffinity"].is_object() {
            errors.required(child(path, "nodeAffinity"), "Local volume requires node affinity");
        }
    }
    if found == 0 {
        errors.required(path, "must specify a volume type");
    }
}

/// Of the volume that is given with an attachment, most is not said.
pub(super) fn check_inline(spec: &Value, path: &str, errors: &mut Errors) {
    const INLINE: &str = "may not be specified in the context of inline volumes";
    if !spec["claimRef"].is_null() {
        errors.forbidden(child(path, "claimRef"), INLINE);
    }
    if spec["capacity"].as_object().is_some_and(|capacity| !capacity.is_empty()) {
        errors.forbidden(child(path, "capacity"), INLINE);
    }
    if !spec["csi"].is_object() {
        errors.required(child(path, "csi"), "has to be specified in the context of inline volumes");
    }
    if list(&spec["accessModes"]).is_empty() {
        errors.required(child(path, "accessModes"), "");
    }
    check_access_modes(&spec["accessModes"], &child(path, "accessModes"), errors);
    let policy = text(&spec["persistentVolumeReclaimPolicy"]);
    if !["", "Retain"].contains(&policy) {
        let told = "may only be Retain in the context of inline volumes";
        errors.forbidden(child(path, "persistentVolumeReclaimPolicy"), told);
    }
    if spec["nodeAffinity"].is_object() {
        errors.forbidden(child(path, "nodeAffinity"), INLINE);
    }
    check_places(spec, "", path, errors);
    if !text(&spec["storageClassName"]).is_empty() {
        errors.forbidden(child(path, "storageClassName"), INLINE);
    }
    if spec["volumeMode"].as_str().is_some_and(|mode| mode != "Filesystem") {
        let told = "may not specify volumeMode other than Filesystem in the context of inline volumes";
        errors.forbidden(child(path, "volumeMode"), told);
    }
}

/// Where a volume lies stays; so does the rest of what it was made as.
pub(super) fn check_update(new: &Value, old: &Value, errors: &mut Errors) {
    let (now, before) = (&new["spec"], &old["spec"]);
    let csi = without_new_secret(&now["csi"], &before["csi"]);
    let stays = |place: &str| {
        let lies = if place == "csi" { &csi } else { &now[place] };
        lies.is_object() == before[place].is_object() && same(lies, &before[place])
    };
    if !PLACES.iter().all(|(place, ..)| stays(place)) {
        let mut lies = now.clone();
        lies["csi"] = csi;
        let told = format!(
            "spec.persistentvolumesource is immutable after creation\n{}",
            internal::diff("PersistentVolumeSource", before, &lies)
        );
        errors.forbidden("spec.persistentvolumesource", &told);
    }
    errors.immutable("volumeMode", &now["volumeMode"], &before["volumeMode"]);
    let affinity = &now["nodeAffinity"];
    if !before["nodeAffinity"].is_null() && !same(affinity, &before["nodeAffinity"]) {
        let told = "field is immutable, except for updating from beta label to GA";
        errors.invalid_as("nodeAffinity", &internal::shown("*VolumeNodeAffinity", affinity), told);
    }
    if before["volumeAttributesClassName"].is_string() && now["volumeAttributesClassName"].is_null() {
        errors.forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden");
    }
}

/// A driver's volume without the secret for its growth, which it may be given once.
fn without_new_secret(now: &Value, before: &Value) -> Value {
    let mut lies = now.clone();
    if before["controllerExpandSecretRef"].is_null()
        && before.is_object()
        && let Some(fields) = lies.as_object_mut()
    {
        fields.remove("controllerExpandSecretRef");
    }
    lies
}
