//! The durable store on a real folder: the suite, restarts, crashes, kills, and folders that it must refuse.

use super::super::conformance::{self, Fixture, collect, content, object, plain, scribble};
use super::super::contract::{CommitError, Expect, Key, Range, RevisionError, Store, Unavailable, Write};
use super::super::entry::Attributes;
use super::super::fault::{Fault, Faults, Lossy};
use super::*;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Finds the label again in what `conformance::object` makes.
struct FromText;

impl Describe for FromText {
    fn describe(&self, _: &Key, bytes: &[u8]) -> Attributes {
        let text = std::str::from_utf8(bytes).unwrap().split('"').nth(7).unwrap();
        Attributes::new([("text".into(), text.into())], Arc::default(), [])
    }
}

fn describe() -> Arc<dyn Describe> {
    Arc::new(FromText)
}

fn open_at(dir: &Path, limits: Limits) -> Arc<dyn Store> {
    Arc::new(super::open(dir, &describe(), limits, Clock::system()).unwrap())
}

fn journal_at(dir: &Path) -> SledJournal {
    SledJournal::open(Arc::new(Folder::claim(dir).unwrap())).unwrap()
}

fn refusal(dir: &Path) -> OpenError {
    super::open(dir, &describe(), Limits::default(), Clock::system()).err().expect("the folder is refused")
}

fn open_lossy(dir: &Path) -> (Arc<dyn Store>, Faults) {
    let faults = Faults::default();
    let journal = Lossy::new(journal_at(dir), faults.clone());
    let store = DurableStore::start(journal, &describe(), Limits::default(), Clock::system());
    (Arc::new(store.unwrap()), faults)
}

fn open(limits: Limits) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    Fixture { store: open_at(dir.path(), limits), dir: Some(dir) }
}

conformance::suite!(open);

/// Every file below a folder, with its bytes.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    found
}

#[tokio::test]
async fn a_store_that_is_dropped_without_a_word_can_be_opened_at_once() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let store = open_at(dir.path(), Limits::default());
        assert_eq!(store.revision(), Revision(1 + round));
        store.commit(Write::create(format!("/pods/{round}").as_str(), object("x"))).await.unwrap();
    }
}

#[tokio::test]
async fn everything_is_there_after_a_restart_and_watches_resume() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { history_events_max: 60, ..Limits::default() };
    let mut total = 1;
    for round in 0..4 {
        let store = open_at(dir.path(), limits);
        assert_eq!(store.revision(), Revision(total));
        let history = scribble(&store, 20 + round, 70).await;
        total += 70;
        let (before, floor) = (content(&store.snapshot()), Revision(total - 60));
        let seen = collect(&mut store.watch(Range::under("/"), floor).unwrap(), Revision(total)).await;
        store.close().await;
        drop(store);

        let store = open_at(dir.path(), limits);
        assert_eq!((store.revision(), content(&store.snapshot())), (Revision(total), before));
        let compacted = Some(RevisionError::Compacted { compacted: floor });
        assert_eq!(store.watch(Range::under("/"), Revision(total - 61)).err(), compacted);
        let again = collect(&mut store.watch(Range::under("/"), floor).unwrap(), Revision(total)).await;
        assert_eq!(
            again.iter().map(|event| plain(event)).collect::<Vec<_>>(),
            seen.iter().map(|event| plain(event)).collect::<Vec<_>>()
        );
        for (revision, then) in history.iter().filter(|(revision, _)| *revision >= floor) {
            assert_eq!(content(&store.snapshot_at(*revision).unwrap()), *then);
        }
        for entry in store.snapshot().range(&Range::under("/"), None) {
            assert_eq!(**entry.attributes(), FromText.describe(&entry.key, &entry.bytes()));
        }
        store.close().await;
    }
}

#[tokio::test]
async fn compaction_survives_a_restart_and_leaves_only_what_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_at(dir.path(), Limits::default());
    scribble(&store, 30, 100).await;
    store.commit(Write::create("/pods/last", object(""))).await.unwrap();
    store.commit(Write::delete("/pods/last", Expect::Any)).await.unwrap();
    let (now, before) = (store.revision(), content(&store.snapshot()));
    store.compact(now).await.unwrap();
    store.close().await;
    drop(store);

    let journal = journal_at(dir.path());
    assert_eq!(journal.db.len(), before.len() + 1, "a record for each object, and the head");
    drop(journal);
    let store = open_at(dir.path(), Limits::default());
    assert_eq!((store.revision(), content(&store.snapshot())), (now, before));
    assert_eq!(store.snapshot_at(Revision(now.0 - 1)).err(), Some(RevisionError::Compacted { compacted: now }));
    let next = store.commit(Write::create("/pods/last", object(""))).await.unwrap();
    assert_eq!(next.revision, now.next());
    store.close().await;
}

