//! Turns outcomes into responses: the one place that knows which HTTP code and body a failure has.

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderName, RETRY_AFTER, USER_AGENT, X_CONTENT_TYPE_OPTIONS};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Uri};
use hyper::ext::ReasonPhrase;
use serde::Serialize;
use serde_json::Value;
use tinyplane_wire::quote::quote;
use tinyplane_wire::status::{self, Reason, Status};

use crate::codec::accept::{Accept, Media};
use crate::codec::protobuf::encode;
use crate::codec::{spelled, yaml};
use crate::request::{Query, Unasked};
use crate::schema::{self, spelling};

/// The content type of JSON, as upstream writes it.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The content type of plain text.
pub const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// What upstream adds to what browsers may not guess at.
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// Whether JSON is to be written for a person: by `pretty` in the path, or because a browser or curl asks. The wish in `Accept` that
/// is met may ask for it as well.
#[must_use]
pub fn wants_pretty(query: &Query, headers: &HeaderMap) -> bool {
    let by_agent = || {
        let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        ["curl", "Wget", "Mozilla/5.0"].iter().any(|known| agent.starts_with(known))
    };
    let said = query.first("pretty").filter(|said| !said.is_empty());
    said.map_or_else(by_agent, |value| matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True"))
}

/// A failure as a response, as is wished; where none of what is wished fits, upstream writes JSON for a person.
#[must_use]
pub fn failure(status: &Status, wished: Option<Accept>, pretty: bool) -> Response<Body> {
    let (media, pretty) = wished.map_or((Media::Json, true), |accept| (accept.media, accept.pretty || pretty));
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let other = (media != Media::Json).then(|| serde_json::to_value(status).unwrap_or_default());
    let other = other.and_then(|other| value(code, &other, media, pretty).ok());
    let mut response = other.unwrap_or_else(|| json(code, status, pretty));
    if code == StatusCode::PAYLOAD_TOO_LARGE {
        // Go keeps to the old word.
        response.extensions_mut().insert(ReasonPhrase::from_static(b"Request Entity Too Large"));
    }
    let retry_after = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    if retry_after > 0 {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after));
    }
    response
}

/// A value as a response, in these letters; only JSON can be written for a person.
///
/// # Errors
/// A kind that protobuf has no message for.
pub fn value(code: StatusCode, value: &Value, media: Media, pretty: bool) -> status::Result<Response<Body>> {
    let bytes = match media {
        Media::Json => return Ok(spelled_json(code, spelled(value), pretty)),
        Media::Yaml => {
            // Go writes it from JSON, which leaves out what has nothing in it.
            let value = serde_json::from_slice(&spelled(value)).map_err(Status::internal)?;
            yaml::write(&value).map_err(|error| Status::failure(Reason::Unknown, error.to_string()))?.into_bytes()
        }
        Media::Protobuf => encode::encode(schema::model(), value)
            .ok_or_else(|| Status::internal(format!("an answer has no message: {}", value["kind"])))?,
    };
    Ok(bytes_of(code, media.content_type(), bytes))
}

/// A value as Go writes it: in the order of the type of its kind, where it has one.
#[must_use]
pub fn spelled(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    spelled::write(value, &mut out);
    out
}

/// JSON that is spelled already, as a response: for a person on lines of its own, of which the last has no end.
#[must_use]
pub fn spelled_json(code: StatusCode, mut json: Vec<u8>, pretty: bool) -> Response<Body> {
    if pretty {
        json = spelling::indented(&json);
    } else {
        json.push(b'\n');
    }
    bytes_of(code, JSON, json)
}

/// JSON as a response.
#[must_use]
pub fn json(code: StatusCode, body: &impl Serialize, pretty: bool) -> Response<Body> {
    match serde_json::to_vec(body) {
        Ok(bytes) => spelled_json(code, spelling::escaped(bytes), pretty),
        Err(error) => {
            tracing::error!(%error, "an answer can't be written as JSON");
            text(StatusCode::INTERNAL_SERVER_ERROR, "an answer can't be written as JSON\n")
        }
    }
}

