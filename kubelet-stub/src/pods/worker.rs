//! One pod's worker: brings what is to what is to be, one step after the other.

use super::action::Subject;
use super::container::{Happened, Launch, full_name, stop};
use super::engine::{Desired, Seen, Shared};
use super::network::Lease;
use super::probe::ProbeKind;
use super::reporter::{Reporter, patch};
use super::restore::restored;
use super::sources::Watched;
use super::spec::PodSpec;
use super::stage::{self, Container, Ended, Kind, Phase, State, Step};
use super::status::{Observed, Verdict, status};
use super::volumes::{self, Origin};
use super::{field::Downward, go_duration, token::Tokens};
use crate::node::{EventType, Regarding};
use crate::runtime::{ContainerId, ExitStatus, SandboxId, Volume};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tinyplane_wire::client::Backoff;
use tinyplane_wire::clock::parse;
use tinyplane_wire::meta::Meta;
use tokio::sync::{mpsc, watch};

/// Wait before a container that can't be configured is tried again, unless what it lacks comes earlier.
const CONFIG_RETRY_SECONDS: u64 = 10;
/// A pod whose volumes may change looks at them at least this often.
const REFRESH_SECONDS: u64 = 60;
/// Waits between tries to mount, and to delete.
const RETRY: Backoff = Backoff { first: Duration::from_millis(500), most: Duration::from_secs(122) };

/// The newest container of a name, and the one before, whose log is kept.
#[derive(Debug, Default)]
struct Lives {
    now: Option<ContainerId>,
    before: Option<ContainerId>,
    /// The grace period that it was told to end within.
    stopping: Option<Duration>,
}

/// A pod's worker.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    pod: Arc<Value>,
    spec: Arc<PodSpec>,
    gone: bool,
    seen: Arc<RwLock<Seen>>,
    containers: Vec<Container>,
    lives: Vec<Lives>,
    sandbox: Option<SandboxId>,
    lease: Option<Lease>,
    pod_ip: Option<IpAddr>,
    /// What was set, by volume; nothing until all volumes were set once.
    mounted: Option<HashMap<String, Volume>>,
    mount_due: Option<SystemTime>,
    mount_failures: u32,
    initialized: bool,
    verdict: Option<Verdict>,
    delete_due: Option<SystemTime>,
    delete_failures: u32,
    /// The API server knows that nothing of it is left.
    released: bool,
    since: SystemTime,
    told: Value,
    tokens: Tokens,
    held: Vec<Arc<Watched>>,
    reporter: Reporter,
    happens: mpsc::Sender<Happened>,
}

