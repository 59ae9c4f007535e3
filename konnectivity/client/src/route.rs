//! How a client reaches a Konnectivity server: its Unix socket, or TCP with or without TLS.

use crate::failure::unreachable;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tinyplane_wire::net::{Dial, Stream, TcpDial, UnixDial};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

/// The way to a server. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Route {
    /// Its Unix socket.
    Unix(UnixDial),
    /// TCP.
    Tcp {
        /// Dials from the member's own address.
        dial: TcpDial,
        /// Where the server is.
        host: String,
        /// Its frontend's port.
        port: u16,
        /// TLS, and the name that the server's certificate is to have, unless it is `host`.
        tls: Option<(Arc<ClientConfig>, Option<String>)>,
    },
}

impl Route {
    /// Connects to the server itself.
    pub(crate) async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        self.reach().await.map_err(unreachable)
    }

    async fn reach(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Unix(dial) => Ok(Box::new(dial.connect()?)),
            Self::Tcp { dial, host, port, tls } => {
                let stream = dial.dial(host, *port).await?;
                let Some((config, name)) = tls else { return Ok(stream) };
                let name = name.as_ref().unwrap_or(host).clone();
                let name = ServerName::try_from(name).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
                Ok(Box::new(TlsConnector::from(Arc::clone(config)).connect(name, Beneath(stream)).await?))
            }
        }
    }

    /// Where the server is: what ledgers call it.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Unix(dial) => dial.path().display().to_string(),
            Self::Tcp { host, port, .. } => join_host_port(host, *port),
        }
    }

    /// What errors call it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Unix(_) => "the Unix socket".into(),
            Self::Tcp { host, port, .. } => join_host_port(host, *port),
        }
    }
}

/// What TLS is spoken over. Its own word ends what is said; the end of TCP is left to mean that whoever spoke has left, as
/// Go's clients have it: a server can't see otherwise that nobody listens any more.
struct Beneath(Box<dyn Stream>);

impl AsyncRead for Beneath {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Beneath {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

/// `host:port`, with brackets where they are needed.
#[must_use]
pub fn join_host_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
