//! Volumes of a pod: names, and exactly one source each.

use super::environment::{check_field, check_resource};
use super::field::{Errors, child, index, list, text, under};
use super::security::check_descending;
use super::{claim, metadata};
use crate::schema::quantity::Quantity;
use serde_json::Value;
use std::collections::BTreeSet;
use tinyplane_wire::meta::dns_label;

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

/// Checks volumes, and gives the names that mounts may use.
pub(super) fn check(volumes: &Value, path: &str, errors: &mut Errors) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, volume) in list(volumes).iter().enumerate() {
        let path = index(path, at);
        check_sources(volume, &path, errors);
        let name = text(&volume["name"]);
        if name.is_empty() {
            errors.required(child(&path, "name"), "");
            continue;
        }
        errors.grammar(under(&path, "name"), name, dns_label(name));
        if !names.insert(name.to_owned()) {
            errors.duplicate(child(&path, "name"), &volume["name"]);
        }
    }
    names
}

fn check_sources(volume: &Value, path: &str, errors: &mut Errors) {
    // A volume has two fields as a rule, and there are thirty sources.
    let named = volume.as_object().into_iter().flatten().filter(|(_, source)| source.is_object());
    let mut given: Vec<usize> = named.filter_map(|(name, _)| SOURCES.iter().position(|one| one == name)).collect();
    given.sort_unstable();
    let mut given = given.into_iter().map(|at| SOURCES[at]);
    let Some(first) = given.next() else { return errors.required(path, "must specify a volume type") };
    check_source(&volume[first], first, &child(path, first), errors);
    for source in given {
        errors.forbidden(child(path, source), "may not specify more than 1 volume type");
    }
}

fn check_source(source: &Value, kind: &str, path: &str, errors: &mut Errors) {
    match kind {
        "emptyDir" => {
            let size = source["sizeLimit"].as_str().and_then(|size| Quantity::parse(size).ok());
            if size.is_some_and(|size| size.nanos() < 0) {
                errors.forbidden(child(path, "sizeLimit"), "SizeLimit field must be a valid resource quantity");
            }
        }
        "hostPath" => check_host_path(source, path, errors),
        "secret" => {
            errors.needed(under(path, "secretName"), &source["secretName"], "");
            check_items(source, path, errors);
        }
        "configMap" => {
            errors.needed(under(path, "name"), &source["name"], "");
            check_items(source, path, errors);
        }
        "nfs" => {
            errors.needed(under(path, "server"), &source["server"], "");
            let place = text(&source["path"]);
            errors.needed(under(path, "path"), &source["path"], "");
            if !place.starts_with('/') {
                errors.invalid_text(child(path, "path"), place, "must be an absolute path");
            }
        }
        "persistentVolumeClaim" => errors.needed(under(path, "claimName"), &source["claimName"], ""),
        "downwardAPI" => {
            check_mode(&source["defaultMode"], &child(path, "defaultMode"), errors);
            check_downward(&source["items"], path, errors);
        }
        "csi" => errors.needed(under(path, "driver"), &source["driver"], ""),
        "ephemeral" if !source["volumeClaimTemplate"].is_object() => {
            errors.required(child(path, "volumeClaimTemplate"), "");
        }
        "ephemeral" => {
            let (template, path) = (&source["volumeClaimTemplate"], child(path, "volumeClaimTemplate"));
            metadata::check_template(&template["metadata"], &child(&path, "metadata"), errors);
            claim::check_spec(&template["spec"], &child(&path, "spec"), errors);
        }
        "projected" => check_projected(source, path, errors),
        "image" => {
            errors.known(under(path, "pullPolicy"), &source["pullPolicy"], &["Always", "IfNotPresent", "Never"]);
        }
        _ => {}
    }
}

fn check_host_path(source: &Value, path: &str, errors: &mut Errors) {
    let place = text(&source["path"]);
    if place.is_empty() {
        return errors.required(child(path, "path"), "");
    }
    if place.split('/').any(|part| part == "..") {
        errors.invalid_text(child(path, "path"), place, "must not contain '..'");
    }
    errors.known(under(path, "type"), &source["type"], &HOST_PATHS);
}

fn check_items(source: &Value, path: &str, errors: &mut Errors) {
    check_mode(&source["defaultMode"], &child(path, "defaultMode"), errors);
    for (at, item) in list(&source["items"]).iter().enumerate() {
        let path = index(&child(path, "items"), at);
        errors.needed(under(&path, "key"), &item["key"], "");
        check_place(text(&item["path"]), &child(&path, "path"), errors);
        check_mode(&item["mode"], &child(&path, "mode"), errors);
    }
}

/// Where a file goes within its volume.
fn check_place(place: &str, path: &str, errors: &mut Errors) {
    if place.is_empty() {
        errors.required(path, "");
    }
    check_descending(place, path, errors);
    if place.starts_with("..") && !place.starts_with("../") && place != ".." {
        errors.invalid_text(path, place, "must not start with '..'");
    }
}

fn check_mode(mode: &Value, path: &str, errors: &mut Errors) {
    if mode.as_i64().is_some_and(|mode| !(0..=0o777).contains(&mode)) {
        errors.invalid(path, mode, MODE_MESSAGE);
    }
}

fn check_downward(items: &Value, path: &str, errors: &mut Errors) {
    for item in list(items) {
        check_place(text(&item["path"]), &child(path, "path"), errors);
        match (item["fieldRef"].is_object(), item["resourceFieldRef"].is_object()) {
            (true, with_resource) => {
                check_field(&item["fieldRef"], &FIELD_PATHS, &child(path, "fieldRef"), errors);
                if with_resource {
                    let told = "fieldRef and resourceFieldRef can not be specified simultaneously";
                    errors.invalid_text(path, "resource", told);
                }
            }
            (false, true) => check_resource(&item["resourceFieldRef"], true, &child(path, "resourceFieldRef"), errors),
            (false, false) => errors.required(path, "one of fieldRef and resourceFieldRef is required"),
        }
        check_mode(&item["mode"], &child(path, "mode"), errors);
    }
}

fn check_projected(source: &Value, path: &str, errors: &mut Errors) {
    check_mode(&source["defaultMode"], &child(path, "defaultMode"), errors);
    for (at, one) in list(&source["sources"]).iter().enumerate() {
        let path = index(&child(path, "sources"), at);
        let known = ["secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle"];
        let mut given = known.into_iter().filter(|kind| one[*kind].is_object());
        match given.next() {
            Some(kind @ ("secret" | "configMap")) => {
                errors.needed(child(&child(&path, kind), "name"), &one[kind]["name"], "");
                check_items(&one[kind], &child(&path, kind), errors);
            }
            Some("downwardAPI") => check_downward(&one["downwardAPI"]["items"], &child(&path, "downwardAPI"), errors),
            Some("serviceAccountToken") => {
                let (token, path) = (&one["serviceAccountToken"], child(&path, "serviceAccountToken"));
                let seconds = &token["expirationSeconds"];
                if seconds.as_i64().is_some_and(|seconds| seconds < 600) {
                    let told = "may not specify a duration less than 10 minutes";
                    errors.invalid(child(&path, "expirationSeconds"), seconds, told);
                }
                errors.needed(under(&path, "path"), &token["path"], "");
            }
            _ => {}
        }
        for kind in given {
            errors.forbidden(child(&path, kind), "may not specify more than 1 volume type per source");
        }
    }
}
