//! The agent: dials out to the servers, and from there on their behalf to what is near it.

mod backoff;
mod dial;
#[cfg(feature = "cli")]
pub mod flags;
mod hops;
mod leases;
mod numbers;
mod session;
mod supervise;

use crate::carry::Buffers;
use crate::endpoints::{self, Answer, Asked};
use crate::tasks::Tasks;
use crate::tls::Reloaded;
use crate::{Overflow, TlsFiles};
use http::StatusCode;
use leases::LeaseCount;
use numbers::Numbers;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tinyplane_konnectivity_client::join_host_port;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::identity::tls::{self, Trust};
use tinyplane_wire::ledger::Ledger;
use tinyplane_wire::net::{ClusterNet, TcpDial};
use tinyplane_wire::process::{MemberError, Running, Shutdown};
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

/// How long a dial to an endpoint may take, as upstream's.
const ENDPOINT_DIAL_TIMEOUT: Duration = Duration::from_secs(5);

/// The number of the path that everything through the tunnel goes by.
const PATH: u8 = 5;

/// What the agent is to do.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the servers are: one address for all of them.
    pub server_host: String,
    /// The port of it.
    pub server_port: u16,
    /// The agent's certificate, if it shows one, and the authority of the servers'.
    pub tls: TlsFiles,
    /// The token that it shows, read again at each connect.
    pub token_file: Option<PathBuf>,
    /// Protocols that are offered in TLS before `h2`.
    pub alpn: Vec<String>,
    /// The agent's name.
    pub agent_id: String,
    /// What it can reach, as `key=value&key=value`.
    pub agent_identifiers: String,
    /// The longest first wait before it tries to connect again.
    pub sync_interval: Duration,
    /// The longest wait of all.
    pub sync_interval_cap: Duration,
    /// Looks for further servers although it has found as many as there are.
    pub sync_forever: bool,
    /// Counts servers by their leases.
    pub leases: Option<Leases>,
    /// How counts are combined, where there are two.
    pub count_source: CountSource,
    /// How often a silent server is asked whether it is there.
    pub keepalive: Duration,
    /// Where `/healthz`, `/readyz` and `/metrics` are.
    pub health: SocketAddr,
    /// Where the operator's `/metrics` is.
    pub admin: SocketAddr,
    /// What it dials from.
    pub source: Option<IpAddr>,
    /// The cluster's addresses.
    pub cluster_net: ClusterNet,
    /// What happens to a slow endpoint when the server knows no flow control.
    pub overflow: Overflow,
    /// Speak upstream's protocol and nothing more.
    pub plain: bool,
    /// Where the hops are written down that begin or end here. `None`: nowhere.
    pub ledger_file: Option<PathBuf>,
}

/// Where servers' leases are, which an agent may count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leases {
    /// How the API server is reached.
    pub kubeconfig: PathBuf,
    /// The leases' namespace.
    pub namespace: String,
    /// By which labels they are found.
    pub selector: String,
}

/// By what an agent knows how many servers there are (`--server-count-source`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CountSource {
    /// Leases, where they are counted; else what servers say.
    #[default]
    Single,
    /// The larger number of both.
    Largest,
}

/// What the agent's tasks share.
struct State {
    config: Config,
    clock: Clock,
    tasks: Tasks,
    numbers: Numbers,
    buffers: Buffers,
    /// Dials endpoints.
    endpoints: TcpDial,
    /// Dials servers.
    servers: TcpDial,
    tls: Reloaded<ClientConfig>,
    /// Servers by their leases, where they are counted.
    leases: Option<Arc<LeaseCount>>,
    server_name: ServerName<'static>,
    /// Told when no further dials are wanted.
    drain: Shutdown,
    ledger: Option<Ledger>,
}

/// Serves until `shutdown`, and takes dials until `drain`: existing connections go on then, and so do new ones while
/// there is no other agent.
///
/// # Errors
/// When an address can't be bound or a certificate can't be used. A server that can't be reached is no error.
#[expect(clippy::unused_async, reason = "every member starts alike")]
pub async fn start_with_drain(
    config: Config,
    clock: Clock,
    drain: Shutdown,
    shutdown: Shutdown,
) -> Result<Running, MemberError> {
    let tasks = Tasks::new(shutdown.clone());
    let state = Arc::new(state(config, clock, tasks.clone(), drain)?);
    let served = serve(&state);
    if served.is_err() {
        // What was begun before the failure ends with it.
        shutdown.cancel();
    }
    let addresses = served?;
    if let Some(leases) = state.leases.clone() {
        let counted = Arc::clone(&state);
        tasks.spawn_acceptor(async move { leases.follow(&counted).await });
    }
    let supervised = Arc::clone(&state);
    tasks.spawn_acceptor(async move { supervise::run(&supervised).await });
    let task = tokio::spawn(async move {
        tasks.run(Duration::ZERO).await;
        if let Some(ledger) = &state.ledger {
            ledger.flush();
        }
        Ok(())
    });
    Ok(Running { addresses, task })
}

