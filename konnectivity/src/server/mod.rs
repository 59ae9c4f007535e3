//! The server: frontends on one side, agents on the other.

mod agents;
mod backends;
#[cfg(feature = "cli")]
pub mod flags;
mod frontend;
mod hops;
mod lease;
mod numbers;
mod pending;
mod port;
mod strategy;
mod tokens;

pub use strategy::Strategy;

use crate::carry::Buffers;
use crate::endpoints::{self, Answer, Asked};
use crate::tasks::Tasks;
use crate::{Overflow, TlsFiles};
use backends::{BackendCounts, Backends};
use http::StatusCode;
use numbers::Numbers;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tinyplane_wire::client::Client;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::identity::tls::TlsLimits;
use tinyplane_wire::ledger::Ledger;
use tinyplane_wire::process::{MemberError, Running, Shutdown};
use tokens::Tokens;

/// What the server is to do.
#[derive(Clone, Debug)]
pub struct Config {
    /// What frontends speak.
    pub mode: Mode,
    /// Where they connect.
    pub frontend: Frontend,
    /// Where agents connect.
    pub agents: SocketAddr,
    /// The certificate that agents see, and the authority of theirs, where they show one.
    pub agent_tls: TlsFiles,
    /// Which service account agents are to be, where they prove it by a token.
    pub agent_tokens: Option<AgentTokens>,
    /// What listeners take of TLS.
    pub tls_limits: TlsLimits,
    /// How an agent is chosen for a dial: the first that has one.
    pub strategies: Vec<Strategy>,
    /// Tells agents by a lease that this server is there.
    pub leases: Option<Leases>,
    /// How the API server is reached, for tokens and leases.
    pub kubeconfig: Option<PathBuf>,
    /// What it is dialled from.
    pub source: Option<IpAddr>,
    /// Where `/healthz`, `/readyz` and `/metrics` are.
    pub health: SocketAddr,
    /// Where `/metrics` is for the operator.
    pub admin: SocketAddr,
    /// The server's name, which agents tell servers apart by.
    pub server_id: String,
    /// How many servers there are, which agents are told.
    pub server_count: i32,
    /// How often a silent agent is asked whether it is there.
    pub keepalive: Duration,
    /// How often a silent frontend is.
    pub frontend_keepalive: Duration,
    /// How long a dial may take, unless as long as its frontend waits.
    pub backend_dial_timeout: Option<Duration>,
    /// How long connections may go on when the server is told to end.
    pub graceful_shutdown: Duration,
    /// What happens to a slow reader of an agent that knows no flow control.
    pub overflow: Overflow,
    /// Speak upstream's protocol and nothing more, to agents and frontends.
    pub plain: bool,
    /// Where the hops are written down that begin or end here. `None`: nowhere.
    pub ledger_file: Option<PathBuf>,
}

/// What frontends speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The gRPC call `ProxyService/Proxy`.
    Grpc,
    /// HTTP/1.1 CONNECT.
    HttpConnect,
}

/// Where frontends connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frontend {
    /// A Unix socket; who may open it is trusted.
    Unix {
        /// Its path.
        path: PathBuf,
        /// Whether a file in its place is removed.
        delete_existing: bool,
    },
    /// TCP with TLS both ways.
    Tcp {
        /// The address.
        at: SocketAddr,
        /// The certificate that frontends see, and the authority of theirs.
        tls: TlsFiles,
    },
}

/// Whom agents have to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentTokens {
    /// Namespace of the service account.
    pub namespace: String,
    /// Its name.
    pub service_account: String,
    /// For whom the token has to be meant.
    pub audience: String,
}

/// Where servers' leases are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leases {
    /// Their namespace.
    pub namespace: String,
    /// The labels that they are found by.
    pub labels: BTreeMap<String, String>,
}

/// The number of the path that everything through the tunnel goes by.
const PATH: u8 = 5;

/// What the server's tasks share.
#[derive(Debug)]
struct State {
    config: Config,
    clock: Clock,
    tasks: Tasks,
    backends: Backends,
    /// Judges agents, where they prove themselves by a token.
    tokens: Option<Tokens>,
    numbers: Numbers,
    buffers: Buffers,
    ledger: Option<Ledger>,
    connect_ids: AtomicI64,
}

