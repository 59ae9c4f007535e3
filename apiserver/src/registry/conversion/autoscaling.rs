//! Horizontal pod autoscalers: stored as `autoscaling/v2`. What `v1` has no fields for travels in annotations.

use serde_json::{Map, Value, json};
use tinyplane_wire::meta::metadata_mut;

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

fn is_cpu_utilization(metric: &Value) -> bool {
    metric["type"] == "Resource" && metric["resource"]["name"] == "cpu"
}

fn annotate(object: &mut Value, name: &str, value: &Value) {
    let annotations = metadata_mut(object).entry("annotations").or_insert_with(|| json!({}));
    annotations[name] = Value::from(value.to_string());
}

fn take(map: &mut Value, field: &str) -> Value {
    map.as_object_mut().and_then(|map| map.remove(field)).unwrap_or_default()
}

fn take_annotation(object: &mut Value, name: &str) -> Value {
    let Some(annotations) = metadata_mut(object).get_mut("annotations") else { return Value::Null };
    let text = take(annotations, name);
    if annotations.as_object().is_some_and(Map::is_empty) {
        metadata_mut(object).remove("annotations");
    }
    text.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

pub(super) fn to_v1(object: &mut Value) {
    let metrics = take(&mut object["spec"], "metrics");
    let mut others = Vec::new();
    for metric in metrics.as_array().into_iter().flatten() {
        let target = &metric["resource"]["target"]["averageUtilization"];
        if is_cpu_utilization(metric) && target.is_number() {
            object["spec"]["targetCPUUtilizationPercentage"] = target.clone();
        } else {
            others.push(metric.clone());
        }
    }
    if !others.is_empty() {
        annotate(object, METRICS, &Value::from(others));
    }
    let behavior = take(&mut object["spec"], "behavior");
    if !behavior.is_null() {
        annotate(object, BEHAVIOR, &behavior);
    }
    if object["status"].is_object() {
        // There it is said in any case.
        if object["status"]["currentReplicas"].is_null() {
            object["status"]["currentReplicas"] = 0.into();
        }
        let current = take(&mut object["status"], "currentMetrics");
        for metric in current.as_array().into_iter().flatten().filter(|metric| is_cpu_utilization(metric)) {
            let used = &metric["resource"]["current"]["averageUtilization"];
            if used.is_number() {
                object["status"]["currentCPUUtilizationPercentage"] = used.clone();
            }
        }
        if current.as_array().is_some_and(|list| !list.is_empty()) {
            annotate(object, CURRENT_METRICS, &current);
        }
        let conditions = take(&mut object["status"], "conditions");
        if conditions.as_array().is_some_and(|list| !list.is_empty()) {
            annotate(object, CONDITIONS, &conditions);
        }
    }
}

pub(super) fn to_v2(object: &mut Value) {
    let mut metrics = match take_annotation(object, METRICS) {
        Value::Array(metrics) => metrics,
        _ => Vec::new(),
    };
    let cpu = take(&mut object["spec"], "targetCPUUtilizationPercentage");
    if cpu.is_number() {
        let target = json!({"type": "Utilization", "averageUtilization": cpu});
        metrics.push(json!({"type": "Resource", "resource": {"name": "cpu", "target": target}}));
    }
    if !metrics.is_empty() {
        object["spec"]["metrics"] = Value::from(metrics);
    }
    let behavior = take_annotation(object, BEHAVIOR);
    if !behavior.is_null() {
        object["spec"]["behavior"] = behavior;
    }
    for (annotation, field) in [(CURRENT_METRICS, "currentMetrics"), (CONDITIONS, "conditions")] {
        let value = take_annotation(object, annotation);
        if !value.is_null() && object["status"].is_object() {
            object["status"][field] = value;
        }
    }
    if object["status"].is_object() {
        if object["status"]["currentReplicas"] == 0 {
            take(&mut object["status"], "currentReplicas");
        }
        take(&mut object["status"], "currentCPUUtilizationPercentage");
    }
}
