//! Runs the pods of a Job to their end, as often as it asks for.

mod indexes;
mod orphans;
mod outcome;
mod tally;

use crate::context::Context;
use crate::control_loop::{After, Reconcile, enqueue_adopters, enqueue_changes, enqueue_owners, run};
use crate::kinds;
use crate::pod_control::{BURST, PodControl};
use crate::pods::sort_for_deletion;
use futures_util::future::try_join_all;
use outcome::Outcome;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tally::Tally;
use tinyplane_wire::client::{Backoff, Cache, Change, Client, ClientError, Patch, WorkQueue};
use tinyplane_wire::clock;
use tinyplane_wire::meta::Meta;
use tinyplane_wire::selector::LabelSelector;

/// Keeps a pod until it is counted.
const FINALIZER: &str = "batch.kubernetes.io/job-tracking";
/// Who looks after a Job that names nobody.
const MANAGER: &str = "kubernetes.io/job-controller";
/// Wait before a failed pod is replaced: 10 s, doubling, at most 10 minutes.
const RETRY: Backoff = Backoff { first: Duration::from_secs(10), most: Duration::from_secs(600) };
const COMPONENT: &str = "job-controller";

pub(crate) fn start(context: &Arc<Context>) {
    let queue = Arc::new(WorkQueue::new());
    let (jobs, pods) = (context.cache(&kinds::jobs()), context.cache(&kinds::pods()));
    enqueue_changes(&jobs, &queue);
    let control = PodControl::new(context, kinds::jobs(), COMPONENT);
    enqueue_owners(&pods, &queue, "Job");
    enqueue_adopters(&pods, &jobs, &queue, selector);
    orphans::start(context, &jobs, &pods);
    let written = Arc::new(Written::default());
    written.forget_with(&jobs);
    let reads = vec![Arc::clone(&jobs), pods];
    run(context, &queue, reads, Jobs { context: Arc::clone(context), jobs, control, written });
}

struct Jobs {
    context: Arc<Context>,
    jobs: Arc<Cache>,
    control: PodControl,
    written: Arc<Written>,
}

/// The versions in which statuses were written: a cache that is behind would count pods anew.
#[derive(Default)]
struct Written {
    versions: Mutex<HashMap<String, u64>>,
}

impl Written {
    fn forget_with(self: &Arc<Self>, jobs: &Cache) {
        let written = Arc::clone(self);
        jobs.on_change(move |change| {
            if let Change::Deleted(job) = change {
                written.lock().remove(&Meta::of(job).key());
            }
        });
    }

    fn note(&self, job: &Value) {
        self.lock().insert(Meta::of(job).key(), version(job));
    }

