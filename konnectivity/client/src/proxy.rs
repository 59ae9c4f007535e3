//! Dialling through a gRPC frontend: one tunnel, one connection, as the real API server does.

use crate::driven::{Driven, Undriven};
use crate::failure::{no_way, refused};
use crate::grpc;
use crate::numbers::{Attempt, Counted, Numbers, Reason, Status};
use crate::packet::{DialRequest, DialResponse, Packet};
use crate::route::{Route, join_host_port};
use crate::stream::{PacketReader, PacketWriter, StreamError};
use crate::tunnel::{Halves, Tunnel};
use async_trait::async_trait;
use bytes::Bytes;
use h2::client::SendRequest;
use std::io;
use std::sync::Arc;
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
    numbers: Arc<Numbers>,
}

/// A connection that was made, and the agent that carries it, where the server says so.
pub(crate) struct Made {
    tunnel: Tunnel,
    connection: i64,
    agent: Option<String>,
}

/// Why a connection was not made.
pub(crate) struct Unmade {
    pub(crate) error: io::Error,
    /// How it is counted, unless nothing was asked of the server yet.
    pub(crate) reason: Option<Reason>,
}

impl From<io::Error> for Unmade {
    fn from(error: io::Error) -> Self {
        Self { error, reason: None }
    }
}

impl Unmade {
    fn since(reason: Reason) -> impl Fn(io::Error) -> Self {
        move |error| Self { error, reason: Some(reason) }
    }
}

impl GrpcDial {
    /// Dials through the server at `route`.
    #[must_use]
    pub fn new(route: Route) -> Self {
        Self { route, half_close: true, timeout: Duration::from_secs(DIAL_SECONDS_MAX), numbers: Arc::default() }
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

    /// Counts in `numbers`, which others may share.
    #[must_use]
    pub fn counted(mut self, numbers: &Arc<Numbers>) -> Self {
        self.numbers = Arc::clone(numbers);
        self
    }

    pub(crate) fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// Connects to the server, for one dial or for many.
    pub(crate) async fn connect(&self) -> io::Result<(Driven, Undriven)> {
        Driven::begin(self.route.connect().await?).await.map_err(lost)
    }

    /// Opens a stream on a connection that takes one, and dials through it.
    pub(crate) async fn open(
        &self,
        mut client: SendRequest<Bytes>,
        driven: &Driven,
        (random, address): (i64, String),
        attempt: &Attempt<'_>,
    ) -> Result<Made, Unmade> {
        let mut request = grpc::request("http", "konnectivity", grpc::PROXY_PATH).map_err(io::Error::other)?;
        if self.half_close {
            request.headers_mut().insert(grpc::HALF_CLOSE, grpc::YES);
        }
        let (response, frames) = client.send_request(request, false).map_err(lost)?;
        drop(client);
        let mut counted = Counted::created(&self.numbers);
        let mut writer = PacketWriter::new(frames);
        let dial = Packet::DialRequest(DialRequest { protocol: "tcp".into(), address, random });
        attempt.asks();
        counted.becomes(Status::Dialing);
        counted.sends(&dial);
        writer.send(dial).map_err(lost).map_err(Unmade::since(Reason::Unknown))?;
        let response = response.await.map_err(|error| {
            let told = no_way(io::ErrorKind::ConnectionAborted, &error);
            counted.heard(&Err(StreamError::Transport(error)));
            Unmade::since(Reason::TunnelClosed)(told)
        })?;
        if let Some(failure) = grpc::failure_in(response.headers()) {
            counted.refused(grpc::failure_code(response.headers()).unwrap_or_default());
            return Err(Unmade::since(Reason::TunnelClosed)(no_way(io::ErrorKind::Other, &failure)));
        }
        let half_close = self.half_close && response.headers().contains_key(grpc::HALF_CLOSE);
        let mut reader = PacketReader::new(response.into_body());
        let DialResponse { connect_id, agent, .. } = answer(&mut reader, random, &counted).await?;
        counted.becomes(Status::Ok);
        let tunnel = Tunnel::new(Halves { reader, writer, connect_id, counted }, half_close, driven.closing());
        Ok(Made { tunnel, connection: connect_id, agent: Some(agent).filter(|agent| !agent.is_empty()) })
    }

    async fn tunnel(&self, random: i64, address: String, attempt: &Attempt<'_>) -> Result<Made, Unmade> {
        let (driven, driving) = self.connect().await?;
        let opened = async {
            let client = driven.ready().await.map_err(lost)?;
            self.open(client, &driven, (random, address), attempt).await
        };
        driving.until(opened).await
    }

    /// Waits for a dial no longer than it may take.
    pub(crate) async fn in_time(
        &self,
        address: &str,
        attempt: &Attempt<'_>,
        dialled: impl Future<Output = Result<Made, Unmade>>,
    ) -> io::Result<Dialled> {
        let late =
            || io::Error::new(io::ErrorKind::TimedOut, format!("dial {address} through the tunnel: i/o timeout"));
        // A timer is not exact to the millisecond, in which a dial may be made.
        if self.timeout.is_zero() {
            return Err(late());
        }
        match tokio::time::timeout(self.timeout, dialled).await {
            Ok(Ok(Made { tunnel, connection, agent })) => {
                attempt.made();
                let (place, connection) = (Some(self.route.place()), Some(connection));
                let way = Way { tunnel: place, agent, connection, ..Way::default() };
                Ok(Dialled { stream: Box::new(tunnel), way })
            }
            Ok(Err(Unmade { error, reason })) => {
                attempt.failed(reason);
                Err(error)
            }
            Err(_) => {
                attempt.late();
                Err(late())
            }
        }
    }
}

/// Waits for the answer to a dial.
async fn answer(reader: &mut PacketReader, random: i64, counted: &Counted) -> Result<DialResponse, Unmade> {
    let ended = Unmade::since(Reason::TunnelClosed);
    loop {
        let read = reader.next().await;
        counted.heard(&read);
        match read.map_err(|error| ended(no_way(io::ErrorKind::ConnectionReset, &error)))? {
            Some(Packet::DialResponse(answer)) if answer.random == random => {
                return if answer.error.is_empty() {
                    Ok(answer)
                } else {
                    Err(Unmade::since(Reason::Endpoint)(refused(&answer.error)))
                };
            }
            Some(Packet::CloseDial(closed)) if closed.random == random => {
                let error = no_way(io::ErrorKind::ConnectionAborted, "the dial was closed by the server");
                return Err(Unmade::since(Reason::DialClosed)(error));
            }
            Some(other) => tracing::debug!(packet = other.name(), "a packet before the dial was answered"),
            None => {
                let failure = reader.failure().await;
                if let Some((code, _)) = &failure {
                    counted.refused(*code);
                }
                let why = failure.map_or_else(|| "the tunnel ended before the dial".to_owned(), |(_, why)| why);
                return Err(ended(no_way(io::ErrorKind::ConnectionAborted, &why)));
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
        let attempt = Attempt::of(&self.numbers);
        self.in_time(&address, &attempt, self.tunnel(number, address.clone(), &attempt)).await
    }
}
