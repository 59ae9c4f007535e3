//! A frontend's stream up to its first call, as it is to be heard and answered.
//!
//! What a server says of HTTP/2 before it is asked anything, its settings, and that it heard the client's, is by itself a write each,
//! and a turn of the client, which waits for none of it; so is the head of its answer to a call that is a dial. All of it waits for the
//! answer to that dial, or until the client shows that it may be waiting. What the first call says is made sayable ([`Sayable`]).

use super::authority::Sayable;
use futures_util::task::AtomicWaker;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is held back at most.
const HELD_BYTES_MAX: usize = 1024;

/// A stream whose first bytes are held back until its [`Tongue`] is loosened, or there are many of them.
#[derive(Debug)]
pub(super) struct Reticent<S> {
    inner: S,
    heard: Sayable,
    held: Vec<u8>,
    tongue: Arc<Held>,
}

/// What a stream and its tongue share.
#[derive(Debug, Default)]
struct Held {
    speaks: AtomicBool,
    called: AtomicBool,
    /// Who drives the stream, once it had something to send.
    driver: AtomicWaker,
}

impl Held {
    fn loosen(&self) -> bool {
        let first = !self.speaks.swap(true, Ordering::Relaxed);
        if first {
            self.driver.wake();
        }
        first
    }
}

/// Lets a stream speak.
#[derive(Clone, Debug)]
pub(super) struct Tongue(Arc<Held>);

impl Tongue {
    /// From the next flush on bytes are sent, those that were held back with those that come then; tells whether none were sent
    /// before.
    pub(super) fn loosen(&self) -> bool {
        self.0.loosen()
    }

    /// The client has called, and whoever serves the call loosens the tongue. If the client says more until then, it is loosened.
    pub(super) fn is_called(&self) {
        self.0.called.store(true, Ordering::Relaxed);
    }

    /// Whether somebody else is to loosen it.
    pub(super) fn was_called(&self) -> bool {
        self.0.called.load(Ordering::Relaxed)
    }
}

/// Loosens a tongue at the latest when it is dropped.
#[derive(Debug)]
pub(super) struct Answering(pub(super) Tongue);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.loosen();
    }
}

impl<S> Reticent<S> {
    pub(super) fn new(inner: S) -> (Self, Tongue) {
        let tongue = Arc::<Held>::default();
        (Self { inner, heard: Sayable::new(), held: Vec::new(), tongue: Arc::clone(&tongue) }, Tongue(tongue))
    }

    fn is_silent(&self) -> bool {
        !self.tongue.speaks.load(Ordering::Relaxed)
    }
}

impl<S: AsyncWrite + Unpin> Reticent<S> {
    /// Sends what was held back.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let count = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.held))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.held.drain(..count);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Reticent<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.heard.poll_read(&mut this.inner, cx, into))?;
        if this.tongue.called.load(Ordering::Relaxed) {
            this.tongue.loosen();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Reticent<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let waits = self.is_silent() || !self.held.is_empty();
        if waits && self.held.len() + from.len() <= HELD_BYTES_MAX {
            self.held.extend_from_slice(from);
            return Poll::Ready(Ok(from.len()));
        }
        ready!(self.poll_out(cx))?;
        Pin::new(&mut self.inner).poll_write(cx, from)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // Together with what was held back, where that is one write.
        if !self.held.is_empty() || self.is_silent() {
            let first = from.iter().find(|slice| !slice.is_empty());
            return self.poll_write(cx, first.map_or(&[], |slice| slice));
        }
        Pin::new(&mut self.inner).poll_write_vectored(cx, from)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_silent() {
            self.tongue.driver.register(cx.waker());
            // It may have been loosened in between.
            if self.is_silent() {
                return Poll::Ready(Ok(()));
            }
        }
        ready!(self.poll_out(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn first_words_wait_for_leave_and_go_together() {
        let (mut client, server) = tokio::io::duplex(4096);
        let (mut server, tongue) = Reticent::new(server);
        for word in ["one ", "two "] {
            server.write_all(word.as_bytes()).await.unwrap();
            server.flush().await.unwrap();
        }
        let mut heard = [0; 64];
        assert!(futures_util::FutureExt::now_or_never(client.read(&mut heard)).is_none(), "nothing is heard before");
        assert!(tongue.loosen() && !tongue.loosen());
        server.write_all(b"three").await.unwrap();
        server.flush().await.unwrap();
        let mut all = vec![0; 13];
        client.read_exact(&mut all).await.unwrap();
        assert_eq!(all, b"one two three");
    }

    #[tokio::test]
    async fn who_breaks_the_protocol_before_any_call_is_told_so() {
        let (mut client, server) = tokio::io::duplex(4096);
        let (server, _tongue) = Reticent::new(server);
        // What every client begins with, its settings, and data of no stream.
        let said = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\0\0\0\0\0\0x";
        client.write_all(said).await.unwrap();
        let mut connection = h2::server::handshake(server).await.unwrap();
        assert!(connection.accept().await.unwrap().is_err());
        drop(connection);
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        let (mut rest, mut kinds) = (heard.as_slice(), Vec::new());
        while let [_, high, low, kind, ..] = rest {
            kinds.push(*kind);
            rest = &rest[9 + usize::from(*high) * 256 + usize::from(*low)..];
        }
        const GOAWAY: u8 = 7;
        assert_eq!(kinds.last(), Some(&GOAWAY), "{heard:?}");
    }

    #[tokio::test]
    async fn whoever_has_much_to_say_says_it() {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let (mut server, _tongue) = Reticent::new(server);
        server.write_all(&[7; 600]).await.unwrap();
        server.write_all(&[7; 600]).await.unwrap();
        let mut all = vec![0; 1200];
        client.read_exact(&mut all).await.unwrap();
        assert_eq!(all, [7; 1200]);
    }
}
