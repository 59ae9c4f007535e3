//! Counts what each ResourceQuota limits: the status by which admission decides.

mod usage;

use crate::context::Context;
use crate::control_loop::{After, Reconcile, run};
use crate::kinds;
use crate::namespace::discover;
use crate::pods::has_ended;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tinyplane_wire::client::{Cache, Change, ClientError, WorkQueue};
use tinyplane_wire::gvr::Gvr;
use tinyplane_wire::meta::Meta;
use tokio::time::{Instant, timeout};
use usage::{Source, Sums, source};

/// How often everything is counted anew, whatever happened (`--resource-quota-sync-period`).
const RESYNC: Duration = Duration::from_secs(300);

/// A charge that is younger may be for an object that the caches do not show yet: what was used is not lowered so soon after.
const SETTLE: Duration = Duration::from_millis(300);
/// How soon to look again for what a quota limits and the server does not serve yet, or has not told of.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

pub(crate) fn start(context: &Arc<Context>) {
    let queue = Arc::new(WorkQueue::new());
    let quotas = context.cache(&kinds::quotas());
    let definitions = context.cache(&kinds::custom_resource_definitions());
    let loops = Arc::new(Quotas {
        context: Arc::clone(context),
        queue: Arc::clone(&queue),
        quotas: Arc::clone(&quotas),
        definitions: Arc::clone(&definitions),
        counted: Mutex::default(),
        charged: Mutex::default(),
    });
    loops.follow_quotas();
    loops.follow_definitions();
    run(context, &queue, vec![quotas, definitions], Loop(loops));
}

struct Loop(Arc<Quotas>);

struct Quotas {
    context: Arc<Context>,
    queue: Arc<WorkQueue>,
    quotas: Arc<Cache>,
    definitions: Arc<Cache>,
    /// What is watched because some quota limits it.
    counted: Mutex<HashMap<Source, (Gvr, Arc<Cache>)>>,
    /// When each quota was last seen to be charged, by key.
    charged: Mutex<HashMap<String, Instant>>,
}

impl Reconcile for Loop {
    const NAME: &'static str = "resourcequota";

    async fn reconcile(&self, key: &str) -> Result<After, ClientError> {
        self.0.reconcile(key).await
    }
}

impl Quotas {
    async fn reconcile(&self, key: &str) -> Result<After, ClientError> {
        let Some(quota) = self.quotas.get(key) else { return Ok(After::Rest) };
        let hard = quota["spec"]["hard"].as_object().cloned().unwrap_or_default();
        let mut used = Sums::new(hard.keys().cloned());
        let mut sources: Vec<Source> = hard.keys().filter_map(|name| source(name)).collect();
        sources.sort();
        sources.dedup();
        let mut next = RESYNC;
        for source in sources {
            let Some(cache) = self.cache_of(&source).await? else {
                if self.is_defined(&source) {
                    next = LOOK_AGAIN;
                }
                continue;
            };
            if timeout(LOOK_AGAIN, cache.synced()).await.is_err() {
                return Ok(After::Again(LOOK_AGAIN));
            }
            for object in cache.in_namespace(Meta::of(&quota).namespace()) {
                used.add(&source, &quota, &object);
            }
        }
        if used.is_below(&quota["status"]["used"]) && quota["status"]["hard"] == quota["spec"]["hard"] {
            let since = lock(&self.charged).get(key).map_or(SETTLE, Instant::elapsed);
            if since < SETTLE {
                return Ok(After::Again(SETTLE.saturating_sub(since)));
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
        Ok(After::Again(next))
    }

    /// Counts for a quota that came or limits something else now, at once; and in a while after each charge, for what was
    /// charged may not have been made after all.
    fn follow_quotas(self: &Arc<Self>) {
        let own = Arc::clone(self);
        self.quotas.on_change(move |change| {
            let key = Meta::of(change.object()).key();
            match change {
                Change::Deleted(_) => drop(lock(&own.charged).remove(&key)),
                Change::Applied(quota, Some(before)) if quota["spec"] == before["spec"] => {
                    lock(&own.charged).insert(key.clone(), Instant::now());
                    own.queue.add_after(key, SETTLE);
                }
                Change::Applied(..) => own.queue.add(key),
            }
        });
    }

    /// What a quota limits may be defined later than the quota, and again when it was gone.
    fn follow_definitions(self: &Arc<Self>) {
        let own = Arc::clone(self);
        self.definitions.on_change(move |change| {
            let spec = &change.object()["spec"];
            let (group, plural) = (&spec["group"], &spec["names"]["plural"]);
            let defined =
                |name: &String| source(name).is_some_and(|one| *group == *one.group && *plural == *one.resource);
            for quota in own.quotas.all() {
                if quota["spec"]["hard"].as_object().is_some_and(|hard| hard.keys().any(defined)) {
                    own.queue.add(Meta::of(&quota).key());
                }
            }
        });
    }

    fn is_defined(&self, source: &Source) -> bool {
        let key = format!("{}.{}", source.resource, source.group);
        self.definitions.get(&key).is_some()
    }

    /// The objects of a resource; from now on, what goes away of them is given back. `None` for what is not served.
    async fn cache_of(&self, source: &Source) -> Result<Option<Arc<Cache>>, ClientError> {
        let known = lock(&self.counted).get(source).cloned();
        if let Some((gvr, cache)) = known {
            // A definition that went took the cache along, and may have come back.
            if self.context.is_current(&gvr, &cache) {
                return Ok(Some(cache));
            }
            lock(&self.counted).remove(source);
        }
        let served = discover(&self.context.client).await?.into_iter().filter(|found| found.namespaced);
        let mut served = served.map(|found| found.gvr);
        let Some(gvr) = served.find(|gvr| gvr.group == source.group && gvr.resource == source.resource) else {
            return Ok(None);
        };
        let cache = self.context.cache(&gvr);
        if lock(&self.counted).insert(source.clone(), (gvr, Arc::clone(&cache))).is_none() {
            self.count_anew_when_it_shrinks(source, &cache);
        }
        Ok(Some(cache))
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
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
