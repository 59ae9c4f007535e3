//! Who calls, and how long it takes to know.

use super::{Family, Histogram, Kind, Text};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bounds of the time that authentication and authorization take, in seconds: from a millisecond on, doubled each time.
pub(super) const SECONDS: &[f64] =
    &[0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384];
/// Names that are told as they are; of others only what kind they are. No label is made of what anybody calls himself.
const TOLD: [&str; 4] = ["admin", "client", "kube_proxy", "kubelet"];

/// How often callers were known, who they were, and how long that took.
#[derive(Debug)]
pub struct Callers {
    known: Histogram,
    unknown: Histogram,
    requests: Family<&'static str, AtomicU64>,
    system: Family<String, AtomicU64>,
}

impl Default for Callers {
    fn default() -> Self {
        let seconds = || Histogram::new(SECONDS);
        Self { known: seconds(), unknown: seconds(), requests: Family::default(), system: Family::default() }
    }
}

impl Callers {
    /// Counts a request by its caller's name, where he is known.
    pub fn count(&self, name: Option<&str>, took: Duration) {
        let Some(name) = name else { return self.unknown.record(took) };
        self.known.record(took);
        let bump = |counter: &AtomicU64| {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        let told = TOLD.into_iter().find(|told| *told == name);
        match told {
            Some(told) => self.requests.with(&told, bump),
            None if name.starts_with("system:") => self.system.with(&name.to_owned(), bump),
            None if name.contains('@') => self.requests.with(&"email_id", bump),
            None => self.requests.with(&"other", bump),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are floating")]
    pub(super) fn tell(&self, text: &mut Text) {
        let name = "authentication_attempts";
        text.family(name, Kind::Counter, "[ALPHA] Counter of authenticated attempts.");
        let results = [("success", &self.known), ("failure", &self.unknown)];
        for (result, histogram) in results {
            text.sample(name, &[("result", result)], histogram.count() as f64);
        }
        let name = "authentication_duration_seconds";
        text.family(name, Kind::Histogram, "[ALPHA] Authentication duration in seconds broken out by result.");
        for (result, histogram) in results {
            text.histogram(name, &[("result", result)], histogram);
        }
        let name = "authenticated_user_requests";
        text.family(name, Kind::Counter, "[ALPHA] Counter of authenticated requests broken out by username.");
        for (user, count) in self.requests.all() {
            text.sample(name, &[("username", user)], count.load(Ordering::Relaxed) as f64);
        }
        for (user, count) in self.system.all() {
            text.sample(name, &[("username", &user)], count.load(Ordering::Relaxed) as f64);
        }
    }
}
