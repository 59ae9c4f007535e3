//! How the API server reaches what lies in the cluster: directly, through Konnectivity or through SSH. It alone decides that.

mod balance;
pub mod components;
mod config;
mod counted;
pub mod direct;
pub mod konnectivity;
pub mod node;
pub mod select;
pub mod ssh;
mod travel;
mod validate;
mod verdict;

pub use components::{ComponentAddresses, Components};
pub use config::ConfigError;
pub use node::{NodeConfig, NodeError, Nodes, Target};
pub use select::Egress;
pub use ssh::{SshConfig, Tunnels};
pub use travel::Errand;
