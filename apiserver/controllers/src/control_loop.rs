//! The shape of every control loop: keys in a queue, and one function that brings a key into its wished state.

use crate::context::Context;
use futures_util::FutureExt;
use serde_json::Value;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::client::{Cache, Change, ClientError, WorkQueue};
use tinyplane_wire::meta::Meta;
use tinyplane_wire::selector::LabelSelector;

/// Workers of one loop, unless it says otherwise.
pub(crate) const WORKERS: usize = 4;

/// What to do after a key was reconciled.
pub(crate) enum After {
    /// Nothing, until it changes.
    Rest,
    /// Look again after a while.
    Again(Duration),
}

/// Brings one key after another into its wished state.
pub(crate) trait Reconcile: Send + Sync + 'static {
    /// Name of the loop, for logs.
    const NAME: &'static str;

    /// Brings the object under this key into its wished state.
    fn reconcile(&self, key: &str) -> impl Future<Output = Result<After, ClientError>> + Send;
}

/// Starts a loop's workers once all caches that it reads are in step.
pub(crate) fn run<R: Reconcile>(context: &Context, queue: &Arc<WorkQueue>, reads: Vec<Arc<Cache>>, reconciler: R) {
    let reconciler = Arc::new(reconciler);
    let reads = Arc::new(reads);
    for _ in 0..WORKERS {
        let (queue, reads, reconciler) = (Arc::clone(queue), Arc::clone(&reads), Arc::clone(&reconciler));
        context.spawn(async move {
            for cache in reads.iter() {
                cache.synced().await;
            }
            loop {
                let key = queue.next().await;
                work(&*reconciler, &queue, &key).await;
            }
        });
    }
}

async fn work<R: Reconcile>(reconciler: &R, queue: &WorkQueue, key: &str) {
    let Ok(reconciled) = AssertUnwindSafe(reconciler.reconcile(key)).catch_unwind().await else {
        // One object that nobody foresaw takes no worker along.
        tracing::error!(controller = R::NAME, key, "a key could not be reconciled: the loop panicked");
        return queue.failed(key);
    };
    match reconciled {
        Ok(After::Rest) => queue.done(key),
        Ok(After::Again(wait)) => {
            queue.done(key);
            queue.add_after(key, wait);
        }
        // Somebody was faster: the change that they made is on its way here.
        Err(error) if error.is_conflict() || error.is_not_found() => {
            tracing::debug!(controller = R::NAME, key, %error, "overtaken");
            queue.failed(key);
        }
        Err(error) => {
            tracing::warn!(controller = R::NAME, key, %error, "a key could not be reconciled");
            queue.failed(key);
        }
    }
}

/// Adds the key of each changed object to the queue.
pub(crate) fn enqueue_changes(cache: &Cache, queue: &Arc<WorkQueue>) {
    let queue = Arc::clone(queue);
    cache.on_change(move |change| queue.add(Meta::of(change.object()).key()));
}

/// Adds the key of the controlling owner, if it is of this kind, of each changed object.
pub(crate) fn enqueue_owners(cache: &Cache, queue: &Arc<WorkQueue>, kind: &'static str) {
    let queue = Arc::clone(queue);
    cache.on_change(move |change| {
        let mut seen = vec![change.object()];
        if let Change::Applied(_, Some(before)) = change {
            seen.push(before);
        }
        for object in seen {
            let meta = Meta::of(object);
            let owner = meta.controller().filter(|owner| owner["kind"] == kind);
            if let Some(name) = owner.and_then(|owner| owner["name"].as_str()) {
                queue.add(format!("{}/{name}", meta.namespace()));
            }
        }
    });
}

/// Adds the keys of the owners that could adopt a changed object that belongs to nobody.
pub(crate) fn enqueue_adopters(
    cache: &Cache,
    owners: &Arc<Cache>,
    queue: &Arc<WorkQueue>,
    selector: impl Fn(&Value) -> Option<LabelSelector> + Send + Sync + 'static,
) {
    let (owners, queue) = (Arc::clone(owners), Arc::clone(queue));
    cache.on_change(move |change| {
        let Change::Applied(object, _) = change else { return };
        let meta = Meta::of(object);
        if meta.controller().is_some() || meta.is_deleting() {
            return;
        }
        for owner in owners.in_namespace(meta.namespace()) {
            if selector(&owner).is_some_and(|selector| selector.selects(object)) {
                queue.add(Meta::of(&owner).key());
            }
        }
    });
}
