//! Keeps as many pods as a ReplicaSet or a ReplicationController asks for.

use crate::context::Context;
use crate::control_loop::{After, Reconcile, enqueue_adopters, enqueue_changes, enqueue_owners, run};
use crate::kinds;
use crate::pod_control::{PodControl, is_namespace_going};
use crate::pods::{available_at, from_template, has_ended, is_active, is_ready, set_condition, sort_for_deletion};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::client::{Cache, ClientError, WorkQueue};
use tinyplane_wire::gvr::Gvr;
use tinyplane_wire::meta::{Meta, map_mut};
use tinyplane_wire::selector::LabelSelector;

/// What differs between the two kinds.
struct Flavour {
    gvr: Gvr,
    kind: &'static str,
    component: &'static str,
    selector: fn(&Value) -> Option<LabelSelector>,
    /// Whether the status tells of pods on their way out.
    counts_terminating: bool,
}

/// Starts the loop of ReplicaSets.
pub(crate) fn start(context: &Arc<Context>) {
    let flavour = Flavour {
        gvr: kinds::replica_sets(),
        kind: "ReplicaSet",
        component: "replicaset-controller",
        selector: |set| LabelSelector::from_object(&set["spec"]["selector"]).ok().flatten(),
        counts_terminating: true,
    };
    start_flavour(context, flavour);
}

/// Starts the loop of ReplicationControllers.
pub(crate) fn start_controllers(context: &Arc<Context>) {
    let flavour = Flavour {
        gvr: kinds::replication_controllers(),
        kind: "ReplicationController",
        component: "replication-controller",
        selector: |set| Some(LabelSelector::from_map(&set["spec"]["selector"])).filter(|s| !s.is_empty()),
        counts_terminating: false,
    };
    start_flavour(context, flavour);
}

fn start_flavour(context: &Arc<Context>, flavour: Flavour) {
    let queue = Arc::new(WorkQueue::new());
    let (sets, pods) = (context.cache(&flavour.gvr), context.cache(&kinds::pods()));
    enqueue_changes(&sets, &queue);
    let control = PodControl::new(context, flavour.gvr.clone(), flavour.component);
    enqueue_owners(&pods, &queue, flavour.kind);
    enqueue_adopters(&pods, &sets, &queue, flavour.selector);
    let reads = vec![Arc::clone(&sets), Arc::clone(&pods)];
    run(context, &queue, reads, ReplicaSets { context: Arc::clone(context), flavour, sets, pods, control });
}

struct ReplicaSets {
    context: Arc<Context>,
    flavour: Flavour,
    sets: Arc<Cache>,
    pods: Arc<Cache>,
    control: PodControl,
}

impl Reconcile for ReplicaSets {
    const NAME: &'static str = "replicaset";

    async fn reconcile(&self, key: &str) -> Result<After, ClientError> {
        let Some(set) = self.sets.get(key) else { return Ok(After::Rest) };
        let Some(selector) = (self.flavour.selector)(&set) else { return Ok(After::Rest) };
        let settled = self.control.settled(key);
        let pods = self.control.claim(&set, &selector, is_active).await?;
        let mut outcome = Ok(());
        if !Meta::of(&set).is_deleting() && settled {
            outcome = self.manage(key, &set, &pods).await;
        }
        let again = self.report(&set, &pods, outcome.as_ref().err()).await?;
        match outcome {
            Err(error) if !is_namespace_going(&error) => Err(error),
            _ => Ok(again.map_or(After::Rest, After::Again)),
        }
    }
}

impl ReplicaSets {
    async fn manage(&self, key: &str, set: &Value, pods: &[Arc<Value>]) -> Result<(), ClientError> {
        let wished = wished(set);
        if pods.len() < wished {
            let pod = from_template(set, &set["spec"]["template"]);
            return self.control.create_all(key, set, &vec![pod; wished - pods.len()]).await.map(drop);
        }
        if pods.len() == wished {
            return Ok(());
        }
        let mut first = pods.to_vec();
        sort_for_deletion(&mut first);
        first.truncate(pods.len() - wished);
        self.control.delete_all(key, set, &first).await
    }

