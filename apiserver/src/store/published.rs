//! What everybody sees: the newest state behind one atomic pointer, and the log of how it came to be.

use super::contract::{Event, Range, Revision, RevisionError};
use super::limits::Limits;
use super::log::{Log, Topic};
use super::snapshot::{Map, Snapshot, State};
use super::watchers::Watcher;
use arc_swap::ArcSwap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// The visible side of a store. Only its committer changes it.
pub(super) struct Published {
    pub(super) limits: Limits,
    state: ArcSwap<State>,
    log: Mutex<Log>,
    closed: AtomicBool,
}

impl Published {
    /// A store that holds `map` at `revision`, with a log that reaches back to its own floor.
    pub(super) fn new(map: Map, revision: Revision, log: Log, limits: Limits) -> Arc<Self> {
        let state = ArcSwap::from_pointee(State { map, revision });
        Arc::new(Self { limits, state, log: Mutex::new(log), closed: AtomicBool::new(false) })
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.state.load_full())
    }

    pub(super) fn revision(&self) -> Revision {
        self.state.load().revision
    }

    pub(super) fn floor(&self) -> Revision {
        self.log().floor()
    }

    pub(super) fn snapshot_at(&self, revision: Revision) -> Result<Snapshot, RevisionError> {
        let log = self.log();
        let current = self.snapshot();
        let revision = log.check(revision, current.revision())?;
        if revision == current.revision() {
            return Ok(current);
        }
        let (closest, events) = log.recall(revision, current);
        drop(log);
        if closest.revision() == revision {
            return Ok(closest);
        }
        let snapshot = closest.undo(&events, revision);
        self.log().remember(&snapshot);
        Ok(snapshot)
    }

    pub(super) fn watch(self: &Arc<Self>, range: &Range, after: Revision) -> Result<Watcher, RevisionError> {
        let mut log = self.log();
        let after = log.check(after, self.revision())?;
        let topic = log.join(range, after);
        // Made under the lock: a topic without a watcher would be taken away.
        Ok(Watcher::new(self.clone(), topic, after))
    }

    pub(super) fn leave(&self, topic: &Arc<Topic>) {
        self.log().leave(topic);
    }

    /// Makes durable events visible, all at once: first the log, then the state, then the watchers are woken. A
    /// watcher reads no further than the state, so who has seen an event finds it in a snapshot.
    pub(super) fn publish(&self, map: &Map, events: &[Arc<Event>], at: SystemTime) {
        let Some(newest) = events.last() else { return };
        let touched = self.log().append(events, at);
        self.state.store(Arc::new(State { map: map.clone(), revision: newest.revision }));
        for topic in touched {
            topic.wake();
        }
    }

    /// How far the limits want the history forgotten when `incoming` is published, and the events that it loses.
    pub(super) fn excess(&self, incoming: &[Arc<Event>], now: SystemTime) -> (Revision, Vec<Arc<Event>>) {
        let log = self.log();
        match log.excess(&self.limits, incoming, now) {
            Some(floor) => (floor, log.up_to(floor).cloned().collect()),
            None => (log.floor(), Vec::new()),
        }
    }

    /// Whether the history may be compacted up to `floor`, and the events that it would lose.
    pub(super) fn compactable(&self, floor: Revision) -> Result<Vec<Arc<Event>>, RevisionError> {
        let log = self.log();
        let current = self.revision();
        if floor > current {
            return Err(RevisionError::Future { current });
        }
        if floor <= log.floor() && floor != current {
            return Err(RevisionError::Compacted { compacted: log.floor() });
        }
        Ok(log.up_to(floor).cloned().collect())
    }

    /// Forgets the history up to `floor`, unless it is already. Wakes nobody: a watcher that waits has seen everything.
    pub(super) fn forget(&self, floor: Revision) {
        let forgotten = self.log().forget(floor);
        // Freed here, outside of the lock.
        drop(forgotten);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Ends the watches once they have seen everything.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let topics: Vec<_> = self.log().topics().cloned().collect();
        topics.iter().for_each(|topic| topic.wake());
    }
}
