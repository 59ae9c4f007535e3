//! A whole Kubernetes control plane small enough to start inside a test.

mod address;
mod client;
mod cluster;
mod fault;
mod ledger;
mod relay;
mod runner;
#[cfg(feature = "cli")]
mod sandbox;

#[cfg(feature = "cli")]
pub mod cli;

pub use address::LeaseError;
pub use client::Admin;
pub use cluster::{
    AuthorityError, Builder, Cluster, ClusterError, Egress, FolderError, Member, MemberView, Mode, NodePlan, Plan,
    Report, RunnerChoice, Security, Storage, TUNNEL_ENDS_MAX,
};
pub use fault::{Direction, Fault, FaultError, Healed, Injected};
pub use ledger::{Filter, Hop, Ledger, Step, Walk};
pub use relay::{Link, MiddleError};
pub use runner::{Event, Program};
pub use tinyplane_wire::ledger::{Entry, HostKey, Outcome, Tls, View};
