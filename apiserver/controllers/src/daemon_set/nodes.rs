//! Which nodes a DaemonSet's pod belongs on.

use crate::scheduler::{node_matches, tolerates};
use serde_json::{Value, json};

/// Taints that every pod of a DaemonSet puts up with, and the effect; the last one where it shares the node's network.
const TOLERATED: [(&str, &str); 7] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
    ("node.kubernetes.io/network-unavailable", "NoSchedule"),
];

/// Whether a node should get a pod, and whether one that runs there may stay.
#[derive(Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) should_run: bool,
    pub(super) may_stay: bool,
}

/// The tolerations of a DaemonSet's pods: the template's, and those that are added.
pub(super) fn tolerations(spec: &Value) -> Vec<Value> {
    let mut all = spec["tolerations"].as_array().cloned().unwrap_or_default();
    let shares_network = spec["hostNetwork"].as_bool() == Some(true);
    for (key, effect) in &TOLERATED[..if shares_network { 7 } else { 6 }] {
        let toleration = json!({"key": key, "operator": "Exists", "effect": effect});
        let same = |t: &Value| {
            t["key"] == *key && t["operator"] == "Exists" && t["effect"] == *effect && t["tolerationSeconds"].is_null()
        };
        if !all.iter().any(same) {
            all.push(toleration);
        }
    }
    all
}

/// Judges one node for a DaemonSet.
pub(super) fn verdict(set: &Value, node: &Value) -> Verdict {
    let spec = &set["spec"]["template"]["spec"];
    let name = node["metadata"]["name"].as_str().unwrap_or_default();
    let elsewhere = spec["nodeName"].as_str().is_some_and(|wanted| !wanted.is_empty() && wanted != name);
    if elsewhere || !node_matches(spec, node) {
        return Verdict { should_run: false, may_stay: false };
    }
    let tolerations = tolerations(spec);
    let repels = |effect: &str| {
        let mut taints = node["spec"]["taints"].as_array().into_iter().flatten();
        taints.any(|taint| taint["effect"] == effect && !tolerations.iter().any(|t| tolerates(t, taint)))
    };
    let (executes, schedules) = (repels("NoExecute"), repels("NoSchedule"));
    Verdict { should_run: !executes && !schedules, may_stay: !executes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(spec: &Value) -> Value {
        json!({"spec": {"template": {"spec": spec}}})
    }

    #[test]
    fn taints_keep_new_pods_away_and_only_some_drive_old_ones_out() {
        let node = |key: &str, effect: &str| json!({"metadata": {"name": "n"}, "spec": {"taints": [{"key": key, "effect": effect}]}});
        let plain = set(&json!({}));
        let told = |key: &str, effect: &str| {
            let verdict = verdict(&plain, &node(key, effect));
            (verdict.should_run, verdict.may_stay)
        };
        assert_eq!(told("gpu", "NoSchedule"), (false, true));
        assert_eq!(told("gpu", "NoExecute"), (false, false));
        assert_eq!(told("node.kubernetes.io/unschedulable", "NoSchedule"), (true, true));
        assert_eq!(told("node.kubernetes.io/unreachable", "NoExecute"), (true, true));
        assert_eq!(told("node.kubernetes.io/network-unavailable", "NoSchedule"), (false, true));
    }

    #[test]
    fn selectors_and_names_choose_nodes() {
        let node = json!({"metadata": {"name": "n", "labels": {"disk": "ssd"}}, "spec": {}});
        assert!(verdict(&set(&json!({"nodeSelector": {"disk": "ssd"}})), &node).should_run);
        assert!(!verdict(&set(&json!({"nodeSelector": {"disk": "hdd"}})), &node).may_stay);
        assert!(!verdict(&set(&json!({"nodeName": "m"})), &node).may_stay);
        assert_eq!(tolerations(&json!({"hostNetwork": true})).len(), 7);
    }
}
