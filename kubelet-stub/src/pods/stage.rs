//! The stages of a pod, as pure data: what its containers are at, and what is to be done next.

use super::spec::{PodSpec, RestartPolicy};
use std::time::{Duration, SystemTime};

/// First wait of a container that ends again and again.
const BACK_OFF_SECONDS_FIRST: u64 = 10;
/// Longest wait.
const BACK_OFF_SECONDS_MAX: u64 = 300;

/// In which of the pod's lists a container stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Runs to its end before the next one starts.
    Init,
    /// An init container that stays: only its start is waited for.
    Sidecar,
    /// What the pod is for.
    Main,
    /// Somebody looks at the pod with it: it runs once, whatever the others are at.
    Ephemeral,
}

/// A container that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) id: String,
    pub(crate) code: i32,
    pub(crate) signal: Option<i32>,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) started: Option<SystemTime>,
    pub(crate) finished: Option<SystemTime>,
}

/// What a container is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Not started yet: as yet there was no reason to.
    Waiting,
    /// Being created.
    Starting,
    /// Could not be created, or ended too often; tried again at a time.
    Held { reason: String, message: String, until: SystemTime },
    /// Runs.
    Running { id: String, started: SystemTime },
    /// Ended.
    Terminated(Ended),
}

/// Waits between restarts: 10 s, doubling up to 5 min, forgotten after 10 min without trouble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BackOff {
    wait: Duration,
    since: Option<SystemTime>,
}

impl BackOff {
    /// How long a container that ended at `finished` waits, and until when; nothing when it may start.
    fn hold(&self, finished: SystemTime, now: SystemTime) -> Option<(Duration, SystemTime)> {
        let until = finished + self.wait;
        (!self.forgotten(finished) && !self.wait.is_zero() && now < until).then_some((self.wait, until))
    }

    /// A restart of what ended at `finished`: the next one waits longer.
    pub(crate) fn restarted(&mut self, finished: SystemTime, now: SystemTime) {
        let most = Duration::from_secs(BACK_OFF_SECONDS_MAX);
        self.wait = if self.wait.is_zero() || self.forgotten(finished) {
            Duration::from_secs(BACK_OFF_SECONDS_FIRST)
        } else {
            (self.wait * 2).min(most)
        };
        self.since = Some(now);
    }

    /// The wait that holds now.
    pub(crate) fn wait(&self) -> Duration {
        self.wait
    }

    fn forgotten(&self, finished: SystemTime) -> bool {
        let quiet = self.since.and_then(|since| finished.duration_since(since).ok());
        quiet.is_some_and(|quiet| quiet > Duration::from_secs(2 * BACK_OFF_SECONDS_MAX))
    }
}

/// A container's record.
#[derive(Clone, Debug)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// The policy that holds for this one.
    pub(crate) policy: RestartPolicy,
    pub(crate) state: State,
    /// What it runs has changed since it was started: it comes back, whatever its policy.
    pub(crate) redefined: bool,
    /// How it ended the time before.
    pub(crate) last: Option<Ended>,
    pub(crate) restarts: u32,
    pub(crate) back_off: BackOff,
    /// Its startup probe has passed, or it has none.
    pub(crate) started: bool,
    /// Its readiness probe passes, or it has none.
    pub(crate) ready: bool,
}

impl Container {
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    /// True while something of it may run.
    pub(crate) fn is_active(&self) -> bool {
        matches!(self.state, State::Running { .. } | State::Starting)
    }

    fn ended(&self) -> Option<&Ended> {
        match &self.state {
            State::Terminated(ended) => Some(ended),
            _ => None,
        }
    }

    fn succeeded(&self) -> bool {
        self.ended().is_some_and(|ended| ended.code == 0)
    }

    fn comes_back(&self, code: i32) -> bool {
        match self.policy {
            _ if self.redefined => true,
            RestartPolicy::Always => self.kind != Kind::Init || code != 0,
            RestartPolicy::OnFailure => code != 0,
            RestartPolicy::Never => false,
        }
    }
}

/// The records of a new pod's containers, in the order of [`PodSpec::all`].
pub(crate) fn records(spec: &PodSpec) -> Vec<Container> {
    let record = |container: &super::spec::Container, kind| {
        record(container, kind, container.restart_policy.unwrap_or(spec.restart_policy))
    };
    let init = spec.init_containers.iter().map(|container| {
        let sidecar = container.restart_policy == Some(RestartPolicy::Always);
        record(container, if sidecar { Kind::Sidecar } else { Kind::Init })
    });
    let mains = spec.containers.iter().map(|container| record(container, Kind::Main));
    init.chain(mains).chain(spec.ephemeral_containers.iter().map(ephemeral)).collect()
}

