//! Holds back what a connection writes while it is polled, and sends all of it at the end of that poll.
//!
//! HTTP/2 flushes after each frame, which would be a TLS record and a system call for every answer and every event of
//! every watch. What one poll writes goes out together instead. Nothing waits: the buffer is sent before the poll returns.

use super::refusal;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tinyplane_wire::turn::Turn;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is held back at most, in bytes: four TLS records.
const HELD_BYTES_MAX: usize = 64 * 1024;
/// An empty buffer that is larger than this is given back after a poll: most connections are idle. One that grows beyond it
/// becomes as large as it may be at once: what is held would be copied with each step.
const KEPT_BYTES_MAX: usize = 4 * 1024;

/// A stream whose writes are held back while its [`Cork`] is in.
pub(super) struct Corked<S>(Arc<Mutex<Bottle<S>>>);

/// The cork of a stream.
pub(super) struct Cork<S> {
    bottle: Arc<Mutex<Bottle<S>>>,
    turn: Turn,
}

struct Bottle<S> {
    stream: S,
    held: Vec<u8>,
    /// How much of what is held was sent.
    sent: usize,
    /// Whether the stream may have kept some of what it was given: TLS takes more than the socket does.
    unflushed: bool,
    is_in: bool,
    /// Why what was held could not be sent; the next write fails by it.
    failed: Option<io::Error>,
}

/// A stream, and its cork, which is out.
pub(super) fn corked<S: AsyncWrite + Unpin>(stream: S) -> (Corked<S>, Cork<S>) {
    let bottle = Bottle { stream, held: Vec::new(), sent: 0, unflushed: false, is_in: false, failed: None };
    let bottle = Arc::new(Mutex::new(bottle));
    (Corked(Arc::clone(&bottle)), Cork { bottle, turn: Turn::default() })
}

fn open<S>(bottle: &Mutex<Bottle<S>>) -> MutexGuard<'_, Bottle<S>> {
    bottle.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: AsyncWrite + Unpin> Cork<S> {
    /// Polls a connection with the cork in, in its [`Turn`], then takes it out and sends what was held back. What the client
    /// does not take now goes with the next poll, for which the task is woken; a failure to send shows at the next write.
    pub(super) fn poll<T>(&self, context: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        self.turn.poll(context, |context| {
            open(&self.bottle).is_in = true;
            let polled = poll(context);
            let mut bottle = open(&self.bottle);
            bottle.is_in = false;
            if let Poll::Ready(Err(error)) = bottle.poll_out(context) {
                bottle.failed = Some(error);
            }
            bottle.give_back();
            polled
        })
    }

    /// Waits until all that was held back is sent, or can't be.
    pub(super) async fn emptied(&self) {
        let emptied = poll_fn(|context| open(&self.bottle).poll_out(context)).await;
        if let Err(error) = emptied {
            tracing::debug!(%error, "the last of a connection was not sent");
        }
    }
}

impl<S: AsyncWrite + Unpin> Bottle<S> {
    /// Sends what is held, and what the stream kept of it.
    fn poll_out(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.held.len() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.held[self.sent..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += written;
            self.unflushed = true;
        }
        self.sent = 0;
        self.held.clear();
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(context))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Frees what is empty and large.
    fn give_back(&mut self) {
        if self.held.is_empty() && self.held.capacity() > KEPT_BYTES_MAX {
            self.held = Vec::new();
        }
    }

    /// Takes bytes over.
    fn hold(&mut self, bytes: &[u8]) {
        let filled = self.held.len() + bytes.len();
        if filled > self.held.capacity() && filled > KEPT_BYTES_MAX {
            self.held.reserve_exact(HELD_BYTES_MAX - self.held.len());
        }
        self.held.extend_from_slice(bytes);
    }

