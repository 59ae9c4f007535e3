//! A container's environment: names, and exactly one place that a value comes from.

use super::field::{Errors, Path, list, text};
use crate::schema::quantity::Quantity;
use serde_json::Value;
use std::cell::LazyCell;
use std::collections::BTreeMap;
use tinyplane_wire::meta::{dns_label, dns_subdomain, qualified_name};

const FIELD_PATHS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
/// Longest key of a ConfigMap or a Secret.
const KEY_BYTES_MAX: usize = 253;
const KEY_MESSAGE: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

pub(super) fn check(env: &Value, path: &Path<'_>, errors: &mut Errors) {
    for (at, variable) in list(env).iter().enumerate() {
        let path = path.index(at);
        let name = text(&variable["name"]);
        if name.is_empty() {
            errors.required(path.child("name"), "");
        } else {
            check_name(name, &path.child("name"), errors);
        }
        if variable["valueFrom"].is_object() {
            check_source(variable, &path.child("valueFrom"), errors);
        }
    }
}

/// Whole ConfigMaps and Secrets.
pub(super) fn check_from(sources: &Value, path: &Path<'_>, errors: &mut Errors) {
    for (at, source) in list(sources).iter().enumerate() {
        let at_path = path.index(at);
        let prefix = text(&source["prefix"]);
        if !prefix.is_empty() {
            check_name(prefix, &at_path.child("prefix"), errors);
        }
        let given: Vec<&str> = ["configMapRef", "secretRef"].into_iter().filter(|f| source[*f].is_object()).collect();
        for field in &given {
            let (name, path) = (text(&source[*field]["name"]), at_path.child(field));
            if name.is_empty() {
                errors.required(path.child("name"), "");
            } else {
                errors.grammar(path.child("name"), name, dns_subdomain(name.trim_end_matches('-')));
            }
        }
        match given.len() {
            0 => errors.invalid_text(path, "", "must specify one of: `configMapRef` or `secretRef`"),
            1 => {}
            _ => errors.invalid_text(path, "", "may not have more than one field specified at a time"),
        }
    }
}

fn check_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    if name.contains('=') || name.bytes().any(|b| !(0x20..0x7f).contains(&b)) {
        let told = "a valid environment variable name must consist only of printable ASCII characters other than '='";
        errors.invalid_text(path, name, told);
    }
}

fn check_source(variable: &Value, path: &Path<'_>, errors: &mut Errors) {
    let from = &variable["valueFrom"];
    let known = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
    let given = known.into_iter().filter(|field| from[*field].is_object()).count();
    if from["fieldRef"].is_object() {
        check_field(&from["fieldRef"], &FIELD_PATHS, &path.child("fieldRef"), errors);
    }
    if from["resourceFieldRef"].is_object() {
        check_resource(&from["resourceFieldRef"], false, &path.child("resourceFieldRef"), errors);
    }
    for field in ["configMapKeyRef", "secretKeyRef"] {
        if from[field].is_object() {
            check_key(&from[field], &path.child(field), errors);
        }
    }
    if from["fileKeyRef"].is_object() {
        check_file(&from["fileKeyRef"], &path.child("fileKeyRef"), errors);
    }
    if given == 0 {
        errors.invalid_text(
            path,
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        );
    } else if !text(&variable["value"]).is_empty() {
        errors.invalid_text(path, "", "may not be specified when `value` is not empty");
    } else if given > 1 {
        errors.invalid_text(path, "", "may not have more than one field specified at a time");
    }
}

/// Fields of pods that upstream knows and shows nowhere.
const OTHER_FIELDS: [&str; 14] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.phase",
    "status.podIP",
    "status.podIPs",
];

/// A field of the pod that may be shown: one of `known`, or an entry of its labels or annotations.
pub(super) fn check_field(reference: &Value, known: &[&str], path: &Path<'_>, errors: &mut Errors) {
    let field = text(&reference["fieldPath"]);
    if field.is_empty() {
        return errors.required(path.child("fieldPath"), "");
    }
    let version = text(&reference["apiVersion"]);
    if !matches!(version, "" | "v1") {
        let told = format!("error converting fieldPath: unsupported pod version: {version}");
        return errors.invalid_text(path.child("fieldPath"), field, &told);
    }
    let subscripted = field.strip_suffix("']").and_then(|field| field.split_once("['"));
    // An old name of the same.
    let field = if field == "spec.host" { "spec.nodeName" } else { field };
    match subscripted {
        Some(("metadata.annotations", name)) => errors.grammar(path, name, qualified_name(&name.to_ascii_lowercase())),
        Some(("metadata.labels", name)) => errors.grammar(path, name, qualified_name(name)),
        Some(_) => {
            let told = format!("error converting fieldPath: field label does not support subscript: {field}");
            errors.invalid_text(path.child("fieldPath"), field, &told);
        }
        None if known.contains(&field) => {}
        None if OTHER_FIELDS.contains(&field) => errors.unsupported(path.child("fieldPath"), field, known),
        None => {
            let told = format!("error converting fieldPath: field label not supported: {field}");
            errors.invalid_text(path.child("fieldPath"), field, &told);
        }
    }
}

