//! The health and admin ports: plain HTTP, plain text.

use crate::tasks::Tasks;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::net::{Sources, bind};
use tinyplane_wire::process::MemberError;
use tokio::sync::Semaphore;

/// Connections to one port at the same time.
const CONNECTIONS_MAX: usize = 64;

/// How long a request's head may take.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// An answer: its code and text.
pub(crate) type Answer = (StatusCode, String);

/// Serves `answer` on an address, by path and query. What it does not know is a 404.
pub(crate) fn serve(
    at: SocketAddr,
    what: &str,
    tasks: &Tasks,
    answer: impl Fn(&str, &str) -> Option<Answer> + Send + Sync + 'static,
) -> Result<SocketAddr, MemberError> {
    let bound = bind(at, Sources::any())
        .map_err(|source| MemberError::because(format!("the {what} address {at} can't be bound"), source))?;
    let (answer, room) = (Arc::new(answer), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    let spawner = tasks.clone();
    tasks.spawn_acceptor(async move {
        while let Ok(place) = Arc::clone(&room).acquire_owned().await {
            let accepted = bound.listener.accept().await;
            let answer = Arc::clone(&answer);
            spawner.spawn(async move {
                let service = service_fn(|request: Request<Incoming>| {
                    let path = request.uri().path();
                    let told = answer(path, request.uri().query().unwrap_or_default());
                    let response = respond(told.unwrap_or((StatusCode::NOT_FOUND, "404 page not found\n".into())));
                    async move { Ok::<_, Infallible>(response) }
                });
                let mut http = hyper::server::conn::http1::Builder::new();
                http.timer(TokioTimer::new()).header_read_timeout(HEADER_READ_TIMEOUT);
                if let Err(error) = http.serve_connection(TokioIo::new(accepted.stream), service).await {
                    tracing::debug!(%error, "a health connection broke");
                }
                drop(place);
            });
        }
    });
    Ok(bound.address)
}

fn respond((code, text): Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
