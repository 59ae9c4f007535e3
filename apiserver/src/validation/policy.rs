//! What limits disruption and use: `PodDisruptionBudget`s and `LimitRange`s.

use super::field::{Errors, Path, child, index, key, list, text};
use super::share::{at_most_whole, check_share};
use super::{resources, selector};
use crate::schema::quantity::Quantity;
use serde_json::Value;
use std::collections::BTreeSet;
use tinyplane_wire::meta::qualified_name;

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
    selector::check(&spec["selector"], &Path::root("spec.selector"), errors);
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
            errors.grammar(child(&path, "type"), kind, complaints);
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
    let mut names = BTreeSet::new();
    let mut named = |field: &str, errors: &mut Errors| {
        for name in limit[field].as_object().into_iter().flat_map(|amounts| amounts.keys()) {
            check_name(kind, name, &key(&child(path, field), name), errors);
            names.insert(name.clone());
        }
    };
    named("max", errors);
    named("min", errors);
    for field in ["default", "defaultRequest"] {
        if kind != "Pod" {
            named(field, errors);
        } else if limit[field].as_object().is_some_and(|amounts| !amounts.is_empty()) {
            errors.forbidden(child(path, field), "may not be specified when `type` is 'Pod'");
        }
    }
    if kind == "PersistentVolumeClaim" && limit["min"]["storage"].is_null() && limit["max"]["storage"].is_null() {
        let told = "either minimum or maximum storage value is required, but neither was provided";
        errors.required(child(path, "limits"), told);
    }
    named("maxLimitRequestRatio", errors);
    for name in &names {
        check_resource(limit, kind, name, path, errors);
    }
}

/// What upstream calls standard resources, beside hugepages.
fn is_standard(name: &str) -> bool {
    const OTHERS: [&str; 5] = ["cpu", "memory", "ephemeral-storage", "storage", "pods"];
    const COUNTED: [&str; 7] = [
        "configmaps",
        "persistentvolumeclaims",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "services.loadbalancers",
        "services.nodeports",
    ];
    let of_pods = name
        .strip_prefix("requests.")
        .or_else(|| name.strip_prefix("limits."))
        .is_some_and(|rest| ["cpu", "memory", "ephemeral-storage"].contains(&rest) || name == "requests.storage");
    let pages = name.starts_with("hugepages-") || name.starts_with("requests.hugepages-");
    OTHERS.contains(&name) || COUNTED.contains(&name) || name == "services" || of_pods || pages
}

fn check_name(kind: &str, name: &str, path: &str, errors: &mut Errors) {
    if ["Pod", "Container"].contains(&kind) {
        return resources::check_name(name, &Path::root(path), errors);
    }
    let complaints = qualified_name(name);
    if complaints.is_empty() && !name.contains('/') && !is_standard(name) {
        errors.invalid_text(path, name, "must be a standard resource type or fully qualified");
    }
    errors.grammar(path, name, complaints);
}

/// How the limits of one thing go together.
fn check_resource(limit: &Value, kind: &str, name: &str, path: &str, errors: &mut Errors) {
    let nothing = Value::Null;
    let of = |field: &str| if kind == "Pod" { &nothing } else { &limit[field] };
    let (low, high, default, request) = (&limit["min"], &limit["max"], of("default"), of("defaultRequest"));
    // The field that is told of, with which value; what is too great, and above what; each with the word for it.
    let rules = [
        ("min", low, (low, "min value"), (high, "max value")),
        ("defaultRequest", request, (low, "min value"), (request, "default request value")),
        ("defaultRequest", request, (request, "default request value"), (high, "max value")),
        ("defaultRequest", request, (request, "default request value"), (default, "default limit value")),
        ("default", low, (low, "min value"), (default, "default value")),
        ("default", high, (default, "default value"), (high, "max value")),
    ];
    for (field, shown, (small, small_word), (great, great_word)) in rules {
        let Some((small, great)) = amount(&small[name]).zip(amount(&great[name])) else { continue };
        if small > great {
            let told = format!("{small_word} {small} is greater than {great_word} {great}");
            errors.invalid(key(&child(path, field), name), &shown[name], &told);
        }
    }
    check_ratio(limit, name, &key(&child(path, "maxLimitRequestRatio"), name), errors);
    let native = !name.contains('/') || name.contains("kubernetes.io/");
    let exact = !native || name.starts_with("hugepages-");
    if let Some((default, wished)) = amount(&default[name]).zip(amount(&request[name])).filter(|_| exact)
        && default != wished
    {
        let told = format!("default value {default} must equal to defaultRequest value {wished} in {name}");
        errors.invalid(key(&child(path, "defaultRequest"), name), &request[name], &told);
    }
}

/// How much greater a limit may be than its request: no less than one, and no more than the bounds allow.
fn check_ratio(limit: &Value, name: &str, path: &str, errors: &mut Errors) {
    let value = &limit["maxLimitRequestRatio"][name];
    let Some(ratio) = amount(value) else { return };
    if ratio.milli() < 1_000 {
        errors.invalid(path, value, &format!("ratio {ratio} is less than 1"));
    }
    let Some((low, high)) = amount(&limit["min"][name]).zip(amount(&limit["max"][name])) else { return };
    #[expect(clippy::cast_precision_loss, reason = "upstream compares the amounts as floats, too")]
    let (bound, wished) = (high.milli() as f64 / low.milli() as f64, ratio.milli() as f64 / 1_000.0);
    if wished > bound {
        errors.invalid(path, value, &format!("ratio {ratio} is greater than max/min = {bound:.6}"));
    }
}
