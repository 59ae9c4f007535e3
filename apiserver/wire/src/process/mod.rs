//! The frame of every member: its ready line, how it is told to end, and its limits.

pub mod checks;
pub mod endpoints;
mod figures;
mod ready;
mod shutdown;

pub use figures::{Figure, figures};
pub use ready::{ReadyLine, announce};
pub use shutdown::{Lifeline, Order, Orders, raise_descriptor_limit};
pub use tokio_util::sync::CancellationToken as Shutdown;

#[cfg(feature = "cli")]
mod tracing_setup;
#[cfg(feature = "cli")]
pub use tracing_setup::log_to_stderr;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use tokio::task::JoinHandle;

/// A running member, as its `start` gives it once its listeners are bound and it serves.
#[derive(Debug)]
pub struct Running {
    /// Where it listens, by what: `https`, `kubelet/node-1`, `agent` …
    pub addresses: BTreeMap<String, SocketAddr>,
    /// Ends when the member has ended; with an error when it could not go on.
    pub task: JoinHandle<Result<(), MemberError>>,
}

/// Why a member did not start, or could not go on: one sentence for its operator.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct MemberError {
    /// The sentence.
    pub what: String,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl MemberError {
    /// A sentence without a cause.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), source: None }
    }

    /// A sentence and its cause.
    #[must_use]
    pub fn because(what: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { what: what.into(), source: Some(source.into()) }
    }

    /// The sentence with all its causes on one line.
    #[must_use]
    pub fn told(&self) -> String {
        told(self)
    }
}

/// An error with all its causes on one line, each said once.
#[must_use]
pub fn told(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let more = source.to_string();
        if !told.ends_with(&more) {
            told.push_str(": ");
            told.push_str(&more);
        }
        cause = source.source();
    }
    told
}
