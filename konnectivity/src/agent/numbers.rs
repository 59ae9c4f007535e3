//! What the agent counts, under upstream's names.

use crate::carry::shared::Flow;
use crate::metrics::{Counter, Gauge, Histogram, Labelled, Packets, Page};

/// Bounds of a dial, and of a question to the API server.
const LATENCIES: &[(f64, &str)] =
    &[(0.005, "0.005"), (0.025, "0.025"), (0.1, "0.1"), (0.5, "0.5"), (2.5, "2.5"), (10.0, "10"), (30.0, "30")];

/// The agent's numbers.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    /// Servers that it is connected to.
    pub(super) servers: Gauge,
    /// Servers that it is to be connected to.
    pub(super) known_servers: Gauge,
    pub(super) endpoints: Gauge,
    pub(super) dials: Histogram,
    pub(super) dial_timeouts: Counter,
    pub(super) dial_failures: Counter,
    /// Sessions that broke while the server was read, and while it was written to.
    pub(super) from_server_failures: Counter,
    pub(super) to_server_failures: Counter,
    pub(super) flow: Flow,
    /// What the agent says, and what it hears.
    pub(super) from_agent: Packets,
    pub(super) to_agent: Packets,
    pub(super) stream_errors: Labelled,
    pub(super) lease_lists: Labelled,
    pub(super) lease_watches: Labelled,
    pub(super) lease_list_took: Histogram,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            servers: Gauge::default(),
            known_servers: Gauge::default(),
            endpoints: Gauge::default(),
            dials: Histogram::with(LATENCIES),
            dial_timeouts: Counter::default(),
            dial_failures: Counter::default(),
            from_server_failures: Counter::default(),
            to_server_failures: Counter::default(),
            flow: Flow::default(),
            from_agent: Packets::of("from_agent"),
            to_agent: Packets::of("to_agent"),
            stream_errors: Labelled::default(),
            lease_lists: Labelled::default(),
            lease_watches: Labelled::default(),
            lease_list_took: Histogram::with(LATENCIES),
        }
    }
}

impl Numbers {
    /// Counts a session that broke, by what was done then.
    pub(super) fn session_broke(&self, reading: bool) {
        let (counter, segment) =
            if reading { (&self.from_server_failures, "to_agent") } else { (&self.to_server_failures, "from_agent") };
        counter.add();
        self.stream_errors.add(format!("code=\"Unavailable\",packet_type=\"Unknown\",segment=\"{segment}\""));
    }

    /// All of them, as Prometheus reads them.
    pub(super) fn page(&self) -> String {
        Page::default()
            .histogram(
                "agent_dial_duration_seconds",
                "Latency of dial to the remote endpoint in seconds",
                "",
                &self.dials,
            )
            .counters(
                "agent_endpoint_dial_failure_total",
                "Number of failures dialing the remote endpoint, by reason (example: timeout).",
                &[("reason=\"timeout\"", &self.dial_timeouts), ("reason=\"unknown\"", &self.dial_failures)],
            )
            .gauges(
                "agent_known_server_count",
                "Current number of servers agent is trying to connect to.",
                &[("", &self.known_servers)],
            )
            .histogram(
                "agent_lease_list_latency_seconds",
                "Latency of server lease listing in seconds",
                "http_response_code=\"200\"",
                &self.lease_list_took,
            )
            .labelled(
                "agent_lease_lists_total",
                "Count of server lease list calls made by the agent to the k8s apiserver, labeled by HTTP response code and reason",
                &self.lease_lists,
            )
            .labelled(
                "agent_lease_watches_total",
                "Count of server lease watch calls made by the agent to the k8s apiserver, labeled by HTTP response code and reason",
                &self.lease_watches,
            )
            .gauges(
                "agent_open_endpoint_connections",
                "Current number of open endpoint connections.",
                &[("", &self.endpoints)],
            )
            .gauges(
                "agent_open_server_connections",
                "Current number of open server connections.",
                &[("", &self.servers)],
            )
            .counter(
                "agent_overflow_closed_total",
                "Connections closed since their endpoint held up all others of a server without flow control (ours).",
                &self.flow.closed,
            )
            .counters(
                "agent_server_connection_failure_count",
                "Count of failures to send to or receive from the proxy server, labeled by the direction (from_server or to_server). DEPRECATED, please use stream_events_error_total",
                &[
                    ("direction=\"from_server\"", &self.from_server_failures),
                    ("direction=\"to_server\"", &self.to_server_failures),
                ],
            )
            .labelled(
                "agent_stream_errors_total",
                "Count of gRPC stream errors, by segment, grpc Code, packet type. (example: from_agent, Code.Unavailable, DIAL_RSP)",
                &self.stream_errors,
            )
            .packets("agent_stream_packets_total", &[&self.from_agent, &self.to_agent])
            .process()
            .text()
    }
}
