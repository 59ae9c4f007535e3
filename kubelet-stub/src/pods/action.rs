//! What probes and hooks do: run a command, ask over HTTP, connect.

use super::network::Network;
use super::spec::{Action, Container, HttpGet, PortRef};
use crate::runtime::{ContainerId, Runtime, RuntimeError, Stdio};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tinyplane_wire::identity::tls;
use tinyplane_wire::net::Stream;
use tokio::io::AsyncWrite;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

/// Bytes of an answer that are read, as upstream.
const OUTPUT_BYTES_MAX: usize = 10 << 10;

/// A container to act on.
#[derive(Clone)]
pub(crate) struct Subject {
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) network: Arc<Network>,
    pub(crate) id: ContainerId,
    pub(crate) spec: Arc<Container>,
    pub(crate) pod_uid: String,
    pub(crate) pod_ip: IpAddr,
}

/// How an action went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    /// With what there is to say about it.
    Failed(String),
}

impl Subject {
    /// Does it, within a time.
    pub(crate) async fn act(&self, action: &Action, timeout: Duration) -> Outcome {
        if let Some(exec) = &action.exec {
            match tokio::time::timeout(timeout, self.exec(exec.command.clone())).await {
                Ok(Ok((0, _))) => Outcome::Passed,
                Ok(Ok((_, output))) => Outcome::Failed(output),
                Ok(Err(error)) => Outcome::Failed(error.to_string()),
                Err(_) => Outcome::Failed(format!(
                    "command timed out: {:?} timed out after {}",
                    exec.command.join(" "),
                    super::go_duration(timeout)
                )),
            }
        } else if let Some(get) = &action.http_get {
            self.http(get, timeout).await
        } else if let Some(tcp) = &action.tcp_socket {
            match self.address(&tcp.host, &tcp.port) {
                Ok(to) => self
                    .network
                    .dial_from_node(&self.pod_uid, to, timeout)
                    .await
                    .map_or_else(|error| failed(&error), |_| Outcome::Passed),
                Err(wrong) => Outcome::Failed(wrong),
            }
        } else if let Some(sleep) = &action.sleep {
            tokio::time::sleep(Duration::from_secs(sleep.seconds)).await;
            Outcome::Passed
        } else {
            Outcome::Failed("this node runs exec, httpGet and tcpSocket actions only".into())
        }
    }

    /// Runs a command, and gives its exit code and the beginning of all that it printed.
    async fn exec(&self, command: Vec<String>) -> Result<(i32, String), RuntimeError> {
        let output = Captured::default();
        let stdio = Stdio {
            stdout: Some(Box::new(output.clone())),
            stderr: Some(Box::new(output.clone())),
            ..Stdio::default()
        };
        let code = self.runtime.exec(&self.id, command, stdio).await?;
        let bytes = output.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((code, String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn address(&self, host: &str, port: &PortRef) -> Result<SocketAddr, String> {
        let port = match port {
            PortRef::Number(port) => *port,
            PortRef::Name(name) => match name.parse() {
                Ok(port) => port,
                Err(_) => self
                    .spec
                    .ports
                    .iter()
                    .find(|port| port.name == *name)
                    .map(|port| port.container_port)
                    .ok_or_else(|| format!("couldn't find port: {name}"))?,
            },
        };
        let ip = if host.is_empty() { Ok(self.pod_ip) } else { host.parse() };
        Ok(SocketAddr::new(ip.map_err(|_| format!("lookup {host}: no such host"))?, port))
    }

    async fn http(&self, get: &HttpGet, timeout: Duration) -> Outcome {
        let to = match self.address(&get.host, &get.port) {
            Ok(to) => to,
            Err(wrong) => return Outcome::Failed(wrong),
        };
        let secure = get.scheme.eq_ignore_ascii_case("https");
        let scheme = if secure { "https" } else { "http" };
        let path = if get.path.starts_with('/') { get.path.clone() } else { format!("/{}", get.path) };
        let url = format!("{scheme}://{to}{path}");
        let asked = tokio::time::timeout(timeout, self.ask(get, to, &path, secure, timeout)).await;
        match asked {
            Ok(Ok((code, _))) if (200..400).contains(&code) => Outcome::Passed,
            Ok(Ok((code, _))) => Outcome::Failed(format!("HTTP probe failed with statuscode: {code}")),
            Ok(Err(error)) => Outcome::Failed(format!("Get \"{url}\": {error}")),
            Err(_) => Outcome::Failed(format!(
                "Get \"{url}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
            )),
        }
    }

    async fn ask(
        &self,
        get: &HttpGet,
        to: SocketAddr,
        path: &str,
        secure: bool,
        timeout: Duration,
    ) -> io::Result<(u16, Bytes)> {
        let stream = self.network.dial_from_node(&self.pod_uid, to, timeout).await?;
        let stream: Box<dyn Stream> = if secure {
            // As upstream: a probe asks whether the program answers, and not who it is.
            let config = tls::client(&tls::Trust::Anybody, None, &tls::ALPN_HTTP1).map_err(io::Error::other)?;
            let name = ServerName::IpAddress(to.ip().into());
            Box::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await?)
        } else {
            Box::new(stream)
        };
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let mut request = http::Request::get(path)
            .header(http::header::HOST, to.to_string())
            .header(http::header::USER_AGENT, "kube-probe/1.36")
            .header(http::header::ACCEPT, "*/*")
            .header(http::header::CONNECTION, "close");
        for header in &get.http_headers {
            if header.name.eq_ignore_ascii_case("host") {
                request.headers_mut().map(|headers| headers.remove(http::header::HOST));
            }
            request = request.header(&header.name, &header.value);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(io::Error::other)?;
        let exchange = async {
            let answer = sender.send_request(request).await.map_err(io::Error::other)?;
            let code = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), OUTPUT_BYTES_MAX).collect().await;
            Ok((code, body.map(http_body_util::Collected::to_bytes).unwrap_or_default()))
        };
        tokio::pin!(exchange);
        tokio::pin!(connection);
        tokio::select! {
            answer = &mut exchange => answer,
            ended = &mut connection => match ended {
                Ok(()) => exchange.await,
                Err(error) => Err(io::Error::other(error)),
            },
        }
    }
}

fn failed(error: &io::Error) -> Outcome {
    Outcome::Failed(error.to_string())
}

/// Keeps the beginning of what is written.
#[derive(Clone, Debug, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl AsyncWrite for Captured {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = OUTPUT_BYTES_MAX.saturating_sub(kept.len()).min(bytes.len());
        kept.extend_from_slice(&bytes[..room]);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
