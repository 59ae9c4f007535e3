//! The words between a kubelet and a runtime: what to run, where its files come from, and how it ended.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

/// Names a pod's sandbox: 64 hexadecimal digits, as containerd's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SandboxId(Arc<str>);

/// Names a container: 64 hexadecimal digits. A restart of a container is a new container with a new id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId(Arc<str>);

macro_rules! identifier {
    ($name:ident) => {
        impl $name {
            /// Takes an id that a runtime gave before.
            #[must_use]
            pub fn new(id: &str) -> Self {
                Self(id.into())
            }

            /// The bare id, without a runtime's scheme.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
identifier!(SandboxId);
identifier!(ContainerId);

/// A pod as its sandbox sees it.
#[derive(Clone, Debug)]
pub struct SandboxSpec {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.labels`: scripts select by them.
    pub labels: BTreeMap<String, String>,
    /// What `hostname` prints, and the value of `HOSTNAME`.
    pub hostname: String,
    /// The pod's address, which its ports listen on (`/etc/hosts` names it).
    pub pod_ip: IpAddr,
    /// Further lines of `/etc/hosts`: `spec.hostAliases`.
    pub host_aliases: Vec<(IpAddr, Vec<String>)>,
    /// What `/etc/resolv.conf` says.
    pub dns: Dns,
}

/// The lines of `/etc/resolv.conf`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// `nameserver` lines.
    pub nameservers: Vec<String>,
    /// The `search` line.
    pub searches: Vec<String>,
    /// The `options` line, e.g. `ndots:5`.
    pub options: Vec<String>,
}

/// The files of one volume, by path relative to its root (`ca.crt`, `dir/file`).
pub type Volume = BTreeMap<String, VolumeFile>;

/// One file of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeFile {
    /// What is in it.
    pub bytes: Bytes,
    /// Its permission bits, e.g. `0o644`.
    pub mode: u32,
}

/// A container to run.
#[derive(Clone, Debug, Default)]
pub struct ContainerSpec {
    /// The container's name in its pod.
    pub name: String,
    /// The image as the pod names it.
    pub image: String,
    /// How many times this container was started before: 0 at first.
    pub attempt: u32,
    /// `command`: replaces the image's entrypoint. Empty: the image's.
    pub command: Vec<String>,
    /// `args`: replaces the image's arguments. Empty: the image's, unless `command` is given.
    pub args: Vec<String>,
    /// The environment, in order; a later value wins. `PATH`, `HOME` and `HOSTNAME` are the runtime's unless given.
    pub env: Vec<(String, String)>,
    /// `workingDir`. `None`: the image's.
    pub working_dir: Option<String>,
    /// What is mounted where; deeper paths may lie in shallower ones.
    pub mounts: Vec<Mount>,
    /// The declared ports, which really listen while the container runs.
    pub ports: Vec<ContainerPort>,
    /// The main program talks to a terminal.
    pub tty: bool,
    /// The main program's input stays open for `attach`; otherwise it is at its end at once.
    pub stdin: bool,
    /// The input is closed when the first attached client goes.
    pub stdin_once: bool,
    /// `runAsUser`. `None`: the image's, which is root.
    pub user: Option<i64>,
    /// `runAsGroup`. `None`: root's.
    pub group: Option<i64>,
    /// `readOnlyRootFilesystem`: only mounts can be written.
    pub read_only_root: bool,
    /// `terminationMessagePath`; its content becomes `ExitStatus::message`. Empty: none is read.
    pub termination_message_path: String,
    /// `terminationMessagePolicy: FallbackToLogsOnError`.
    pub termination_message_from_logs: bool,
}

/// A volume at a path of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Absolute path in the container.
    pub path: String,
    /// The volume's name in the sandbox. One that was never set is an empty directory, shared like any other.
    pub volume: String,
    /// A file or directory in the volume, mounted instead of all of it. As upstream, it then misses later updates.
    pub sub_path: Option<String>,
    /// Writing fails with `Read-only file system`.
    pub read_only: bool,
}

/// A declared port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerPort {
    /// Its name, or nothing.
    pub name: String,
    /// `containerPort`.
    pub port: u16,
    /// Only TCP ports listen.
    pub protocol: Protocol,
}

/// The transport of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// The default.
    #[default]
    Tcp,
    /// Declared, but nothing listens.
    Udp,
    /// Declared, but nothing listens.
    Sctp,
}

/// Where a container is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerState {
    /// Made, not started.
    Created,
    /// Its main program runs.
    Running {
        /// Since when.
        started: SystemTime,
    },
    /// Its main program ended, or could not be started.
    Exited(ExitStatus),
}

/// How a container ended: the fields of `state.terminated`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitStatus {
    /// `exitCode`: 128 + signal for one that a signal ended, 128 for one that could not be started.
    pub code: i32,
    /// `signal`, where a signal ended it.
    pub signal: Option<i32>,
    /// `reason`.
    pub reason: ExitReason,
    /// `message`: the termination message, or why it could not be started.
    pub message: String,
    /// `startedAt`. The epoch for one that could not be started, as containerd has it.
    pub started: SystemTime,
    /// `finishedAt`.
    pub finished: SystemTime,
}

/// `state.terminated.reason`; `Display` prints Kubernetes' word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// Ended with 0.
    Completed,
    /// Ended with anything else.
    Error,
    /// Wrote more than its memory limit allows.
    OomKilled,
    /// Was never started.
    StartError,
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Completed => "Completed",
            Self::Error => "Error",
            Self::OomKilled => "OOMKilled",
            Self::StartError => "StartError",
        })
    }
}
