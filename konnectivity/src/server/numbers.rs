//! What the server counts.

use crate::metrics::{Counter, Gauge, Page};

/// The server's numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    pub(super) frontend_streams: Gauge,
    pub(super) agent_streams: Gauge,
    pub(super) http_connections: Gauge,
    pub(super) ready_backends: Gauge,
    pub(super) pending_dials: Gauge,
    pub(super) established: Gauge,
    pub(super) failures: DialFailures,
}

/// Dials that failed, by their reason.
#[derive(Clone, Debug, Default)]
pub(super) struct DialFailures {
    pub(super) no_agent: Counter,
    pub(super) error_response: Counter,
    pub(super) unrecognized_response: Counter,
    pub(super) backend_close: Counter,
    pub(super) backend_dial_timeout: Counter,
    pub(super) frontend_close: Counter,
}

impl Numbers {
    /// All of them, as Prometheus reads them.
    pub(super) fn page(&self) -> String {
        let failures = &self.failures;
        Page::default()
            .gauges(
                "server_grpc_connections",
                "Open gRPC streams, by service method.",
                &[
                    ("service_method=\"Connect\"", &self.agent_streams),
                    ("service_method=\"Proxy\"", &self.frontend_streams),
                ],
            )
            .gauges("server_http_connections", "Open HTTP CONNECT connections.", &[("", &self.http_connections)])
            .gauges("server_ready_backend_connections", "Agents' connections.", &[("", &self.ready_backends)])
            .gauges(
                "server_ready_backends",
                "Agents' connections, by strategy.",
                &[("proxy_strategy=\"default\"", &self.ready_backends)],
            )
            .gauges(
                "server_pending_backend_dials",
                "Dials that agents have not answered.",
                &[("", &self.pending_dials)],
            )
            .gauges("server_established_connections", "Connections through the tunnel.", &[("", &self.established)])
            .counters(
                "server_dial_failure_count",
                "Dials that failed, by reason.",
                &[
                    ("reason=\"backend_close\"", &failures.backend_close),
                    ("reason=\"backend_dial_timeout\"", &failures.backend_dial_timeout),
                    ("reason=\"error_response\"", &failures.error_response),
                    ("reason=\"frontend_close\"", &failures.frontend_close),
                    ("reason=\"no_agent\"", &failures.no_agent),
                    ("reason=\"unrecognized_response\"", &failures.unrecognized_response),
                ],
            )
            .text()
    }
}