/// In which steps bytes are told.
const STEPS: [&str; 13] = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

/// A resource of a container; in a volume the container must be named.
pub(super) fn check_resource(reference: &Value, volume: bool, path: &Path<'_>, errors: &mut Errors) {
    let resource = text(&reference["resource"]);
    let huge = resource.starts_with("limits.hugepages-") || resource.starts_with("requests.hugepages-");
    if volume && text(&reference["containerName"]).is_empty() {
        errors.required(path.child("containerName"), "");
    } else if resource.is_empty() {
        errors.required(path.child("resource"), "");
    } else if !RESOURCES.contains(&resource) && !huge {
        errors.unsupported(path.child("resource"), resource, &RESOURCES);
    }
    if !reference["divisor"].is_null() {
        check_divisor(resource, &reference["divisor"], path, errors);
    }
}

/// In which steps an amount is told: those of processors in their own.
fn check_divisor(resource: &str, divisor: &Value, path: &Path<'_>, errors: &mut Errors) {
    let Ok(step) = Quantity::parse(text(divisor)) else { return };
    let (known, what): (&[&str], _) = match resource.split_once('.').map_or("", |(_, what)| what) {
        "cpu" => (&["1m", "1"], "cpu"),
        "memory" => (&STEPS, "memory"),
        "ephemeral-storage" => (&STEPS, "local ephemeral storage"),
        what if what.starts_with("hugepages-") => (&STEPS, "hugepages"),
        _ => return,
    };
    if step.signum() != 0 && !known.contains(&step.to_string().as_str()) {
        let all = if what == "cpu" { "1m and 1".to_owned() } else { STEPS.join(", ") };
        let told = format!("only divisor's values {all} are supported with the {what} resource");
        errors.invalid_text(path.child("divisor"), resource, &told);
    }
}

fn check_key(reference: &Value, path: &Path<'_>, errors: &mut Errors) {
    let (name, key) = (text(&reference["name"]), text(&reference["key"]));
    errors.grammar(path.child("name"), name, dns_subdomain(name));
    if key.is_empty() {
        errors.required(path.child("key"), "");
    } else {
        errors.grammar(path.child("key"), key, key_complaints(key));
    }
}

/// A variable that stands in a file of a volume.
fn check_file(reference: &Value, path: &Path<'_>, errors: &mut Errors) {
    let [key, volume, place] = ["key", "volumeName", "path"].map(|field| text(&reference[field]));
    match key {
        "" => errors.required(path.child("key"), ""),
        key => check_name(key, &path.child("key"), errors),
    }
    match volume {
        "" => errors.required(path.child("volumeName"), ""),
        volume => errors.grammar(path.child("volumeName"), volume, dns_label(volume)),
    }
    match place {
        "" => errors.required(path.child("path"), ""),
        place if place.split('/').any(|part| part == "..") => {
            errors.invalid_text(path.child("path"), place, "must not contain '..'");
        }
        _ => {}
    }
}

/// Files of variables lie in volumes that are empty at first.
pub(super) fn check_file_volumes(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let volumes = LazyCell::new(|| -> BTreeMap<&str, &Value> {
        // Of two of a name the first holds.
        list(&spec["volumes"]).iter().rev().map(|volume| (text(&volume["name"]), volume)).collect()
    });
    for field in ["initContainers", "containers", "ephemeralContainers"] {
        for (at, container) in list(&spec[field]).iter().enumerate() {
            for (nth, variable) in list(&container["env"]).iter().enumerate() {
                let reference = &variable["valueFrom"]["fileKeyRef"];
                if !reference.is_object() {
                    continue;
                }
                let (container, name) = (path.item(field, at), text(&reference["volumeName"]));
                let variable = container.item("env", nth);
                let path = variable.child("valueFrom.fileKeyRef.volumeName");
                match volumes.get(name) {
                    None => errors.not_found(path, name),
                    Some(volume) if !volume["emptyDir"].is_object() => {
                        errors.invalid_text(path, name, "referenced volume must be of type emptyDir");
                    }
                    Some(_) => {}
                }
            }
        }
    }
}

/// What is wrong with a key of a ConfigMap or a Secret.
fn key_complaints(key: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if key.len() > KEY_BYTES_MAX {
        wrong.push(format!("must be no more than {KEY_BYTES_MAX} characters"));
    }
    if !key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
        wrong.push(KEY_MESSAGE.into());
    }
    match key {
        "." => wrong.push("must not be '.'".into()),
        ".." => wrong.push("must not be '..'".into()),
        key if key.starts_with("..") => wrong.push("must not start with '..'".into()),
        _ => {}
    }
    wrong
}
