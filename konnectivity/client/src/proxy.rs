//! Dialling through a gRPC frontend: one tunnel, one connection, as the real API server does.

use crate::driven::Driven;
use crate::failure::{no_way, refused};
use crate::grpc;
use crate::packet::{DialRequest, DialResponse, Packet};
use crate::route::{Route, join_host_port};
use crate::stream::{PacketReader, PacketWriter, StreamError};
use crate::tunnel::{Halves, Tunnel};
use async_trait::async_trait;
use bytes::Bytes;
use h2::client::SendRequest;
use std::io;
use std::time::Duration;
use tinyplane_wire::net::{Dial, Dialled, Stream, Way};

/// Longest wait for a connection through the tunnel, as upstream's.
const DIAL_SECONDS_MAX: u64 = 30;

/// Dials through a Konnectivity server's gRPC frontend. Each dial has an HTTP/2 connection of its own: its window is
/// that of the one connection it carries, and dropping it ends everything.
#[derive(Clone, Debug)]
pub struct GrpcDial {
    route: Route,
    half_close: bool,
    timeout: Duration,
}

/// A connection that was made, and the agent that carries it, where the server says so.
pub(crate) struct Made {
    tunnel: Tunnel,
    agent: Option<String>,
}

impl GrpcDial {
    /// Dials through the server at `route`.
    #[must_use]
    pub fn new(route: Route) -> Self {
        Self { route, half_close: true, timeout: Duration::from_secs(DIAL_SECONDS_MAX) }
    }

    /// Speaks upstream's protocol and nothing more.
    #[must_use]
    pub fn plain(mut self) -> Self {
        self.half_close = false;
        self
    }

    /// Gives up after `timeout`.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Connects to the server, for one dial or for many.
    pub(crate) async fn connect(&self) -> io::Result<Driven> {
        Driven::begin(self.route.connect().await?).await.map_err(lost)
    }

    /// Opens a stream on a connection that takes one, and dials through it.
    pub(crate) async fn open(
        &self,
        mut client: SendRequest<Bytes>,
        driven: &Driven,
        (random, address): (i64, String),
    ) -> io::Result<Made> {
        let mut request = grpc::request("http", "konnectivity", grpc::PROXY_PATH).map_err(io::Error::other)?;
        if self.half_close {
            request.headers_mut().insert(grpc::HALF_CLOSE, grpc::YES);
        }
        let (response, frames) = client.send_request(request, false).map_err(lost)?;
        drop(client);
        let mut writer = PacketWriter::new(frames);
        let dial = Packet::DialRequest(DialRequest { protocol: "tcp".into(), address, random });
        writer.send(dial).map_err(lost)?;
        let response = response.await.map_err(lost)?;
        if let Some(failure) = grpc::failure_in(response.headers()) {
            return Err(no_way(io::ErrorKind::Other, &failure));
        }
        let half_close = self.half_close && response.headers().contains_key(grpc::HALF_CLOSE);
        let mut reader = PacketReader::new(response.into_body());
        let DialResponse { connect_id, agent, .. } = answer(&mut reader, random).await?;
        let tunnel = Tunnel::new(Halves { reader, writer, connect_id }, half_close, driven.closing());
        Ok(Made { tunnel, agent: Some(agent).filter(|agent| !agent.is_empty()) })
    }

    async fn tunnel(&self, random: i64, address: String) -> io::Result<Made> {
        let driven = self.connect().await?;
        let client = driven.ready().await.map_err(lost)?;
        self.open(client, &driven, (random, address)).await
    }

    /// Waits for a dial no longer than it may take.
    pub(crate) async fn in_time(
        &self,
        address: &str,
        dialled: impl Future<Output = io::Result<Made>>,
    ) -> io::Result<Dialled> {
        let late =
            || io::Error::new(io::ErrorKind::TimedOut, format!("dial {address} through the tunnel: i/o timeout"));
        // A timer is not exact to the millisecond, in which a dial may be made.
        if self.timeout.is_zero() {
            return Err(late());
        }
        let Made { tunnel, agent } = tokio::time::timeout(self.timeout, dialled).await.map_err(|_| late())??;
        let way = Way { tunnel: Some(self.route.place()), agent, ..Way::default() };
        Ok(Dialled { stream: Box::new(tunnel), way })
    }
}

/// Waits for the answer to a dial.
async fn answer(reader: &mut PacketReader, random: i64) -> io::Result<DialResponse> {
    loop {
        match reader.next().await.map_err(|error| no_way(io::ErrorKind::ConnectionReset, &error))? {
            Some(Packet::DialResponse(answer)) if answer.random == random => {
                return if answer.error.is_empty() { Ok(answer) } else { Err(refused(&answer.error)) };
            }
            Some(Packet::CloseDial(closed)) if closed.random == random => {
                return Err(no_way(io::ErrorKind::ConnectionAborted, "the dial was closed by the server"));
            }
            Some(other) => tracing::debug!(packet = other.name(), "a packet before the dial was answered"),
            None => {
                let why = reader.failure().await.unwrap_or_else(|| "the tunnel ended before the dial".into());
                return Err(no_way(io::ErrorKind::ConnectionAborted, &why));
            }
        }
    }
}

/// The server was lost before it answered.
#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(crate) fn lost(error: h2::Error) -> io::Error {
    no_way(io::ErrorKind::ConnectionAborted, &error)
}

/// A tunnel that broke is a connection that was reset.
pub(crate) fn broken(error: StreamError) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

#[async_trait]
impl Dial for GrpcDial {
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        Ok(self.dial_as(rand::random(), host, port).await?.stream)
    }

    async fn dial_as(&self, number: i64, host: &str, port: u16) -> io::Result<Dialled> {
        let address = join_host_port(host, port);
        self.in_time(&address, self.tunnel(number, address.clone())).await
    }
}
