//! What the loops ask of pods: phases, conditions, which to delete first, how to make one from a template.

use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tinyplane_wire::clock;
use tinyplane_wire::meta::{Meta, controller_reference};

/// True unless the pod has ended or is on its way out.
pub(crate) fn is_active(pod: &Value) -> bool {
    !has_ended(pod) && !Meta::of(pod).is_deleting()
}

/// One condition of a pod or a node.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|c| c["type"] == kind)
}

/// True when the pod's condition `Ready` is true.
pub(crate) fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready").is_some_and(|c| c["status"] == "True")
}

/// When a pod that is ready becomes available, `minReadySeconds` after; `None` while it is not ready.
pub(crate) fn available_at(pod: &Value, min_ready: Duration) -> Option<SystemTime> {
    let since = condition(pod, "Ready").filter(|c| c["status"] == "True")?["lastTransitionTime"].as_str()?;
    Some(clock::parse(since)? + min_ready)
}

/// True when the pod has run to its end.
pub(crate) fn has_ended(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// Annotation by which a person says which pods should go first.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Sorts the pods that go first to the front: unassigned, pending, not ready, cheap by annotation, with more siblings
/// on the node, ready later, restarted more often, younger.
pub(crate) fn sort_for_deletion(pods: &mut [Arc<Value>]) {
    let mut on_node: HashMap<String, i64> = HashMap::new();
    for pod in pods.iter() {
        *on_node.entry(node_of(pod).to_owned()).or_default() += 1;
    }
    let rank = |pod: &Value| {
        let phase = match pod["status"]["phase"].as_str() {
            Some("Running") => 2,
            Some("Unknown") => 1,
            _ => 0,
        };
        let cost: i32 = Meta::of(pod).annotation(DELETION_COST).and_then(|c| c.parse().ok()).unwrap_or_default();
        let ready = condition(pod, "Ready").filter(|c| c["status"] == "True");
        let since = ready.and_then(|c| c["lastTransitionTime"].as_str()).unwrap_or_default().to_owned();
        let created = pod["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned();
        let siblings = on_node.get(node_of(pod)).copied().unwrap_or_default();
        let (placed, restarts) = (!node_of(pod).is_empty(), max_restarts(pod));
        (placed, phase, ready.is_some(), cost, -siblings, Reverse(since), -restarts, Reverse(created))
    };
    pods.sort_by_cached_key(|pod| rank(pod));
}

fn max_restarts(pod: &Value) -> i64 {
    let statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    statuses.filter_map(|c| c["restartCount"].as_i64()).max().unwrap_or_default()
}

/// The node that a pod is bound to, or nothing.
pub(crate) fn node_of(pod: &Value) -> &str {
    pod["spec"]["nodeName"].as_str().unwrap_or_default()
}

/// A pod made from a template, for an owner that controls it.
pub(crate) fn from_template(owner: &Value, template: &Value) -> Value {
    let meta = Meta::of(owner);
    let mut metadata = json!({
        "generateName": format!("{}-", meta.name()),
        "namespace": meta.namespace(),
        "ownerReferences": [controller_reference(owner)],
    });
    for field in ["labels", "annotations", "finalizers"] {
        let value = &template["metadata"][field];
        if !value.is_null() {
            metadata[field] = value.clone();
        }
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}

/// Sets a condition of a status, with the time of its last transition; says whether anything changed.
pub(crate) fn set_condition(conditions: &mut Vec<Value>, mut fresh: Value, now: &str) -> bool {
    let kind = fresh["type"].clone();
    match conditions.iter_mut().find(|c| c["type"] == kind) {
        Some(old) => {
            let moved = old["status"] != fresh["status"];
            if !moved && old["reason"] == fresh["reason"] && old["message"] == fresh["message"] {
                return false;
            }
            fresh["lastTransitionTime"] = if moved { now.into() } else { old["lastTransitionTime"].clone() };
            *old = fresh;
        }
        None => {
            fresh["lastTransitionTime"] = now.into();
            conditions.push(fresh);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_serves_least_is_deleted_first() {
        let ready = json!([{"type": "Ready", "status": "True"}]);
        let pod = |name: &str, node: bool, phase: &str, conditions: &Value| {
            let mut pod =
                json!({"metadata": {"name": name}, "spec": {}, "status": {"phase": phase, "conditions": conditions}});
            if node {
                pod["spec"]["nodeName"] = "n".into();
            }
            Arc::new(pod)
        };
        let mut pods = vec![
            pod("serves", true, "Running", &ready),
            pod("starts", true, "Pending", &json!([])),
            pod("waits", false, "Pending", &json!([])),
            pod("ails", true, "Running", &json!([])),
        ];
        sort_for_deletion(&mut pods);
        let order: Vec<&str> = pods.iter().map(|p| Meta::of(p).name()).collect();
        assert_eq!(order, ["waits", "starts", "ails", "serves"]);
    }

    #[test]
    fn a_condition_keeps_its_time_until_it_turns() {
        let mut conditions = vec![json!({"type": "Ready", "status": "True", "lastTransitionTime": "old"})];
        assert!(set_condition(&mut conditions, json!({"type": "Ready", "status": "True", "reason": "x"}), "new"));
        assert_eq!(conditions[0]["lastTransitionTime"], "old");
        assert!(set_condition(&mut conditions, json!({"type": "Ready", "status": "False", "reason": "x"}), "new"));
        assert_eq!(conditions[0]["lastTransitionTime"], "new");
        assert!(!set_condition(&mut conditions, json!({"type": "Ready", "status": "False", "reason": "x"}), "newer"));
    }
}
