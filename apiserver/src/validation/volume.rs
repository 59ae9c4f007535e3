//! Volumes of a pod: names, and exactly one source each.

use super::environment::{check_field, check_resource};
use super::field::{Errors, Path, list, text};
use super::security::check_descending;
use super::volume_sources::{self as sources, Holder};
use super::{claim, metadata};
use crate::schema::quantity::Quantity;
use serde_json::Value;
use std::collections::BTreeSet;
use tinyplane_wire::meta::{dns_label, dns_subdomain};

/// The kinds of sources, in the order in which upstream looks at them.
const SOURCES: [&str; 30] = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
];
/// The kinds of what a path of the host may be.
pub(super) const HOST_PATHS: [&str; 8] =
    ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
const FIELD_PATHS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
const MODE_MESSAGE: &str = "must be a number between 0 and 0777 (octal), both inclusive";

/// Checks volumes, and gives the names that mounts may use: those of volumes that nothing is wrong with. `pod` is the name of the
/// pod; a template has none.
pub(super) fn check(volumes: &Value, pod: Option<&str>, path: &Path<'_>, errors: &mut Errors) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, volume) in list(volumes).iter().enumerate() {
        let (path, before) = (path.index(at), errors.count());
        check_sources(volume, pod, &path, errors);
        let name = text(&volume["name"]);
        if name.is_empty() {
            errors.required(path.child("name"), "");
            continue;
        }
        errors.grammar(path.child("name"), name, dns_label(name));
        if names.contains(name) {
            errors.duplicate(path.child("name"), &volume["name"]);
        } else if errors.count() == before {
            names.insert(name.to_owned());
        }
    }
    names
}

fn check_sources(volume: &Value, pod: Option<&str>, path: &Path<'_>, errors: &mut Errors) {
    // A volume has two fields as a rule, and there are thirty sources.
    let named = volume.as_object().into_iter().flatten().filter(|(_, source)| source.is_object());
    let mut given: Vec<usize> = named.filter_map(|(name, _)| SOURCES.iter().position(|one| one == name)).collect();
    given.sort_unstable();
    let mut given = given.into_iter().map(|at| SOURCES[at]);
    let Some(first) = given.next() else { return errors.required(path, "must specify a volume type") };
    check_source(volume, first, pod, path, errors);
    for source in given {
        errors.forbidden(path.child(told_as(source, true)), "may not specify more than 1 volume type");
    }
}

/// How upstream calls a kind of source, as a second one or by itself.
fn told_as(kind: &str, is_second: bool) -> &str {
    match kind {
        "gcePersistentDisk" if !is_second => "persistentDisk",
        "cephfs" if is_second => "cephFS",
        "downwardAPI" if is_second => "downwarAPI",
        kind => kind,
    }
}

fn check_source(volume: &Value, kind: &str, pod: Option<&str>, path: &Path<'_>, errors: &mut Errors) {
    let (source, name, around) = (&volume[kind], text(&volume["name"]), path);
    let path = &path.child(told_as(kind, false));
    match kind {
        "emptyDir" => {
            let size = source["sizeLimit"].as_str().and_then(|size| Quantity::parse(size).ok());
            if size.is_some_and(|size| size.signum() < 0) {
                errors.forbidden(path.child("sizeLimit"), "SizeLimit field must be a valid resource quantity");
            }
        }
        "secret" => {
            errors.needed(path.child("secretName"), &source["secretName"], "");
            check_items(source, path, errors);
        }
        "configMap" => {
            errors.needed(path.child("name"), &source["name"], "");
            check_items(source, path, errors);
        }
        "gitRepo" => {
            errors.needed(path.child("repository"), &source["repository"], "");
            check_descending(text(&source["directory"]), &path.child("directory"), errors);
        }
        "persistentVolumeClaim" => errors.needed(path.child("claimName"), &source["claimName"], ""),
        "downwardAPI" => {
            check_mode(&source["defaultMode"], &path.child("defaultMode"), errors);
            list(&source["items"]).iter().for_each(|item| check_file(item, path, errors));
        }
        "csi" => {
            sources::check_driver(text(&source["driver"]), &path.child("driver").to_string(), errors);
            let secret = &source["nodePublishSecretRef"];
            match text(&secret["name"]) {
                "" if secret.is_object() => errors.required(path.child("nodePublishSecretRef.name"), ""),
                "" => {}
                name => errors.grammar(path.child("name"), name, dns_subdomain(name)),
            }
        }
        "ephemeral" if !source["volumeClaimTemplate"].is_object() => {
            errors.required(path.child("volumeClaimTemplate"), "");
        }
        "ephemeral" => {
            let (template, path) = (&source["volumeClaimTemplate"], path.child("volumeClaimTemplate"));
            metadata::check_template(&template["metadata"], &path.child("metadata"), errors);
            claim::check_spec(&template["spec"], &path.child("spec").to_string(), errors);
            if let Some(pod) = pod.filter(|pod| !pod.is_empty() && !name.is_empty()) {
                let claim = format!("{pod}-{name}");
                for told in dns_subdomain(&claim) {
                    errors.invalid_text(around.child("name"), name, &format!("PVC name {claim:?}: {told}"));
                }
            }
        }
        "projected" => check_projected(source, path, errors),
        "image" => {
            if pod.is_some() {
                errors.needed(path.child("reference"), &source["reference"], "");
            }
            errors.known(path.child("pullPolicy"), &source["pullPolicy"], &["Always", "IfNotPresent", "Never"]);
        }
        _ => {
            let (around, path) = (around.to_string(), path.to_string());
            sources::check(source, kind, Holder::Pod(name, &around), &path, errors);
        }
    }
}

