//! The story of the changes that are still kept, in order, and one topic for each range that is being watched.

use super::contract::{Event, EventKind, Key, Range, Revision, RevisionError};
use super::limits::Limits;
use super::snapshot::Snapshot;
use super::watchers::Events;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tokio::sync::watch;

/// Old snapshots that were asked for lately: the later pages of a list find theirs here.
const RECALLED_MAX: usize = 8;

/// What an event costs beside its objects' bytes.
const EVENT_BYTES: usize = 512;

/// The kept events, without a gap: `floor + 1` up to the newest. Lock order: the log, then a topic's story.
pub(super) struct Log {
    /// The oldest revision that can be read or watched from.
    floor: Revision,
    events: VecDeque<Logged>,
    /// What the events keep alive: the objects that they replaced.
    bytes: usize,
    topics: Topics,
    recalled: VecDeque<Snapshot>,
}

struct Logged {
    event: Arc<Event>,
    at: SystemTime,
    bytes: usize,
}

/// The watched ranges, by their text: those below a folder, and single keys.
#[derive(Default)]
struct Topics {
    under: HashMap<Key, Arc<Topic>>,
    only: HashMap<Key, Arc<Topic>>,
}

/// A range that somebody watches, and its share of the log.
pub(super) struct Topic {
    range: Range,
    story: Mutex<Story>,
    /// Wakes the watchers of the range after new events have become visible.
    wake: watch::Sender<()>,
}

/// The kept events of one range.
pub(super) struct Story {
    /// Events up to here were not collected: no watcher of the topic asked for them.
    since: Revision,
    /// The newest event of the range that was forgotten.
    pub(super) forgotten: Revision,
    pub(super) events: VecDeque<Arc<Event>>,
    /// The group that was handed out last.
    latest: Option<Arc<Events>>,
    woken: bool,
}

impl Story {
    /// The next events above `after`, as far as they are visible and the limits of a batch allow: the group that another
    /// watcher was handed, if it is the same. And whether there are more.
    pub(super) fn between(
        &mut self,
        after: Revision,
        visible: Revision,
        limits: &Limits,
    ) -> Option<(Arc<Events>, bool)> {
        let first = self.events.partition_point(|event| event.revision <= after);
        let all = self.events.partition_point(|event| event.revision <= visible);
        let mut bytes = 0;
        let mut fits = |event: &Arc<Event>| {
            let is_first = bytes == 0;
            bytes += event.entry.size();
            is_first || bytes <= limits.watch_batch_bytes_max
        };
        let most = all.min(first.saturating_add(limits.watch_batch_events_max));
        if first >= most {
            return None;
        }
        let end = first + self.events.range(first..most).take_while(|event| fits(event)).count();
        let span = (self.events[first].revision, self.events[end - 1].revision);
        if let Some(latest) = self.latest.as_ref().filter(|latest| latest.span() == Some(span)) {
            return Some((Arc::clone(latest), end < all));
        }
        let group = Arc::new(Events::new(self.events.range(first..end).cloned().collect()));
        self.latest = Some(Arc::clone(&group));
        Some((group, end < all))
    }
}

impl Topic {
    pub(super) fn story(&self) -> MutexGuard<'_, Story> {
        self.story.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wake(&self) {
        self.story().woken = false;
        self.wake.send_replace(());
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<()> {
        self.wake.subscribe()
    }
}

impl Topics {
    fn of(&mut self, range: &Range) -> (&mut HashMap<Key, Arc<Topic>>, Key) {
        match range {
            Range::Under(folder) => (&mut self.under, folder.clone()),
            Range::Only(key) => (&mut self.only, key.clone()),
        }
    }

    /// The topics that a key belongs to: itself, and each folder above it.
    fn about<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Arc<Topic>> {
        let folders = key.match_indices('/').filter_map(|(at, _)| self.under.get(&key[..=at]));
        folders.chain(self.only.get(key))
    }
}

impl Log {
    pub(super) fn new(floor: Revision) -> Self {
        Self { floor, events: VecDeque::new(), bytes: 0, topics: Topics::default(), recalled: VecDeque::new() }
    }

    pub(super) fn floor(&self) -> Revision {
        self.floor
    }

    /// Adds new events to the log and to the stories of the ranges they belong to. Answers the topics to wake.
    pub(super) fn append(&mut self, events: &[Arc<Event>], at: SystemTime) -> Vec<Arc<Topic>> {
        let mut touched = Vec::new();
        for event in events {
            for topic in self.topics.about(event.key()) {
                let mut story = topic.story();
                story.events.push_back(event.clone());
                if !std::mem::replace(&mut story.woken, true) {
                    touched.push(topic.clone());
                }
            }
            let bytes = weigh(event);
            self.bytes += bytes;
            self.events.push_back(Logged { event: event.clone(), at, bytes });
        }
        touched
    }

