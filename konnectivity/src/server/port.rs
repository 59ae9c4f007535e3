//! A TLS port of the server: who connects proves itself, or is turned away.

use super::{PATH, State};
use crate::TlsFiles;
use crate::tls::Reloaded;
use bytes::Bytes;
use h2::server::Connection;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tinyplane_konnectivity_client::link;
use tinyplane_wire::identity::subject::Subject;
use tinyplane_wire::identity::tls::{self, ClientAuth, TlsLimits};
use tinyplane_wire::ledger::{Entry, Recorded};
use tinyplane_wire::net::{Sources, bind, keep_alive};
use tinyplane_wire::process::MemberError;
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

/// Connections at the same time. A frontend's carries one connection each, since tunnels are used once.
pub(super) const CONNECTIONS_MAX: usize = 16_384;

/// How long a peer may take to prove who it is.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Silence after which a peer's kernel is asked whether it is there, as Go's listeners do it.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Where a port is, and for whom.
#[derive(Clone, Copy)]
pub(super) struct Port<'a> {
    /// What its peers are called: `agent`.
    pub(super) peers: &'static str,
    pub(super) at: SocketAddr,
    pub(super) files: &'a TlsFiles,
    pub(super) alpn: &'static [&'static [u8]],
    /// Bytes that are read ahead of TLS, which asks for 4 KiB at a time.
    pub(super) read_ahead: usize,
}

/// What a peer's TLS runs on.
pub(super) type Carrier = BufReader<Recorded<TcpStream>>;

/// Binds the port and takes connections in, each served by `serve`. Gives the address.
pub(super) fn listen<F>(
    state: &Arc<State>,
    port: Port<'_>,
    serve: impl Fn(Arc<State>, TlsStream<Carrier>, SocketAddr) -> F + Copy + Send + 'static,
) -> Result<SocketAddr, MemberError>
where
    F: Future<Output = ()> + Send + 'static,
{
    let Port { peers, at, files, alpn, read_ahead } = port;
    let limits = state.config.tls_limits.clone();
    let tls = Reloaded::open(files.clone(), move |files| server_tls(files, alpn, &limits))?;
    let bound = bind(at, Sources::any())
        .map_err(|source| MemberError::because(format!("the {peers} address {at} can't be bound"), source))?;
    let known = Entry { path: Some(PATH), tunnel: Some(state.config.server_id.clone()), ..Entry::default() };
    let listener = bound.listener.recording(state.ledger.as_ref(), known);
    let verifies = files.authority.is_some();
    let (shared, room) = (Arc::clone(state), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    state.tasks.spawn_acceptor(async move {
        while let Ok(place) = Arc::clone(&room).acquire_owned().await {
            let accepted = listener.accept().await;
            let peer = accepted.peer;
            if let Err(error) = keep_alive(&accepted.stream, KEEPALIVE) {
                tracing::debug!(%peer, %error, "one of the {peers}s was gone before it was served");
                continue;
            }
            let (state, tls) = (Arc::clone(&shared), TlsAcceptor::from(tls.now()));
            shared.tasks.spawn(async move {
                // Room for one byte is none: every read goes past it.
                let stream = BufReader::with_capacity(read_ahead.max(1), accepted.recorded());
                match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
                    Ok(Ok(mut stream)) => {
                        note(&mut stream, verifies);
                        serve(state, stream, peer).await;
                    }
                    Ok(Err(error)) => tracing::info!(%peer, %error, "refused one of the {peers}s"),
                    Err(_) => tracing::info!(%peer, "one of the {peers}s did not finish its TLS handshake in time"),
                }
                drop(place);
            });
        }
    });
    Ok(bound.address)
}

/// Tells the ledger what the handshake told.
fn note(stream: &mut TlsStream<Carrier>, verifies: bool) {
    let (carrier, connection) = stream.get_mut();
    if let Some(hop) = carrier.get_mut().hop() {
        let leaf = connection.peer_certificates().and_then(|chain| chain.first());
        let name = leaf.and_then(Subject::of).map(|subject| subject.common_name);
        hop.speaks(tls::told(connection, verifies), name);
    }
}

/// Begins HTTP/2 with a peer, beside so many streams that have connections of their own; nothing with one that sends no preface in
/// time.
pub(super) async fn http2<S>(stream: S, peers: &str, beside: usize) -> Option<Connection<S, Bytes>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, link::server(beside).handshake(stream)).await {
        Ok(Ok(connection)) => return Some(connection),
        Ok(Err(error)) => tracing::info!(%error, "one of the {peers}s speaks no HTTP/2"),
        Err(_) => tracing::info!("one of the {peers}s does not begin to speak"),
    }
    None
}

/// Settings of a listener: clients show a certificate where there is an authority for them.
fn server_tls(files: &TlsFiles, alpn: &[&[u8]], limits: &TlsLimits) -> Result<ServerConfig, MemberError> {
    let pair = files.read_pair()?.ok_or_else(|| MemberError::new("a listener needs a certificate and its key"))?;
    let clients = files.read_authority()?.map_or(ClientAuth::None, ClientAuth::Required);
    tls::server_within(&pair, &clients, alpn, limits).map_err(|source| files.unusable(source))
}
