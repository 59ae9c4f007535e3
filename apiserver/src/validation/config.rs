//! ConfigMaps and Secrets: their keys, their size, and those that may not change.

use super::field::{Errors, key};
use serde_json::Value;

/// Most bytes of data in one object.
const DATA_BYTES_MAX: usize = 1 << 20;
/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 253;
const KEY_MESSAGE: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

pub(super) fn check_config_map(map: &Value, errors: &mut Errors) {
    let mut total = 0;
    for (name, value) in entries(&map["data"]) {
        check_key(&key("data", name), name, errors);
        if map["binaryData"].get(name).is_some() {
            errors.invalid_text(key("data", name), name, "duplicate of key present in binaryData");
        }
        total += value.as_str().map_or(0, str::len);
    }
    for (name, value) in entries(&map["binaryData"]) {
        check_key(&key("binaryData", name), name, errors);
        total += decoded_bytes(value);
    }
    if total > DATA_BYTES_MAX {
        errors.too_long("", DATA_BYTES_MAX);
    }
}

pub(super) fn check_secret(secret: &Value, errors: &mut Errors) {
    let mut total = 0;
    for (name, value) in entries(&secret["data"]) {
        check_key(&key("data", name), name, errors);
        total += decoded_bytes(value);
    }
    if total > DATA_BYTES_MAX {
        errors.too_long("data", DATA_BYTES_MAX);
    }
    let needs: &[&str] = match secret["type"].as_str() {
        Some("kubernetes.io/dockerconfigjson") => &[".dockerconfigjson"],
        Some("kubernetes.io/dockercfg") => &[".dockercfg"],
        Some("kubernetes.io/ssh-auth") => &["ssh-privatekey"],
        Some("kubernetes.io/tls") => &["tls.crt", "tls.key"],
        _ => &[],
    };
    for need in needs.iter().filter(|need| secret["data"].get(**need).is_none()) {
        errors.required(key("data", need), "");
    }
    let account = "kubernetes.io/service-account.name";
    if secret["type"] == "kubernetes.io/service-account-token"
        && secret["metadata"]["annotations"][account].as_str().is_none_or(str::is_empty)
    {
        errors.required(format!("metadata.annotations[{account}]"), "");
    }
}

fn entries(map: &Value) -> impl Iterator<Item = (&String, &Value)> {
    map.as_object().into_iter().flatten()
}

fn decoded_bytes(value: &Value) -> usize {
    value.as_str().map_or(0, |text| text.trim_end_matches('=').len() * 3 / 4)
}

fn check_key(path: &str, name: &str, errors: &mut Errors) {
    if name.len() > KEY_BYTES_MAX {
        errors.invalid_text(path, name, &format!("must be no more than {KEY_BYTES_MAX} characters"));
    }
    let grammatical =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if !grammatical {
        errors.invalid_text(path, name, KEY_MESSAGE);
    }
    match name {
        "." => errors.invalid_text(path, name, "must not be '.'"),
        ".." => errors.invalid_text(path, name, "must not be '..'"),
        _ if name.starts_with("..") => errors.invalid_text(path, name, "must not start with '..'"),
        _ => {}
    }
}

pub(super) fn check_update(new: &Value, old: &Value, errors: &mut Errors) {
    if new["kind"] == "Secret" {
        errors.immutable("type", &new["type"], &old["type"]);
    }
    if old["immutable"].as_bool() != Some(true) {
        return;
    }
    if new["immutable"].as_bool() != Some(true) {
        errors.forbidden("immutable", "field is immutable when `immutable` is set");
    }
    for field in ["data", "binaryData"] {
        if new[field] != old[field] {
            errors.forbidden(field, "field is immutable when `immutable` is set");
        }
    }
}
