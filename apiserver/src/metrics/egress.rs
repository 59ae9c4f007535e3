//! Dials through proxies on the way to nodes, as upstream's `egressselector` counts them.

use super::{Family, Histogram, Kind, Source, Text};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tinyplane_konnectivity_client::Numbers;

/// Bounds of the time that a dial takes, in seconds.
const SECONDS: &[f64] = &[0.005, 0.025, 0.1, 0.5, 2.5, 12.5];

/// Where a dial failed.
#[derive(Clone, Copy, Debug)]
pub enum Stage {
    /// The proxy itself was not reached.
    Connect,
    /// The proxy could not do what it was asked for.
    Proxy,
}

/// Dials by the proxy's protocol (`grpc`, `http_connect`) and what leads to it (`uds`, `tcp`).
#[derive(Debug, Default)]
pub struct EgressDials {
    ways: Family<(&'static str, &'static str), EgressSeries>,
    /// What the client of gRPC frontends counts by itself, as upstream's library does.
    pub tunnels: Arc<Numbers>,
}

/// The dials of one way.
#[derive(Debug)]
pub struct EgressSeries {
    starts: AtomicU64,
    failures: [AtomicU64; 2],
    seconds: Histogram,
}

impl Default for EgressSeries {
    fn default() -> Self {
        Self { starts: AtomicU64::new(0), failures: Default::default(), seconds: Histogram::new(SECONDS) }
    }
}

impl EgressSeries {
    /// Counts a dial that begins.
    pub fn started(&self) {
        self.starts.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection, and how long it took to be there.
    pub fn succeeded(&self, took: Duration) {
        self.seconds.record(took);
    }

    /// Counts a dial that came to nothing.
    pub fn failed(&self, stage: Stage) {
        self.failures[stage as usize].fetch_add(1, Ordering::Relaxed);
    }
}

impl EgressDials {
    /// The series of a way.
    #[must_use]
    pub fn of(&self, way: (&'static str, &'static str)) -> Arc<EgressSeries> {
        self.ways.series(&way)
    }
}

// Upstream's HELP texts.
const DURATION: &str =
    "[ALPHA] Dial latency histogram in seconds, labeled by the protocol (http-connect or grpc), transport (tcp or uds)";
const FAILURES: &str = "[ALPHA] Dial failure count, labeled by the protocol (http-connect or grpc), transport (tcp or uds), and stage (connect or proxy). The stage indicates at which stage the dial failed";
const STARTS: &str = "[ALPHA] Dial starts, labeled by the protocol (http-connect or grpc) and transport (tcp or uds).";

impl Source for EgressDials {
    #[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are floating")]
    fn tell(&self, text: &mut Text) {
        tell_tunnels(&self.tunnels, text);
        let series = self.ways.all();
        // As with Prometheus' vectors: nothing is told of dials where there were none.
        if series.is_empty() {
            return;
        }
        let name = "apiserver_egress_dialer_dial_duration_seconds";
        text.family(name, Kind::Histogram, DURATION);
        for ((protocol, transport), series) in series.iter().filter(|(_, series)| series.seconds.count() > 0) {
            text.histogram(name, &[("protocol", protocol), ("transport", transport)], &series.seconds);
        }
        let name = "apiserver_egress_dialer_dial_failure_count";
        text.family(name, Kind::Counter, FAILURES);
        for ((protocol, transport), series) in &series {
            for (stage, failures) in ["connect", "proxy"].iter().zip(&series.failures) {
                let failures = failures.load(Ordering::Relaxed);
                if failures > 0 {
                    let labels = [("protocol", *protocol), ("stage", *stage), ("transport", *transport)];
                    text.sample(name, &labels, failures as f64);
                }
            }
        }
        let name = "apiserver_egress_dialer_dial_start_total";
        text.family(name, Kind::Counter, STARTS);
        for ((protocol, transport), series) in &series {
            let starts = series.starts.load(Ordering::Relaxed) as f64;
            text.sample(name, &[("protocol", protocol), ("transport", transport)], starts);
        }
    }
}

/// The families of upstream's client library. None is told of before something of it has happened.
#[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are floating")]
fn tell_tunnels(numbers: &Numbers, text: &mut Text) {
    const PREFIX: &str = "konnectivity_network_proxy_client_";
    let mut family = |name: &str, kind, help: &str, samples: Vec<(Vec<(&str, &str)>, f64)>| {
        let name = format!("{PREFIX}{name}");
        if !samples.is_empty() {
            text.family(&name, kind, help);
        }
        for (labels, value) in samples {
            text.sample(&name, &labels, value);
        }
    };
    let connections = numbers.connections().into_iter().map(|(status, now)| (vec![("status", status)], now as f64));
    let help = "Number of open client connections, by status (Example: dialing)";
    family("client_connections", Kind::Gauge, help, connections.collect());
    let failures = numbers.dial_failures().into_iter().map(|(reason, count)| (vec![("reason", reason)], count as f64));
    let help = "Number of dial failures observed, by reason (example: remote endpoint error)";
    family("dial_failure_total", Kind::Counter, help, failures.collect());
    let errors = numbers.stream_errors().into_iter().map(|((code, packet, segment), count)| {
        (vec![("code", code), ("packet_type", packet), ("segment", segment)], count as f64)
    });
    let help = "Count of gRPC stream errors, by segment, grpc Code, packet type. (example: from_agent, Code.Unavailable, DIAL_RSP)";
    family("stream_errors_total", Kind::Counter, help, errors.collect());
    let packets = numbers
        .packets()
        .into_iter()
        .map(|((packet, segment), count)| (vec![("packet_type", packet), ("segment", segment)], count as f64));
    let help = "Count of packets processed, by segment and packet type (example: from_client, DIAL_REQ)";
    family("stream_packets_total", Kind::Counter, help, packets.collect());
}
