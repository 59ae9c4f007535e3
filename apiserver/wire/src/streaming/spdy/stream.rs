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
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::PollSemaphore;

/// Most bytes of one data frame that we write.
const DATA_BYTES_MAX: usize = 32 * 1024;

/// A stream. Shutting it down ends our direction alone (FIN); dropping it before that resets it.
pub struct Stream {
    id: u32,
    headers: HeaderMap,
    inbound: Arc<Inbound>,
    room: PollSemaphore,
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
        let room = PollSemaphore::new(Arc::clone(&handles.shared.data_room));
        Self { id, headers, inbound, room, handles, finished: false }
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
        self.handles.answer(Frame::SynReply { stream: self.id, headers: HeaderMap::new(), fin: false }).await
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<OwnedSemaphorePermit>> {
        if matches!(self.inbound.has_ended(), Some(End::Reset | End::Dead)) || self.finished {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.room.poll_acquire(cx).map(|room| room.ok_or_else(|| io::ErrorKind::BrokenPipe.into()))
    }

    fn send(&self, bytes: Bytes, fin: bool, room: OwnedSemaphorePermit) -> io::Result<()> {
        self.handles.queue(Frame::Data { stream: self.id, bytes, fin }, Some(room))
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
        let room = ready!(self.poll_room(cx))?;
        let part = &from[..from.len().min(DATA_BYTES_MAX)];
        self.send(Bytes::copy_from_slice(part), false, room)?;
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.finished || matches!(self.inbound.has_ended(), Some(End::Reset | End::Dead)) {
            return Poll::Ready(Ok(()));
        }
        let room = ready!(self.poll_room(cx))?;
        self.send(Bytes::new(), true, room)?;
        self.finished = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    /// A stream that ended properly says no more; one that is given up is reset.
    fn drop(&mut self) {
        self.inbound.abandon();
        self.handles.forget(self.id);
        if !self.finished && self.inbound.has_ended() != Some(End::Reset) {
            let reset = Frame::RstStream { stream: self.id, code: ResetCode::Cancel as u32 };
            if self.handles.queue(reset, None).is_err() {
                tracing::trace!("the connection was gone already");
            }
        }
    }
}
