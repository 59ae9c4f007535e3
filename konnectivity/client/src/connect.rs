//! Dialling through an http-connect frontend.

use crate::failure::{no_way, refused};
use crate::grpc;
use crate::route::{Route, join_host_port};
use async_trait::async_trait;
use bytes::{Buf, Bytes};
use http::header::HOST;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tinyplane_wire::net::{Dial, Dialled, Stream, Way};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longest wait for a connection through the tunnel, as upstream's.
const DIAL_SECONDS_MAX: u64 = 30;

/// What is read of a refusal's text.
const REFUSAL_BYTES_MAX: usize = 4096;

/// Dials through a Konnectivity server's http-connect frontend. After the server's 200 the connection is the
/// caller's, as it is: nothing of ours is in between.
#[derive(Clone, Debug)]
pub struct HttpConnectDial {
    route: Route,
    timeout: Duration,
}

impl HttpConnectDial {
    /// Dials through the server at `route`.
    #[must_use]
    pub fn new(route: Route) -> Self {
        Self { route, timeout: Duration::from_secs(DIAL_SECONDS_MAX) }
    }

    /// Gives up after `timeout`.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    async fn connect(&self, number: i64, address: &str) -> io::Result<Dialled> {
        let stream = TokioIo::new(self.route.connect().await?);
        let (mut client, connection) = hyper::client::conn::http1::handshake(stream).await.map_err(lost)?;
        let mut connection = std::pin::pin!(connection.with_upgrades());
        let request = Request::builder()
            .method(Method::CONNECT)
            .uri(address)
            .header(HOST, "127.0.0.1")
            .header(grpc::DIAL_ID, number)
            .body(Empty::<Bytes>::new())
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
        // The connection is driven here, so that giving up the dial closes it.
        let asked = async {
            let response = client.send_request(request).await.map_err(lost)?;
            let status = response.status();
            if status == StatusCode::OK {
                // Our server says who carries the connection.
                let agent =
                    response.headers().get(grpc::AGENT_ID).and_then(|name| name.to_str().ok()).map(str::to_owned);
                return Ok((hyper::upgrade::on(response).await.map_err(io::Error::other)?, agent));
            }
            let text = Limited::new(response.into_body(), REFUSAL_BYTES_MAX).collect().await;
            let text = text.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let server = self.route.name();
            Err(refused(&format!("proxy error from {server} while dialing {address}, code {status}: {}", text.trim())))
        };
        let mut asked = std::pin::pin!(asked);
        let (upgraded, agent) = tokio::select! {
            upgraded = &mut asked => upgraded?,
            ended = &mut connection => {
                ended.map_err(lost)?;
                asked.await?
            }
        };
        let parts = upgraded
            .downcast::<TokioIo<Box<dyn Stream>>>()
            .map_err(|_| io::Error::other("the upgraded connection is not the one that was made"))?;
        let stream = parts.io.into_inner();
        let stream: Box<dyn Stream> =
            if parts.read_buf.is_empty() { stream } else { Box::new(Prefixed { prefix: parts.read_buf, stream }) };
        Ok(Dialled { stream, way: Way { tunnel: Some(self.route.place()), agent, ..Way::default() } })
    }
}

#[async_trait]
impl Dial for HttpConnectDial {
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        Ok(self.dial_as(rand::random(), host, port).await?.stream)
    }

    async fn dial_as(&self, number: i64, host: &str, port: u16) -> io::Result<Dialled> {
        let address = join_host_port(host, port);
        let late =
            || io::Error::new(io::ErrorKind::TimedOut, format!("dial {address} through the tunnel: i/o timeout"));
        // A timer is not exact to the millisecond, in which a dial may be made.
        if self.timeout.is_zero() {
            return Err(late());
        }
        tokio::time::timeout(self.timeout, self.connect(number, &address)).await.map_err(|_| late())?
    }
}

/// The server was lost before it answered.
#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
fn lost(error: hyper::Error) -> io::Error {
    no_way(io::ErrorKind::ConnectionAborted, &error)
}

/// A connection whose first bytes came together with the answer to CONNECT: the far end spoke first.
struct Prefixed {
    prefix: Bytes,
    stream: Box<dyn Stream>,
}

impl AsyncRead for Prefixed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.prefix.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, into);
        }
        let count = self.prefix.len().min(into.remaining());
        into.put_slice(&self.prefix[..count]);
        self.prefix.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
