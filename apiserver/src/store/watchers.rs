//! A watcher: a cursor in the shared log, never a queue of copies.

use super::contract::{Event, Revision};
use super::log::Topic;
use super::published::Published;
use std::sync::Arc;
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

/// What happened in a watcher's range since it was asked last.
#[derive(Debug)]
pub struct Batch {
    /// The events, in the order of their revisions. At least one.
    pub events: Vec<Arc<Event>>,
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
        let story = self.topic.story();
        if story.forgotten > self.cursor {
            drop(story);
            return Err(WatchError::Compacted { compacted: self.published.floor() });
        }
        let first = story.events.partition_point(|event| event.revision <= self.cursor);
        let waiting = story.events.range(first..).take_while(|event| event.revision <= visible);
        let events: Vec<_> = waiting.take(self.published.limits.watch_batch_events_max).cloned().collect();
        drop(story);
        let full = events.len() == self.published.limits.watch_batch_events_max;
        self.cursor = match events.last() {
            Some(last) if full => last.revision,
            _ => visible.max(self.cursor),
        };
        Ok((!events.is_empty()).then_some(Batch { events, reached: self.cursor }))
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
