//! `HorizontalPodAutoscaler`s, as `autoscaling/v2` has them.

use super::field::{Errors, child, index, list, text};
use crate::schema::quantity::Quantity;
use serde_json::Value;
use tinyplane_wire::meta::path_segment;

/// The kinds of metrics, and the fields that tell of them.
const SOURCES: [(&str, &str); 5] = [
    ("ContainerResource", "containerResource"),
    ("External", "external"),
    ("Object", "object"),
    ("Pods", "pods"),
    ("Resource", "resource"),
];

pub(super) fn check(autoscaler: &Value, errors: &mut Errors) {
    let spec = &autoscaler["spec"];
    let (least, most) = (spec["minReplicas"].as_i64(), spec["maxReplicas"].as_i64().unwrap_or_default());
    let shown = Value::from(most);
    if least.is_some_and(|least| least < 1) {
        errors.invalid("spec.minReplicas", &spec["minReplicas"], "must be greater than or equal to 1");
    }
    if most < 1 {
        errors.invalid("spec.maxReplicas", &shown, "must be greater than 0");
    }
    if least.is_some_and(|least| most < least) {
        errors.invalid("spec.maxReplicas", &shown, "must be greater than or equal to `minReplicas`");
    }
    check_reference(&spec["scaleTargetRef"], "spec.scaleTargetRef", errors);
    for (at, metric) in list(&spec["metrics"]).iter().enumerate() {
        check_metric(metric, &index("spec.metrics", at), errors);
    }
}

fn check_reference(reference: &Value, path: &str, errors: &mut Errors) {
    for field in ["kind", "name"] {
        let value = text(&reference[field]);
        if value.is_empty() {
            errors.required(child(path, field), "");
        } else {
            errors.grammar(&child(path, field), value, path_segment(value));
        }
    }
}

fn check_metric(metric: &Value, path: &str, errors: &mut Errors) {
    let kind = text(&metric["type"]);
    let known = SOURCES.map(|(kind, _)| kind);
    if kind.is_empty() {
        errors.required(child(path, "type"), "must specify a metric source type");
    }
    let Some((_, field)) = SOURCES.iter().find(|(known, _)| *known == kind) else {
        return errors.unsupported(child(path, "type"), kind, &known);
    };
    if metric[field].is_object() {
        check_source(&metric[field], field, &child(path, field), errors);
    } else {
        errors.required(child(path, field), "must populate information for the given metric source");
    }
    for (_, other) in SOURCES.iter().filter(|(_, other)| other != field && metric[*other].is_object()) {
        errors.forbidden(child(path, other), "must populate the given metric source only");
    }
}

fn check_source(source: &Value, field: &str, path: &str, errors: &mut Errors) {
    let (target, target_path) = (&source["target"], child(path, "target"));
    let has = |field: &str| !target[field].is_null();
    match field {
        "resource" | "containerResource" => {
            errors.needed(child(path, "name"), &source["name"], "must specify a resource name");
            if field == "containerResource" {
                errors.needed(child(path, "container"), &source["container"], "must specify a container");
            }
        }
        _ => {
            if field == "object" {
                check_reference(&source["describedObject"], &child(path, "describedObject"), errors);
            }
            errors.needed(child(path, "metric.name"), &source["metric"]["name"], "must specify a metric name");
        }
    }
    check_target(target, &target_path, errors);
    match field {
        "resource" | "containerResource" => {
            if !has("averageUtilization") && !has("averageValue") {
                let told = "must set either a target raw value or a target utilization";
                errors.required(child(&target_path, "averageUtilization"), told);
            }
            if has("averageUtilization") && has("averageValue") {
                let told = "may not set both a target raw value and a target utilization";
                errors.forbidden(child(&target_path, "averageValue"), told);
            }
        }
        "pods" if !has("averageValue") => {
            errors.required(child(&target_path, "averageValue"), "must specify a positive target averageValue");
        }
        "object" if !has("value") && !has("averageValue") => {
            errors.required(child(&target_path, "averageValue"), "must set either a target value or averageValue");
        }
        "external" if !has("value") && !has("averageValue") => {
            let told = "must set either a target value for metric or a per-pod target";
            errors.required(child(&target_path, "averageValue"), told);
        }
        "external" if has("value") && has("averageValue") => {
            let told = "may not set both a target value for metric and a per-pod target";
            errors.forbidden(child(&target_path, "value"), told);
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
        if amount.is_some_and(|amount| amount.nanos() <= 0) {
            errors.invalid(child(path, field), &target[field], "must be positive");
        }
    }
    if target["averageUtilization"].as_i64().is_some_and(|percent| percent < 1) {
        errors.invalid(child(path, "averageUtilization"), &target["averageUtilization"], "must be greater than 0");
    }
}
