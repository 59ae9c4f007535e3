//! The `APIService` of each group version that the server itself serves.

use serde_json::{Value, json};

const GROUP: &str = "apiregistration.k8s.io";

/// Group, version, the priority of the group among groups, and of the version in its group.
const SERVED: [(&str, &str, u32, u32); 21] = [
    ("", "v1", 18_000, 1),
    ("apps", "v1", 17_800, 15),
    ("events.k8s.io", "v1", 17_750, 15),
    ("authentication.k8s.io", "v1", 17_700, 15),
    ("authorization.k8s.io", "v1", 17_600, 15),
    ("autoscaling", "v1", 17_500, 15),
    ("autoscaling", "v2", 17_500, 30),
    ("batch", "v1", 17_400, 15),
    ("certificates.k8s.io", "v1", 17_300, 15),
    ("networking.k8s.io", "v1", 17_200, 15),
    ("policy", "v1", 17_100, 15),
    ("rbac.authorization.k8s.io", "v1", 17_000, 15),
    ("storage.k8s.io", "v1", 16_800, 15),
    ("admissionregistration.k8s.io", "v1", 16_700, 15),
    ("apiextensions.k8s.io", "v1", 16_700, 15),
    ("scheduling.k8s.io", "v1", 16_600, 15),
    ("coordination.k8s.io", "v1", 16_500, 15),
    ("node.k8s.io", "v1", 16_300, 15),
    ("discovery.k8s.io", "v1", 16_200, 15),
    ("resource.k8s.io", "v1", 16_200, 21),
    ("flowcontrol.apiserver.k8s.io", "v1", 16_100, 21),
];

/// All of them, ready to be stored.
pub(super) fn objects(now: &str) -> impl Iterator<Item = (&'static str, &'static str, Value)> {
    SERVED.into_iter().map(move |(group, version, of_group, of_version)| {
        let mut spec = json!({"version": version, "groupPriorityMinimum": of_group, "versionPriority": of_version});
        if !group.is_empty() {
            spec["group"] = group.into();
        }
        let available = json!({
            "type": "Available", "status": "True", "lastTransitionTime": now, "reason": "Local",
            "message": "Local APIServices are always available",
        });
        let labels = json!({"kube-aggregator.kubernetes.io/automanaged": "onstart"});
        let object = json!({
            "metadata": {"name": format!("{version}.{group}"), "labels": labels},
            "spec": spec,
            "status": {"conditions": [available]},
        });
        (GROUP, "apiservices", object)
    })
}
