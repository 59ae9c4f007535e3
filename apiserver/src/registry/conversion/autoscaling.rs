//! Horizontal pod autoscalers: stored as `autoscaling/v2`. What `v1` has no fields for travels in annotations.

use crate::schema::annotated::{self, Form};
use serde_json::{Value, json};
use tinyplane_wire::meta::metadata_mut;

/// How much of the processor is to be used where nothing is said.
const CPU_PERCENT: u64 = 80;

fn is_cpu(metric: &Value) -> bool {
    metric["type"] == "Resource" && metric["resource"]["name"] == "cpu"
}

/// The target that `v1` has a field for.
fn cpu_target(metric: &Value) -> Option<&Value> {
    Some(&metric["resource"]["target"]["averageUtilization"]).filter(|target| is_cpu(metric) && target.is_number())
}

fn take(map: &mut Value, field: &str) -> Value {
    map.as_object_mut().and_then(|map| map.remove(field)).unwrap_or_default()
}

fn annotate(object: &mut Value, name: &str, form: &Form, value: &Value) {
    let annotations = metadata_mut(object).entry("annotations").or_insert_with(|| json!({}));
    if annotations.is_null() {
        *annotations = json!({});
    }
    annotations[name] = annotated::write(form, value).into();
}

fn annotate_list(object: &mut Value, name: &str, form: &Form, list: &Value) {
    if list.as_array().is_some_and(|list| !list.is_empty()) {
        annotate(object, name, form, list);
    }
}

/// What an annotation says; `None` where it is not there, or says nothing that can be read.
fn annotation(object: &Value, name: &str, form: &Form) -> Option<Value> {
    annotated::read(form, object["metadata"]["annotations"][name].as_str()?)
}

pub(super) fn to_v1(object: &mut Value) {
    annotated::drop_annotations(metadata_mut(object));
    let metrics = take(&mut object["spec"], "metrics");
    let mut others = Vec::new();
    for metric in metrics.as_array().into_iter().flatten() {
        match cpu_target(metric) {
            None => others.push(metric.clone()),
            // Of several the first is told, and the others are lost.
            Some(target) if object["spec"]["targetCPUUtilizationPercentage"].is_null() => {
                object["spec"]["targetCPUUtilizationPercentage"] = target.clone();
            }
            Some(_) => {}
        }
    }
    annotate_list(object, annotated::METRICS_ANNOTATION, &annotated::METRICS, &Value::from(others));
    let behavior = take(&mut object["spec"], "behavior");
    if !behavior.is_null() {
        annotate(object, annotated::BEHAVIOR_ANNOTATION, &annotated::BEHAVIOR, &behavior);
    }
    if object["status"].is_object() {
        // There it is said in any case.
        if object["status"]["currentReplicas"].is_null() {
            object["status"]["currentReplicas"] = 0.into();
        }
        let current = take(&mut object["status"], "currentMetrics");
        for metric in current.as_array().into_iter().flatten().filter(|metric| is_cpu(metric)) {
            let used = &metric["resource"]["current"]["averageUtilization"];
            if used.is_number() {
                object["status"]["currentCPUUtilizationPercentage"] = used.clone();
            }
        }
        annotate_list(object, annotated::STATUSES_ANNOTATION, &annotated::STATUSES, &current);
        let conditions = take(&mut object["status"], "conditions");
        annotate_list(object, annotated::CONDITIONS_ANNOTATION, &annotated::CONDITIONS, &conditions);
    }
}

/// Null in a field that is not there: upstream writes it of some.
fn null_where_absent(map: &mut Value, field: &str) {
    if let Value::Object(map) = map {
        map.entry(field).or_insert(Value::Null);
    }
}

pub(super) fn to_v2(object: &mut Value) {
    let mut metrics = match annotation(object, annotated::METRICS_ANNOTATION, &annotated::METRICS) {
        Some(Value::Array(metrics)) => metrics,
        _ => Vec::new(),
    };
    metrics.iter_mut().for_each(name_target);
    let cpu = take(&mut object["spec"], "targetCPUUtilizationPercentage");
    // What names no measure scales by what of the processor is used.
    let cpu = if metrics.is_empty() && !cpu.is_number() { CPU_PERCENT.into() } else { cpu };
    if cpu.is_number() {
        let target = json!({"type": "Utilization", "averageUtilization": cpu});
        metrics.push(json!({"type": "Resource", "resource": {"name": "cpu", "target": target}}));
    }
    object["spec"]["metrics"] = Value::from(metrics);
    let behavior = annotation(object, annotated::BEHAVIOR_ANNOTATION, &annotated::BEHAVIOR);
    if let Some(behavior) = behavior.filter(|rules| rules.as_object().is_some_and(|rules| !rules.is_empty())) {
        object["spec"]["behavior"] = behavior;
    }
    if object["status"].is_object() {
        status_to_v2(object);
    }
    annotated::drop_annotations(metadata_mut(object));
}

