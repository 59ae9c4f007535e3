//! Values of stored objects that are asked for again and again, parsed once: what admission looks at for every pod.

use super::encoding;
use crate::store::contract::{Key, Revision};
use crate::store::entry::Entry;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tinyplane_wire::status;

/// Most values that are kept. One more, and all are forgotten.
const KEPT_MAX: usize = 256;
/// An object of more bytes is parsed anew each time.
const OBJECT_BYTES_MAX: usize = 16 * 1024;
/// So many objects are asked for once, and not again and again.
const ALIKE_MAX: usize = 64;

/// The values that were asked for lately.
#[derive(Default)]
pub(super) struct Parsed(Mutex<HashMap<Key, (Revision, Arc<Value>)>>);

impl Parsed {
    /// The value of an object.
    pub(super) fn value(&self, entry: &Entry) -> status::Result<Arc<Value>> {
        if entry.size() > OBJECT_BYTES_MAX {
            return encoding::parse(entry).map(Arc::new);
        }
        if let Some((revision, value)) = self.kept().get(&entry.key)
            && *revision == entry.modified
        {
            return Ok(Arc::clone(value));
        }
        let value = Arc::new(encoding::parse(entry)?);
        let mut kept = self.kept();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(entry.key.clone(), (entry.modified, Arc::clone(&value)));
        Ok(value)
    }

    /// The values of several objects.
    pub(super) fn values(&self, entries: &[Arc<Entry>]) -> status::Result<Vec<Arc<Value>>> {
        if entries.len() > ALIKE_MAX {
            return entries.iter().map(|entry| encoding::parse(entry).map(Arc::new)).collect();
        }
        entries.iter().map(|entry| self.value(entry)).collect()
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Key, (Revision, Arc<Value>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
