//! What limits disruption and use: `PodDisruptionBudget`s, `LimitRange`s, `ResourceQuota`s.

use super::field::{Errors, child, index, key, list, text};
use super::selector;
use super::share::{at_most_whole, check_share};
use crate::schema::quantity::Quantity;
use serde_json::Value;
use std::collections::BTreeSet;
use tinyplane_wire::meta::qualified_name;

/// What a quota may limit without a group before its name, beside `count/…` and hugepages.
const QUOTA_RESOURCES: [&str; 19] = [
    "configmaps",
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
    "requests.storage",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];

pub(super) fn check_budget(budget: &Value, errors: &mut Errors) {
    let spec = &budget["spec"];
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        // Go's internal type has no names for JSON.
        let shown = format!(
            "{{\"MinAvailable\":{},\"Selector\":{},\"MaxUnavailable\":{},\"UnhealthyPodEvictionPolicy\":{}}}",
            spec["minAvailable"], spec["selector"], spec["maxUnavailable"], spec["unhealthyPodEvictionPolicy"]
        );
        errors.invalid_as("spec", &shown, "minAvailable and maxUnavailable cannot be both set");
    }
    for field in ["minAvailable", "maxUnavailable"] {
        check_share(&spec[field], &child("spec", field), errors);
        at_most_whole(&spec[field], &child("spec", field), errors);
    }
    selector::check(&spec["selector"], "spec.selector", errors);
    let policies = ["AlwaysAllow", "IfHealthyBudget"];
    errors.known("spec.unhealthyPodEvictionPolicy", &spec["unhealthyPodEvictionPolicy"], &policies);
}

fn amount(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => Quantity::parse(text).ok(),
        Value::Number(number) => Quantity::parse(&number.to_string()).ok(),
        _ => None,
    }
}

pub(super) fn check_limit_range(range: &Value, errors: &mut Errors) {
    let mut types = BTreeSet::new();
    for (at, limit) in list(&range["spec"]["limits"]).iter().enumerate() {
        let (path, kind) = (index("spec.limits", at), text(&limit["type"]));
        let complaints = qualified_name(kind);
        if !complaints.is_empty() {
            errors.grammar(&child(&path, "type"), kind, complaints);
        } else if !kind.contains('/') && !["Pod", "Container", "PersistentVolumeClaim"].contains(&kind) {
            errors.invalid_text(child(&path, "type"), kind, "must be a standard limit type or fully qualified");
        }
        if !types.insert(kind) {
            errors.duplicate(child(&path, "type"), &limit["type"]);
        }
        check_limit(limit, kind, &path, errors);
    }
}

fn check_limit(limit: &Value, kind: &str, path: &str, errors: &mut Errors) {
    let (low, high) = (&limit["min"], &limit["max"]);
    let (default, request) = (&limit["default"], &limit["defaultRequest"]);
    if kind == "Pod" {
        for field in ["default", "defaultRequest"].into_iter().filter(|field| !limit[field].is_null()) {
            errors.forbidden(child(path, field), "may not be specified when `type` is 'Pod'");
        }
    }
    if kind == "PersistentVolumeClaim" && low["storage"].is_null() && high["storage"].is_null() {
        let told = "either minimum or maximum storage value is required, but neither was provided";
        errors.required(child(path, "limits"), told);
    }
    let fields = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];
    let names: BTreeSet<&String> =
        fields.iter().flat_map(|field| limit[*field].as_object()).flat_map(serde_json::Map::keys).collect();
    for name in names {
        // The field that is told of, what is too great, and above what; each with the word for it.
        let rules = [
            ("min", (low, "min value"), (high, "max value")),
            ("defaultRequest", (low, "min value"), (request, "default request value")),
            ("defaultRequest", (request, "default request value"), (high, "max value")),
            ("defaultRequest", (request, "default request value"), (default, "default limit value")),
            ("default", (low, "min value"), (default, "default value")),
            ("default", (default, "default value"), (high, "max value")),
        ];
        for (field, (small, small_word), (great, great_word)) in rules {
            let Some((small, great)) = amount(&small[name]).zip(amount(&great[name])) else { continue };
            if small > great {
                let told = format!("{small_word} {small} is greater than {great_word} {great}");
                errors.invalid(key(&child(path, field), name), &limit[field][name], &told);
            }
        }
        let ratio = &limit["maxLimitRequestRatio"][name];
        if let Some(least) = amount(ratio).filter(|ratio| ratio.milli() < 1000) {
            let told = format!("ratio {least} is less than 1");
            errors.invalid(key(&child(path, "maxLimitRequestRatio"), name), ratio, &told);
        }
    }
}

pub(super) fn check_quota(quota: &Value, errors: &mut Errors) {
    for (name, value) in quota["spec"]["hard"].as_object().into_iter().flatten() {
        let path = key("spec.hard", name);
        let complaints = qualified_name(name);
        let known = QUOTA_RESOURCES.contains(&name.as_str())
            || name.contains('/')
            || name.starts_with("hugepages-")
            || name.starts_with("requests.hugepages-");
        if !complaints.is_empty() {
            errors.grammar(&path, name, complaints);
        } else if !known {
            errors.invalid_text(&path, name, "must be a standard resource for quota");
        }
        let Some(amount) = amount(value) else { continue };
        if amount.nanos() < 0 {
            errors.invalid(&path, value, "must be greater than or equal to 0");
        }
        let whole =
            ["configmaps", "persistentvolumeclaims", "pods", "replicationcontrollers", "resourcequotas", "secrets"];
        if (whole.contains(&name.as_str()) || name.starts_with("services") || name.starts_with("count/"))
            && amount.milli() % 1000 != 0
        {
            errors.invalid(&path, value, "must be an integer");
        }
    }
}

pub(super) fn check_quota_update(new: &Value, old: &Value, errors: &mut Errors) {
    let scopes = |quota: &Value| {
        list(&quota["spec"]["scopes"]).iter().map(|scope| text(scope).to_owned()).collect::<BTreeSet<_>>()
    };
    if scopes(new) != scopes(old) {
        errors.invalid("spec.scopes", &new["spec"]["scopes"], "field is immutable");
    }
}
