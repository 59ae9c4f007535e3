//! Probes: asked in their rhythm, judged by their thresholds.

use super::action::{Outcome, Subject};
use super::spec::Probe;
use crate::node::{EventType, Recorder, Regarding};
use std::time::Duration;

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeKind {
    Startup,
    Liveness,
    Readiness,
}

/// Counts outcomes in a row and tells when a threshold is met.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Judge {
    passed: u32,
    failed: u32,
    told: Option<bool>,
}

impl Judge {
    /// The verdict, when this outcome changes it.
    pub(crate) fn hear(&mut self, passed: bool, probe: &Probe) -> Option<bool> {
        let (in_a_row, threshold) = if passed {
            self.failed = 0;
            self.passed += 1;
            (self.passed, probe.success_threshold.unwrap_or(1))
        } else {
            self.passed = 0;
            self.failed += 1;
            (self.failed, probe.failure_threshold.unwrap_or(3))
        };
        let verdict = (in_a_row >= threshold.max(1)).then_some(passed).filter(|now| self.told != Some(*now));
        if verdict.is_some() {
            self.told = verdict;
        }
        verdict
    }
}

/// Asks until a verdict; `judge` keeps what was heard before.
async fn verdict(subject: &Subject, kind: ProbeKind, probe: &Probe, judge: &mut Judge, tell: &Teller<'_>) -> bool {
    let period = Duration::from_secs(probe.period_seconds.unwrap_or(10).max(1));
    let timeout = Duration::from_secs(probe.timeout_seconds.unwrap_or(1).max(1));
    loop {
        let outcome = subject.act(&probe.action, timeout).await;
        if let Outcome::Failed(message) = &outcome {
            let message = format!("{kind:?} probe failed: {message}");
            tell.recorder.tell(tell.regarding, EventType::Warning, "Unhealthy", message);
        }
        if let Some(verdict) = judge.hear(outcome == Outcome::Passed, probe) {
            return verdict;
        }
        tokio::time::sleep(period).await;
    }
}

/// Where a failed probe is told.
#[derive(Clone, Copy)]
pub(crate) struct Teller<'a> {
    pub(crate) recorder: &'a Recorder,
    pub(crate) regarding: &'a Regarding,
}

/// Runs a container's probes for as long as it is polled: the startup probe first, then the other two. Each verdict
/// that changes something is told.
pub(crate) async fn run(subject: &Subject, told: impl Fn(ProbeKind, bool), teller: Teller<'_>) {
    let one = async |kind: ProbeKind, probe: &Probe| {
        let period = Duration::from_secs(probe.period_seconds.unwrap_or(10).max(1));
        let mut judge = Judge::default();
        tokio::time::sleep(Duration::from_secs(probe.initial_delay_seconds)).await;
        loop {
            let passed = verdict(subject, kind, probe, &mut judge, &teller).await;
            told(kind, passed);
            if kind == ProbeKind::Startup && passed {
                return;
            }
            tokio::time::sleep(period).await;
        }
    };
    if let Some(probe) = &subject.spec.startup_probe {
        one(ProbeKind::Startup, probe).await;
    }
    let maybe = async |kind: ProbeKind, probe: Option<&Probe>| match probe {
        Some(probe) => one(kind, probe).await,
        None => std::future::pending().await,
    };
    tokio::join!(
        maybe(ProbeKind::Liveness, subject.spec.liveness_probe.as_ref()),
        maybe(ProbeKind::Readiness, subject.spec.readiness_probe.as_ref()),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_takes_as_many_outcomes_in_a_row_as_the_thresholds_say() {
        let probe = Probe { success_threshold: Some(2), failure_threshold: Some(3), ..Probe::default() };
        let mut judge = Judge::default();
        let heard = [true, false, true, true, true, false, false, true, false, false, false, false, true, true];
        let verdicts: Vec<_> = heard.iter().map(|passed| judge.hear(*passed, &probe)).collect();
        let expected = [(3, true), (10, false), (13, true)];
        for (place, verdict) in verdicts.iter().enumerate() {
            assert_eq!(*verdict, expected.iter().find(|(at, _)| *at == place).map(|(_, v)| *v), "at {place}");
        }
    }
}
