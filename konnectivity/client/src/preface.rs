//! What a client of HTTP/2 begins with goes with its first call.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What every HTTP/2 client begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream that sends the preface together with what comes after it. `h2` writes it by itself, which would cost a write, a
/// record of TLS and a turn of the server, which can do nothing with it.
#[derive(Debug)]
pub(crate) struct WithPreface<S> {
    inner: S,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing was written yet.
    Unasked,
    /// The preface was taken, and is still to be sent.
    Held,
    /// What goes together with it, and how much of all is sent.
    Sending(Vec<u8>, usize),
    /// The stream is its user's.
    Sent,
}

impl<S> WithPreface<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, state: State::Unasked }
    }
}

impl<S: AsyncWrite + Unpin> WithPreface<S> {
    /// Sends what was held back.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.state, State::Held) {
            self.state = State::Sending(PREFACE.to_vec(), 0);
        }
        while let State::Sending(bytes, sent) = &mut self.state {
            match ready!(Pin::new(&mut self.inner).poll_write(cx, &bytes[*sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => *sent += count,
            }
            if *sent == bytes.len() {
                self.state = State::Sent;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WithPreface<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WithPreface<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(from)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        match this.state {
            State::Unasked if from.len() == 1 && *from[0] == *PREFACE => {
                this.state = State::Held;
                return Poll::Ready(Ok(PREFACE.len()));
            }
            State::Unasked => this.state = State::Sent,
            State::Held => {
                let count = from.iter().map(|slice| slice.len()).sum::<usize>();
                let mut all = Vec::with_capacity(PREFACE.len() + count);
                all.extend_from_slice(PREFACE);
                from.iter().for_each(|slice| all.extend_from_slice(slice));
                this.state = State::Sending(all, 0);
                // What doesn't go now goes with the next flush or write.
                return match this.poll_out(cx) {
                    Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                    Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(count)),
                };
            }
            State::Sending(..) => ready!(this.poll_out(cx))?,
            State::Sent => {}
        }
        Pin::new(&mut this.inner).poll_write_vectored(cx, from)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn the_preface_goes_with_what_follows() {
        let (client, mut server) = tokio::io::duplex(4096);
        let mut client = WithPreface::new(client);
        client.write_all(PREFACE).await.unwrap();
        assert!(server.read(&mut [0; 64]).now_or_never().is_none(), "by itself it does not go");
        client.write_all(b"settings").await.unwrap();
        let mut heard = vec![0; 64];
        let count = server.read(&mut heard).await.unwrap();
        assert_eq!(heard[..count], [PREFACE, b"settings"].concat());
        client.write_all(b", and more").await.unwrap();
        let count = server.read(&mut heard).await.unwrap();
        assert_eq!(&heard[..count], b", and more");
    }

    #[tokio::test]
    async fn all_of_it_arrives_through_a_narrow_door_and_in_order() {
        let (client, mut server) = tokio::io::duplex(5);
        let write = async {
            let mut client = WithPreface::new(client);
            client.write_all(PREFACE).await.unwrap();
            for word in ["one ", "two ", "three"] {
                client.write_all(word.as_bytes()).await.unwrap();
            }
            client.shutdown().await.unwrap();
        };
        let mut heard = Vec::new();
        let ((), read) = tokio::join!(write, server.read_to_end(&mut heard));
        read.unwrap();
        assert_eq!(heard, [PREFACE, b"one two three"].concat());
    }

    #[tokio::test]
    async fn a_preface_that_nothing_follows_goes_with_the_flush() {
        let (client, mut server) = tokio::io::duplex(4096);
        let mut client = WithPreface::new(client);
        client.write_all(PREFACE).await.unwrap();
        client.flush().await.unwrap();
        let mut heard = vec![0; PREFACE.len()];
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, PREFACE);
    }
}
