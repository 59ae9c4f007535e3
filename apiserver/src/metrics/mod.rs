//! What is counted while the server works, told at `/metrics` in Prometheus' text form under upstream's names.
//!
//! Counting takes no lock: a series is found in a map that is replaced and never changed, and is made of atomics.

mod admission;
mod callers;
mod egress;
mod family;
mod histogram;
mod impersonation;
mod lists;
mod objects;
mod process;
mod requests;
mod text;

pub use admission::{AdmissionSeries, PluginSeries, Step};
pub use callers::Callers;
pub use egress::{EgressDials, EgressSeries, Stage};
pub use family::Family;
pub use histogram::Histogram;
pub use impersonation::Impersonations;
pub use lists::Lists;
pub use objects::StoredObjects;
pub use process::Process;
pub use requests::{Counted, FieldValidation, InFlight, LongRunning, RequestLabels, RequestSeries, Requests};
pub use text::{CONTENT_TYPE, Kind, Text};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Something that has figures to tell.
pub trait Source: Send + Sync {
    /// Writes the figures of now.
    fn tell(&self, text: &mut Text);
}

/// Bounds of the time that one change of the store takes, in seconds.
const STORE_SECONDS: &[f64] = &[
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0, 60.0,
];
/// Bounds of the size of one event of a watch, in bytes.
const EVENT_BYTES: &[f64] = &[1024.0, 2048.0, 4096.0, 8192.0, 16384.0, 32768.0, 65536.0, 131_072.0];

/// Bounds of the time that one of the rooms before the handlers takes, in seconds.
const FILTER_SECONDS: &[f64] = &[0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 5.0, 10.0, 15.0, 30.0];

/// The time that the rooms before the handlers take, and whether callers were allowed.
#[derive(Debug)]
pub struct Filters {
    allowed: Histogram,
    refused: Histogram,
    authentication: Histogram,
    authorization: Histogram,
    fairness: Histogram,
}

impl Default for Filters {
    fn default() -> Self {
        let (seconds, filter) = (|| Histogram::new(callers::SECONDS), || Histogram::new(FILTER_SECONDS));
        Self {
            allowed: seconds(),
            refused: seconds(),
            authentication: filter(),
            authorization: filter(),
            fairness: filter(),
        }
    }
}

impl Filters {
    /// Counts how long it took to know a caller, or to find out that nobody does.
    pub fn authenticated(&self, took: Duration) {
        self.authentication.record(took);
    }

    /// Counts how long a request waited for its turn.
    pub fn waited(&self, took: Duration) {
        self.fairness.record(took);
    }

    /// Counts an answer of authorization.
    pub fn authorized(&self, allowed: bool, took: Duration) {
        if allowed {
            self.allowed.record(took);
        } else {
            self.refused.record(took);
        }
        self.authorization.record(took);
    }

    fn tell(&self, text: &mut Text) {
        let results = [("allowed", &self.allowed), ("no-opinion", &self.refused)];
        let name = "authorization_attempts_total";
        let help = "[ALPHA] Counter of authorization attempts broken down by result. It can be either 'allowed', 'denied', 'no-opinion' or 'error'.";
        text.family(name, Kind::Counter, help);
        for (result, histogram) in results {
            text.sample(name, &[("result", result)], histogram.count() as f64);
        }
        let name = "authorization_duration_seconds";
        text.family(name, Kind::Histogram, "[ALPHA] Authorization duration in seconds broken out by result.");
        for (result, histogram) in results {
            text.histogram(name, &[("result", result)], histogram);
        }
        let name = "apiserver_request_filter_duration_seconds";
        let help = "[ALPHA] Request filter latency distribution in seconds, for each filter type";
        text.family(name, Kind::Histogram, help);
        let filters = [
            ("authentication", &self.authentication),
            ("authorization", &self.authorization),
            ("priorityandfairness", &self.fairness),
        ];
        for (filter, histogram) in filters {
            text.histogram(name, &[("filter", filter)], histogram);
        }
    }
}