impl State {
    /// A number for a connection that is new to its frontend.
    fn next_connect_id(&self) -> i64 {
        self.connect_ids.fetch_add(1, Ordering::Relaxed)
    }

    /// The metrics.
    fn page(&self) -> String {
        self.numbers.page(&self.config.strategies)
    }
}

/// Binds the listeners and serves until `shutdown`.
///
/// # Errors
/// When an address can't be bound or a certificate can't be used.
#[expect(clippy::unused_async, reason = "every member starts alike")]
pub async fn start(config: Config, clock: Clock, shutdown: Shutdown) -> Result<Running, MemberError> {
    let tasks = Tasks::new(shutdown.clone());
    let numbers = Numbers::default();
    let ledger = Ledger::wished(config.ledger_file.as_deref(), &config.server_id, &clock)?;
    let client = client(&config)?.map(|client| client.recording(ledger.as_ref()));
    let tokens = config.agent_tokens.as_ref().zip(client.clone()).map(|(wanted, client)| Tokens::new(client, wanted));
    let counts =
        BackendCounts { first: numbers.ready_backend_connections.clone(), each: numbers.ready_backends.clone() };
    let state = Arc::new(State {
        backends: Backends::new(config.strategies.clone(), counts),
        tokens,
        config,
        clock,
        tasks: tasks.clone(),
        numbers,
        buffers: Buffers::default(),
        ledger,
        connect_ids: AtomicI64::new(1),
    });
    let served = serve(&state);
    if served.is_err() {
        // What was begun before the failure ends with it.
        shutdown.cancel();
    }
    let addresses = served?;
    if let Some((wanted, client)) = state.config.leases.clone().zip(client) {
        tasks.spawn_closing(lease::keep(Arc::clone(&state), client, wanted, shutdown));
    }
    let task = tokio::spawn(async move {
        let grace = state.config.graceful_shutdown;
        tasks.run(grace).await;
        if let Some(ledger) = &state.ledger {
            ledger.flush();
        }
        Ok(())
    });
    Ok(Running { addresses, task })
}

/// A client of the API, where tokens or leases need one.
fn client(config: &Config) -> Result<Option<Client>, MemberError> {
    if config.agent_tokens.is_none() && config.leases.is_none() {
        return Ok(None);
    }
    let told = "tokens of agents, and leases, need the kubeconfig of an API server";
    let path = config.kubeconfig.as_deref().ok_or_else(|| MemberError::new(told))?;
    let client = Client::from_kubeconfig(path, config.source, "konnectivity-server");
    client.map(Some).map_err(|e| MemberError::because(format!("{} can't be used", path.display()), e))
}

fn serve(state: &Arc<State>) -> Result<BTreeMap<String, SocketAddr>, MemberError> {
    let mut addresses = BTreeMap::new();
    addresses.insert("agent".into(), agents::listen(state)?);
    if let Some(at) = frontend::listen(state)? {
        addresses.insert("frontend".into(), at);
    }
    let shared = Arc::clone(state);
    let health = move |asked: Asked<'_>| health(&shared, asked.path);
    addresses.insert("health".into(), endpoints::serve(state.config.health, "health", &state.tasks, health)?);
    let shared = Arc::clone(state);
    let admin = move |asked: Asked<'_>| (asked.path == "/metrics").then(|| Answer::ok(shared.page()));
    addresses.insert("admin".into(), endpoints::serve(state.config.admin, "admin", &state.tasks, admin)?);
    Ok(addresses)
}

fn health(state: &State, path: &str) -> Option<Answer> {
    match path {
        "/healthz" => Some(Answer::ok("ok")),
        "/readyz" | "/ready" if state.backends.any() => Some(Answer::ok("ok")),
        "/readyz" | "/ready" => Some(Answer::of(StatusCode::INTERNAL_SERVER_ERROR, "no connection to any proxy agent")),
        "/metrics" => Some(Answer::ok(state.page())),
        _ => None,
    }
}
