//! Numbers of a member, as Prometheus reads them. Each member has its own: nothing is global.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tinyplane_konnectivity_client::packet::{NAMES, Packet};
use tinyplane_wire::process::{Figure, figures};

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

/// Counters by labels (`name="value",…`) that are not known beforehand. For what happens rarely.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labelled(Arc<Mutex<BTreeMap<String, u64>>>);

impl Labelled {
    pub(crate) fn add(&self, labels: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(labels).or_default() += 1;
    }
}

/// Packets of one direction of a stream, by their type.
#[derive(Clone, Debug)]
pub(crate) struct Packets {
    segment: &'static str,
    counts: Arc<[AtomicU64; NAMES.len()]>,
}

impl Packets {
    pub(crate) fn of(segment: &'static str) -> Self {
        Self { segment, counts: Arc::default() }
    }

    pub(crate) fn count(&self, packet: &Packet) {
        self.counts[packet.number()].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a packet of this number.
    pub(crate) fn count_one(&self, number: usize) {
        self.counts[number].fetch_add(1, Ordering::Relaxed);
    }
}

/// Seconds in buckets. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    /// Upper bounds, and how they are written.
    bounds: &'static [(f64, &'static str)],
    counts: Vec<AtomicU64>,
    nanos: AtomicU64,
}

impl Histogram {
    pub(crate) fn with(bounds: &'static [(f64, &'static str)]) -> Self {
        let counts = std::iter::repeat_with(AtomicU64::default).take(bounds.len() + 1).collect();
        Self(Arc::new(Buckets { bounds, counts, nanos: AtomicU64::new(0) }))
    }

    pub(crate) fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = self.0.bounds.partition_point(|(bound, _)| *bound < seconds);
        self.0.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.0.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
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

    /// A family of counters. Those that never counted are absent, and so is the family of which none did, as upstream's.
    pub(crate) fn counters(mut self, name: &str, help: &str, members: &[(&str, &Counter)]) -> Self {
        let counted: Vec<_> = members.iter().filter(|(_, counter)| counter.get() > 0).collect();
        if !counted.is_empty() {
            self.head(name, help, "counter");
        }
        for (labels, counter) in counted {
            self.line(name, labels, counter.get());
        }
        self
    }

    /// A counter that is there from the beginning.
    pub(crate) fn counter(mut self, name: &str, help: &str, counter: &Counter) -> Self {
        self.head(name, help, "counter");
        self.line(name, "", counter.get());
        self
    }

    /// A family of counters whose labels came as they were counted.
    pub(crate) fn labelled(mut self, name: &str, help: &str, family: &Labelled) -> Self {
        let counts = family.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !counts.is_empty() {
            self.head(name, help, "counter");
        }
        for (labels, count) in counts {
            self.line(name, &labels, count);
        }
        self
    }

    /// Packets, of each direction.
    pub(crate) fn packets(mut self, name: &str, directions: &[&Packets]) -> Self {
        const HELP: &str = "Count of packets processed, by segment and packet type (example: from_client, DIAL_REQ)";
        let mut lines = Vec::new();
        for direction in directions {
            for (kind, count) in NAMES.iter().zip(direction.counts.iter()) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    lines.push((format!("packet_type=\"{kind}\",segment=\"{}\"", direction.segment), count));
                }
            }
        }
        if !lines.is_empty() {
            self.head(name, HELP, "counter");
        }
        lines.sort();
        for (labels, count) in lines {
            self.line(name, &labels, count);
        }
        self
    }

    /// A histogram. One that never observed anything is absent, as upstream's.
    pub(crate) fn histogram(mut self, name: &str, help: &str, labels: &str, histogram: &Histogram) -> Self {
        let buckets = &histogram.0;
        let counts: Vec<u64> = buckets.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return self;
        }
        self.head(name, help, "histogram");
        let comma = if labels.is_empty() { "" } else { "," };
        let mut below = 0;
        let ends = buckets.bounds.iter().map(|(_, text)| *text).chain(["+Inf"]);
        for (end, count) in ends.zip(counts) {
            below += count;
            self.line(&format!("{name}_bucket"), &format!("{labels}{comma}le=\"{end}\""), below);
        }
        let seconds = Duration::from_nanos(buckets.nanos.load(Ordering::Relaxed)).as_secs_f64();
        self.line(&format!("{name}_sum"), labels, seconds);
        self.line(&format!("{name}_count"), labels, total);
        self
    }

    /// What the process takes and holds, as Prometheus' own client tells it, and its tasks.
    pub(crate) fn process(mut self) -> Self {
        for Figure { name, kind, help, value } in figures() {
            writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}")
                .expect("writing to a string never fails");
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
        let page = Page::default()
            .gauges("open", "Open ones.", &[("", &open)])
            .counters("failed", "Failed ones.", &[("reason=\"a\"", &failed), ("reason=\"b\"", &never)])
            .counters("unheard", "Of.", &[("", &never)]);
        assert_eq!(
            page.text(),
            "# HELP konnectivity_network_proxy_open Open ones.\n# TYPE konnectivity_network_proxy_open gauge\n\
             konnectivity_network_proxy_open 1\n# HELP konnectivity_network_proxy_failed Failed ones.\n\
             # TYPE konnectivity_network_proxy_failed counter\nkonnectivity_network_proxy_failed{reason=\"a\"} 1\n"
        );
        drop(held);
        assert_eq!(open.get(), 0);
    }

    #[test]
    fn a_histogram_counts_what_is_at_or_below_each_bound() {
        let took = Histogram::with(&[(1e-6, "1e-06"), (0.5, "0.5")]);
        assert_eq!(Page::default().histogram("took", "Time.", "", &took).text(), "");
        for millis in [0, 500, 1500] {
            took.observe(Duration::from_millis(millis));
        }
        let text = Page::default().histogram("took", "Time.", "", &took).text();
        let lines: Vec<_> = text.lines().filter_map(|line| line.strip_prefix(PREFIX)).collect();
        let expected = [
            "took_bucket{le=\"1e-06\"} 1",
            "took_bucket{le=\"0.5\"} 2",
            "took_bucket{le=\"+Inf\"} 3",
            "took_sum 2",
            "took_count 3",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn packets_are_counted_by_their_names() {
        let sent = Packets::of("to_agent");
        sent.count(&Packet::Drain);
        sent.count_one(Packet::DATA);
        let text = Page::default().packets("packets", &[&sent]).text();
        assert!(text.contains("packets{packet_type=\"DRAIN\",segment=\"to_agent\"} 1\n"), "{text}");
        assert!(text.contains("packets{packet_type=\"DATA\",segment=\"to_agent\"} 1\n"), "{text}");
    }
}
