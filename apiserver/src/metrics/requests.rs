//! Requests: how many, with which code, how long, how large; and those under way.

use super::{Family, Histogram, Kind, Metrics, Text};
use crate::request::{Call, Target, Verb};
use smol_str::SmolStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Bounds of the time that requests take without what they wait for, and that writes take, in seconds.
const SERVED_SECONDS: &[f64] =
    &[0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0];
/// Bounds of the time that a request takes, in seconds.
const SECONDS: &[f64] = &[
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0, 60.0,
];
/// Bounds of the size of an answer, in bytes.
const ANSWER_BYTES: &[f64] = &[1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
/// Codes that have a counter of their own; the last stands for every other.
const CODES: [u16; 26] = [
    200, 201, 202, 101, 204, 206, 301, 302, 304, 307, 400, 401, 403, 404, 405, 406, 409, 410, 413, 415, 422, 429, 500,
    502, 503, 504,
];
/// The codes of requests that the server ends to protect itself.
const TERMINATED: [u16; 2] = [429, 504];
/// Paths that are no resource and are counted under their own name.
const PATHS: [&str; 9] =
    ["/healthz", "/livez", "/readyz", "/version", "/metrics", "/api", "/apis", "/openapi/v2", "/openapi/v3"];

/// What a request asks for, as metrics tell it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestLabels {
    verb: &'static str,
    dry_run: &'static str,
    group: SmolStr,
    version: SmolStr,
    resource: SmolStr,
    subresource: SmolStr,
    scope: &'static str,
}

impl RequestLabels {
    /// Of a call. `known` is whether it asks for anything that is served: no label is made of what anybody types.
    #[must_use]
    pub fn of(call: &Call, known: bool) -> Self {
        let dry_run = if call.query.first("dryRun").is_some() { "All" } else { "" };
        match &call.target {
            Target::Resource(path) if known => {
                let scope = match (&path.name, &path.namespace) {
                    (Some(_), _) => "resource",
                    (None, _) if call.verb == Verb::Create => "resource",
                    (None, Some(_)) => "namespace",
                    (None, None) => "cluster",
                };
                let subresource = path.subresource.clone().unwrap_or_default();
                Self {
                    verb: verb(call, &subresource),
                    dry_run,
                    group: path.group.clone(),
                    version: path.version.clone(),
                    resource: path.resource.clone(),
                    subresource,
                    scope,
                }
            }
            _ => {
                let known = PATHS.iter().find(|path| call.path.trim_end_matches('/') == **path);
                let subresource = known.map_or_else(SmolStr::default, |path| SmolStr::new_static(path));
                let (verb, none) = (verb(call, ""), SmolStr::default);
                Self { verb, dry_run, group: none(), version: none(), resource: none(), subresource, scope: "" }
            }
        }
    }

    fn pairs(&self, with_dry_run: bool) -> Vec<(&'static str, &str)> {
        let mut pairs = vec![("component", "apiserver")];
        if with_dry_run {
            pairs.push(("dry_run", self.dry_run));
        }
        pairs.extend([
            ("group", self.group.as_str()),
            ("resource", self.resource.as_str()),
            ("scope", self.scope),
            ("subresource", self.subresource.as_str()),
            ("verb", self.verb),
            ("version", self.version.as_str()),
        ]);
        pairs
    }
}

/// The verb as metrics tell it.
fn verb(call: &Call, subresource: &str) -> &'static str {
    if matches!(subresource, "exec" | "attach" | "portforward" | "proxy" | "log") {
        return "CONNECT";
    }
    match call.verb {
        Verb::Get | Verb::Head => "GET",
        Verb::List => "LIST",
        Verb::Watch => "WATCH",
        Verb::Create | Verb::Post => "POST",
        Verb::Update | Verb::Put => "PUT",
        Verb::Patch if call.header("content-type").starts_with("application/apply-patch") => "APPLY",
        Verb::Patch => "PATCH",
        Verb::Delete => "DELETE",
        Verb::DeleteCollection => "DELETECOLLECTION",
        Verb::Options | Verb::Other => "other",
    }
}

