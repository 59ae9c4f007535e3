//! Keeps as many pods as a ReplicaSet asks for.

use crate::context::Context;
use crate::control_loop::{After, Reconcile, enqueue_changes, enqueue_owners, run};
use crate::expectations::Expectations;
use crate::kinds;
use crate::pods::{available_at, from_template, is_active, is_ready, sort_for_deletion};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::client::{Cache, ClientError, Patch, WorkQueue};
use tinyplane_wire::meta::{Meta, controller_reference};
use tinyplane_wire::selector::LabelSelector;

/// Pods made or deleted in one go.
const BURST: usize = 500;
/// Pods made at the same time, at first; doubled after each batch that went well.
const SLOW_START: usize = 1;
const COMPONENT: &str = "replicaset-controller";

pub(crate) fn start(context: &Arc<Context>) {
    let queue = Arc::new(WorkQueue::new());
    let (sets, pods) = (context.cache(&kinds::replica_sets()), context.cache(&kinds::pods()));
    enqueue_changes(&sets, &queue);
    let expectations = Expectations::over(&pods);
    enqueue_owners(&pods, &queue, "ReplicaSet");
    let reads = vec![Arc::clone(&sets), Arc::clone(&pods)];
    run(context, &queue, reads, ReplicaSets { context: Arc::clone(context), sets, pods, expectations });
}

struct ReplicaSets {
    context: Arc<Context>,
    sets: Arc<Cache>,
    pods: Arc<Cache>,
    expectations: Arc<Expectations>,
}

impl Reconcile for ReplicaSets {
    const NAME: &'static str = "replicaset";

    async fn reconcile(&self, key: &str) -> Result<After, ClientError> {
        let Some(set) = self.sets.get(key) else { return Ok(After::Rest) };
        let Ok(Some(selector)) = LabelSelector::from_object(&set["spec"]["selector"]) else { return Ok(After::Rest) };
        let pods = self.claim(&set, &selector).await?;
        let mut outcome = Ok(());
        if !Meta::of(&set).is_deleting() && self.expectations.fulfilled(key) {
            outcome = self.manage(key, &set, &pods).await;
        }
        let again = self.report(&set, &pods).await?;
        outcome?;
        Ok(again.map_or(After::Rest, After::Again))
    }
}

impl ReplicaSets {
    /// The active pods that the set controls, after adopting those that match and belong to nobody.
    async fn claim(&self, set: &Value, selector: &LabelSelector) -> Result<Vec<Arc<Value>>, ClientError> {
        let meta = Meta::of(set);
        let mut mine = Vec::new();
        for pod in self.pods.in_namespace(meta.namespace()) {
            if !is_active(&pod) {
                continue;
            }
            let owner = Meta::of(&pod).controller();
            match owner {
                Some(owner) if owner["uid"] == meta.uid() => mine.push(pod),
                None if selector.selects(&pod) && !meta.is_deleting() => {
                    let reference = json!({"metadata": {"uid": Meta::of(&pod).uid(), "ownerReferences": [controller_reference(set)]}});
                    let (namespace, name) = (Some(meta.namespace()), Meta::of(&pod).name());
                    let patch = (Patch::Strategic, &reference);
                    mine.push(Arc::new(self.context.client.patch(&kinds::pods(), namespace, name, None, patch).await?));
                }
                _ => {}
            }
        }
        Ok(mine)
    }

    async fn manage(&self, key: &str, set: &Value, pods: &[Arc<Value>]) -> Result<(), ClientError> {
        let wished = usize::try_from(set["spec"]["replicas"].as_i64().unwrap_or(1)).unwrap_or_default();
        if pods.len() < wished {
            self.create(key, set, (wished - pods.len()).min(BURST)).await
        } else {
            self.delete(key, set, pods, (pods.len() - wished).min(BURST)).await
        }
    }

    async fn create(&self, key: &str, set: &Value, count: usize) -> Result<(), ClientError> {
        let (mut left, mut batch) = (count, SLOW_START);
        while left > 0 {
            let now = batch.min(left);
            let made = join_all((0..now).map(|_| self.create_one(key, set))).await;
            left -= now;
            batch *= 2;
            made.into_iter().collect::<Result<Vec<()>, _>>()?;
        }
        Ok(())
    }

    async fn create_one(&self, key: &str, set: &Value) -> Result<(), ClientError> {
        let pod = from_template(set, &set["spec"]["template"]);
        match self.context.client.create(&kinds::pods(), Some(Meta::of(set).namespace()), &pod).await {
            Ok(made) => {
                let meta = Meta::of(&made);
                self.expectations.created(key, meta.uid(), &self.pods, &meta.key());
                let told = format!("Created pod: {}", meta.name());
                self.context.recorder.normal(COMPONENT, set, "SuccessfulCreate", told);
                Ok(())
            }
            Err(error) => {
                self.context.recorder.warning(COMPONENT, set, "FailedCreate", format!("Error creating: {error}"));
                Err(error)
            }
        }
    }

    async fn delete(&self, key: &str, set: &Value, pods: &[Arc<Value>], count: usize) -> Result<(), ClientError> {
        let mut pods = pods.to_vec();
        sort_for_deletion(&mut pods);
        let deleted = join_all(pods.iter().take(count).map(|pod| self.delete_one(key, set, pod))).await;
        deleted.into_iter().collect()
    }

    async fn delete_one(&self, key: &str, set: &Value, pod: &Value) -> Result<(), ClientError> {
        let meta = Meta::of(pod);
        self.expectations.deleting(key, meta.uid());
        match self.context.client.delete(&kinds::pods(), Some(meta.namespace()), meta.name(), &Value::Null).await {
            Ok(_) => {
                let told = format!("Deleted pod: {}", meta.name());
                self.context.recorder.normal(COMPONENT, set, "SuccessfulDelete", told);
                Ok(())
            }
            Err(error) => {
                self.expectations.not_deleted(key, meta.uid());
                if error.is_not_found() { Ok(()) } else { Err(error) }
            }
        }
    }

    /// Writes the status where it changed; says when to look again because a pod becomes available by time alone.
    async fn report(&self, set: &Value, pods: &[Arc<Value>]) -> Result<Option<Duration>, ClientError> {
        let labels = LabelSelector::from_map(&set["spec"]["template"]["metadata"]["labels"]);
        let min_ready = Duration::from_secs(set["spec"]["minReadySeconds"].as_u64().unwrap_or_default());
        let now = self.context.clock.now();
        let due: Vec<_> = pods.iter().filter_map(|pod| available_at(pod, min_ready)).collect();
        let next = due.iter().filter_map(|at| at.duration_since(now).ok()).filter(|wait| !wait.is_zero()).min();
        let mut status = set["status"].clone();
        for (field, count) in [
            ("fullyLabeledReplicas", pods.iter().filter(|pod| labels.selects(pod)).count()),
            ("readyReplicas", pods.iter().filter(|pod| is_ready(pod)).count()),
            ("availableReplicas", due.iter().filter(|at| **at <= now).count()),
        ] {
            match count {
                0 => drop(status.as_object_mut().and_then(|s| s.remove(field))),
                count => status[field] = count.into(),
            }
        }
        status["replicas"] = pods.len().into();
        status["observedGeneration"] = Meta::of(set).generation().into();
        if status != set["status"] {
            let mut wished = set.clone();
            wished["status"] = status;
            self.context.client.update(&kinds::replica_sets(), Some("status"), &wished).await?;
        }
        Ok(next)
    }
}