#[tokio::test]
async fn large_objects_survive_a_restart_and_stay_in_the_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_at(dir.path(), Limits::default());
    for size in [1_500_000, 0, 5_900, 6_200, 70_000, 1_000, 300_000] {
        store.commit(Write::create(format!("/maps/{size}"), object(&"x".repeat(size)))).await.unwrap();
    }
    store.commit(Write::delete("/maps/70000", Expect::Any)).await.unwrap();
    let before = content(&store.snapshot());
    store.close().await;
    drop(store);
    let store = open_at(dir.path(), Limits::default());
    assert_eq!(content(&store.snapshot()), before);
    store.compact(store.revision()).await.unwrap();
    store.close().await;
    drop(store);
    let store = open_at(dir.path(), Limits::default());
    assert_eq!(content(&store.snapshot()), before);
    store.close().await;
    assert_eq!(fs::read_dir(dir.path().join("sled/blobs")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_crash_before_the_sync_loses_only_what_was_not_answered() {
    let dir = tempfile::tempdir().unwrap();
    let (store, faults) = open_lossy(dir.path());
    scribble(&store, 40, 50).await;
    let before = (store.revision(), content(&store.snapshot()));
    let mut watcher = store.watch(Range::under("/"), before.0).unwrap();
    faults.strike(Fault::CrashBeforeSync);
    let lost = store.commit(Write::create("/pods/lost", object(""))).await;
    assert!(matches!(lost, Err(CommitError::Unavailable(Unavailable::Failed { .. }))));
    assert_eq!((store.revision(), content(&store.snapshot())), before);
    assert!(watcher.ready().unwrap().is_none());
    store.close().await;
    drop(store);
    let store = open_at(dir.path(), Limits::default());
    assert_eq!((store.revision(), content(&store.snapshot())), before);
    store.close().await;
}

#[tokio::test]
async fn a_crash_after_the_sync_never_gives_its_revision_again() {
    let dir = tempfile::tempdir().unwrap();
    let (store, faults) = open_lossy(dir.path());
    scribble(&store, 41, 50).await;
    let before = store.revision();
    faults.strike(Fault::CrashAfterSync);
    assert!(store.commit(Write::create("/pods/kept", object(""))).await.is_err());
    assert_eq!(store.revision(), before, "what was not answered is not seen");
    store.close().await;
    drop(store);
    let store = open_at(dir.path(), Limits::default());
    assert_eq!(store.snapshot().get("/pods/kept").unwrap().modified, before.next());
    let next = store.commit(Write::create("/pods/next", object(""))).await.unwrap();
    assert_eq!(next.revision, before.next().next());
    store.close().await;
}

#[tokio::test]
async fn a_disk_that_fails_or_panics_ends_the_writes_and_not_the_reads() {
    for fault in [Fault::SyncError, Fault::Panic] {
        let dir = tempfile::tempdir().unwrap();
        let (store, faults) = open_lossy(dir.path());
        store.commit(Write::create("/pods/a", object("one"))).await.unwrap();
        store.works().unwrap();
        faults.strike(fault);
        for _ in 0..3 {
            let refused = store.commit(Write::create("/pods/b", object(""))).await;
            assert!(matches!(refused, Err(CommitError::Unavailable(Unavailable::Failed { .. }))), "{refused:?}");
        }
        assert!(store.compact(Revision(2)).await.is_err());
        assert!(matches!(store.works(), Err(Unavailable::Failed { .. })));
        assert_eq!(store.snapshot().get("/pods/a").unwrap().attributes().label("text"), Some("one"));
        store.close().await;
    }
}

#[tokio::test]
async fn a_refusal_is_answered_only_when_what_it_tells_of_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let (store, faults) = open_lossy(dir.path());
    faults.strike(Fault::CrashBeforeSync);
    let writes = (0..20).map(|_| store.commit(Write::create("/pods/a", object(""))));
    for answer in futures_util::future::join_all(writes).await {
        assert!(matches!(answer, Err(CommitError::Unavailable(_))), "{answer:?}");
    }
    store.close().await;
}

#[tokio::test]
async fn a_folder_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_at(dir.path(), Limits::default());
    store.commit(Write::create("/pods/a", object(""))).await.unwrap();
    assert!(matches!(refusal(dir.path()), OpenError::InUse { .. }));
    store.commit(Write::create("/pods/b", object(""))).await.unwrap();
    store.close().await;
    let store = open_at(dir.path(), Limits::default());
    assert_eq!(store.revision(), Revision(3));
    store.close().await;
}

