//! The agent: dials out to the servers, and from there on their behalf to what is near it.

mod backoff;
mod dial;
#[cfg(feature = "cli")]
pub mod flags;
mod numbers;
mod session;
mod supervise;

use crate::carry::Buffers;
use crate::endpoints::{self, Answer};
use crate::tasks::Tasks;
use crate::{Overflow, TlsFiles};
use http::StatusCode;
use numbers::Numbers;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::identity::tls::{self, Trust};
use tinyplane_wire::net::{ClusterNet, TcpDial};
use tinyplane_wire::process::{MemberError, Running, Shutdown};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

/// How long a dial to an endpoint may take, as upstream's.
const ENDPOINT_DIAL_TIMEOUT: Duration = Duration::from_secs(5);

/// What the agent is to do.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the servers are: one address for all of them.
    pub server_host: String,
    /// The port of it.
    pub server_port: u16,
    /// The agent's certificate, and the authority of the servers'.
    pub tls: TlsFiles,
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
    tls: TlsConnector,
    server_name: ServerName<'static>,
    /// Told when no further dials are wanted.
    drain: Shutdown,
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
    let supervised = Arc::clone(&state);
    tasks.spawn_acceptor(async move { supervise::run(&supervised).await });
    let task = tokio::spawn(async move {
        tasks.run(Duration::ZERO).await;
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
    let files = &config.tls;
    let alpn: Vec<&[u8]> = config.alpn.iter().map(String::as_bytes).chain([&b"h2"[..]]).collect();
    let trust = Trust::Roots(files.authority()?);
    let tls = tls::client(&trust, Some(&files.pair()?), &alpn).map_err(|source| files.unusable(source))?;
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
        tls: TlsConnector::from(Arc::new(tls)),
        server_name,
        drain,
        config,
    })
}

fn serve(state: &Arc<State>) -> Result<BTreeMap<String, SocketAddr>, MemberError> {
    let mut addresses = BTreeMap::new();
    let shared = Arc::clone(state);
    let health = move |path: &str, query: &str| health(&shared, path, query);
    addresses.insert("health".into(), endpoints::serve(state.config.health, "health", &state.tasks, health)?);
    let shared = Arc::clone(state);
    let admin = move |path: &str, _: &str| (path == "/metrics").then(|| (StatusCode::OK, shared.numbers.page()));
    addresses.insert("admin".into(), endpoints::serve(state.config.admin, "admin", &state.tasks, admin)?);
    Ok(addresses)
}

fn health(state: &State, path: &str, query: &str) -> Option<Answer> {
    match path {
        "/healthz" => Some((StatusCode::OK, "ok".into())),
        "/readyz" | "/ready" => {
            let verbose = query.split('&').any(|pair| pair == "verbose" || pair.starts_with("verbose="));
            Some(match (state.numbers.servers.get() > 0, verbose) {
                (true, false) => (StatusCode::OK, "ok".into()),
                (true, true) => (StatusCode::OK, "[+]ping ok\n[+]server-connected ok\nreadyz check passed\n".into()),
                (false, _) => {
                    let told = "[+]ping ok\n[-]server-connected failed: no connection to a proxy server\nreadyz check failed\n";
                    (StatusCode::SERVICE_UNAVAILABLE, told.into())
                }
            })
        }
        "/metrics" => Some((StatusCode::OK, state.numbers.page())),
        _ => None,
    }
}