fn status_to_v2(object: &mut Value) {
    if object["status"]["currentReplicas"] == 0 {
        take(&mut object["status"], "currentReplicas");
    }
    let used = take(&mut object["status"], "currentCPUUtilizationPercentage");
    if used.is_number() {
        let resource = json!({"name": "cpu", "current": {"averageUtilization": used}});
        object["status"]["currentMetrics"] = json!([{"type": "Resource", "resource": resource}]);
    }
    for (name, form, field) in [
        (annotated::STATUSES_ANNOTATION, &annotated::STATUSES, "currentMetrics"),
        (annotated::CONDITIONS_ANNOTATION, &annotated::CONDITIONS, "conditions"),
    ] {
        if let Some(said) = annotation(object, name, form) {
            object["status"][field] = if said.is_null() { json!([]) } else { said };
        }
    }
    let status = &mut object["status"];
    null_where_absent(status, "currentMetrics");
    if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
        conditions.iter_mut().for_each(|condition| null_where_absent(condition, "lastTransitionTime"));
    }
}

/// Says of a metric's target what it is measured by, which follows in `v1` from the fields that are set.
fn name_target(metric: &mut Value) {
    for source in ["object", "pods", "resource", "containerResource", "external"] {
        if !metric[source].is_object() {
            take(metric, source);
            continue;
        }
        let target = &mut metric[source]["target"];
        let (is_average, is_share) = (!target["averageValue"].is_null(), !target["averageUtilization"].is_null());
        let kind = match source {
            "object" if !is_average => "Value",
            "external" if !target["value"].is_null() => "Value",
            "resource" | "containerResource" if is_share => "Utilization",
            _ => "AverageValue",
        };
        // An object's value is always said in `v1`, and zero where there was none.
        if source == "object" && is_average && target["value"] == "0" {
            take(target, "value");
        }
        target["type"] = kind.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v1(annotations: &Value) -> Value {
        json!({"metadata": {"annotations": annotations}, "spec": {"maxReplicas": 3}})
    }

    #[test]
    fn metrics_of_the_first_version_get_targets() {
        let metrics = r#"[{"type":"Resource","resource":{"name":"memory","targetAverageUtilization":5}},{"type":"Pods","pods":{"metricName":"x","targetAverageValue":"5"}},{"type":"Object","object":{"target":{"kind":"K","name":"n"},"metricName":"x","targetValue":"0","averageValue":"3"}}]"#;
        let before = v1(&json!({annotated::METRICS_ANNOTATION: metrics}));
        let mut object = before.clone();
        to_v2(&mut object);
        let memory = json!({"name": "memory", "target": {"type": "Utilization", "averageUtilization": 5}});
        let pods = json!({"metric": {"name": "x"}, "target": {"type": "AverageValue", "averageValue": "5"}});
        let other = json!({
            "describedObject": {"kind": "K", "name": "n"}, "metric": {"name": "x"},
            "target": {"type": "AverageValue", "averageValue": "3"},
        });
        assert_eq!(
            object,
            json!({"metadata": {}, "spec": {"maxReplicas": 3, "metrics": [
                {"type": "Resource", "resource": memory}, {"type": "Pods", "pods": pods}, {"type": "Object", "object": other},
            ]}})
        );
        to_v1(&mut object);
        assert_eq!(object, before);
    }

    #[test]
    fn annotations_that_cannot_be_read_are_dropped() {
        let mut object = v1(&json!({
            annotated::METRICS_ANNOTATION: "nope", annotated::BEHAVIOR_ANNOTATION: "{}",
            annotated::CONDITIONS_ANNOTATION: "{", "a": "b",
        }));
        object["status"] = json!({"currentReplicas": 2});
        to_v2(&mut object);
        let kept = json!({
            "metadata": {"annotations": {"a": "b"}}, "status": {"currentReplicas": 2, "currentMetrics": null},
            "spec": {"maxReplicas": 3, "metrics": [
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}},
            ]},
        });
        assert_eq!(object, kept);
    }

    #[test]
    fn the_first_target_of_the_processor_is_told() {
        let cpu = |percent: i64| json!({"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": percent}}});
        let mut object = json!({"metadata": {}, "spec": {"metrics": [cpu(5), cpu(6)]}});
        to_v1(&mut object);
        assert_eq!(object, json!({"metadata": {}, "spec": {"targetCPUUtilizationPercentage": 5}}));
    }

    #[test]
    fn what_is_used_of_the_processor_is_a_metric() {
        let mut object = v1(&json!({}));
        object["status"] = json!({"currentReplicas": 2, "currentCPUUtilizationPercentage": 4});
        to_v2(&mut object);
        let current = json!([{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 4}}}]);
        assert_eq!(object["status"], json!({"currentReplicas": 2, "currentMetrics": current}));
    }
}
