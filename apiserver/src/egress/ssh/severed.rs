//! A stream that can be cut from outside, however its user hangs in it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tinyplane_wire::net::Stream;
use tinyplane_wire::process::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::WaitForCancellationFutureOwned;

/// Ends with an error, both ways, when it is told to.
pub(super) struct Severable {
    inner: Box<dyn Stream>,
    reading: Pin<Box<WaitForCancellationFutureOwned>>,
    writing: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Severable {
    pub(super) fn new(inner: Box<dyn Stream>, severed: Shutdown) -> Self {
        let reading = Box::pin(severed.clone().cancelled_owned());
        Self { inner, reading, writing: Box::pin(severed.cancelled_owned()) }
    }
}

fn severed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the tunnel was given up")
}

impl AsyncRead for Severable {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.reading.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(severed()));
        }
        Pin::new(&mut self.inner).poll_read(context, buf)
    }
}

impl AsyncWrite for Severable {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.writing.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(severed()));
        }
        Pin::new(&mut self.inner).poll_write(context, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.writing.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(severed()));
        }
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
