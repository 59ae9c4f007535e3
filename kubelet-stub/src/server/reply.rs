//! Answers of a kubelet: plain texts, JSON, and failures as `(code, text)`.

use super::auth::Denied;
use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;
use tinyplane_wire::streaming::handshake::{ACCEPTED_STREAM_PROTOCOLS, Refusal};

/// An answer, or what is answered instead.
pub(super) type Reply = Result<Response<Body>, Denied>;

/// A failure with a text.
pub(super) fn failure(code: StatusCode, text: impl Into<String>) -> Denied {
    Denied { code, text: text.into() }
}

pub(super) fn not_found() -> Denied {
    failure(StatusCode::NOT_FOUND, "404: Page Not Found")
}

pub(super) fn method_not_allowed() -> Denied {
    failure(StatusCode::METHOD_NOT_ALLOWED, "405: Method Not Allowed")
}

/// A plain text.
pub(super) fn text(code: StatusCode, text: impl Into<Body>) -> Response<Body> {
    answer(code, "text/plain; charset=utf-8", text)
}

/// A JSON value.
pub(super) fn json(value: &Value) -> Response<Body> {
    answer(StatusCode::OK, "application/json", value.to_string())
}

/// Any body.
pub(super) fn answer(code: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A refused change of protocol. What would have been accepted stands in a header.
pub(super) fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = text(refusal.code, format!("{}\n", refusal.message));
    for accepted in refusal.accepted {
        response.headers_mut().append(ACCEPTED_STREAM_PROTOCOLS, HeaderValue::from_static(accepted));
    }
    response
}
