//! Events, in both groups: those of `events.k8s.io` are looked at more closely.

use super::field::{Errors, text};
use super::metadata;
use crate::registry::behaviour::Grammar;
use serde_json::Value;
use tinyplane_wire::meta::{Meta, dns_subdomain, qualified_name};

/// Longest reason, action, and name of an instance.
const WORD_BYTES_MAX: usize = 128;
/// Longest note.
const NOTE_BYTES_MAX: usize = 1_024;
/// The group in which events are strict.
const STRICT: &str = "events.k8s.io";

/// What is wrong with an event that was sent to a group.
pub(super) fn check(group: &str, event: &Value, errors: &mut Errors) {
    check_namespaces(event, errors);
    if !event["eventTime"].is_null() {
        check_words(group, event, errors);
    }
    let namespace = Meta::of(event).namespace();
    errors.grammar("namespace", namespace, dns_subdomain(namespace));
}

/// An event is where its object is; those about objects without a namespace are in `default`, and newer ones may be in
/// `kube-system`.
fn check_namespaces(event: &Value, errors: &mut Errors) {
    let (own, object) = (Meta::of(event).namespace(), text(&event["involvedObject"]["namespace"]));
    let fits = match (event["eventTime"].is_null(), object) {
        (true, "") => matches!(own, "" | "default"),
        (true, object) => own == object,
        (false, "") => matches!(own, "default" | "kube-system"),
        (false, _) => true,
    };
    if !fits {
        errors.invalid_text("involvedObject.namespace", object, "does not match event.namespace");
    }
}

/// What newer events say of who reports them and why.
fn check_words(group: &str, event: &Value, errors: &mut Errors) {
    let reporter = if group == STRICT { "reportingController" } else { "reportingComponent" };
    let name = text(&event["reportingComponent"]);
    if name.is_empty() {
        errors.required(reporter, "");
    }
    errors.grammar(reporter, name, qualified_name(name));
    for field in ["reportingInstance", "action", "reason"] {
        errors.needed(field, &event[field], "");
        if text(&event[field]).len() > WORD_BYTES_MAX {
            errors.invalid_text(field, "", &format!("can have at most {WORD_BYTES_MAX} characters"));
        }
    }
    if text(&event["message"]).len() > NOTE_BYTES_MAX {
        errors.invalid_text("message", "", &format!("can have at most {NOTE_BYTES_MAX} characters"));
    }
}

/// What is wrong with a new event.
pub(super) fn check_create(group: &str, event: &Value, errors: &mut Errors) {
    if group != STRICT {
        return;
    }
    metadata::check_in_kind(event, Grammar::Subdomain, true, errors);
    check_series(event, errors);
    errors.needed("eventTime", &event["eventTime"], "");
    let kind = text(&event["type"]);
    if !["Normal", "Warning"].contains(&kind) {
        errors.invalid_text("type", "", &format!("has invalid value: {kind}"));
    }
    for field in ["firstTimestamp", "lastTimestamp"].into_iter().filter(|field| !event[*field].is_null()) {
        errors.invalid_text(field, "", "needs to be unset");
    }
    if event["count"].as_i64().unwrap_or_default() != 0 {
        errors.invalid_text("count", "", "needs to be unset");
    }
    if ["component", "host"].iter().any(|field| !text(&event["source"][*field]).is_empty()) {
        errors.invalid_text("source", "", "needs to be unset");
    }
}

fn check_series(event: &Value, errors: &mut Errors) {
    let series = &event["series"];
    if !series.is_object() {
        return;
    }
    if series["count"].as_i64().unwrap_or_default() < 2 {
        errors.invalid_text("series.count", "", "should be at least 2");
    }
    errors.needed("series.lastObservedTime", &series["lastObservedTime"], "");
}

