//! Follows objects: what is there, then what changes, as a selection sees it.

use super::catalog::Resource;
use super::list::parse_version;
use super::selection::Selection;
use super::{Registry, failure};
use crate::store::contract::{Event, EventKind, Revision, RevisionError, Store};
use crate::store::entry::Entry;
use crate::store::watchers::{Events, WatchError, Watcher};
use rand::Rng;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::status::{self, Status};
use tinyplane_wire::watch::EventType;

/// How often a watcher that allows it hears how far it has got.
const BOOKMARK_PERIOD: Duration = Duration::from_secs(60);
/// How long before its end a watcher hears that for the last time, where its watch lasts longer than that.
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);
/// How long a watch lasts that names no limit; up to twice as long, so that not all end at once.
const LASTS_AT_LEAST: Duration = Duration::from_secs(1800);
/// How many objects of the beginning are handed out at once.
const INITIAL_BATCH: usize = 512;
/// And of how many bytes these are, one object aside.
const INITIAL_BYTES: usize = 1 << 20;

/// What a watch is to be like.
#[derive(Clone, Debug, Default)]
pub struct WatchAsk {
    /// From when: empty and `0` begin with what is there.
    pub resource_version: String,
    /// Whether to say how far the watch has got.
    pub bookmarks: bool,
    /// Whether what is there comes first, and its end is marked; `None` leaves it to `resource_version`.
    pub initial_events: Option<bool>,
    /// How long it lasts; `None` leaves it to us.
    pub lasts: Option<Duration>,
}

/// What a watcher is told next.
#[derive(Debug)]
pub enum Told {
    /// Things that are told to it alone.
    Own(Vec<Seen>),
    /// Events, all of them as they are: every watch of this range that selects nothing is told the same.
    Shared(Arc<Events>),
}

impl Told {
    /// One by one.
    #[must_use]
    pub fn seen(self) -> Vec<Seen> {
        match self {
            Self::Own(seen) => seen,
            Self::Shared(events) => all(&events),
        }
    }
}

/// What is seen of events where nothing is selected.
#[must_use]
pub fn all(events: &Events) -> Vec<Seen> {
    let seen = |event: &Arc<Event>| {
        let event_type = match event.kind {
            EventKind::Created => EventType::Added,
            EventKind::Updated => EventType::Modified,
            EventKind::Deleted => EventType::Deleted,
        };
        Seen::Object { event: event_type, entry: event.entry.clone(), at: None }
    };
    events.iter().map(seen).collect()
}

/// One thing that a watcher is told.
#[derive(Debug)]
pub enum Seen {
    /// An object came, changed, or went.
    Object {
        /// Which of it.
        event: EventType,
        /// The object.
        entry: Arc<Entry>,
        /// The resource version to tell, where it is not the object's own: it left the selection at that time.
        at: Option<Revision>,
    },
    /// Nothing more has happened up to here.
    Bookmark {
        /// How far the watch has got.
        revision: Revision,
        /// Whether this ends what was there at the beginning.
        ends_initial: bool,
    },
    /// The watch can't go on.
    Failed(Box<Status>),
}

/// A watch. Dropping it ends it.
pub struct Watch {
    watcher: Option<Watcher>,
    resource: Arc<Resource>,
    selection: Selection,
    initial: VecDeque<Arc<Entry>>,
    /// The bookmark that ends the beginning is still to be sent.
    ends_initial: Option<Revision>,
    /// Events up to here are not told: the watcher asked for what comes after a time that has not come.
    skip_to: Revision,
    /// How long it is from the next bookmark to the last one; `None` where none is sent any more.
    until_last: Option<Duration>,
    failed: Option<Box<Status>>,
    clock: Clock,
    deadline: Pin<Box<dyn Future<Output = ()> + Send>>,
    bookmark: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Registry {
    /// Follows what is selected.
    ///
    /// # Errors
    /// 400 for a resource version that is none. One that is gone fails in the watch itself, as upstream has it.
    pub fn watch(&self, resource: &Arc<Resource>, selection: Selection, ask: &WatchAsk) -> status::Result<Watch> {
        let from = match ask.resource_version.as_str() {
            "" | "0" => None,
            text => Some(parse_version(text)?).filter(|version| *version > 0),
        };
        let initial_wanted = ask.initial_events.unwrap_or(from.is_none());
        let lasts = ask.lasts.unwrap_or_else(|| {
            let extra = rand::rng().random_range(0..LASTS_AT_LEAST.as_secs());
            LASTS_AT_LEAST + Duration::from_secs(extra)
        });
        let (first, until_last) = match lasts.checked_sub(BOOKMARK_BEFORE_END).filter(|_| ask.bookmarks) {
            Some(last) if !last.is_zero() => next_bookmark(last),
            _ => (BOOKMARK_PERIOD, None),
        };
        let mut watch = Watch {
            watcher: None,
            resource: resource.clone(),
            selection,
            initial: VecDeque::new(),
            ends_initial: None,
            skip_to: Revision(0),
            until_last,
            failed: None,
            clock: self.clock().clone(),
            deadline: sleep(self.clock(), lasts),
            bookmark: sleep(self.clock(), first),
        };
        let store = self.store();
        if initial_wanted {
            let now = store.snapshot();
            if let Some(from) = from.filter(|from| *from > now.revision().0) {
                // Everything but a parameter that can't be read fails as an event, as upstream has it.
                watch.failed = Some(failure::too_large(from, now.revision().0));
                return Ok(watch);
            }
            let found = now.range(&watch.selection.range, None);
            watch.initial = found.filter(|entry| watch.selection.selects(resource, entry)).cloned().collect();
            watch.ends_initial = (ask.initial_events == Some(true) && ask.bookmarks).then(|| now.revision());
            watch.follow(&**store, now.revision());
        } else {
            watch.follow(&**store, from.map_or_else(|| store.revision(), Revision));
        }
        Ok(watch)
    }
}

/// How long it is until the next bookmark, where the last one comes after so long, and from that one to the last.
fn next_bookmark(last: Duration) -> (Duration, Option<Duration>) {
    let wait = last.min(BOOKMARK_PERIOD);
    (wait, Some(last - wait))
}

fn sleep(clock: &Clock, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let clock = clock.clone();
    Box::pin(async move { clock.sleep(duration).await })
}

impl Watch {
    fn follow(&mut self, store: &dyn Store, after: Revision) {
        match store.watch(self.selection.range.clone(), after) {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(RevisionError::Compacted { compacted }) => {
                self.failed = Some(failure::expired_watch(after.0, compacted.0));
            }
            Err(RevisionError::Future { current }) => {
                self.skip_to = after;
                match store.watch(self.selection.range.clone(), current) {
                    Ok(watcher) => self.watcher = Some(watcher),
                    Err(error) => self.failed = Some(failure::list_revision(after.0, error)),
                }
            }
        }
    }

