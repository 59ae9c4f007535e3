//! What the stores do in a second: `cargo bench -p tinyplane-apiserver --bench store`. Prints figures, asserts none.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::unwrap_used, reason = "a bench stops where it fails")]

use bytes::Bytes;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tinyplane_apiserver::store::contract::{Body, Expect, Key, Range, Revision, Store, Write};
use tinyplane_apiserver::store::entry::{Attributes, Describe};
use tinyplane_apiserver::store::limits::Limits;
use tinyplane_apiserver::store::memory::MemoryStore;
use tinyplane_apiserver::store::sled;
use tinyplane_wire::clock::Clock;

const WRITERS: usize = 32;
const WATCHERS: usize = 100;
const PODS: usize = 5_000;
const POD_BYTES: usize = 4_600;

struct Nothing;

impl Describe for Nothing {
    fn describe(&self, _: &Key, _: &[u8]) -> Attributes {
        Attributes::default()
    }
}

fn open(dir: &Path) -> Arc<dyn Store> {
    let describe: Arc<dyn Describe> = Arc::new(Nothing);
    Arc::new(sled::open(dir, &describe, Limits::default(), Clock::system()).unwrap())
}

fn object(bytes: usize) -> Body {
    let before = r#"{"metadata":{"resourceVersion":""#;
    let text = format!(r#"{before}"}},"text":"{}"}}"#, "x".repeat(bytes));
    Body { bytes: Bytes::from(text), splice: Some(before.len()), attributes: Arc::default() }
}

/// Makes `count` objects of `bytes` bytes below `folder` by `WRITERS` writers. Answers each write's time, sorted.
async fn fill(store: &Arc<dyn Store>, folder: &str, count: usize, bytes: usize) -> Vec<Duration> {
    let body = object(bytes);
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, body, folder) = (store.clone(), body.clone(), folder.to_owned());
            tokio::spawn(async move {
                let mut times = Vec::new();
                for index in (writer..count).step_by(WRITERS) {
                    let begun = Instant::now();
                    let write = Write::create(format!("{folder}/n{}/{index}", index % 20), body.clone());
                    store.commit(write).await.unwrap();
                    times.push(begun.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for writer in writers {
        times.extend(writer.await.unwrap());
    }
    times.sort();
    times
}

async fn commits(name: &str, store: &Arc<dyn Store>) {
    let begun = Instant::now();
    let times = fill(store, "/configmaps", 20_000, 1_024).await;
    let rate = 20_000.0 / begun.elapsed().as_secs_f64();
    let (median, slow) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("{name}: {WRITERS} writers, 1 KiB: {rate:.0} commits/s, p50 {median:.1?}, p99 {slow:.1?}");
}

async fn reads(name: &str, store: &Arc<dyn Store>) {
    fill(store, "/pods", PODS, POD_BYTES).await;
    let pods = Range::under("/pods");
    let begun = Instant::now();
    for _ in 0..100 {
        let snapshot = store.snapshot();
        let bytes: usize = snapshot.range(&pods, None).map(|entry| entry.size()).sum();
        assert!(black_box(bytes) > PODS * POD_BYTES);
    }
    println!("{name}: a walk over {PODS} pods: {:.1?}", begun.elapsed() / 100);
    let begun = Instant::now();
    for index in 0..100_000 {
        let key = format!("/pods/n{}/{}", index % 20, index % PODS);
        black_box(store.snapshot().get(&key));
    }
    println!("{name}: a get: {:.2?}", begun.elapsed() / 100_000);
    let (begun, now) = (Instant::now(), store.revision());
    for back in 1..=10 {
        black_box(store.snapshot_at(Revision(now.0 - back * 100)).unwrap());
    }
    println!("{name}: a snapshot some hundred revisions ago: {:.1?}", begun.elapsed() / 10);
}

async fn watches(name: &str, store: &Arc<dyn Store>) {
    const EVENTS: usize = 5_000;
    let after = store.revision();
    let idle: Vec<_> = (0..10_000).map(|_| store.watch(Range::under("/leases"), after).unwrap()).collect();
    let watchers: Vec<_> = (0..WATCHERS)
        .map(|_| {
            let mut watcher = store.watch(Range::under("/burst"), after).unwrap();
            tokio::spawn(async move {
                let mut seen = 0;
                while seen < EVENTS {
                    seen += watcher.next().await.unwrap().events.len();
                }
            })
        })
        .collect();
    let begun = Instant::now();
    fill(store, "/burst", EVENTS, 1_024).await;
    for watcher in watchers {
        watcher.await.unwrap();
    }
    let elapsed = begun.elapsed();
    let each = elapsed / u32::try_from(WATCHERS * EVENTS).unwrap();
    println!(
        "{name}: {EVENTS} events to {WATCHERS} watchers beside {} idle ones: {elapsed:.1?}, {each:.0?} an event",
        idle.len()
    );
}

async fn overwrites(name: &str, store: &Arc<dyn Store>) {
    let begun = Instant::now();
    let body = object(1_024);
    for index in 0..2_000 {
        let write = Write { expect: Expect::Any, ..Write::create(format!("/one/{}", index % 10), body.clone()) };
        store.commit(write).await.unwrap();
    }
    println!("{name}: one writer: {:.1?} a commit", begun.elapsed() / 2_000);
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let memory: Arc<dyn Store> = Arc::new(MemoryStore::new(Limits::default(), Clock::system()));
        let dir = tempfile::tempdir().unwrap();
        let begun = Instant::now();
        let durable = open(dir.path());
        println!("sled: open a new folder: {:.1?}", begun.elapsed());
        for (name, store) in [("memory", &memory), ("sled", &durable)] {
            commits(name, store).await;
            overwrites(name, store).await;
            reads(name, store).await;
            watches(name, store).await;
        }
        durable.close().await;
        drop(durable);
        let begun = Instant::now();
        let durable = open(dir.path());
        let objects = durable.snapshot().count(&Range::under("/"), None);
        println!("sled: open a folder of {objects} objects: {:.1?}", begun.elapsed());
        durable.close().await;
    });
}
