//! What the API does over TLS, on disk. Client and server share the machine: what counts is the server's processor time.

use crate::figures::{processor_time, program, quantile, resident_mib};
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tinyplane::{Cluster, Member, RunnerChoice, Storage};
use tinyplane_wire::client::{Client, WatchStream};
use tinyplane_wire::gvr::Gvr;
use tokio::sync::Barrier;

/// Requests under way at once.
const AT_ONCE: usize = 32;
const CREATES: usize = 10_000;
const GETS: usize = 30_000;
const PODS: usize = 5_000;
const LISTS: u32 = 10;
const PAGE: usize = 500;
const WATCHERS: usize = 100;
const SERIAL: usize = 200;
const BURST: usize = 2_000;
const MAPS: &str = "/api/v1/namespaces/bench/configmaps";

/// Connections of the watchers: one takes a hundred streams, as upstream's.
const WATCHER_CONNECTIONS: usize = 4;

struct Bench {
    client: Client,
    watchers: Vec<Client>,
    server: u32,
}

pub(crate) async fn run() {
    let wishes = Cluster::builder().runner(RunnerChoice::ProcessesOf(program())).storage(Storage::Sled);
    let cluster = wishes.nodes(0).controllers(false).start().await.expect("a cluster starts");
    let server = cluster.members().iter().find(|view| view.member == Member::Apiserver).and_then(|view| view.pid);
    let open = |_| Client::from_kubeconfig(&cluster.kubeconfig("admin"), None, "bench").expect("a client");
    let bench = Bench {
        client: cluster.admin().client().clone(),
        watchers: (0..WATCHER_CONNECTIONS).map(open).collect(),
        server: server.expect("the server has a process"),
    };
    // Without controllers somebody must make the account that pods are given.
    bench.make("/api/v1/namespaces", &json!({"metadata": {"name": "bench"}})).await;
    bench.make("/api/v1/namespaces/bench/serviceaccounts", &json!({"metadata": {"name": "default"}})).await;
    bench.writes_and_reads().await;
    bench.lists().await;
    bench.watches().await;
    println!("{:<32} {:.1} MiB resident", "the server at the end", resident_mib(bench.server));
    cluster.stop().await;
}

fn map(name: &str, text: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"text": text}})
}

fn pod(name: &str) -> Value {
    let probe = json!({"httpGet": {"path": "/", "port": 80}, "periodSeconds": 5});
    let env: Vec<Value> = (0..20).map(|n| json!({"name": format!("NAME_{n}"), "value": "x".repeat(20)})).collect();
    let container = json!({
        "name": "c", "image": "nginx", "ports": [{"containerPort": 80}], "env": env, "readinessProbe": probe,
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
    });
    json!({"metadata": {"name": name, "labels": {"app": "bench", "tier": "front"}}, "spec": {"containers": [container]}})
}

impl Bench {
    async fn make(&self, path: &str, object: &Value) {
        self.client.request(Method::POST, path, Some(object)).await.expect("it is created");
    }

    /// Asks `count` times, [`AT_ONCE`] at a time, and tells what that took.
    async fn many<F>(&self, what: &str, count: usize, ask: impl Fn(usize) -> F)
    where
        F: Future<Output = ()>,
    {
        let (before, began) = (processor_time(self.server), Instant::now());
        let askers = (0..AT_ONCE).map(async |asker| {
            let mut times = Vec::new();
            for number in (asker..count).step_by(AT_ONCE) {
                let began = Instant::now();
                ask(number).await;
                times.push(began.elapsed());
            }
            times
        });
        let mut times = join_all(askers).await.concat();
        let (wall, spent) = (began.elapsed(), processor_time(self.server) - before);
        println!(
            "{what:<32} {:>8.4} ms of server CPU each, {:>7.0}/s, p50 {:>6.2} ms, p99 {:>6.2} ms",
            millis(spent) / count as f64,
            count as f64 / wall.as_secs_f64(),
            millis(quantile(&mut times, 0.5)),
            millis(quantile(&mut times, 0.99)),
        );
    }

