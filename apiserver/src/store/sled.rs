//! The journal in a sled database: records in chunks under their revisions, and one sync per commit.
//!
//! The folder holds `format` (says whose it is, written last when it is made), `lock` (held while it is open), `last`
//! (a revision that was durable once) and `sled/`. In the one tree, `r`, revision (8, big-endian), chunk (2, big-endian) names a chunk of a record, and
//! `z` the head: the format's mark, the floor (8), the newest revision (8) and their checksum (4). The head is written last, and
//! sled comes back with what it was told first: records beyond the head are of a commit that was cut off, and are forgotten.
//!
//! sled's own flush ends in `sync_file_range`, which a power cut may undo, so `sled/db` is synced through a
//! descriptor of ours. sled puts pages above 128 KiB into files of their own, which that would not reach: chunks are
//! so small that no page grows that large.

mod folder;

pub use folder::OpenError;

use super::contract::Revision;
use super::durable::{DurableStore, verify};
use super::entry::Describe;
use super::journal::{Batch, Head, Journal, JournalError, Visit};
use super::limits::Limits;
use folder::{Copied, Folder, Note};
use sled::{Db, IVec};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use tinyplane_wire::clock::Clock;

/// A page of sled holds up to 18 values before it splits, and must stay below 128 KiB. Whatever the size of its cache,
/// sled keeps the last pages of each of its 256 shards in memory: small chunks make small pages. With sled's own word beside it,
/// a chunk must not be larger than the allocator's 2 KiB, or it takes a quarter more.
const CHUNK_BYTES_MAX: usize = 2_000;

/// sled's cache. Everything is read from memory, so it serves only the page that grows.
const CACHE_BYTES_MAX: u64 = 2 << 20;

const MARK: &[u8] = b"tinyplane";
const HEAD_KEY: &[u8] = b"z";

/// Opens the store in `dir`, or makes one where there is nothing. `describe` computes the attributes of what is read
/// back. Blocks on the disk.
///
/// # Errors
/// See [`OpenError`].
pub fn open(dir: &Path, describe: &Arc<dyn Describe>, limits: Limits, clock: Clock) -> Result<DurableStore, OpenError> {
    with_journal(dir, |journal| DurableStore::start(journal, describe, limits, clock))
}

/// Reads the store in `dir` as [`open`] would, and lets it go again. What is not there yet is sound. Blocks on the disk.
///
/// # Errors
/// See [`OpenError`].
pub fn check(dir: &Path) -> Result<(), OpenError> {
    if folder::inspect(dir)? { Ok(()) } else { with_journal(dir, |mut journal| verify(&mut journal)) }
}

/// Hands the journal in `dir` on; a folder whose journal is refused stays as it was.
fn with_journal<T>(dir: &Path, read: impl FnOnce(SledJournal) -> Result<T, JournalError>) -> Result<T, OpenError> {
    let folder = Arc::new(Folder::claim(dir)?);
    let copied = if folder.is_new { None } else { folder.keep_copy() };
    match (SledJournal::open(folder.clone()).and_then(read), copied) {
        (Ok(done), copied) => {
            copied.iter().for_each(Copied::discard);
            Ok(done)
        }
        (Err(error), None) => Err(refused(dir, error)),
        (Err(error), Some(copied)) => match copied.restore() {
            Ok(()) => Err(refused(dir, error)),
            Err(restoring) => {
                let detail = format!("{error}; and what it was before stays in {}: {restoring}", "sled.copy");
                Err(refused(dir, JournalError::Corrupt(detail)))
            }
        },
    }
}

fn refused(dir: &Path, error: JournalError) -> OpenError {
    match error {
        JournalError::Disk(detail) => OpenError::Disk { dir: dir.into(), detail },
        JournalError::Corrupt(detail) => OpenError::Corrupt { dir: dir.into(), detail },
    }
}

/// The disk of a store on sled.
pub(super) struct SledJournal {
    db: Db,
    head: Head,
    /// `sled/db`, opened once more to sync it.
    file: File,
    note: Note,
    /// Whether the folder does not yet say that there is a store in it. The first sync makes it.
    is_unfinished: bool,
    /// Kept, with its lock, for longer than the database.
    folder: Arc<Folder>,
}

impl SledJournal {
    pub(super) fn open(folder: Arc<Folder>) -> Result<Self, JournalError> {
        let opened = catch_unwind(AssertUnwindSafe(|| Self::open_database(folder)));
        opened.unwrap_or_else(|_| Err(JournalError::Corrupt("sled cannot read it".into())))
    }

    fn open_database(folder: Arc<Folder>) -> Result<Self, JournalError> {
        folder.await_release()?;
        let path = folder.database();
        let config = sled::Config::new().path(&path).cache_capacity(CACHE_BYTES_MAX).flush_every_ms(None);
        let db = config.open()?;
        let head = match db.get(HEAD_KEY)? {
            Some(head) => decode_head(&head).ok_or_else(|| JournalError::Corrupt("its head cannot be read".into()))?,
            // Its first commit may have been cut off.
            None if folder.is_new => Head { floor: Revision::FIRST, last: Revision::FIRST },
            None => return Err(JournalError::Corrupt("its head is missing".into())),
        };
        let file = File::open(path.join("db"))?;
        let note = folder.note()?;
        if !folder.is_new {
            let noted = note.read()?;
            let noted =
                noted.ok_or_else(|| JournalError::Corrupt("the note of its last revision is damaged".into()))?;
            if head.last < noted {
                let detail = format!("it ends at revision {}, and had come to {noted}", head.last);
                return Err(JournalError::Corrupt(detail));
            }
        }
        Ok(Self { db, head, file, note, is_unfinished: folder.is_new, folder })
    }
}