    /// How far the limits want the history forgotten, if further than it is, once `incoming` has been added.
    pub(super) fn excess(&self, limits: &Limits, incoming: &[Arc<Event>], now: SystemTime) -> Option<Revision> {
        let mut bytes = self.bytes + incoming.iter().map(|event| weigh(event)).sum::<usize>();
        let mut count = self.events.len() + incoming.len();
        let excess = self.events.iter().take_while(|logged| {
            let age = now.duration_since(logged.at).unwrap_or_default();
            let over =
                count > limits.history_events_max || bytes > limits.history_bytes_max || age > limits.history_age_max;
            bytes -= logged.bytes;
            count -= 1;
            over
        });
        excess.last().map(|logged| logged.event.revision)
    }

    /// Forgets the events up to `floor`, and answers them.
    pub(super) fn forget(&mut self, floor: Revision) -> Vec<Arc<Event>> {
        let mut forgotten = Vec::new();
        while self.events.front().is_some_and(|oldest| oldest.event.revision <= floor) {
            let Some(logged) = self.events.pop_front() else { break };
            self.bytes -= logged.bytes;
            for topic in self.topics.about(logged.event.key()) {
                let mut story = topic.story();
                story.forgotten = logged.event.revision;
                if story.events.front().is_some_and(|oldest| oldest.revision <= floor) {
                    story.events.pop_front();
                    story.latest = None;
                }
            }
            forgotten.push(logged.event);
        }
        self.floor = self.floor.max(floor);
        self.recalled.retain(|snapshot| snapshot.revision() >= floor);
        forgotten
    }

    /// The events up to `floor`, in order.
    pub(super) fn up_to(&self, floor: Revision) -> impl Iterator<Item = &Arc<Event>> {
        self.events.iter().map(|logged| &logged.event).take_while(move |event| event.revision <= floor)
    }

    /// The events with revisions above `after`, in order.
    fn after(&self, after: Revision) -> impl Iterator<Item = &Arc<Event>> {
        let skip = usize::try_from(after.0.saturating_sub(self.floor.0)).unwrap_or(usize::MAX);
        self.events.range(skip.min(self.events.len())..).map(|logged| &logged.event)
    }

    /// Whether `revision` is still, and already, in the history; `Revision(0)` is its beginning.
    pub(super) fn check(&self, revision: Revision, current: Revision) -> Result<Revision, RevisionError> {
        let revision = revision.max(Revision::FIRST);
        if revision > current {
            return Err(RevisionError::Future { current });
        }
        if revision < self.floor {
            return Err(RevisionError::Compacted { compacted: self.floor });
        }
        Ok(revision)
    }

    /// The closest snapshot at or above `revision`, and the events between the two. `current` is the published one.
    pub(super) fn recall(&self, revision: Revision, current: Snapshot) -> (Snapshot, Vec<Arc<Event>>) {
        let recalled = self.recalled.iter().filter(|snapshot| snapshot.revision() >= revision);
        let closest = recalled.min_by_key(|snapshot| snapshot.revision()).cloned().unwrap_or(current);
        let until = closest.revision();
        let events = self.after(revision).take_while(|event| event.revision <= until).cloned().collect();
        (closest, events)
    }

    /// Keeps an old snapshot for who asks next.
    pub(super) fn remember(&mut self, snapshot: &Snapshot) {
        if snapshot.revision() < self.floor || self.recalled.iter().any(|kept| kept.revision() == snapshot.revision()) {
            return;
        }
        if self.recalled.len() == RECALLED_MAX {
            self.recalled.pop_front();
        }
        self.recalled.push_back(snapshot.clone());
    }

    /// The topic of a range, whose story reaches back to `after` at least.
    pub(super) fn join(&mut self, range: &Range, after: Revision) -> Arc<Topic> {
        let (topics, text) = self.topics.of(range);
        let known = topics.get(&text).cloned();
        let topic = known.unwrap_or_else(|| {
            let newest = self.events.back().map_or(self.floor, |logged| logged.event.revision);
            let story =
                Story { since: newest, forgotten: Revision(0), events: VecDeque::new(), latest: None, woken: false };
            Arc::new(Topic { range: range.clone(), story: Mutex::new(story), wake: watch::Sender::new(()) })
        });
        let mut story = topic.story();
        if after < story.since {
            let since = story.since;
            let earlier = self.after(after).take_while(|event| event.revision <= since);
            let mut events: VecDeque<_> = earlier.filter(|event| range.contains(event.key())).cloned().collect();
            events.append(&mut story.events);
            story.events = events;
            story.since = after;
        }
        drop(story);
        let (topics, text) = self.topics.of(range);
        topics.insert(text, topic.clone());
        topic
    }

    /// A watcher of the topic has gone; the last one takes the topic along.
    pub(super) fn leave(&mut self, topic: &Arc<Topic>) {
        if topic.wake.receiver_count() == 0 {
            let (topics, text) = self.topics.of(&topic.range);
            if topics.get(&text).is_some_and(|kept| Arc::ptr_eq(kept, topic)) {
                topics.remove(&text);
            }
        }
    }

    pub(super) fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.under.values().chain(self.topics.only.values())
    }
}

/// What an event keeps alive: itself, the object that it replaced, and of a deletion the last object, which is nowhere else.
fn weigh(event: &Event) -> usize {
    let last = if event.kind == EventKind::Deleted { event.entry.weight() } else { 0 };
    EVENT_BYTES + last + event.previous.as_ref().map_or(0, |previous| previous.weight())
}
