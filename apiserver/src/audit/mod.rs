//! Who asked for what, and what became of it: the ticket of every request, and the audit log with upstream's policy.
//!
//! An event is written at each stage that the policy does not omit: when a request was received, when a long-running
//! answer began, when it was complete, when it panicked. Nothing is built where no policy asks for it.

mod event;
mod file;
mod policy;
#[cfg(test)]
mod tests;
mod ticket;

pub use event::{Closing, Pending};
pub use file::{Format, Mode};
pub use policy::{Level, Policy, PolicyError, Stage};
pub use ticket::Ticket;

use crate::authn::Caller;
use crate::metrics::Metrics;
use crate::request::Call;
use file::Sink;
use http::Uri;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::status::{self, Reason, Status};

/// Where events go, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What is logged of which requests (`--audit-policy-file`).
    pub policy_file: PathBuf,
    /// Where to (`--audit-log-path`); `-` is standard output.
    pub log_path: PathBuf,
    /// The size at which another file is begun, in mebibytes (`--audit-log-maxsize`); 0 stands for 100.
    pub size_mebibytes_max: u64,
    /// How many old files are kept (`--audit-log-maxbackup`); 0 for all.
    pub backups_max: usize,
    /// How many days an old file is kept (`--audit-log-maxage`); 0 for ever.
    pub age_days_max: u64,
    /// How events are written (`--audit-log-format`).
    pub format: Format,
    /// Whether requests wait for the file (`--audit-log-mode`).
    pub mode: Mode,
    /// How many events may wait for the file in mode `batch` (`--audit-log-batch-buffer-size`).
    pub buffer_max: usize,
}

/// Why there can be no audit log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file can't be read or written.
    #[error("{} can't be used", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The policy says something that is none.
    #[error("{} holds no audit policy", path.display())]
    Policy {
        /// Where.
        path: PathBuf,
        /// What.
        #[source]
        cause: PolicyError,
    },
}

/// The audit log.
pub struct AuditLog {
    policy: Policy,
    sink: Sink,
    strict: bool,
    clock: Clock,
    metrics: Arc<Metrics>,
}

impl AuditLog {
    /// Reads the policy and opens the file.
    ///
    /// # Errors
    /// When one of them can't be used.
    pub fn open(config: &Config, clock: Clock, metrics: Arc<Metrics>) -> Result<Self, Error> {
        let path = &config.policy_file;
        let text = std::fs::read_to_string(path).map_err(|cause| Error::File { path: path.clone(), cause })?;
        let policy = Policy::parse(&text).map_err(|cause| Error::Policy { path: path.clone(), cause })?;
        let sink = Sink::open(config, clock.clone(), Arc::clone(&metrics))
            .map_err(|cause| Error::File { path: config.log_path.clone(), cause })?;
        Ok(Self { policy, sink, strict: config.mode == Mode::BlockingStrict, clock, metrics })
    }

    /// Begins the event of a request, and logs that it was received. `None` where the policy asks for nothing.
    ///
    /// # Errors
    /// A 500 where the log can't be written and no request may go unlogged.
    pub fn begin(self: &Arc<Self>, call: &Call, uri: &Uri, caller: &Caller) -> status::Result<Option<Pending>> {
        let rule = self.policy.judge(call, caller);
        if rule.level == Level::None {
            return Ok(None);
        }
        let pending = Pending::new(Arc::clone(self), rule, call, uri, caller);
        if !pending.log(Stage::RequestReceived) && self.strict {
            return Err(Status::failure(Reason::InternalError, "failed to store audit event"));
        }
        Ok(Some(pending))
    }

    /// Writes one line. False where it was lost.
    fn write(&self, line: String) -> bool {
        let taken = self.sink.write(line);
        let counter = if taken { &self.metrics.audit.written } else { &self.metrics.audit.lost };
        counter.fetch_add(1, Ordering::Relaxed);
        taken
    }
}
