//! Starts the process: binds every node's port, serves on it, and lets the nodes register.

use crate::cluster::Cluster;
use crate::config::{Config, NodeConfig};
use crate::node::{self, Node, Recorder};
use crate::pods::{Engine, Network};
use crate::runtime::ScriptedRuntime;
use crate::server::ssh::SshServer;
use crate::server::{self, AuthConfig, AuthorizationMode, Backing, ServerConfig};
use crate::service_proxy::ServiceProxy;
use crate::tasks::Tasks;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::client::Client;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::identity::serving::ServingFiles;
use tinyplane_wire::identity::tls::{self, ClientAuth};
use tinyplane_wire::ledger::{Entry, Ledger};
use tinyplane_wire::net::set_routes;
use tinyplane_wire::process::{MemberError, Running, Shutdown};

/// How the process calls itself to the API server.
const USER_AGENT: &str = concat!("tinyplane-kubelet/", env!("CARGO_PKG_VERSION"));
/// The path that ends at a node's port: from the API server to its kubelet.
const PATH: u8 = 2;
/// The path that ends at its SSH port.
const SSH_PATH: u8 = 4;
/// Longest the end may take.
const END_SECONDS_MAX: u64 = 1;

/// Starts all nodes. When this returns, their ports are bound and served; they register as soon as the API server
/// answers.
///
/// # Errors
/// When a file can't be read, a certificate can't be used, a route can't be set, or an address is not this machine's.
pub async fn start(config: Config, clock: Clock, shutdown: Shutdown) -> Result<Running, MemberError> {
    let first = config.nodes.first().ok_or_else(|| MemberError::new("there is no node to play"))?;
    // Before anything listens on an address that only a route makes this machine's own.
    set_routes(&config.routes).map_err(|error| MemberError::because("the routes can't be set", error))?;
    let tasks = Tasks::new(&shutdown);
    let proxy_kubeconfig = config.proxy_kubeconfig.as_deref().unwrap_or(&first.kubeconfig);
    let ledger = Ledger::wished(config.ledger_file.as_deref(), "kubelet", &clock)?;
    let proxy_client = client(proxy_kubeconfig, first.address)?.recording(ledger.as_ref());
    let cluster = Arc::new(Cluster::watch(&proxy_client, &config, ledger.clone(), &shutdown));
    let client_ca = config.client_ca_file.as_deref().map(read).transpose()?;
    let starting = Starting { config: &config, client_ca, cluster: Arc::clone(&cluster), clock: &clock, tasks: &tasks };
    let mut addresses = BTreeMap::new();
    let mut engines = Vec::new();
    for node in &config.nodes {
        let ssh = starting.ssh(node)?;
        if let Some(at) = ssh {
            addresses.insert(format!("ssh/{}", node.name), at);
        }
        let (address, engine) = starting.node(node, ssh)?;
        addresses.insert(format!("kubelet/{}", node.name), address);
        engines.push(engine);
    }
    let nodes: Vec<IpAddr> = config.nodes.iter().map(|node| node.address).collect();
    let recorder = Recorder::start(proxy_client, &first.name, clock, &tasks);
    ServiceProxy::start(cluster, nodes, first.address, recorder, &tasks);
    let task = tokio::spawn(async move {
        shutdown.cancelled().await;
        let end = async {
            for engine in &engines {
                engine.end().await;
            }
            tasks.ended().await;
        };
        if tokio::time::timeout(Duration::from_secs(END_SECONDS_MAX), end).await.is_err() {
            tracing::warn!("some tasks did not end in time");
        }
        if let Some(ledger) = ledger {
            ledger.flush();
        }
        Ok(())
    });
    Ok(Running { addresses, task })
}

struct Starting<'a> {
    config: &'a Config,
    client_ca: Option<String>,
    cluster: Arc<Cluster>,
    clock: &'a Clock,
    tasks: &'a Tasks,
}