#[test]
fn a_foreign_folder_is_refused_and_left_as_it_is() {
    let contents: [&[(&str, &str)]; 4] = [
        &[("notes.txt", "mine")],
        &[("format", "something else\n")],
        &[("sled", "a file"), ("lock", "")],
        &[("lock", ""), ("other", "")],
    ];
    for content in contents {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in content {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let before = files(dir.path());
        let error = refusal(dir.path());
        assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
        assert_eq!(files(dir.path()), before, "{error}");
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "not a folder").unwrap();
    assert!(matches!(refusal(&dir.path().join("file")), OpenError::Foreign { .. }));
}

#[tokio::test]
async fn a_corrupt_store_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_at(dir.path(), Limits::default());
    for count in 0..300 {
        store.commit(Write::create(format!("/maps/{count}"), object(&"x".repeat(4_000)))).await.unwrap();
    }
    store.close().await;
    drop(store);
    let db = dir.path().join("sled/db");
    let whole = fs::read(&db).unwrap();
    assert!(whole.len() > 2 << 19, "there are several segments");
    let mut garbled = whole.clone();
    garbled[(1 << 19)..(1 << 19) + 20].fill(7);
    for damaged in [vec![7; whole.len()], vec![0; whole.len()], Vec::new(), garbled, b"short".to_vec()] {
        fs::write(&db, &damaged).unwrap();
        let before = files(dir.path());
        assert!(matches!(refusal(dir.path()), OpenError::Corrupt { .. }));
        assert_eq!(files(dir.path()), before);
    }
    fs::remove_file(&db).unwrap();
    assert!(matches!(refusal(dir.path()), OpenError::Corrupt { .. }));
    assert!(!db.exists());
}

#[tokio::test]
async fn a_flipped_bit_is_noticed_or_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_at(dir.path(), Limits::default());
    for count in 0..200 {
        store.commit(Write::create(format!("/maps/{count}"), object(&"x".repeat(4_000)))).await.unwrap();
    }
    let content_before = content(&store.snapshot());
    store.close().await;
    drop(store);
    let db = dir.path().join("sled/db");
    let whole = files(dir.path());
    let mut refused = 0;
    for part in 0..40 {
        let mut damaged = whole.clone();
        let bytes = damaged.get_mut(&db).unwrap();
        let at = bytes.len() / 40 * part + 500;
        bytes[at] ^= 0x10;
        fs::remove_dir_all(dir.path().join("sled")).unwrap();
        fs::create_dir_all(dir.path().join("sled/blobs")).unwrap();
        for (path, bytes) in &damaged {
            fs::write(path, bytes).unwrap();
        }
        match super::open(dir.path(), &describe(), Limits::default(), Clock::system()) {
            Ok(store) => {
                assert!(content(&store.snapshot()) == content_before, "damage at {at} changed what is stored");
                store.close().await;
            }
            Err(error) => {
                assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
                assert!(files(dir.path()) == damaged, "the folder is as it was");
                refused += 1;
            }
        }
    }
    assert!(refused > 5, "only {refused} damages were noticed");
}

#[tokio::test]
async fn records_that_are_damaged_or_missing_are_noticed() {
    let damage: [fn(&Db); 4] = [
        |db| drop(db.remove(HEAD_KEY).unwrap()),
        |db| drop(db.insert(HEAD_KEY, b"else").unwrap()),
        |db| drop(db.remove(encode_key(Revision(5), 0)).unwrap()),
        |db| drop(db.insert(encode_key(Revision(5), 0), b"?").unwrap()),
    ];
    for damage in damage {
        let dir = tempfile::tempdir().unwrap();
        let store = open_at(dir.path(), Limits::default());
        for count in 0..10 {
            store.commit(Write::create(format!("/maps/{count}"), object(""))).await.unwrap();
        }
        store.close().await;
        drop(store);
        let mut journal = journal_at(dir.path());
        damage(&journal.db);
        journal.sync().unwrap();
        drop(journal);
        assert!(matches!(refusal(dir.path()), OpenError::Corrupt { .. }));
    }
}

#[tokio::test]
async fn a_store_whose_making_was_cut_off_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("lock"), "").unwrap();
    fs::create_dir(dir.path().join("sled")).unwrap();
    let store = open_at(dir.path(), Limits::default());
    store.commit(Write::create("/pods/a", object(""))).await.unwrap();
    store.close().await;
    drop(store);
    fs::remove_file(dir.path().join("format")).unwrap();
    let store = open_at(dir.path(), Limits::default());
    assert_eq!(store.revision(), Revision(2), "what is there is never thrown away");
    store.close().await;
}

/// What the record of a revision holds in the next tests.
fn record(revision: u64) -> Vec<u8> {
    vec![revision as u8; 700 * revision as usize]
}

