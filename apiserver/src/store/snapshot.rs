//! Everything in the store at one revision: immutable, cheap to hold, read without a lock.

use super::contract::{Event, Key, Range, Revision};
use super::entry::Entry;
use imbl::OrdMap;
use std::ops::Bound;
use std::sync::Arc;

/// The objects by key.
pub(super) type Map = OrdMap<Key, Arc<Entry>>;

/// Everything in the store at one revision. Cheap to clone.
#[derive(Clone)]
pub struct Snapshot {
    state: Arc<State>,
}

/// What is published: a map, and the revision that it shows.
pub(super) struct State {
    pub(super) map: Map,
    pub(super) revision: Revision,
}

impl Snapshot {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// The revision that the snapshot shows.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.state.revision
    }

    /// The object under a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Arc<Entry>> {
        self.state.map.get(key)
    }

    /// The objects of a range in the order of their keys; with `after`, only those whose keys are greater.
    pub fn range<'a>(&'a self, range: &'a Range, after: Option<&'a str>) -> impl Iterator<Item = &'a Arc<Entry>> {
        let (Range::Under(first) | Range::Only(first)) = range;
        let start = match after {
            Some(after) if after >= first.as_str() => Bound::Excluded(after),
            _ => Bound::Included(first.as_str()),
        };
        self.state
            .map
            .range::<_, str>((start, Bound::Unbounded))
            .map(|(_, entry)| entry)
            .take_while(move |entry| range.contains(&entry.key))
    }

    /// How many objects a range has; with `after`, how many of them have greater keys.
    #[must_use]
    pub fn count(&self, range: &Range, after: Option<&str>) -> usize {
        self.range(range, after).count()
    }

    /// The snapshot as it was at `revision`. `events` are the changes above it up to this snapshot, in order.
    pub(super) fn undo(&self, events: &[Arc<Event>], revision: Revision) -> Self {
        let mut map = self.state.map.clone();
        for event in events.iter().rev() {
            match &event.previous {
                Some(previous) => map.insert(event.key().clone(), previous.clone()),
                None => map.remove(event.key().as_str()),
            };
        }
        Self::new(Arc::new(State { map, revision }))
    }
}
