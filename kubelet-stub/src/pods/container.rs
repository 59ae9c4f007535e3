//! One life of one container: its image, its creation, its start, its probes, and its end.

use super::action::{Outcome, Subject};
use super::engine::Shared;
use super::environment::environment;
use super::expand::expand;
use super::field::Downward;
use super::image;
use super::probe::{self, ProbeKind, Teller};
use super::spec::{Action, Container, PodSpec};
use crate::node::{EventType, Regarding};
use crate::runtime::{
    ContainerId, ContainerPort, ContainerSpec, ContainerState, ExitStatus, Mount, Protocol, RuntimeError, SandboxId,
};
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tinyplane_wire::meta::Meta;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Longest a hook may take besides `preStop`, which has the pod's grace period.
const HOOK_SECONDS_MAX: u64 = 600;
/// What a container still gets after a long `preStop`, as upstream.
const GRACE_SECONDS_MIN: u64 = 2;

/// What happened to a container.
#[derive(Debug)]
pub(crate) enum Happened {
    /// It could not be created.
    Failed { index: usize, reason: &'static str, message: String },
    /// Its main program runs.
    Running { index: usize, id: ContainerId, at: SystemTime },
    /// Its main program ended, or could not be started.
    Exited { index: usize, id: ContainerId, status: ExitStatus },
    /// A probe's verdict.
    Probed { index: usize, id: ContainerId, kind: ProbeKind, passed: bool },
    /// Its `postStart` hook failed.
    HookFailed { index: usize, id: ContainerId },
}

/// All that is needed to start a container.
pub(crate) struct Launch {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pod: Arc<Value>,
    pub(crate) spec: Arc<PodSpec>,
    pub(crate) container: Arc<Container>,
    pub(crate) field_path: String,
    pub(crate) index: usize,
    pub(crate) attempt: u32,
    pub(crate) sandbox: SandboxId,
    pub(crate) pod_ip: IpAddr,
    pub(crate) happened: mpsc::Sender<Happened>,
}

/// Why a container was not created: the reason and message of its waiting state.
type Refused = (&'static str, String);

impl Launch {
    /// Runs the container to its end, and tells what happens to it.
    pub(crate) async fn run(self) {
        let regarding = Regarding::object("v1", "Pod", &self.pod, &self.field_path);
        let tell = |kind, reason, message: String| self.shared.node.recorder.tell(&regarding, kind, reason, message);
        let created = match self.create(&tell).await {
            Ok(id) => id,
            Err((reason, message)) => {
                return self.send(Happened::Failed { index: self.index, reason, message }).await;
            }
        };
        let runtime = &self.shared.runtime;
        tell(EventType::Normal, "Created", "Container created".into());
        let (index, id) = (self.index, created);
        if let Err(error) = runtime.start_container(&id).await {
            tell(EventType::Warning, "Failed", format!("Error: {error}"));
            let happened = match runtime.wait(&id).await {
                Ok(status) => Happened::Exited { index, id, status },
                Err(_) => Happened::Failed { index, reason: "RunContainerError", message: error.to_string() },
            };
            return self.send(happened).await;
        }
        tell(EventType::Normal, "Started", "Container started".into());
        let at = match runtime.state(&id).await {
            Ok(ContainerState::Running { started }) => started,
            _ => self.shared.node.clock.now(),
        };
        self.send(Happened::Running { index, id: id.clone(), at }).await;
        let subject = self.subject(&id);
        let living = async {
            if let Some(hook) = &self.container.lifecycle.post_start
                && let Outcome::Failed(message) = subject.act(hook, Duration::from_secs(HOOK_SECONDS_MAX)).await
            {
                tell(EventType::Warning, "FailedPostStartHook", format!("PostStartHook failed: {message}"));
                self.send(Happened::HookFailed { index, id: id.clone() }).await;
                return;
            }
            let told = |kind, passed| {
                // Verdicts are few; when the queue is full, the pod's worker is ending.
                if self.happened.try_send(Happened::Probed { index, id: id.clone(), kind, passed }).is_err() {
                    tracing::debug!("a probe's verdict was not heard");
                }
            };
            probe::run(&subject, told, Teller { recorder: &self.shared.node.recorder, regarding: &regarding }).await;
        };
        let exited = tokio::select! {
            exited = runtime.wait(&id) => exited,
            () = async { living.await; std::future::pending().await } => return,
        };
        match exited {
            Ok(status) => self.send(Happened::Exited { index, id, status }).await,
            Err(error) => tracing::debug!(%error, "a container went while it was waited for"),
        }
    }

    async fn send(&self, happened: Happened) {
        if self.happened.send(happened).await.is_err() {
            tracing::debug!("a pod's worker ended before its container");
        }
    }

    fn subject(&self, id: &ContainerId) -> Subject {
        Subject {
            runtime: Arc::clone(&self.shared.runtime),
            network: Arc::clone(&self.shared.network),
            id: id.clone(),
            spec: Arc::clone(&self.container),
            pod_uid: Meta::of(&self.pod).uid().to_owned(),
            pod_ip: self.pod_ip,
        }
    }

    async fn create(&self, tell: &(impl Fn(EventType, &'static str, String) + Sync)) -> Result<ContainerId, Refused> {
        self.pull(tell)?;
        let spec = match self.configuration().await {
            Ok(spec) => spec,
            Err(message) => {
                tell(EventType::Warning, "Failed", format!("Error: {message}"));
                return Err(("CreateContainerConfigError", message));
            }
        };
        self.shared.runtime.create_container(&self.sandbox, spec).await.map_err(|error| {
            tell(EventType::Warning, "Failed", format!("Error: {error}"));
            ("CreateContainerError", error.to_string())
        })
    }

    /// Pulls the image, which takes no time, or fails as its name deserves.
    fn pull(&self, tell: &impl Fn(EventType, &'static str, String)) -> Result<(), Refused> {
        let (image, policy) = (&self.container.image, &self.container.image_pull_policy);
        let full = image::normalized(image).map_err(|why| {
            let message =
                format!("Failed to apply default image tag {image:?}: couldn't parse image name {image:?}: {why}");
            tell(EventType::Warning, "InspectFailed", message.clone());
            tell(EventType::Warning, "Failed", "Error: InvalidImageName".into());
            ("InvalidImageName", message)
        })?;
        if self.shared.images.has(&full) && !image::always_pulls(policy, image) {
            tell(
                EventType::Normal,
                "Pulled",
                format!("Container image {image:?} already present on machine and can be accessed by the pod"),
            );
            return Ok(());
        }
        if policy != "Never" {
            tell(EventType::Normal, "Pulling", format!("Pulling image {image:?}"));
        }
        if let Some(why) = image::unreachable(&full) {
            tell(EventType::Warning, "Failed", format!("Failed to pull image {image:?}: {why}"));
            tell(EventType::Warning, "Failed", "Error: ErrImagePull".into());
            return Err(("ErrImagePull", why));
        }
        let there = self.shared.images.pull(full);
        let message = if policy == "Never" {
            format!("Container image {image:?} already present on machine and can be accessed by the pod")
        } else if there {
            format!("Successfully pulled image {image:?} in 0s (0s including waiting). Image is up to date.")
        } else {
            format!("Successfully pulled image {image:?} in 0s (0s including waiting).")
        };
        tell(EventType::Normal, "Pulled", message);
        Ok(())
    }

    async fn configuration(&self) -> Result<ContainerSpec, String> {
        let (container, shared) = (&self.container, &self.shared);
        let namespace = Meta::of(&self.pod).namespace();
        let host_ip = shared.node.address();
        let downward = Downward { pod: &self.pod, spec: &self.spec, host_ip, pod_ip: Some(self.pod_ip) };
        let services =
            shared.node.cluster.services_for(namespace, self.spec.enable_service_links.unwrap_or(true)).await;
        let env = environment(container, &downward, &services, &shared.sources).await?;
        let lookup = |name: &str| env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let expanded = |texts: &[String]| texts.iter().map(|text| expand(text, lookup)).collect();
        let (own, of_pod) = (&container.security_context, &self.spec.security_context);
        let user = own.run_as_user.or(of_pod.run_as_user);
        if own.run_as_non_root.or(of_pod.run_as_non_root) == Some(true) && user.unwrap_or(0) == 0 {
            let pod = full_name(&self.pod);
            return Err(format!(
                "container has runAsNonRoot and image will run as root (pod: \"{pod}\", container: {})",
                container.name
            ));
        }
        let mounts = container.volume_mounts.iter().map(|mount| {
            let sub_path = if mount.sub_path_expr.is_empty() {
                mount.sub_path.clone()
            } else {
                expand(&mount.sub_path_expr, lookup)
            };
            Mount {
                path: mount.mount_path.clone(),
                volume: mount.name.clone(),
                sub_path: Some(sub_path).filter(|path| !path.is_empty()),
                read_only: mount.read_only || self.is_read_only(&mount.name),
            }
        });
        let ports = container.ports.iter().map(|port| ContainerPort {
            name: port.name.clone(),
            port: port.container_port,
            protocol: match port.protocol.as_str() {
                "UDP" => Protocol::Udp,
                "SCTP" => Protocol::Sctp,
                _ => Protocol::Tcp,
            },
        });
        Ok(ContainerSpec {
            name: container.name.clone(),
            image: container.image.clone(),
            attempt: self.attempt,
            command: expanded(&container.command),
            args: expanded(&container.args),
            working_dir: container.working_dir.clone().filter(|dir| !dir.is_empty()),
            mounts: mounts.collect(),
            ports: ports.collect(),
            tty: container.tty,
            stdin: container.stdin,
            stdin_once: container.stdin_once,
            user,
            group: own.run_as_group.or(of_pod.run_as_group),
            read_only_root: own.read_only_root_filesystem,
            termination_message_path: container
                .termination_message_path
                .clone()
                .unwrap_or("/dev/termination-log".into()),
            termination_message_from_logs: container.termination_message_policy == "FallbackToLogsOnError",
            env,
        })
    }

    /// Volumes whose files are the cluster's can't be written, whatever the mount says.
    fn is_read_only(&self, volume: &str) -> bool {
        self.spec.volumes.iter().any(|known| known.name == volume && super::volumes::changes(known))
    }
}

/// A pod as upstream names it in messages: `web_default(uid)`.
pub(crate) fn full_name(pod: &Value) -> String {
    let meta = Meta::of(pod);
    format!("{}_{}({})", meta.name(), meta.namespace(), meta.uid())
}

/// Ends a container: its `preStop` hook, TERM, and KILL when the grace period is over. Its [`Launch`] tells the end.
pub(crate) async fn stop(subject: Subject, pre_stop: Option<Action>, grace: Duration, tell_failure: impl Fn(String)) {
    let begun = Instant::now();
    if let Some(hook) = pre_stop.filter(|_| !grace.is_zero())
        && let Ok(Outcome::Failed(message)) = tokio::time::timeout(grace, subject.act(&hook, grace)).await
    {
        tell_failure(format!("PreStopHook failed: {message}"));
    }
    let left = match begun.elapsed() {
        _ if grace.is_zero() => grace,
        spent => grace.saturating_sub(spent).max(Duration::from_secs(GRACE_SECONDS_MIN).min(grace)),
    };
    match subject.runtime.stop_container(&subject.id, left).await {
        Ok(_) | Err(RuntimeError::NoSuchContainer(_)) => {}
        Err(error) => tracing::debug!(%error, "a container could not be stopped"),
    }
}