fn commit(dir: &Path, revisions: std::ops::RangeInclusive<u64>) {
    let mut journal = journal_at(dir);
    let head = Head { floor: Revision::FIRST, last: Revision(*revisions.end()) };
    let puts = revisions.map(|revision| (Revision(revision), record(revision))).collect();
    journal.append(Batch { puts, removes: Vec::new(), head }).unwrap();
    journal.sync().unwrap();
}

/// The newest revision that is read back; all up to it are there.
fn newest(dir: &Path) -> u64 {
    let (mut journal, mut seen) = (journal_at(dir), Vec::new());
    let visited = journal.replay(&mut |revision, bytes| {
        assert!(bytes == record(revision.0), "{revision} came back as another");
        seen.push(revision.0);
        Ok(())
    });
    visited.unwrap();
    assert_eq!(seen, (2..=journal.head().last.0).collect::<Vec<_>>());
    journal.head().last.0
}

/// Cuts the change between two states of a folder off at many places, and counts what is read back.
fn cut_off(dir: &Path, before: &BTreeMap<PathBuf, Vec<u8>>, next: u64) -> BTreeMap<u64, usize> {
    let database = dir.join("sled/db");
    let (old, new) = (&before[&database], fs::read(&database).unwrap());
    let differ = |at: &usize| old.get(*at) != new.get(*at);
    let (first, last) = ((0..new.len()).find(differ).unwrap(), (0..new.len()).rfind(differ).unwrap());
    let mut outcomes = BTreeMap::<u64, usize>::new();
    for cut in (first..last).step_by(307).take(48).chain([last + 1]) {
        files(dir).keys().for_each(|file| fs::remove_file(file).unwrap());
        before.iter().for_each(|(file, bytes)| fs::write(file, bytes).unwrap());
        fs::write(&database, [&new[..cut], old.get(cut..).unwrap_or_default()].concat()).unwrap();
        let outcome = newest(dir);
        *outcomes.entry(outcome).or_default() += 1;
        // The revisions of what was cut off are given again, to records of fewer chunks.
        if outcome < next && cut % 4 == 0 {
            commit(dir, next..=next);
            assert_eq!(newest(dir), next);
        }
    }
    outcomes
}

#[test]
fn a_commit_that_is_cut_off_anywhere_is_there_as_a_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    commit(dir.path(), 2..=4);
    let before = files(dir.path());
    commit(dir.path(), 5..=7);
    let outcomes = cut_off(dir.path(), &before, 5);
    assert!(outcomes[&4] > 20 && outcomes[&7] > 0 && outcomes.len() == 2, "{outcomes:?}");
}

#[test]
fn a_first_commit_that_is_cut_off_leaves_an_empty_store() {
    let dir = tempfile::tempdir().unwrap();
    drop(journal_at(dir.path()));
    let before = files(dir.path());
    commit(dir.path(), 2..=6);
    let outcomes = cut_off(dir.path(), &before, 2);
    assert!(outcomes[&1] > 20 && outcomes[&6] > 0 && outcomes.len() == 2, "{outcomes:?}");
}

/// Tells the child of the next test where to write.
const KILLED_DIR: &str = "TINYPLANE_TEST_KILLED_DIR";

#[tokio::test]
async fn an_answered_write_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let store_dir = dir.path().join("store");
    let mut answered: BTreeMap<String, Revision> = BTreeMap::new();
    for round in 0..2 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["store::sled::tests::writes_until_it_is_killed", "--exact", "--nocapture"])
            .env(KILLED_DIR, &store_dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines.map_while(Result::ok) {
            if let Some((key, revision)) = line.strip_prefix("answered ").and_then(|rest| rest.split_once(' ')) {
                let fresh = answered.insert(key.to_owned(), Revision(revision.parse().unwrap()));
                assert!(fresh.is_none(), "{key} was created twice");
            }
            // What the pipe still holds afterwards was answered too, and is read to its end.
            if answered.len() == (round + 1) * 500 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let store = open_at(&store_dir, Limits::default());
        let snapshot = store.snapshot();
        for (key, revision) in &answered {
            assert_eq!(snapshot.get(key).map(|entry| entry.modified), Some(*revision), "{key}");
        }
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_until_it_is_killed() {
    // Run by itself it has nobody who kills it, and is done at once: the test above runs it as a child.
    let Some(dir) = std::env::var_os(KILLED_DIR) else { return };
    let store = open_at(Path::new(&dir), Limits { history_events_max: 100, ..Limits::default() });
    let first = store.revision();
    let writers = (0..8).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for count in 0.. {
                let key = format!("/maps/{first}-{writer}-{count}");
                let committed = store.commit(Write::create(key.as_str(), object(&"x".repeat(500)))).await.unwrap();
                let line = format!("answered {key} {}\n", committed.revision);
                io::stdout().lock().write_all(line.as_bytes()).unwrap();
            }
        })
    });
    futures_util::future::join_all(writers).await;
}
