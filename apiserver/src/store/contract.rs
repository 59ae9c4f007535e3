//! What a store promises: trait `Store`, and the words in which it is asked and answers.

use super::entry::{Attributes, Entry};
use super::snapshot::Snapshot;
use super::watchers::Watcher;
use bytes::Bytes;
use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A place in the store's history. One store-wide count, which rises by one per committed change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision of a new store, in which nothing has been written yet. The first change makes 2, as in etcd.
    pub const FIRST: Self = Self(1);

    /// The revision after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The name of a stored thing: a path such as `/pods/default/web`. It begins with a slash and does not end with one.
/// Keys are ordered by their bytes. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Key {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Which keys a list or a watch is about. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Range {
    /// Every key below a folder; the text ends with a slash. Made by [`Range::under`].
    Under(Key),
    /// One key.
    Only(Key),
}

impl Range {
    /// Every key below `folder`: `/pods/` is all pods, `/pods/default/` those of a namespace, `/` is everything.
    /// A slash at the end is added where it is missing.
    #[must_use]
    pub fn under(folder: &str) -> Self {
        Self::Under(if folder.ends_with('/') { folder.into() } else { format!("{folder}/").into() })
    }

    /// One key.
    #[must_use]
    pub fn only(key: impl Into<Key>) -> Self {
        Self::Only(key.into())
    }

    /// Whether `key` belongs to the range.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        match self {
            Self::Under(folder) => key.starts_with(folder.as_str()),
            Self::Only(only) => key == only.as_str(),
        }
    }
}

/// What must be true of a key for a write to be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// There is no such key.
    Absent,
    /// The key was last changed at this revision.
    At(Revision),
    /// The key exists, at whatever revision.
    Present,
    /// Nothing is expected.
    Any,
}

/// An object as its writer hands it over.
#[derive(Clone, Debug)]
pub struct Body {
    /// The encoded object.
    pub bytes: Bytes,
    /// Where in `bytes` the committer inserts the decimal digits of the new revision: between the quotes of
    /// `"resourceVersion":""`. `None`: the bytes are stored as they are.
    pub splice: Option<usize>,
    /// What selectors ask of the object.
    pub attributes: Arc<Attributes>,
}

/// What a write does to its key.
#[derive(Clone, Debug)]
pub enum Change {
    /// Creates or replaces the object.
    Put(Body),
    /// Removes the object. Fails with [`CommitError::Missing`] where there is none, whatever was expected.
    Delete,
}

/// One change, and the conditions under which it is made. It gets one revision.
#[derive(Clone, Debug)]
pub struct Write {
    /// The key that changes.
    pub key: Key,
    /// What becomes of it.
    pub change: Change,
    /// What must be true of `key`.
    pub expect: Expect,
    /// What must be true of other keys at the same instant (the namespace still exists, …).
    pub guards: Vec<(Key, Expect)>,
}

impl Write {
    /// Creates `key`, which must not exist.
    #[must_use]
    pub fn create(key: impl Into<Key>, body: Body) -> Self {
        Self { key: key.into(), change: Change::Put(body), expect: Expect::Absent, guards: Vec::new() }
    }

    /// Replaces `key`, which must have been changed last at `at`.
    #[must_use]
    pub fn update(key: impl Into<Key>, at: Revision, body: Body) -> Self {
        Self { key: key.into(), change: Change::Put(body), expect: Expect::At(at), guards: Vec::new() }
    }

    /// Removes `key` if `expect` holds.
    #[must_use]
    pub fn delete(key: impl Into<Key>, expect: Expect) -> Self {
        Self { key: key.into(), change: Change::Delete, expect, guards: Vec::new() }
    }

    /// Also demands that `expect` holds for `key`.
    #[must_use]
    pub fn guard(mut self, key: impl Into<Key>, expect: Expect) -> Self {
        self.guards.push((key.into(), expect));
        self
    }
}

/// The answer to a committed write: it is durable, and visible in every later snapshot.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The revision of the change.
    pub revision: Revision,
    /// The object as it is stored now; of a deletion, the last object with the deletion's revision spliced in.
    pub entry: Arc<Entry>,
    /// What the key held before.
    pub previous: Option<Arc<Entry>>,
}

/// How an event changed its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The key did not exist before.
    Created,
    /// The key existed and has a new object.
    Updated,
    /// The key is gone.
    Deleted,
}

/// One committed change, as watchers see it. Made once and shared.
#[derive(Debug)]
pub struct Event {
    /// The revision of the change.
    pub revision: Revision,
    /// How the key changed.
    pub kind: EventKind,
    /// The new object; of a deletion, the last object with the deletion's revision spliced in.
    pub entry: Arc<Entry>,
    /// The object before the change: for selectors that an update moves an object out of. `None` when created.
    pub previous: Option<Arc<Entry>>,
}

