//! What every store must do with writes, and show in snapshots.

use super::*;

pub(in crate::store) async fn revisions_rise_by_one_per_committed_change(open: Open<'_>) {
    let Fixture { store, dir: _dir } = open(Limits::default());
    assert_eq!(store.revision(), Revision::FIRST);
    let created = store.commit(Write::create("/pods/a", object("one"))).await.unwrap();
    assert_eq!((created.revision, created.entry.created), (Revision(2), Revision(2)));
    assert!(created.previous.is_none());
    assert!(store.commit(Write::create("/pods/a", object("two"))).await.is_err());
    let updated = store.commit(Write::update("/pods/a", Revision(2), object("two"))).await.unwrap();
    assert_eq!((updated.revision, updated.entry.created), (Revision(3), Revision(2)));
    assert_eq!(updated.previous.unwrap().modified, Revision(2));
    let deleted = store.commit(Write::delete("/pods/a", Expect::At(Revision(3)))).await.unwrap();
    assert_eq!((deleted.revision, deleted.entry.bytes()), (Revision(4), stored("two", 4)));
    let again = store.commit(Write::create("/pods/a", object("three"))).await.unwrap();
    assert_eq!((again.revision, again.entry.created), (Revision(5), Revision(5)));
    assert_eq!(store.revision(), Revision(5));
}

pub(in crate::store) async fn a_write_that_expects_wrongly_changes_nothing_and_says_what_is_there(open: Open<'_>) {
    let Fixture { store, dir: _dir } = open(Limits::default());
    put(&store, "/pods/a", "one").await;
    put(&store, "/pods/a", "two").await;
    let commit = async |write: Write| store.commit(write).await.expect_err("the expectation is wrong");
    match commit(Write::create("/pods/a", object("x"))).await {
        CommitError::Exists { current } => assert_eq!(current.bytes(), stored("two", 3)),
        other => panic!("{other}"),
    }
    match commit(Write::update("/pods/a", Revision(2), object("x"))).await {
        CommitError::Stale { current, expected } => assert_eq!((current.modified, expected.0), (Revision(3), 2)),
        other => panic!("{other}"),
    }
    let missing = [
        Write::update("/pods/b", Revision(2), object("x")),
        Write { expect: Expect::Present, ..Write::create("/pods/b", object("x")) },
        Write::delete("/pods/b", Expect::Any),
        Write::delete("/pods/b", Expect::Absent),
    ];
    for write in missing {
        assert!(matches!(commit(write).await, CommitError::Missing { key } if &*key == "/pods/b"));
    }
    for key in ["pods/a", "/pods/", "", &format!("/{}", "x".repeat(3000))] {
        assert!(matches!(commit(Write::create(key, object("x"))).await, CommitError::BadKey { .. }));
    }
    assert_eq!(store.revision(), Revision(3));
    assert_eq!(store.snapshot().get("/pods/a").unwrap().bytes(), stored("two", 3));
}