/// Bytes of a content type as a response.
#[must_use]
pub fn bytes_of(code: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Response<Body> {
    body_of(code, content_type, Body::from(body.into()))
}

/// A body of a content type as a response.
#[must_use]
pub fn body_of(code: StatusCode, content_type: HeaderValue, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// Plain text as a response.
#[must_use]
pub fn text(code: StatusCode, body: impl Into<String>) -> Response<Body> {
    let mut response = bytes_of(code, TEXT, body.into());
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    response
}

/// What upstream says to a request for which there is no room: plain text, and when to ask again.
#[must_use]
pub fn too_many_requests() -> Response<Body> {
    let mut response = text(StatusCode::TOO_MANY_REQUESTS, "Too many requests, please try again later.\n");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// What Go's server answers by itself: a few words, which are the reason in the first line as well, and the end of the connection.
#[must_use]
pub fn unasked(answer: Unasked) -> Response<Body> {
    let (code, said) = match answer {
        Unasked::Options => return Response::new(Body::empty()),
        Unasked::Unreadable => (StatusCode::BAD_REQUEST, "400 Bad Request"),
        Unasked::HostMissing => (StatusCode::BAD_REQUEST, "400 Bad Request: missing required Host header"),
        Unasked::HostMalformed => (StatusCode::BAD_REQUEST, "400 Bad Request: malformed Host header"),
        Unasked::TransferEncoding => (StatusCode::NOT_IMPLEMENTED, "Unsupported transfer encoding"),
        Unasked::Expectation => (StatusCode::EXPECTATION_FAILED, ""),
    };
    let mut response = if said.is_empty() { Response::new(Body::empty()) } else { bytes_of(code, TEXT, said) };
    *response.status_mut() = code;
    if let Some(reason) = said.strip_prefix("400 ") {
        response.extensions_mut().insert(ReasonPhrase::from_static(reason.as_bytes()));
    }
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// What upstream says of a path that begins as that of a resource does and names none, before it asks who calls.
#[must_use]
pub fn no_kind(uri: &Uri) -> Response<Body> {
    let mut asked = uri.path_and_query().map_or("", PathAndQuery::as_str).replace('&', "&amp;");
    for (mark, escape) in [('<', "&lt;"), ('>', "&gt;")] {
        asked = asked.replace(mark, escape);
    }
    let told = "failed to create RequestInfo: unable to determine kind and namespace from url,";
    let told = format!("Internal Server Error: {}: {told} {}\n", quote(&asked), uri.path());
    text(StatusCode::INTERNAL_SERVER_ERROR, told)
}

/// What upstream says of a path that is none of its own.
#[must_use]
pub fn page_not_found() -> Response<Body> {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// Tells browsers not to guess what an answer is, as upstream does where it refuses a request before it looks at it.
#[must_use]
pub fn unguessed(mut response: Response<Body>) -> Response<Body> {
    set_if_absent(response.headers_mut(), X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    response
}

/// Sets a header that has no value yet.
pub fn set_if_absent(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    headers.entry(name).or_insert(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::accept;
    use http_body_util::BodyExt;
    use tinyplane_wire::status::{Details, Reason};

    #[tokio::test]
    async fn a_failure_carries_its_code_and_when_to_ask_again() {
        let details = Details { retry_after_seconds: 3, ..Details::default() };
        let status = Status::failure(Reason::TooManyRequests, "slow down").with_details(details);
        let response = failure(&status, accept::of_failure(None), false);
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "3");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(serde_json::from_slice::<Status>(&body).unwrap(), *status);
    }

    #[tokio::test]
    async fn lists_and_maps_with_nothing_in_them_are_left_out_of_yaml_too() {
        let version = "authorization.k8s.io/v1";
        let spec = serde_json::json!({"user": "x", "groups": [], "extra": {}});
        let review = serde_json::json!({"apiVersion": version, "kind": "SubjectAccessReview", "spec": spec});
        let response = value(StatusCode::OK, &review, Media::Yaml, false).unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8_lossy(&body);
        assert!(body.contains("user: x\n") && !body.contains("groups") && !body.contains("extra"), "{body}");
    }

    #[test]
    fn people_get_indented_json() {
        let agent = |name: &str| HeaderMap::from_iter([(USER_AGENT, name.parse().unwrap())]);
        assert!(wants_pretty(&Query::default(), &agent("curl/8.0")));
        assert!(!wants_pretty(&Query::default(), &agent("kubectl/v1.36")));
        assert!(!wants_pretty(&Query::parse("pretty=0"), &agent("curl/8.0")));
        assert!(wants_pretty(&Query::parse("pretty="), &agent("curl/8.0")));
    }
}