/// Everything that is counted in rooms that have no place for it of their own.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Requests, by what they ask for.
    pub requests: Requests,
    /// Admission, by plugin and step.
    pub admission: AdmissionSeries,
    /// Whether callers were known, and who they were.
    pub callers: Callers,
    /// Who wanted to act as somebody else.
    pub impersonations: Arc<Impersonations>,
    /// Lists, by resource.
    pub lists: Lists,
    /// Deprecated kinds that somebody asked for: group, version, resource and subresource.
    pub deprecated: Family<[String; 4], ()>,
    /// Handshakes of TLS that failed.
    pub handshake_failures: AtomicU64,
    /// The rooms before the handlers, authorization among them.
    pub filters: Filters,
    /// Pods and templates that were held against standards: see [`PodSecurityLabels`].
    pub pod_security: Family<PodSecurityLabels, AtomicU64>,
    /// Events that were sent to watchers, by group, version and resource.
    pub watch_events: Family<(String, String, String), WatchSeries>,
    /// Changes of the store, by operation and folder.
    pub store: Family<(&'static str, String), StoreSeries>,
    /// Events of the audit log, and those that it could not take.
    pub audit: AuditSeries,
    /// Dials through proxies on the way to nodes.
    pub egress: Arc<EgressDials>,
}