pub(in crate::store) async fn of_racing_writers_one_wins_each_revision(open: Open<'_>) {
    const WRITERS: u64 = 8;
    const ROUNDS: u64 = 25;
    let Fixture { store, dir: _dir } = open(Limits::default());
    put(&store, "/count", "0").await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..ROUNDS {
                    let mut current = store.snapshot().get("/count").unwrap().clone();
                    loop {
                        let count: u64 = current.attributes().label("text").unwrap().parse().unwrap();
                        let next = object(&(count + 1).to_string());
                        match store.commit(Write::update("/count", current.modified, next)).await {
                            Ok(_) => break,
                            Err(CommitError::Stale { current: newer, .. }) => current = newer,
                            Err(other) => panic!("{other}"),
                        }
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let count = WRITERS * ROUNDS;
    assert_eq!(store.snapshot().get("/count").unwrap().bytes(), stored(&count.to_string(), count + 2));
    assert_eq!(store.revision(), Revision(count + 2));
}

pub(in crate::store) async fn a_guard_holds_at_the_instant_of_the_write(open: Open<'_>) {
    let Fixture { store, dir: _dir } = open(Limits::default());
    let at = put(&store, "/namespaces/a", "active").await;
    let write = |name: &str| Write::create(format!("/pods/a/{name}"), object("x"));
    store.commit(write("one").guard("/namespaces/a", Expect::At(at))).await.unwrap();
    put(&store, "/namespaces/a", "terminating").await;
    match store.commit(write("two").guard("/namespaces/a", Expect::At(at))).await {
        Err(CommitError::Guard { key, current }) => {
            assert_eq!((&*key, current.unwrap().attributes().label("text")), ("/namespaces/a", Some("terminating")));
        }
        other => panic!("{other:?}"),
    }
    store.commit(write("two").guard("/namespaces/a", Expect::Present)).await.unwrap();
    remove(&store, "/namespaces/a").await;
    let refused = store.commit(write("three").guard("/namespaces/a", Expect::Present)).await;
    assert!(matches!(refused, Err(CommitError::Guard { current: None, .. })));
    store.commit(write("three").guard("/namespaces/a", Expect::Absent)).await.unwrap();
}

pub(in crate::store) async fn a_range_is_a_folder_and_not_a_prefix(open: Open<'_>) {
    let Fixture { store, dir: _dir } = open(Limits::default());
    for key in ["/podsets/a/x", "/pods/b/x", "/pods/a/y", "/pods/a/x", "/pods/a-b/x", "/pod/a"] {
        put(&store, key, "").await;
    }
    let snapshot = store.snapshot();
    let keys =
        |range: &Range, after| snapshot.range(range, after).map(|entry| entry.key.to_string()).collect::<Vec<_>>();
    let pods = Range::under("/pods");
    assert_eq!(keys(&pods, None), ["/pods/a-b/x", "/pods/a/x", "/pods/a/y", "/pods/b/x"]);
    assert_eq!(keys(&pods, Some("/pods/a/x")), ["/pods/a/y", "/pods/b/x"]);
    assert_eq!(keys(&pods, Some("/pods/a/xx")), ["/pods/a/y", "/pods/b/x"]);
    assert_eq!(keys(&pods, Some("/a")).len(), 4);
    assert_eq!(keys(&pods, Some("/z")).len(), 0);
    assert_eq!(snapshot.count(&pods, Some("/pods/a/x")), 2);
    assert_eq!(keys(&Range::under("/pods/a/"), None), ["/pods/a/x", "/pods/a/y"]);
    assert_eq!(keys(&Range::only("/pods/a/x"), None), ["/pods/a/x"]);
    assert_eq!(keys(&Range::under("/"), None).len(), 6);
    assert!(snapshot.get("/pods/a").is_none());
}

pub(in crate::store) async fn a_snapshot_stays_as_it_was(open: Open<'_>) {
    let Fixture { store, dir: _dir } = open(Limits::default());
    scribble(&store, 1, 30).await;
    let snapshot = store.snapshot();
    let before = content(&snapshot);
    scribble(&store, 1, 100).await;
    assert_eq!(content(&snapshot), before);
    assert_ne!(content(&store.snapshot()), before);
}

pub(in crate::store) async fn old_snapshots_show_exactly_what_was_there(open: Open<'_>) {
    let Fixture { store, dir: _dir } = open(Limits::default());
    let mut history = scribble(&store, 2, 200).await;
    assert!(content(&store.snapshot_at(Revision::FIRST).unwrap()).is_empty());
    let mut random = StdRng::seed_from_u64(3);
    while !history.is_empty() {
        let (revision, expected) = history.swap_remove(random.random_range(0..history.len()));
        let snapshot = store.snapshot_at(revision).unwrap();
        assert_eq!((snapshot.revision(), content(&snapshot)), (revision, expected));
    }
    let future = store.snapshot_at(store.revision().next()).err();
    assert_eq!(future, Some(RevisionError::Future { current: store.revision() }));
}

pub(in crate::store) async fn a_write_is_in_every_later_snapshot(open: Open<'_>) {
    let Fixture { store, dir: _dir } = open(Limits::default());
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for count in 0..50 {
                    let key = format!("/pods/{writer}-{count}");
                    let committed = store.commit(Write::create(key.as_str(), object(""))).await.unwrap();
                    assert!(store.revision() >= committed.revision);
                    assert_eq!(store.snapshot().get(&key).unwrap().modified, committed.revision);
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(store.snapshot().count(&Range::under("/pods"), None), 200);
}

pub(in crate::store) async fn compaction_forgets_what_came_before(open: Open<'_>) {
    let Fixture { store, dir: _dir } = open(Limits::default());
    let history = scribble(&store, 4, 50).await;
    let all = Range::under("/");
    store.compact(Revision(20)).await.unwrap();
    let compacted = Some(RevisionError::Compacted { compacted: Revision(20) });
    assert_eq!(store.snapshot_at(Revision(19)).err(), compacted);
    assert_eq!(store.watch(all.clone(), Revision(19)).err(), compacted);
    assert_eq!(store.watch(all.clone(), Revision(0)).err(), compacted);
    for (revision, expected) in history.iter().filter(|(revision, _)| *revision >= Revision(20)) {
        assert_eq!(content(&store.snapshot_at(*revision).unwrap()), *expected);
    }
    let mut watcher = store.watch(all, Revision(20)).unwrap();
    assert_eq!(collect(&mut watcher, store.revision()).await.len(), 31);
    let again = store.compact(Revision(20)).await;
    assert!(matches!(again, Err(CompactError::Revision(RevisionError::Compacted { .. }))));
    let future = store.compact(store.revision().next()).await;
    assert!(matches!(future, Err(CompactError::Revision(RevisionError::Future { .. }))));
    let now = store.revision();
    store.compact(now).await.unwrap();
    assert_eq!(put(&store, "/pods/a", "").await, now.next());
    assert_eq!(content(&store.snapshot_at(now).unwrap()), history.last().unwrap().1);
}

pub(in crate::store) async fn the_history_is_bounded_by_count_and_bytes_and_age(open: Open<'_>) {
    let bounds = [
        Limits { history_events_max: 20, ..Limits::default() },
        Limits { history_bytes_max: 50_000, ..Limits::default() },
        Limits { history_age_max: Duration::ZERO, ..Limits::default() },
    ];
    for limits in bounds {
        let Fixture { store, dir: _dir } = open(limits);
        let text = "x".repeat(10_000);
        for _ in 0..40 {
            put(&store, "/pods/a", &text).await;
        }
        let forgotten = store.snapshot_at(Revision(2)).map(|_| ());
        assert!(matches!(forgotten, Err(RevisionError::Compacted { .. })), "{limits:?}");
        assert_eq!(store.snapshot().count(&Range::under("/"), None), 1);
    }
}

pub(in crate::store) async fn objects_up_to_the_limit_are_stored_whole(open: Open<'_>) {
    let Fixture { store, dir: _dir } = open(Limits::default());
    let bytes_max = Limits::default().object_bytes_max;
    let bytes: Vec<u8> = (0..bytes_max).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let body = Body { bytes: bytes.into(), splice: None, attributes: Arc::default() };
    store.commit(Write::create("/secrets/big", body.clone())).await.unwrap();
    assert_eq!(store.snapshot().get("/secrets/big").unwrap().bytes(), body.bytes);
    let more = Body { bytes: vec![0; bytes_max + 1].into(), ..body.clone() };
    let refused = store.commit(Write::create("/secrets/bigger", more)).await;
    assert!(matches!(refused, Err(CommitError::TooLarge { bytes, .. }) if bytes == bytes_max + 1));
    let outside = Body { bytes: Bytes::from_static(b"short"), splice: Some(6), ..body };
    let refused = store.commit(Write::create("/secrets/bad", outside)).await;
    assert!(matches!(refused, Err(CommitError::BadSplice { splice: 6, bytes: 5 })));
}

pub(in crate::store) async fn the_revision_is_written_into_the_object(open: Open<'_>) {
    let Fixture { store, dir: _dir } = open(Limits::default());
    for _ in 2..9 {
        put(&store, "/other", "").await;
    }
    for expected in 9..12 {
        put(&store, "/pods/a", "one").await;
        let entry = store.snapshot().get("/pods/a").unwrap().clone();
        assert_eq!(entry.bytes(), stored("one", expected));
        assert!(entry.holds(&object("one")) && !entry.holds(&object("two")));
        assert!(!entry.holds(&Body { splice: None, ..object("one") }));
    }
    let plain = Body { splice: None, ..object("one") };
    let committed =
        store.commit(Write { expect: Expect::Any, ..Write::create("/pods/a", plain.clone()) }).await.unwrap();
    assert_eq!(committed.entry.bytes(), plain.bytes);
    assert!(committed.entry.holds(&plain));
}

pub(in crate::store) async fn another_form_is_made_once(open: Open<'_>) {
    let Fixture { store, dir: _dir } = open(Limits::default());
    let mut watcher = store.watch(Range::under("/"), Revision(0)).unwrap();
    put(&store, "/pods/a", "one").await;
    let entry = store.snapshot().get("/pods/a").unwrap().clone();
    let made = entry.form(FormId(7), |entry| Ok::<_, ()>(Bytes::from(entry.bytes().to_ascii_uppercase())));
    let seen = &watcher.next().await.unwrap().events[0];
    let shared = seen.entry.form(FormId(7), |_| Err("it is made a second time"));
    assert_eq!(made.ok(), shared.ok());
    assert_eq!(seen.entry.form(FormId(8), |_| Err("no")), Err("no"));
}
