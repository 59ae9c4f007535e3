//! `HorizontalPodAutoscaler`s, as `autoscaling/v2` has them.

use super::field::{Errors, Path, child, index, list, text};
use super::resources;
use crate::schema::quantity::Quantity;
use serde_json::Value;
use tinyplane_wire::meta::{dns_label, path_segment};

/// The kinds of metrics, and the fields that tell of them, in the order in which upstream looks at them.
const SOURCES: [(&str, &str); 5] = [
    ("Object", "object"),
    ("External", "external"),
    ("Pods", "pods"),
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
];
/// Longest time over which a policy counts.
const PERIOD_SECONDS_MAX: i64 = 1_800;
/// Longest time for which an earlier wish is remembered.
const WINDOW_SECONDS_MAX: i64 = 3_600;

pub(super) fn check(autoscaler: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = &autoscaler["spec"];
    let (least, most) = (spec["minReplicas"].as_i64(), spec["maxReplicas"].as_i64().unwrap_or_default());
    let shown = Value::from(most);
    let bound = i64::from(old.is_none_or(|old| old["spec"]["minReplicas"] != 0));
    if least.is_some_and(|least| least < bound) {
        let told = format!("must be greater than or equal to {bound}");
        errors.invalid("spec.minReplicas", &spec["minReplicas"], &told);
    }
    match most {
        0 => errors.required("spec.maxReplicas", "must be set and greater than 0"),
        ..0 => errors.invalid("spec.maxReplicas", &shown, "must be greater than or equal to 1"),
        _ => {}
    }
    if least.is_some_and(|least| most < least) {
        errors.invalid("spec.maxReplicas", &shown, "must be greater than or equal to `minReplicas`");
    }
    let target = &spec["scaleTargetRef"];
    let stays = old.is_some_and(|old| {
        let before = &old["spec"]["scaleTargetRef"];
        ["apiVersion", "kind"].iter().all(|field| text(&target[*field]) == text(&before[*field]))
    });
    let groups = match text(&target["kind"]) {
        _ if stays => Groups::Any,
        "ReplicationController" => Groups::OrNone,
        _ => Groups::Some,
    };
    check_reference(target, groups, "spec.scaleTargetRef", errors);
    let described = |metric: &Value| {
        metric["type"] == "Object"
            && metric["object"].is_object()
            && version_complaint(text(&metric["object"]["describedObject"]["apiVersion"]), Groups::OrNone).is_some()
    };
    let odd_before = old.is_some_and(|old| list(&old["spec"]["metrics"]).iter().any(described));
    let groups = if odd_before { Groups::Any } else { Groups::OrNone };
    for (at, metric) in list(&spec["metrics"]).iter().enumerate() {
        check_metric(metric, groups, &index("spec.metrics", at), errors);
    }
    let counts = |metric: &Value| metric["type"] == "Object" || metric["type"] == "External";
    if least == Some(0) && !list(&spec["metrics"]).iter().any(counts) {
        let told = "must specify at least one Object or External metric to support scaling to zero replicas";
        errors.forbidden("spec.metrics", told);
    }
    for side in ["scaleUp", "scaleDown"] {
        check_rules(&spec["behavior"][side], &child("spec.behavior", side), errors);
    }
}

/// Which groups a reference may name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Groups {
    /// One, in a version that can be read.
    Some,
    /// One, or the core group, whose name is empty.
    OrNone,
    /// Whatever is said, because it was said before.
    Any,
}

fn version_complaint(version: &str, groups: Groups) -> Option<String> {
    match version.matches('/').count() {
        _ if groups == Groups::Any => None,
        0 | 1 if groups == Groups::OrNone => None,
        0 => Some("apiVersion must specify API group".to_owned()),
        1 if version.starts_with('/') => Some("apiVersion must specify API group".to_owned()),
        1 => None,
        _ => Some(format!("unexpected GroupVersion string: {version}")),
    }
}

fn check_reference(reference: &Value, groups: Groups, path: &str, errors: &mut Errors) {
    for field in ["kind", "name"] {
        errors.path_segment(child(path, field), &reference[field]);
    }
    let version = text(&reference["apiVersion"]);
    if let Some(told) = version_complaint(version, groups) {
        errors.invalid_text(child(path, "apiVersion"), version, &told);
    }
}

/// How fast replicas come or go.
fn check_rules(rules: &Value, path: &str, errors: &mut Errors) {
    if !rules.is_object() {
        return;
    }
    let (window, window_path) = (&rules["stabilizationWindowSeconds"], child(path, "stabilizationWindowSeconds"));
    match window.as_i64() {
        Some(..0) => errors.invalid(window_path, window, "must be greater than or equal to zero"),
        Some(seconds) if seconds > WINDOW_SECONDS_MAX => {
            errors.invalid(window_path, window, &format!("must be less than or equal to {WINDOW_SECONDS_MAX}"));
        }
        _ => {}
    }
    errors.known(child(path, "selectPolicy"), &rules["selectPolicy"], &["Disabled", "Max", "Min"]);
    let policies = child(path, "policies");
    if list(&rules["policies"]).is_empty() {
        errors.required(&policies, "must specify at least one Policy");
    }
    for (at, policy) in list(&rules["policies"]).iter().enumerate() {
        check_policy(policy, &index(&policies, at), errors);
    }
    let tolerance = rules["tolerance"].as_str().and_then(|text| Quantity::parse(text).ok());
    if tolerance.is_some_and(|tolerance| tolerance.signum() < 0) {
        errors.invalid(child(path, "tolerance"), &rules["tolerance"], "must be greater than or equal to 0");
    }
}

