//! A watcher: a cursor in the shared log, never a queue of copies.

use super::contract::{Event, Revision};
use super::forms::FormId;
use super::log::Topic;
use super::published::Published;
use bytes::Bytes;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Why a watch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// The watcher was too slow: events that it had not seen are gone.
    #[error("the history before revision {compacted} has been compacted")]
    Compacted {
        /// The oldest revision that can still be watched from.
        compacted: Revision,
    },
    /// The store was closed, and everything before that has been seen.
    #[error("the store is closed")]
    Closed,
}

/// How many encodings of one group of events are kept, and of how many bytes each.
const FORMS_MAX: usize = 4;
const FORM_BYTES_MAX: usize = 256 << 10;

/// Events of a range, in the order of their revisions: one group for all watchers of the range that are as far.
#[derive(Debug)]
pub struct Events {
    list: Box<[Arc<Event>]>,
    forms: Mutex<Vec<(FormId, Bytes)>>,
}

impl Events {
    pub(super) fn new(list: Box<[Arc<Event>]>) -> Self {
        Self { list, forms: Mutex::default() }
    }

    /// Where the group begins and ends.
    pub(super) fn span(&self) -> Option<(Revision, Revision)> {
        Some((self.list.first()?.revision, self.list.last()?.revision))
    }

    /// All of them in an encoding: made at its first use, while others that want it wait, and kept unless it is large.
    pub fn form(&self, id: FormId, make: impl FnOnce() -> Bytes) -> Bytes {
        let mut forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, made)) = forms.iter().find(|(made, _)| *made == id) {
            return made.clone();
        }
        let made = make();
        if forms.len() < FORMS_MAX && made.len() <= FORM_BYTES_MAX {
            forms.push((id, made.clone()));
        }
        made
    }
}

impl Deref for Events {
    type Target = [Arc<Event>];
    fn deref(&self) -> &[Arc<Event>] {
        &self.list
    }
}

/// What happened in a watcher's range since it was asked last.
#[derive(Debug)]
pub struct Batch {
    /// The events. At least one.
    pub events: Arc<Events>,
    /// The watcher has now seen everything up to this revision; a watch may be resumed after it.
    pub reached: Revision,
}

/// Follows the changes of a range. It costs no more than its place: events are read from the shared log.
pub struct Watcher {
    published: Arc<Published>,
    topic: Arc<Topic>,
    wake: Option<watch::Receiver<()>>,
    cursor: Revision,
}

impl Watcher {
    pub(super) fn new(published: Arc<Published>, topic: Arc<Topic>, after: Revision) -> Self {
        let wake = Some(topic.subscribe());
        Self { published, topic, wake, cursor: after }
    }

    /// The next events, as soon as there are any. May be dropped and called again: nothing is lost.
    ///
    /// # Errors
    /// The watcher fell behind the kept history, or the store was closed.
    pub async fn next(&mut self) -> Result<Batch, WatchError> {
        loop {
            if let Some(wake) = &mut self.wake {
                wake.mark_unchanged();
            }
            // Asked before the events are looked at: what is published afterwards wakes us once more.
            let closed = self.published.is_closed();
            if let Some(batch) = self.ready()? {
                return Ok(batch);
            }
            if closed {
                return Err(WatchError::Closed);
            }
            let Some(wake) = &mut self.wake else { return Err(WatchError::Closed) };
            wake.changed().await.map_err(|_| WatchError::Closed)?;
        }
    }

    /// The events that have happened already, if any.
    ///
    /// # Errors
    /// The watcher fell behind the kept history.
    pub fn ready(&mut self) -> Result<Option<Batch>, WatchError> {
        // Read before the story: every event up to here is in it.
        let visible = self.published.revision();
        let mut story = self.topic.story();
        if story.forgotten > self.cursor {
            drop(story);
            return Err(WatchError::Compacted { compacted: self.published.floor() });
        }
        let group = story.between(self.cursor, visible, &self.published.limits);
        drop(story);
        let last = group.as_ref().filter(|(_, more)| *more).and_then(|(events, _)| events.last());
        self.cursor = last.map_or(visible.max(self.cursor), |last| last.revision);
        Ok(group.map(|(events, _)| Batch { events, reached: self.cursor }))
    }

    /// A revision up to which the watcher has been handed everything: for bookmarks. Moves on with the store while
    /// nothing happens in the range.
    pub fn progress(&mut self) -> Revision {
        let visible = self.published.revision();
        let story = self.topic.story();
        let unseen = story.events.back().is_some_and(|newest| newest.revision > self.cursor);
        if !unseen && story.forgotten <= self.cursor {
            self.cursor = visible.max(self.cursor);
        }
        self.cursor
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // The receiver goes first: the topic counts them.
        self.wake = None;
        self.published.leave(&self.topic);
    }
}

#[cfg(test)]
mod tests {
    use super::super::contract::{Body, Range, Store, Write};
    use super::super::limits::Limits;
    use super::super::memory::MemoryStore;
    use super::*;
    use tinyplane_wire::clock::Clock;

    #[tokio::test]
    async fn watchers_that_are_as_far_are_handed_one_group_which_is_encoded_once() {
        let store = MemoryStore::new(Limits::default(), Clock::system());
        let watch = || store.watch(Range::under("/pods"), Revision(0)).unwrap();
        let (mut one, mut other, mut late) = (watch(), watch(), watch());
        let put = |name: &str| {
            let body = Body { bytes: Bytes::from_static(b"{}"), splice: None, attributes: Arc::default() };
            store.commit(Write::create(name, body))
        };
        put("/pods/a").await.unwrap();
        let (first, same) = (one.next().await.unwrap().events, other.next().await.unwrap().events);
        assert!(Arc::ptr_eq(&first, &same));
        assert_eq!(first.form(FormId(1), || "made".into()), "made");
        assert_eq!(same.form(FormId(1), || unreachable!("it is made once")), "made");
        put("/pods/b").await.unwrap();
        let both = late.next().await.unwrap().events;
        assert_eq!((both.len(), one.next().await.unwrap().events.len()), (2, 1));
    }
}
