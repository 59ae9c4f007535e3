//! A cluster: wishes (`builder`), a plan, a running handle, and a report at the end.

pub(crate) mod authority;
mod builder;
pub(crate) mod folder;
mod handle;
mod links;
pub(crate) mod plan;
pub(crate) mod ports;
mod report;
mod runtime_folder;

pub use authority::AuthorityError;
pub use builder::{Builder, RunnerChoice};
pub use folder::FolderError;
pub use handle::{Cluster, MemberView};
pub use plan::{Egress, Member, Mode, NodePlan, Plan, Security, Storage, TUNNEL_ENDS_MAX};
pub use report::Report;
pub(crate) use runtime_folder::RuntimeFolder;
#[cfg(feature = "cli")]
pub(crate) use runtime_folder::running_under;

use crate::address::LeaseError;
use tinyplane_wire::client::ClientError;
use tinyplane_wire::process::MemberError;

/// Why a cluster did not start, or did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No addresses.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The folder can't be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// No certificates.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// A member did not start.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// The wishes don't fit the cluster that the folder holds.
    #[error("the cluster in {folder} has {had}, not {wished}: leave that option out, or use another folder")]
    Differs {
        /// Which folder.
        folder: String,
        /// What it has.
        had: String,
        /// What was asked for.
        wished: String,
    },
    /// A wish that can't be fulfilled.
    #[error("{0}")]
    Wish(String),
    /// The cluster has no such member.
    #[error("this cluster has no {0}")]
    NoMember(Member),
    /// The API can't be used.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A wait came to its deadline.
    #[error("{what} did not come within {seconds} s; the last that was seen: {last}")]
    Deadline {
        /// What was waited for.
        what: String,
        /// For how long.
        seconds: u64,
        /// The state at the deadline.
        last: String,
    },
}

impl ClusterError {
    /// The sentence with all its causes on one line.
    #[must_use]
    pub fn told(&self) -> String {
        tinyplane_wire::process::told(self)
    }
}
