//! A body that ends when the member ends: what watches and followed logs are answered with.

use crate::metrics::LongRunning;
use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tinyplane_wire::process::Shutdown;

/// Passes a body on until the member is told to end; then it ends as if it were complete.
pub(super) fn until(inner: Body, shutdown: Shutdown, open: LongRunning) -> Body {
    Body::new(Until { inner, _open: open, end: Box::pin(async move { shutdown.cancelled().await }) })
}

struct Until {
    inner: Body,
    /// Counted as open until this body is dropped.
    _open: LongRunning,
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl HttpBody for Until {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match Pin::new(&mut self.inner).poll_frame(context) {
            Poll::Ready(frame) => Poll::Ready(frame),
            Poll::Pending => self.end.as_mut().poll(context).map(|()| None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
