//! The kubelet's own server, one a node: health, pods, logs, exec, attach and port-forward at port 10250.
//!
//! A client certificate is offered, not demanded: it is judged per request, so that a wrong one gets a 401.

mod access;
mod attributes;
mod auth;
mod endpoints;
mod exec;
mod expiring;
mod logs;
mod port_forward;
mod query;
mod reply;
pub(crate) mod ssh;
mod status;
#[cfg(test)]
mod tests;

pub use access::PodAccess;
pub use auth::{AuthConfig, AuthorizationMode};

use crate::runtime::Runtime;
use auth::Auth;
use axum::body::Body;
use endpoints::Endpoints;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::client::Client;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::head;
use tinyplane_wire::identity::subject::Subject;
use tinyplane_wire::identity::tls::{self, TlsError};
use tinyplane_wire::ledger::Recorded;
use tinyplane_wire::net::{Bound, FirstCall, Listener};
use tinyplane_wire::process::Shutdown;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, pki_types::CertificateDer};

/// How long a client may take for the TLS handshake.
const HANDSHAKE_SECONDS_MAX: u64 = 10;
/// How long a client may take to send the head of a request.
const HEAD_SECONDS_MAX: u64 = 30;
/// Requests of one HTTP/2 connection at a time.
const CONCURRENT_STREAMS_MAX: u32 = 250;

/// Who serves, and whom.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The node's name.
    pub node: String,
    /// How TLS is spoken. Client certificates have to be offered, not demanded.
    pub tls: Arc<rustls::ServerConfig>,
    /// How callers are known and what they may.
    pub auth: AuthConfig,
}

/// What a server serves from.
pub struct Backing {
    /// The node's pods.
    pub pods: Arc<dyn PodAccess>,
    /// What runs them.
    pub runtime: Arc<dyn Runtime>,
    /// The node's own API client, which reviews tokens and accesses.
    pub client: Client,
    /// The time.
    pub clock: Clock,
}

/// Serves a node's endpoints on a listener that is bound already (its port may differ from 10250, and the node tells
/// it in `daemonEndpoints`), until the shutdown: then all streams end at once.
///
/// # Errors
/// When the authority can't be used.
pub fn start(
    config: ServerConfig,
    bound: Bound,
    backing: Backing,
    shutdown: Shutdown,
) -> Result<JoinHandle<()>, TlsError> {
    let auth = Auth::new(&config.node, &config.auth, backing.client, backing.clock.clone())?;
    let acceptor = TlsAcceptor::from(Arc::clone(&config.tls));
    let endpoints = Endpoints {
        node: config.node.as_str().into(),
        address: bound.address,
        config: Arc::new(config),
        pods: backing.pods,
        runtime: backing.runtime,
        started: backing.clock.now(),
        clock: backing.clock,
        shutdown: shutdown.clone(),
    };
    let server = Arc::new(Server { acceptor, auth, endpoints });
    Ok(tokio::spawn(async move {
        tokio::select! {
            () = accept(&server, &bound.listener) => {}
            () = shutdown.cancelled() => {}
        }
    }))
}

struct Server {
    acceptor: TlsAcceptor,
    auth: Auth,
    endpoints: Endpoints,
}

async fn accept(server: &Arc<Server>, listener: &Listener) {
    loop {
        let accepted = listener.accept().await;
        let server = Arc::clone(server);
        tokio::spawn(async move {
            let shutdown = server.endpoints.shutdown.clone();
            tokio::select! {
                () = server.serve_connection(accepted.recorded()) => {}
                () = shutdown.cancelled() => {}
            }
        });
    }
}

impl Server {
    async fn serve_connection(self: Arc<Self>, stream: Recorded<TcpStream>) {
        let handshake = tokio::time::timeout(Duration::from_secs(HANDSHAKE_SECONDS_MAX), self.acceptor.accept(stream));
        let mut stream = match handshake.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => return tracing::debug!("a TLS handshake took too long"),
        };
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default().to_vec();
        let chain: Arc<[CertificateDer<'static>]> = chain.into();
        let (carrier, connection) = stream.get_mut();
        if let Some(hop) = carrier.hop() {
            let told = tls::told(connection, self.auth.believes(&chain));
            hop.speaks(told, chain.first().and_then(Subject::of).map(|subject| subject.common_name));
        }
        let first_call = FirstCall::default();
        let calls = first_call.clone();
        let service = service_fn(move |request| {
            calls.came();
            let (server, chain) = (Arc::clone(&self), Arc::clone(&chain));
            async move { Ok::<_, Infallible>(server.respond(request, &chain).await) }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(HEAD_SECONDS_MAX));
        builder.http2().timer(TokioTimer::new()).max_concurrent_streams(CONCURRENT_STREAMS_MAX);
        tokio::select! {
            served = builder.serve_connection_with_upgrades(TokioIo::new(stream), service) => {
                if let Err(error) = served {
                    tracing::debug!(%error, "a connection broke");
                }
            }
            () = first_call.is_late(Duration::from_secs(HEAD_SECONDS_MAX)) => {
                tracing::debug!("a connection was never used");
            }
        }
    }

    async fn respond(&self, request: Request<Incoming>, chain: &[CertificateDer<'_>]) -> Response<Body> {
        let is_head = request.method() == Method::HEAD;
        let permit = self.auth.permit(request.method(), request.uri().path(), request.headers(), chain).await;
        let answer = match permit {
            Ok(()) => self.endpoints.serve(request).await,
            Err(denied) => Err(denied),
        };
        let answer = answer.unwrap_or_else(|denied| reply::text(denied.code, denied.text));
        if is_head { head::without_body(answer) } else { answer }
    }
}