/// The figures of requests that ask for the same.
#[derive(Debug)]
pub struct RequestSeries {
    codes: [AtomicU64; CODES.len() + 1],
    seconds: Histogram,
    served_seconds: Histogram,
    answer_bytes: Histogram,
    long_running: AtomicI64,
    /// Refused because too much ran, and given up because they took too long.
    terminated: [AtomicU64; TERMINATED.len()],
}

impl Default for RequestSeries {
    fn default() -> Self {
        Self {
            codes: std::array::from_fn(|_| AtomicU64::new(0)),
            seconds: Histogram::new(SECONDS),
            served_seconds: Histogram::new(SERVED_SECONDS),
            answer_bytes: Histogram::new(ANSWER_BYTES),
            long_running: AtomicI64::new(0),
            terminated: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

/// Requests by their labels, and those under way.
#[derive(Debug, Default)]
pub struct Requests {
    series: Family<RequestLabels, RequestSeries>,
    read_only: AtomicI64,
    mutating: AtomicI64,
    field_validation: FieldValidations,
}

/// The time that writes take, by how unknown fields are taken.
#[derive(Debug)]
struct FieldValidations([Histogram; 3]);

impl Default for FieldValidations {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Histogram::new(SERVED_SECONDS)))
    }
}

/// How a request went.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Its code.
    pub code: u16,
    /// How long it took in all.
    pub took: Duration,
    /// How long of that it waited for its turn.
    pub waited: Duration,
    /// The bytes of its answer, where they are known.
    pub answer_bytes: Option<u64>,
    /// Whether it lasts as long as its caller wants: its time says nothing then.
    pub long_running: bool,
    /// Whether the server ended it to protect itself.
    pub terminated: bool,
    /// How unknown fields of its body were to be taken, of a write.
    pub field_validation: Option<FieldValidation>,
}

/// How unknown fields of a body are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValidation {
    /// They are dropped, and nobody is told.
    Ignore,
    /// The caller is warned.
    Warn,
    /// The body is refused.
    Strict,
}

impl FieldValidation {
    /// Of a write, as its caller wishes; warning, where he says nothing.
    #[must_use]
    pub fn of(call: &Call) -> Option<Self> {
        if !matches!(call.verb, Verb::Create | Verb::Update | Verb::Patch) {
            return None;
        }
        Some(match call.query.text("fieldValidation") {
            "Ignore" => Self::Ignore,
            "Strict" => Self::Strict,
            _ => Self::Warn,
        })
    }
}

impl Requests {
    /// Counts a request that was answered.
    pub fn count(&self, labels: &RequestLabels, counted: Counted) {
        if let Some(how) = counted.field_validation {
            self.field_validation.0[how as usize].record(counted.took);
        }
        self.series.with(labels, |series| {
            let at = CODES.iter().position(|code| *code == counted.code).unwrap_or(CODES.len());
            series.codes[at].fetch_add(1, Ordering::Relaxed);
            if !counted.long_running {
                series.seconds.record(counted.took);
                series.served_seconds.record(counted.took.saturating_sub(counted.waited));
            }
            if let Some(at) = TERMINATED.iter().position(|code| counted.terminated && *code == counted.code) {
                series.terminated[at].fetch_add(1, Ordering::Relaxed);
            }
            if let Some(bytes) = counted.answer_bytes.filter(|_| matches!(labels.verb, "GET" | "LIST")) {
                series.answer_bytes.record_units(bytes);
            }
        });
    }

    /// Counts a long-running request as open until the answer is dropped.
    #[must_use]
    pub fn open(&self, labels: &RequestLabels) -> LongRunning {
        let series = self.series.series(labels);
        series.long_running.fetch_add(1, Ordering::Relaxed);
        LongRunning(series)
    }

    fn counter(&self, read_only: bool) -> &AtomicI64 {
        if read_only { &self.read_only } else { &self.mutating }
    }
}

/// A request under way; it is no more when this is dropped.
#[derive(Debug)]
pub struct InFlight {
    metrics: Arc<Metrics>,
    read_only: bool,
}

