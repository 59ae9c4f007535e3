//! The scheduler and the control loops: a client of the API over its secure port like anyone else.

mod context;
mod control_loop;
mod deployment;
mod endpoints;
mod expectations;
#[cfg(feature = "cli")]
pub mod flags;
mod garbage;
mod job;
mod kinds;
mod namespace;
mod node_lifecycle;
mod pods;
mod quantity;
mod recorder;
mod replica_set;
mod scheduler;
mod service_account;

use context::Context;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::client::Client;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::net::ClusterNet;
use tinyplane_wire::process::{MemberError, Running, Shutdown};

/// What the controllers need to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The kubeconfig: where the API server is, and who the controllers are there.
    pub kubeconfig: PathBuf,
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
    let agent = concat!("tinyplane-controllers/", env!("CARGO_PKG_VERSION"));
    let client = Client::from_kubeconfig(&config.kubeconfig, config.source_address, agent)
        .map_err(|e| MemberError::because(format!("{} can't be used", config.kubeconfig.display()), e))?;
    let root_ca = match &config.root_ca_file {
        Some(path) => Some(
            std::fs::read_to_string(path)
                .map_err(|e| MemberError::because(format!("{} can't be read", path.display()), e))?,
        ),
        None => None,
    };
    let context = Arc::new(Context::new(client, clock, shutdown.clone()));
    scheduler::start(&context);
    namespace::start(&context);
    service_account::start(&context, root_ca);
    endpoints::start(&context);
    replica_set::start(&context);
    deployment::start(&context);
    job::start(&context);
    node_lifecycle::start(&context, &config);
    garbage::start(&context);
    let task = tokio::spawn(async move {
        shutdown.cancelled().await;
        Ok(())
    });
    Ok(Running { addresses: BTreeMap::new(), task })
}
