//! Conditions of the form that many statuses share (`metav1.Condition`).

use super::field::{Errors, child, index, list, shown, text};
use serde_json::Value;
use std::collections::BTreeSet;
use tinyplane_wire::meta::qualified_name;

/// Longest reason, in bytes.
const REASON_BYTES_MAX: usize = 1_024;
/// Longest message, in bytes.
const MESSAGE_BYTES_MAX: usize = 32 << 10;
const REASON: &str = "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')";

pub(super) fn check(conditions: &Value, path: &str, errors: &mut Errors) {
    let mut types = BTreeSet::new();
    for (at, condition) in list(conditions).iter().enumerate() {
        let (path, kind) = (index(path, at), text(&condition["type"]));
        if !types.insert(kind) {
            errors.duplicate(child(&path, "type"), &condition["type"]);
        }
        check_condition(condition, kind, &path, errors);
    }
}

/// Conditions of which only the types are looked at.
pub(super) fn check_types(conditions: &Value, path: &str, errors: &mut Errors) {
    let mut types = BTreeSet::new();
    for (at, condition) in list(conditions).iter().enumerate() {
        let (path, kind) = (child(&index(path, at), "type"), text(&condition["type"]));
        if !types.insert(kind) {
            errors.duplicate_as(&path, &shown(&Value::from(kind)), "");
        }
        errors.needed(path, &condition["type"], "");
    }
}

fn check_condition(condition: &Value, kind: &str, path: &str, errors: &mut Errors) {
    let (status, reason) = (text(&condition["status"]), text(&condition["reason"]));
    errors.grammar(child(path, "type"), kind, qualified_name(kind));
    if !["False", "True", "Unknown"].contains(&status) {
        errors.unsupported(child(path, "status"), status, &["False", "True", "Unknown"]);
    }
    if condition["observedGeneration"].as_i64().is_some_and(|generation| generation < 0) {
        let told = "must be greater than or equal to zero";
        errors.invalid(child(path, "observedGeneration"), &condition["observedGeneration"], told);
    }
    errors.needed(child(path, "lastTransitionTime"), &condition["lastTransitionTime"], "");
    if reason.is_empty() {
        errors.required(child(path, "reason"), "");
    } else {
        if !is_reason(reason) {
            errors.invalid_text(child(path, "reason"), reason, REASON);
        }
        if reason.len() > REASON_BYTES_MAX {
            errors.too_long(child(path, "reason"), REASON_BYTES_MAX);
        }
    }
    if text(&condition["message"]).len() > MESSAGE_BYTES_MAX {
        errors.too_long(child(path, "message"), MESSAGE_BYTES_MAX);
    }
}

fn is_reason(reason: &str) -> bool {
    reason.starts_with(|c: char| c.is_ascii_alphabetic())
        && reason.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && reason.bytes().all(|b| b.is_ascii_alphanumeric() || b"_,:".contains(&b))
}