/// The record of a new ephemeral container.
pub(crate) fn ephemeral(container: &super::spec::Container) -> Container {
    record(container, Kind::Ephemeral, RestartPolicy::Never)
}

fn record(container: &super::spec::Container, kind: Kind, policy: RestartPolicy) -> Container {
    Container {
        name: container.name.clone(),
        kind,
        policy,
        state: State::Waiting,
        redefined: false,
        last: None,
        restarts: 0,
        back_off: BackOff::default(),
        started: false,
        ready: false,
    }
}

/// What is to be done with one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Start it, at first or again.
    Start(usize),
    /// It ended too often: hold it back.
    BackOff { index: usize, wait: Duration, until: SystemTime },
}

/// How a pod stands as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

impl Phase {
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// True when all init containers are through: ended well, or (sidecars) started.
pub(crate) fn is_initialized(containers: &[Container]) -> bool {
    containers.iter().all(|container| match container.kind {
        Kind::Init => container.succeeded(),
        Kind::Sidecar => container.started,
        Kind::Main | Kind::Ephemeral => true,
    })
}

/// What to do now. `initialized` says that the init containers were through once: sidecars that end later come back
/// without holding up the others.
pub(crate) fn next(containers: &[Container], initialized: bool, now: SystemTime) -> Vec<Step> {
    let mut steps = Vec::new();
    if phase(containers, false).is_over() {
        return steps;
    }
    let mut held_up = false;
    for (index, container) in containers.iter().enumerate() {
        if held_up && container.kind != Kind::Ephemeral {
            continue;
        }
        let step = match &container.state {
            State::Waiting => Some(Step::Start(index)),
            State::Held { until, .. } if now >= *until => Some(Step::Start(index)),
            State::Terminated(ended) if container.comes_back(ended.code) => Some(restart(index, container, ended, now)),
            _ => None,
        };
        steps.extend(step);
        held_up |= match container.kind {
            Kind::Init => !container.succeeded(),
            Kind::Sidecar => !(initialized || container.started),
            Kind::Main | Kind::Ephemeral => false,
        };
    }
    steps
}

fn restart(index: usize, container: &Container, ended: &Ended, now: SystemTime) -> Step {
    match container.back_off.hold(ended.finished.unwrap_or(now), now) {
        Some((wait, until)) => Step::BackOff { index, wait, until },
        None => Step::Start(index),
    }
}

/// When [`next`] may have something new to say although nothing happened.
pub(crate) fn wakes_at(containers: &[Container]) -> Option<SystemTime> {
    let held = containers.iter().filter_map(|container| match container.state {
        State::Held { until, .. } => Some(until),
        _ => None,
    });
    held.min()
}

/// The phase. `ending`: the pod is being deleted or over, so that nothing comes back.
pub(crate) fn phase(containers: &[Container], ending: bool) -> Phase {
    let failed_for_good = |c: &Container| c.ended().is_some_and(|e| e.code != 0 && (ending || !c.comes_back(e.code)));
    if containers.iter().any(|c| c.kind == Kind::Init && failed_for_good(c)) {
        return Phase::Failed;
    }
    let mains = || containers.iter().filter(|c| c.kind == Kind::Main);
    let waits = |c: &Container| match &c.state {
        State::Waiting | State::Starting | State::Held { .. } => c.last.is_none(),
        State::Running { .. } | State::Terminated(_) => false,
    };
    let init_open = containers.iter().any(|c| match c.kind {
        Kind::Init => !c.succeeded(),
        Kind::Sidecar => !c.started && c.last.is_none() && !matches!(c.state, State::Terminated(_)),
        Kind::Main | Kind::Ephemeral => false,
    });
    if mains().any(waits) || (init_open && mains().all(|c| matches!(c.state, State::Waiting))) {
        return Phase::Pending;
    }
    if mains().any(Container::is_active) || mains().any(|c| matches!(c.state, State::Held { .. } | State::Waiting)) {
        return Phase::Running;
    }
    let comes_back = mains().any(|c| c.ended().is_some_and(|ended| c.comes_back(ended.code)));
    match () {
        () if comes_back && !ending => Phase::Running,
        () if mains().all(Container::succeeded) => Phase::Succeeded,
        () => Phase::Failed,
    }
}

#[cfg(test)]
#[path = "stage_tests.rs"]
mod tests;
