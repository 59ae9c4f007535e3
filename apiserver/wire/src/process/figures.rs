//! The process: its time, memory and files, as the kernel tells them when somebody asks, and in the words of Prometheus' own client.

use std::fs::{read_dir, read_to_string};

/// Ticks of a second in which the kernel counts a process' time, on every architecture that is supported.
const TICKS: f64 = 100.0;

/// One of them.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Its family.
    pub name: &'static str,
    /// `counter` or `gauge`.
    pub kind: &'static str,
    /// What it is, in a sentence.
    pub help: &'static str,
    /// How much: seconds, bytes, or pieces, as the name says.
    pub value: f64,
}

/// All of them, by name. Where the kernel does not tell one, it is left out.
#[must_use]
pub fn figures() -> Vec<Figure> {
    let read = |path: &str| read_to_string(path).unwrap_or_default();
    let (stat, status) = (read("/proc/self/stat"), read("/proc/self/status"));
    let (limits, netstat, machine) = (read("/proc/self/limits"), read("/proc/self/net/netstat"), read("/proc/stat"));
    // The name of the program stands in brackets and may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let field = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
    let bytes = |name: &str| after(&status, &format!("{name}:")).map(|kibibytes| kibibytes * 1024.0);
    let busy = field(11).zip(field(12)).map(|(user, system)| (user + system) / TICKS);
    let open = read_dir("/proc/self/fd").ok().map(|open| open.count() as f64);
    let started = after(&machine, "btime").zip(field(19)).map(|(booted, ticks)| booted + ticks / TICKS);
    // Where there is no limit, its number is the largest.
    let memory_max = limits.contains("Max address space").then(|| after(&limits, "Max address space"));
    let tasks = tokio::runtime::Handle::try_current().ok().map(|runtime| runtime.metrics().num_alive_tasks() as f64);
    [
        ("process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.", busy),
        ("process_max_fds", "gauge", "Maximum number of open file descriptors.", after(&limits, "Max open files")),
        (
            "process_network_receive_bytes_total",
            "counter",
            "Number of bytes received by the process over the network.",
            octets(&netstat, "InOctets"),
        ),
        (
            "process_network_transmit_bytes_total",
            "counter",
            "Number of bytes sent by the process over the network.",
            octets(&netstat, "OutOctets"),
        ),
        ("process_open_fds", "gauge", "Number of open file descriptors.", open),
        ("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", bytes("VmRSS")),
        ("process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.", started),
        ("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", bytes("VmSize")),
        (
            "process_virtual_memory_max_bytes",
            "gauge",
            "Maximum amount of virtual memory available in bytes.",
            memory_max.map(|most| most.unwrap_or(u64::MAX as f64)),
        ),
        ("tinyplane_tasks", "gauge", "Tasks of this member that have not ended (ours).", tasks),
    ]
    .into_iter()
    .filter_map(|(name, kind, help, value)| Some(Figure { name, kind, help, value: value? }))
    .collect()
}

/// The number behind a name at the beginning of a line.
fn after(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

/// A count of the kernel's network statistics, in which a line of names stands above one of numbers. It is of all processes
/// that share the network, upstream's too.
fn octets(netstat: &str, name: &str) -> Option<f64> {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("IpExt:"));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let at = names.split_whitespace().position(|one| one == name)?;
    numbers.split_whitespace().nth(at)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kernel_tells_every_figure() {
        let told = figures();
        assert!(told.is_sorted_by_key(|figure| figure.name) && told.len() == 10, "{told:?}");
        let value = |name: &str| told.iter().find(|figure| figure.name == name).unwrap().value;
        assert!(value("process_virtual_memory_bytes") > value("process_resident_memory_bytes"));
        assert!(value("process_max_fds") >= value("process_open_fds") && value("process_open_fds") > 2.0);
        assert!(value("process_virtual_memory_max_bytes") >= value("process_virtual_memory_bytes"));
        let now = crate::clock::Clock::system().unix_seconds() as f64;
        let age = now - value("process_start_time_seconds");
        assert!((-2.0..86_400.0).contains(&age), "{age} s");
    }
}
