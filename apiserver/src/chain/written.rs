//! Requests in the ledger: one line each, and a second one at the end of an answer that goes on.

use crate::audit::Ticket;
use crate::authn::Peer;
use axum::body::Body;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Request, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tinyplane_wire::ledger::Asked;

/// A request that is to be written down: nothing, where no ledger is kept.
pub(super) fn begin(peer: &Peer, ticket: &Ticket, request: &Request<Body>) -> Option<Asked> {
    let uri = request.uri().path_and_query().map_or("", PathAndQuery::as_str);
    Some(Asked::new(peer.origin.as_ref()?, ticket.as_str(), request.method().as_str(), uri))
}

/// Writes down the answer, and its end when that comes.
pub(super) fn answered(
    mut asked: Asked,
    response: Response<Body>,
    long_running: bool,
    (began, took): (Instant, Duration),
) -> Response<Body> {
    let code = response.status();
    let goes_on = long_running && code.is_success() && code != StatusCode::SWITCHING_PROTOCOLS;
    asked.answered(code.as_u16(), response.body().size_hint().exact(), took, !goes_on);
    if !goes_on {
        return response;
    }
    response.map(|inner| Body::new(Followed { inner, ending: Ending { asked, code, began, sent: 0 } }))
}

/// Writes down the end of an answer when it is dropped.
struct Ending {
    asked: Asked,
    code: StatusCode,
    began: Instant,
    sent: u64,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.asked.answered(self.code.as_u16(), Some(self.sent), self.began.elapsed(), true);
    }
}

/// A body whose bytes are counted, and whose end is written down.
struct Followed {
    inner: Body,
    ending: Ending,
}

impl HttpBody for Followed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.ending.sent += data.len() as u64;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
