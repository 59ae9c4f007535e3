//! A store that tells how long each change took. Reads are passed on as they are: they take no time worth telling.

use super::contract::{
    Change, CommitError, Committed, CompactError, Expect, Range, Revision, RevisionError, Store, Unavailable, Write,
};
use super::snapshot::Snapshot;
use super::watchers::Watcher;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Who is told: the operation, the key's folder, and the time.
pub type Tell = Box<dyn Fn(&'static str, &str, Duration) + Send + Sync>;

/// The store, and who is told.
pub struct Measured {
    /// The store itself.
    pub inner: Arc<dyn Store>,
    /// Who is told.
    pub tell: Tell,
}

/// The folder of a key: everything before the namespace and the name. It ends where the resource's name ends.
fn folder(key: &str) -> &str {
    // `/GROUP/RESOURCE/…`; what lies in the core group has its own word there.
    let mut slashes = key.match_indices('/').map(|(at, _)| at);
    slashes.nth(2).map_or(key, |end| &key[..end])
}

#[async_trait::async_trait]
impl Store for Measured {
    fn snapshot(&self) -> Snapshot {
        self.inner.snapshot()
    }

    fn snapshot_at(&self, revision: Revision) -> Result<Snapshot, RevisionError> {
        self.inner.snapshot_at(revision)
    }

    fn revision(&self) -> Revision {
        self.inner.revision()
    }

    async fn commit(&self, write: Write) -> Result<Committed, CommitError> {
        let operation = match (&write.change, write.expect) {
            (Change::Delete, _) => "delete",
            (Change::Put(_), Expect::Absent) => "create",
            (Change::Put(_), _) => "update",
        };
        let (key, began) = (write.key.clone(), Instant::now());
        let committed = self.inner.commit(write).await;
        (self.tell)(operation, folder(key.as_str()), began.elapsed());
        committed
    }

    fn watch(&self, range: Range, after: Revision) -> Result<Watcher, RevisionError> {
        self.inner.watch(range, after)
    }

    async fn compact(&self, revision: Revision) -> Result<(), CompactError> {
        self.inner.compact(revision).await
    }

    fn works(&self) -> Result<(), Unavailable> {
        self.inner.works()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
