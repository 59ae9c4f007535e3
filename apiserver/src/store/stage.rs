//! Decides one write at a time against everything decided before it, and gives the revisions.

use super::contract::{Change, CommitError, Committed, Event, EventKind, Expect, Key, Revision, Write};
use super::entry::Entry;
use super::forms::FormCache;
use super::limits::Limits;
use super::snapshot::Map;
use std::sync::Arc;

/// The committer's own state, ahead of what is published by the writes that are not durable yet.
pub(super) struct Stage {
    pub(super) map: Map,
    pub(super) revision: Revision,
    pub(super) limits: Limits,
    pub(super) forms: Arc<FormCache>,
}

impl Stage {
    /// An empty store.
    pub(super) fn new(limits: Limits) -> Self {
        let forms = FormCache::new(limits.form_bytes_max);
        Self { map: Map::new(), revision: Revision::FIRST, limits, forms }
    }

    /// Checks a write and makes its event, at the next revision.
    pub(super) fn decide(&mut self, write: Write) -> Result<Arc<Event>, CommitError> {
        self.check_form(&write.key, &write.change)?;
        for (key, expect) in &write.guards {
            if check(key, self.map.get(key.as_str()), *expect).is_err() {
                let current = self.map.get(key.as_str()).cloned();
                return Err(CommitError::Guard { key: key.clone(), current });
            }
        }
        let previous = self.map.get(write.key.as_str());
        check(&write.key, previous, write.expect)?;
        let previous = previous.cloned();
        let revision = self.revision.next();
        let (kind, entry) = match (write.change, &previous) {
            (Change::Put(body), previous) => {
                let kind = if previous.is_some() { EventKind::Updated } else { EventKind::Created };
                let created = previous.as_ref().map_or(revision, |previous| previous.created);
                // An update shares its key with the object it replaces.
                let key = previous.as_ref().map_or(write.key, |previous| previous.key.clone());
                let entry = Entry::written(key, body, created, revision, &self.forms);
                (kind, if let Some(previous) = previous { entry.after(previous) } else { entry })
            }
            (Change::Delete, Some(previous)) => (EventKind::Deleted, previous.tombstone(revision)),
            (Change::Delete, None) => return Err(CommitError::Missing { key: write.key }),
        };
        let event = Arc::new(Event { revision, kind, entry: Arc::new(entry), previous });
        self.apply(&event);
        Ok(event)
    }

    /// Moves the map on by an event.
    pub(super) fn apply(&mut self, event: &Event) {
        if let Some(previous) = &event.previous {
            previous.pack(&event.entry);
        }
        match event.kind {
            EventKind::Created | EventKind::Updated => {
                self.map.insert(event.entry.key.clone(), event.entry.clone());
            }
            EventKind::Deleted => {
                self.map.remove(event.entry.key.as_str());
            }
        }
        self.revision = event.revision;
    }

    fn check_form(&self, key: &Key, change: &Change) -> Result<(), CommitError> {
        let long = key.len() > usize::from(self.limits.key_bytes_max);
        if long || !key.starts_with('/') || key.ends_with('/') {
            return Err(CommitError::BadKey { key: key.clone() });
        }
        let Change::Put(body) = change else { return Ok(()) };
        let (bytes, bytes_max) = (body.bytes.len(), self.limits.object_bytes_max);
        if bytes > bytes_max {
            return Err(CommitError::TooLarge { bytes, bytes_max });
        }
        match body.splice {
            Some(splice) if splice > bytes => Err(CommitError::BadSplice { splice, bytes }),
            _ => Ok(()),
        }
    }
}

fn check(key: &Key, current: Option<&Arc<Entry>>, expect: Expect) -> Result<(), CommitError> {
    match (expect, current) {
        (Expect::Absent, Some(current)) => Err(CommitError::Exists { current: current.clone() }),
        (Expect::At(_) | Expect::Present, None) => Err(CommitError::Missing { key: key.clone() }),
        (Expect::At(expected), Some(current)) if current.modified != expected => {
            Err(CommitError::Stale { current: current.clone(), expected })
        }
        _ => Ok(()),
    }
}

/// The answer to the writer of an event.
pub(super) fn committed(event: &Event) -> Committed {
    Committed { revision: event.revision, entry: event.entry.clone(), previous: event.previous.clone() }
}
