//! What the server counts, under upstream's names.

use crate::carry::shared::Flow;
use crate::metrics::{Counter, Gauge, Histogram, Labelled, Packets, Page};

/// Bounds of what takes no time, or up to a dial's.
const LATENCIES: &[(f64, &str)] = &[
    (1e-6, "1e-06"),
    (1e-5, "1e-05"),
    (1e-4, "0.0001"),
    (0.005, "0.005"),
    (0.025, "0.025"),
    (0.1, "0.1"),
    (0.5, "0.5"),
    (2.5, "2.5"),
    (12.5, "12.5"),
];

/// Bounds of a connection's life.
const LIVES: &[(f64, &str)] = &[
    (1.0, "1"),
    (5.0, "5"),
    (15.0, "15"),
    (30.0, "30"),
    (60.0, "60"),
    (300.0, "300"),
    (900.0, "900"),
    (1800.0, "1800"),
    (3600.0, "3600"),
    (14400.0, "14400"),
    (43200.0, "43200"),
    (86400.0, "86400"),
];

/// Bounds that Prometheus' client has unless told others.
const DEFAULTS: &[(f64, &str)] = &[
    (0.005, "0.005"),
    (0.01, "0.01"),
    (0.025, "0.025"),
    (0.05, "0.05"),
    (0.1, "0.1"),
    (0.25, "0.25"),
    (0.5, "0.5"),
    (1.0, "1"),
    (2.5, "2.5"),
    (5.0, "5"),
    (10.0, "10"),
];

/// The server's numbers.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    pub(super) frontend_streams: Gauge,
    pub(super) agent_streams: Gauge,
    pub(super) http_connections: Gauge,
    /// Agents, as the first strategy counts them.
    pub(super) ready_backend_connections: Gauge,
    /// As each strategy counts them, in the strategies' order.
    pub(super) ready_backends: [Gauge; 3],
    pub(super) pending_dials: Gauge,
    pub(super) established: Gauge,
    pub(super) failures: DialFailures,
    pub(super) dials: Histogram,
    pub(super) frontend_writes: Histogram,
    pub(super) connections: Histogram,
    pub(super) flow: Flow,
    pub(super) from_client: Packets,
    pub(super) to_client: Packets,
    pub(super) from_agent: Packets,
    pub(super) to_agent: Packets,
    pub(super) stream_errors: Labelled,
    pub(super) leases: LeaseNumbers,
}

/// Dials that failed, by their reason.
#[derive(Clone, Debug, Default)]
pub(super) struct DialFailures {
    pub(super) no_agent: Counter,
    pub(super) error_response: Counter,
    pub(super) unrecognized_response: Counter,
    pub(super) send_rsp: Counter,
    pub(super) backend_close: Counter,
    pub(super) backend_dial_timeout: Counter,
    pub(super) frontend_close: Counter,
}

/// What is counted of leases.
#[derive(Clone, Debug)]
pub(super) struct LeaseNumbers {
    pub(super) culled: Counter,
    pub(super) deletes: Labelled,
    pub(super) lists: Labelled,
    pub(super) delete_took: Histogram,
    pub(super) list_took: Histogram,
}

impl Default for Numbers {
    fn default() -> Self {
        let leases = LeaseNumbers {
            culled: Counter::default(),
            deletes: Labelled::default(),
            lists: Labelled::default(),
            delete_took: Histogram::with(DEFAULTS),
            list_took: Histogram::with(DEFAULTS),
        };
        Self {
            frontend_streams: Gauge::default(),
            agent_streams: Gauge::default(),
            http_connections: Gauge::default(),
            ready_backend_connections: Gauge::default(),
            ready_backends: Default::default(),
            pending_dials: Gauge::default(),
            established: Gauge::default(),
            failures: DialFailures::default(),
            dials: Histogram::with(LATENCIES),
            frontend_writes: Histogram::with(LATENCIES),
            connections: Histogram::with(LIVES),
            flow: Flow::default(),
            from_client: Packets::of("from_client"),
            to_client: Packets::of("to_client"),
            from_agent: Packets::of("from_agent"),
            to_agent: Packets::of("to_agent"),
            stream_errors: Labelled::default(),
            leases,
        }
    }
}

impl Numbers {
    /// Counts a stream that broke.
    pub(super) fn stream_broke(&self, segment: &str) {
        self.stream_errors.add(format!("code=\"Unavailable\",packet_type=\"Unknown\",segment=\"{segment}\""));
    }

