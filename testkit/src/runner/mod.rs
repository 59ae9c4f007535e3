//! How members run: as processes, or as tasks of this one. The same plan, the same sockets, the same verbs.

mod arguments;
mod configs;
mod in_process;
mod processes;
mod supervisor;

pub(crate) use arguments::{EGRESS_FILE, NODES_FILE, egress_configuration, nodes_file};
pub(crate) use in_process::InProcess;
pub(crate) use processes::Processes;
pub use processes::Program;
pub use supervisor::Event;
pub(crate) use supervisor::{Kept, Observer, Start};

use crate::cluster::folder::Folder;
use crate::cluster::plan::{Member, Plan};
use crate::cluster::ports::Ports;
use async_trait::async_trait;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::process::{MemberError, ReadyLine};

/// What a member is started from.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) member: Member,
    pub(crate) plan: Arc<Plan>,
    pub(crate) folder: Arc<Folder>,
    /// Short private folder for Unix sockets.
    pub(crate) runtime: PathBuf,
    /// Where members find each other.
    pub(crate) ports: Ports,
    pub(crate) verbosity: u8,
}

impl Spec {
    /// The socket on which the Konnectivity server takes the API server's requests.
    pub(crate) fn tunnel_socket(&self) -> PathBuf {
        self.runtime.join("konnectivity.sock")
    }
}

/// Starts members.
#[async_trait]
pub(crate) trait Runner: Send + Sync + Debug {
    /// Starts one and waits until it serves.
    async fn start(&self, spec: &Spec) -> Result<Box<dyn Started>, MemberError>;
}

/// A member that runs.
#[async_trait]
pub(crate) trait Started: Send + Debug {
    /// What it said when it was ready.
    fn ready(&self) -> &ReadyLine;
    /// Waits until it has ended by itself, and says how. Safe to drop and to call again.
    async fn ended(&mut self) -> String;
    /// Ends it at once, as kill -9 does.
    async fn kill(&mut self);
    /// Asks it to end, and kills it when it does not within the time.
    async fn stop(&mut self, within: Duration);
}
