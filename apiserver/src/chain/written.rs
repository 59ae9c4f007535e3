//! Requests in the ledger: one line each, and a second one at the end of an answer that goes on.

use crate::audit::Ticket;
use crate::authn::{Caller, Peer};
use axum::body::Body;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use tinyplane_wire::ledger::{Answered, Origin};

/// A request that is to be written down.
pub(super) struct Written {
    origin: Arc<Origin>,
    ticket: Ticket,
    method: Method,
    path: Option<PathAndQuery>,
    began: Instant,
}

impl Written {
    /// Nothing, where no ledger is kept.
    pub(super) fn begin(peer: &Peer, ticket: &Ticket, request: &Request<Body>, began: Instant) -> Option<Self> {
        let origin = Arc::clone(peer.origin.as_ref()?);
        let (method, path) = (request.method().clone(), request.uri().path_and_query().cloned());
        Some(Self { origin, ticket: ticket.clone(), method, path, began })
    }

    /// Writes down the answer, and its end when that comes.
    pub(super) fn answered(
        self,
        caller: Option<Arc<Caller>>,
        response: Response<Body>,
        long_running: bool,
    ) -> Response<Body> {
        let code = response.status();
        let goes_on = long_running && code.is_success() && code != StatusCode::SWITCHING_PROTOCOLS;
        let user = caller.as_ref().map(|caller| caller.name.as_str());
        let sent = response.body().size_hint().exact();
        let id = self.origin.answered(&self.line(user, code, sent, !goes_on));
        if !goes_on {
            return response;
        }
        let ending = Ending { written: self, caller, code, sent: 0, id };
        response.map(|inner| Body::new(Followed { inner, ending }))
    }

    fn line<'a>(&'a self, user: Option<&'a str>, code: StatusCode, sent: Option<u64>, ended: bool) -> Answered<'a> {
        Answered {
            ticket: self.ticket.as_str(),
            method: self.method.as_str(),
            uri: self.path.as_ref().map_or("", PathAndQuery::as_str),
            user,
            code: code.as_u16(),
            sent,
            took: self.began.elapsed(),
            ended,
        }
    }
}

/// Writes down the end of an answer when it is dropped.
struct Ending {
    written: Written,
    caller: Option<Arc<Caller>>,
    code: StatusCode,
    sent: u64,
    id: u64,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let user = self.caller.as_ref().map(|caller| caller.name.as_str());
        self.written.origin.ended(self.id, &self.written.line(user, self.code, Some(self.sent), true));
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