    /// All of them, as Prometheus reads them.
    pub(super) fn page(&self, strategies: &[super::Strategy]) -> String {
        let labels: Vec<_> = strategies.iter().map(|one| format!("proxy_strategy=\"{one}\"")).collect();
        let backends: Vec<_> =
            labels.iter().zip(&self.ready_backends).map(|(labels, gauge)| (labels.as_str(), gauge)).collect();
        let page = Page::default()
            .histogram(
                "server_connection_duration_seconds",
                "Duration in seconds a proxied end-to-end connection was established (post-dial) before being closed.",
                "",
                &self.connections,
            )
            .counter(
                "server_culled_leases_count",
                "Count of expired leases that the lease garbage collection controller has culled.",
                &self.leases.culled,
            )
            .histogram(
                "server_dial_duration_seconds",
                "Latency of dial to the remote endpoint in seconds",
                "",
                &self.dials,
            );
        let page = self
            .failures
            .on(page)
            .gauges(
                "server_established_connections",
                "Current number of established end-to-end connections (post-dial).",
                &[("", &self.established)],
            )
            .histogram(
                "server_frontend_write_duration_seconds",
                "Latency of write to the frontend in seconds",
                "",
                &self.frontend_writes,
            )
            .gauges(
                "server_full_receive_channels",
                "Number of current connections blocked by a full receive channel, partitioned by service method.",
                &[("service_method=\"Connect\"", &self.flow.full)],
            )
            .gauges(
                "server_grpc_connections",
                "Number of current grpc connections, partitioned by service method.",
                &[
                    ("service_method=\"Connect\"", &self.agent_streams),
                    ("service_method=\"Proxy\"", &self.frontend_streams),
                ],
            )
            .gauges(
                "server_http_connections",
                "Number of current HTTP CONNECT connections",
                &[("", &self.http_connections)],
            );
        self.leases.on(page)
            .counter(
                "server_overflow_closed_total",
                "Connections closed since their reader held up all others of an agent without flow control (ours).",
                &self.flow.closed,
            )
            .gauges(
                "server_pending_backend_dials",
                "Current number of pending backend dial requests",
                &[("", &self.pending_dials)],
            )
            .gauges(
                "server_ready_backend_connections",
                "Number of konnectivity agent connected to the proxy server. DEPRECATED, please use ready_backends",
                &[("", &self.ready_backend_connections)],
            )
            .gauges(
                "server_ready_backends",
                "Number of konnectivity agent connected to the proxy server",
                &backends,
            )
            .labelled(
                "server_stream_errors_total",
                "Count of gRPC stream errors, by segment, grpc Code, packet type. (example: from_agent, Code.Unavailable, DIAL_RSP)",
                &self.stream_errors,
            )
            .packets(
                "server_stream_packets_total",
                &[&self.from_client, &self.to_client, &self.from_agent, &self.to_agent],
            )
            .process()
            .text()
    }
}

impl DialFailures {
    fn on(&self, page: Page) -> Page {
        page.counters(
            "server_dial_failure_count",
            "Number of dial failures observed. Multiple failures can occur for a single dial request.",
            &[
                ("reason=\"backend_close\"", &self.backend_close),
                ("reason=\"backend_dial_timeout\"", &self.backend_dial_timeout),
                ("reason=\"error_response\"", &self.error_response),
                ("reason=\"frontend_close\"", &self.frontend_close),
                ("reason=\"no_agent\"", &self.no_agent),
                ("reason=\"send_rsp\"", &self.send_rsp),
                ("reason=\"unrecognized_response\"", &self.unrecognized_response),
            ],
        )
    }
}

impl LeaseNumbers {
    fn on(&self, page: Page) -> Page {
        const OK: &str = "http_status_code=\"200\"";
        page.histogram(
            "server_lease_delete_latency_seconds",
            "Latency of lease deletion calls by the garbage collection controller in seconds.",
            OK,
            &self.delete_took,
        )
        .labelled(
            "server_lease_delete_total",
            "Count of lease delection calls by the garbage collection controller. Labeled by HTTP status code and reason.",
            &self.deletes,
        )
        .histogram(
            "server_lease_list_latency_seconds",
            "Latency of lease list calls by the garbage collection controller in seconds.",
            OK,
            &self.list_took,
        )
        .labelled(
            "server_lease_list_total",
            "Count of lease deletion calls by the garbage collection controller. Labeled by HTTP status code and reason.",
            &self.lists,
        )
    }
}
