//! The scheduler: gives each pod that has no node the one that fits it best.

mod affinity;
mod fit;
mod ledger;
mod score;
mod spread;

use crate::context::Context;
use crate::control_loop::{After, Reconcile, run};
use crate::kinds;
use crate::pods::{condition, is_active, node_of};
use fit::Misfit;
pub(crate) use fit::{node_matches, pod_amounts, tolerates};
use ledger::Ledger;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tinyplane_wire::client::{Cache, Change, ClientError, Patch, WorkQueue};
use tinyplane_wire::meta::Meta;

/// The scheduler that pods mean when they name none.
const NAME: &str = "default-scheduler";
/// A pod that fits nowhere is looked at again after this long, if no node changes before.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Starts to schedule, and says which caches that waits for.
pub(crate) fn start(context: &Arc<Context>) -> Vec<Arc<Cache>> {
    let queue = Arc::new(WorkQueue::new());
    let (pods, nodes) = (context.cache(&kinds::pods()), context.cache(&kinds::nodes()));
    let ledger = Arc::new(Ledger::default());
    let (waiting, kept) = (Arc::clone(&queue), Arc::clone(&ledger));
    pods.on_change(move |change| {
        kept.observe(change);
        match change {
            Change::Applied(pod, _) if wants_a_node(pod) => waiting.add(Meta::of(pod).key()),
            _ => {}
        }
    });
    retry_when_room_is_made(&pods, &nodes, &queue);
    let lonely = retry_when_others_come(&pods, &queue);
    let namespaces = context.cache(&kinds::namespaces());
    let reads = vec![Arc::clone(&pods), Arc::clone(&nodes), Arc::clone(&namespaces)];
    let scheduler = Scheduler { context: Arc::clone(context), pods, nodes, namespaces, ledger, lonely };
    run(context, &queue, reads.clone(), scheduler);
    reads
}

/// Nodes that change, and pods that end, may make room for those that fitted nowhere.
fn retry_when_room_is_made(pods: &Arc<Cache>, nodes: &Arc<Cache>, queue: &Arc<WorkQueue>) {
    let again = |pods: &Cache, queue: &WorkQueue| {
        for pod in pods.all().iter().filter(|pod| wants_a_node(pod)) {
            queue.add(Meta::of(pod).key());
        }
    };
    let (all, waiting) = (Arc::clone(pods), Arc::clone(queue));
    nodes.on_change(move |change| match change {
        Change::Applied(node, Some(before)) if fit::same_for_scheduling(node, before) => {}
        _ => again(&all, &waiting),
    });
    let (all, waiting) = (Arc::clone(pods), Arc::clone(queue));
    pods.on_change(move |change| {
        let ended = match change {
            Change::Deleted(_) => true,
            Change::Applied(pod, before) => !is_active(pod) && before.as_ref().is_none_or(|b| is_active(b)),
        };
        if ended {
            again(&all, &waiting);
        }
    });
}

fn retry_when_others_come(pods: &Cache, queue: &Arc<WorkQueue>) -> Lonely {
    let lonely = Lonely::default();
    let (waiting, queue) = (Arc::clone(&lonely), Arc::clone(queue));
    pods.on_change(move |change| {
        let Change::Applied(pod, before) = change else { return };
        let known = |before: &Arc<Value>| {
            node_of(before) == node_of(pod) && before["metadata"]["labels"] == pod["metadata"]["labels"]
        };
        if node_of(pod).is_empty() || before.as_ref().is_some_and(known) {
            return;
        }
        let keys = std::mem::take(&mut *waiting.lock().unwrap_or_else(PoisonError::into_inner));
        keys.into_iter().for_each(|key| queue.add(key));
    });
    lonely
}

fn wants_a_node(pod: &Value) -> bool {
    let gates = pod["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty());
    pod["spec"]["nodeName"].as_str().unwrap_or_default().is_empty()
        && pod["spec"]["schedulerName"].as_str().unwrap_or(NAME) == NAME
        && is_active(pod)
        && !gates
}

struct Scheduler {
    context: Arc<Context>,
    pods: Arc<Cache>,
    nodes: Arc<Cache>,
    namespaces: Arc<Cache>,
    ledger: Arc<Ledger>,
    lonely: Lonely,
}

/// Keys of pods that fitted nowhere for want of others near: whoever is bound may be the one they wait for.
type Lonely = Arc<Mutex<BTreeSet<String>>>;

impl Reconcile for Scheduler {
    const NAME: &'static str = "scheduler";

    async fn reconcile(&self, key: &str) -> Result<After, ClientError> {
        let Some(pod) = self.pods.get(key).filter(|pod| wants_a_node(pod)) else { return Ok(After::Rest) };
        let nodes = self.nodes.all();
        let mut misfits: BTreeMap<Misfit, usize> = BTreeMap::new();
        let chosen = self.ledger.choose(&pod, &nodes, &|name| self.namespaces.get(name), &mut misfits);
        match chosen {
            Some(node) => {
                let bound = self.bind(&pod, &node).await;
                if bound.is_err() {
                    self.ledger.release(Meta::of(&pod).uid());
                }
                bound.map(|()| After::Rest)
            }
            None => {
                if misfits.keys().any(|misfit| matches!(misfit, Misfit::PodAffinity(_) | Misfit::Spread(_))) {
                    self.lonely.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned());
                }
                self.tell_unschedulable(&pod, nodes.len(), &misfits).await?;
                Ok(After::Again(LOOK_AGAIN))
            }
        }
    }
}

impl Scheduler {
    async fn bind(&self, pod: &Value, node: &str) -> Result<(), ClientError> {
        let meta = Meta::of(pod);
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding",
            "metadata": {"name": meta.name(), "namespace": meta.namespace(), "uid": meta.uid()},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        });
        let path = format!("{}/binding", kinds::pods().object(Some(meta.namespace()), meta.name()));
        self.context.client.request(http::Method::POST, &path, Some(&binding)).await?;
        let told = format!("Successfully assigned {} to {node}", meta.key());
        self.context.recorder.normal(NAME, pod, "Scheduled", told);
        Ok(())
    }

    async fn tell_unschedulable(
        &self,
        pod: &Value,
        nodes: usize,
        misfits: &BTreeMap<Misfit, usize>,
    ) -> Result<(), ClientError> {
        let told = reasons(nodes, misfits);
        self.context.recorder.warning(NAME, pod, "FailedScheduling", told.clone());
        let known =
            condition(pod, "PodScheduled").is_some_and(|c| c["status"] == "False" && c["message"] == told.as_str());
        if known {
            return Ok(());
        }
        let now = self.context.clock.timestamp();
        let patch = json!({"status": {"conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": told,
            "lastProbeTime": null, "lastTransitionTime": now, "observedGeneration": pod["metadata"]["generation"],
        }]}});
        let meta = Meta::of(pod);
        let patch = (Patch::Strategic, &patch);
        self.context.client.patch(&kinds::pods(), Some(meta.namespace()), meta.name(), Some("status"), patch).await?;
        Ok(())
    }
}

fn reasons(nodes: usize, misfits: &BTreeMap<Misfit, usize>) -> String {
    if nodes == 0 {
        return "no nodes available to schedule pods".into();
    }
    let mut told: Vec<String> = misfits.iter().map(|(misfit, count)| format!("{count} {misfit}")).collect();
    told.sort();
    format!("0/{nodes} nodes are available: {}.", told.join(", "))
}
