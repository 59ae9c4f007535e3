//! Keeps the number of updaters within bounds: the oldest are merged into one entry a version.

use super::entry::{Entry, Managed, seconds};
use super::{ANCIENT_CHANGES, UPDATE_ENTRIES_MAX};
use crate::schema::fields::Set;
use smol_str::SmolStr;
use std::collections::BTreeMap;

/// Merges the oldest entries of updates until no more than the limit are left, or none of one version can be merged.
pub(super) fn cap(managed: Managed) -> Managed {
    if managed.entries.iter().filter(|entry| !entry.applied).count() <= UPDATE_ENTRIES_MAX {
        return managed;
    }
    let (mut updaters, mut rest): (Vec<_>, Vec<_>) = managed.entries.into_iter().partition(|entry| !entry.applied);
    updaters.sort_by_cached_key(|entry| (seconds(entry.time.as_deref()).to_owned(), entry.identifier()));
    let mut surplus = updaters.len() - UPDATE_ENTRIES_MAX;
    let mut buckets: BTreeMap<SmolStr, Bucket> = BTreeMap::new();
    let mut updaters: Vec<_> = updaters.into_iter().map(Some).collect();
    for (at, updater) in updaters.iter().enumerate() {
        if let Some(entry) = updater.as_ref().filter(|entry| is_ancient(entry)) {
            buckets.entry(entry.api_version.clone()).or_default().known = Some(at);
        }
    }
    for (at, updater) in updaters.iter_mut().enumerate() {
        let Some(entry) = updater.take_if(|_| surplus > 0) else { break };
        let bucket = buckets.entry(entry.api_version.clone()).or_default();
        let Some(first) = bucket.first else {
            // The oldest of each version waits for the next one.
            bucket.first = Some(at);
            *updater = Some(entry);
            continue;
        };
        surplus -= 1;
        bucket.time = entry.time;
        bucket.sets.push(entry.fields);
        // Where there was an entry of ancient changes before, the oldest is left alone. That entry goes when its own turn
        // comes, and takes along what was merged into it.
        if *bucket.known.get_or_insert(first) == at {
            (bucket.known, bucket.sets) = (None, Vec::new());
        }
    }
    for bucket in buckets.into_values().filter(|bucket| !bucket.sets.is_empty()) {
        if let Some(entry) = bucket.known.and_then(|at| updaters[at].as_mut()) {
            bucket.end(entry);
        }
    }
    rest.extend(updaters.into_iter().flatten());
    Managed { entries: rest }
}

/// What becomes of the oldest entries of a version.
#[derive(Default)]
struct Bucket {
    /// The oldest.
    first: Option<usize>,
    /// The one that the others are merged into.
    known: Option<usize>,
    /// When the last of those changed anything that are merged.
    time: Option<SmolStr>,
    /// What they own: united at the end, once.
    sets: Vec<Set>,
}

impl Bucket {
    fn end(mut self, entry: &mut Entry) {
        self.sets.push(std::mem::take(&mut entry.fields));
        entry.manager = ANCIENT_CHANGES.into();
        entry.subresource = "".into();
        entry.time = self.time;
        entry.fields = Set::union_of(self.sets);
    }
}

fn is_ancient(entry: &Entry) -> bool {
    entry.manager == ANCIENT_CHANGES && entry.subresource.is_empty()
}
