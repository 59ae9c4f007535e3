//! Keeps the number of updaters within bounds: the oldest are merged into one entry a version.

use super::entry::{Entry, Managed};
use super::{ANCIENT_CHANGES, UPDATE_ENTRIES_MAX};

/// Merges the oldest entries of updates until no more than the limit are left, or none of one version can be merged.
pub(super) fn cap(mut managed: Managed) -> Managed {
    let count = |managed: &Managed| managed.entries.iter().filter(|entry| !entry.applied).count();
    if count(&managed) <= UPDATE_ENTRIES_MAX {
        return managed;
    }
    let (mut updaters, mut rest): (Vec<_>, Vec<_>) = managed.entries.drain(..).partition(|entry| !entry.applied);
    updaters.sort_by(|one, other| {
        let key = |entry: &Entry| (entry.time.clone().unwrap_or_default(), entry.manager.clone());
        key(one).cmp(&key(other)).then_with(|| one.subresource.cmp(&other.subresource))
    });
    let mut surplus = updaters.len() - UPDATE_ENTRIES_MAX;
    // The oldest of each version waits; with the next one of its version it becomes the entry of ancient changes.
    let mut waiting: Vec<Entry> = Vec::new();
    for entry in updaters {
        match waiting.iter_mut().find(|one| one.api_version == entry.api_version) {
            Some(bucket) if surplus > 0 => {
                bucket.manager = ANCIENT_CHANGES.into();
                bucket.subresource = "".into();
                bucket.time = entry.time;
                bucket.fields = std::mem::take(&mut bucket.fields).union(entry.fields);
                surplus -= 1;
            }
            None if surplus > 0 => waiting.push(entry),
            _ => rest.push(entry),
        }
    }
    let mut managed = Managed { entries: rest };
    for entry in waiting {
        match managed.entries.iter_mut().find(|one| one.is_same(&entry)) {
            Some(one) => one.fields = std::mem::take(&mut one.fields).union(entry.fields),
            None => managed.entries.push(entry),
        }
    }
    managed
}
