//! One connection through a gRPC tunnel, as a stream of bytes.

use crate::failure::words;
use crate::link::READ_BYTES;
use crate::numbers::{Counted, Status};
use crate::packet::{CloseRequest, Packet};
use crate::proxy::broken;
use crate::stream::{PacketReader, PacketWriter, StreamError};
use bytes::{Buf, Bytes};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc::UnboundedSender;

/// Both directions of a connection.
#[derive(Debug)]
pub(crate) struct Halves {
    pub(crate) reader: PacketReader,
    pub(crate) writer: PacketWriter,
    pub(crate) connect_id: i64,
    pub(crate) counted: Counted,
}

impl Halves {
    /// The next packet, or nothing at the stream's orderly end.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Packet>, StreamError>> {
        let read = ready!(self.reader.poll_next(cx));
        self.counted.heard(&read);
        Poll::Ready(read)
    }

    fn send(&mut self, packet: Packet) -> Result<(), h2::Error> {
        self.counted.sends(&packet);
        self.writer.send(packet)
    }

    fn copy_bytes(&mut self, bytes: &[u8]) -> Result<(), h2::Error> {
        self.counted.sends_data();
        self.writer.copy_bytes(self.connect_id, bytes)
    }
}

/// A connection. Dropping it closes it: what was written before still arrives.
#[derive(Debug)]
pub(crate) struct Tunnel {
    /// There until it is dropped.
    halves: Option<(Halves, UnboundedSender<Halves>)>,
    half_close: bool,
    unread: Bytes,
    read_ended: bool,
    write_ended: bool,
}

impl Tunnel {
    pub(crate) fn new(halves: Halves, half_close: bool, closing: UnboundedSender<Halves>) -> Self {
        Self {
            halves: Some((halves, closing)),
            half_close,
            unread: Bytes::new(),
            read_ended: false,
            write_ended: false,
        }
    }

    fn halves(&mut self) -> &mut Halves {
        &mut self.halves.as_mut().expect("only drop takes the halves").0
    }

    /// Bytes, or none at the end.
    fn poll_packet(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let half_close = self.half_close;
        let halves = self.halves();
        loop {
            match ready!(halves.poll_next(cx)).map_err(broken)? {
                Some(Packet::Data(data)) if data.connect_id == halves.connect_id => {
                    if !data.data.is_empty() {
                        return Poll::Ready(Ok(Some(data.data)));
                    }
                    if half_close {
                        return Poll::Ready(Ok(None));
                    }
                }
                Some(Packet::CloseResponse(closed)) if closed.error.is_empty() => return Poll::Ready(Ok(None)),
                Some(Packet::CloseResponse(closed)) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, closed.error)));
                }
                Some(other) => tracing::debug!(packet = other.name(), "a packet that is nobody's"),
                None => {
                    let told = "the tunnel ended without closing its connection";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, told)));
                }
            }
        }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.unread.is_empty() && !self.read_ended {
            match ready!(self.poll_packet(cx))? {
                Some(bytes) => self.unread = bytes,
                None => self.read_ended = true,
            }
        }
        let count = self.unread.len().min(into.remaining());
        into.put_slice(&self.unread[..count]);
        self.unread.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        if self.write_ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        // A message without bytes would be the end of this direction.
        if from.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let (count, is_ours) = (from.len().min(READ_BYTES), self.half_close);
        let halves = self.halves();
        let ready = if is_ours { halves.writer.poll_ready_for(count, cx) } else { halves.writer.poll_ready(cx) };
        ready!(ready).map_err(gone)?;
        halves.copy_bytes(&from[..count]).map_err(gone)?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends this direction, where the server can carry that. Upstream's protocol closes both directions or none: with
    /// an upstream server this does nothing, so that what the far end still says can be read.
    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.write_ended {
            self.write_ended = true;
            if self.half_close {
                self.halves().copy_bytes(&[]).map_err(gone)?;
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
fn gone(error: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, words(&error))
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let Some((mut halves, closing)) = self.halves.take() else { return };
        halves.counted.becomes(Status::Closing);
        let close = Packet::CloseRequest(CloseRequest { connect_id: halves.connect_id });
        // When the stream is gone there is nothing to close, and nobody left to hear of it.
        if halves.send(close).is_ok() && halves.writer.end().is_ok() {
            drop(closing.send(halves));
        }
    }
}
