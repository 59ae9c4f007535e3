//! Wishes for a cluster, and how they become a plan.

use super::authority;
use super::folder::Folder;
use super::handle::{Cluster, Ingredients};
use super::plan::{Egress, Mode, NodePlan, Plan, Security, Storage, TUNNEL_ENDS_MAX};
use super::ports::Ports;
use super::{ClusterError, RuntimeFolder};
use crate::address::{Division, Lease};
use crate::runner::{Event, InProcess, Processes, Program, Runner};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::process::{MemberError, Shutdown};

/// Nodes unless wished otherwise.
const NODES: usize = 2;
/// How often upstream has its store compacted.
const COMPACTION_INTERVAL: Duration = Duration::from_secs(300);
/// How long upstream lets a node be silent.
const NODE_MONITOR_GRACE_PERIOD: Duration = Duration::from_secs(50);
/// Longest start, unless wished otherwise.
const START_SECONDS_MAX: u64 = 60;

/// How members run.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum RunnerChoice {
    /// As tasks of this process, each member on threads of its own.
    #[default]
    InProcess,
    /// As processes of the `tinyplane` that `TINYPLANE_BIN` or PATH leads to.
    Processes,
    /// As processes of this very binary.
    ProcessesOf(PathBuf),
}

impl RunnerChoice {
    /// What the variable `TINYPLANE_RUNNER` says: `in-process` (the default) or `processes`. Read here, once.
    ///
    /// # Errors
    /// When it says something else.
    pub fn from_env() -> Result<Self, ClusterError> {
        match std::env::var("TINYPLANE_RUNNER").as_deref() {
            Err(_) | Ok("" | "in-process") => Ok(Self::InProcess),
            Ok("processes") => Ok(Self::Processes),
            Ok(other) => Err(ClusterError::Wish(format!("TINYPLANE_RUNNER is {other:?}, not in-process or processes"))),
        }
    }

    fn runner(&self) -> Result<Arc<dyn Runner>, MemberError> {
        Ok(match self {
            Self::InProcess => Arc::new(InProcess),
            Self::Processes => Arc::new(Processes { program: Program::find()? }),
            Self::ProcessesOf(path) => Arc::new(Processes { program: Program::at(path) }),
        })
    }
}

/// Wishes for a cluster. What is not wished has a safe default: two nodes behind Konnectivity, TLS checked both ways,
/// RBAC, objects in memory.
#[derive(Clone)]
pub struct Builder {
    nodes: Option<usize>,
    egress: Option<Egress>,
    konnectivity_servers: Option<u8>,
    agents: Option<u8>,
    storage: Option<Storage>,
    security: Option<Security>,
    controllers: Option<bool>,
    data_dir: Option<PathBuf>,
    kubeconfig_copy: Option<PathBuf>,
    runner: RunnerChoice,
    restart: bool,
    verbosity: u8,
    ledger: bool,
    links: bool,
    compaction_interval: Duration,
    node_monitor_grace_period: Duration,
    give_up: Shutdown,
    patience: Duration,
    observer: Arc<dyn Fn(&Event) + Send + Sync>,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("nodes", &self.nodes).field("egress", &self.egress).finish_non_exhaustive()
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            nodes: None,
            egress: None,
            konnectivity_servers: None,
            agents: None,
            storage: None,
            security: None,
            controllers: None,
            data_dir: None,
            kubeconfig_copy: None,
            runner: RunnerChoice::default(),
            restart: false,
            verbosity: 1,
            ledger: false,
            links: false,
            compaction_interval: COMPACTION_INTERVAL,
            node_monitor_grace_period: NODE_MONITOR_GRACE_PERIOD,
            give_up: Shutdown::new(),
            patience: Duration::from_secs(START_SECONDS_MAX),
            observer: Arc::new(|_| {}),
        }
    }
}