    /// Writes the status where it changed; says when to look again because a pod becomes available by time alone.
    async fn report(
        &self,
        set: &Value,
        pods: &[Arc<Value>],
        failure: Option<&ClientError>,
    ) -> Result<Option<Duration>, ClientError> {
        let labels = LabelSelector::from_map(&set["spec"]["template"]["metadata"]["labels"]);
        let min_ready = Duration::from_secs(set["spec"]["minReadySeconds"].as_u64().unwrap_or_default());
        let now = self.context.clock.now();
        let due: Vec<_> = pods.iter().filter_map(|pod| available_at(pod, min_ready)).collect();
        let next = due.iter().filter_map(|at| at.duration_since(now).ok()).filter(|wait| !wait.is_zero()).min();
        let mut status = set["status"].clone();
        let fields = map_mut(&mut status);
        for (field, count) in [
            ("fullyLabeledReplicas", pods.iter().filter(|pod| labels.selects(pod)).count()),
            ("readyReplicas", pods.iter().filter(|pod| is_ready(pod)).count()),
            ("availableReplicas", due.iter().filter(|at| **at <= now).count()),
        ] {
            match count {
                0 => drop(fields.remove(field)),
                count => drop(fields.insert(field.into(), count.into())),
            }
        }
        fields.insert("replicas".into(), pods.len().into());
        fields.insert("observedGeneration".into(), Meta::of(set).generation().into());
        if self.flavour.counts_terminating {
            fields.insert("terminatingReplicas".into(), self.terminating(set).into());
        }
        let failed = failure.map(|error| {
            let reason = if pods.len() < wished(set) { "FailedCreate" } else { "FailedDelete" };
            (reason, error.to_string())
        });
        tell_failure(fields, failed, &self.context.clock.timestamp());
        if status != set["status"] {
            let mut wished = set.clone();
            wished["status"] = status;
            self.context.client.update(&self.flavour.gvr, Some("status"), &wished).await?;
        }
        Ok(next)
    }

    /// Pods of the set that are on their way out, and not at their end yet.
    fn terminating(&self, set: &Value) -> usize {
        let meta = Meta::of(set);
        let pods = self.pods.in_namespace(meta.namespace());
        let going = |pod: &&Arc<Value>| {
            let pod_meta = Meta::of(pod);
            pod_meta.is_deleting()
                && !has_ended(pod)
                && pod_meta.controller().is_some_and(|owner| owner["uid"] == meta.uid())
        };
        pods.iter().filter(going).count()
    }
}

fn wished(set: &Value) -> usize {
    usize::try_from(set["spec"]["replicas"].as_i64().unwrap_or(1)).unwrap_or_default()
}

/// Says in the status that pods can't be made or deleted, or takes it back.
fn tell_failure(status: &mut serde_json::Map<String, Value>, failed: Option<(&str, String)>, now: &str) {
    let mut conditions = status.get("conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    match failed {
        Some((reason, message)) => {
            let told = json!({"type": "ReplicaFailure", "status": "True", "reason": reason, "message": message});
            if !conditions.iter().any(|c| c["type"] == "ReplicaFailure") {
                set_condition(&mut conditions, told, now);
            }
        }
        None => conditions.retain(|condition| condition["type"] != "ReplicaFailure"),
    }
    match conditions.is_empty() {
        true => drop(status.remove("conditions")),
        false => drop(status.insert("conditions".into(), conditions.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_until_it_is_over() {
        let mut status = serde_json::Map::new();
        tell_failure(&mut status, Some(("FailedCreate", "no".into())), "now");
        assert_eq!(status["conditions"][0]["reason"], "FailedCreate");
        tell_failure(&mut status, Some(("FailedCreate", "still no".into())), "later");
        assert_eq!(status["conditions"][0]["message"], "no", "the first stays");
        tell_failure(&mut status, None, "later");
        assert!(!status.contains_key("conditions"));
    }
}