/// Takes out the records of a commit that was cut off: their revisions will be those of others.
fn forget(db: &Db, beyond: &[IVec]) -> Result<(), JournalError> {
    if beyond.is_empty() {
        return Ok(());
    }
    for key in beyond {
        db.remove(key)?;
    }
    db.flush()?;
    Ok(())
}

impl Journal for SledJournal {
    fn head(&self) -> Head {
        self.head
    }

    fn replay(&mut self, visit: &mut Visit<'_>) -> Result<(), JournalError> {
        let (db, newest) = (self.db.clone(), self.head.last);
        let read = catch_unwind(AssertUnwindSafe(|| {
            let mut record = Vec::new();
            let mut name: Option<Revision> = None;
            let (mut chunks, mut beyond) = (0_u16, Vec::new());
            for item in db.range(..HEAD_KEY) {
                let (key, value) = item?;
                let (revision, chunk) = decode_key(&key)
                    .ok_or_else(|| JournalError::Corrupt(format!("there is a strange key of {} bytes", key.len())))?;
                if revision > newest {
                    beyond.push(key);
                    continue;
                }
                if chunk == 0 {
                    if let Some(done) = name.replace(revision) {
                        visit(done, &record)?;
                    }
                    record.clear();
                    chunks = 0;
                }
                if name != Some(revision) || chunk != chunks {
                    return Err(JournalError::Corrupt(format!("a chunk of revision {revision} is missing")));
                }
                chunks += 1;
                record.extend_from_slice(&value);
            }
            name.map_or(Ok(()), |last| visit(last, &record))?;
            forget(&db, &beyond)
        }));
        read.unwrap_or_else(|_| Err(JournalError::Corrupt("sled cannot read it".into())))
    }

    fn append(&mut self, batch: Batch) -> Result<(), JournalError> {
        let puts = batch.puts.iter().flat_map(|(revision, record)| {
            (0..).zip(record.chunks(CHUNK_BYTES_MAX)).map(|(chunk, bytes)| (encode_key(*revision, chunk), bytes))
        });
        if batch.removes.is_empty() {
            // sled writes the beginning of a batch to the disk by itself: another wait, and seven threads woken for it.
            for (key, bytes) in puts {
                self.db.insert(key, bytes)?;
            }
            self.db.insert(HEAD_KEY, encode_head(batch.head))?;
        } else {
            // What is taken out may be of many chunks, and is told by nothing afterwards.
            let mut changes = sled::Batch::default();
            for (revision, bytes) in &batch.removes {
                for chunk in 0..chunks(*bytes) {
                    changes.remove(&encode_key(*revision, chunk));
                }
            }
            for (key, bytes) in puts {
                changes.insert(&key, bytes);
            }
            changes.insert(HEAD_KEY, encode_head(batch.head));
            self.db.apply_batch(changes)?;
        }
        self.head = batch.head;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        self.db.flush()?;
        self.file.sync_data()?;
        self.note.write(self.head.last)?;
        if std::mem::take(&mut self.is_unfinished) {
            self.folder.finish()?;
        }
        Ok(())
    }
}

impl From<sled::Error> for JournalError {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => error.into(),
            sled::Error::Corruption { .. } => Self::Corrupt("sled finds damaged bytes in it".into()),
            sled::Error::Unsupported(why) => Self::Corrupt(why),
            // What these carry is for sled's own authors.
            sled::Error::ReportableBug(_) | sled::Error::CollectionNotFound(_) => {
                Self::Corrupt("sled cannot read it".into())
            }
        }
    }
}

/// How many chunks a record of that size has.
fn chunks(record_bytes: usize) -> u16 {
    u16::try_from(record_bytes.div_ceil(CHUNK_BYTES_MAX)).unwrap_or(u16::MAX)
}

fn encode_key(revision: Revision, chunk: u16) -> [u8; 11] {
    let mut key = [b'r'; 11];
    key[1..9].copy_from_slice(&revision.0.to_be_bytes());
    key[9..].copy_from_slice(&chunk.to_be_bytes());
    key
}

fn decode_key(key: &[u8]) -> Option<(Revision, u16)> {
    let key: &[u8; 11] = key.try_into().ok()?;
    let revision = u64::from_be_bytes(*key[1..].first_chunk()?);
    let chunk = u16::from_be_bytes(*key[9..].first_chunk()?);
    (key[0] == b'r').then_some((Revision(revision), chunk))
}

fn encode_head(head: Head) -> IVec {
    let mut bytes = MARK.to_vec();
    bytes.extend_from_slice(&head.floor.0.to_be_bytes());
    bytes.extend_from_slice(&head.last.0.to_be_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes.into()
}

fn decode_head(bytes: &[u8]) -> Option<Head> {
    let rest = bytes.strip_prefix(MARK)?;
    let (floor, rest) = rest.split_first_chunk::<8>()?;
    let (last, checksum) = rest.split_first_chunk::<8>()?;
    // Those of the first days have no checksum.
    if !checksum.is_empty() && crc32fast::hash(bytes.strip_suffix(checksum)?).to_be_bytes() != checksum {
        return None;
    }
    let (floor, last) = (Revision(u64::from_be_bytes(*floor)), Revision(u64::from_be_bytes(*last)));
    (Revision::FIRST <= floor && floor <= last).then_some(Head { floor, last })
}

#[cfg(test)]
mod tests;
