//! The server: frontends on one side, agents on the other.

mod agents;
mod backends;
#[cfg(feature = "cli")]
pub mod flags;
mod frontend;
mod numbers;
mod pending;

use crate::carry::Buffers;
use crate::endpoints::{self, Answer};
use crate::tasks::Tasks;
use crate::{Overflow, TlsFiles};
use backends::Backends;
use http::StatusCode;
use numbers::Numbers;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::process::{MemberError, Running, Shutdown};

/// What the server is to do.
#[derive(Clone, Debug)]
pub struct Config {
    /// What frontends speak.
    pub mode: Mode,
    /// Where they connect.
    pub frontend: Frontend,
    /// Where agents connect.
    pub agents: SocketAddr,
    /// The certificate that agents see, and the authority of theirs.
    pub agent_tls: TlsFiles,
    /// Where `/healthz`, `/readyz` and `/metrics` are.
    pub health: SocketAddr,
    /// Where `/metrics` is for the operator.
    pub admin: SocketAddr,
    /// The server's name, which agents tell servers apart by.
    pub server_id: String,
    /// How many servers there are, which agents are told.
    pub server_count: u32,
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

/// What the server's tasks share.
#[derive(Debug)]
struct State {
    config: Config,
    clock: Clock,
    tasks: Tasks,
    backends: Backends,
    numbers: Numbers,
    buffers: Buffers,
    connect_ids: AtomicI64,
}

impl State {
    /// A number for a connection that is new to its frontend.
    fn next_connect_id(&self) -> i64 {
        self.connect_ids.fetch_add(1, Ordering::Relaxed)
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
    let state = Arc::new(State {
        backends: Backends::new(numbers.ready_backends.clone()),
        config,
        clock,
        tasks: tasks.clone(),
        numbers,
        buffers: Buffers::default(),
        connect_ids: AtomicI64::new(1),
    });
    let served = serve(&state);
    if served.is_err() {
        // What was begun before the failure ends with it.
        shutdown.cancel();
    }
    let addresses = served?;
    let task = tokio::spawn(async move {
        let grace = state.config.graceful_shutdown;
        tasks.run(grace).await;
        Ok(())
    });
    Ok(Running { addresses, task })
}

fn serve(state: &Arc<State>) -> Result<BTreeMap<String, SocketAddr>, MemberError> {
    let mut addresses = BTreeMap::new();
    addresses.insert("agent".into(), agents::listen(state)?);
    if let Some(at) = frontend::listen(state)? {
        addresses.insert("frontend".into(), at);
    }
    let shared = Arc::clone(state);
    let health = move |path: &str, _: &str| health(&shared, path);
    addresses.insert("health".into(), endpoints::serve(state.config.health, "health", &state.tasks, health)?);
    let shared = Arc::clone(state);
    let admin = move |path: &str, _: &str| (path == "/metrics").then(|| (StatusCode::OK, shared.numbers.page()));
    addresses.insert("admin".into(), endpoints::serve(state.config.admin, "admin", &state.tasks, admin)?);
    Ok(addresses)
}

fn health(state: &State, path: &str) -> Option<Answer> {
    match path {
        "/healthz" => Some((StatusCode::OK, "ok".into())),
        "/readyz" | "/ready" if state.backends.any() => Some((StatusCode::OK, "ok".into())),
        "/readyz" | "/ready" => Some((StatusCode::INTERNAL_SERVER_ERROR, "no connection to any proxy agent".into())),
        "/metrics" => Some((StatusCode::OK, state.numbers.page())),
        _ => None,
    }
}
