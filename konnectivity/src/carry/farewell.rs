//! A frontend's connection of TLS, which has a word for the end of one direction and another for that of both.

use super::socket::{ReadSide, Split, WriteSide};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

/// What is read, and thrown away, of a peer that had said its last.
const SCRAP_BYTES: usize = 256;

/// A TLS stream that ends twice: at the peer's `close_notify`, after which it may still listen, and at the end of TCP, when
/// it has left. Over TCP alone nothing tells the one from the other. Who ends both at once, as Go's clients do when they
/// close, has left.
pub(crate) struct Farewell<S> {
    stream: TlsStream<S>,
    said: bool,
}

impl<S> Farewell<S> {
    pub(crate) fn of(stream: TlsStream<S>) -> Self {
        Self { stream, said: false }
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Split for Farewell<S> {
    fn sides(self) -> (ReadSide, WriteSide) {
        let (read, write) = tokio::io::split(self);
        (ReadSide::Twice(Box::new(read)), WriteSide::Any(Box::new(write)))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Farewell<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.said {
            let before = into.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
            self.said = into.filled().len() == before && into.remaining() > 0;
            return Poll::Ready(Ok(()));
        }
        let (beneath, _) = self.stream.get_mut();
        let mut scrap = [0; SCRAP_BYTES];
        loop {
            let mut read = ReadBuf::new(&mut scrap);
            ready!(Pin::new(&mut *beneath).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Farewell<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
