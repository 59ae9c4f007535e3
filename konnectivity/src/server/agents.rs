//! The agent port: agents that dialled in, and what they say.

use super::State;
use super::backends::Backend;
use super::pending::Pending;
use super::port::{self, Carrier, Port};
use crate::carry::shared::{Outgoing, Shared, Side, outbox};
use crate::carry::{Counts, End, lane};
use crate::identifiers::Identifiers;
use crate::keepalive;
use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::header::HeaderName;
use http::{HeaderValue, Request};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tinyplane_konnectivity_client::packet::Packet;
use tinyplane_konnectivity_client::stream::{PacketReader, PacketWriter, StreamError};
use tinyplane_konnectivity_client::{grpc, link};
use tinyplane_wire::identity::tls::ALPN_HTTP2;
use tinyplane_wire::process::{MemberError, told};
use tinyplane_wire::turn::Turn;
use tokio_rustls::server::TlsStream;

/// How long an agent may take, once its connection is there, to be admitted: by a review of its token, maybe.
const ADMISSION_TIMEOUT: Duration = Duration::from_secs(30);

/// Binds the port and takes agents in.
pub(super) fn listen(state: &Arc<State>) -> Result<SocketAddr, MemberError> {
    let (at, files) = (state.config.agents, &state.config.agent_tls);
    port::listen(
        state,
        Port { peers: "agent", at, files, alpn: &ALPN_HTTP2, read_ahead: link::READ_AHEAD_BYTES },
        connection,
    )
}

/// Serves one connection: its streams are the agent's call and, with our agents, one lane for each dial.
async fn connection(state: Arc<State>, stream: TlsStream<Carrier>, peer: SocketAddr) {
    let Some(mut connection) = port::http2(stream, "agent", 0).await else { return };
    let agent: Arc<Called> = Arc::default();
    let mut stranger = std::pin::pin!(stays_a_stranger(&state, &agent));
    let (pings, turn) = (connection.ping_pong(), Turn::default());
    let mut silent = std::pin::pin!(keepalive::until_silent(pings, state.config.keepalive, &state.clock));
    loop {
        let accepted = tokio::select! {
            accepted = poll_fn(|cx| turn.poll(cx, |cx| connection.poll_accept(cx))) => accepted,
            () = &mut silent => return tracing::info!(%peer, "an agent does not answer any more"),
            () = &mut stranger => return tracing::info!(%peer, "an agent did not say in time who it is"),
        };
        match accepted {
            Some(Ok((request, respond))) => called(&state, &agent, request, respond),
            Some(Err(error)) => return tracing::debug!(%peer, %error, "an agent's connection broke"),
            None => return,
        }
    }
}

/// The one call of a connection by which an agent says who it is.
#[derive(Debug, Default)]
struct Called {
    /// Whether one is under way or was admitted: others are refused, so that a stranger is asked about once at a time.
    taken: AtomicBool,
    admitted: OnceLock<Arc<Backend>>,
}

/// Ends when the agent is not admitted in time.
async fn stays_a_stranger(state: &State, agent: &Called) {
    state.clock.sleep(ADMISSION_TIMEOUT).await;
    if agent.admitted.get().is_some() {
        std::future::pending::<()>().await;
    }
}

fn called(state: &Arc<State>, agent: &Arc<Called>, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    match (request.uri().path(), agent.admitted.get()) {
        (grpc::LANE_PATH, Some(backend)) if backend.lanes => open_lane(state, backend, request, respond),
        (grpc::CONNECT_PATH, _) if agent.taken.swap(true, Ordering::Relaxed) => {
            let told = "one call for each connection";
            drop(respond.send_response(grpc::refusal(grpc::Code::InvalidArgument, told), true));
        }
        (grpc::CONNECT_PATH, _) => {
            let (state, agent) = (Arc::clone(state), Arc::clone(agent));
            Arc::clone(&state).tasks.spawn(async move {
                serve(&state, &agent.admitted, request, respond).await;
                agent.taken.store(agent.admitted.get().is_some(), Ordering::Relaxed);
            });
        }
        (path, _) => {
            let told = format!("unknown service or method {path}");
            drop(respond.send_response(grpc::refusal(grpc::Code::Unimplemented, &told), true));
        }
    }
}

/// A stream that answers a dial.
fn open_lane(state: &State, backend: &Backend, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let random = text_of(&request, &grpc::DIAL_ID).and_then(|text| text.parse().ok());
    let Some(random) = random.filter(|&random| backend.pending.waits_for(random)) else {
        return respond.send_reset(h2::Reason::CANCEL);
    };
    let counts = Counts { heard: state.numbers.from_agent.clone(), said: state.numbers.to_agent.clone() };
    backend.lane(random, lane(respond, request.into_body(), counts));
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
    let backend = Arc::clone(agent.get_or_init(|| backend));
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
