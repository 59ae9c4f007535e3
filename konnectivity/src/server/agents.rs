//! The agent port: agents that dialled in, and what they say.

use super::State;
use super::backends::Backend;
use super::pending::Pending;
use crate::TlsFiles;
use crate::carry::shared::{Outgoing, Shared, Side, outbox};
use crate::carry::{End, lane};
use crate::identifiers::Identifiers;
use crate::keepalive;
use crate::tls::Reloaded;
use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::header::HeaderName;
use http::{HeaderValue, Request};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tinyplane_konnectivity_client::packet::Packet;
use tinyplane_konnectivity_client::stream::{PacketReader, PacketWriter, StreamError};
use tinyplane_konnectivity_client::{grpc, link};
use tinyplane_wire::identity::tls::{self, ALPN_HTTP2, ClientAuth, TlsLimits};
use tinyplane_wire::net::{Accepted, Sources, bind};
use tinyplane_wire::process::{MemberError, told};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// Agents' connections at the same time.
const CONNECTIONS_MAX: usize = 16_384;

/// How long an agent may take to prove who it is.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Binds the port and takes agents in.
pub(super) fn listen(state: &Arc<State>) -> Result<SocketAddr, MemberError> {
    let at = state.config.agents;
    let limits = state.config.tls_limits.clone();
    let make = move |files: &TlsFiles| server_tls(files, &ALPN_HTTP2, &limits);
    let tls = Reloaded::open(state.config.agent_tls.clone(), make)?;
    let bound = bind(at, Sources::any())
        .map_err(|source| MemberError::because(format!("the agent address {at} can't be bound"), source))?;
    let (shared, room) = (Arc::clone(state), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    state.tasks.spawn_acceptor(async move {
        while let Ok(place) = Arc::clone(&room).acquire_owned().await {
            let Accepted { stream, peer } = bound.listener.accept().await;
            let (state, tls) = (Arc::clone(&shared), TlsAcceptor::from(tls.now()));
            shared.tasks.spawn(async move {
                match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
                    Ok(Ok(stream)) => connection(&state, stream, peer).await,
                    Ok(Err(error)) => tracing::info!(%peer, %error, "refused an agent"),
                    Err(_) => tracing::info!(%peer, "an agent did not finish its TLS handshake in time"),
                }
                drop(place);
            });
        }
    });
    Ok(bound.address)
}

/// Settings of a listener: clients show a certificate where there is an authority for them.
pub(super) fn server_tls(files: &TlsFiles, alpn: &[&[u8]], limits: &TlsLimits) -> Result<ServerConfig, MemberError> {
    let pair = files.read_pair()?.ok_or_else(|| MemberError::new("a listener needs a certificate and its key"))?;
    let clients = files.read_authority()?.map_or(ClientAuth::None, ClientAuth::Required);
    tls::server_within(&pair, &clients, alpn, limits).map_err(|source| files.unusable(source))
}

/// Serves one connection: its streams are the agent's call and, with our agents, one lane for each dial.
async fn connection(
    state: &Arc<State>,
    stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    peer: SocketAddr,
) {
    let mut connection = match link::server().handshake::<_, Bytes>(stream).await {
        Ok(connection) => connection,
        Err(error) => return tracing::info!(%peer, %error, "an agent speaks no HTTP/2"),
    };
    let agent: Arc<OnceLock<Arc<Backend>>> = Arc::default();
    let pings = connection.ping_pong();
    let mut silent = std::pin::pin!(keepalive::until_silent(pings, state.config.keepalive, &state.clock));
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept() => accepted,
            () = &mut silent => return tracing::info!(%peer, "an agent does not answer any more"),
        };
        match accepted {
            Some(Ok((request, respond))) => called(state, &agent, request, respond),
            Some(Err(error)) => return tracing::debug!(%peer, %error, "an agent's connection broke"),
            None => return,
        }
    }
}

fn called(
    state: &Arc<State>,
    agent: &Arc<OnceLock<Arc<Backend>>>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    match (request.uri().path(), agent.get()) {
        (grpc::LANE_PATH, Some(backend)) if backend.lanes => open_lane(backend, request, respond),
        (grpc::CONNECT_PATH, None) => {
            let (state, agent) = (Arc::clone(state), Arc::clone(agent));
            Arc::clone(&state).tasks.spawn(async move { serve(&state, &agent, request, respond).await });
        }
        (path, _) => {
            let told = format!("unknown service or method {path}");
            drop(respond.send_response(grpc::refusal(grpc::Code::Unimplemented, &told), true));
        }
    }
}

/// A stream that answers a dial.
fn open_lane(backend: &Backend, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let random = text_of(&request, &grpc::DIAL_ID).and_then(|text| text.parse().ok());
    let Some(random) = random.filter(|&random| backend.pending.waits_for(random)) else {
        return respond.send_reset(h2::Reason::CANCEL);
    };
    match respond.send_response(grpc::response(), false) {
        Ok(to) => backend.lane(random, lane(Side::Server, to, request.into_body())),
        Err(error) => tracing::debug!(%error, "an agent gave up a lane at once"),
    }
}

