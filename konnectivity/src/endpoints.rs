//! The health and admin ports: plain HTTP, plain text.

use crate::tasks::Tasks;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue, LOCATION};
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

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    code: StatusCode,
    text: String,
    /// Where else to ask.
    location: Option<String>,
}

impl Answer {
    pub(crate) fn of(code: StatusCode, text: String) -> Self {
        Self { code, text, location: None }
    }

    pub(crate) fn ok(text: String) -> Self {
        Self::of(StatusCode::OK, text)
    }

    /// It is elsewhere, for good.
    pub(crate) fn moved_to(location: String) -> Self {
        Self { location: Some(location), ..Self::of(StatusCode::MOVED_PERMANENTLY, String::new()) }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    /// The host that the client believes to be speaking to, without its port.
    pub(crate) host: &'a str,
}

/// Serves `answer` on an address. What it does not know is a 404.
pub(crate) fn serve(
    at: SocketAddr,
    what: &str,
    tasks: &Tasks,
    answer: impl Fn(Asked<'_>) -> Option<Answer> + Send + Sync + 'static,
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
                    let uri = request.uri();
                    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
                    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
                    let told = answer(Asked { path: uri.path(), query: uri.query().unwrap_or_default(), host });
                    let response = respond(told.unwrap_or_else(unknown));
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

fn unknown() -> Answer {
    Answer::of(StatusCode::NOT_FOUND, "404 page not found\n".into())
}

fn respond(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(answer.text)));
    *response.status_mut() = answer.code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if let Some(location) = answer.location.and_then(|location| HeaderValue::try_from(location).ok()) {
        headers.insert(LOCATION, location);
    }
    response
}
