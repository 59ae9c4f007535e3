//! Counts what each ResourceQuota limits: the status by which admission decides.

mod usage;

use crate::context::Context;
use crate::control_loop::{After, Reconcile, enqueue_changes, run};
use crate::kinds;
use crate::namespace::discover;
use crate::pods::has_ended;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tinyplane_wire::client::{Cache, Change, ClientError, WorkQueue};
use tinyplane_wire::gvr::Gvr;
use tinyplane_wire::meta::Meta;
use usage::{Source, Sums, source};

/// How often everything is counted anew, whatever happened (`--resource-quota-sync-period`).
const RESYNC: Duration = Duration::from_secs(300);

pub(crate) fn start(context: &Arc<Context>) {
    let queue = Arc::new(WorkQueue::new());
    let quotas = context.cache(&kinds::quotas());
    enqueue_changes(&quotas, &queue);
    let reads = vec![Arc::clone(&quotas)];
    let waiting = Arc::clone(&queue);
    let counted = Mutex::default();
    run(context, &queue, reads, Quotas { context: Arc::clone(context), queue: waiting, quotas, counted });
}

struct Quotas {
    context: Arc<Context>,
    queue: Arc<WorkQueue>,
    quotas: Arc<Cache>,
    /// What is watched because some quota limits it.
    counted: Mutex<HashMap<Source, Arc<Cache>>>,
}

impl Reconcile for Quotas {
    const NAME: &'static str = "resourcequota";

    async fn reconcile(&self, key: &str) -> Result<After, ClientError> {
        let Some(quota) = self.quotas.get(key) else { return Ok(After::Rest) };
        let hard = quota["spec"]["hard"].as_object().cloned().unwrap_or_default();
        let mut used = Sums::new(hard.keys().cloned());
        let mut sources: Vec<Source> = hard.keys().filter_map(|name| source(name)).collect();
        sources.sort();
        sources.dedup();
        for source in sources {
            let Some(cache) = self.cache_of(&source).await? else { continue };
            cache.synced().await;
            for object in cache.in_namespace(Meta::of(&quota).namespace()) {
                used.add(&source, &quota, &object);
            }
        }
        let mut status = Map::new();
        if !hard.is_empty() {
            status.insert("hard".into(), hard.into());
            status.insert("used".into(), used.told().into());
        }
        let status = Value::Object(status);
        if status != quota["status"] {
            let mut wished = Value::clone(&quota);
            wished["status"] = status;
            self.context.client.update(&kinds::quotas(), Some("status"), &wished).await?;
        }
        Ok(After::Again(RESYNC))
    }
}

impl Quotas {
    /// The objects of a resource; from now on, what goes away of them is given back.
    async fn cache_of(&self, source: &Source) -> Result<Option<Arc<Cache>>, ClientError> {
        let known = self.lock().get(source).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let Some(gvr) = self.gvr_of(source).await? else { return Ok(None) };
        let cache = self.context.cache(&gvr);
        if self.lock().insert(source.clone(), Arc::clone(&cache)).is_none() {
            self.count_anew_when_it_shrinks(source, &cache);
        }
        Ok(Some(cache))
    }

    async fn gvr_of(&self, source: &Source) -> Result<Option<Gvr>, ClientError> {
        if source.group.is_empty() {
            return Ok(Some(Gvr::new("", "v1", &source.resource)));
        }
        let served = discover(&self.context.client).await?.into_iter().map(|found| found.gvr);
        Ok(served.into_iter().find(|gvr| gvr.group == source.group && gvr.resource == source.resource))
    }

    /// What is added was charged at its admission; only what goes away is missed.
    fn count_anew_when_it_shrinks(&self, source: &Source, cache: &Cache) {
        let (quotas, queue) = (Arc::clone(&self.quotas), Arc::clone(&self.queue));
        let changes = matches!(source.resource.as_str(), "services" | "persistentvolumeclaims" | "pods");
        cache.on_change(move |change| {
            let shrinks = match change {
                Change::Deleted(_) => true,
                Change::Applied(object, Some(before)) if changes => {
                    object["spec"] != before["spec"] || has_ended(object) != has_ended(before)
                }
                Change::Applied(..) => false,
            };
            if shrinks {
                for quota in quotas.in_namespace(Meta::of(change.object()).namespace()) {
                    queue.add(Meta::of(&quota).key());
                }
            }
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Source, Arc<Cache>>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
