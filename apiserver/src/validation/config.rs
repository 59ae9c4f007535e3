//! ConfigMaps and Secrets: their keys, their size, and those that may not change.

use super::field::{Errors, Path, key};
use crate::schema::decode::not_json;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Most bytes of data in one object.
const DATA_BYTES_MAX: usize = 1 << 20;
/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 253;
const KEY_MESSAGE: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

pub(super) fn check_config_map(map: &Value, errors: &mut Errors) {
    let mut total = 0;
    for (name, value) in entries(&map["data"]) {
        check_key(&Path::root("data").key(name), name, errors);
        if map["binaryData"].get(name).is_some() {
            errors.invalid_text(key("data", name), name, "duplicate of key present in binaryData");
        }
        total += value.as_str().map_or(0, str::len);
    }
    for (name, value) in entries(&map["binaryData"]) {
        check_key(&Path::root("binaryData").key(name), name, errors);
        total += decoded_bytes(value);
    }
    if total > DATA_BYTES_MAX {
        // Upstream names a field without a name.
        errors.too_long("[]", DATA_BYTES_MAX);
    }
}

pub(super) fn check_secret(secret: &Value, errors: &mut Errors) {
    let mut total = 0;
    for (name, value) in entries(&secret["data"]) {
        check_key(&Path::root("data").key(name), name, errors);
        total += decoded_bytes(value);
    }
    if total > DATA_BYTES_MAX {
        errors.too_long("data", DATA_BYTES_MAX);
    }
    check_kind(secret, errors);
    let account = "kubernetes.io/service-account.name";
    if secret["type"] == "kubernetes.io/service-account-token"
        && secret["metadata"]["annotations"][account].as_str().is_none_or(str::is_empty)
    {
        errors.required(format!("metadata.annotations[{account}]"), "");
    }
}

/// What a secret of a known kind has to hold.
fn check_kind(secret: &Value, errors: &mut Errors) {
    let value = |name: &str| secret["data"].get(name).map(|value| value.as_str().unwrap_or_default());
    let missing = |needs: &[&str], errors: &mut Errors| {
        for need in needs.iter().filter(|need| value(need).is_none()) {
            errors.required(key("data", need), "");
        }
    };
    match secret["type"].as_str().unwrap_or_default() {
        "kubernetes.io/dockerconfigjson" => check_docker(value(".dockerconfigjson"), ".dockerconfigjson", errors),
        "kubernetes.io/dockercfg" => check_docker(value(".dockercfg"), ".dockercfg", errors),
        "kubernetes.io/basic-auth" if value("username").is_none() && value("password").is_none() => {
            missing(&["username", "password"], errors);
        }
        "kubernetes.io/ssh-auth" if value("ssh-privatekey").is_none_or(str::is_empty) => {
            errors.required(key("data", "ssh-privatekey"), "");
        }
        "kubernetes.io/tls" => missing(&["tls.crt", "tls.key"], errors),
        _ => {}
    }
}

/// A registry's credentials: a JSON object.
fn check_docker(value: Option<&str>, name: &str, errors: &mut Errors) {
    let Some(value) = value else { return errors.required(key("data", name), "") };
    let bytes = STANDARD.decode(value).unwrap_or_default();
    let other =
        |kind: &str| Some(format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"));
    let complaint = match serde_json::from_slice::<Value>(&bytes) {
        Ok(Value::Object(_) | Value::Null) => None,
        Ok(Value::Array(_)) => other("array"),
        Ok(Value::String(_)) => other("string"),
        Ok(Value::Number(_)) => other("number"),
        Ok(Value::Bool(_)) => other("bool"),
        Err(error) => Some(not_json(&bytes, &error)),
    };
    if let Some(complaint) = complaint {
        errors.invalid_text(key("data", name), "<secret contents redacted>", &complaint);
    }
}

fn entries(map: &Value) -> impl Iterator<Item = (&String, &Value)> {
    map.as_object().into_iter().flatten()
}

fn decoded_bytes(value: &Value) -> usize {
    value.as_str().map_or(0, |text| text.trim_end_matches('=').len() * 3 / 4)
}

fn check_key(path: &Path<'_>, name: &str, errors: &mut Errors) {
    errors.grammar(path, name, key_complaints(name));
}

/// What is wrong with a key of a `ConfigMap`.
pub(super) fn key_complaints(name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if name.len() > KEY_BYTES_MAX {
        wrong.push(format!("must be no more than {KEY_BYTES_MAX} characters"));
    }
    let grammatical =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if !grammatical {
        wrong.push(KEY_MESSAGE.to_owned());
    }
    match name {
        "." => wrong.push("must not be '.'".to_owned()),
        ".." => wrong.push("must not be '..'".to_owned()),
        _ if name.starts_with("..") => wrong.push("must not start with '..'".to_owned()),
        _ => {}
    }
    wrong
}

pub(super) fn check_update(kind: &str, new: &Value, old: &Value, errors: &mut Errors) {
    if kind == "Secret" {
        errors.immutable_as("type", "", &new["type"], &old["type"]);
    }
    if old["immutable"].as_bool() != Some(true) {
        return;
    }
    if new["immutable"].as_bool() != Some(true) {
        errors.forbidden("immutable", "field is immutable when `immutable` is set");
    }
    for field in ["data", "binaryData"] {
        // Upstream compares them as Go does: nothing in a map is not no map.
        if new[field] != old[field] {
            errors.forbidden(field, "field is immutable when `immutable` is set");
        }
    }
}
