//! Rolls a Deployment from one ReplicaSet to the next.

mod conditions;
mod rolling;
mod scaling;
mod sets;

use crate::context::Context;
use crate::control_loop::{After, Reconcile, enqueue_adopters, enqueue_changes, enqueue_owners, run};
use crate::kinds;
use crate::ownership::Ownership;
use crate::revisions;
use conditions::Report;
use serde_json::Value;
use sets::Sets;
use std::sync::Arc;
use tinyplane_wire::client::{Cache, ClientError, WorkQueue};
use tinyplane_wire::meta::Meta;

const COMPONENT: &str = "deployment-controller";
/// Annotation with the number of a roll-out.
const REVISION: &str = "deployment.kubernetes.io/revision";

pub(crate) fn start(context: &Arc<Context>) {
    let queue = Arc::new(WorkQueue::new());
    let (deployments, sets) = (context.cache(&kinds::deployments()), context.cache(&kinds::replica_sets()));
    let pods = context.cache(&kinds::pods());
    enqueue_changes(&deployments, &queue);
    enqueue_owners(&sets, &queue, "Deployment");
    enqueue_adopters(&sets, &deployments, &queue, revisions::selector);
    let ownership = Ownership::new(context, kinds::deployments(), kinds::replica_sets());
    let reads = vec![Arc::clone(&deployments), sets, Arc::clone(&pods)];
    run(context, &queue, reads, Deployments { context: Arc::clone(context), deployments, ownership, pods });
}

struct Deployments {
    context: Arc<Context>,
    deployments: Arc<Cache>,
    ownership: Ownership,
    pods: Arc<Cache>,
}

impl Reconcile for Deployments {
    const NAME: &'static str = "deployment";

    async fn reconcile(&self, key: &str) -> Result<After, ClientError> {
        let Some(deployment) = self.deployments.get(key) else { return Ok(After::Rest) };
        let mut deployment = Value::clone(&deployment);
        let Some(selector) = revisions::selector(&deployment) else { return Ok(After::Rest) };
        let owned = self.ownership.claim(&deployment, &selector, |_| true).await?;
        if Meta::of(&deployment).is_deleting() {
            return Ok(After::Rest);
        }
        let mut sets = Sets::of(&deployment, owned);
        let paused = deployment["spec"]["paused"].as_bool() == Some(true);
        let mut made = None;
        if paused || scaling::is_due(&deployment, &sets) {
            self.scale_for_size(&deployment, &mut sets).await?;
        } else {
            made = self.ensure_new_set(&mut deployment, &mut sets).await?;
            match deployment["spec"]["strategy"]["type"].as_str() {
                Some("Recreate") => self.recreate(&deployment, &mut sets).await?,
                _ => self.roll(&deployment, &mut sets).await?,
            }
        }
        let report = Report { context: &self.context, deployment: &deployment, sets: &sets, made };
        let after = report.write().await?;
        if !paused {
            self.forget_old_sets(&deployment, &sets).await?;
        }
        Ok(after)
    }
}

impl Deployments {
    /// Scales one set, with its event.
    async fn scale(&self, deployment: &Value, set: &mut Arc<Value>, replicas: i64) -> Result<(), ClientError> {
        let before = sets::replicas(set);
        let mut wished = Value::clone(set);
        sets::annotate_size(deployment, &mut wished);
        if before == replicas && wished == **set {
            return Ok(());
        }
        wished["spec"]["replicas"] = replicas.into();
        *set = Arc::new(self.context.client.update(&kinds::replica_sets(), None, &wished).await?);
        if before != replicas {
            let way = if replicas > before { "up" } else { "down" };
            let told = format!("Scaled {way} replica set {} from {before} to {replicas}", Meta::of(set).name());
            self.context.recorder.normal(COMPONENT, deployment, "ScalingReplicaSet", told);
        }
        Ok(())
    }

    /// Deletes old empty sets beyond `revisionHistoryLimit`, the oldest first.
    async fn forget_old_sets(&self, deployment: &Value, sets: &Sets) -> Result<(), ClientError> {
        let limit =
            usize::try_from(deployment["spec"]["revisionHistoryLimit"].as_i64().unwrap_or(10)).unwrap_or_default();
        let mut old: Vec<&Arc<Value>> = sets.old().collect();
        old.sort_by_key(|set| sets::revision(set));
        let excess = old.len().saturating_sub(limit);
        let idle = |set: &&&Arc<Value>| {
            let meta = Meta::of(set);
            sets::replicas(set) == 0
                && set["status"]["replicas"].as_i64().unwrap_or_default() == 0
                && set["status"]["observedGeneration"].as_i64().unwrap_or_default() >= meta.generation()
                && !meta.is_deleting()
        };
        for set in old.iter().take(excess).filter(idle) {
            let meta = Meta::of(set);
            match self
                .context
                .client
                .delete(&kinds::replica_sets(), Some(meta.namespace()), meta.name(), &Value::Null)
                .await
            {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}