    async fn writes_and_reads(&self) {
        let text = "x".repeat(1_000);
        let text = text.as_str();
        self.many("create a ConfigMap of 1 KiB", CREATES, async |n| {
            self.make(MAPS, &map(&format!("map-{n}"), text)).await;
        })
        .await;
        self.many("get it by name", GETS, async |n| {
            let path = format!("{MAPS}/map-{}", n % CREATES);
            let asked = self.client.connection().request(Method::GET, &path).expect("a path").send().await;
            asked.expect("an answer").bytes().await.expect("a body");
        })
        .await;
        let pods = "/api/v1/namespaces/bench/pods";
        self.many("create a Pod of 2 KiB", PODS, async |n| self.make(pods, &pod(&format!("pod-{n}"))).await).await;
    }

    async fn lists(&self) {
        for (what, pages) in [("LIST 5,000 pods, whole", false), ("LIST 5,000 pods, pages of 500", true)] {
            let (mut times, mut bytes) = (Vec::new(), 0);
            let before = processor_time(self.server);
            for _ in 0..LISTS {
                let began = Instant::now();
                bytes = if pages { self.list_in_pages().await } else { self.list("").await.len() };
                times.push(began.elapsed());
            }
            println!(
                "{what:<32} {:>8.1} ms of server CPU each, p50 {:.1} ms, {:.1} MB",
                millis(processor_time(self.server) - before) / f64::from(LISTS),
                millis(quantile(&mut times, 0.5)),
                bytes as f64 / 1e6,
            );
        }
    }

    async fn list(&self, query: &str) -> bytes::Bytes {
        let path = format!("/api/v1/namespaces/bench/pods?{query}");
        let asked = self.client.connection().request(Method::GET, &path).expect("a path").send().await;
        asked.expect("an answer").bytes().await.expect("a body")
    }

    async fn list_in_pages(&self) -> usize {
        let (mut bytes, mut from) = (0, String::new());
        loop {
            let page = self.list(&format!("limit={PAGE}{from}")).await;
            bytes += page.len();
            // What a client does with a page is not what is measured: only where the next one begins.
            let head = String::from_utf8_lossy(&page[..page.len().min(1_000)]).into_owned();
            match head.split_once("\"continue\":\"").and_then(|(_, rest)| rest.split_once('"')) {
                Some((token, _)) => from = format!("&continue={token}"),
                None => return bytes,
            }
        }
    }

    async fn watches(&self) {
        let gvr = Gvr::new("", "v1", "configmaps");
        // A change that changes nothing is no event.
        self.make(MAPS, &map("watched", "as it was made")).await;
        let watches = (0..WATCHERS).map(|number| {
            let client = &self.watchers[number % WATCHER_CONNECTIONS];
            client.watch(&gvr, Some("bench"), "fieldSelector=metadata.name%3Dwatched")
        });
        let mut watches: Vec<WatchStream> =
            join_all(watches).await.into_iter().collect::<Result<_, _>>().expect("watches begin");
        join_all(watches.iter_mut().map(WatchStream::next)).await;
        let mut times = Vec::new();
        for number in 0..SERIAL {
            let began = Instant::now();
            self.touch(number).await;
            join_all(watches.iter_mut().map(WatchStream::next)).await;
            times.push(began.elapsed());
        }
        println!(
            "{:<32} p50 {:.2} ms, p99 {:.2} ms from the PUT to the last event",
            format!("{WATCHERS} watchers"),
            millis(quantile(&mut times, 0.5)),
            millis(quantile(&mut times, 0.99)),
        );
        let (before, began) = (processor_time(self.server), Instant::now());
        let start = Arc::new(Barrier::new(WATCHERS + 1));
        let readers: Vec<_> = watches
            .into_iter()
            .map(|mut watch| {
                let start = Arc::clone(&start);
                tokio::spawn(async move {
                    start.wait().await;
                    for _ in 0..BURST {
                        watch.next().await.expect("an event").expect("more of them");
                    }
                })
            })
            .collect();
        start.wait().await;
        for number in 0..BURST {
            self.touch(SERIAL + number).await;
        }
        join_all(readers).await;
        let events = (BURST * WATCHERS) as f64;
        let spent: Duration = processor_time(self.server) - before;
        println!(
            "{:<32} {:.2} µs of server CPU an event, {:.0} events/s, the PUTs among it",
            format!("{WATCHERS} watchers, {BURST} PUTs"),
            millis(spent) * 1e3 / events,
            events / began.elapsed().as_secs_f64(),
        );
    }

    async fn touch(&self, number: usize) {
        let path = format!("{MAPS}/watched");
        self.client
            .request(Method::PUT, &path, Some(&map("watched", &number.to_string())))
            .await
            .expect("it is changed");
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
