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
use tinyplane_wire::net::{Listener, Sources, bind};
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

/// How plain HTTP begins, where TLS has its first record.
const PLAIN_BEGINNINGS: [&[u8]; 5] = [b"GET /", b"HEAD ", b"POST ", b"PUT /", b"OPTIO"];
const PLAIN_ANSWER: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// The server: bound, not yet accepting.
pub struct Server {
    listener: Listener,
    address: SocketAddr,
}

impl Server {
    /// Binds the port.
    ///
    /// # Errors
    /// When the address can't be bound.
    pub fn bind(at: SocketAddr) -> io::Result<Self> {
        let bound = bind(at, Sources::any())?;
        Ok(Self { listener: bound.listener, address: bound.address })
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
                        let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, shake_hands(&tls, accepted.stream));
                        match handshake.await {
                            Ok(Ok(stream)) => {
                                let peer = Peer::new(accepted.peer, stream.get_ref().1.peer_certificates());
                                return protocol.serve(stream, peer, chain, shutdown).await;
                            }
                            Ok(Err(error)) => tracing::debug!(peer = %accepted.peer, %error, "TLS handshake failed"),
                            Err(_) => tracing::debug!(peer = %accepted.peer, "TLS handshake took too long"),
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
async fn shake_hands(tls: &TlsAcceptor, mut stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0; 5];
    let seen = stream.peek(&mut first).await?;
    if PLAIN_BEGINNINGS.contains(&&first[..seen]) {
        stream.write_all(PLAIN_ANSWER).await?;
        stream.shutdown().await?;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is plain HTTP"));
    }
    tls.accept(stream).await
}

#[cfg(test)]
mod tests;
