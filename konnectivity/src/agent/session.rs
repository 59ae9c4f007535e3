//! One connection to one server: the call that it opens, and what the server says in it.

use super::{PATH, State, dial};
use crate::carry::End;
use crate::carry::shared::{Outbox, Outgoing, Shared, Side, outbox};
use crate::keepalive;
use bytes::Bytes;
use h2::PingPong;
use h2::client::SendRequest;
use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue};
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tinyplane_konnectivity_client::packet::{CloseResponse, DialRequest, DialResponse, Packet};
use tinyplane_konnectivity_client::stream::{PacketReader, PacketWriter, StreamError};
use tinyplane_konnectivity_client::{grpc, join_host_port, link};
use tinyplane_wire::identity::tls;
use tinyplane_wire::ledger::{Entry, Recorded};
use tinyplane_wire::process::MemberError;
use tinyplane_wire::turn::Turn;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// How long a connection to a server may take until it has said who it is.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Connections of one session, and dials that are to become some.
const CONNECTIONS_MAX: usize = link::STREAMS_MAX as usize - 1;

/// A session whose server has said who it is.
pub(super) struct Session {
    pub(super) server_id: String,
    pub(super) server_count: usize,
    shared: Arc<Common>,
    from: PacketReader,
    to: PacketWriter,
    outgoing: Outgoing,
    pings: Option<PingPong>,
    connection: AbortOnDropHandle<()>,
}

/// What a session's dials share.
pub(super) struct Common {
    /// Opens lanes, where the server takes them.
    pub(super) lanes: Option<SendRequest<Bytes>>,
    pub(super) outbox: Outbox,
    pub(super) shared: Arc<Shared>,
    /// Told when the session has ended.
    pub(super) ended: CancellationToken,
    connect_ids: AtomicI64,
    open: AtomicUsize,
    pending: Mutex<HashMap<i64, CancellationToken>>,
}

impl Common {
    pub(super) fn next_connect_id(&self) -> i64 {
        self.connect_ids.fetch_add(1, Ordering::Relaxed)
    }
}

/// One of a session's connections, until it is dropped.
pub(super) struct Place(Arc<Common>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A dial that the server may give up, until it is dropped.
pub(super) struct PendingDial {
    common: Arc<Common>,
    random: i64,
    pub(super) given_up: CancellationToken,
}

impl Drop for PendingDial {
    fn drop(&mut self) {
        self.common.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.random);
    }
}

impl Session {
    /// Connects to whichever server is behind the address.
    pub(super) async fn open(state: &State) -> Result<Self, MemberError> {
        let server = join_host_port(&state.config.server_host, state.config.server_port);
        let late = || MemberError::new(format!("{server} did not say who it is within {CONNECT_TIMEOUT:?}"));
        tokio::time::timeout(CONNECT_TIMEOUT, Self::connect(state, &server)).await.map_err(|_| late())?
    }

    async fn connect(state: &State, server: &str) -> Result<Self, MemberError> {
        let config = &state.config;
        let because = |what: &str, source: Box<dyn std::error::Error + Send + Sync>| {
            MemberError::because(format!("{server}: {what}"), source)
        };
        let known = Entry { path: Some(PATH), agent: Some(config.agent_id.clone()), ..Entry::default() };
        let at = (config.server_host.as_str(), config.server_port);
        let stream = state.servers.connect_to_recorded(at, state.ledger.as_ref(), known).await;
        let stream = stream.map_err(|e| because("no connection", e.into()))?;
        let stream = BufReader::with_capacity(link::READ_AHEAD_BYTES, stream);
        let stream = TlsConnector::from(state.tls.now()).connect(state.server_name.clone(), stream).await;
        let mut stream = stream.map_err(|e| because("no TLS", e.into()))?;
        note(&mut stream, state);
        let (client, mut connection) =
            link::client().handshake::<_, Bytes>(stream).await.map_err(|e| because("no HTTP/2", e.into()))?;
        let pings = connection.ping_pong();
        let connection = AbortOnDropHandle::new(tokio::spawn(async move {
            let (turn, mut connection) = (Turn::default(), pin!(connection));
            if let Err(error) = poll_fn(|cx| turn.poll(cx, |cx| connection.as_mut().poll(cx))).await {
                tracing::debug!(%error, "a connection to a server broke");
            }
        }));
        let mut client = client.ready().await.map_err(|e| because("the connection broke", e.into()))?;
        let request = greeting(state).map_err(|e| because("no request", e))?;
        let (response, to) = client.send_request(request, false).map_err(|e| because("no call", e.into()))?;
        let response = response.await.map_err(|e| because("the call failed", e.into()))?;
        if let Some(failure) = grpc::failure_in(response.headers()) {
            return Err(MemberError::new(format!("{server}: {failure}")));
        }
        let server_id = exactly_one(response.headers(), &grpc::SERVER_ID, server)?;
        let server_count = exactly_one(response.headers(), &grpc::SERVER_COUNT, server)?;
        let server_count: i64 = server_count
            .parse()
            .map_err(|e: std::num::ParseIntError| because("its server count is no number", e.into()))?;
        // A negative one is told by a server that was given it, and is as none.
        let server_count = usize::try_from(server_count).unwrap_or_default();
        let lanes = (!config.plain && response.headers().contains_key(grpc::LANES)).then_some(client);
        let (outbox, outgoing) = outbox(state.numbers.from_agent.clone());
        let shared = Arc::new(Common {
            lanes,
            shared: Shared::new(Side::Agent, config.overflow, outbox.clone(), state.numbers.flow.clone()),
            outbox,
            ended: CancellationToken::new(),
            connect_ids: AtomicI64::new(1),
            open: AtomicUsize::new(0),
            pending: Mutex::default(),
        });
        let (from, to) = (PacketReader::new(response.into_body()), PacketWriter::new(to));
        Ok(Self { server_id, server_count, shared, from, to, outgoing, pings, connection })
    }

