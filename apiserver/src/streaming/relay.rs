//! Passes an upgrade on: the client's request goes to the backend, and when that agrees, bytes flow both ways.

use super::exchange::{Backend, send};
use super::pump::pump;
use axum::body::Body;
use http::header::{
    CONNECTION, HeaderMap, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tinyplane_wire::process::Shutdown;
use tinyplane_wire::status::{self, Reason, Status};

/// Headers that concern one connection alone.
const HOPS: [HeaderName; 9] = [
    CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Headers without those that concern one connection alone, named in `Connection` or by the protocol.
#[must_use]
pub fn without_hops(mut headers: HeaderMap) -> HeaderMap {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOPS) {
        headers.remove(name);
    }
    headers
}

/// Sends a client's upgrade request on. A backend that agrees is connected to the client; one that refuses is relayed.
///
/// # Errors
/// When the backend answers with neither, or breaks off: a 500 with upstream's words.
pub async fn upgrade(
    mut client: Request<Body>,
    backend: Backend,
    request: Request<Body>,
    shutdown: Shutdown,
) -> status::Result<Response<Body>> {
    let failed = |why: String| Status::failure(Reason::Unknown, why);
    let mut answer = send(backend, request).await.map_err(|e| failed(format!("error dialing backend: {e}")))?;
    let code = answer.status();
    if code != StatusCode::SWITCHING_PROTOCOLS {
        if code.is_client_error() || code.is_server_error() {
            let (mut head, body) = answer.into_parts();
            head.headers = without_hops(head.headers);
            return Ok(Response::from_parts(head, Body::new(body)));
        }
        return Err(failed(format!("invalid upgrade response: status code {}", code.as_u16())));
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = code;
    response.headers_mut().clone_from(answer.headers());
    let (from_client, from_backend) = (hyper::upgrade::on(&mut client), hyper::upgrade::on(&mut answer));
    tokio::spawn(async move {
        let carried = async {
            match tokio::try_join!(from_client, from_backend) {
                Ok((client, backend)) => pump(TokioIo::new(client), TokioIo::new(backend)).await,
                Err(error) => tracing::debug!(%error, "an upgrade was not completed"),
            }
        };
        tokio::select! {
            () = carried => {}
            () = shutdown.cancelled() => {}
        }
    });
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_concerns_one_connection_does_not_pass() {
        let pairs =
            [("connection", "X-Mine, Upgrade"), ("x-mine", "1"), ("upgrade", "h2c"), ("te", "x"), ("keep", "2")];
        let headers = pairs.iter().map(|(n, v)| (n.parse::<HeaderName>().unwrap(), v.parse().unwrap())).collect();
        let left = without_hops(headers);
        assert_eq!(left.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["keep"]);
    }
}
