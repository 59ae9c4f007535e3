//! What a loop has done and its cache has not shown yet: until it does, counting would count wrong.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tinyplane_wire::client::{Cache, Change};
use tinyplane_wire::meta::Meta;

/// What the cache has not shown after this long will not come any more.
const WAIT_SECONDS_MAX: u64 = 30;

/// Created objects that the cache must show, and deleted ones that it must lose, by the key of their owner.
#[derive(Default)]
pub(crate) struct Expectations {
    by_owner: Mutex<HashMap<String, Pending>>,
}

#[derive(Default)]
struct Pending {
    created: HashSet<String>,
    deleted: HashSet<String>,
    since: Option<Instant>,
}

impl Expectations {
    /// Expectations that a cache fulfils.
    pub(crate) fn over(cache: &Cache) -> Arc<Self> {
        let expectations = Arc::new(Self::default());
        let seen = Arc::clone(&expectations);
        cache.on_change(move |change| seen.observe(change));
        expectations
    }

    /// An object (by uid) was created for this owner. Says it after the answer, when the uid is known; the cache may
    /// have shown it before, so it is asked as well.
    pub(crate) fn created(&self, owner: &str, uid: &str, cache: &Cache, key: &str) {
        self.with(owner, |pending| {
            pending.created.insert(uid.to_owned());
        });
        if cache.get(key).is_some() {
            self.with(owner, |pending| {
                pending.created.remove(uid);
            });
        }
    }

    /// An object (by uid) is about to be deleted for this owner.
    pub(crate) fn deleting(&self, owner: &str, uid: &str) {
        self.with(owner, |pending| {
            pending.deleted.insert(uid.to_owned());
        });
    }

    /// The delete failed: it is not expected any more.
    pub(crate) fn not_deleted(&self, owner: &str, uid: &str) {
        self.with(owner, |pending| {
            pending.deleted.remove(uid);
        });
    }

    /// True when the cache has shown all that was done for this owner.
    pub(crate) fn fulfilled(&self, owner: &str) -> bool {
        let mut all = self.lock();
        let Some(pending) = all.get(owner) else { return true };
        let over = pending.since.is_some_and(|since| since.elapsed() > Duration::from_secs(WAIT_SECONDS_MAX));
        let fulfilled = over || (pending.created.is_empty() && pending.deleted.is_empty());
        if fulfilled {
            all.remove(owner);
        }
        fulfilled
    }

    fn observe(&self, change: &Change) {
        let meta = Meta::of(change.object());
        let Some(owner) = meta.controller().and_then(|owner| owner["name"].as_str()) else { return };
        let owner = format!("{}/{owner}", meta.namespace());
        if let Some(pending) = self.lock().get_mut(&owner) {
            pending.created.remove(meta.uid());
            if matches!(change, Change::Deleted(_)) || meta.is_deleting() {
                pending.deleted.remove(meta.uid());
            }
        }
    }

    fn with(&self, owner: &str, act: impl FnOnce(&mut Pending)) {
        let mut all = self.lock();
        let pending = all.entry(owner.to_owned()).or_default();
        pending.since = Some(Instant::now());
        act(pending);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Pending>> {
        self.by_owner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
