//! Figures of a whole cluster: how soon it is ready and ends, and what it weighs when idle. `cargo bench --bench cluster`

use std::path::PathBuf;
use std::time::{Duration, Instant};
use tinyplane::{Builder, Cluster, Egress, RunnerChoice, Storage};
use tinyplane_wire::clock::Clock;

/// Starts that are measured, of each kind.
const RUNS: usize = 9;
/// How long a cluster does nothing before its memory is read.
const IDLE: Duration = Duration::from_secs(2);

fn wishes() -> Builder {
    let binary: PathBuf = env!("CARGO_BIN_EXE_tinyplane").into();
    Cluster::builder().runner(RunnerChoice::ProcessesOf(binary)).storage(Storage::Sled)
}

#[tokio::main]
async fn main() {
    row("API server alone", || wishes().nodes(0).controllers(false)).await;
    for (word, egress) in Egress::WORDS {
        row(&format!("two nodes, {word}"), || wishes().egress(egress)).await;
    }
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
async fn row(what: &str, wishes: impl Fn() -> Builder) {
    let (mut ready, mut stopped, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let began = Instant::now();
        let cluster = wishes().start().await.expect("a cluster starts");
        ready.push(began.elapsed());
        Clock::system().sleep(IDLE).await;
        memory = cluster.members().iter().map(|m| (m.member.to_string(), m.pid.map_or(0, resident_kib))).collect();
        let began = Instant::now();
        cluster.stop().await;
        stopped.push(began.elapsed());
    }
    println!("{what}: ready in {} ms, stopped in {} ms (medians of {RUNS})", median(ready), median(stopped));
    for (member, kib) in memory {
        println!("    {member:<20} {:>6.1} MiB resident", kib as f64 / 1024.0);
    }
}

fn median(mut times: Vec<Duration>) -> u128 {
    times.sort();
    times[times.len() / 2].as_millis()
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap_or_default()
}
