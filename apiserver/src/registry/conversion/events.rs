//! Events: stored as the core group's, served as `events.k8s.io/v1` too.

use super::rename;
use serde_json::Value;

/// Core name, and the name in `events.k8s.io`.
const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// Who says that it happened.
const REPORTERS: [&str; 2] = ["reportingController", "reportingInstance"];

pub(super) fn from_core(event: &mut Value) {
    rename(event, NAMES);
    // Empty ones are said in the core group alone.
    if let Some(fields) = event.as_object_mut() {
        fields.retain(|name, value| !(REPORTERS.contains(&name.as_str()) && *value == ""));
    }
}

pub(super) fn to_core(event: &mut Value) {
    rename(event, NAMES.map(|(core, other)| (other, core)));
    for field in ["reportingComponent", "reportingInstance"] {
        if event[field].is_null() {
            event[field] = "".into();
        }
    }
}