fn check_items(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    check_mode(&source["defaultMode"], &path.child("defaultMode"), errors);
    for (at, item) in list(&source["items"]).iter().enumerate() {
        check_item(item, &path.item("items", at), errors);
    }
}

fn check_item(item: &Value, path: &Path<'_>, errors: &mut Errors) {
    errors.needed(path.child("key"), &item["key"], "");
    check_place(text(&item["path"]), &path.child("path"), errors);
    check_mode(&item["mode"], &path.child("mode"), errors);
}

/// Where a file goes within its volume.
fn check_place(place: &str, path: &Path<'_>, errors: &mut Errors) {
    if place.is_empty() {
        errors.required(path, "");
    }
    check_own_place(place, path, errors);
}

/// A place that is neither outside of the volume nor kept for the kubelet.
fn check_own_place(place: &str, path: &Path<'_>, errors: &mut Errors) {
    check_descending(place, path, errors);
    if place.starts_with("..") && !place.starts_with("../") && place != ".." {
        errors.invalid_text(path, place, "must not start with '..'");
    }
}

fn check_mode(mode: &Value, path: &Path<'_>, errors: &mut Errors) {
    if mode.as_i64().is_some_and(|mode| !(0..=0o777).contains(&mode)) {
        errors.invalid(path, mode, MODE_MESSAGE);
    }
}

/// A file that tells of the pod itself.
fn check_file(item: &Value, path: &Path<'_>, errors: &mut Errors) {
    check_place(text(&item["path"]), &path.child("path"), errors);
    match (item["fieldRef"].is_object(), item["resourceFieldRef"].is_object()) {
        (true, with_resource) => {
            check_field(&item["fieldRef"], &FIELD_PATHS, &path.child("fieldRef"), errors);
            if with_resource {
                let told = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.invalid_text(path, "resource", told);
            }
        }
        (false, true) => check_resource(&item["resourceFieldRef"], true, &path.child("resourceFieldRef"), errors),
        (false, false) => errors.required(path, "one of fieldRef and resourceFieldRef is required"),
    }
    check_mode(&item["mode"], &path.child("mode"), errors);
}

fn check_projected(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    check_mode(&source["defaultMode"], &path.child("defaultMode"), errors);
    let mut places = BTreeSet::new();
    for (at, one) in list(&source["sources"]).iter().enumerate() {
        let at = path.item("sources", at);
        let mut count = 0;
        for kind in ["secret", "configMap", "downwardAPI", "serviceAccountToken"] {
            let (source, at) = (&one[kind], at.child(kind));
            if !source.is_object() {
                continue;
            }
            count += 1;
            match kind {
                "serviceAccountToken" => check_token(source, path, &at, errors),
                "downwardAPI" => {
                    for item in list(&source["items"]) {
                        check_file(item, &at, errors);
                        note(text(&item["path"]), text(&item["path"]), &mut places, path, errors);
                    }
                }
                _ => {
                    errors.needed(at.child("name"), &source["name"], "");
                    for (nth, item) in list(&source["items"]).iter().enumerate() {
                        check_item(item, &at.item("items", nth), errors);
                        note(text(&item["path"]), text(&source["name"]), &mut places, path, errors);
                    }
                }
            }
        }
        if count > 1 {
            errors.forbidden(at, "may not specify more than 1 volume type per source");
        }
    }
}

/// A token, whose path upstream tells of as if it were the volume's.
fn check_token(token: &Value, volume: &Path<'_>, path: &Path<'_>, errors: &mut Errors) {
    const SECONDS_MAX: i64 = 1 << 32;
    let seconds = &token["expirationSeconds"];
    if seconds.as_i64().is_some_and(|seconds| seconds < 600) {
        errors.invalid(path.child("expirationSeconds"), seconds, "may not specify a duration less than 10 minutes");
    }
    if seconds.as_i64().is_some_and(|seconds| seconds > SECONDS_MAX) {
        let told = "may not specify a duration larger than 2^32 seconds";
        errors.invalid(path.child("expirationSeconds"), seconds, told);
    }
    match text(&token["path"]) {
        "" => errors.required(volume.child("path"), ""),
        place => check_own_place(place, &volume.child("path"), errors),
    }
}

/// Notes where a file goes, and tells if one is there already.
fn note<'v>(place: &'v str, shown: &str, places: &mut BTreeSet<&'v str>, path: &Path<'_>, errors: &mut Errors) {
    if !place.is_empty() && !places.insert(place) {
        errors.invalid_text(path, shown, "conflicting duplicate paths");
    }
}
