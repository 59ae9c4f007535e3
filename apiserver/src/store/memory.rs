//! The store without a disk: what is decided is visible at once, and gone with the process.

use super::contract::{
    CommitError, Committed, CompactError, Range, Revision, RevisionError, Store, Unavailable, Write,
};
use super::limits::Limits;
use super::log::Log;
use super::published::Published;
use super::snapshot::Snapshot;
use super::stage::{Stage, committed};
use super::watchers::Watcher;
use std::sync::{Arc, Mutex, PoisonError};
use tinyplane_wire::clock::Clock;

/// A store in memory. Nothing is made durable, so a write needs no thread to wait for: it is decided and published
/// under one short lock, which readers and watchers never take.
pub struct MemoryStore {
    published: Arc<Published>,
    stage: Mutex<Stage>,
    clock: Clock,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(limits: Limits, clock: Clock) -> Self {
        let stage = Stage::new(limits);
        let published = Published::new(stage.map.clone(), stage.revision, Log::new(stage.revision), limits);
        Self { published, stage: Mutex::new(stage), clock }
    }
}

#[async_trait::async_trait]
impl Store for MemoryStore {
    fn snapshot(&self) -> Snapshot {
        self.published.snapshot()
    }

    fn snapshot_at(&self, revision: Revision) -> Result<Snapshot, RevisionError> {
        self.published.snapshot_at(revision)
    }

    fn revision(&self) -> Revision {
        self.published.revision()
    }

    async fn commit(&self, write: Write) -> Result<Committed, CommitError> {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        if self.published.is_closed() {
            return Err(Unavailable::Closed.into());
        }
        let event = stage.decide(write)?;
        let now = self.clock.now();
        let events = std::slice::from_ref(&event);
        let (floor, forgotten) = self.published.excess(events, now);
        self.published.publish(&stage.map, events, now);
        if !forgotten.is_empty() {
            self.published.forget(floor);
        }
        Ok(committed(&event))
    }

    fn watch(&self, range: Range, after: Revision) -> Result<Watcher, RevisionError> {
        self.published.watch(&range, after)
    }

    async fn compact(&self, revision: Revision) -> Result<(), CompactError> {
        let _alone = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        if self.published.is_closed() {
            return Err(Unavailable::Closed.into());
        }
        self.published.compactable(revision)?;
        self.published.forget(revision);
        Ok(())
    }

    fn works(&self) -> Result<(), Unavailable> {
        if self.published.is_closed() { Err(Unavailable::Closed) } else { Ok(()) }
    }

    async fn close(&self) {
        let _alone = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        self.published.close();
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance::{self, Fixture};
    use super::*;

    fn open(limits: Limits) -> Fixture {
        Fixture { store: Arc::new(MemoryStore::new(limits, Clock::system())), dir: None }
    }

    conformance::suite!(open);
}
