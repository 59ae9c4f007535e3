//! The scopes of a quota: of which pods and claims it speaks.

use super::super::{is, items};
use crate::registry::admit::Question;
use serde_json::Value;

/// Whether a quota speaks of this object: all of its scopes match.
pub(super) fn match_all(question: &Question<'_>, quota: &Value, object: &Value) -> bool {
    let spec = &quota["spec"];
    let plain = items(&spec["scopes"]).all(|scope| matches(question, scope, "Exists", &Value::Null, object));
    plain
        && items(&spec["scopeSelector"]["matchExpressions"]).all(|one| {
            let operator = one["operator"].as_str().unwrap_or_default();
            matches(question, &one["scopeName"], operator, &one["values"], object)
        })
}

fn matches(question: &Question<'_>, scope: &Value, operator: &str, values: &Value, object: &Value) -> bool {
    let scope = scope.as_str().unwrap_or_default();
    let spec = &object["spec"];
    if is(question, "", "persistentvolumeclaims") {
        let class = spec["volumeAttributesClassName"].as_str();
        return scope == "VolumeAttributesClass" && named(class, operator, values);
    }
    if !is(question, "", "pods") {
        return false;
    }
    let best_effort = || object["status"]["qosClass"] == "BestEffort";
    let terminating = || spec["activeDeadlineSeconds"].as_i64().is_some_and(|seconds| seconds >= 0);
    match scope {
        "Terminating" => terminating(),
        "NotTerminating" => !terminating(),
        "BestEffort" => best_effort(),
        "NotBestEffort" => !best_effort(),
        "PriorityClass" => named(spec["priorityClassName"].as_str(), operator, values),
        "CrossNamespacePodAffinity" => reaches_other_namespaces(&spec["affinity"]),
        _ => false,
    }
}

/// A name against a selector of names.
fn named(name: Option<&str>, operator: &str, values: &Value) -> bool {
    let name = name.filter(|name| !name.is_empty());
    let listed = || name.is_some_and(|name| items(values).any(|value| value == name));
    match operator {
        "Exists" => name.is_some(),
        "DoesNotExist" => name.is_none(),
        "In" => listed(),
        "NotIn" => !listed(),
        _ => false,
    }
}

/// Whether a pod's affinity looks into namespaces that it names or selects.
fn reaches_other_namespaces(affinity: &Value) -> bool {
    ["podAffinity", "podAntiAffinity"].iter().any(|kind| {
        let rules = &affinity[kind];
        let required = items(&rules["requiredDuringSchedulingIgnoredDuringExecution"]);
        let preferred = items(&rules["preferredDuringSchedulingIgnoredDuringExecution"]);
        required
            .chain(preferred.map(|one| &one["podAffinityTerm"]))
            .any(|term| items(&term["namespaces"]).next().is_some() || !term["namespaceSelector"].is_null())
    })
}