impl Builder {
    /// How many nodes. Without any, and without controllers, there is the API server alone.
    #[must_use]
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = Some(nodes);
        self
    }

    /// How the API server reaches nodes.
    #[must_use]
    pub fn egress(mut self, egress: Egress) -> Self {
        self.egress = Some(egress);
        self
    }

    /// How many Konnectivity servers there are: the API server spreads its dials over those that are ready, and agents
    /// find all of them behind one address. At most [`crate::TUNNEL_ENDS_MAX`].
    #[must_use]
    pub fn konnectivity_servers(mut self, servers: u8) -> Self {
        self.konnectivity_servers = Some(servers);
        self
    }

    /// How many Konnectivity agents, each of which reaches every node. At most [`crate::TUNNEL_ENDS_MAX`].
    #[must_use]
    pub fn agents(mut self, agents: u8) -> Self {
        self.agents = Some(agents);
        self
    }

    /// Where objects are kept.
    #[must_use]
    pub fn storage(mut self, storage: Storage) -> Self {
        self.storage = Some(storage);
        self
    }

    /// What is checked on the way to a node.
    #[must_use]
    pub fn security(mut self, security: Security) -> Self {
        self.security = Some(security);
        self
    }

    /// Whether the controllers run.
    #[must_use]
    pub fn controllers(mut self, run: bool) -> Self {
        self.controllers = Some(run);
        self
    }

    /// Keeps the cluster in this folder: a later start on it brings the same cluster back.
    #[must_use]
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(folder.into());
        self
    }

    /// Writes the administrator's kubeconfig into this file as well, readable for its owner alone, and keeps it right
    /// should the API server come to listen elsewhere.
    #[must_use]
    pub fn kubeconfig_copy(mut self, file: impl Into<PathBuf>) -> Self {
        self.kubeconfig_copy = Some(file.into());
        self
    }

    /// How members run.
    #[must_use]
    pub fn runner(mut self, runner: RunnerChoice) -> Self {
        self.runner = runner;
        self
    }

    /// Starts a member again, on the same address and with back-off, when it ends by itself or is killed.
    #[must_use]
    pub fn restart(mut self, restart: bool) -> Self {
        self.restart = restart;
        self
    }

    /// Verbosity of the members' logs, as `-v`.
    #[must_use]
    pub fn verbosity(mut self, verbosity: u8) -> Self {
        self.verbosity = verbosity;
        self
    }

    /// Lets every member write down the hops that begin or end there, for [`Cluster::ledger`].
    #[must_use]
    pub fn ledger(mut self, keep: bool) -> Self {
        self.ledger = keep;
        self
    }

    /// Puts a relay on every link, for [`Cluster::inject`]. Without it nobody stands between members.
    #[must_use]
    pub fn links(mut self, relayed: bool) -> Self {
        self.links = relayed;
        self
    }

    /// How far back changes can be watched from (`--etcd-compaction-interval`), five minutes if it is not said: a watch or
    /// a list from before gets `410 Gone`, once something has been written since. Zero for as far as memory allows.
    #[must_use]
    pub fn compaction_interval(mut self, interval: Duration) -> Self {
        self.compaction_interval = interval;
        self
    }

    /// How long a node may be silent before the controllers mark it (`--node-monitor-grace-period`), 50 s if it is not
    /// said. Nodes beat every 10 s.
    #[must_use]
    pub fn node_monitor_grace_period(mut self, longest: Duration) -> Self {
        self.node_monitor_grace_period = longest;
        self
    }

    /// Longest wait until everything is ready.
    #[must_use]
    pub fn patience(mut self, longest: Duration) -> Self {
        self.patience = longest;
        self
    }

    /// Is told what happens to members.
    #[must_use]
    pub fn observer(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.observer = Arc::new(observer);
        self
    }

    /// Gives a start up when it is told so. The start then fails, after everything that was begun has ended.
    #[cfg(feature = "cli")]
    pub(crate) fn given_up_at(mut self, told: Shutdown) -> Self {
        self.give_up = told;
        self
    }

    /// Starts the cluster and waits until every member serves and every node is Ready.
    ///
    /// # Errors
    /// When it can't be had; nothing of it is left then.
    pub async fn start(self) -> Result<Cluster, ClusterError> {
        tinyplane_wire::process::raise_descriptor_limit();
        for (what, wished) in [("Konnectivity servers", self.konnectivity_servers), ("agents", self.agents)] {
            if wished.is_some_and(|wished| !(1..=TUNNEL_ENDS_MAX).contains(&wished)) {
                return Err(ClusterError::Wish(format!("there can be 1 to {TUNNEL_ENDS_MAX} {what}")));
            }
        }
        let runner = self.runner.runner()?;
        let (folder, known) = match &self.data_dir {
            Some(root) => Folder::kept(root)?,
            None => (Folder::temporary()?, None),
        };
        let (plan, lease) = match known {
            Some(plan) => {
                self.check_against(&plan, folder.root())?;
                let lease = Lease::again(plan.block).await?;
                // Before anything is started, and so before anything is written.
                authority::check(&plan, &folder)?;
                Ports::kept(&folder)?;
                if plan.storage == Storage::Sled {
                    folder.check_store()?;
                }
                (plan, lease)
            }
            None => {
                let lease = Lease::any(self.nodes.unwrap_or(NODES))?;
                let plan = self.plan(&lease);
                authority::establish(&plan, &folder, Clock::system().now())?;
                folder.keep(&plan)?;
                (plan, lease)
            }
        };
        let runtime = RuntimeFolder::create(plan.block)
            .map_err(|e| MemberError::because("the folder for Unix sockets can't be made", e))?;
        let ingredients = Ingredients {
            plan: Arc::new(plan),
            folder: Arc::new(folder.copying_kubeconfig_to(self.kubeconfig_copy)),
            lease,
            runtime,
            runner,
            restart: self.restart,
            verbosity: self.verbosity,
            ledger: self.ledger,
            links: self.links,
            compaction_interval: self.compaction_interval,
            node_monitor_grace_period: self.node_monitor_grace_period,
            give_up: self.give_up.child_token(),
            observer: self.observer,
        };
        Cluster::start(ingredients, self.patience).await
    }

    fn plan(&self, lease: &Lease) -> Plan {
        let division = Division::of(lease.block());
        let nodes = self.nodes.unwrap_or(NODES);
        let node = |n: u32| NodePlan {
            name: format!("node-{n}"),
            address: division.node_address(n),
            pod_range: division.pod_range(n, nodes),
        };
        Plan {
            block: lease.block(),
            nodes: (1..=u32::try_from(nodes).unwrap_or_default()).map(node).collect(),
            egress: self.egress.unwrap_or(Egress::Konnectivity(Mode::Grpc)),
            konnectivity_servers: self.konnectivity_servers.unwrap_or(1),
            agents: self.agents.unwrap_or(1),
            storage: self.storage.unwrap_or(Storage::Memory),
            controllers: self.controllers.unwrap_or(true),
            security: self.security.unwrap_or(Security::strict()),
        }
    }

    /// A cluster that comes back is the same: a wish that says otherwise is refused, not ignored.
    fn check_against(&self, plan: &Plan, folder: &Path) -> Result<(), ClusterError> {
        let differs = |had: String, wished: String| {
            Err(ClusterError::Differs { folder: folder.display().to_string(), had, wished })
        };
        match self {
            Self { nodes: Some(nodes), .. } if *nodes != plan.nodes.len() => {
                differs(format!("{} nodes", plan.nodes.len()), nodes.to_string())
            }
            Self { egress: Some(egress), .. } if *egress != plan.egress => {
                differs(format!("the egress {}", plan.egress), egress.to_string())
            }
            Self { konnectivity_servers: Some(servers), .. } if *servers != plan.konnectivity_servers => {
                differs(format!("{} Konnectivity servers", plan.konnectivity_servers), servers.to_string())
            }
            Self { agents: Some(agents), .. } if *agents != plan.agents => {
                differs(format!("{} agents", plan.agents), agents.to_string())
            }
            Self { storage: Some(storage), .. } if *storage != plan.storage => {
                differs(format!("the store {}", plan.storage), storage.to_string())
            }
            Self { controllers: Some(run), .. } if *run != plan.controllers => {
                let words = |run| if run { "controllers" } else { "no controllers" };
                differs(words(plan.controllers).into(), words(*run).into())
            }
            _ => Ok(()),
        }
    }
}
