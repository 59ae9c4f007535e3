//! One stream of a session: reads, writes, and ends each direction on its own.

use super::ResetCode;
use super::frame::Frame;
use super::inbound::{End, Inbound};
use super::session::Handles;
use bytes::Bytes;
use http::HeaderMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::PollSender;

/// Most bytes of one data frame that we write.
const DATA_BYTES_MAX: usize = 32 * 1024;

/// A stream. Shutting it down ends our direction alone (FIN); dropping it before that resets it.
pub struct Stream {
    id: u32,
    headers: HeaderMap,
    inbound: Arc<Inbound>,
    outgoing: PollSender<Frame>,
    handles: Arc<Handles>,
    finished: bool,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("id", &self.id).field("headers", &self.headers).finish_non_exhaustive()
    }
}

impl Stream {
    pub(super) fn new(id: u32, headers: HeaderMap, inbound: Arc<Inbound>, handles: Arc<Handles>) -> Self {
        let outgoing = PollSender::new(handles.outgoing.clone());
        Self { id, headers, inbound, outgoing, handles, finished: false }
    }

    /// The headers that it was opened with.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// One of its headers, or nothing.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Waits until the peer has accepted a stream that we opened.
    ///
    /// # Errors
    /// When it is refused, the connection ends, or the peer says nothing for that long.
    pub async fn until_replied(&self, limit: Duration) -> io::Result<()> {
        match tokio::time::timeout(limit, self.inbound.until_replied()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "Timeout occurred")),
        }
    }

    /// True when the peer gave the stream up.
    #[must_use]
    pub fn is_reset(&self) -> bool {
        self.inbound.has_ended() == Some(End::Reset)
    }

    /// Accepts a stream that the peer opened.
    pub(super) async fn reply(&self) -> io::Result<()> {
        let reply = Frame::SynReply { stream: self.id, headers: HeaderMap::new(), fin: false };
        self.handles.outgoing.send(reply).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.inbound.has_ended(), Some(End::Reset | End::Dead)) || self.finished {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.outgoing.poll_reserve(cx).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn send(&mut self, bytes: Bytes, fin: bool) -> io::Result<()> {
        let frame = Frame::Data { stream: self.id, bytes, fin };
        self.outgoing.send_item(frame).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.inbound.poll_read(cx, to)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        if from.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.poll_room(cx))?;
        let part = &from[..from.len().min(DATA_BYTES_MAX)];
        self.send(Bytes::copy_from_slice(part), false)?;
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.finished || matches!(self.inbound.has_ended(), Some(End::Reset | End::Dead)) {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_room(cx))?;
        self.send(Bytes::new(), true)?;
        self.finished = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    /// A stream that ended properly says no more: a reset would overtake its last bytes.
    fn drop(&mut self) {
        self.inbound.abandon();
        self.handles.forget(self.id);
        if !self.finished && self.inbound.has_ended() != Some(End::Reset) {
            self.handles.urgent(Frame::RstStream { stream: self.id, code: ResetCode::Cancel as u32 });
        }
    }
}
