//! What gRPC asks of HTTP/2: paths, headers, and the status at the end.

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE};
use http::{HeaderMap, Method, Request, Response, Version};
use percent_encoding::percent_decode_str;

/// The frontends' call.
pub const PROXY_PATH: &str = "/ProxyService/Proxy";

/// The agents' call.
pub const CONNECT_PATH: &str = "/AgentService/Connect";

/// Ours: one connection as a stream of its own, opened by an agent.
pub const LANE_PATH: &str = "/tinyplane.AgentService/Lane";

/// Both ends of a frontend's stream say so when they can end one direction of a connection alone.
pub const HALF_CLOSE: HeaderName = HeaderName::from_static("tinyplane-half-close");

/// Both ends of an agent's stream say so when each connection may have a stream of its own.
pub const LANES: HeaderName = HeaderName::from_static("tinyplane-lanes");

/// Which dial a lane answers.
pub const DIAL_ID: HeaderName = HeaderName::from_static("tinyplane-dial");

/// An agent's name.
pub const AGENT_ID: HeaderName = HeaderName::from_static("agentid");

/// What an agent can reach.
pub const AGENT_IDENTIFIERS: HeaderName = HeaderName::from_static("agentidentifiers");

/// A server's name.
pub const SERVER_ID: HeaderName = HeaderName::from_static("serverid");

/// How many servers there are.
pub const SERVER_COUNT: HeaderName = HeaderName::from_static("servercount");

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// The value of a header that is either there or not.
pub const YES: HeaderValue = HeaderValue::from_static("1");

/// A call to `path` of the server that is known as `authority`.
///
/// # Errors
/// When the authority can't stand in a URI.
pub fn request(scheme: &str, authority: &str, path: &str) -> Result<Request<()>, http::Error> {
    Request::builder()
        .method(Method::POST)
        .version(Version::HTTP_2)
        .uri(format!("{scheme}://{authority}{path}"))
        .header(CONTENT_TYPE, GRPC)
        .header(TE, HeaderValue::from_static("trailers"))
        .body(())
}

/// The beginning of an answer.
#[must_use]
pub fn response() -> Response<()> {
    let mut response = Response::new(());
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// An answer that is a failure and nothing else.
#[must_use]
pub fn refusal(code: Code, message: &str) -> Response<()> {
    let mut response = response();
    response.headers_mut().insert(GRPC_STATUS, HeaderValue::from(code as u16));
    let encoded = percent_encoding::utf8_percent_encode(message, percent_encoding::CONTROLS).to_string();
    if let Ok(encoded) = HeaderValue::try_from(encoded) {
        response.headers_mut().insert(GRPC_MESSAGE, encoded);
    }
    response
}

/// The codes of gRPC that are given here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The call lacks something.
    InvalidArgument = 3,
    /// There is no such call.
    Unimplemented = 12,
    /// Not now.
    Unavailable = 14,
    /// The caller has not proved who it is.
    Unauthenticated = 16,
}

pub(crate) fn success() -> HeaderMap {
    HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))])
}

/// The failure in an answer's headers or trailers, in words, when there is one.
#[must_use]
pub fn failure_in(headers: &HeaderMap) -> Option<String> {
    let status = headers.get(GRPC_STATUS)?.to_str().unwrap_or("unreadable");
    if status == "0" {
        return None;
    }
    let message = headers.get(GRPC_MESSAGE).map(HeaderValue::as_bytes).unwrap_or_default();
    let message = String::from_utf8_lossy(message);
    let message = percent_decode_str(&message).decode_utf8_lossy();
    Some(format!("gRPC status {status}: {message}"))
}

/// The code of such a failure; 2, which stands for the unknown, where it is no number.
pub(crate) fn failure_code(headers: &HeaderMap) -> Option<u16> {
    let status = headers.get(GRPC_STATUS)?.to_str().unwrap_or_default();
    Some(status.parse().unwrap_or(2)).filter(|code| *code != 0)
}

/// What Go calls a code.
pub(crate) fn code_name(code: u16) -> &'static str {
    const NAMES: [&str; 17] = [
        "OK",
        "Canceled",
        "Unknown",
        "InvalidArgument",
        "DeadlineExceeded",
        "NotFound",
        "AlreadyExists",
        "PermissionDenied",
        "ResourceExhausted",
        "FailedPrecondition",
        "Aborted",
        "OutOfRange",
        "Unimplemented",
        "Internal",
        "Unavailable",
        "DataLoss",
        "Unauthenticated",
    ];
    NAMES.get(usize::from(code)).copied().unwrap_or("Unknown")
}

/// The code that a break of HTTP/2 stands for, as gRPC over HTTP/2 lays it down: a connection that is gone is
/// `Unavailable`.
pub(crate) fn code_of(error: &h2::Error) -> &'static str {
    use h2::Reason;
    match error.reason().filter(|_| error.is_reset()) {
        None | Some(Reason::REFUSED_STREAM) => "Unavailable",
        Some(Reason::CANCEL) => "Canceled",
        Some(Reason::ENHANCE_YOUR_CALM) => "ResourceExhausted",
        Some(Reason::INADEQUATE_SECURITY) => "PermissionDenied",
        Some(_) => "Internal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_reads_back() {
        let refusal = refusal(Code::Unimplemented, "no: ümlaut\n");
        assert_eq!(failure_in(refusal.headers()).unwrap(), "gRPC status 12: no: ümlaut\n");
        let code = failure_code(refusal.headers()).unwrap();
        assert_eq!((code, code_name(code), code_name(99)), (12, "Unimplemented", "Unknown"));
        assert_eq!(failure_code(&success()), None);
        assert_eq!(failure_in(&success()), None);
        assert_eq!(failure_in(response().headers()), None);
    }
}
