//! A stream through a tunnel: reads what the connection's ear hears, and gives the connection back at its end.

use super::connection::{Connection, Forwarded};
use super::ear::Heard;
use super::tunnel::Tunnel;
use bytes::{Buf, Bytes};
use russh::ChannelWriteHalf;
use russh::client::Msg;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::WaitForCancellationFutureOwned;

/// How long the end of a stream may take to be told, before its connection is dropped instead.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a stream has until it ends.
struct Lent {
    connection: Connection,
    channel: ChannelWriteHalf<Msg>,
    tunnel: Arc<Tunnel>,
}

/// A stream to an address in the cluster.
pub(super) struct TunnelStream {
    heard: mpsc::Receiver<Heard>,
    rest: Bytes,
    ended: bool,
    closed: bool,
    writer: Pin<Box<dyn AsyncWrite + Send>>,
    broken: Pin<Box<WaitForCancellationFutureOwned>>,
    lent: Option<Lent>,
}

impl TunnelStream {
    pub(super) fn new(forwarded: Forwarded, connection: Connection, tunnel: Arc<Tunnel>) -> Self {
        let Forwarded { heard, channel } = forwarded;
        Self {
            heard,
            rest: Bytes::new(),
            ended: false,
            closed: false,
            writer: Box::pin(channel.make_writer()),
            broken: Box::pin(connection.ended().cancelled_owned()),
            lent: Some(Lent { connection, channel, tunnel }),
        }
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the SSH tunnel broke")
}

impl AsyncRead for TunnelStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.rest.is_empty() && !self.ended {
            match ready!(self.heard.poll_recv(context)) {
                Some(Heard::Data(data)) => self.rest = data,
                Some(Heard::End | Heard::Refused(_)) => self.ended = true,
                Some(Heard::Closed) => (self.ended, self.closed) = (true, true),
                // Nobody said that it is the end.
                None => return Poll::Ready(Err(broken())),
            }
        }
        let some = self.rest.len().min(buf.remaining());
        buf.put_slice(&self.rest[..some]);
        self.rest.advance(some);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TunnelStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        // The crate's writer waits for a window without end, even when the channel or the connection is gone.
        if self.broken.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(broken()));
        }
        if self.ended && !self.closed && self.heard.poll_recv(context).is_ready() {
            self.closed = true;
        }
        if self.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.writer.as_mut().poll_write(context, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(broken()));
        }
        self.writer.as_mut().poll_shutdown(context)
    }
}

impl Drop for TunnelStream {
    fn drop(&mut self) {
        // The connection may be waiting for room in the queue of what was heard: it goes on without a reader.
        self.heard.close();
        let Some(Lent { connection, channel, tunnel }) = self.lent.take() else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        if connection.is_ended() {
            return;
        }
        runtime.spawn(async move {
            let closed = tokio::time::timeout(CLOSE_TIMEOUT, channel.close()).await;
            if matches!(closed, Ok(Ok(()))) {
                tunnel.take_back(connection);
            }
        });
    }
}
