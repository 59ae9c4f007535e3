//! What benches read of processes, and how they sum up.

use std::path::PathBuf;
use std::time::Duration;

/// Ticks of `/proc` in a second, on every Linux.
const TICKS: u64 = 100;

/// The program that is measured: what `TINYPLANE_BIN` names (as `./release` builds it), else what was built with the bench.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("TINYPLANE_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_tinyplane").into()).into()
}

/// What a process has in memory, in MiB. The kernel's quick counters are off by a MiB and more; this adds the pages up.
pub(crate) fn resident_mib(pid: u32) -> f64 {
    mib(pid, "smaps_rollup", "Rss")
}

/// A field of a process's file below `/proc`, in MiB: `Rss` or `Anonymous` of `smaps_rollup`, or `VmHWM` of `status`, which is the
/// most that there ever was by the quick counters.
pub(crate) fn mib(pid: u32, file: &str, field: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kib: u32 = line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap_or_default();
    f64::from(kib) / 1024.0
}

/// The processor time that a process has taken so far.
pub(crate) fn processor_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything; behind it the 12th and 13th fields are user's and system's ticks.
    let behind = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = behind.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1_000 / TICKS)
}

/// The time below which this share of all lies; 0.5 is the median.
pub(crate) fn quantile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    let at = (times.len() as f64 * share) as usize;
    times.get(at.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}