impl Worker {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        pod: &Arc<Value>,
        seen: Arc<RwLock<Seen>>,
        happens: mpsc::Sender<Happened>,
    ) -> Result<Self, serde_json::Error> {
        let spec = Arc::new(PodSpec::of(pod)?);
        let node = &shared.node;
        let now = node.clock.now();
        let (containers, verdict) = restored(pod, &spec, now);
        Ok(Self {
            held: volumes::hold_all(&spec, Meta::of(pod).namespace(), &shared.sources),
            tokens: Tokens::new(node.client.clone(), node.clock.clone()),
            reporter: Reporter::start(node.client.clone(), pod, &node.tasks),
            lives: containers.iter().map(|_| Lives::default()).collect(),
            since: pod["status"]["startTime"].as_str().and_then(parse).unwrap_or(now),
            pod_ip: pod["status"]["podIP"].as_str().and_then(|ip| ip.parse().ok()),
            told: pod["status"].clone(),
            shared: Arc::clone(shared),
            pod: Arc::clone(pod),
            spec,
            gone: false,
            seen,
            containers,
            sandbox: None,
            lease: None,
            mounted: None,
            mount_due: Some(now),
            mount_failures: 0,
            initialized: false,
            verdict,
            delete_due: None,
            delete_failures: 0,
            released: false,
            happens,
        })
    }

    /// Works until the pod is gone.
    pub(crate) async fn run(mut self, mut desired: watch::Receiver<Desired>, mut happened: mpsc::Receiver<Happened>) {
        let mut sources = self.shared.sources.changes();
        let first = desired.borrow_and_update().clone();
        self.take(first);
        while !self.gone {
            self.advance().await;
            self.publish();
            let wakes_at = self.wakes_at().await;
            let mounts = self.is_mount_due();
            tokio::select! {
                changed = desired.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let now = desired.borrow_and_update().clone();
                    self.take(now);
                }
                Some(one) = happened.recv() => {
                    self.apply(one);
                    while let Ok(one) = happened.try_recv() {
                        self.apply(one);
                    }
                }
                _ = sources.changed(), if !self.held.is_empty() => self.look_again(),
                rendered = self.render(), if mounts => self.mount(rendered).await,
                () = until(&self.shared, wakes_at) => {}
            }
        }
        self.clean_up().await;
    }

    fn now(&self) -> SystemTime {
        self.shared.node.clock.now()
    }

    fn tell(&self, index: Option<usize>, kind: EventType, reason: &'static str, message: impl Into<String>) {
        let path = index.map(|index| self.field_path(index)).unwrap_or_default();
        let regarding = Regarding::object("v1", "Pod", &self.pod, &path);
        self.shared.node.recorder.tell(&regarding, kind, reason, message);
    }

    fn field_path(&self, index: usize) -> String {
        let list = match self.containers[index].kind {
            Kind::Init | Kind::Sidecar => "initContainers",
            Kind::Main => "containers",
            Kind::Ephemeral => "ephemeralContainers",
        };
        format!("spec.{list}{{{}}}", self.containers[index].name)
    }

    fn container_spec(&self, index: usize) -> &super::spec::Container {
        self.spec.all().nth(index).expect("a record stands for each container of the spec")
    }

    /// Hears what the pod is to be. Of a running pod's spec only images and the deadline may change, and ephemeral
    /// containers are added.
    fn take(&mut self, desired: Desired) {
        self.gone = desired.gone;
        let old = Arc::clone(&self.spec);
        self.pod = desired.pod;
        match PodSpec::of(&self.pod) {
            Ok(spec) if spec.containers.len() == old.containers.len() => self.spec = Arc::new(spec),
            Ok(_) => tracing::warn!("a pod's containers can't change; the new spec is not used"),
            Err(error) => tracing::error!(%error, "a pod's spec can't be read"),
        }
        for added in self.spec.ephemeral_containers.iter().skip(old.ephemeral_containers.len()) {
            self.containers.push(stage::ephemeral(added));
            self.lives.push(Lives::default());
            self.held = volumes::hold_all(&self.spec, Meta::of(&self.pod).namespace(), &self.shared.sources);
        }
        let changed = old.all().zip(self.spec.all()).enumerate().filter(|(_, (a, b))| a.image != b.image);
        let running = changed.map(|(index, _)| index).filter(|index| self.containers[*index].is_running());
        for index in running.collect::<Vec<_>>() {
            self.containers[index].redefined = true;
            let name = self.containers[index].name.clone();
            self.kill(index, self.grace(), format!("Container {name} definition changed, will be restarted"));
        }
    }

    /// An object that the pod uses changed: volumes are looked at anew, and so is what lacked it.
    fn look_again(&mut self) {
        let now = self.now();
        if self.spec.volumes.iter().any(volumes::changes) {
            self.mount_due = Some(now);
        }
        for container in &mut self.containers {
            if let State::Held { reason, until, .. } = &mut container.state
                && reason == "CreateContainerConfigError"
            {
                *until = now;
            }
        }
    }

    fn is_ending(&self) -> bool {
        self.verdict.is_some() || Meta::of(&self.pod).is_deleting()
    }

    /// Does all that can be done at this moment.
    async fn advance(&mut self) {
        let now = self.now();
        self.judge(now);
        if self.is_ending() {
            return self.wind_down().await;
        }
        if self.mounted.is_none() {
            return;
        }
        self.initialized |= stage::is_initialized(&self.containers);
        for step in stage::next(&self.containers, self.initialized, now) {
            match step {
                Step::Start(index) => self.start(index, now),
                Step::BackOff { index, wait, until } => self.back_off(index, wait, until),
            }
        }
    }

    /// Is the pod over?
    fn judge(&mut self, now: SystemTime) {
        if self.verdict.is_some() {
            return;
        }
        let phase = stage::phase(&self.containers, false);
        if phase.is_over() {
            self.verdict = Some(Verdict { phase, reason: None, message: None });
        } else if self.deadline().is_some_and(|deadline| now >= deadline) {
            let message = "Pod was active on the node longer than the specified deadline";
            self.tell(None, EventType::Normal, "DeadlineExceeded", message);
            self.verdict =
                Some(Verdict { phase: Phase::Failed, reason: Some("DeadlineExceeded"), message: Some(message.into()) });
        }
    }

    fn deadline(&self) -> Option<SystemTime> {
        self.spec.active_deadline_seconds.and_then(|seconds| self.since.checked_add(Duration::from_secs(seconds)))
    }

    fn start(&mut self, index: usize, now: SystemTime) {
        let (Some(sandbox), Some(pod_ip)) = (self.sandbox.clone(), self.pod_ip) else { return };
        let spec = Arc::new(self.container_spec(index).clone());
        let field_path = self.field_path(index);
        let container = &mut self.containers[index];
        container.redefined = false;
        match std::mem::replace(&mut container.state, State::Starting) {
            State::Terminated(ended) => {
                container.back_off.restarted(ended.finished.unwrap_or(now), now);
                container.last = Some(ended);
            }
            State::Held { reason, .. } if reason == "CrashLoopBackOff" => {
                let finished = container.last.as_ref().and_then(|last| last.finished);
                container.back_off.restarted(finished.unwrap_or(now), now);
            }
            _ => {}
        }
        let attempt = container.restarts + u32::from(container.last.is_some());
        let launch = Launch {
            shared: Arc::clone(&self.shared),
            pod: Arc::clone(&self.pod),
            spec: Arc::clone(&self.spec),
            container: spec,
            field_path,
            index,
            attempt,
            sandbox,
            pod_ip,
            happened: self.happens.clone(),
        };
        self.shared.node.tasks.spawn(Box::pin(launch.run()));
    }

    fn back_off(&mut self, index: usize, wait: Duration, until: SystemTime) {
        let (pod, name) = (full_name(&self.pod), self.containers[index].name.clone());
        let message = format!("Back-off restarting failed container {name} in pod {pod}");
        self.tell(Some(index), EventType::Warning, "BackOff", message);
        let message = format!("back-off {} restarting failed container={name} pod={pod}", go_duration(wait));
        let container = &mut self.containers[index];
        let held = State::Held { reason: "CrashLoopBackOff".into(), message, until };
        if let State::Terminated(ended) = std::mem::replace(&mut container.state, held) {
            container.last = Some(ended);
        }
    }

    fn apply(&mut self, happened: Happened) {
        match happened {
            Happened::Failed { index, reason, message } => self.hold(index, reason, message),
            Happened::Running { index, id, at } => {
                self.begin(index, &id);
                let spec = self.container_spec(index);
                let started = spec.startup_probe.is_none();
                let ready = started && spec.readiness_probe.is_none();
                let container = &mut self.containers[index];
                (container.started, container.ready) = (started, ready);
                container.state = State::Running { id: id.as_str().into(), started: at };
            }
            Happened::Exited { index, id, status } => {
                if matches!(self.containers[index].state, State::Starting) {
                    self.begin(index, &id);
                }
                self.exited(index, &id, status);
            }
            Happened::Probed { index, id, kind, passed } => self.probed(index, &id, kind, passed),
            Happened::HookFailed { index, id } => {
                if self.lives[index].now.as_ref() == Some(&id) {
                    let name = self.containers[index].name.clone();
                    self.kill(index, self.grace(), format!("FailedPostStartHook: container {name} will be killed"));
                }
            }
        }
    }

    /// A container could not be created: try again later.
    fn hold(&mut self, index: usize, reason: &'static str, message: String) {
        let now = self.now();
        let container = &mut self.containers[index];
        let wait = match reason {
            "ErrImagePull" | "InvalidImageName" | "CreateContainerError" => {
                container.back_off.restarted(now, now);
                container.back_off.wait()
            }
            _ => Duration::from_secs(CONFIG_RETRY_SECONDS),
        };
        // The first failure is told as such, further ones as a back-off.
        let backs_off = reason == "ErrImagePull" && wait > Duration::from_secs(CONFIG_RETRY_SECONDS);
        let reason = if backs_off { "ImagePullBackOff" } else { reason };
        container.state = State::Held { reason: reason.into(), message, until: now + wait };
        if backs_off {
            let image = self.container_spec(index).image.clone();
            self.tell(Some(index), EventType::Normal, "BackOff", format!("Back-off pulling image {image:?}"));
            self.tell(Some(index), EventType::Warning, "Failed", "Error: ImagePullBackOff");
        }
    }

    /// A new life of a container: the one before the last is forgotten with its log.
    fn begin(&mut self, index: usize, id: &ContainerId) {
        let (container, lives) = (&mut self.containers[index], &mut self.lives[index]);
        container.restarts += u32::from(container.last.is_some());
        let forgotten = std::mem::replace(&mut lives.before, lives.now.replace(id.clone()));
        lives.stopping = None;
        if let Some(forgotten) = forgotten {
            let shared = Arc::clone(&self.shared);
            self.shared.node.tasks.spawn(async move {
                if let Err(error) = shared.runtime.remove_container(&forgotten).await {
                    tracing::debug!(%error, "a container was not removed");
                }
            });
        }
    }

    fn exited(&mut self, index: usize, id: &ContainerId, status: ExitStatus) {
        if self.lives[index].now.as_ref() != Some(id) {
            return;
        }
        let container = &mut self.containers[index];
        (container.started, container.ready) = (false, false);
        container.state = State::Terminated(Ended {
            id: id.as_str().into(),
            code: status.code,
            signal: status.signal,
            reason: status.reason.to_string(),
            message: status.message,
            started: Some(status.started),
            finished: Some(status.finished),
        });
    }

    fn probed(&mut self, index: usize, id: &ContainerId, kind: ProbeKind, passed: bool) {
        if self.lives[index].now.as_ref() != Some(id) || !self.containers[index].is_running() {
            return;
        }
        let spec = self.container_spec(index);
        let (name, no_readiness) = (spec.name.clone(), spec.readiness_probe.is_none());
        let probe = if kind == ProbeKind::Liveness { &spec.liveness_probe } else { &spec.startup_probe };
        let grace = probe.as_ref().and_then(|probe| probe.termination_grace_period_seconds);
        let grace = grace.map_or_else(|| self.grace(), Duration::from_secs);
        let container = &mut self.containers[index];
        match (kind, passed) {
            (ProbeKind::Readiness, passed) => container.ready = passed,
            (ProbeKind::Startup, true) => {
                container.started = true;
                container.ready |= no_readiness;
            }
            (ProbeKind::Liveness, true) => {}
            (ProbeKind::Startup, false) => {
                self.kill(index, grace, format!("Container {name} failed startup probe, will be restarted"));
            }
            (ProbeKind::Liveness, false) => {
                self.kill(index, grace, format!("Container {name} failed liveness probe, will be restarted"));
            }
        }
    }
}

#[path = "worker_end.rs"]
mod end;
#[path = "worker_mount.rs"]
mod mount;

async fn until(shared: &Shared, at: Option<SystemTime>) {
    match at {
        Some(at) => {
            let wait = at.duration_since(shared.node.clock.now()).unwrap_or_default();
            // Past the mark, since the clock that judges it is another than the one that waits.
            shared.node.clock.sleep(wait + Duration::from_millis(1)).await;
        }
        None => std::future::pending().await,
    }
}
