//! Accepts connections on the one TLS port, and drains them when the member ends.

mod connection;
mod cork;
mod lent;
mod refusal;

use crate::authn::Peer;
use crate::chain::Chain;
use connection::Protocol;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tinyplane_wire::identity::tls;
use tinyplane_wire::ledger::{Entry, Ledger, Origin, Recorded};
use tinyplane_wire::net::{Accepted, Listener, Sources, bind};
use tinyplane_wire::process::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

/// How long calls that are under way may take after the member was told to end.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(600);
/// Connections at the same time. Who comes later waits in the kernel's queue.
const CONNECTIONS_MAX: usize = 65_536;
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The path that ends at this port, whoever comes.
const PATH: u8 = 1;

/// How plain HTTP begins, where TLS has its first record.
const PLAIN_BEGINNINGS: [&[u8]; 5] = [b"GET /", b"HEAD ", b"POST ", b"PUT /", b"OPTIO"];
const PLAIN_ANSWER: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// The server: bound, not yet accepting.
pub struct Server {
    listener: Listener,
    address: SocketAddr,
}

impl Server {
    /// Binds the port. Who comes is written down, where a ledger is kept.
    ///
    /// # Errors
    /// When the address can't be bound.
    pub fn bind(at: SocketAddr, ledger: Option<&Ledger>) -> io::Result<Self> {
        let bound = bind(at, Sources::any())?;
        let known = Entry { path: Some(PATH), ..Entry::default() };
        Ok(Self { listener: bound.listener.recording(ledger, known), address: bound.address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the member is told to end, and then until the calls under way are answered, or 600 ms have passed.
    pub async fn serve(self, tls: Arc<ServerConfig>, chain: Arc<Chain>, shutdown: Shutdown) {
        let tls = TlsAcceptor::from(tls);
        let protocol = Protocol::new();
        let mut connections = JoinSet::new();
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let accept = async || {
            let place = Arc::clone(&room).acquire_owned().await;
            (place, self.listener.accept().await)
        };
        loop {
            tokio::select! {
                (place, accepted) = accept() => {
                    let (tls, chain) = (tls.clone(), Arc::clone(&chain));
                    let (protocol, shutdown) = (protocol.clone(), shutdown.clone());
                    connections.spawn(async move {
                        let _place = place;
                        let peer = accepted.peer;
                        let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, shake_hands(&tls, accepted));
                        match handshake.await {
                            Ok(Ok(mut stream)) => {
                                let peer = known(&mut stream, peer, &chain);
                                return protocol.serve(stream, peer, chain, shutdown).await;
                            }
                            Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
                            Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
                        }
                        chain.metrics.handshake_failures.fetch_add(1, Ordering::Relaxed);
                    });
                }
                Some(_) = connections.join_next() => {}
                () = shutdown.cancelled() => break,
            }
        }
        drop(self.listener);
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
            tracing::debug!(open = connections.len(), "connections are cut that were still busy");
        }
        connections.shutdown().await;
    }
}

/// Serves one connection that somebody else has made, to its end: without TLS, and without its handshake's limits.
pub async fn serve_connection<S>(stream: S, peer: Peer, chain: Arc<Chain>, shutdown: Shutdown)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    Protocol::new().serve(stream, peer, chain, shutdown).await;
}

/// Begins TLS. Who speaks plain HTTP is told so, in the words of Go's servers.
async fn shake_hands(tls: &TlsAcceptor, mut accepted: Accepted) -> io::Result<TlsStream<Recorded<TcpStream>>> {
    let mut first = [0; 5];
    let seen = accepted.stream.peek(&mut first).await?;
    if PLAIN_BEGINNINGS.contains(&&first[..seen]) {
        accepted.stream.write_all(PLAIN_ANSWER).await?;
        accepted.stream.shutdown().await?;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is plain HTTP"));
    }
    tls.accept(accepted.recorded()).await
}

/// Who is at the other end, as TLS has it, which the ledger is told as well.
fn known(stream: &mut TlsStream<Recorded<TcpStream>>, address: SocketAddr, chain: &Chain) -> Peer {
    let (carrier, connection) = stream.get_mut();
    let mut peer = Peer::new(address, connection.peer_certificates());
    peer.tls_version = tls::version_word(connection.protocol_version());
    if let Some(hop) = carrier.hop() {
        hop.speaks(tls::told(connection, chain.authenticator.believes(&peer)), peer.certificate_name());
        peer.origin = Some(Arc::new(Origin::new(hop.ledger(), &hop.entry)));
    }
    peer
}

#[cfg(test)]
mod tests;
