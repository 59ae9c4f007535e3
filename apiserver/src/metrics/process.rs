//! The process: its time, memory and files, as the kernel tells them when somebody asks.

use super::{Kind, Source, Text};
use crate::endpoints::version;

/// Ticks of a second in which the kernel counts a process' time, on every architecture that is supported.
const TICKS: f64 = 100.0;

/// The process' figures. Where the kernel does not tell them, they are left out.
#[derive(Debug)]
pub struct Process;

impl Source for Process {
    fn tell(&self, text: &mut Text) {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let mut gauge = |name: &str, kind: Kind, help: &str, value: Option<f64>| {
            if let Some(value) = value {
                text.family(name, kind, help);
                text.sample(name, &[], value);
            }
        };
        let stat = read("/proc/self/stat");
        // The name of the program stands in brackets and may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let field = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
        let busy = field(11).zip(field(12)).map(|(user, system)| (user + system) / TICKS);
        gauge("process_cpu_seconds_total", Kind::Counter, "Total user and system CPU time spent in seconds.", busy);
        let open = std::fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
        gauge("process_open_fds", Kind::Gauge, "Number of open file descriptors.", open.map(|count| count as f64));
        let limits = read("/proc/self/limits");
        let most = limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next());
        gauge(
            "process_max_fds",
            Kind::Gauge,
            "Maximum number of open file descriptors.",
            most.and_then(|text| text.parse().ok()),
        );
        let status = read("/proc/self/status");
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.split_whitespace().next()?.parse::<f64>().ok().map(|kibibytes| kibibytes * 1024.0)
        };
        gauge("process_resident_memory_bytes", Kind::Gauge, "Resident memory size in bytes.", bytes("VmRSS"));
        gauge("process_virtual_memory_bytes", Kind::Gauge, "Virtual memory size in bytes.", bytes("VmSize"));
        let most = limits.lines().find_map(|line| line.strip_prefix("Max address space")?.split_whitespace().next());
        let most = most.map(|most| most.parse().unwrap_or(u64::MAX as f64));
        let help = "Maximum amount of virtual memory available in bytes.";
        gauge("process_virtual_memory_max_bytes", Kind::Gauge, help, most);
        let netstat = read("/proc/self/net/netstat");
        let help = "Number of bytes received by the process over the network.";
        gauge("process_network_receive_bytes_total", Kind::Counter, help, octets(&netstat, "InOctets"));
        let help = "Number of bytes sent by the process over the network.";
        gauge("process_network_transmit_bytes_total", Kind::Counter, help, octets(&netstat, "OutOctets"));
        let tasks = tokio::runtime::Handle::try_current().ok().map(|runtime| runtime.metrics().num_alive_tasks());
        gauge("tinyplane_tasks", Kind::Gauge, "Tasks that have not ended (ours).", tasks.map(|count| count as f64));
        let booted = read("/proc/stat");
        let booted = booted.lines().find_map(|line| line.strip_prefix("btime ")?.parse::<f64>().ok());
        let started = booted.zip(field(19)).map(|(booted, ticks)| booted + ticks / TICKS);
        gauge(
            "process_start_time_seconds",
            Kind::Gauge,
            "Start time of the process since unix epoch in seconds.",
            started,
        );
        let info = version::info();
        let label = |name: &str| info[name].as_str().unwrap_or_default().to_owned();
        let labels = [
            ("build_date", label("buildDate")),
            ("compiler", label("compiler")),
            ("git_commit", label("gitCommit")),
            ("git_tree_state", label("gitTreeState")),
            ("git_version", label("gitVersion")),
            ("go_version", label("goVersion")),
            ("major", label("major")),
            ("minor", label("minor")),
            ("platform", label("platform")),
        ];
        let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        text.family("kubernetes_build_info", Kind::Gauge, "[BETA] A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running.");
        text.sample("kubernetes_build_info", &labels, 1.0);
    }
}

/// A count of the kernel's network statistics, in which a line of names stands above one of numbers. It is of all processes
/// that share the network, upstream's too.
fn octets(netstat: &str, name: &str) -> Option<f64> {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("IpExt:"));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let at = names.split_whitespace().position(|one| one == name)?;
    numbers.split_whitespace().nth(at)?.parse().ok()
}