impl Event {
    /// The key that changed.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.entry.key
    }
}

/// Why a store does nothing any more.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unavailable {
    /// It was closed.
    #[error("the store is closed")]
    Closed,
    /// Its disk failed. What was answered before stays durable; nothing more is accepted until it is opened again.
    #[error("the store's disk failed: {cause}")]
    Failed {
        /// The first failure.
        cause: Arc<str>,
    },
}

/// Why a write was not made. Nothing changed, except perhaps after [`Unavailable::Failed`], whose write may turn up
/// when the store is opened again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// The key was expected to be absent.
    #[error("{} exists", current.key)]
    Exists {
        /// What the key holds.
        current: Arc<Entry>,
    },
    /// The key was expected to exist, or was to be deleted.
    #[error("{key} does not exist")]
    Missing {
        /// The key.
        key: Key,
    },
    /// The key was changed since the expected revision.
    #[error("{} is at revision {}, not {expected}", current.key, current.modified)]
    Stale {
        /// What the key holds.
        current: Arc<Entry>,
        /// The revision that was expected.
        expected: Revision,
    },
    /// A guard does not hold.
    #[error("the guard on {key} does not hold")]
    Guard {
        /// The guarded key.
        key: Key,
        /// What it holds.
        current: Option<Arc<Entry>>,
    },
    /// The object is larger than the store takes.
    #[error("an object of {bytes} bytes is larger than {bytes_max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The key does not begin with a slash, ends with one, or is longer than the store takes.
    #[error("{key} is no key of the store")]
    BadKey {
        /// The key.
        key: Key,
    },
    /// The splice lies outside of the object.
    #[error("the splice at {splice} lies outside of an object of {bytes} bytes")]
    BadSplice {
        /// The offset that was given.
        splice: usize,
        /// The object's size.
        bytes: usize,
    },
    /// The store takes no writes any more.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a revision cannot be read, or watched from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevisionError {
    /// The history up to `compacted` is gone. (etcd: "required revision has been compacted"; HTTP: 410.)
    #[error("the history before revision {compacted} has been compacted")]
    Compacted {
        /// The oldest revision that can still be read or watched from.
        compacted: Revision,
    },
    /// The revision has not happened yet.
    #[error("the revision is in the future, the current one is {current}")]
    Future {
        /// The newest revision.
        current: Revision,
    },
}

/// Why history was not compacted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CompactError {
    /// The revision is compacted already, or has not happened yet.
    #[error(transparent)]
    Revision(#[from] RevisionError),
    /// The store takes no writes any more.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Bytes under keys at revisions.
///
/// Promises that every implementation keeps (`conformance` checks them):
/// * a revision is given by the store alone, rises by one per committed change, and is never reused;
/// * durable before visible: what a snapshot, a watcher or an answer shows survives a crash;
/// * a commit that was answered is in every snapshot taken afterwards;
/// * watches are ordered, unique, atomic, reliable, resumable and bookmarkable.
#[async_trait::async_trait]
pub trait Store: Send + Sync + 'static {
    /// Everything as of now. Takes no lock.
    fn snapshot(&self) -> Snapshot;

    /// Everything as of `revision`, which may lie in the kept history.
    ///
    /// # Errors
    /// The revision has been compacted, or has not happened yet.
    fn snapshot_at(&self, revision: Revision) -> Result<Snapshot, RevisionError>;

    /// The newest visible revision.
    fn revision(&self) -> Revision {
        self.snapshot().revision()
    }

    /// Makes one change, and answers when it is durable and visible. Once called, the write may be made even if the
    /// future is dropped.
    ///
    /// # Errors
    /// See [`CommitError`].
    async fn commit(&self, write: Write) -> Result<Committed, CommitError>;

    /// Follows the changes of `range` with revisions above `after`. `Revision(0)` is the beginning of history.
    ///
    /// # Errors
    /// Changes after that revision have been compacted, or it has not happened yet.
    fn watch(&self, range: Range, after: Revision) -> Result<Watcher, RevisionError>;

    /// Forgets the history up to `revision`: it stays readable itself, what came before does not.
    ///
    /// # Errors
    /// The revision is compacted already or lies in the future, or the store is unavailable.
    async fn compact(&self, revision: Revision) -> Result<(), CompactError>;

    /// Whether writes are accepted.
    ///
    /// # Errors
    /// Why no write is accepted any more.
    fn works(&self) -> Result<(), Unavailable>;

    /// Finishes the writes that wait, ends the watches, and lets go of the disk. Reads go on working.
    async fn close(&self);
}
