//! One HTTP/1.1 request over a connection of the pod, plain or with TLS.

use super::connect;
use crate::runtime::io::Duplex;
use crate::runtime::machine::Process;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use tinyplane_wire::identity::tls::{self, Trust};
use tokio_util::task::AbortOnDropHandle;

/// A URL that a program was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) secure: bool,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) path: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The name has no address.
    NoSuchHost,
    Connect(io::Error),
    /// The server's certificate is not believed, or there is no TLS at all.
    Tls(io::Error),
    /// The other side does not speak HTTP, or ended early.
    Exchange,
}

/// Reads a URL; `Err` has the scheme or the part that can't be used.
pub(super) fn target(url: &str) -> Result<Target, String> {
    let (secure, rest) = match url.split_once("://") {
        Some(("http", rest)) => (false, rest),
        Some(("https", rest)) => (true, rest),
        Some((scheme, _)) => return Err(format!("protocol '{scheme}' is not built in")),
        None => (false, url),
    };
    let uri: Uri = format!("http://{rest}").parse().map_err(|_| format!("bad URL '{url}'"))?;
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| format!("bad URL '{url}'"))?;
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    Ok(Target { secure, host: host.to_owned(), port, path: path.to_owned() })
}

impl Target {
    fn authority(&self) -> String {
        if self.port == if self.secure { 443 } else { 80 } {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Where a redirect leads.
    pub(super) fn follow(&self, location: &str) -> Result<Self, String> {
        if location.contains("://") {
            return target(location);
        }
        let path = if location.starts_with('/') {
            location.to_owned()
        } else {
            let directory = self.path.rsplit_once('/').map_or("", |(directory, _)| directory);
            format!("{directory}/{location}")
        };
        Ok(Self { path, ..self.clone() })
    }
}

/// An answer whose body is still being read; its connection lives as long.
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    _connection: AbortOnDropHandle<()>,
}

/// Connects to a server, with TLS where the URL says so.
async fn reach(process: &Process, target: &Target, trust: &Trust) -> Result<Box<dyn Duplex>, Failure> {
    let stream = connect(process, &target.host, target.port).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::NoSuchHost,
        _ => Failure::Connect(error),
    })?;
    if !target.secure {
        return Ok(stream);
    }
    let refused = |error: &dyn std::fmt::Display| Failure::Tls(io::Error::other(error.to_string()));
    let config = tls::client(trust, None, &tls::ALPN_HTTP1).map_err(|error| refused(&error))?;
    let name = target.host.trim_matches(['[', ']']).to_owned().try_into().map_err(|_| refused(&"bad server name"))?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, stream).await.map_err(Failure::Tls)?;
    let (carrier, connection) = stream.get_mut();
    if let Some(hop) = carrier.hop() {
        hop.speaks(tls::told(connection, matches!(trust, Trust::Roots(_))), None);
    }
    Ok(Box::new(stream))
}

/// Sends a request.
pub(super) async fn ask(
    process: &Process,
    target: &Target,
    trust: &Trust,
    method: Method,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Answer, Failure> {
    let stream = reach(process, target, trust).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|_| Failure::Exchange)?;
    let connection = AbortOnDropHandle::new(tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection of a pod's program ended early");
        }
    }));
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = target.path.parse().map_err(|_| Failure::Exchange)?;
    let host = HeaderValue::from_str(&target.authority()).map_err(|_| Failure::Exchange)?;
    request.headers_mut().insert(http::header::HOST, host);
    for (name, value) in headers {
        request.headers_mut().insert(name, value.clone());
    }
    let response = sender.send_request(request).await.map_err(|_| Failure::Exchange)?;
    Ok(Answer { response, _connection: connection })
}

/// Reads `Name: value`.
pub(super) fn header(text: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once(':')?;
    Some((name.trim().parse().ok()?, HeaderValue::from_str(value.trim()).ok()?))
}
