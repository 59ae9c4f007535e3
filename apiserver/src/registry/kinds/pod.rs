//! Pods: their first status, their grace, and what fields select them by.

use super::{app_armor, label_keys, pod_table};
use crate::registry::behaviour::{Behaviour, Deletion, FieldLabel, Part, Scene};
use crate::registry::cells::items;
use crate::registry::warnings;
use crate::validation::quality;
use serde_json::{Value, json};
use smol_str::SmolStr;

/// How long a pod is given that does not say.
const GRACE_SECONDS: i64 = 30;

pub(super) static POD: Behaviour = Behaviour {
    status_resets: &[&["metadata", "deletionTimestamp"], &["metadata", "ownerReferences"]],
    fields: &[
        FieldLabel::Path("spec.nodeName"),
        FieldLabel::Path("spec.restartPolicy"),
        FieldLabel::Path("spec.schedulerName"),
        FieldLabel::Path("spec.serviceAccountName"),
        FieldLabel::Computed("spec.hostNetwork", |pod| flag(&pod["spec"]["hostNetwork"])),
        FieldLabel::Path("status.phase"),
        FieldLabel::Path("status.podIP"),
        FieldLabel::Computed("status.podIPs", |pod| {
            let addresses: Vec<&str> = items(&pod["status"]["podIPs"]).filter_map(|one| one["ip"].as_str()).collect();
            addresses.join(",").into()
        }),
        FieldLabel::Path("status.nominatedNodeName"),
    ],
    returns_deleted: true,
    deletion: Deletion::Graceful(grace_seconds),
    prepare,
    warnings: warnings::pod,
    columns: pod_table::COLUMNS,
    cells: pod_table::cells,
    ..Behaviour::WITH_STATUS
};

fn flag(value: &Value) -> SmolStr {
    if *value == true { "true".into() } else { "false".into() }
}

/// A pod that no node has, or that has ended, goes at once.
fn grace_seconds(pod: &Value, asked: Option<i64>) -> i64 {
    let spec = &pod["spec"];
    let unassigned = spec["nodeName"].as_str().unwrap_or_default().is_empty();
    if unassigned || matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")) {
        return 0;
    }
    let seconds = asked.or_else(|| spec["terminationGracePeriodSeconds"].as_i64()).unwrap_or(GRACE_SECONDS);
    // A negative period in a spec is one second: zero would skip the node's part.
    if seconds < 0 { 1 } else { seconds }
}

fn prepare(pod: &mut Value, old: Option<&Value>, scene: &Scene<'_>) {
    match old {
        None => {
            pod["status"] = json!({"phase": "Pending", "qosClass": quality::of(&pod["spec"])});
            if items(&pod["spec"]["schedulingGates"]).next().is_some() {
                pod["status"]["conditions"] = json!([{
                    "type": "PodScheduled", "status": "False", "lastProbeTime": null, "lastTransitionTime": scene.now,
                    "reason": "SchedulingGated", "message": "Scheduling is blocked due to non-empty scheduling gates",
                }]);
            }
            label_keys::merge(pod);
            app_armor::follow_annotations(pod, scene);
        }
        Some(old) if scene.part == Part::Status => {
            if pod["status"]["qosClass"].as_str().unwrap_or_default().is_empty() {
                pod["status"]["qosClass"] = old["status"]["qosClass"].clone();
            }
            pod["metadata"]["ownerReferences"] = old["metadata"]["ownerReferences"].clone();
            if pod["metadata"]["ownerReferences"].is_null() {
                tinyplane_wire::meta::metadata_mut(pod).remove("ownerReferences");
            }
        }
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_given_time_only_on_a_node() {
        let pod = |node: &str, phase: &str| json!({"spec": {"nodeName": node}, "status": {"phase": phase}});
        assert_eq!(grace_seconds(&pod("", "Pending"), None), 0);
        assert_eq!(grace_seconds(&pod("n", "Running"), None), 30);
        assert_eq!(grace_seconds(&pod("n", "Running"), Some(0)), 0);
        assert_eq!(grace_seconds(&pod("n", "Running"), Some(-1)), 1);
        assert_eq!(grace_seconds(&pod("n", "Failed"), Some(5)), 0);
    }
}
