//! Numbers of a member, as Prometheus reads them. Each member has its own: nothing is global.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// What every name begins with.
const PREFIX: &str = "konnectivity_network_proxy_";

/// A number that rises and falls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauge(Arc<AtomicI64>);

/// One of what a gauge counts, until it is dropped.
#[derive(Debug)]
pub(crate) struct Held(Arc<AtomicI64>);

impl Gauge {
    pub(crate) fn hold(&self) -> Held {
        self.0.fetch_add(1, Ordering::Relaxed);
        Held(Arc::clone(&self.0))
    }

    pub(crate) fn set(&self, to: usize) {
        self.0.store(i64::try_from(to).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A number that rises.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter(Arc<AtomicU64>);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The text that is served.
#[derive(Debug, Default)]
pub(crate) struct Page(String);

impl Page {
    /// A family of gauges: its labels (`name="value"`) with their numbers.
    pub(crate) fn gauges(mut self, name: &str, help: &str, members: &[(&str, &Gauge)]) -> Self {
        self.head(name, help, "gauge");
        for (labels, gauge) in members {
            self.line(name, labels, gauge.get());
        }
        self
    }

    /// A family of counters. Those that never counted are absent, as upstream's.
    pub(crate) fn counters(mut self, name: &str, help: &str, members: &[(&str, &Counter)]) -> Self {
        self.head(name, help, "counter");
        for (labels, counter) in members.iter().filter(|(_, counter)| counter.get() > 0) {
            self.line(name, labels, counter.get());
        }
        self
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        writeln!(self.0, "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {kind}")
            .expect("writing to a string never fails");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        writeln!(self.0, "{PREFIX}{name}{labels} {value}").expect("writing to a string never fails");
    }

    pub(crate) fn text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_reads_as_prometheus_text() {
        let (open, failed, never) = (Gauge::default(), Counter::default(), Counter::default());
        let held = open.hold();
        failed.add();
        let page = Page::default().gauges("open", "Open ones.", &[("", &open)]).counters(
            "failed",
            "Failed ones.",
            &[("reason=\"a\"", &failed), ("reason=\"b\"", &never)],
        );
        assert_eq!(
            page.text(),
            "# HELP konnectivity_network_proxy_open Open ones.\n# TYPE konnectivity_network_proxy_open gauge\n\
             konnectivity_network_proxy_open 1\n# HELP konnectivity_network_proxy_failed Failed ones.\n\
             # TYPE konnectivity_network_proxy_failed counter\nkonnectivity_network_proxy_failed{reason=\"a\"} 1\n"
        );
        drop(held);
        assert_eq!(open.get(), 0);
    }
}