    fn is_behind(&self, job: &Value) -> bool {
        self.lock().get(&Meta::of(job).key()).is_some_and(|written| version(job) < *written)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, u64>> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn version(object: &Value) -> u64 {
    Meta::of(object).resource_version().parse().unwrap_or_default()
}

fn selector(job: &Value) -> Option<LabelSelector> {
    LabelSelector::from_object(&job["spec"]["selector"]).ok().flatten()
}

fn number(job: &Value, field: &str, otherwise: i64) -> usize {
    usize::try_from(job["spec"][field].as_i64().unwrap_or(otherwise)).unwrap_or_default()
}

fn is_indexed(job: &Value) -> bool {
    job["spec"]["completionMode"] == "Indexed"
}

fn is_suspended(job: &Value) -> bool {
    job["spec"]["suspend"].as_bool() == Some(true)
}

impl Reconcile for Jobs {
    const NAME: &'static str = "job";

    async fn reconcile(&self, key: &str) -> Result<After, ClientError> {
        let Some(job) = self.jobs.get(key) else { return Ok(After::Rest) };
        let managed = job["spec"]["managedBy"].as_str().unwrap_or(MANAGER) == MANAGER;
        if outcome::is_finished(&job) || !managed || self.written.is_behind(&job) {
            return Ok(After::Rest);
        }
        let Some(selector) = selector(&job) else { return Ok(After::Rest) };
        let settled = self.control.settled(key);
        let pods = self.control.claim(&job, &selector, |_| true).await?;
        if Meta::of(&job).is_deleting() {
            // Its pods go with it, and nobody will count them.
            let held: Vec<Arc<Value>> = pods.into_iter().filter(|pod| tally::is_held(pod)).collect();
            release(&self.context.client, &held).await?;
            return Ok(After::Rest);
        }
        let mut tally = Tally::of(&job, &pods, false);
        let outcome = self.outcome(&job, &tally);
        if outcome != Outcome::Open {
            tally = Tally::of(&job, &pods, true);
        }
        let (mut wait, mut failure) = (None, None);
        if settled {
            match self.act(key, &job, &mut tally, outcome).await {
                Ok(later) => wait = later,
                Err(error) => failure = Some(error),
            }
        }
        self.report(&job, &tally, outcome).await?;
        release(&self.context.client, &tally.to_release).await?;
        if let Some(error) = failure {
            return Err(error);
        }
        let deadline = self.deadline(&job).filter(|_| outcome == Outcome::Open && !is_suspended(&job));
        Ok([wait, deadline].into_iter().flatten().min().map_or(After::Rest, After::Again))
    }
}

impl Jobs {
    /// Makes or deletes pods; says how long a failed one is to be waited for.
    async fn act(
        &self,
        key: &str,
        job: &Value,
        tally: &mut Tally,
        outcome: Outcome,
    ) -> Result<Option<Duration>, ClientError> {
        if outcome == Outcome::Open && !is_suspended(job) {
            return self.fill(key, job, tally).await;
        }
        let active = std::mem::take(&mut tally.active);
        tally.terminating += active.len();
        self.control.delete_all(key, job, &active).await?;
        Ok(None)
    }

    /// Makes or removes pods until as many run as should.
    async fn fill(&self, key: &str, job: &Value, tally: &mut Tally) -> Result<Option<Duration>, ClientError> {
        let parallelism = number(job, "parallelism", 1);
        let wished = match job["spec"]["completions"].as_i64() {
            Some(_) => parallelism.min(number(job, "completions", 1).saturating_sub(tally.succeeded())),
            None if tally.succeeded() == 0 => parallelism,
            None => tally.active.len(),
        };
        if tally.active.len() > wished {
            sort_for_deletion(&mut tally.active);
            let kept = tally.active.split_off(tally.active.len() - wished);
            let excess = std::mem::replace(&mut tally.active, kept);
            tally.terminating += excess.len();
            self.control.delete_all(key, job, &excess).await?;
            return Ok(None);
        }
        let going = if job["spec"]["podReplacementPolicy"] == "Failed" { tally.terminating } else { 0 };
        let lacking = wished.saturating_sub(tally.active.len() + going).min(BURST);
        if lacking == 0 {
            return Ok(None);
        }
        if let Some(wait) = self.wait_after_failure(tally) {
            return Ok(Some(wait));
        }
        let indexes = tally.free_indexes(job, lacking);
        let pods: Vec<Value> = indexes.into_iter().map(|index| indexes::pod(job, index, FINALIZER)).collect();
        let made = self.control.create_all(key, job, &pods).await?;
        tally.active.extend(made.into_iter().map(Arc::new));
        Ok(None)
    }

    fn wait_after_failure(&self, tally: &Tally) -> Option<Duration> {
        let failures = u32::try_from(tally.failed.len()).unwrap_or(u32::MAX);
        let ended = |pod: &Arc<Value>| {
            let statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
            statuses.filter_map(|c| c["state"]["terminated"]["finishedAt"].as_str()).filter_map(clock::parse).max()
        };
        let last = tally.failed.iter().filter_map(ended).max()?;
        let due = last + RETRY.after(failures);
        due.duration_since(self.context.clock.now()).ok().filter(|wait| !wait.is_zero())
    }
}

/// Takes the finalizer from pods: they are counted, or nobody will count them.
async fn release(client: &Client, pods: &[Arc<Value>]) -> Result<(), ClientError> {
    let one = async |pod: &Arc<Value>| {
        let meta = Meta::of(pod);
        let patch = json!({"metadata": {"uid": meta.uid(), "$deleteFromPrimitiveList/finalizers": [FINALIZER]}});
        let patch = (Patch::Strategic, &patch);
        match client.patch(&kinds::pods(), Some(meta.namespace()), meta.name(), None, patch).await {
            Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error),
            _ => Ok(()),
        }
    };
    try_join_all(pods.iter().map(one)).await.map(drop)
}