/// Serves an agent's call for as long as it lasts.
async fn serve(
    state: &State,
    agent: &OnceLock<Arc<Backend>>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let Some(agent_id) = text_of(&request, &grpc::AGENT_ID).filter(|_| one(&request, &grpc::AGENT_ID)) else {
        let told = "exactly one agentID is needed";
        return drop(respond.send_response(grpc::refusal(grpc::Code::InvalidArgument, told), true));
    };
    let identifiers = match identifiers_of(&request) {
        Ok(identifiers) => identifiers,
        Err(why) => return drop(respond.send_response(grpc::refusal(grpc::Code::InvalidArgument, &why), true)),
    };
    if let Some(tokens) = &state.tokens
        && let Err(error) = tokens.admit(request.headers()).await
    {
        tracing::info!(agent = agent_id, error = told(&error), "refused an agent");
        return drop(respond.send_response(grpc::refusal(grpc::Code::Unauthenticated, &error.to_string()), true));
    }
    let lanes = !state.config.plain && request.headers().contains_key(grpc::LANES);
    let (outbox, outgoing) = outbox(state.numbers.to_agent.clone());
    let shared = Shared::new(Side::Server, state.config.overflow, outbox.clone(), state.numbers.flow.clone());
    let pending = Pending::new(state.numbers.pending_dials.clone());
    let backend = Arc::new(Backend::new((agent_id, identifiers), lanes, outbox, pending, shared));
    if agent.set(Arc::clone(&backend)).is_err() {
        let told = "one call for each connection";
        return drop(respond.send_response(grpc::refusal(grpc::Code::InvalidArgument, told), true));
    }
    let to = match respond.send_response(greeting(state, lanes), false) {
        Ok(to) => to,
        Err(error) => return tracing::debug!(%error, "an agent left at once"),
    };
    let _counted = state.numbers.agent_streams.hold();
    let connected = Connected { state, backend: &backend };
    state.backends.add(Arc::clone(&backend));
    tracing::info!(agent = backend.agent_id, lanes, "an agent connected");
    let ended =
        converse(state, &backend, PacketReader::new(request.into_body()), PacketWriter::new(to), outgoing).await;
    drop(connected);
    match ended {
        Ok(()) => tracing::info!(agent = backend.agent_id, "an agent left"),
        Err(error) => {
            state.numbers.stream_broke("from_agent");
            tracing::info!(agent = backend.agent_id, error = ?error, "an agent's connection was lost");
        }
    }
}

/// What an agent learns before anything else.
fn greeting(state: &State, lanes: bool) -> http::Response<()> {
    let mut greeting = grpc::response();
    let headers = greeting.headers_mut();
    if let Ok(id) = HeaderValue::try_from(&state.config.server_id) {
        headers.insert(grpc::SERVER_ID, id);
    }
    headers.insert(grpc::SERVER_COUNT, HeaderValue::from(state.config.server_count));
    if lanes {
        headers.insert(grpc::LANES, grpc::YES);
    }
    greeting
}

/// An agent that is there. When it goes, however that comes, its dials and connections end with it.
struct Connected<'a> {
    state: &'a State,
    backend: &'a Arc<Backend>,
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.state.backends.remove(self.backend);
        self.backend.pending.end();
        self.backend.shared.end();
    }
}

async fn converse(
    state: &State,
    backend: &Backend,
    mut from: PacketReader,
    mut to: PacketWriter,
    outgoing: Outgoing,
) -> Result<(), StreamError> {
    let hear = async {
        while let Some(packet) = from.next().await? {
            heard(state, backend, packet).await;
        }
        Ok(())
    };
    let say = async { outgoing.run(&mut to).await.map_err(StreamError::from) };
    let ended = tokio::select! {
        ended = hear => ended,
        ended = say => ended,
    };
    if ended.is_ok() {
        to.succeed()?;
    }
    ended
}

async fn heard(state: &State, backend: &Backend, packet: Packet) {
    state.numbers.from_agent.count(&packet);
    match packet {
        Packet::DialResponse(response) => backend.answered(response, state),
        Packet::Data(data) => {
            let connect_id = data.connect_id;
            if !backend.shared.deliver(data).await {
                backend.disown(connect_id);
            }
        }
        Packet::CloseResponse(closed) => {
            let end = if closed.error.is_empty() { End::Closed } else { End::Reset(closed.error) };
            // One that nobody has was closed at both ends at once.
            backend.shared.closed(closed.connect_id, end);
        }
        Packet::Drain => {
            tracing::info!(agent = backend.agent_id, "an agent drains");
            backend.drain();
        }
        other @ (Packet::DialRequest(_) | Packet::CloseRequest(_) | Packet::CloseDial(_)) => {
            tracing::debug!(packet = other.name(), "a packet that no agent should send");
        }
    }
}

fn text_of(request: &Request<RecvStream>, name: &HeaderName) -> Option<String> {
    Some(request.headers().get(name)?.to_str().ok()?.to_owned())
}

/// What an agent says that it can reach.
fn identifiers_of(request: &Request<RecvStream>) -> Result<Identifiers, String> {
    let mut values = request.headers().get_all(grpc::AGENT_IDENTIFIERS).iter();
    match (values.next().map(HeaderValue::to_str), values.next()) {
        (None, _) => Ok(Identifiers::default()),
        (Some(Ok(text)), None) => Identifiers::parse(text).map_err(|e| e.to_string()),
        _ => Err("at most one agentIdentifiers is taken".into()),
    }
}

fn one(request: &Request<RecvStream>, name: &HeaderName) -> bool {
    request.headers().get_all(name).iter().count() == 1
}