    /// Serves the server until the session ends.
    pub(super) async fn run(self, state: &Arc<State>) {
        let Self { server_id, shared, mut from, mut to, outgoing, pings, connection, .. } = self;
        let _counted = state.numbers.servers.hold();
        // However this ends, its dials and connections end with it.
        let _ended = Ended(Arc::clone(&shared));
        let hear = async {
            while let Some(packet) = from.next().await? {
                heard(state, &shared, packet).await;
            }
            Ok::<(), StreamError>(())
        };
        let say = async { outgoing.run(&mut to).await.map_err(StreamError::from) };
        let drain = async {
            state.drain.cancelled().await;
            tracing::info!(server = server_id, "asking for no further dials");
            drop(shared.outbox.send(Packet::Drain).await);
            std::future::pending::<()>().await;
        };
        let ended = tokio::select! {
            ended = hear => ended.inspect_err(|_| state.numbers.session_broke(true)),
            ended = say => ended.inspect_err(|_| state.numbers.session_broke(false)),
            () = drain => Ok(()),
            () = keepalive::until_silent(pings, state.config.keepalive, &state.clock) => {
                tracing::info!(server = server_id, "a server does not answer any more");
                Ok(())
            }
        };
        match ended {
            Ok(()) => tracing::info!(server = server_id, "a server ended the session"),
            Err(error) => tracing::info!(server = server_id, ?error, "the connection to a server was lost"),
        }
        drop(connection);
    }
}

/// Tells the ledger what the handshake told.
fn note(stream: &mut TlsStream<BufReader<Recorded<TcpStream>>>, state: &State) {
    let (carrier, connection) = stream.get_mut();
    if let Some(hop) = carrier.get_mut().hop() {
        let pair = state.config.tls.read_pair().ok().flatten();
        hop.speaks(tls::told(connection, true), pair.and_then(|pair| tls::named_by(&pair.certificate)));
    }
}

struct Ended(Arc<Common>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.ended.cancel();
        self.0.shared.end();
    }
}

async fn heard(state: &Arc<State>, common: &Arc<Common>, packet: Packet) {
    state.numbers.to_agent.count(&packet);
    match packet {
        Packet::DialRequest(request) => dial_for(state, common, request),
        Packet::CloseDial(close) => {
            let pending = common.pending.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(given_up) = pending.get(&close.random) {
                given_up.cancel();
            }
        }
        Packet::Data(data) => {
            let connect_id = data.connect_id;
            if !common.shared.deliver(data).await {
                tracing::debug!(connect_id, "data of a connection that nobody has");
            }
        }
        Packet::CloseRequest(close) => {
            let connect_id = close.connect_id;
            if !common.shared.closed(connect_id, End::Closed) {
                let error = "Unknown connectID".to_owned();
                answer(common, Packet::CloseResponse(CloseResponse { error, connect_id }));
            }
        }
        other @ (Packet::DialResponse(_) | Packet::CloseResponse(_) | Packet::Drain) => {
            tracing::debug!(packet = other.name(), "a packet that no server should send");
        }
    }
}

fn dial_for(state: &Arc<State>, common: &Arc<Common>, request: DialRequest) {
    let random = request.random;
    let place = Place(Arc::clone(common));
    if common.open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX {
        let error = format!("the agent has {CONNECTIONS_MAX} connections, which is the most that it takes");
        return answer(common, Packet::DialResponse(DialResponse::refused(random, error)));
    }
    let given_up = common.ended.child_token();
    common.pending.lock().unwrap_or_else(PoisonError::into_inner).insert(random, given_up.clone());
    let pending = PendingDial { common: Arc::clone(common), random, given_up };
    let (state, common) = (Arc::clone(state), Arc::clone(common));
    Arc::clone(&state).tasks.spawn(async move {
        dial::serve(&state, &common, request, pending).await;
        drop(place);
    });
}

/// Answers from where nobody can wait.
fn answer(common: &Common, packet: Packet) {
    if common.outbox.try_send(packet).is_err() {
        tracing::warn!("the server floods us with what needs an answer");
    }
}

fn greeting(state: &State) -> Result<http::Request<()>, Box<dyn std::error::Error + Send + Sync>> {
    let config = &state.config;
    let authority = join_host_port(&config.server_host, config.server_port);
    let mut request = grpc::request("https", &authority, grpc::CONNECT_PATH)?;
    let headers = request.headers_mut();
    headers.insert(grpc::AGENT_ID, HeaderValue::try_from(&config.agent_id)?);
    if !config.agent_identifiers.is_empty() {
        headers.insert(grpc::AGENT_IDENTIFIERS, HeaderValue::try_from(&config.agent_identifiers)?);
    }
    if let Some(file) = &config.token_file {
        let token = std::fs::read_to_string(file).map_err(|e| format!("{} can't be read: {e}", file.display()))?;
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim()))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    if !config.plain {
        headers.insert(grpc::LANES, grpc::YES);
    }
    Ok(request)
}

fn exactly_one(headers: &HeaderMap, name: &HeaderName, server: &str) -> Result<String, MemberError> {
    let mut values = headers.get_all(name).iter();
    match (values.next().and_then(|value| value.to_str().ok()), values.next()) {
        (Some(value), None) => Ok(value.to_owned()),
        _ => Err(MemberError::new(format!("{server}: exactly one {name} is needed in the server's answer"))),
    }
}