fn check_policy(policy: &Value, path: &str, errors: &mut Errors) {
    let kinds = ["Percent", "Pods"];
    if !kinds.contains(&text(&policy["type"])) {
        errors.unsupported(child(path, "type"), text(&policy["type"]), &kinds);
    }
    for field in ["value", "periodSeconds"] {
        let number = policy[field].as_i64().unwrap_or_default();
        if number <= 0 {
            errors.invalid(child(path, field), &Value::from(number), "must be greater than zero");
        }
    }
    if policy["periodSeconds"].as_i64().is_some_and(|seconds| seconds > PERIOD_SECONDS_MAX) {
        let told = format!("must be less than or equal to {PERIOD_SECONDS_MAX}");
        errors.invalid(child(path, "periodSeconds"), &policy["periodSeconds"], &told);
    }
}

fn check_metric(metric: &Value, groups: Groups, path: &str, errors: &mut Errors) {
    let kind = text(&metric["type"]);
    let mut known = SOURCES.map(|(kind, _)| kind);
    known.sort_unstable();
    let expected = SOURCES.iter().find(|(known, _)| *known == kind).map(|(_, field)| *field);
    if kind.is_empty() {
        errors.required(child(path, "type"), "must specify a metric source type");
    }
    if expected.is_none() {
        errors.unsupported(child(path, "type"), kind, &known);
    }
    let given: Vec<&str> = SOURCES.iter().map(|(_, field)| *field).filter(|field| metric[*field].is_object()).collect();
    if let Some(first) = given.first() {
        check_source(&metric[*first], first, groups, &child(path, first), errors);
    }
    match expected {
        None => errors.unsupported(child(path, "type"), kind, &known),
        Some(field) if !metric[field].is_object() => {
            errors.required(child(path, field), "must populate information for the given metric source");
        }
        Some(_) => {}
    }
    for other in given.iter().filter(|field| given.len() > 1 && Some(**field) != expected) {
        errors.forbidden(child(path, other), "must populate the given metric source only");
    }
}

fn check_source(source: &Value, field: &str, groups: Groups, path: &str, errors: &mut Errors) {
    let (target, target_path) = (&source["target"], child(path, "target"));
    match field {
        "resource" => errors.needed(child(path, "name"), &source["name"], "must specify a resource name"),
        "containerResource" => check_container(source, path, errors),
        _ => {
            if field == "object" {
                check_reference(&source["describedObject"], groups, &child(path, "describedObject"), errors);
            }
            let (name, at) = (text(&source["metric"]["name"]), child(path, "metric.name"));
            if name.is_empty() {
                errors.required(at, "must specify a metric name");
            } else {
                errors.grammar(&at, name, path_segment(name));
            }
        }
    }
    check_target(target, &target_path, errors);
    check_amounts(target, field, &target_path, errors);
}

/// What a container uses of something.
fn check_container(source: &Value, path: &str, errors: &mut Errors) {
    let (name, container) = (text(&source["name"]), text(&source["container"]));
    if name.is_empty() {
        errors.required(child(path, "name"), "must specify a resource name");
    } else {
        resources::check_name(name, &Path::root(path).child("name"), errors);
    }
    if container.is_empty() {
        errors.required(child(path, "container"), "must specify a container");
    } else {
        errors.grammar(child(path, "container"), container, dns_label(container));
    }
}

/// Which of its amounts a target of this kind of metric has to say, and which it may not.
fn check_amounts(target: &Value, field: &str, path: &str, errors: &mut Errors) {
    let has = |field: &str| !target[field].is_null();
    match field {
        "resource" | "containerResource" => {
            if !has("averageUtilization") && !has("averageValue") {
                let told = "must set either a target raw value or a target utilization";
                errors.required(child(path, "averageUtilization"), told);
            }
            if has("averageUtilization") && has("averageValue") {
                let told = "may not set both a target raw value and a target utilization";
                errors.forbidden(child(path, "averageValue"), told);
            }
        }
        "pods" if !has("averageValue") => {
            errors.required(child(path, "averageValue"), "must specify a positive target averageValue");
        }
        "object" if !has("value") && !has("averageValue") => {
            errors.required(child(path, "averageValue"), "must set either a target value or averageValue");
        }
        "external" if !has("value") && !has("averageValue") => {
            let told = "must set either a target value for metric or a per-pod target";
            errors.required(child(path, "averageValue"), told);
        }
        "external" if has("value") && has("averageValue") => {
            let told = "may not set both a target value for metric and a per-pod target";
            errors.forbidden(child(path, "value"), told);
        }
        _ => {}
    }
}

fn check_target(target: &Value, path: &str, errors: &mut Errors) {
    let kind = text(&target["type"]);
    if kind.is_empty() {
        errors.required(child(path, "type"), "must specify a metric target type");
    }
    if !["Utilization", "Value", "AverageValue"].contains(&kind) {
        errors.invalid_text(child(path, "type"), kind, "must be either Utilization, Value, or AverageValue");
    }
    for field in ["value", "averageValue"] {
        let amount = target[field].as_str().and_then(|text| Quantity::parse(text).ok());
        if amount.is_some_and(|amount| amount.signum() <= 0) {
            errors.invalid(child(path, field), &target[field], "must be positive");
        }
    }
    if target["averageUtilization"].as_i64().is_some_and(|percent| percent < 1) {
        errors.invalid(child(path, "averageUtilization"), &target["averageUtilization"], "must be greater than 0");
    }
}
