//! An agent and a frontend that say exactly what a test wants: upstream's, or worse ones.

use crate::api::TOKEN;
use crate::rig::{Rig, within};
use bytes::Bytes;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use std::net::SocketAddr;
use tinyplane_konnectivity_client::packet::{DialRequest, DialResponse, Packet};
use tinyplane_konnectivity_client::stream::{PacketReader, PacketWriter};
use tinyplane_konnectivity_client::{grpc, link};
use tinyplane_wire::identity::tls::ALPN_HTTP2;
use tinyplane_wire::net::{Stream, TcpDial, UnixDial};
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

/// A connection to a server's frontend, before anything is said.
pub(crate) async fn frontend_stream(rig: &Rig) -> Box<dyn Stream> {
    match rig.frontend_at() {
        Some(at) => over_tls(rig, "frontend", at).await,
        None => Box::new(UnixDial::to(rig.path("k.sock")).connect().unwrap()),
    }
}

pub(crate) async fn over_tls(rig: &Rig, name: &str, at: SocketAddr) -> Box<dyn Stream> {
    let alpn = if name == "agent" { &ALPN_HTTP2 } else { rig.frontend_alpn() };
    let stream = TcpDial::from(None).connect(at).await.unwrap();
    let tls = TlsConnector::from(std::sync::Arc::new(rig.client_tls(name, alpn)));
    Box::new(tls.connect(at.ip().into(), stream).await.unwrap())
}

/// What TLS says to an agent with the rig's certificate, which the server has to refuse.
pub(crate) async fn refused_agent(rig: &Rig) -> String {
    let at = rig.agents_at();
    let stream = TcpDial::from(None).connect(at).await.unwrap();
    let tls = TlsConnector::from(std::sync::Arc::new(rig.client_tls("agent", &ALPN_HTTP2)));
    // In TLS 1.3 the client is done first, and hears of it when it reads.
    let mut stream = tls.connect(at.ip().into(), stream).await.unwrap();
    within(stream.read(&mut [0])).await.unwrap_err().to_string()
}

/// One end of a stream of packets.
pub(crate) struct Peer {
    from: PacketReader,
    to: PacketWriter,
    _connection: AbortOnDropHandle<()>,
}

impl Peer {
    /// An agent that speaks upstream's protocol.
    pub(crate) async fn agent(rig: &Rig, id: &str) -> Self {
        Self::agent_that_says(rig, id, "").await
    }

    /// The same, with identifiers.
    pub(crate) async fn agent_that_says(rig: &Rig, id: &str, identifiers: &str) -> Self {
        let at = rig.agents_at();
        let stream = over_tls(rig, "agent", at).await;
        let mut request = grpc::request("https", "konnectivity", grpc::CONNECT_PATH).unwrap();
        request.headers_mut().insert(grpc::AGENT_ID, HeaderValue::try_from(id).unwrap());
        request.headers_mut().insert(grpc::AGENT_IDENTIFIERS, HeaderValue::try_from(identifiers).unwrap());
        if rig.setup.token {
            let token = HeaderValue::try_from(format!("Bearer {TOKEN}")).unwrap();
            request.headers_mut().insert(AUTHORIZATION, token);
        }
        Self::open(stream, request).await
    }

    /// A frontend that speaks upstream's protocol.
    pub(crate) async fn frontend(rig: &Rig) -> Self {
        let request = grpc::request("http", "konnectivity", grpc::PROXY_PATH).unwrap();
        Self::open(frontend_stream(rig).await, request).await
    }

    async fn open(stream: Box<dyn Stream>, request: http::Request<()>) -> Self {
        let (client, connection) = link::client().handshake::<_, Bytes>(stream).await.unwrap();
        let driven = tokio::spawn(async move { drop(connection.await) });
        let (response, to) = client.ready().await.unwrap().send_request(request, false).unwrap();
        let response = within(response).await.unwrap();
        assert_eq!(grpc::failure_in(response.headers()), None);
        if let Some(id) = response.headers().get(grpc::SERVER_ID) {
            assert_eq!(id, "server-1");
            assert_eq!(response.headers()[grpc::SERVER_COUNT], "1");
        }
        let from = PacketReader::new(response.into_body());
        Self { from, to: PacketWriter::new(to), _connection: AbortOnDropHandle::new(driven) }
    }

    pub(crate) fn say(&mut self, packet: Packet) {
        self.to.send(packet).unwrap();
    }

    /// Asks for a close once there is room for it.
    pub(crate) async fn say_close(&mut self, connect_id: i64) {
        if self.to.ready().await.is_err() {
            return std::future::pending().await;
        }
        self.say(Packet::CloseRequest(tinyplane_konnectivity_client::packet::CloseRequest { connect_id }));
    }

    /// Says what is no packet.
    pub(crate) fn say_raw(&mut self, bytes: &'static [u8]) {
        self.to.send_encoded(Bytes::from_static(bytes)).unwrap();
    }

    pub(crate) async fn say_bytes(&mut self, connect_id: i64, bytes: Bytes) {
        within(self.to.ready()).await.unwrap();
        self.to.send_bytes(connect_id, bytes).unwrap();
    }

    /// The next packet; nothing at the end, however it comes.
    pub(crate) async fn hears(&mut self) -> Option<Packet> {
        within(self.from.next()).await.ok().flatten()
    }

    pub(crate) async fn hears_dial(&mut self) -> DialRequest {
        match self.hears().await {
            Some(Packet::DialRequest(dial)) => dial,
            other => panic!("{other:?} is no dial"),
        }
    }

    /// Takes a dial and answers it.
    pub(crate) async fn takes_dial(&mut self, connect_id: i64) {
        let random = self.hears_dial().await.random;
        self.say(Packet::DialResponse(DialResponse::made(random, connect_id)));
    }

    /// Dials, and gives the connection's number or the error.
    pub(crate) async fn dials(&mut self, address: &str) -> Result<i64, String> {
        let dial = DialRequest { protocol: "tcp".into(), address: address.into(), random: 7 };
        self.say(Packet::DialRequest(dial));
        match self.hears().await {
            Some(Packet::DialResponse(answer)) if answer.error.is_empty() => Ok(answer.connect_id),
            Some(Packet::DialResponse(answer)) => Err(answer.error),
            other => panic!("{other:?} answers no dial"),
        }
    }
}