/// Serves until `shutdown`.
///
/// # Errors
/// As [`start_with_drain`].
pub async fn start(config: Config, clock: Clock, shutdown: Shutdown) -> Result<Running, MemberError> {
    start_with_drain(config, clock, Shutdown::new(), shutdown).await
}

fn state(config: Config, clock: Clock, tasks: Tasks, drain: Shutdown) -> Result<State, MemberError> {
    let alpn = config.alpn.clone();
    let tls = Reloaded::open(config.tls.clone(), move |files| client_tls(files, &alpn))?;
    if let Some(file) = &config.token_file {
        // Read again at each connect; what is missing from the beginning is a mistake.
        std::fs::metadata(file)
            .map_err(|source| MemberError::because(format!("the token {} can't be read", file.display()), source))?;
    }
    let ledger = Ledger::wished(config.ledger_file.as_deref(), &config.agent_id, &clock)?;
    let leases = match &config.leases {
        Some(wanted) => Some(Arc::new(LeaseCount::open(wanted, config.source, ledger.as_ref())?)),
        None => None,
    };
    let server_name = ServerName::try_from(config.server_host.clone()).map_err(|source| {
        MemberError::because(format!("{:?} is neither an address nor a name of a server", config.server_host), source)
    })?;
    let dial = TcpDial::from(config.source).in_cluster(config.cluster_net.clone());
    Ok(State {
        clock,
        tasks,
        numbers: Numbers::default(),
        buffers: Buffers::default(),
        endpoints: dial.clone().with_timeout(ENDPOINT_DIAL_TIMEOUT),
        servers: dial,
        tls,
        leases,
        server_name,
        drain,
        ledger,
        config,
    })
}

fn client_tls(files: &TlsFiles, alpn: &[String]) -> Result<ClientConfig, MemberError> {
    let alpn: Vec<&[u8]> = alpn.iter().map(String::as_bytes).chain([&b"h2"[..]]).collect();
    let authority =
        files.read_authority()?.ok_or_else(|| MemberError::new("the authority of the servers is needed"))?;
    let pair = files.read_pair()?;
    tls::client(&Trust::Roots(authority), pair.as_ref(), &alpn).map_err(|source| files.unusable(source))
}

fn serve(state: &Arc<State>) -> Result<BTreeMap<String, SocketAddr>, MemberError> {
    let mut addresses = BTreeMap::new();
    let shared = Arc::clone(state);
    let health = move |asked: Asked<'_>| health(&shared, asked);
    let at = endpoints::serve(state.config.health, "health", &state.tasks, health)?;
    addresses.insert("health".into(), at);
    // Upstream's admin port has no metrics of its own.
    let admin = move |asked: Asked<'_>| {
        let host = asked.host.trim_start_matches('[').trim_end_matches(']');
        (asked.path == "/metrics").then(|| Answer::moved_to(&format!("//{}/metrics", join_host_port(host, at.port()))))
    };
    addresses.insert("admin".into(), endpoints::serve(state.config.admin, "admin", &state.tasks, admin)?);
    Ok(addresses)
}

fn health(state: &State, asked: Asked<'_>) -> Option<Answer> {
    match asked.path {
        "/healthz" => Some(Answer::ok("ok")),
        "/readyz" | "/ready" => {
            let verbose = asked.values("verbose").next().is_some();
            Some(match (state.numbers.servers.get() > 0, verbose) {
                (true, false) => Answer::ok("ok"),
                (true, true) => Answer::ok("[+]ping ok\n[+]server-connected ok\ncheck passed\n"),
                (false, _) => {
                    let told = "[+]ping ok\n[-]server-connected failed: no servers connected\n";
                    Answer::of(StatusCode::SERVICE_UNAVAILABLE, told)
                }
            })
        }
        "/metrics" => Some(Answer::ok(state.numbers.page())),
        _ => None,
    }
}
