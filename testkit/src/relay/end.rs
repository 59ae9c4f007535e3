//! One end of a relayed connection, whatever carries it.

use std::time::Duration;
use tinyplane_wire::net::UnixStream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::{client, server};

/// A stream that can be cut off.
pub(crate) trait End: AsyncRead + AsyncWrite + Send + Unpin {
    /// From here on, closing it is a TCP reset.
    fn will_reset(&self);
}

impl End for TcpStream {
    fn will_reset(&self) {
        if let Err(error) = socket2::SockRef::from(self).set_linger(Some(Duration::ZERO)) {
            tracing::debug!(%error, "a connection that should be reset ends with a plain close");
        }
    }
}

impl End for UnixStream {
    /// A Unix socket knows no reset: its end is all that can be seen.
    fn will_reset(&self) {}
}

impl End for client::TlsStream<Box<dyn End>> {
    fn will_reset(&self) {
        self.get_ref().0.will_reset();
    }
}

impl End for server::TlsStream<Box<dyn End>> {
    fn will_reset(&self) {
        self.get_ref().0.will_reset();
    }
}

/// Ends a connection with a reset.
pub(crate) fn cut(end: Box<dyn End>) {
    end.will_reset();
    drop(end);
}
