//! One stored object at one revision: its bytes, where its revision is written in them, and what was derived from it.

use super::contract::{Body, Key, Revision};
use super::forms::{FormCache, FormId, Forms};
use super::held::Held;
use bytes::{BufMut, Bytes, BytesMut};
use smol_str::SmolStr;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// One in so many objects of a key stays whole when another takes its place.
const WHOLE_EVERY: u32 = 8;

/// What selectors ask of an object, computed once per write. Objects that are alike share it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    labels: Arc<[(SmolStr, SmolStr)]>,
    names: Arc<[SmolStr]>,
    fields: Arc<[SmolStr]>,
}

impl Attributes {
    /// The labels, and, for each of these names, the value of the field that the kind offers to field selectors
    /// (`spec.nodeName`, …).
    #[must_use]
    pub fn new(
        labels: impl IntoIterator<Item = (SmolStr, SmolStr)>,
        names: Arc<[SmolStr]>,
        fields: impl IntoIterator<Item = SmolStr>,
    ) -> Self {
        Self { labels: labels.into_iter().collect(), names, fields: fields.into_iter().collect() }
    }

    /// The value of a label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }

    /// The value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let at = self.names.iter().position(|field| field == name)?;
        self.fields.get(at).map(SmolStr::as_str)
    }

    /// The same, as much of it as is the same taken from another.
    fn shared_with(self: &Arc<Self>, other: &Arc<Self>) -> Arc<Self> {
        if self == other {
            return Arc::clone(other);
        }
        let labels = if self.labels == other.labels { &other.labels } else { &self.labels };
        let fields = if self.fields == other.fields { &other.fields } else { &self.fields };
        Arc::new(Self { labels: labels.clone(), names: self.names.clone(), fields: fields.clone() })
    }
}

/// Computes attributes anew from stored bytes: for objects that were read back from a disk.
pub trait Describe: Send + Sync + 'static {
    /// The attributes of the object under `key`.
    fn describe(&self, key: &Key, bytes: &[u8]) -> Attributes;
}

/// Where in an entry's bytes the digits of its revision stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) digits: u8,
}

/// One object at one revision. Immutable, and shared by snapshots, events and answers.
pub struct Entry {
    /// The key it is stored under.
    pub key: Key,
    /// The revision at which the key came to be.
    pub created: Revision,
    /// The revision of this object.
    pub modified: Revision,
    /// The object, its own revision spliced in.
    held: Held,
    /// How many objects of the key came before it.
    nth: u32,
    span: Option<Span>,
    attributes: OnceLock<Arc<Attributes>>,
    describe: Option<Arc<dyn Describe>>,
    forms: OnceLock<Arc<Forms>>,
    cache: Arc<FormCache>,
}

impl Entry {
    /// An object that was just written. The caller has checked that the splice lies within the bytes.
    pub(super) fn written(key: Key, body: Body, created: Revision, modified: Revision, cache: &Arc<FormCache>) -> Self {
        let (bytes, span) = match body.splice {
            None => (body.bytes, None),
            Some(at) => {
                let (bytes, span) = splice(&body.bytes[..at], modified, &body.bytes[at..]);
                (bytes, Some(span))
            }
        };
        Self {
            key,
            held: Held::whole(bytes),
            nth: 0,
            created,
            modified,
            span,
            attributes: OnceLock::from(body.attributes),
            describe: None,
            forms: OnceLock::new(),
            cache: cache.clone(),
        }
    }

    /// An object as it was read back from a disk; its attributes are computed at their first use.
    pub(super) fn loaded(
        key: Key,
        bytes: Bytes,
        span: Option<Span>,
        (created, modified): (Revision, Revision),
        describe: &Arc<dyn Describe>,
        cache: &Arc<FormCache>,
    ) -> Self {
        Self {
            key,
            held: Held::whole(bytes),
            nth: 0,
            created,
            modified,
            span,
            attributes: OnceLock::new(),
            describe: Some(describe.clone()),
            forms: OnceLock::new(),
            cache: cache.clone(),
        }
    }

