//! Collects pods that nobody else will: of nodes that are gone, of which too many have ended, on their way from nowhere.

use crate::context::Context;
use crate::kinds;
use crate::pods::{has_ended, node_of};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tinyplane_wire::client::{Cache, ClientError, Patch};
use tinyplane_wire::meta::Meta;

/// How often pods are looked at.
const PERIOD: Duration = Duration::from_secs(20);
/// How long a node is missed before its pods are collected.
const QUARANTINE: Duration = Duration::from_secs(40);
/// Taint of a node that a person declares dead.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// Starts to collect; beyond `ended_max` pods that have ended, the oldest are deleted.
pub(crate) fn start(context: &Arc<Context>, ended_max: usize) {
    let (nodes, pods) = (context.cache(&kinds::nodes()), context.cache(&kinds::pods()));
    let mut collector = Collector { context: Arc::clone(context), nodes, pods, ended_max, missed: HashMap::new() };
    let clock = context.clock.clone();
    context.spawn(async move {
        collector.nodes.synced().await;
        collector.pods.synced().await;
        loop {
            clock.sleep(PERIOD).await;
            collector.collect().await;
        }
    });
}

struct Collector {
    context: Arc<Context>,
    nodes: Arc<Cache>,
    pods: Arc<Cache>,
    ended_max: usize,
    /// Nodes that pods name and that are not there, since when.
    missed: HashMap<String, Instant>,
}

impl Collector {
    async fn collect(&mut self) {
        let pods = self.pods.all();
        for pod in surplus(&pods, self.ended_max) {
            self.end(&pod, None).await;
        }
        let gone = self.gone_nodes(&pods).await;
        for pod in &pods {
            let meta = Meta::of(pod);
            let dead = || {
                self.nodes.get(node_of(pod)).is_some_and(|node| {
                    node["spec"]["taints"].as_array().into_iter().flatten().any(|t| t["key"] == OUT_OF_SERVICE)
                        && crate::pods::condition(&node, "Ready").is_none_or(|c| c["status"] != "True")
                })
            };
            if gone.iter().any(|node| node == node_of(pod)) {
                self.end(pod, Some("PodGC: node no longer exists")).await;
            } else if meta.is_deleting() && (node_of(pod).is_empty() || dead()) {
                self.end(pod, None).await;
            }
        }
    }

    /// Nodes that have been missed for long enough, and that the server does not know either.
    async fn gone_nodes(&mut self, pods: &[Arc<Value>]) -> Vec<String> {
        let missing = |pod: &&Arc<Value>| !node_of(pod).is_empty() && self.nodes.get(node_of(pod)).is_none();
        let missing: Vec<String> = pods.iter().filter(missing).map(|pod| node_of(pod).to_owned()).collect();
        self.missed.retain(|node, _| missing.contains(node));
        for node in missing {
            self.missed.entry(node).or_insert_with(Instant::now);
        }
        let mut gone = Vec::new();
        for node in self.missed.iter().filter(|(_, since)| since.elapsed() >= QUARANTINE).map(|(node, _)| node) {
            let asked = self.context.client.get(&kinds::nodes(), None, node).await;
            if asked.is_err_and(|error| error.is_not_found()) {
                gone.push(node.clone());
            }
        }
        gone
    }

    /// Deletes a pod at once, after writing into its status that it has failed where it had not ended.
    async fn end(&self, pod: &Value, why: Option<&str>) {
        if let Err(error) = self.try_end(pod, why).await {
            tracing::debug!(pod = Meta::of(pod).key(), %error, "a pod could not be collected");
        }
    }

    async fn try_end(&self, pod: &Value, why: Option<&str>) -> Result<(), ClientError> {
        let (meta, client) = (Meta::of(pod), &self.context.client);
        if !has_ended(pod) {
            let mut status = json!({"phase": "Failed"});
            if let Some(why) = why {
                status["conditions"] = json!([{
                    "type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC", "message": why,
                    "lastTransitionTime": self.context.clock.timestamp(),
                }]);
            }
            let patch = json!({"metadata": {"uid": meta.uid()}, "status": status});
            let patch = (Patch::Strategic, &patch);
            client.patch(&kinds::pods(), Some(meta.namespace()), meta.name(), Some("status"), patch).await?;
        }
        let options = json!({
            "kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0, "preconditions": {"uid": meta.uid()},
        });
        match client.delete(&kinds::pods(), Some(meta.namespace()), meta.name(), &options).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }
}

/// The pods that ended longest ago, beyond a number; none where that is 0.
fn surplus(pods: &[Arc<Value>], most: usize) -> Vec<Arc<Value>> {
    let mut ended: Vec<Arc<Value>> = pods.iter().filter(|pod| has_ended(pod)).cloned().collect();
    if most == 0 || ended.len() <= most {
        return Vec::new();
    }
    let evicted = |pod: &Value| pod["status"]["reason"] == "Evicted";
    ended.sort_by_key(|pod| {
        let created = pod["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned();
        (!evicted(pod), created, Meta::of(pod).name().to_owned())
    });
    ended.truncate(ended.len() - most);
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_ended_pods_go_first() {
        let pod = |name: &str, phase: &str, created: &str| {
            Arc::new(json!({"metadata": {"name": name, "creationTimestamp": created}, "status": {"phase": phase}}))
        };
        let pods =
            [pod("c", "Failed", "3"), pod("a", "Succeeded", "1"), pod("r", "Running", "0"), pod("b", "Failed", "2")];
        let names =
            |most| -> Vec<String> { surplus(&pods, most).iter().map(|pod| Meta::of(pod).name().to_owned()).collect() };
        assert_eq!((names(1), names(3), names(0)), (vec!["a".to_owned(), "b".to_owned()], vec![], vec![]));
    }
}
