//! What Go's HTTP server answers by itself, before upstream is asked, of what ours hands on.

use super::query::escapes_hold;
use http::header::{EXPECT, HOST, TRAILER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, Method, Request, Version};

/// Such an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unasked {
    /// 400: a path, a host, or trailers that are none.
    Unreadable,
    /// 400: nobody says whose server is meant.
    HostMissing,
    /// 400: the host has marks that no host has.
    HostMalformed,
    /// 501: the body is carried in another way than in chunks.
    TransferEncoding,
    /// 417: the client expects something else than to be told to go on.
    Expectation,
    /// 200: the options of the server, of which there are none.
    Options,
}

/// What is answered to a request before anybody is asked; `None` for most.
#[must_use]
pub fn unasked<B>(request: &Request<B>) -> Option<Unasked> {
    let (path, headers) = (request.uri().path(), request.headers());
    // Without a slash a path is the name of a host, which is asked for as such alone.
    let is_path = path.starts_with('/') || path == "*" || request.method() == Method::CONNECT;
    if !is_path || !escapes_hold(path.as_bytes()) {
        return Some(Unasked::Unreadable);
    }
    // HTTP/2 has other words for what follows.
    if request.version() <= Version::HTTP_11 {
        let is_new = request.version() == Version::HTTP_11;
        if let Some(refused) = of_http1(headers, is_new && request.method() != Method::CONNECT) {
            return Some(refused);
        }
    }
    (path == "*" && request.method() == Method::OPTIONS).then_some(Unasked::Options)
}

fn of_http1(headers: &HeaderMap, needs_host: bool) -> Option<Unasked> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Some(Unasked::Unreadable);
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        let mut ways = headers.get_all(TRANSFER_ENCODING).iter();
        if !ways.next().is_some_and(|way| way.as_bytes().eq_ignore_ascii_case(b"chunked")) || ways.next().is_some() {
            return Some(Unasked::TransferEncoding);
        }
        if headers.contains_key(TRAILER) && !trailers_hold(headers) {
            return Some(Unasked::Unreadable);
        }
    }
    match host {
        None if needs_host => return Some(Unasked::HostMissing),
        Some(host) if !host.as_bytes().iter().all(|byte| is_of_host(*byte)) => return Some(Unasked::HostMalformed),
        _ => {}
    }
    let expected = headers.get(EXPECT)?.as_bytes();
    let goes_on = |token: &[u8]| token.trim_ascii().eq_ignore_ascii_case(b"100-continue");
    let is_met = expected.is_empty() || expected.split(|byte| *byte == b',').any(goes_on);
    (!is_met).then_some(Unasked::Expectation)
}

/// Whether no trailer is announced that says how the body is carried.
fn trailers_hold(headers: &HeaderMap) -> bool {
    const CARRIERS: [HeaderName; 3] = [TRANSFER_ENCODING, TRAILER, http::header::CONTENT_LENGTH];
    let is_carrier = |name: &[u8]| {
        let name = name.trim_ascii();
        CARRIERS.iter().any(|carrier| name.eq_ignore_ascii_case(carrier.as_str().as_bytes()))
    };
    let mut announced = headers.get_all(TRAILER).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    !announced.any(is_carrier)
}

/// Whether a byte may be in a `Host`.
fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!$%&'()*+,-.:;=[]_~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, path: &str, headers: &[(HeaderName, &str)]) -> Option<Unasked> {
        let request = Request::builder().method(method).uri(path);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, *value));
        unasked(&request.body(()).unwrap())
    }

    #[test]
    fn what_go_answers_by_itself_reaches_nobody() {
        let host = (HOST, "localhost");
        for (headers, wanted) in [
            (&[host.clone()][..], None),
            (&[], Some(Unasked::HostMissing)),
            (&[host.clone(), host.clone()], Some(Unasked::Unreadable)),
            (&[(HOST, "")], None),
            (&[(HOST, "[::1]:6443")], None),
            (&[(HOST, "a b")], Some(Unasked::HostMalformed)),
            (&[(HOST, "a/b")], Some(Unasked::HostMalformed)),
            (&[host.clone(), (TRANSFER_ENCODING, "Chunked")], None),
            (&[host.clone(), (TRANSFER_ENCODING, "gzip, chunked")], Some(Unasked::TransferEncoding)),
            (
                &[host.clone(), (TRANSFER_ENCODING, "chunked"), (TRANSFER_ENCODING, "chunked")],
                Some(Unasked::TransferEncoding),
            ),
            (&[host.clone(), (TRANSFER_ENCODING, "chunked"), (TRAILER, "X")], None),
            (
                &[host.clone(), (TRANSFER_ENCODING, "chunked"), (TRAILER, "X, content-Length")],
                Some(Unasked::Unreadable),
            ),
            (&[host.clone(), (EXPECT, "100-Continue")], None),
            (&[host.clone(), (EXPECT, "x, 100-continue")], None),
            (&[host.clone(), (EXPECT, "x")], Some(Unasked::Expectation)),
        ] {
            assert_eq!(of("POST", "/api", headers), wanted, "{headers:?}");
        }
        let host = [host];
        assert_eq!(of("GET", "/%zz", &host), Some(Unasked::Unreadable));
        assert_eq!(of("GET", "api", &host), Some(Unasked::Unreadable));
        assert_eq!(of("OPTIONS", "*", &host), Some(Unasked::Options));
        assert_eq!(of("GET", "*", &host), None);
        assert_eq!(of("CONNECT", "localhost:443", &[]), None);
    }
}
