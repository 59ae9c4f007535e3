//! The status of a DaemonSet: on how many nodes it should run, does, and serves.

use super::rolling::{is_available, is_updated};
use super::{DaemonSets, Scene, verdict};
use crate::kinds;
use crate::pods::{available_at, is_ready};
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime};
use tinyplane_wire::client::ClientError;
use tinyplane_wire::meta::{Meta, map_mut};

impl DaemonSets {
    /// Writes the status where it changed; says when to look again because a pod becomes available by time alone.
    pub(super) async fn report(&self, scene: &Scene<'_>) -> Result<Option<Duration>, ClientError> {
        let now = self.context.clock.now();
        let mut status = scene.set["status"].clone();
        count(scene, now, map_mut(&mut status));
        if status != scene.set["status"] {
            let mut wished = scene.set.clone();
            wished["status"] = status;
            self.context.client.update(&kinds::daemon_sets(), Some("status"), &wished).await?;
        }
        let min_ready = Duration::from_secs(scene.set["spec"]["minReadySeconds"].as_u64().unwrap_or_default());
        let due = scene.by_node.values().flatten().filter_map(|pod| available_at(pod, min_ready));
        Ok(due.filter_map(|at| at.duration_since(now).ok()).filter(|wait| !wait.is_zero()).min())
    }
}

fn count(scene: &Scene<'_>, now: SystemTime, status: &mut Map<String, Value>) {
    let [mut desired, mut current, mut misplaced, mut ready, mut available, mut updated] = [0; 6];
    for node in &scene.nodes {
        let mut pods: Vec<_> = scene.by_node.get(Meta::of(node).name()).into_iter().flatten().collect();
        pods.sort_by_key(|pod| pod["metadata"]["creationTimestamp"].as_str().unwrap_or_default());
        if !verdict(scene.set, node).should_run {
            misplaced += i64::from(!pods.is_empty());
            continue;
        }
        desired += 1;
        if pods.is_empty() {
            continue;
        }
        current += 1;
        // While a set surges, the newest pod of the node that serves speaks for it.
        let serving = pods.iter().rev().find(|pod| is_ready(pod) && !Meta::of(pod).is_deleting());
        if let Some(pod) = serving {
            ready += 1;
            available += i64::from(is_available(scene.set, pod, now));
        }
        updated += i64::from(pods.iter().any(|pod| is_updated(scene, pod)));
    }
    status.insert("observedGeneration".into(), Meta::of(scene.set).generation().into());
    for (field, count) in [
        ("desiredNumberScheduled", desired),
        ("currentNumberScheduled", current),
        ("numberMisscheduled", misplaced),
        ("numberReady", ready),
    ] {
        status.insert(field.into(), count.into());
    }
    for (field, count) in [
        ("updatedNumberScheduled", updated),
        ("numberAvailable", available),
        ("numberUnavailable", desired - available),
    ] {
        match count {
            0 => drop(status.remove(field)),
            count => drop(status.insert(field.into(), json!(count))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon_set::ByNode;
    use std::sync::Arc;

    #[test]
    fn nodes_are_counted_and_pods_where_they_do_not_belong() {
        let set = json!({"metadata": {"generation": 3}, "spec": {"template": {"spec": {"nodeSelector": {"a": "b"}}}}});
        let node =
            |name: &str, label: &str| Arc::new(json!({"metadata": {"name": name, "labels": {"a": label}}, "spec": {}}));
        let pod = Arc::new(json!({
            "metadata": {"labels": {"controller-revision-hash": "h"}},
            "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
        }));
        let by_node: ByNode = ["one", "three"].map(|n| (n.to_owned(), vec![Arc::clone(&pod)])).into();
        let nodes = vec![node("one", "b"), node("two", "b"), node("three", "x")];
        let scene = Scene { key: "", set: &set, nodes, by_node, hash: "h".into() };
        let mut status = Map::new();
        count(&scene, tinyplane_wire::clock::parse("2026-01-01T00:01:00Z").unwrap(), &mut status);
        let wished = json!({
            "observedGeneration": 3, "desiredNumberScheduled": 2, "currentNumberScheduled": 1, "numberMisscheduled": 1,
            "numberReady": 1, "updatedNumberScheduled": 1, "numberAvailable": 1, "numberUnavailable": 1,
        });
        assert_eq!(Value::Object(status), wished);
    }
}