/// The fields that stay, in upstream's order, which tells of the reason twice; the names that paths have for them, and
/// their types.
const FIXED: [(&str, &str, &str); 14] = [
    ("involvedObject", "involvedObject", "ObjectReference"),
    ("reason", "reason", ""),
    ("message", "message", ""),
    ("source", "source", "EventSource"),
    ("firstTimestamp", "firstTimestamp", "time"),
    ("lastTimestamp", "lastTimestamp", "time"),
    ("count", "count", "int"),
    ("reason", "reason", ""),
    ("type", "type", ""),
    ("eventTime", "eventTime", "time"),
    ("action", "action", ""),
    ("related", "related", "*ObjectReference"),
    ("reportingComponent", "reportingController", ""),
    ("reportingInstance", "reportingInstance", ""),
];

/// Of a strict event only the series changes.
pub(super) fn check_update(group: &str, new: &Value, old: &Value, errors: &mut Errors) {
    if group != STRICT {
        return;
    }
    metadata::check_change_in_kind(new, old, errors);
    if new["series"] != old["series"] {
        check_series(new, errors);
    }
    for (field, path, kind) in
        FIXED.into_iter().filter(|(field, ..)| ![new, old].iter().all(|event| unset(field, &event[*field])))
    {
        errors.immutable_as(path, kind, &new[field], &old[field]);
    }
}

/// A field of no value: whether it is written as such or left out differs between the two groups.
fn unset(field: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        // Other objects than this one are there in any case.
        Value::Object(fields) => field != "related" && fields.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(judge: impl FnOnce(&mut Errors)) -> Vec<String> {
        let mut errors = Errors::default();
        judge(&mut errors);
        errors.into_causes().into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
    }

    #[test]
    fn a_strict_event_says_when_who_and_why() {
        let mut event = json!({
            "metadata": {"name": "a", "namespace": "default"}, "involvedObject": {}, "eventTime": "2026-01-01T00:00:00.000000Z",
            "reportingComponent": "example.com/controller", "reportingInstance": "a", "action": "Do", "reason": "Because",
            "type": "Normal",
        });
        assert!(told(|errors| check(STRICT, &event, errors)).is_empty());
        assert!(told(|errors| check_create(STRICT, &event, errors)).is_empty());
        let old = event.clone();
        event["count"] = json!(1);
        event["series"] = json!({"count": 1});
        event["reason"] = json!("");
        assert_eq!(told(|errors| check(STRICT, &event, errors)), ["reason: Required value"]);
        assert_eq!(
            told(|errors| check_create(STRICT, &event, errors)),
            [
                "series.count: Invalid value: \"\": should be at least 2",
                "series.lastObservedTime: Required value",
                "count: Invalid value: \"\": needs to be unset"
            ]
        );
        assert!(told(|errors| check_create("", &event, errors)).is_empty());
        assert_eq!(told(|errors| check_update(STRICT, &event, &old, errors)).len(), 5);
        let (mut named, mut related) = (old.clone(), old.clone());
        named["metadata"]["name"] = json!("A");
        named["metadata"]["finalizers"] = json!(["x"]);
        named["eventTime"] = json!(null);
        let fields = |found: Vec<String>| -> Vec<String> {
            found.iter().map(|one| one.split(':').next().unwrap_or_default().to_owned()).collect()
        };
        assert_eq!(
            fields(told(|errors| check_create(STRICT, &named, errors))),
            ["metadata.name", "metadata.finalizers[0]", "eventTime"]
        );
        related["related"] = json!({});
        assert_eq!(fields(told(|errors| check_update(STRICT, &related, &old, errors))), ["related"]);
        assert!(told(|errors| check_update("", &event, &old, errors)).is_empty());
    }

    #[test]
    fn an_event_is_where_its_object_is() {
        let event =
            |own: &str, object: &str| json!({"metadata": {"namespace": own}, "involvedObject": {"namespace": object}});
        assert!(told(|errors| check("", &event("a", "a"), errors)).is_empty());
        assert!(told(|errors| check("", &event("default", ""), errors)).is_empty());
        assert_eq!(
            told(|errors| check("", &event("a", "b"), errors)),
            ["involvedObject.namespace: Invalid value: \"b\": does not match event.namespace"]
        );
    }
}