    /// The row that is watched.
    #[must_use]
    pub fn resource(&self) -> &Arc<Resource> {
        &self.resource
    }

    /// What comes next, as soon as there is something; `None` when the watch is over.
    pub async fn next(&mut self) -> Option<Told> {
        if let Some(status) = self.failed.take() {
            self.watcher = None;
            return Some(Told::Own(vec![Seen::Failed(status)]));
        }
        if !self.initial.is_empty() {
            let mut bytes = 0;
            let fits = |entry: &&Arc<Entry>| {
                bytes += entry.size();
                bytes <= INITIAL_BYTES
            };
            let many = self.initial.iter().take(INITIAL_BATCH).take_while(fits).count().max(1);
            let added = |entry| Seen::Object { event: EventType::Added, entry, at: None };
            return Some(Told::Own(self.initial.drain(..many).map(added).collect()));
        }
        if let Some(revision) = self.ends_initial.take() {
            return Some(Told::Own(vec![Seen::Bookmark { revision, ends_initial: true }]));
        }
        loop {
            let watcher = self.watcher.as_mut()?;
            tokio::select! {
                biased;
                batch = watcher.next() => match batch {
                    Ok(batch) => {
                        let begins = batch.events.first().map(|event| event.revision);
                        if !self.selection.is_selective() && begins > Some(self.skip_to) {
                            return Some(Told::Shared(batch.events));
                        }
                        let seen: Vec<_> = batch.events.iter().filter_map(|event| self.sees(event)).collect();
                        if !seen.is_empty() {
                            return Some(Told::Own(seen));
                        }
                    }
                    Err(WatchError::Compacted { compacted }) => {
                        let reached = watcher.progress();
                        self.watcher = None;
                        return Some(Told::Own(vec![Seen::Failed(failure::expired_watch(reached.0, compacted.0))]));
                    }
                    Err(WatchError::Closed) => return None,
                },
                () = self.bookmark.as_mut(), if self.until_last.is_some() => {
                    let left = self.until_last.take().filter(|left| !left.is_zero());
                    if let Some((wait, left)) = left.map(next_bookmark) {
                        self.bookmark = sleep(&self.clock, wait);
                        self.until_last = left;
                    }
                    let revision = watcher.progress();
                    return Some(Told::Own(vec![Seen::Bookmark { revision, ends_initial: false }]));
                }
                () = self.deadline.as_mut() => {
                    self.watcher = None;
                    return None;
                }
            }
        }
    }

    /// An event as the selection sees it.
    fn sees(&self, event: &Event) -> Option<Seen> {
        if event.revision <= self.skip_to {
            return None;
        }
        let selects = |entry: &Arc<Entry>| self.selection.selects(&self.resource, entry);
        let before = event.previous.as_ref().filter(|previous| selects(previous));
        let after = event.kind != EventKind::Deleted && selects(&event.entry);
        let (event_type, entry, at) = match (before, after) {
            (None, false) => return None,
            (None, true) => (EventType::Added, &event.entry, None),
            (Some(_), true) => (EventType::Modified, &event.entry, None),
            (Some(_), false) if event.kind == EventKind::Deleted => (EventType::Deleted, &event.entry, None),
            (Some(previous), false) => (EventType::Deleted, previous, Some(event.revision)),
        };
        Some(Seen::Object { event: event_type, entry: entry.clone(), at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bookmarks_come_each_minute_and_once_before_the_end() {
        let mut waits = Vec::new();
        let mut last = Some(Duration::from_secs(130));
        while let Some((wait, left)) = last.filter(|left| !left.is_zero()).map(next_bookmark) {
            waits.push(wait.as_secs());
            last = left;
        }
        assert_eq!(waits, [60, 60, 10]);
    }
}
