//! What a ledger costs: the same requests to a server that keeps one and to one that keeps none, by turns.

use crate::figures::processor_time;
use futures_util::future::join_all;
use http::Method;
use serde_json::json;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tinyplane::{Cluster, Member, RunnerChoice, Storage};

/// Requests under way at once.
const AT_ONCE: usize = 32;
/// Requests of one turn.
const REQUESTS: usize = 10_000;
/// Turns of each kind: the machine is not the same from second to second, and so the best ones are compared.
const TURNS: usize = 9;

/// One server, and its best turns so far.
struct Side {
    cluster: Cluster,
    server: u32,
    reads: Best,
    writes: Best,
    written: usize,
}

/// Requests a second, and the server's processor time for each, of the best turn.
#[derive(Clone, Copy)]
struct Best {
    rate: f64,
    spent: Duration,
}

impl Best {
    const NONE: Self = Self { rate: 0.0, spent: Duration::MAX };
}

pub(crate) async fn run() {
    let mut sides = Vec::new();
    for keeps in [false, true] {
        sides.push(Side::start(keeps).await);
    }
    for _ in 0..TURNS {
        for side in &mut sides {
            side.turn().await;
        }
    }
    for (what, of) in
        [("get a ConfigMap by name", (|side| side.reads) as fn(&Side) -> Best), ("create one", |side| side.writes)]
    {
        let (without, with) = (of(&sides[0]), of(&sides[1]));
        println!(
            "{what:<32} without a ledger {:>7.0}/s and {:.4} ms of server CPU, with one {:>7.0}/s and {:.4} ms: {:+.1} % and {:+.1} %",
            without.rate,
            millis(without.spent),
            with.rate,
            millis(with.spent),
            (with.rate / without.rate - 1.0) * 100.0,
            (millis(with.spent) / millis(without.spent) - 1.0) * 100.0,
        );
    }
    for side in sides {
        side.cluster.stop().await;
    }
}

impl Side {
    async fn start(keeps: bool) -> Self {
        let binary: PathBuf = env!("CARGO_BIN_EXE_tinyplane").into();
        let wishes = Cluster::builder().runner(RunnerChoice::ProcessesOf(binary)).storage(Storage::Memory);
        let cluster = wishes.nodes(0).controllers(false).ledger(keeps).start().await.expect("a cluster starts");
        let server = cluster.members().iter().find(|view| view.member == Member::Apiserver).and_then(|view| view.pid);
        let server = server.expect("the server has a process");
        let side = Self { cluster, server, reads: Best::NONE, writes: Best::NONE, written: 0 };
        side.create(0).await;
        side
    }

    async fn turn(&mut self) {
        let path = "/api/v1/namespaces/default/configmaps/map-0";
        let client = self.cluster.admin().client();
        let reads = measured(self.server, async |_| {
            let asked = client.connection().request(Method::GET, path).expect("a path").send().await;
            asked.expect("an answer").bytes().await.expect("a body");
        })
        .await;
        let first = self.written + 1;
        let writes = measured(self.server, async |number| self.create(first + number).await).await;
        self.written += REQUESTS;
        for (best, turn) in [(&mut self.reads, reads), (&mut self.writes, writes)] {
            *best = Best { rate: best.rate.max(turn.rate), spent: best.spent.min(turn.spent) };
        }
    }

    async fn create(&self, number: usize) {
        let object = json!({"metadata": {"name": format!("map-{number}")}, "data": {"text": "x".repeat(1_000)}});
        let path = "/api/v1/namespaces/default/configmaps";
        self.cluster.admin().client().request(Method::POST, path, Some(&object)).await.expect("it is created");
    }
}

/// One turn of requests.
async fn measured<F>(server: u32, ask: impl Fn(usize) -> F) -> Best
where
    F: Future<Output = ()>,
{
    let (before, began) = (processor_time(server), Instant::now());
    let askers = (0..AT_ONCE).map(async |asker| {
        for number in (asker..REQUESTS).step_by(AT_ONCE) {
            ask(number).await;
        }
    });
    join_all(askers).await;
    let spent = (processor_time(server) - before) / u32::try_from(REQUESTS).unwrap_or(u32::MAX);
    Best { rate: REQUESTS as f64 / began.elapsed().as_secs_f64(), spent }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
