//! The scheduler and the control loops: a client of the API over its secure port like anyone else.

mod context;
mod control_loop;
mod daemon_set;
mod deployment;
mod endpoints;
mod expectations;
#[cfg(feature = "cli")]
pub mod flags;
mod garbage;
mod hash;
mod identity;
mod job;
mod kinds;
mod namespace;
mod node_lifecycle;
mod pod_control;
mod pods;
mod quantity;
mod recorder;
mod replica_set;
mod revisions;
mod scheduler;
mod service_account;
mod stateful_set;
mod ttl_after_finished;

use context::{Context, Shared};
use identity::Identities;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::client::{Client, ClientError};
use tinyplane_wire::clock::Clock;
use tinyplane_wire::net::ClusterNet;
use tinyplane_wire::process::{MemberError, Running, Shutdown};

/// What the controllers need to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The kubeconfig: where the API server is, and who the controllers are there.
    pub kubeconfig: PathBuf,
    /// The kubeconfig of the scheduler, where it is another user.
    pub scheduler_kubeconfig: Option<PathBuf>,
    /// Whether each loop acts as an account of `kube-system` (`--use-service-account-credentials`).
    pub use_service_account_credentials: bool,
    /// The public root certificate that every namespace gets as ConfigMap `kube-root-ca.crt` (`--root-ca-file`).
    pub root_ca_file: Option<PathBuf>,
    /// Address to dial from.
    pub source_address: Option<IpAddr>,
    /// Addresses of the cluster.
    pub cluster_net: ClusterNet,
    /// How often nodes are looked at (`--node-monitor-period`).
    pub node_monitor_period: Duration,
    /// How long a node may be silent before it counts as unreachable (`--node-monitor-grace-period`).
    pub node_monitor_grace_period: Duration,
}

impl Config {
    /// Upstream's defaults, with this kubeconfig.
    #[must_use]
    pub fn new(kubeconfig: impl Into<PathBuf>) -> Self {
        Self {
            kubeconfig: kubeconfig.into(),
            scheduler_kubeconfig: None,
            use_service_account_credentials: false,
            root_ca_file: None,
            source_address: None,
            cluster_net: ClusterNet::default(),
            node_monitor_period: Duration::from_secs(5),
            node_monitor_grace_period: Duration::from_secs(50),
        }
    }
}

/// Starts the scheduler and all control loops. They wait for the API server and begin when it answers.
///
/// # Errors
/// When the kubeconfig or the root certificate can't be read.
#[expect(clippy::unused_async, reason = "every member starts by the same signature")]
pub async fn start(config: Config, clock: Clock, shutdown: Shutdown) -> Result<Running, MemberError> {
    let open = |path: &Path, agent: &str| {
        Client::from_kubeconfig(path, config.source_address, agent).map_err(|e| unusable(path, e))
    };
    let own = open(&config.kubeconfig, MANAGER_AGENT)?;
    let scheduler = match &config.scheduler_kubeconfig {
        Some(path) => open(path, SCHEDULER_AGENT)?,
        None => own.clone(),
    };
    let nobody = match config.use_service_account_credentials {
        true => Some(
            Client::nobody(&config.kubeconfig, config.source_address, MANAGER_AGENT)
                .map_err(|e| unusable(&config.kubeconfig, e))?,
        ),
        false => None,
    };
    let root_ca = config.root_ca_file.as_deref().map(read).transpose()?;
    let shared = Shared::new(own.clone(), Identities::new(own.clone(), nobody, clock.clone()));
    let context = Context::new(own, &shared, clock.clone(), shutdown.clone());
    scheduler::start(&Context::new(scheduler, &shared, clock, shutdown.clone()));
    start_loops(&context, &config, root_ca);
    let task = tokio::spawn(async move {
        shutdown.cancelled().await;
        Ok(())
    });
    Ok(Running { addresses: BTreeMap::new(), task })
}

/// Starts every loop but the scheduler, each as the account that upstream gives it.
fn start_loops(context: &Arc<Context>, config: &Config, root_ca: Option<String>) {
    let acting_as = |account| context.acting_as(account);
    let publisher = acting_as("root-ca-cert-publisher");
    namespace::start(&acting_as("namespace-controller"));
    service_account::start(&acting_as("service-account-controller"), &publisher, root_ca);
    endpoints::start(&acting_as("endpoint-controller"), &acting_as("endpointslice-controller"));
    replica_set::start(&acting_as("replicaset-controller"));
    replica_set::start_controllers(&acting_as("replication-controller"));
    daemon_set::start(&acting_as("daemon-set-controller"));
    stateful_set::start(&acting_as("statefulset-controller"));
    deployment::start(&acting_as("deployment-controller"));
    job::start(&acting_as("job-controller"));
    ttl_after_finished::start(&acting_as("ttl-after-finished-controller"));
    node_lifecycle::start(&acting_as("node-controller"), config);
    garbage::start(&acting_as("generic-garbage-collector"));
}

/// What fields that the loops write are marked with: upstream's name of the program.
const MANAGER_AGENT: &str = concat!("kube-controller-manager/tinyplane-", env!("CARGO_PKG_VERSION"));
const SCHEDULER_AGENT: &str = concat!("kube-scheduler/tinyplane-", env!("CARGO_PKG_VERSION"));

fn read(path: &Path) -> Result<String, MemberError> {
    std::fs::read_to_string(path).map_err(|e| MemberError::because(format!("{} can't be read", path.display()), e))
}

fn unusable(path: &Path, error: ClientError) -> MemberError {
    MemberError::because(format!("{} can't be used", path.display()), error)
}
