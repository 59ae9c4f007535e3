//! What runs in a pod: the trait `Runtime`, the scripted one, and the built-in images.
//!
//! No process is started and no file of the host is touched: a container is a task, its files are a tree in memory, and
//! its programs are the built-in ones. The kubelet drives it as it would drive a real runtime:
//! `create_sandbox` → `set_volume`* → `create_container` → `start_container` → `wait` → `remove_container` →
//! `remove_sandbox`.

mod commands;
mod contract;
mod files;
mod images;
mod io;
mod machine;
mod scripted;
mod shell;
mod spec;

pub use contract::{OpenPort, PodNetwork, PortListener, Runtime, RuntimeError};
pub use io::{Duplex, Input, LogOptions, LogStream, Output, Stdio, TerminalSize};
pub use scripted::ScriptedRuntime;
pub use spec::{
    ContainerId, ContainerPort, ContainerSpec, ContainerState, Dns, ExitReason, ExitStatus, Mount, Protocol, SandboxId,
    SandboxSpec, Volume, VolumeFile,
};

#[cfg(test)]
mod fixture;
