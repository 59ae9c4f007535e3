//! How often somebody wanted to act as somebody else, by mode, and what was asked for it.

use super::callers::SECONDS;
use super::{Family, Histogram, Kind, Text};
use std::sync::Arc;
use std::time::Duration;

/// Mode and decision: times of what was asked.
type Asked = Family<(&'static str, &'static str), Times>;

#[derive(Debug)]
struct Times(Histogram);

impl Default for Times {
    fn default() -> Self {
        Self(Histogram::new(SECONDS))
    }
}

/// Attempts to act as somebody else, and the questions that authorization was asked for them.
#[derive(Debug, Default)]
pub struct Impersonations {
    attempts: Asked,
    questions: Asked,
}

fn decision(allowed: bool) -> &'static str {
    if allowed { "allowed" } else { "denied" }
}

impl Impersonations {
    /// Counts an attempt by the mode that allowed it; an empty one where none did.
    pub fn attempted(&self, mode: &'static str, allowed: bool, took: Duration) {
        self.attempts.with(&(mode, decision(allowed)), |times| times.0.record(took));
    }

    /// Counts a question of a mode.
    pub fn asked(&self, mode: &'static str, allowed: bool, took: Duration) {
        self.questions.with(&(mode, decision(allowed)), |times| times.0.record(took));
    }

    #[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are floating")]
    pub(super) fn tell(&self, text: &mut Text) {
        let mut counts = |all: &[((&'static str, &'static str), Arc<Times>)], name: &str, help: &str| {
            text.family(name, Kind::Counter, help);
            for ((mode, decision), times) in all {
                text.sample(name, &[("decision", decision), ("mode", mode)], times.0.count() as f64);
            }
        };
        let (attempts, questions) = (self.attempts.all(), self.questions.all());
        let help = "[ALPHA] Total number of impersonation attempts split by mode and decision.";
        counts(&attempts, "apiserver_impersonation_attempts_total", help);
        let help = "[ALPHA] Total number of authorization checks made by the impersonation handler split by mode and decision.";
        counts(&questions, "apiserver_impersonation_authorization_attempts_total", help);
        let mut times = |all: &[((&'static str, &'static str), Arc<Times>)], name: &str, help: &str| {
            text.family(name, Kind::Histogram, help);
            for ((mode, decision), times) in all {
                text.histogram(name, &[("decision", decision), ("mode", mode)], &times.0);
            }
        };
        let help = "[ALPHA] Latency of impersonation attempts in seconds split by mode and decision.";
        times(&attempts, "apiserver_impersonation_attempts_duration_seconds", help);
        let help = "[ALPHA] Latency of authorization checks made by the impersonation handler in seconds split by mode and decision.";
        times(&questions, "apiserver_impersonation_authorization_attempts_duration_seconds", help);
    }
}
