//! What a durable store asks of its disk, and how one change is laid out as a record.
//!
//! A record is a change: checksum (4 bytes; of the revision and all that follows), kind (1), splice start (4), splice
//! digits (1), created (8), key length (2), key, object; numbers are little-endian. Its revision is its name. The
//! checksum is ours because sled hands out damaged values without a word. The newest record of a key is the key's object, so
//! nothing is written twice. A deletion's record has no object: it is the object before it, spliced anew.

use super::contract::{Event, EventKind, Key, Revision};
use super::entry::{Describe, Entry, Span};
use super::forms::FormCache;
use bytes::Bytes;
use std::io;
use std::sync::Arc;

/// How far a journal reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The oldest revision that can still be read or watched from.
    pub(super) floor: Revision,
    /// The newest revision.
    pub(super) last: Revision,
}

/// What becomes durable together, or not at all: a part that is there after a crash is forgotten by the next [`Journal::replay`].
pub(super) struct Batch {
    /// New records with their revisions.
    pub(super) puts: Vec<(Revision, Vec<u8>)>,
    /// Records that nobody can ask for any more, with their sizes.
    pub(super) removes: Vec<(Revision, usize)>,
    pub(super) head: Head,
}

/// Why a journal could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum JournalError {
    #[error("{0}")]
    Disk(String),
    #[error("{0}")]
    Corrupt(String),
}

impl From<io::Error> for JournalError {
    fn from(error: io::Error) -> Self {
        Self::Disk(error.to_string())
    }
}

/// Takes the records that are read back.
pub(super) type Visit<'a> = dyn FnMut(Revision, &[u8]) -> Result<(), JournalError> + 'a;

/// The disk of a durable store. It is used by one thread.
pub(super) trait Journal: Send + 'static {
    /// How far it reaches.
    fn head(&self) -> Head;

    /// Hands every record to `visit`, in the order of their revisions.
    fn replay(&mut self, visit: &mut Visit<'_>) -> Result<(), JournalError>;

    /// Writes a batch. It may be lost until [`Journal::sync`] has returned.
    fn append(&mut self, batch: Batch) -> Result<(), JournalError>;

    /// Makes what was written durable.
    fn sync(&mut self) -> Result<(), JournalError>;
}

/// The bytes of a record before its key.
const HEADER_BYTES: usize = 20;

const KIND_PUT: u8 = 1;
const KIND_DELETE: u8 = 2;

/// The record of an event.
pub(super) fn encode(event: &Event) -> Vec<u8> {
    let entry = &event.entry;
    let (kind, object) = match event.kind {
        EventKind::Created | EventKind::Updated => (KIND_PUT, entry.bytes()),
        EventKind::Deleted => (KIND_DELETE, Bytes::new()),
    };
    let span = entry.span().unwrap_or(Span { start: 0, digits: 0 });
    let key = entry.key.as_bytes();
    let key_bytes = u16::try_from(key.len()).expect("a stage refuses keys that are longer");
    let mut record = Vec::with_capacity(HEADER_BYTES + key.len() + object.len());
    record.extend_from_slice(&[0; 4]);
    record.push(kind);
    record.extend_from_slice(&span.start.to_le_bytes());
    record.push(span.digits);
    record.extend_from_slice(&entry.created.0.to_le_bytes());
    record.extend_from_slice(&key_bytes.to_le_bytes());
    record.extend_from_slice(key);
    record.extend_from_slice(&object);
    let checksum = checksum(event.revision, &record[4..]);
    record[..4].copy_from_slice(&checksum.to_le_bytes());
    record
}

fn checksum(revision: Revision, rest: &[u8]) -> u32 {
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&revision.0.to_le_bytes());
    checksum.update(rest);
    checksum.finalize()
}

/// The records that nobody can ask for once `event` is forgotten, with their sizes.
pub(super) fn superseded(event: &Event) -> impl Iterator<Item = (Revision, usize)> {
    let size = |entry: &Entry, object: usize| HEADER_BYTES + entry.key.len() + object;
    let replaced = event.previous.as_ref().map(|previous| (previous.modified, size(previous, previous.size())));
    let deletion = (event.kind == EventKind::Deleted).then(|| (event.revision, size(&event.entry, 0)));
    replaced.into_iter().chain(deletion)
}

/// A record as it was read back.
pub(super) enum Record {
    Put(Entry),
    Delete(Key),
}

/// Reads a record; `None` if it is not one.
pub(super) fn decode(
    revision: Revision,
    record: &[u8],
    describe: &Arc<dyn Describe>,
    cache: &Arc<FormCache>,
) -> Option<Record> {
    let (written, body) = record.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*written) != checksum(revision, body) {
        return None;
    }
    let (header, rest) = record.split_first_chunk::<HEADER_BYTES>()?;
    let start = u32::from_le_bytes(*header[5..].first_chunk()?);
    let digits = header[9];
    let created = Revision(u64::from_le_bytes(*header[10..].first_chunk()?));
    let key_bytes = usize::from(u16::from_le_bytes(*header[18..].first_chunk()?));
    let (key, object) = rest.split_at_checked(key_bytes)?;
    let key = Key::from(std::str::from_utf8(key).ok()?);
    match header[4] {
        KIND_DELETE => Some(Record::Delete(key)),
        KIND_PUT => {
            let span = (digits > 0).then_some(Span { start, digits });
            if span.is_some_and(|span| span.start as usize + usize::from(span.digits) > object.len()) {
                return None;
            }
            let bytes = Bytes::copy_from_slice(object);
            Some(Record::Put(Entry::loaded(key, bytes, span, (created, revision), describe, cache)))
        }
        _ => None,
    }
}
