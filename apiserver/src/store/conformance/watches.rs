//! What every store must do for those who watch it.

use super::*;

pub(in crate::store) async fn a_watch_begins_after_its_revision(open: Open<'_>) {
    let Fixture { store, dir: _dir } = open(Limits::default());
    put(&store, "/pods/a", "1").await;
    put(&store, "/maps/a", "2").await;
    put(&store, "/pods/a", "3").await;
    let now = remove(&store, "/pods/a").await;
    let pods = Range::under("/pods/");
    let kinds = |events: &[Arc<Event>]| events.iter().map(|event| (event.revision.0, event.kind)).collect::<Vec<_>>();
    let all = [(2, EventKind::Created), (4, EventKind::Updated), (5, EventKind::Deleted)];
    for (after, expected) in [(0, &all[..]), (1, &all[..]), (2, &all[1..]), (3, &all[1..]), (4, &all[2..])] {
        let mut watcher = store.watch(pods.clone(), Revision(after)).unwrap();
        assert_eq!(kinds(&collect(&mut watcher, now).await), expected);
    }
    let mut watcher = store.watch(pods.clone(), now).unwrap();
    assert!(watcher.ready().unwrap().is_none());
    let mut one = store.watch(Range::only("/pods/b"), now).unwrap();
    put(&store, "/pods/c", "").await;
    let last = put(&store, "/pods/b", "").await;
    assert_eq!(kinds(&collect(&mut watcher, last).await), [(6, EventKind::Created), (7, EventKind::Created)]);
    assert_eq!(kinds(&collect(&mut one, last).await), [(7, EventKind::Created)]);
    let future = store.watch(pods, last.next()).err();
    assert_eq!(future, Some(RevisionError::Future { current: last }));
}

