//! Lets pods go that wait to be counted by a Job that is gone.

use super::{release, selector, tally};
use crate::context::Context;
use crate::control_loop::{After, Reconcile, run};
use crate::kinds;
use serde_json::Value;
use std::sync::Arc;
use tinyplane_wire::client::{Cache, Change, Client, ClientError, WorkQueue};
use tinyplane_wire::meta::Meta;

pub(super) fn start(context: &Arc<Context>, jobs: &Arc<Cache>, pods: &Arc<Cache>) {
    let queue = Arc::new(WorkQueue::new());
    let waiting = Arc::clone(&queue);
    let known = Arc::clone(jobs);
    pods.on_change(move |change| {
        if let Change::Applied(pod, _) = change
            && tally::is_held(pod)
            && owner(&known, pod).is_none()
        {
            waiting.add(Meta::of(pod).key());
        }
    });
    let (waiting, all) = (Arc::clone(&queue), Arc::clone(pods));
    jobs.on_change(move |change| {
        if let Change::Deleted(job) = change {
            let held = all.in_namespace(Meta::of(job).namespace()).into_iter().filter(|pod| tally::is_held(pod));
            held.for_each(|pod| waiting.add(Meta::of(&pod).key()));
        }
    });
    let reads = vec![Arc::clone(jobs), Arc::clone(pods)];
    let client = context.client.clone();
    run(context, &queue, reads, Orphans { client, jobs: Arc::clone(jobs), pods: Arc::clone(pods) });
}

/// The Job that counts a pod.
fn owner(jobs: &Cache, pod: &Value) -> Option<Arc<Value>> {
    let meta = Meta::of(pod);
    let owner = meta.controller()?;
    let job = jobs.get(&format!("{}/{}", meta.namespace(), owner["name"].as_str()?))?;
    (owner["uid"] == Meta::of(&job).uid()).then_some(job)
}

struct Orphans {
    client: Client,
    jobs: Arc<Cache>,
    pods: Arc<Cache>,
}

impl Reconcile for Orphans {
    const NAME: &'static str = "job-orphan";

    async fn reconcile(&self, key: &str) -> Result<After, ClientError> {
        let Some(pod) = self.pods.get(key).filter(|pod| tally::is_held(pod)) else { return Ok(After::Rest) };
        let meta = Meta::of(&pod);
        let adopts = |job: &Arc<Value>| {
            !Meta::of(job).is_deleting() && selector(job).is_some_and(|selector| selector.selects(&pod))
        };
        let nobody = meta.controller().is_none();
        let wanted = nobody && self.jobs.in_namespace(meta.namespace()).iter().any(adopts);
        if owner(&self.jobs, &pod).is_some() || wanted {
            return Ok(After::Rest);
        }
        // The cache of Jobs may be behind that of pods.
        if let Some(owner) = meta.controller() {
            let name = owner["name"].as_str().unwrap_or_default();
            match self.client.get(&kinds::jobs(), Some(meta.namespace()), name).await {
                Ok(job) if Meta::of(&job).uid() == owner["uid"] => return Ok(After::Rest),
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        release(&self.client, &[Arc::clone(&pod)]).await?;
        Ok(After::Rest)
    }
}
