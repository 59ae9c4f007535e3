//! The body of a request, lent to who serves it. What is left of a short one is read before the answer goes out: some
//! clients take an answer that overtakes their body for a broken stream. Go's server reads on as well.

use axum::body::Body;
use bytes::Bytes;
use http::Request;
use http::header::EXPECT;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// What is read at most, in bytes, as Go's server has it.
const LEFT_BYTES_MAX: usize = 256 * 1024;
/// How long that may take.
const LEFT_TIME_MAX: Duration = Duration::from_secs(1);

/// A body, whoever holds it now.
#[derive(Clone)]
struct Shared(Arc<Mutex<Incoming>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Incoming> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What comes back when the request is served.
pub(super) struct Lent(Option<Shared>);

/// Lends the body of a request.
pub(super) fn lend(request: Request<Incoming>) -> (Request<Body>, Lent) {
    if request.body().is_end_stream() {
        return (request.map(|_| Body::empty()), Lent(None));
    }
    // Who asks first whether to send it at all is not told to by a refusal.
    let waits = request.headers().contains_key(EXPECT);
    let (head, body) = request.into_parts();
    let shared = Shared(Arc::new(Mutex::new(body)));
    let lent = Lent((!waits).then(|| shared.clone()));
    (Request::from_parts(head, Body::new(shared)), lent)
}

impl Lent {
    /// Reads what is left, unless somebody reads it still.
    pub(super) async fn read_to_end(self) {
        if let Some(body) = self.0.and_then(|shared| Arc::into_inner(shared.0)) {
            let body = body.into_inner().unwrap_or_else(PoisonError::into_inner);
            if !body.is_end_stream() {
                let rest = Limited::new(body, LEFT_BYTES_MAX).collect();
                drop(tokio::time::timeout(LEFT_TIME_MAX, rest).await);
            }
        }
    }
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut *self.lock()).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.lock().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().size_hint()
    }
}
