//! The leg that is a socket: a frontend's CONNECT, or an agent's endpoint.

use super::buffers::Buffers;
use super::leg::{Leg, Reader, Writer};
use super::{Carried, End, Refused};
use bytes::Bytes;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::Duration;
use tinyplane_konnectivity_client::words;
use tinyplane_wire::net::{UnixReadHalf, UnixStream, UnixWriteHalf};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, tcp};

/// How often a socket that has ended its direction is asked whether it is still there.
const HALF_OPEN_PROBE: Duration = Duration::from_secs(5);

/// A stream that can be read and written at the same time.
pub(crate) trait Split: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// Both sides of it.
    fn sides(self) -> (ReadSide, WriteSide);
}

/// What is read from.
pub(crate) enum ReadSide {
    Tcp(tcp::OwnedReadHalf),
    Unix(UnixReadHalf),
    /// Ends once when the peer has said its last, and once more when it has left.
    Twice(Box<dyn AsyncRead + Send + Unpin>),
}

/// What is written to.
pub(crate) enum WriteSide {
    Tcp(tcp::OwnedWriteHalf),
    Unix(UnixWriteHalf),
    Any(Box<dyn AsyncWrite + Send + Unpin>),
}

impl std::fmt::Debug for ReadSide {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReadSide")
    }
}

impl std::fmt::Debug for WriteSide {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WriteSide")
    }
}

impl Split for TcpStream {
    fn sides(self) -> (ReadSide, WriteSide) {
        let (read, write) = self.into_split();
        (ReadSide::Tcp(read), WriteSide::Tcp(write))
    }
}

impl Split for UnixStream {
    fn sides(self) -> (ReadSide, WriteSide) {
        let (read, write) = self.into_split();
        (ReadSide::Unix(read), WriteSide::Unix(write))
    }
}

/// The leg of a socket, of which `unread` came in already.
pub(crate) fn socket(stream: impl Split, unread: Bytes, buffers: Buffers) -> Leg {
    let (read, write) = stream.sides();
    Leg { reader: Reader::Socket(SocketReader { side: read, unread, buffers }), writer: Writer::Socket(write) }
}

/// Reads a socket.
#[derive(Debug)]
pub(crate) struct SocketReader {
    side: ReadSide,
    unread: Bytes,
    buffers: Buffers,
}

impl SocketReader {
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, End> {
        if !self.unread.is_empty() {
            return Ok(Some(std::mem::take(&mut self.unread)));
        }
        let read = poll_fn(|cx| match &mut self.side {
            ReadSide::Tcp(side) => self.buffers.poll_read(Pin::new(side), cx),
            ReadSide::Unix(side) => self.buffers.poll_read(Pin::new(side), cx),
            ReadSide::Twice(side) => self.buffers.poll_read(Pin::new(side), cx),
        });
        read.await.map_err(|error| End::Reset(format!("read: {}", words(&error))))
    }

    /// After the end of this direction: waits until the peer has closed the other one as well. Reading a plain socket does
    /// not tell; writing nothing does.
    pub(crate) async fn gone(&mut self) -> End {
        loop {
            let probed = match &self.side {
                ReadSide::Tcp(side) => side.as_ref().try_write(&[]).map(drop),
                ReadSide::Unix(side) => side.probe(),
                ReadSide::Twice(_) => {
                    // However it leaves.
                    drop(self.next().await);
                    return End::Closed;
                }
            };
            match probed {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return End::Closed,
                _ => tokio::time::sleep(HALF_OPEN_PROBE).await,
            }
        }
    }
}

impl WriteSide {
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let sent = match self {
            Self::Tcp(side) => side.write_all(bytes).await,
            Self::Unix(side) => side.write_all(bytes).await,
            Self::Any(side) => {
                async {
                    side.write_all(bytes).await?;
                    side.flush().await
                }
                .await
            }
        };
        sent.map_err(|_| Refused)
    }

    pub(crate) async fn finish(&mut self) -> Result<Carried, Refused> {
        let ended = match self {
            Self::Tcp(side) => side.shutdown().await,
            Self::Unix(side) => side.shutdown().await,
            Self::Any(side) => side.shutdown().await,
        };
        ended.map(|()| Carried::Half).map_err(|_| Refused)
    }

    pub(crate) async fn close(&mut self, end: &End) {
        match (self, end) {
            // Dropping it now resets it, so that the peer does not take a break for an end.
            (Self::Tcp(side), End::Reset(_)) => {
                if let Err(error) = side.as_ref().set_zero_linger() {
                    tracing::debug!(%error, "a broken connection ends with a plain close");
                }
            }
            // Without a close_notify the peer knows that it broke.
            (Self::Any(_) | Self::Unix(_), End::Reset(_)) => {}
            (side, End::Closed) => drop(side.finish().await),
        }
    }
}
