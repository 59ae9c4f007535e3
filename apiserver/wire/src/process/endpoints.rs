//! A member's own endpoints, such as those that say how it is: small texts over HTTP/1.1, plain or by TLS.

use crate::net::{Accepted, Listener};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// Connections to one port at the same time.
const CONNECTIONS_MAX: usize = 64;
/// How long a client may take for the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request's head may take.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Debug)]
pub struct Answer(Response<Full<Bytes>>);

impl Answer {
    /// A code and a text.
    #[must_use]
    pub fn of(code: StatusCode, text: impl Into<Bytes>) -> Self {
        let mut response = Response::new(Full::new(text.into()));
        *response.status_mut() = code;
        Self(response).with(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))
    }

    /// A text, and all is well.
    #[must_use]
    pub fn ok(text: impl Into<Bytes>) -> Self {
        Self::of(StatusCode::OK, text)
    }

    /// What Go's router says of a path that it does not know.
    #[must_use]
    pub fn not_found() -> Self {
        Self::of(StatusCode::NOT_FOUND, "404 page not found\n")
    }

    /// It is elsewhere, for good.
    #[must_use]
    pub fn moved_to(location: &str) -> Self {
        let answer = Self::of(StatusCode::MOVED_PERMANENTLY, "");
        match HeaderValue::try_from(location) {
            Ok(location) => answer.with(LOCATION, location),
            Err(_) => answer,
        }
    }

    /// The same with this header.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers_mut().insert(name, value);
        self
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path.
    pub path: &'a str,
    /// The query, without its question mark.
    pub query: &'a str,
    /// The host that the client believes to be speaking to, without its port.
    pub host: &'a str,
}

impl Asked<'_> {
    /// The values that a name of the query has, each as it was sent.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let pairs = self.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.filter(move |(known, _)| *known == name).map(|(_, value)| value)
    }
}

/// The work that a connection is.
pub type Connection = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Answers on a listener until it is dropped, what `answer` does not know with a 404. Each connection is given to `spawn`, which
/// says how long it may last.
pub async fn serve(
    listener: Listener,
    tls: Option<TlsAcceptor>,
    answer: impl Fn(Asked<'_>) -> Option<Answer> + Send + Sync + 'static,
    spawn: impl Fn(Connection),
) {
    let (answer, room) = (Arc::new(answer), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        let Accepted { stream, .. } = listener.accept().await;
        let (answer, tls) = (Arc::clone(&answer), tls.clone());
        spawn(Box::pin(async move {
            match tls {
                None => converse(stream, &*answer).await,
                Some(tls) => match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
                    Ok(Ok(stream)) => converse(stream, &*answer).await,
                    Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                    Err(_) => tracing::debug!("a TLS handshake took too long"),
                },
            }
            drop(place);
        }));
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, answer: &(dyn Fn(Asked<'_>) -> Option<Answer> + Sync)) {
    let service = service_fn(|request: Request<Incoming>| {
        let uri = request.uri();
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let asked = Asked {
            method: request.method(),
            path: uri.path(),
            query: uri.query().unwrap_or_default(),
            host: host.rsplit_once(':').map_or(host, |(host, _)| host),
        };
        let Answer(response) = answer(asked).unwrap_or_else(Answer::not_found);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_READ_TIMEOUT);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection to an endpoint broke");
    }
}
