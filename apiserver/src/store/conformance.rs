//! What every store must do: one suite, run by each implementation.

use super::contract::{
    Body, CommitError, CompactError, Event, EventKind, Expect, Range, Revision, RevisionError, Store, Unavailable,
    Write,
};
use super::entry::{Attributes, Entry};
use super::forms::FormId;
use super::limits::Limits;
use super::snapshot::Snapshot;
use super::watchers::{WatchError, Watcher};
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

mod watches;
mod writes;

pub(super) use watches::*;
pub(super) use writes::*;

/// A store under test, and the folder that it may need.
pub(super) struct Fixture {
    pub(super) store: Arc<dyn Store>,
    pub(super) dir: Option<tempfile::TempDir>,
}

/// Runs the suite on the stores that `$open` (a function from [`Limits`] to [`Fixture`]) makes.
macro_rules! suite {
    ($open:ident) => {
        $crate::store::conformance::suite!($open:
            revisions_rise_by_one_per_committed_change,
            a_write_that_expects_wrongly_changes_nothing_and_says_what_is_there,
            of_racing_writers_one_wins_each_revision,
            a_guard_holds_at_the_instant_of_the_write,
            a_range_is_a_folder_and_not_a_prefix,
            a_snapshot_stays_as_it_was,
            old_snapshots_show_exactly_what_was_there,
            a_watch_begins_after_its_revision,
            watchers_see_each_change_once_in_order_and_can_resume,
            whoever_has_seen_an_event_finds_it_in_a_snapshot,
            a_write_is_in_every_later_snapshot,
            compaction_forgets_what_came_before,
            a_slow_watcher_is_ended_and_not_thinned,
            a_batch_of_a_watch_is_bounded_in_bytes,
            a_watcher_of_a_quiet_range_outlives_compaction_and_moves_on,
            the_history_is_bounded_by_count_and_bytes_and_age,
            objects_up_to_the_limit_are_stored_whole,
            the_revision_is_written_into_the_object,
            another_form_is_made_once,
            a_closed_store_ends_its_watches_after_their_last_event,
        );
    };
    ($open:ident: $($name:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let check = $crate::store::conformance::$name(&$open);
                let limit = std::time::Duration::from_secs(60);
                tokio::time::timeout(limit, check).await.expect("the check ends within a minute");
            }
        )*
    };
}
pub(super) use suite;

type Open<'a> = &'a dyn Fn(Limits) -> Fixture;

/// An object with a span for its revision.
pub(super) fn object(text: &str) -> Body {
    let before = r#"{"resourceVersion":""#;
    let bytes = Bytes::from(format!(r#"{before}","text":"{text}"}}"#));
    let attributes = Attributes::new([("text".into(), text.into())], Arc::default(), []);
    Body { bytes, splice: Some(before.len()), attributes: Arc::new(attributes) }
}

fn stored(text: &str, revision: u64) -> Bytes {
    Bytes::from(format!(r#"{{"resourceVersion":"{revision}","text":"{text}"}}"#))
}

async fn put(store: &Arc<dyn Store>, key: &str, text: &str) -> Revision {
    let write = Write { expect: Expect::Any, ..Write::create(key, object(text)) };
    store.commit(write).await.expect("nothing was expected").revision
}

async fn remove(store: &Arc<dyn Store>, key: &str) -> Revision {
    store.commit(Write::delete(key, Expect::Any)).await.expect("the key is there").revision
}

/// A snapshot as plain data.
pub(super) fn content(snapshot: &Snapshot) -> BTreeMap<String, (Bytes, Revision, Revision)> {
    let plain = |entry: &Arc<Entry>| (entry.key.to_string(), (entry.bytes(), entry.created, entry.modified));
    snapshot.range(&Range::under("/"), None).map(plain).collect()
}

/// An event as plain data.
pub(super) fn plain(event: &Event) -> (Revision, EventKind, String, Bytes, Option<Bytes>) {
    let previous = event.previous.as_ref().map(|previous| previous.bytes());
    (event.revision, event.kind, event.key().to_string(), event.entry.bytes(), previous)
}

/// Events until the one of `last` has been seen.
pub(super) async fn collect(watcher: &mut Watcher, last: Revision) -> Vec<Arc<Event>> {
    let mut events: Vec<Arc<Event>> = Vec::new();
    while events.last().is_none_or(|event| event.revision < last) {
        events.extend(watcher.next().await.expect("the watch goes on").events.iter().cloned());
    }
    events
}

/// Makes `count` random changes of a few keys. Answers the content after each.
pub(super) async fn scribble(
    store: &Arc<dyn Store>,
    seed: u64,
    count: usize,
) -> Vec<(Revision, BTreeMap<String, (Bytes, Revision, Revision)>)> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut history = Vec::new();
    while history.len() < count {
        let key = format!("/{}/n{}/{}", ["pods", "maps"][random.random_range(0..2)], seed, random.random_range(0..9));
        if random.random_bool(0.3) {
            if store.commit(Write::delete(key.as_str(), Expect::Present)).await.is_err() {
                continue;
            }
        } else {
            put(store, &key, &"x".repeat(random.random_range(0..40))).await;
        }
        let snapshot = store.snapshot();
        history.push((snapshot.revision(), content(&snapshot)));
    }
    history
}
