//! What claims on devices and offers of devices share: names, taints, and lists that are bounded.

use super::field::{Errors, child, index, list, text};
use super::volume_sources::check_driver;
use serde_json::Value;
use std::collections::BTreeSet;
use tinyplane_wire::meta::{dns_label, dns_subdomain, label_value, qualified_name};

/// Longest identifier of an attribute, in bytes.
const IDENTIFIER_BYTES_MAX: usize = 32;
/// Longest name of a pool, in bytes.
const POOL_BYTES_MAX: usize = 253;
/// Most conditions of one kind for a device to be bound.
const CONDITIONS_MAX: usize = 4;
const EFFECTS: [&str; 3] = ["NoExecute", "NoSchedule", "None"];
const IDENTIFIER: &str = "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')";

/// Checks each of a list, unless there are too many; says whether it looked at them.
pub(super) fn each(
    all: &Value,
    most: usize,
    path: &str,
    errors: &mut Errors,
    mut check: impl FnMut(&Value, &str, &mut Errors),
) -> bool {
    let all = list(all);
    if all.len() > most {
        errors.too_many(path, all.len(), most);
        return false;
    }
    for (at, one) in all.iter().enumerate() {
        check(one, &index(path, at), errors);
    }
    true
}

/// Tells what stands more than once in a list, by a field, or as a whole where that has no name.
pub(super) fn unique(all: &Value, field: &str, path: &str, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (at, one) in list(all).iter().enumerate() {
        let name = text(if field.is_empty() { one } else { &one[field] });
        if !seen.insert(name) {
            errors.duplicate(index(path, at), &Value::from(name));
        }
    }
}

/// Which device it is.
pub(super) fn check_device_id(device: &Value, path: &str, errors: &mut Errors) {
    check_driver(text(&device["driver"]), &child(path, "driver"), errors);
    check_pool(text(&device["pool"]), &child(path, "pool"), errors);
    errors.grammar(child(path, "device"), text(&device["device"]), dns_label(text(&device["device"])));
}

pub(super) fn check_pool(name: &str, path: &str, errors: &mut Errors) {
    if name.is_empty() {
        return errors.required(path, "");
    }
    if name.len() > POOL_BYTES_MAX {
        errors.too_long(path, POOL_BYTES_MAX);
    }
    for part in name.split('/') {
        errors.grammar(path, part, dns_subdomain(part));
    }
}

pub(super) fn check_uuid(id: &str, path: &str, errors: &mut Errors) {
    let bare = match id.len() {
        45 => id.to_ascii_lowercase().strip_prefix("urn:uuid:").map(str::to_owned),
        38 => id.strip_prefix('{').and_then(|id| id.strip_suffix('}')).map(str::to_owned),
        32 | 36 => Some(id.to_owned()),
        length => {
            return errors.invalid_text(path, id, &format!("error validating uid: invalid UUID length: {length}"));
        }
    };
    let is_right = |id: &str| {
        let dashed = id.len() != 32;
        id.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 if dashed => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
    };
    if !bare.as_deref().is_some_and(is_right) {
        errors.invalid_text(path, id, "error validating uid: invalid UUID format");
    } else if id.len() != 36 || id.bytes().any(|b| b.is_ascii_uppercase()) {
        let told = "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters";
        errors.invalid_text(path, id, told);
    }
}

/// A name of an attribute, with its domain or without.
pub(super) fn check_name(name: &str, path: &str, errors: &mut Errors) {
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        [name] => check_identifier(name, path, errors),
        [domain, name] => {
            match *domain {
                "" => errors.invalid_text(path, "", "the domain must not be empty"),
                domain => check_driver(domain, path, errors),
            }
            match *name {
                "" => errors.invalid_text(path, "", "the name must not be empty"),
                name => check_identifier(name, path, errors),
            }
        }
        // Upstream looks at no name with more parts.
        _ => {}
    }
}

/// A name of an attribute that has to have its domain.
pub(super) fn check_attribute_name(name: &str, path: &str, errors: &mut Errors) {
    check_name(name, path, errors);
    if !name.contains('/') {
        let told = "a fully qualified name must be a domain and a name separated by a slash";
        errors.invalid_text(path, name, told);
    }
}

fn check_identifier(name: &str, path: &str, errors: &mut Errors) {
    if name.len() > IDENTIFIER_BYTES_MAX {
        errors.too_long(path, IDENTIFIER_BYTES_MAX);
    }
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !begins || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        errors.invalid_text(path, name, IDENTIFIER);
    }
}

pub(super) fn check_taint(taint: &Value, path: &str, errors: &mut Errors) {
    let (name, value) = (text(&taint["key"]), text(&taint["value"]));
    errors.grammar(child(path, "key"), name, qualified_name(name));
    errors.grammar(child(path, "value"), value, label_value(value));
    errors.one_of(child(path, "effect"), &taint["effect"], &EFFECTS);
}

pub(super) fn check_toleration(toleration: &Value, path: &str, errors: &mut Errors) {
    let (name, value) = (text(&toleration["key"]), text(&toleration["value"]));
    if !name.is_empty() {
        errors.grammar(child(path, "key"), name, qualified_name(name));
    }
    match text(&toleration["operator"]) {
        "Exists" if !value.is_empty() => {
            errors.invalid_text(child(path, "value"), value, "must be empty for operator `Exists`");
        }
        "Exists" => {}
        "Equal" => errors.grammar(child(path, "value"), value, label_value(value)),
        "" => errors.required(child(path, "operator"), ""),
        other => errors.unsupported(child(path, "operator"), other, &["Equal", "Exists"]),
    }
    if !text(&toleration["effect"]).is_empty() {
        errors.known(child(path, "effect"), &toleration["effect"], &EFFECTS);
    }
}

/// The conditions on which a device is bound, and those on which it is not.
pub(super) fn check_binding(device: &Value, path: &str, errors: &mut Errors) {
    const FIELDS: [&str; 2] = ["bindingConditions", "bindingFailureConditions"];
    for field in FIELDS {
        each(&device[field], CONDITIONS_MAX, &child(path, field), errors, |one, path, errors| {
            errors.grammar(path, text(one), qualified_name(text(one)));
        });
    }
    let [right, wrong] = FIELDS.map(|field| (&device[field], child(path, field)));
    unique(right.0, "", &right.1, errors);
    let rights: BTreeSet<&str> = list(right.0).iter().map(text).collect();
    let mut seen = BTreeSet::new();
    for (at, one) in list(wrong.0).iter().enumerate() {
        if !seen.insert(text(one)) {
            errors.duplicate(index(&wrong.1, at), one);
        }
        if rights.contains(text(one)) {
            let told = "bindingFailureConditions must not overlap with bindingConditions";
            errors.invalid(index(&wrong.1, at), one, told);
        }
    }
    for ([missing, other], (value, path)) in [(FIELDS, &right), ([FIELDS[1], FIELDS[0]], &wrong)] {
        if list(value).is_empty() && !list(&device[other]).is_empty() {
            errors.invalid(path, value, &format!("{missing} are required to use {other}"));
        }
    }
}
