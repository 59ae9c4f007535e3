//! What a ledger costs: the same requests to a server that keeps one and to one that keeps none, by turns.

use crate::figures::{processor_time, program};
use futures_util::future::join_all;
use http::Method;
use serde_json::json;
use std::time::Instant;
use tinyplane::{Cluster, Member, RunnerChoice, Storage};

/// Requests under way at once.
const AT_ONCE: usize = 32;
/// Requests of one turn that read, and of one that writes.
const READS: usize = 40_000;
const WRITES: usize = 5_000;
/// Turns of each kind that a pair of servers takes: the machine is not the same from second to second, and so each turn is held
/// against the one beside it, and the median of that is told.
const TURNS: usize = 3;
/// Pairs, each started anew: where a process has its memory makes it faster or slower by some hundredths for its whole life.
const PAIRS: usize = 9;

/// One server of a pair.
struct Side {
    cluster: Cluster,
    server: u32,
    written: usize,
}

/// The turns of all servers of one kind.
#[derive(Default)]
struct Taken {
    reads: Vec<Turn>,
    writes: Vec<Turn>,
}

/// Requests a second, and the server's processor time for each in milliseconds.
#[derive(Clone, Copy)]
struct Turn {
    rate: f64,
    spent: f64,
}

/// The median of a figure over all turns.
fn median(turns: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = turns.collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

pub(crate) async fn run() {
    let mut taken = [Taken::default(), Taken::default()];
    for pair in 0..PAIRS {
        // Who comes first has no luck by that.
        let order = if pair % 2 == 0 { [0, 1] } else { [1, 0] };
        let mut sides = [Side::start(order[0] == 1).await, Side::start(order[1] == 1).await];
        for _ in 0..TURNS {
            for (side, kind) in sides.iter_mut().zip(order) {
                side.turn(&mut taken[kind]).await;
            }
        }
        for side in sides {
            side.cluster.stop().await;
        }
    }
    for (what, of) in [
        ("get a ConfigMap by name", (|taken| &taken.reads) as fn(&Taken) -> &Vec<Turn>),
        ("create one", |taken| &taken.writes),
    ] {
        let (without, with) = (of(&taken[0]), of(&taken[1]));
        let pairs = || without.iter().zip(with);
        println!(
            "{what:<32} without a ledger {:>7.0}/s and {:.4} ms of server CPU, with one {:>7.0}/s and {:.4} ms: {:+.1} % and {:+.1} %",
            median(without.iter().map(|turn| turn.rate)),
            median(without.iter().map(|turn| turn.spent)),
            median(with.iter().map(|turn| turn.rate)),
            median(with.iter().map(|turn| turn.spent)),
            (median(pairs().map(|(without, with)| with.rate / without.rate)) - 1.0) * 100.0,
            (median(pairs().map(|(without, with)| with.spent / without.spent)) - 1.0) * 100.0,
        );
    }
}

impl Side {
    async fn start(keeps: bool) -> Self {
        let wishes = Cluster::builder().runner(RunnerChoice::ProcessesOf(program())).storage(Storage::Memory);
        let cluster = wishes.nodes(0).controllers(false).ledger(keeps).start().await.expect("a cluster starts");
        let server = cluster.members().iter().find(|view| view.member == Member::Apiserver).and_then(|view| view.pid);
        let server = server.expect("the server has a process");
        let side = Self { cluster, server, written: 0 };
        side.create(0).await;
        side
    }

    async fn turn(&mut self, taken: &mut Taken) {
        let path = "/api/v1/namespaces/default/configmaps/map-0";
        let client = self.cluster.admin().client();
        let reads = measured(self.server, READS, async |_| {
            let asked = client.connection().request(Method::GET, path).expect("a path").send().await;
            asked.expect("an answer").bytes().await.expect("a body");
        })
        .await;
        let first = self.written + 1;
        let writes = measured(self.server, WRITES, async |number| self.create(first + number).await).await;
        self.written += WRITES;
        taken.reads.push(reads);
        taken.writes.push(writes);
    }

    async fn create(&self, number: usize) {
        let object = json!({"metadata": {"name": format!("map-{number}")}, "data": {"text": "x".repeat(1_000)}});
        let path = "/api/v1/namespaces/default/configmaps";
        self.cluster.admin().client().request(Method::POST, path, Some(&object)).await.expect("it is created");
    }
}

/// One turn of requests.
async fn measured<F>(server: u32, requests: usize, ask: impl Fn(usize) -> F) -> Turn
where
    F: Future<Output = ()>,
{
    let (before, began) = (processor_time(server), Instant::now());
    let askers = (0..AT_ONCE).map(async |asker| {
        for number in (asker..requests).step_by(AT_ONCE) {
            ask(number).await;
        }
    });
    join_all(askers).await;
    let spent = (processor_time(server) - before).as_secs_f64() * 1e3;
    Turn { rate: requests as f64 / began.elapsed().as_secs_f64(), spent: spent / requests as f64 }
}
