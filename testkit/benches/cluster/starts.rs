//! How soon a cluster is ready and ends, and what it weighs when idle.

use crate::figures::{program, quantile, resident_mib};
use std::time::{Duration, Instant};
use tinyplane::{Builder, Cluster, Egress, RunnerChoice, Storage};
use tinyplane_wire::clock::Clock;

/// Starts that are measured, of each kind.
const RUNS: usize = 9;
/// How long a cluster does nothing before its memory is read.
const IDLE: Duration = Duration::from_secs(2);

fn wishes() -> Builder {
    Cluster::builder().runner(RunnerChoice::ProcessesOf(program())).storage(Storage::Sled)
}

pub(crate) async fn run() {
    row("API server alone", || wishes().nodes(0).controllers(false)).await;
    for (word, egress) in Egress::WORDS {
        row(&format!("two nodes, {word}"), || wishes().egress(egress)).await;
    }
}

async fn row(what: &str, wishes: impl Fn() -> Builder) {
    let (mut ready, mut stopped, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let began = Instant::now();
        let cluster = wishes().start().await.expect("a cluster starts");
        ready.push(began.elapsed());
        Clock::system().sleep(IDLE).await;
        memory = cluster.members().iter().map(|m| (m.member.to_string(), m.pid.map_or(0.0, resident_mib))).collect();
        let began = Instant::now();
        cluster.stop().await;
        stopped.push(began.elapsed());
    }
    println!(
        "{what}: ready in {} ms, stopped in {} ms (medians of {RUNS})",
        quantile(&mut ready, 0.5).as_millis(),
        quantile(&mut stopped, 0.5).as_millis()
    );
    for (member, mib) in memory {
        println!("    {member:<20} {mib:>6.1} MiB resident");
    }
}
