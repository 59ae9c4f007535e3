//! Marks nodes that fell silent, taints those that can't serve, and evicts what does not tolerate it.

use crate::Config;
use crate::context::Context;
use crate::kinds;
use crate::pods::{condition, is_active, set_condition};
use crate::scheduler::tolerates;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tinyplane_wire::client::{Cache, Change, ClientError, Patch};
use tinyplane_wire::clock;
use tinyplane_wire::meta::{Meta, map_mut};
use tokio::sync::Notify;

const LEASES: &str = "kube-node-lease";
const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
const COMPONENT: &str = "node-controller";
/// Conditions that become Unknown with a node that fell silent.
const CONDITIONS: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

pub(crate) fn start(context: &Arc<Context>, config: &Config) {
    let (nodes, leases, pods) =
        (context.cache(&kinds::nodes()), context.cache(&kinds::leases()), context.cache(&kinds::pods()));
    let changed = Arc::new(Notify::new());
    let wake = Arc::clone(&changed);
    nodes.on_change(move |change| match change {
        Change::Applied(node, Some(before)) if node["spec"] == before["spec"] && ready(node) == ready(before) => {}
        _ => wake.notify_one(),
    });
    let (period, grace) = (config.node_monitor_period, config.node_monitor_grace_period);
    let mut watcher = Watcher { context: Arc::clone(context), nodes, leases, pods, grace, heard: HashMap::new() };
    let clock = context.clock.clone();
    context.spawn(async move {
        watcher.nodes.synced().await;
        watcher.leases.synced().await;
        watcher.pods.synced().await;
        loop {
            watcher.look().await;
            tokio::select! {
                () = clock.sleep(period) => {}
                () = changed.notified() => {}
            }
        }
    });
}

fn ready(node: &Value) -> &str {
    condition(node, "Ready").and_then(|c| c["status"].as_str()).unwrap_or("Unknown")
}

struct Watcher {
    context: Arc<Context>,
    nodes: Arc<Cache>,
    leases: Arc<Cache>,
    pods: Arc<Cache>,
    grace: Duration,
    /// The last sign of life of each node, and when it was first seen here: clocks of others are not believed.
    heard: HashMap<String, (String, Instant)>,
}

impl Watcher {
    async fn look(&mut self) {
        let nodes = self.nodes.all();
        self.heard.retain(|name, _| nodes.iter().any(|node| Meta::of(node).name() == name));
        for node in nodes {
            let name = Meta::of(&node).name();
            if !self.heard.contains_key(name) {
                let told = format!("Node {name} event: Registered Node {name} in Controller");
                self.context.recorder.normal(COMPONENT, &node, "RegisteredNode", told);
            }
            if let Err(error) = self.look_at(&node).await {
                tracing::debug!(node = Meta::of(&node).name(), %error, "a node could not be marked");
            }
        }
    }

    async fn look_at(&mut self, node: &Value) -> Result<(), ClientError> {
        let name = Meta::of(node).name();
        let silent = self.is_silent(node, name);
        if silent && ready(node) != "Unknown" {
            self.mark_silent(node).await?;
        }
        let state = if silent { "Unknown" } else { ready(node) };
        self.taint(node, state).await?;
        if state != "True" {
            self.doubt_pods(name).await?;
        }
        self.evict(node).await
    }

    fn is_silent(&mut self, node: &Value, name: &str) -> bool {
        let lease = self.leases.get(&format!("{LEASES}/{name}"));
        let renewed = lease.as_ref().and_then(|l| l["spec"]["renewTime"].as_str()).unwrap_or_default();
        let reported = condition(node, "Ready").and_then(|c| c["lastHeartbeatTime"].as_str()).unwrap_or_default();
        let sign = format!("{renewed} {reported}");
        match self.heard.get(name) {
            Some((known, since)) if *known == sign => since.elapsed() > self.grace,
            _ => {
                self.heard.insert(name.to_owned(), (sign, Instant::now()));
                false
            }
        }
    }