/// Decision, mode, level, version, operation, resource (`pod` or `controller`) and subresource.
pub type PodSecurityLabels = (&'static str, &'static str, &'static str, String, &'static str, &'static str, String);

/// Events sent to the watchers of one resource.
#[derive(Debug)]
pub struct WatchSeries {
    bytes: Histogram,
}

impl Default for WatchSeries {
    fn default() -> Self {
        Self { bytes: Histogram::new(EVENT_BYTES) }
    }
}

impl WatchSeries {
    /// Counts events that together have this many bytes: each as of the mean size.
    pub fn count(&self, events: usize, bytes: usize) {
        self.bytes.record_alike(events as u64, bytes as u64);
    }
}

/// Changes of one kind to the objects in one folder of the store.
#[derive(Debug)]
pub struct StoreSeries {
    seconds: Histogram,
}

impl Default for StoreSeries {
    fn default() -> Self {
        Self { seconds: Histogram::new(STORE_SECONDS) }
    }
}

impl StoreSeries {
    /// Counts one change that took this long.
    pub fn count(&self, took: Duration) {
        self.seconds.record(took);
    }
}

/// What the audit log took and could not take.
#[derive(Debug, Default)]
pub struct AuditSeries {
    /// Events that were written.
    pub written: AtomicU64,
    /// Events that were lost.
    pub lost: AtomicU64,
}

impl Metrics {
    /// The series of the watchers of a resource.
    #[must_use]
    pub fn watchers_of(&self, group: &str, version: &str, resource: &str) -> Arc<WatchSeries> {
        self.watch_events.series(&(group.to_owned(), version.to_owned(), resource.to_owned()))
    }
}

impl Source for Metrics {
    fn tell(&self, text: &mut Text) {
        self.requests.tell(text);
        self.admission.tell(text);
        self.callers.tell(text);
        self.filters.tell(text);
        self.impersonations.tell(text);
        self.tell_pod_security(text);
        text.family(
            "apiserver_audit_event_total",
            Kind::Counter,
            "[ALPHA] Counter of audit events generated and sent to the audit backend.",
        );
        text.sample("apiserver_audit_event_total", &[], self.audit.written.load(Ordering::Relaxed) as f64);
        let help = "[ALPHA] Counter of apiserver requests rejected due to an error in audit logging backend.";
        text.family("apiserver_audit_requests_rejected_total", Kind::Counter, help);
        text.sample("apiserver_audit_requests_rejected_total", &[], self.audit.lost.load(Ordering::Relaxed) as f64);
        let name = "apiserver_requested_deprecated_apis";
        text.family(name, Kind::Gauge, "[STABLE] Gauge of deprecated APIs that have been requested, broken out by API group, version, resource, subresource, and removed_release.");
        for ([group, version, resource, subresource], _) in self.deprecated.all() {
            let labels = [
                ("group", group.as_str()),
                ("removed_release", ""),
                ("resource", resource.as_str()),
                ("subresource", subresource.as_str()),
                ("version", version.as_str()),
            ];
            text.sample(name, &labels, 1.0);
        }
        let name = "apiserver_tls_handshake_errors_total";
        text.family(name, Kind::Counter, "[ALPHA] Number of requests dropped with 'TLS handshake error from' error");
        text.sample(name, &[], self.handshake_failures.load(Ordering::Relaxed) as f64);
        self.lists.tell(text);
        self.egress.tell(text);
        self.tell_watches(text);
        self.tell_store(text);
    }
}

impl Metrics {
    fn tell_pod_security(&self, text: &mut Text) {
        let name = "pod_security_evaluations_total";
        let help = "[ALPHA] Number of policy evaluations that occurred, not counting ignored or exempt requests.";
        text.family(name, Kind::Counter, help);
        for ((decision, mode, level, version, operation, resource, subresource), count) in self.pod_security.all() {
            let labels = [
                ("decision", decision),
                ("mode", mode),
                ("policy_level", level),
                ("policy_version", &version),
                ("request_operation", operation),
                ("resource", resource),
                ("subresource", &subresource),
            ];
            text.sample(name, &labels, count.load(Ordering::Relaxed) as f64);
        }
    }

    fn tell_watches(&self, text: &mut Text) {
        let series = self.watch_events.all();
        let name = "apiserver_watch_events_total";
        text.family(name, Kind::Counter, "[ALPHA] Number of events sent in watch clients");
        for ((group, version, resource), series) in &series {
            let labels = [("group", group.as_str()), ("resource", resource), ("version", version)];
            text.sample(name, &labels, series.bytes.count() as f64);
        }
        let name = "apiserver_watch_events_sizes";
        text.family(name, Kind::Histogram, "[ALPHA] Watch event size distribution in bytes");
        for ((group, version, resource), series) in &series {
            let labels = [("group", group.as_str()), ("resource", resource), ("version", version)];
            text.histogram(name, &labels, &series.bytes);
        }
    }

    fn tell_store(&self, text: &mut Text) {
        let series = self.store.all();
        let name = "etcd_request_duration_seconds";
        text.family(
            name,
            Kind::Histogram,
            "[ALPHA] Etcd request latency in seconds for each operation and object type.",
        );
        for ((operation, folder), series) in &series {
            let (group, resource) = of_folder(folder);
            let labels = [("group", group), ("operation", operation), ("resource", resource)];
            text.histogram(name, &labels, &series.seconds);
        }
        let name = "apiserver_storage_events_received_total";
        text.family(name, Kind::Counter, "[BETA] Number of etcd events received split by kind.");
        let mut events: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for ((_, folder), series) in &series {
            *events.entry(of_folder(folder)).or_default() += series.seconds.count();
        }
        for ((group, resource), count) in events {
            text.sample(name, &[("group", group), ("resource", resource)], count as f64);
        }
        let name = "etcd_requests_total";
        text.family(name, Kind::Counter, "[ALPHA] Etcd request counts for each operation and object type.");
        for ((operation, folder), series) in &series {
            let (group, resource) = of_folder(folder);
            let labels = [("group", group), ("operation", operation), ("resource", resource)];
            text.sample(name, &labels, series.seconds.count() as f64);
        }
    }
}

/// Group and resource of a folder such as `/apps/deployments/`.
fn of_folder(folder: &str) -> (&str, &str) {
    let (group, resource) = folder.trim_matches('/').rsplit_once('/').unwrap_or(("", folder.trim_matches('/')));
    (if group == "core" { "" } else { group }, resource)
}

#[cfg(test)]
mod tests;