impl Starting<'_> {
    /// Binds and serves a node's SSH port, where it is to have one.
    fn ssh(&self, config: &NodeConfig) -> Result<Option<SocketAddr>, MemberError> {
        let (Some(host_key), Some(authorized)) = (&config.ssh_host_key_file, &self.config.ssh_authorized_keys_file)
        else {
            return Ok(None);
        };
        let server = SshServer::new(config.address, &self.cluster, host_key, authorized)
            .map_err(|e| MemberError::because(format!("node {} can't serve SSH", config.name), e))?;
        let at = SocketAddr::new(config.address, config.ssh_port);
        let bound = self
            .cluster
            .listen_for_ssh(at, Entry { path: Some(SSH_PATH), node: Some(config.name.clone()), ..Entry::default() });
        let bound = bound.map_err(|e| MemberError::because(format!("node {} can't listen on {at}", config.name), e))?;
        let address = bound.address;
        server.serve(bound, self.tasks);
        Ok(Some(address))
    }

    /// Binds and serves one node's port, and starts the node.
    fn node(&self, config: &NodeConfig, ssh: Option<SocketAddr>) -> Result<(SocketAddr, Arc<Engine>), MemberError> {
        let unserved = |e: Box<dyn std::error::Error + Send + Sync>| {
            MemberError::because(format!("node {} can't serve", config.name), e)
        };
        let files =
            ServingFiles::open(&config.tls_cert_file, &config.tls_private_key_file).map_err(|e| unserved(e.into()))?;
        let tls = tls::server_of(files, &ClientAuth::Offered, &tls::ALPN_HTTP).map_err(|e| unserved(e.into()))?;
        let at = SocketAddr::new(config.address, config.port);
        let bound = self
            .cluster
            .listen(at, Entry { path: Some(PATH), node: Some(config.name.clone()), ..Entry::default() })
            .map_err(|error| MemberError::because(format!("node {} can't listen on {at}", config.name), error))?;
        let address = bound.address;
        let client = client(&config.kubeconfig, config.address)?.recording(self.cluster.ledger.as_ref());
        let node = Arc::new(Node {
            config: config.clone(),
            kubelet_port: address.port(),
            ssh_port: ssh.map(|at| at.port()),
            recorder: Recorder::start(client.clone(), &config.name, self.clock.clone(), self.tasks),
            client: client.clone(),
            clock: self.clock.clone(),
            cluster: Arc::clone(&self.cluster),
            tasks: self.tasks.clone(),
        });
        let network = Arc::new(Network::new(Arc::clone(&node)));
        let runtime = Arc::new(ScriptedRuntime::new(network.clone(), self.clock.clone()));
        let engine = Engine::new(Arc::clone(&node), runtime.clone(), network);
        let server = ServerConfig { node: config.name.clone(), tls: Arc::new(tls), auth: self.auth() };
        let backing = Backing { pods: engine.clone(), runtime, client, clock: self.clock.clone() };
        server::start(server, bound, backing, self.tasks.shutdown().clone()).map_err(|e| unserved(e.into()))?;
        engine.start();
        node::keep(&node);
        Ok((address, engine))
    }

    fn auth(&self) -> AuthConfig {
        AuthConfig {
            client_ca: self.client_ca.clone(),
            token_webhook: self.config.token_webhook,
            authorization: if self.config.authorization_webhook {
                AuthorizationMode::Webhook
            } else {
                AuthorizationMode::AlwaysAllow
            },
        }
    }
}

fn client(kubeconfig: &Path, source: IpAddr) -> Result<Client, MemberError> {
    Client::from_kubeconfig(kubeconfig, Some(source), USER_AGENT)
        .map_err(|error| MemberError::because(format!("{} can't be used", kubeconfig.display()), error))
}

fn read(path: &Path) -> Result<String, MemberError> {
    std::fs::read_to_string(path)
        .map_err(|error| MemberError::because(format!("{} can't be read", path.display()), error))
}