    /// Makes room for more.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        if !self.is_in || self.held.len() >= HELD_BYTES_MAX {
            ready!(self.poll_out(context))?;
        }
        Poll::Ready(Ok(HELD_BYTES_MAX - self.held.len()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Corked<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut bottle = open(&self.0);
        let room = ready!(bottle.poll_room(context))?;
        if !bottle.is_in {
            return Pin::new(&mut bottle.stream).poll_write_vectored(context, slices);
        }
        let mut taken = 0;
        for slice in slices {
            let part = &slice[..slice.len().min(room - taken)];
            bottle.hold(part);
            taken += part.len();
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bottle = open(&self.0);
        if bottle.is_in {
            return Poll::Ready(Ok(()));
        }
        ready!(bottle.poll_out(context))?;
        Pin::new(&mut bottle.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bottle = open(&self.0);
        // A refusal by HTTP is the last that a connection writes, and waits to be sent.
        if bottle.sent == 0
            && let Some(told) = refusal::told(&bottle.held)
        {
            bottle.held = told;
        }
        ready!(bottle.poll_out(context))?;
        Pin::new(&mut bottle.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Corked<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut open(&self.0).stream).poll_read(context, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Writes and flushes while the cork is in; tells how much was taken.
    async fn write(
        stream: &mut Corked<impl AsyncWrite + Unpin>,
        cork: &Cork<impl AsyncWrite + Unpin>,
        parts: &[&[u8]],
    ) -> usize {
        poll_fn(|context| {
            let mut taken = 0;
            cork.poll(context, |context| {
                for part in parts {
                    let Poll::Ready(written) = Pin::new(&mut *stream).poll_write(context, part) else { break };
                    taken += written.unwrap();
                    assert!(Pin::new(&mut *stream).poll_flush(context).is_ready());
                }
                Poll::Ready(taken)
            })
        })
        .await
    }

    #[tokio::test]
    async fn what_one_poll_writes_is_sent_together_and_at_once() {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let (mut stream, cork) = corked(server);
        assert_eq!(write(&mut stream, &cork, &[b"one, ", b"two, ", b"three"]).await, 15);
        let mut read = [0; 64];
        let bytes = client.read(&mut read).await.unwrap();
        assert_eq!(&read[..bytes], b"one, two, three");
    }

    #[tokio::test]
    async fn a_slow_client_stops_the_writer_and_loses_nothing() {
        let (mut client, server) = tokio::io::duplex(1000);
        let (mut stream, cork) = corked(server);
        let part = [7_u8; 10_000];
        let mut taken = 0;
        loop {
            match write(&mut stream, &cork, &[part.as_slice(); 20]).await {
                0 => break,
                more => taken += more,
            }
        }
        assert!(taken <= HELD_BYTES_MAX + 1000, "{taken}");
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            client.read_to_end(&mut all).await.unwrap();
            all.len()
        });
        // The cork is out: what is left goes before the stream ends.
        stream.write_all(b"end").await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(reading.await.unwrap(), taken + 3);
    }

    /// Takes what it is given, as TLS does, and keeps it until a flush, of which the first one finds no room.
    #[derive(Default)]
    struct Keeping {
        kept: Vec<u8>,
        flushed: Vec<u8>,
        was_full: bool,
    }

    impl AsyncWrite for Keeping {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.kept.extend_from_slice(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            if !std::mem::replace(&mut self.was_full, true) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let kept = std::mem::take(&mut self.kept);
            self.flushed.extend(kept);
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.poll_flush(context)
        }
    }

    #[tokio::test]
    async fn what_the_stream_kept_goes_with_the_next_poll() {
        let (mut stream, cork) = corked(Keeping::default());
        assert_eq!(write(&mut stream, &cork, &[b"all of it"]).await, 9);
        assert_eq!(open(&cork.bottle).stream.flushed, b"", "there was no room");
        assert_eq!(write(&mut stream, &cork, &[]).await, 0);
        assert_eq!(open(&cork.bottle).stream.flushed, b"all of it");
    }
}
