//! Plays Kubernetes nodes: registers, beats, runs pods, answers on 10250 and serves the Service addresses.

mod cluster;
mod config;
#[cfg(feature = "cli")]
pub mod flags;
mod node;
mod pods;
mod resources;
pub mod runtime;
pub mod server;
mod service_proxy;
mod start;
#[cfg(test)]
mod stories;
mod tasks;

pub use config::{Config, NodeConfig, Taint};
pub use start::start;

/// The version that nodes tell.
pub const KUBELET_VERSION: &str = "v1.36.0";
/// The kernel that nodes and their containers tell of.
pub const KERNEL_VERSION: &str = "6.12.0-tinyplane";
/// Processors of a node, whatever the machine has.
pub const CAPACITY_CPU: &str = "8";
/// Memory of a node.
pub const CAPACITY_MEMORY: &str = "16Gi";
/// Pods that a node takes.
pub const CAPACITY_PODS: &str = "110";
/// Disk of a node.
pub const CAPACITY_STORAGE: &str = "100Gi";
