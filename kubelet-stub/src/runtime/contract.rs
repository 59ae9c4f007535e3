//! The contract: the trait `Runtime` that a kubelet drives, the network that a kubelet lends to it, and how both fail.

use super::io::{Duplex, LogOptions, LogStream, Stdio};
use super::spec::{ContainerId, ContainerSpec, ContainerState, ExitStatus, SandboxId, SandboxSpec, Volume};
use async_trait::async_trait;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Runs pods. Every method may be called at any time and from any task; a call on a sandbox or container that is gone
/// fails with `NoSuchSandbox` or `NoSuchContainer`, and removing it again succeeds.
#[async_trait]
pub trait Runtime: Send + Sync + 'static {
    /// Makes the room that a pod's containers share: its name, its address, its volumes.
    async fn create_sandbox(&self, spec: SandboxSpec) -> Result<SandboxId, RuntimeError>;

    /// Kills and removes what is left of a pod, its volumes and its listeners.
    async fn remove_sandbox(&self, sandbox: &SandboxId) -> Result<(), RuntimeError>;

    /// Sets a volume's files: at first, and again when a ConfigMap or Secret changed. Running containers see all of the
    /// new content and none of the old; files that containers wrote into it are gone, so an emptyDir is set once.
    async fn set_volume(&self, sandbox: &SandboxId, name: &str, files: Volume) -> Result<(), RuntimeError>;

    /// Makes a container's file tree and log.
    async fn create_container(&self, sandbox: &SandboxId, spec: ContainerSpec) -> Result<ContainerId, RuntimeError>;

    /// Opens the container's ports and starts its main program. When that fails with `StartFailed`, the container is
    /// `Exited` with code 128 and reason `StartError`; a kubelet reports `RunContainerError` with the message.
    async fn start_container(&self, container: &ContainerId) -> Result<(), RuntimeError>;

    /// Where a container is in its life.
    async fn state(&self, container: &ContainerId) -> Result<ContainerState, RuntimeError>;

    /// Waits until the main program has ended and its log is complete.
    async fn wait(&self, container: &ContainerId) -> Result<ExitStatus, RuntimeError>;

    /// Asks the main program to end (TERM), kills it after `grace`, and returns when it has ended. A `grace` of zero
    /// kills at once.
    async fn stop_container(&self, container: &ContainerId, grace: Duration) -> Result<ExitStatus, RuntimeError>;

    /// Kills a container if it still runs, and forgets its files and log.
    async fn remove_container(&self, container: &ContainerId) -> Result<(), RuntimeError>;

    /// Reads a container's log, also after it ended (`previous` is the log of the container before).
    async fn logs(&self, container: &ContainerId, options: LogOptions) -> Result<LogStream, RuntimeError>;

    /// Runs a command in a running container and returns its exit code. A command that is not there ends with 127, one
    /// that can't be executed with 126, and runc's sentence on the error output (the output, with a terminal). Dropping
    /// the future kills the command; an input that ends is an end of file, no hang-up.
    async fn exec(&self, container: &ContainerId, command: Vec<String>, stdio: Stdio) -> Result<i32, RuntimeError>;

    /// Connects a client to the main program's streams, from now on. Returns the exit code when the program ends, and
    /// `None` when the client has gone: all of its outputs refuse bytes, or it had only an input and that has ended.
    async fn attach(&self, container: &ContainerId, stdio: Stdio) -> Result<Option<i32>, RuntimeError>;

    /// Connects to a port that something in the pod listens on, as from within the pod (`port-forward`). The error is
    /// `ConnectionRefused` when nothing listens.
    async fn dial(&self, sandbox: &SandboxId, port: u16) -> Result<Box<dyn Duplex>, RuntimeError>;
}

/// The network as a pod sees it. The kubelet implements it, so that a runtime opens no socket itself.
#[async_trait]
pub trait PodNetwork: Send + Sync + 'static {
    /// Listens on a pod's port. When the port is taken and another one serves instead, the kubelet tells it (an event)
    /// and still answers `Ok`; an error refuses a program that wanted to listen, and never stops a container's start.
    async fn listen(&self, pod: &SandboxSpec, port: u16) -> io::Result<OpenPort>;

    /// Connects from a pod to an address.
    async fn dial(&self, pod: &SandboxSpec, to: SocketAddr) -> io::Result<Box<dyn Duplex>>;

    /// Finds a name's addresses: Services, pods, and what else the cluster's DNS would answer. Empty: no such name.
    async fn resolve(&self, pod: &SandboxSpec, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// A port that listens until it is dropped.
pub struct OpenPort {
    /// Where it really listens.
    pub address: SocketAddr,
    /// Its connections.
    pub listener: Box<dyn PortListener>,
}

/// Connections that come in at a pod's port.
#[async_trait]
pub trait PortListener: Send {
    /// The next connection and who it is from. An error ends the listening.
    async fn accept(&mut self) -> io::Result<(Box<dyn Duplex>, SocketAddr)>;
}

/// Why a runtime could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The sandbox was never there or is removed.
    #[error("sandbox \"{0}\" not found")]
    NoSuchSandbox(SandboxId),
    /// The container was never there or is removed.
    #[error("container \"{0}\" not found")]
    NoSuchContainer(ContainerId),
    /// `exec`, `attach` and the like need a running container.
    #[error("container is in {state} state")]
    NotRunning {
        /// CRI's word: `CONTAINER_CREATED` or `CONTAINER_EXITED`.
        state: &'static str,
    },
    /// A container is started once.
    #[error("container \"{0}\" was started before")]
    StartedBefore(ContainerId),
    /// The main program can't be run; the message is containerd's.
    #[error("{message}")]
    StartFailed {
        /// For `state.waiting.message` and `state.terminated.message`.
        message: String,
    },
    /// A mount or a volume makes no sense, e.g. a sub-path that leaves the volume.
    #[error("{message}")]
    CreateFailed {
        /// For `CreateContainerError`.
        message: String,
    },
    /// A connection within the pod failed.
    #[error(transparent)]
    Dial(#[from] io::Error),
}
