//! HTTP as the built-in servers speak it: a document root, and the page of a declared port.

use crate::runtime::files::{Errno, join};
use crate::runtime::machine::{Handler, Process};
use crate::runtime::spec::{ContainerSpec, SandboxSpec};
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, LOCATION, SERVER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use time::macros::format_description;
use tokio_util::sync::CancellationToken;

/// Bytes of a request's body that a server reads.
const BODY_BYTES_MAX: usize = 1 << 20;

/// A request with its body read, and who it is from.
pub(super) struct Asked {
    pub(super) request: Request<Bytes>,
    pub(super) peer: SocketAddr,
}

/// Serves HTTP/1.1 with keep-alive on every connection, each on a task of its own, until `gone`.
pub(super) fn handler<F, A>(gone: CancellationToken, answer: F) -> Handler
where
    F: Fn(Asked) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    Arc::new(move |stream, peer| {
        let (gone, answer) = (gone.clone(), answer.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = answer.clone();
                async move {
                    let (parts, body) = request.into_parts();
                    let response = match Limited::new(body, BODY_BYTES_MAX).collect().await {
                        Ok(body) => answer(Asked { request: Request::from_parts(parts, body.to_bytes()), peer }).await,
                        Err(_) => text(StatusCode::PAYLOAD_TOO_LARGE, "Payload Too Large\n"),
                    };
                    Ok::<_, Infallible>(response)
                }
            });
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                () = gone.cancelled() => {}
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "a connection to a pod ended early");
                },
            }
        });
    })
}

/// A plain text.
pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    answer(status, "text/plain; charset=utf-8", body)
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// What a declared port answers when no program serves it: which pod this is.
pub(crate) fn pod_page(pod: &SandboxSpec, container: &ContainerSpec, gone: CancellationToken) -> Handler {
    let page = Bytes::from(format!(
        "pod: {}/{}\ncontainer: {}\nimage: {}\naddress: {}\n",
        pod.namespace, pod.name, container.name, container.image, pod.pod_ip
    ));
    handler(gone, move |_| {
        let page = page.clone();
        async move { text(StatusCode::OK, page) }
    })
}

/// A server of files.
pub(super) struct Documents {
    pub(super) root: String,
    pub(super) server: &'static str,
    pub(super) process: Process,
}

impl Documents {
    pub(super) async fn answer(&self, asked: Asked) -> Response<Full<Bytes>> {
        let (mut response, length) = self.respond(&asked.request);
        if let Ok(server) = HeaderValue::from_str(self.server) {
            response.headers_mut().insert(SERVER, server);
        }
        self.log(&asked, response.status(), length).await;
        response
    }

    fn respond(&self, request: &Request<Bytes>) -> (Response<Full<Bytes>>, usize) {
        let (status, kind, body, location) = self.find(request);
        let length = body.len();
        let mut response = answer(status, kind, body);
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        if let Some(location) = location.and_then(|location| HeaderValue::from_str(&location).ok()) {
            response.headers_mut().insert(LOCATION, location);
        }
        (response, length)
    }

    fn find(&self, request: &Request<Bytes>) -> (StatusCode, &'static str, Bytes, Option<String>) {
        let problem = |status: StatusCode| {
            let reason = status.canonical_reason().unwrap_or_default();
            let page = format!(
                "<html>\n<head><title>{} {reason}</title></head>\n<body>\n<h1>{} {reason}</h1>\n<hr>{}\n</body>\n</html>\n",
                status.as_str(),
                status.as_str(),
                self.server
            );
            (status, "text/html", Bytes::from(page), None)
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return problem(StatusCode::METHOD_NOT_ALLOWED);
        }
        let Some(path) = decode(request.uri().path()) else { return problem(StatusCode::BAD_REQUEST) };
        if path.split('/').any(|name| name == "..") || path.contains('\0') {
            return problem(StatusCode::BAD_REQUEST);
        }
        let place = &self.process.place;
        let mut file = join(&self.root, path.trim_start_matches('/'));
        if place.stat(&file).is_ok_and(|stat| stat.is_directory()) {
            if !path.ends_with('/') {
                let (status, kind, body, _) = problem(StatusCode::MOVED_PERMANENTLY);
                return (status, kind, body, Some(format!("{}/", request.uri().path())));
            }
            file = join(&file, "index.html");
            if place.stat(&file).is_err() {
                return problem(StatusCode::FORBIDDEN);
            }
        }
        match place.read(&file) {
            Ok(bytes) => (StatusCode::OK, content_type(&file), Bytes::from(bytes), None),
            Err(Errno::Permission) => problem(StatusCode::FORBIDDEN),
            Err(_) => problem(StatusCode::NOT_FOUND),
        }
    }

    async fn log(&self, asked: &Asked, status: StatusCode, length: usize) {
        let now = tinyplane_wire::clock::utc(self.process.machine.clock.now());
        let format = format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");
        let time = now.format(format).unwrap_or_default();
        let request = &asked.request;
        let header = |name: http::HeaderName| {
            request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("-").to_owned()
        };
        let more = if self.server.starts_with("nginx") {
            let (referer, agent) = (header(http::header::REFERER), header(http::header::USER_AGENT));
            format!(" \"{referer}\" \"{agent}\" \"-\"")
        } else {
            String::new()
        };
        let (method, uri, peer) = (request.method(), request.uri(), asked.peer.ip());
        let line = format!(
            "{peer} - - [{time}] \"{method} {uri} {:?}\" {} {length}{more}\n",
            request.version(),
            status.as_u16()
        );
        // A log that can't be written is no reason to refuse an answer.
        let _ = self.process.out(line).await;
    }
}

/// Resolves `%20` and the like.
fn decode(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html" | "htm") => "text/html",
        Some("css") => "text/css",
        Some("js") => "application/javascript",
        Some("json") => "application/json",
        Some("txt") => "text/plain",
        Some("xml") => "text/xml",
        Some("png") => "image/png",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