    async fn mark_silent(&self, node: &Value) -> Result<(), ClientError> {
        let now = self.context.clock.timestamp();
        let mut conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
        for kind in CONDITIONS {
            let (reason, message) = match condition(node, kind) {
                Some(_) => ("NodeStatusUnknown", "Kubelet stopped posting node status."),
                None => ("NodeStatusNeverUpdated", "Kubelet never posted node status."),
            };
            let beat = condition(node, kind).map_or(Value::Null, |c| c["lastHeartbeatTime"].clone());
            let fresh = json!({"type": kind, "status": "Unknown", "reason": reason, "message": message, "lastHeartbeatTime": beat});
            set_condition(&mut conditions, fresh, &now);
        }
        let mut wished = node.clone();
        wished["status"]["conditions"] = conditions.into();
        self.context.client.update(&kinds::nodes(), Some("status"), &wished).await?;
        let told = format!("Node {} status is now: NodeNotReady", Meta::of(node).name());
        self.context.recorder.normal(COMPONENT, node, "NodeNotReady", told);
        Ok(())
    }

    /// Makes the taints of a node say what its conditions and its `unschedulable` say.
    async fn taint(&self, node: &Value, state: &str) -> Result<(), ClientError> {
        let now = self.context.clock.timestamp();
        let old = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
        let cordoned = node["spec"]["unschedulable"].as_bool() == Some(true);
        let wished = [
            (NOT_READY, "NoSchedule", state == "False"),
            (NOT_READY, "NoExecute", state == "False"),
            (UNREACHABLE, "NoSchedule", state == "Unknown"),
            (UNREACHABLE, "NoExecute", state == "Unknown"),
            (UNSCHEDULABLE, "NoSchedule", cordoned),
        ];
        let mut taints = old.clone();
        for (key, effect, wish) in wished {
            let is = |taint: &Value| taint["key"] == key && taint["effect"] == effect;
            match (wish, taints.iter().position(is)) {
                (true, None) => taints.push(json!({"key": key, "effect": effect, "timeAdded": now})),
                (false, Some(at)) => drop(taints.remove(at)),
                _ => {}
            }
        }
        if taints == old {
            return Ok(());
        }
        let mut changed = node.clone();
        let spec = map_mut(&mut changed["spec"]);
        match taints.is_empty() {
            true => drop(spec.remove("taints")),
            false => drop(spec.insert("taints".into(), taints.into())),
        }
        self.context.client.update(&kinds::nodes(), None, &changed).await.map(drop)
    }

    /// The pods of a node that is not ready are not ready either, whatever their last word was.
    async fn doubt_pods(&self, node: &str) -> Result<(), ClientError> {
        let now = self.context.clock.timestamp();
        for pod in self.pods.all() {
            let doubtful = pod["spec"]["nodeName"] == node
                && is_active(&pod)
                && condition(&pod, "Ready").is_some_and(|c| c["status"] == "True");
            if doubtful {
                let patch = json!({"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "NodeNotReady", "lastTransitionTime": now}]}});
                let meta = Meta::of(&pod);
                let patch = (Patch::Strategic, &patch);
                self.context
                    .client
                    .patch(&kinds::pods(), Some(meta.namespace()), meta.name(), Some("status"), patch)
                    .await?;
            }
        }
        Ok(())
    }

    /// Deletes the pods that do not tolerate a `NoExecute` taint of their node, or no longer.
    async fn evict(&self, node: &Value) -> Result<(), ClientError> {
        let taints: Vec<&Value> =
            node["spec"]["taints"].as_array().into_iter().flatten().filter(|t| t["effect"] == "NoExecute").collect();
        if taints.is_empty() {
            return Ok(());
        }
        for pod in self.pods.all().iter().filter(|pod| pod["spec"]["nodeName"] == Meta::of(node).name()) {
            if Meta::of(pod).is_deleting() || taints.iter().all(|taint| self.still_tolerates(pod, taint)) {
                continue;
            }
            let told = format!("Marking for deletion Pod {}", Meta::of(pod).key());
            self.context.recorder.normal("taint-eviction-controller", pod, "TaintManagerEviction", told);
            let meta = Meta::of(pod);
            match self.context.client.delete(&kinds::pods(), Some(meta.namespace()), meta.name(), &Value::Null).await {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn still_tolerates(&self, pod: &Value, taint: &Value) -> bool {
        let since = taint["timeAdded"].as_str().and_then(clock::parse);
        let tolerations = pod["spec"]["tolerations"].as_array().into_iter().flatten();
        tolerations.filter(|toleration| tolerates(toleration, taint)).any(|toleration| {
            match (toleration["tolerationSeconds"].as_i64(), since) {
                (Some(seconds), Some(since)) => {
                    let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
                    since.checked_add(seconds).is_none_or(|end| self.context.clock.now() < end)
                }
                _ => true,
            }
        })
    }
}