impl InFlight {
    /// Counts a request as under way.
    #[must_use]
    pub fn begin(metrics: Arc<Metrics>, read_only: bool) -> Self {
        metrics.requests.counter(read_only).fetch_add(1, Ordering::Relaxed);
        Self { metrics, read_only }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.metrics.requests.counter(self.read_only).fetch_sub(1, Ordering::Relaxed);
    }
}

/// A long-running request that is open; it is no more when this is dropped.
#[derive(Debug)]
pub struct LongRunning(Arc<RequestSeries>);

impl Drop for LongRunning {
    fn drop(&mut self) {
        self.0.long_running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are floating")]
impl Requests {
    pub(super) fn tell(&self, text: &mut Text) {
        let all = self.series.all();
        let name = "apiserver_request_total";
        text.family(name, Kind::Counter, "[STABLE] Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code.");
        for (labels, series) in &all {
            for (at, counter) in series.codes.iter().enumerate() {
                let count = counter.load(Ordering::Relaxed);
                if count > 0 {
                    let code = CODES.get(at).map_or_else(|| "other".to_owned(), u16::to_string);
                    let mut pairs = labels.pairs(true);
                    pairs.insert(0, ("code", &code));
                    text.sample(name, &pairs, count as f64);
                }
            }
        }
        let mut histograms = |name: &str, help: &str, dry_run: bool, of: fn(&RequestSeries) -> &Histogram| {
            text.family(name, Kind::Histogram, help);
            for (labels, series) in all.iter().filter(|(_, series)| of(series).count() > 0) {
                // A dry run is told apart only where there is a label for it.
                if dry_run || labels.dry_run.is_empty() {
                    text.histogram(name, &labels.pairs(dry_run), of(series));
                }
            }
        };
        let help = "[STABLE] Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component.";
        histograms("apiserver_request_duration_seconds", help, true, |series| &series.seconds);
        let help = "[ALPHA] Response latency distribution (not counting webhook duration and priority & fairness queue wait times) in seconds for each verb, group, version, resource, subresource, scope and component.";
        histograms("apiserver_request_sli_duration_seconds", help, false, |series| &series.served_seconds);
        let help = "[STABLE] Response size distribution in bytes for each group, version, verb, resource, subresource, scope and component.";
        histograms("apiserver_response_sizes", help, false, |series| &series.answer_bytes);
        let name = "apiserver_request_terminations_total";
        text.family(name, Kind::Counter, "[ALPHA] Number of requests which apiserver terminated in self-defense.");
        for (labels, series) in &all {
            for (code, counter) in TERMINATED.iter().zip(&series.terminated) {
                let (count, code) = (counter.load(Ordering::Relaxed), code.to_string());
                if count > 0 {
                    let mut pairs = labels.pairs(false);
                    pairs.insert(0, ("code", &code));
                    text.sample(name, &pairs, count as f64);
                }
            }
        }
        let name = "field_validation_request_duration_seconds";
        let help = "[ALPHA] Response latency distribution in seconds for each field validation value";
        text.family(name, Kind::Histogram, help);
        for (word, histogram) in ["Ignore", "Warn", "Strict"].iter().zip(&self.field_validation.0) {
            text.histogram(name, &[("field_validation", word)], histogram);
        }
        let name = "apiserver_current_inflight_requests";
        text.family(name, Kind::Gauge, "[STABLE] Maximal number of currently used inflight request limit of this apiserver per request kind in last second.");
        for (kind, counter) in [("mutating", &self.mutating), ("readOnly", &self.read_only)] {
            text.sample(name, &[("request_kind", kind)], counter.load(Ordering::Relaxed) as f64);
        }
        let name = "apiserver_longrunning_requests";
        text.family(name, Kind::Gauge, "[STABLE] Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and component. Not all requests are tracked this way.");
        for (labels, series) in &all {
            let open = series.long_running.load(Ordering::Relaxed);
            if open > 0 {
                text.sample(name, &labels.pairs(false), open as f64);
            }
        }
    }
}
