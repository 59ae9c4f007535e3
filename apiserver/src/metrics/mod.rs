//! What is counted while the server works, told at `/metrics` in Prometheus' text form under upstream's names.
//!
//! Counting takes no lock: a series is found in a map that is replaced and never changed, and is made of atomics.

mod admission;
mod callers;
mod family;
mod histogram;
mod lists;
mod objects;
mod process;
mod requests;
mod text;

pub use admission::{AdmissionSeries, PluginSeries, Step};
pub use callers::Callers;
pub use family::Family;
pub use histogram::Histogram;
pub use lists::Lists;
pub use objects::StoredObjects;
pub use process::Process;
pub use requests::{Counted, InFlight, LongRunning, RequestLabels, RequestSeries, Requests};
pub use text::{CONTENT_TYPE, Kind, Text};

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

/// Counters of outcomes.
#[derive(Debug, Default)]
pub struct Outcomes {
    good: AtomicU64,
    bad: AtomicU64,
}

impl Outcomes {
    /// Counts one.
    pub fn count(&self, good: bool) {
        let counter = if good { &self.good } else { &self.bad };
        counter.fetch_add(1, Ordering::Relaxed);
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
    /// Lists, by resource.
    pub lists: Lists,
    /// Deprecated kinds that somebody asked for: group, version, resource and subresource.
    pub deprecated: Family<[String; 4], ()>,
    /// Handshakes of TLS that failed.
    pub handshake_failures: AtomicU64,
    /// Whether callers were allowed.
    pub authorization: Outcomes,
    /// Events that were sent to watchers, by group, version and resource.
    pub watch_events: Family<(String, String, String), WatchSeries>,
    /// Changes of the store, by operation and folder.
    pub store: Family<(&'static str, String), StoreSeries>,
    /// Events of the audit log, and those that it could not take.
    pub audit: AuditSeries,
}

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
        let outcomes = |text: &mut Text, name: &str, outcomes: &Outcomes, good: &str, bad: &str| {
            for (word, counter) in [(good, &outcomes.good), (bad, &outcomes.bad)] {
                text.sample(name, &[("result", word)], counter.load(Ordering::Relaxed) as f64);
            }
        };
        self.callers.tell(text);
        text.family("authorization_attempts_total", Kind::Counter, "[ALPHA] Questions to authorization, by answer.");
        outcomes(text, "authorization_attempts_total", &self.authorization, "allowed", "no-opinion");
        text.family("apiserver_audit_event_total", Kind::Counter, "[ALPHA] Events that were sent to the audit log.");
        text.sample("apiserver_audit_event_total", &[], self.audit.written.load(Ordering::Relaxed) as f64);
        let help = "[ALPHA] Events that the audit log could not take.";
        text.family("apiserver_audit_requests_rejected_total", Kind::Counter, help);
        text.sample("apiserver_audit_requests_rejected_total", &[], self.audit.lost.load(Ordering::Relaxed) as f64);
        let name = "apiserver_requested_deprecated_apis";
        text.family(name, Kind::Gauge, "[STABLE] Deprecated kinds that somebody asked for.");
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
        text.family(name, Kind::Counter, "[ALPHA] Handshakes of TLS that failed.");
        text.sample(name, &[], self.handshake_failures.load(Ordering::Relaxed) as f64);
        self.lists.tell(text);
        self.tell_watches(text);
        self.tell_store(text);
    }
}

impl Metrics {
    fn tell_watches(&self, text: &mut Text) {
        let series = self.watch_events.all();
        let name = "apiserver_watch_events_total";
        text.family(name, Kind::Counter, "[ALPHA] Events that were sent to watchers.");
        for ((group, version, resource), series) in &series {
            let labels = [("group", group.as_str()), ("resource", resource), ("version", version)];
            text.sample(name, &labels, series.bytes.count() as f64);
        }
        let name = "apiserver_watch_events_sizes";
        text.family(name, Kind::Histogram, "[ALPHA] Bytes of the events that were sent to watchers.");
        for ((group, version, resource), series) in &series {
            let labels = [("group", group.as_str()), ("resource", resource), ("version", version)];
            text.histogram(name, &labels, &series.bytes);
        }
    }

    fn tell_store(&self, text: &mut Text) {
        let series = self.store.all();
        let name = "etcd_request_duration_seconds";
        text.family(name, Kind::Histogram, "[ALPHA] Time that changes of the store took.");
        for ((operation, folder), series) in &series {
            let (group, resource) = of_folder(folder);
            let labels = [("group", group), ("operation", operation), ("resource", resource)];
            text.histogram(name, &labels, &series.seconds);
        }
        let name = "etcd_requests_total";
        text.family(name, Kind::Counter, "[ALPHA] Changes of the store.");
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
