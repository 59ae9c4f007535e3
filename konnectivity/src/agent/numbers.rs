//! What the agent counts.

use crate::metrics::{Counter, Gauge, Page};

/// The agent's numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    /// Servers that it is connected to.
    pub(super) servers: Gauge,
    /// Servers that it was told of.
    pub(super) known_servers: Gauge,
    pub(super) endpoints: Gauge,
    pub(super) dial_timeouts: Counter,
    pub(super) dial_failures: Counter,
}

impl Numbers {
    /// All of them, as Prometheus reads them.
    pub(super) fn page(&self) -> String {
        Page::default()
            .gauges("agent_open_server_connections", "Servers that the agent is connected to.", &[("", &self.servers)])
            .gauges("agent_known_server_count", "Servers that the agent was told of.", &[("", &self.known_servers)])
            .gauges(
                "agent_open_endpoint_connections",
                "Current number of open endpoint connections.",
                &[("", &self.endpoints)],
            )
            .counters(
                "agent_endpoint_dial_failure_total",
                "Number of failures dialing the remote endpoint, by reason (example: timeout).",
                &[("reason=\"timeout\"", &self.dial_timeouts), ("reason=\"unknown\"", &self.dial_failures)],
            )
            .text()
    }
}