pub(in crate::store) async fn watchers_see_each_change_once_in_order_and_can_resume(open: Open<'_>) {
    let Fixture { store, dir: _dir } = open(Limits { watch_batch_events_max: 7, ..Limits::default() });
    let writers: Vec<_> = (10..14)
        .map(|seed| {
            let store = store.clone();
            tokio::spawn(async move { scribble(&store, seed, 100).await })
        })
        .collect();
    let ranges = ["/", "/pods/", "/pods/n11/", "/maps/"].map(Range::under);
    let watchers: Vec<_> = ranges
        .into_iter()
        .map(|range| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut seen: Vec<Arc<Event>> = Vec::new();
                let mut model = BTreeMap::new();
                let mut watcher = store.watch(range.clone(), Revision(0)).unwrap();
                let mut batches = 0;
                while watcher.progress() < Revision(401) {
                    let Ok(next) = tokio::time::timeout(Duration::from_millis(50), watcher.next()).await else {
                        continue;
                    };
                    let batch = next.unwrap();
                    for event in batch.events.iter() {
                        assert!(range.contains(event.key()) && event.revision <= batch.reached);
                        assert!(seen.last().is_none_or(|last| last.revision < event.revision));
                        apply(&mut model, event);
                        seen.push(event.clone());
                    }
                    let then = store.snapshot_at(batch.reached).unwrap();
                    let expected: Vec<_> = then.range(&range, None).map(|entry| entry.bytes()).collect();
                    assert_eq!(model.values().cloned().collect::<Vec<_>>(), expected);
                    batches += 1;
                    if batches % 5 == 0 {
                        watcher = store.watch(range.clone(), batch.reached).unwrap();
                    }
                }
                (range, seen)
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut everything = store.watch(Range::under("/"), Revision(0)).unwrap();
    let all = collect(&mut everything, Revision(401)).await;
    assert_eq!(all.iter().map(|event| event.revision.0).collect::<Vec<_>>(), (2..=401).collect::<Vec<_>>());
    for watcher in watchers {
        let (range, seen) = watcher.await.unwrap();
        let expected: Vec<_> =
            all.iter().filter(|event| range.contains(event.key())).map(|event| plain(event)).collect();
        assert_eq!(seen.iter().map(|event| plain(event)).collect::<Vec<_>>(), expected);
    }
}

/// Moves a model on by an event, which must fit.
fn apply(model: &mut BTreeMap<String, Bytes>, event: &Event) {
    let key = event.key().to_string();
    let replaced = match event.kind {
        EventKind::Deleted => model.remove(&key),
        EventKind::Created | EventKind::Updated => model.insert(key, event.entry.bytes()),
    };
    assert_eq!(replaced, event.previous.as_ref().map(|previous| previous.bytes()));
    assert_eq!(event.kind == EventKind::Created, replaced.is_none());
}

pub(in crate::store) async fn whoever_has_seen_an_event_finds_it_in_a_snapshot(open: Open<'_>) {
    let Fixture { store, dir: _dir } = open(Limits::default());
    let mut watcher = store.watch(Range::under("/pods"), Revision(0)).unwrap();
    let reader = store.clone();
    let reading = tokio::spawn(async move {
        let mut seen = 0;
        while seen < 300 {
            for event in watcher.next().await.unwrap().events.iter() {
                assert!(reader.snapshot().get(event.key()).unwrap().modified >= event.revision);
                seen += 1;
            }
        }
    });
    for count in 0..300 {
        put(&store, &format!("/pods/{}", count % 10), "").await;
    }
    reading.await.unwrap();
}

pub(in crate::store) async fn a_slow_watcher_is_ended_and_not_thinned(open: Open<'_>) {
    let limits = Limits { history_events_max: 10, watch_batch_events_max: 4, ..Limits::default() };
    let Fixture { store, dir: _dir } = open(limits);
    let mut slow = store.watch(Range::under("/pods"), Revision(0)).unwrap();
    for _ in 0..10 {
        put(&store, "/pods/a", "").await;
    }
    assert_eq!(slow.next().await.unwrap().reached, Revision(5));
    for _ in 0..10 {
        put(&store, "/pods/a", "").await;
    }
    assert_eq!(slow.next().await.err(), Some(WatchError::Compacted { compacted: Revision(11) }));
    assert_eq!(slow.progress(), Revision(5));
}

pub(in crate::store) async fn a_batch_of_a_watch_is_bounded_in_bytes(open: Open<'_>) {
    let Fixture { store, dir: _dir } = open(Limits { watch_batch_bytes_max: 2_500, ..Limits::default() });
    let mut watcher = store.watch(Range::under("/pods"), Revision(0)).unwrap();
    for name in ["a", "b", "c"] {
        put(&store, &format!("/pods/{name}"), &"x".repeat(1_000)).await;
    }
    put(&store, "/pods/d", &"x".repeat(10_000)).await;
    let last = put(&store, "/pods/e", "").await;
    let mut sizes = Vec::new();
    while watcher.progress() < last {
        let batch = watcher.next().await.unwrap();
        assert_eq!(batch.events.last().map(|event| event.revision), Some(batch.reached));
        sizes.push(batch.events.len());
    }
    assert_eq!(sizes, [2, 1, 1, 1], "what is too large goes alone");
}

pub(in crate::store) async fn a_watcher_of_a_quiet_range_outlives_compaction_and_moves_on(open: Open<'_>) {
    let Fixture { store, dir: _dir } = open(Limits { history_events_max: 10, ..Limits::default() });
    put(&store, "/maps/a", "").await;
    let mut quiet = store.watch(Range::under("/maps"), store.revision()).unwrap();
    for _ in 0..50 {
        put(&store, "/pods/a", "").await;
    }
    assert_eq!(quiet.progress(), Revision(52));
    for _ in 0..50 {
        put(&store, "/pods/a", "").await;
    }
    let last = put(&store, "/maps/a", "").await;
    let batch = quiet.next().await.unwrap();
    assert_eq!((batch.events.len(), batch.reached), (1, last));
}

pub(in crate::store) async fn a_closed_store_ends_its_watches_after_their_last_event(open: Open<'_>) {
    let Fixture { store, dir: _dir } = open(Limits::default());
    let mut behind = store.watch(Range::under("/pods"), Revision(0)).unwrap();
    let mut waiting = store.watch(Range::under("/maps"), Revision(0)).unwrap();
    put(&store, "/pods/a", "").await;
    let ended = tokio::spawn(async move { waiting.next().await.err() });
    store.close().await;
    assert_eq!(ended.await.unwrap(), Some(WatchError::Closed));
    assert_eq!(behind.next().await.unwrap().events.len(), 1);
    assert_eq!(behind.next().await.err(), Some(WatchError::Closed));
    let refused = store.commit(Write::create("/pods/b", object(""))).await;
    assert!(matches!(refused, Err(CommitError::Unavailable(Unavailable::Closed))));
    let refused = store.compact(Revision(2)).await;
    assert!(matches!(refused, Err(CompactError::Unavailable(Unavailable::Closed))));
    assert!(store.snapshot().get("/pods/a").is_some());
    store.close().await;
}
