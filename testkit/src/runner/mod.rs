//! How members run: as processes, or as tasks of this one. The same plan, the same sockets, the same verbs.

mod arguments;
mod configs;
mod in_process;
mod member_log;
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
use std::fs::{File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::net::ClusterNet;
use tinyplane_wire::process::{MemberError, ReadyLine, Shutdown};

/// The folder of the members' ledgers, a file each, in a cluster's folder.
pub(crate) const LEDGERS: &str = "ledger";

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
    /// Whether members write down their hops.
    pub(crate) ledger: bool,
    /// Whether relays have the addresses that others are told.
    pub(crate) links: bool,
    /// The relay before nodes, pods and Services, where there is one.
    pub(crate) detour: Option<SocketAddr>,
    /// How far back changes can be watched from.
    pub(crate) compaction_interval: Duration,
    /// How long a node may be silent.
    pub(crate) node_monitor_grace_period: Duration,
    /// A start that has not come to its end yet is to be given up.
    pub(crate) give_up: Shutdown,
}

impl Spec {
    /// Where the member writes down its hops.
    pub(crate) fn ledger_file(&self) -> Option<PathBuf> {
        self.ledger.then(|| self.folder.file(LEDGERS).join(format!("{}.jsonl", self.member)))
    }

    /// The socket on which a Konnectivity server takes the API server's requests.
    pub(crate) fn tunnel_socket(&self, number: u8) -> PathBuf {
        if self.links { self.runtime.join(format!("behind-{number}.sock")) } else { self.tunnel_front(number) }
    }

    /// The socket that the API server dials for it, which is a relay's where links are relayed.
    pub(crate) fn tunnel_front(&self, number: u8) -> PathBuf {
        let name = if number == 1 { "konnectivity.sock".to_owned() } else { format!("konnectivity-{number}.sock") };
        self.runtime.join(name)
    }

    /// Where the API server or a Konnectivity server listens for those that a relay leads to it.
    pub(crate) fn listens_at(&self) -> Ipv4Addr {
        let one_server = self.plan.konnectivity_servers == 1;
        match self.member {
            Member::Apiserver if self.links => self.plan.behind_relay(self.member),
            // Of several, the relay has an address of its own.
            Member::KonnectivityServer(_) if self.links && one_server => self.plan.behind_relay(self.member),
            _ => self.plan.address(self.member),
        }
    }

    /// Where the control loops are asked how they are.
    pub(crate) fn controller_manager(&self) -> SocketAddr {
        SocketAddr::from((self.plan.address(Member::Controllers), self.ports.controller_manager))
    }

    /// Where the scheduler is.
    pub(crate) fn scheduler(&self) -> SocketAddr {
        SocketAddr::from((self.plan.address(Member::Controllers), self.ports.scheduler))
    }

    /// The cluster's addresses, with the relay by which the API server, agents and nodes dial nodes and pods.
    pub(crate) fn cluster_net_by_relay(&self) -> ClusterNet {
        ClusterNet { relay: self.detour, ..self.plan.division().cluster_net() }
    }
}

/// Starts members.
#[async_trait]
pub(crate) trait Runner: Send + Sync + Debug {
    /// Starts one and waits until it serves. Of one that does not, or is given up, nothing is left when this returns.
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

/// Opens the log of a member, behind what an earlier one of this name has written.
fn open_log(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}