    /// The last object of a key that is deleted at `revision`, with that revision spliced in.
    pub(super) fn tombstone(&self, revision: Revision) -> Self {
        let (before, after) = self.around_revision();
        let (bytes, span) = match self.span {
            None => (before, None),
            Some(_) => {
                let (bytes, span) = splice(&before, revision, &after);
                (bytes, Some(span))
            }
        };
        Self {
            key: self.key.clone(),
            held: Held::whole(bytes),
            nth: self.nth + 1,
            created: self.created,
            modified: revision,
            span,
            attributes: self.attributes.clone(),
            describe: self.describe.clone(),
            forms: OnceLock::new(),
            cache: self.cache.clone(),
        }
    }

    /// Says which object of its key it came after, and shares with it what they have in common.
    pub(super) fn after(mut self, previous: &Self) -> Self {
        self.nth = previous.nth + 1;
        if let (Some(own), Some(before)) = (self.attributes.get(), previous.attributes.get()) {
            self.attributes = OnceLock::from(own.shared_with(before));
        }
        self
    }

    /// Keeps no more of the object than what it differs in from the one that took its place. Of a long row of objects some stay
    /// whole, so that none is many steps away from one that is.
    pub(super) fn pack(&self, newer: &Arc<Self>) {
        if self.nth % WHOLE_EVERY != WHOLE_EVERY - 1 {
            self.held.pack(newer);
        }
    }

    /// The object, its own revision spliced in.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.held.bytes()
    }

    /// How many bytes the object has.
    #[must_use]
    pub fn size(&self) -> usize {
        self.held.size()
    }

    /// How many bytes it takes.
    pub(super) fn weight(&self) -> usize {
        self.held.weight()
    }

    /// What selectors ask of the object.
    #[must_use]
    pub fn attributes(&self) -> &Arc<Attributes> {
        self.attributes.get_or_init(|| match &self.describe {
            Some(describe) => Arc::new(describe.describe(&self.key, &self.bytes())),
            None => Arc::default(),
        })
    }

    /// The bytes before and after the digits of the revision. Without a splice: all of them, and none.
    #[must_use]
    pub fn around_revision(&self) -> (Bytes, Bytes) {
        let bytes = self.bytes();
        match self.span {
            None => (bytes, Bytes::new()),
            Some(Span { start, digits }) => {
                let start = start as usize;
                (bytes.slice(..start), bytes.slice(start + usize::from(digits)..))
            }
        }
    }

    /// Whether writing `body` would change nothing but the revision.
    #[must_use]
    pub fn holds(&self, body: &Body) -> bool {
        match (self.span, body.splice) {
            (None, None) => self.bytes() == body.bytes,
            (Some(_), Some(at)) if at <= body.bytes.len() => {
                let (before, after) = self.around_revision();
                before == body.bytes[..at] && after == body.bytes[at..]
            }
            _ => false,
        }
    }

    /// Another encoding of the object: the one that was made before, or else `make`'s, which is then kept for
    /// whoever asks next while there is room.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn form<E>(&self, id: FormId, make: impl FnOnce(&Self) -> Result<Bytes, E>) -> Result<Bytes, E> {
        if let Some(found) = self.forms.get().and_then(|forms| forms.get(id)) {
            return Ok(found);
        }
        let made = make(self)?;
        Ok(self.cache.keep(self.forms.get_or_init(Arc::default), id, made))
    }

    pub(super) fn span(&self) -> Option<Span> {
        self.span
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{} ({} bytes)", self.key, self.modified, self.size())
    }
}

/// `before`, the digits of `revision`, `after`.
fn splice(before: &[u8], revision: Revision, after: &[u8]) -> (Bytes, Span) {
    let digits = revision.to_string();
    let mut bytes = BytesMut::with_capacity(before.len() + digits.len() + after.len());
    bytes.put_slice(before);
    bytes.put_slice(digits.as_bytes());
    bytes.put_slice(after);
    let start = u32::try_from(before.len()).expect("an object is smaller than 4 GiB: the committer limits its size");
    let digits = u8::try_from(digits.len()).expect("a u64 has at most 20 digits");
    (bytes.freeze(), Span { start, digits })
}
