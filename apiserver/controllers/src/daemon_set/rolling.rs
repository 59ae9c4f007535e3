//! How a DaemonSet goes over to a new template: node by node, within `maxUnavailable` or `maxSurge`.

use super::{DaemonSets, Scene, verdict};
use crate::pods::available_at;
use crate::quantity::share;
use crate::revisions::REVISION_LABEL;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tinyplane_wire::client::ClientError;
use tinyplane_wire::meta::Meta;

/// Pods that may be too many, and that may be missing: `maxSurge`, `maxUnavailable`.
fn limits(set: &Value, desired: usize) -> (usize, usize) {
    let rolling = &set["spec"]["updateStrategy"]["rollingUpdate"];
    let desired = i64::try_from(desired).unwrap_or(i64::MAX);
    let count = |value: &Value| usize::try_from(share(value, desired, true)).unwrap_or_default();
    let surge = count(&rolling["maxSurge"]);
    let unavailable = if rolling["maxUnavailable"].is_null() { 1 } else { count(&rolling["maxUnavailable"]) };
    // With neither, nothing could ever move.
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

fn surges(set: &Value) -> bool {
    let strategy = &set["spec"]["updateStrategy"];
    strategy["type"] != "OnDelete"
        && !matches!(&strategy["rollingUpdate"]["maxSurge"], Value::Null)
        && limits(set, 100).0 > 0
}

/// Whether a pod has been ready for long enough.
pub(super) fn is_available(set: &Value, pod: &Value, now: SystemTime) -> bool {
    let min_ready = Duration::from_secs(set["spec"]["minReadySeconds"].as_u64().unwrap_or_default());
    available_at(pod, min_ready).is_some_and(|at| at <= now)
}

/// True when a pod was made of the present template.
pub(super) fn is_updated(scene: &Scene<'_>, pod: &Value) -> bool {
    Meta::of(pod).label(REVISION_LABEL) == Some(&scene.hash)
}

/// The pods of one node that are too many. While a set surges, an old pod and its successor may stand side by side
/// until the successor is ready.
pub(super) fn surplus(scene: &Scene<'_>, mut serving: Vec<Arc<Value>>) -> Vec<Arc<Value>> {
    if serving.len() <= 1 {
        return Vec::new();
    }
    serving.sort_by_key(|pod| {
        let created = pod["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned();
        (crate::pods::node_of(pod).is_empty(), created, Meta::of(pod).name().to_owned())
    });
    if !surges(scene.set) {
        return serving.split_off(1);
    }
    let (mut new, mut old): (Vec<_>, Vec<_>) = serving.into_iter().partition(|pod| is_updated(scene, pod));
    let mut excess = if new.is_empty() { Vec::new() } else { new.split_off(1) };
    if new.first().is_some_and(|pod| crate::pods::is_ready(pod)) {
        excess.append(&mut old);
    } else if old.len() > 1 {
        excess.extend(old.split_off(1));
    }
    excess
}

impl DaemonSets {
    /// Deletes old pods, or makes new ones beside them, as far as is allowed now.
    pub(super) async fn roll(&self, scene: &Scene<'_>) -> Result<(), ClientError> {
        let meant: Vec<_> = scene.nodes.iter().filter(|node| verdict(scene.set, node).should_run).collect();
        let (surge, unavailable) = limits(scene.set, meant.len());
        let now = self.context.clock.now();
        let (mut missing, mut surging) = (0, 0);
        let (mut idle_old, mut serving_old, mut lacking) = (Vec::new(), Vec::new(), Vec::new());
        for node in meant {
            let name = Meta::of(node).name();
            let pods = scene.by_node.get(name).map(Vec::as_slice).unwrap_or_default();
            let live: Vec<_> = pods.iter().filter(|pod| !Meta::of(pod).is_deleting()).collect();
            let new = live.iter().find(|pod| is_updated(scene, pod));
            let old = live.iter().find(|pod| !is_updated(scene, pod));
            let available = |pod: &&&Arc<Value>| is_available(scene.set, pod, now);
            match (old, new) {
                (None, Some(new)) if available(&new) => {}
                (None, _) => missing += 1,
                (Some(_), Some(_)) => surging += 1,
                (Some(old), None) if available(&old) => {
                    serving_old.push(Arc::clone(old));
                    lacking.push(name);
                }
                (Some(old), None) => {
                    // What does not serve anyhow goes at once, and its node counts as missing already.
                    missing += 1;
                    idle_old.push(Arc::clone(old));
                }
            }
        }
        if surge > 0 {
            let pods: Vec<Value> =
                lacking.iter().take(surge.saturating_sub(surging)).map(|node| self.pod_for(scene, node)).collect();
            self.control.create_all(scene.key, scene.set, &pods).await?;
            return self.control.delete_all(scene.key, scene.set, &idle_old).await;
        }
        idle_old.extend(serving_old.into_iter().take(unavailable.saturating_sub(missing)));
        self.control.delete_all(scene.key, scene.set, &idle_old).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn shares_round_up_and_never_both_to_nothing() {
        let set = |rolling: Value| json!({"spec": {"updateStrategy": {"rollingUpdate": rolling}}});
        assert_eq!(limits(&set(json!({"maxUnavailable": "10%", "maxSurge": 0})), 15), (0, 2));
        assert_eq!(limits(&set(json!({"maxUnavailable": 0, "maxSurge": "50%"})), 3), (2, 0));
        assert_eq!(limits(&set(json!({"maxUnavailable": 0, "maxSurge": 0})), 3), (0, 1));
        assert_eq!(limits(&set(json!({})), 3), (0, 1));
    }

    #[test]
    fn while_surging_the_old_pod_goes_when_its_successor_is_ready() {
        let set = json!({"spec": {"updateStrategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}});
        let pod = |name: &str, hash: &str, ready: &str| {
            Arc::new(json!({
                "metadata": {"name": name, "labels": {REVISION_LABEL: hash}},
                "spec": {"nodeName": "n"},
                "status": {"conditions": [{"type": "Ready", "status": ready}]},
            }))
        };
        let scene =
            Scene { key: "", set: &set, nodes: vec![], by_node: super::super::ByNode::new(), hash: "new".into() };
        let names = |ready: &str| -> Vec<String> {
            let pods = vec![pod("a", "old", "True"), pod("b", "new", ready)];
            surplus(&scene, pods).iter().map(|pod| Meta::of(pod).name().to_owned()).collect()
        };
        assert_eq!(names("False"), [] as [&str; 0]);
        assert_eq!(names("True"), ["a"]);
    }
}
