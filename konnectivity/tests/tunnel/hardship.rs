//! The tunnel while something at one of its ends goes wrong.

use crate::peers::Peer;
use crate::rig::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tinyplane_konnectivity_client::packet::{CloseRequest, CloseResponse, Data, DialResponse, Packet};
use tinyplane_wire::net::{Dial, TcpDial};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SETUPS: [Setup; 2] = [GRPC, CONNECT];

fn somewhere() -> std::net::SocketAddr {
    "127.85.0.9:10250".parse().unwrap()
}

#[tokio::test]
async fn half_close_is_carried_both_ways() {
    for setup in [GRPC, CONNECT, GRPC_TCP, CONNECT_TCP] {
        let (_rig, server, agent, dial) = Rig::all(setup).await;
        // Counts what it gets until its peer has said everything, and only then answers.
        let to = endpoint(async |mut stream: TcpStream| {
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).await.unwrap();
            stream.write_all(format!("{} bytes", heard.len()).as_bytes()).await.unwrap();
        });
        let mut stream = open(&*dial, to).await;
        stream.write_all(&pattern(1_000_000, 1)).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        within(stream.read_to_string(&mut answer)).await.unwrap();
        assert_eq!(answer, "1000000 bytes", "{setup:?}");
        // The other way: the endpoint ends first and still listens.
        let (to, listener) = listen();
        let mut stream = open(&*dial, to).await;
        let mut accepted = within(listener.accept()).await.stream;
        accepted.write_all(b"that is all").await.unwrap();
        accepted.shutdown().await.unwrap();
        answer.clear();
        within(stream.read_to_string(&mut answer)).await.unwrap();
        assert_eq!(answer, "that is all", "{setup:?}");
        stream.write_all(b"and yet").await.unwrap();
        stream.shutdown().await.unwrap();
        answer.clear();
        within(accepted.read_to_string(&mut answer)).await.unwrap();
        assert_eq!(answer, "and yet", "{setup:?}");
        drop(stream);
        server.shows("server_established_connections", 0).await;
        agent.shows("agent_open_endpoint_connections", 0).await;
    }
}

#[tokio::test]
async fn a_half_closed_connection_whose_client_leaves_is_not_kept() {
    for setup in SETUPS {
        let (_rig, server, agent, dial) = Rig::all(setup).await;
        let (to, listener) = listen();
        let mut stream = open(&*dial, to).await;
        let mut accepted = within(listener.accept()).await.stream;
        stream.shutdown().await.unwrap();
        assert_eq!(within(accepted.read(&mut [0])).await.unwrap(), 0, "{setup:?}");
        server.shows("server_established_connections", 1).await;
        drop(stream);
        server.shows("server_established_connections", 0).await;
        agent.shows("agent_open_endpoint_connections", 0).await;
    }
}

#[tokio::test]
async fn a_reset_at_the_endpoint_is_a_reset_for_the_client() {
    let (_rig, server, agent, dial) = Rig::all(GRPC).await;
    let (to, listener) = listen();
    let mut stream = open(&*dial, to).await;
    let accepted = within(listener.accept()).await.stream;
    accepted.set_zero_linger().unwrap();
    drop(accepted);
    let error = within(stream.read(&mut [0])).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    server.shows("server_established_connections", 0).await;
    agent.shows("agent_open_endpoint_connections", 0).await;
}

#[tokio::test]
async fn pending_dials_end_with_their_agent() {
    for setup in SETUPS {
        let rig = Rig::new(setup);
        let server = rig.server().await;
        let mut agent = Peer::agent(&rig, "silent").await;
        let dial = rig.dial();
        let (error, ()) = tokio::join!(refused(&*dial, somewhere()), async {
            assert_eq!(agent.hears_dial().await.address, somewhere().to_string());
            server.shows("server_pending_backend_dials", 1).await;
            drop(agent);
        });
        assert!(error.to_string().contains("connection was lost"), "{error}");
        server.shows("server_pending_backend_dials", 0).await;
        server.shows("server_dial_failure_count{reason=\"backend_close\"}", 1).await;
    }
}

#[tokio::test]
async fn a_dial_that_is_given_up_is_taken_back_and_its_late_answer_closed() {
    for setup in SETUPS {
        let rig = Rig::new(setup);
        let server = rig.server().await;
        let mut agent = Peer::agent(&rig, "slow").await;
        let dial = rig.dial();
        let random = tokio::select! {
            _ = refused(&*dial, somewhere()) => panic!("nobody answered"),
            dialled = agent.hears_dial() => dialled.random,
        };
        assert!(matches!(agent.hears().await, Some(Packet::CloseDial(close)) if close.random == random));
        server.shows("server_pending_backend_dials", 0).await;
        server.shows("server_dial_failure_count{reason=\"frontend_close\"}", 1).await;
        // Upstream's agents take no notice, and connect.
        agent.say(Packet::DialResponse(DialResponse { error: String::new(), connect_id: 5, random }));
        let close = Packet::CloseRequest(CloseRequest { connect_id: 5 });
        assert_eq!(agent.hears().await, Some(close));
    }
}

#[tokio::test]
async fn a_dial_that_our_agent_is_making_can_be_given_up() {
    let (_rig, server, agent, dial) = Rig::all(GRPC).await;
    let tasks = tokio::runtime::Handle::current().metrics();
    let before = tasks.num_alive_tasks();
    let mut dials = Vec::new();
    for _ in 0..50 {
        dials.push(dial.dial("127.85.0.3", 1));
    }
    // All at once, and dropped wherever they are.
    let all = futures_util::future::join_all(dials);
    drop(tokio::time::timeout(Duration::from_millis(3), all).await);
    server.shows("server_pending_backend_dials", 0).await;
    agent.shows("agent_open_endpoint_connections", 0).await;
    eventually("all tasks have ended", async || tasks.num_alive_tasks() <= before).await;
}

#[tokio::test]
async fn an_agent_that_does_not_answer_in_time_fails_the_dial() {
    let rig = Rig::new(CONNECT);
    let server = rig.server_with(|config| config.backend_dial_timeout = Some(Duration::from_millis(50))).await;
    let _agent = Peer::agent(&rig, "silent").await;
    let error = refused(&*rig.dial(), somewhere()).await;
    assert!(error.to_string().contains("504"), "{error}");
    server.shows("server_dial_failure_count{reason=\"backend_dial_timeout\"}", 1).await;
}

/// Sends for ever, and counts what it could.
fn flood() -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let to = endpoint(move |mut stream: TcpStream| {
        let counted = Arc::clone(&counted);
        async move {
            while stream.write_all(&[7; 16 * 1024]).await.is_ok() {
                counted.fetch_add(16 * 1024, Ordering::Relaxed);
            }
        }
    });
    (to, sent)
}

/// Round trips beside a stream in which its number may not rise before it counts as standing still.
const QUIET_ROUND_TRIPS: usize = 50;

/// Waits until a number has stopped rising: it stays while other bytes go to and fro through the same tunnel.
async fn steady(number: &AtomicUsize, dial: &dyn Dial) -> usize {
    let mut beside = open(dial, echo()).await;
    let (mut last, mut quiet) = (0, 0);
    within(async {
        while quiet < QUIET_ROUND_TRIPS {
            converse(&mut beside, "tick").await;
            let now = number.load(Ordering::Relaxed);
            quiet = if now > 0 && now == last { quiet + 1 } else { 0 };
            last = now;
        }
    })
    .await;
    last
}

#[tokio::test]
async fn a_reader_that_stops_neither_grows_memory_nor_stops_others() {
    for setup in SETUPS {
        let (_rig, server, agent, dial) = Rig::all(setup).await;
        let (to, sent) = flood();
        let stalled = open(&*dial, to).await;
        let bytes = steady(&sent, &*dial).await;
        // The sockets of the kernel hold most of it.
        assert!(bytes < 16 * 1024 * 1024, "{bytes} bytes are under way, unread");
        let mut other = open(&*dial, echo()).await;
        converse(&mut other, "still here").await;
        drop((stalled, other));
        server.shows("server_established_connections", 0).await;
        agent.shows("agent_open_endpoint_connections", 0).await;
    }
}

#[tokio::test]
async fn behind_upstreams_agent_a_reader_that_stops_is_closed_after_a_grace() {
    let (_rig, server, agent, dial) = Rig::all(CONNECT_PLAIN).await;
    let (to, sent) = flood();
    let mut stalled = open(&*dial, to).await;
    steady(&sent, &*dial).await;
    let mut other = open(&*dial, echo()).await;
    converse(&mut other, "still here").await;
    agent.shows("agent_open_endpoint_connections", 1).await;
    drop(within(stalled.read_to_end(&mut Vec::new())).await);
    drop(other);
    server.shows("server_established_connections", 0).await;
    agent.shows("agent_open_endpoint_connections", 0).await;
}

#[tokio::test]
async fn an_agent_that_drains_is_spared_while_there_is_another() {
    let rig = Rig::new(GRPC);
    let server = rig.server().await;
    let first = rig.agent("first").await;
    let mut kept = open(&*rig.dial(), echo()).await;
    converse(&mut kept, "before").await;
    first.drain.cancel();
    // It is the only one: it still serves.
    converse(&mut open(&*rig.dial(), echo()).await, "alone").await;
    let second = rig.agent("second").await;
    server.shows("server_ready_backend_connections", 2).await;
    first.shows("agent_open_endpoint_connections", 1).await;
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push(open(&*rig.dial(), echo()).await);
    }
    second.shows("agent_open_endpoint_connections", 10).await;
    first.shows("agent_open_endpoint_connections", 1).await;
    converse(&mut kept, "after").await;
}

#[tokio::test]
async fn a_second_connection_of_an_agent_does_not_disturb_the_first() {
    let rig = Rig::new(GRPC);
    let server = rig.server().await;
    let first = rig.agent("twin").await;
    let mut kept = open(&*rig.dial(), echo()).await;
    let second = rig.agent("twin").await;
    server.shows("server_grpc_connections{service_method=\"Connect\"}", 2).await;
    converse(&mut kept, "undisturbed").await;
    let _more = open(&*rig.dial(), echo()).await;
    first.shows("agent_open_endpoint_connections", 2).await;
    second.stop().await;
    server.shows("server_grpc_connections{service_method=\"Connect\"}", 1).await;
    converse(&mut kept, "still").await;
    // And when the first one goes, the other takes over.
    let third = rig.agent("twin").await;
    server.shows("server_grpc_connections{service_method=\"Connect\"}", 2).await;
    first.stop().await;
    server.shows("server_grpc_connections{service_method=\"Connect\"}", 1).await;
    converse(&mut open(&*rig.dial(), echo()).await, "over").await;
    drop(third);
}

#[tokio::test]
async fn readiness_follows_the_connection() {
    let rig = Rig::new(GRPC);
    let server = rig.server().await;
    assert_eq!(server.get("/healthz").await, (200, "ok".into()));
    assert_eq!(server.get("/readyz").await, (500, "no connection to any proxy agent".into()));
    assert_eq!(server.get("/nothing").await.0, 404);
    let agent = rig.agent("agent-1").await;
    assert_eq!(agent.get("/healthz").await, (200, "ok".into()));
    assert_eq!(agent.get("/readyz").await, (200, "ok".into()));
    assert!(agent.get("/readyz?verbose").await.1.contains("[+]server-connected ok"));
    eventually("the server is ready", async || server.get("/readyz").await.0 == 200).await;
    server.stop().await;
    eventually("the agent is not ready", async || agent.get("/readyz").await.0 == 503).await;
    assert!(agent.get("/readyz").await.1.contains("[-]server-connected"));
}

#[tokio::test]
async fn peers_of_another_authority_are_refused() {
    let rig = Rig::new(GRPC_TCP);
    let server = rig.server().await;
    let stranger = Rig::new(GRPC_TCP);
    let mut config = rig.agent_config("stranger");
    config.tls = stranger.tls("agent");
    let foreign = rig.start_agent(config).await;
    let mut config = rig.agent_config("half-stranger");
    config.tls.pair = stranger.tls("agent").pair;
    let half = rig.start_agent(config).await;
    // Both have been refused by the time that an agent of ours, which came later, is served.
    let _ours = rig.agent("ours").await;
    server.shows("server_ready_backend_connections", 1).await;
    assert_eq!(foreign.get("/readyz").await.0, 503);
    assert_eq!(half.get("/readyz").await.0, 503);
}

#[tokio::test]
async fn http_connect_takes_connect_and_nothing_else() {
    let (rig, _server, _agent, _dial) = Rig::all(CONNECT).await;
    for (request, code) in [("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "405"), ("nonsense\r\n\r\n", "400")] {
        let mut stream = tinyplane_wire::net::UnixDial::to(rig.path("k.sock")).connect().await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 12];
        within(stream.read_exact(&mut answer)).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), format!("HTTP/1.1 {code}"));
    }
}

#[tokio::test]
async fn an_agent_finds_every_server_behind_one_address() {
    let (rig, other) = (Rig::new(GRPC), Rig::new(GRPC));
    // What is dialled, and verified, is the balancer.
    rig.issue_for("server", "127.85.0.3".parse().unwrap());
    let first = rig.server_with(|config| config.server_count = 2).await;
    let second = other
        .server_with(|config| {
            (config.server_count, config.server_id) = (2, "server-2".into());
            config.agent_tls = rig.tls("server");
        })
        .await;
    let servers = [first.at("agent"), second.at("agent")];
    let turn = Arc::new(AtomicUsize::new(0));
    let balancer = endpoint(move |mut stream: TcpStream| {
        // Two in a row lead to the same server, so that the agent meets it twice.
        let to = servers[turn.fetch_add(1, Ordering::Relaxed) / 2 % 2];
        async move {
            let mut server = TcpDial::from(None).connect(to).await.unwrap();
            drop(tokio::io::copy_bidirectional(&mut stream, &mut server).await);
        }
    });
    let mut config = rig.agent_config("agent-1");
    config.server_port = balancer.port();
    config.server_host = balancer.ip().to_string();
    let agent = rig.start_agent(config).await;
    agent.shows("agent_open_server_connections", 2).await;
    agent.shows("agent_known_server_count", 2).await;
    first.shows("server_ready_backend_connections", 1).await;
    second.shows("server_ready_backend_connections", 1).await;
    second.stop().await;
    agent.shows("agent_open_server_connections", 1).await;
    converse(&mut open(&*rig.dial(), echo()).await, "the other one").await;
}

#[tokio::test]
async fn upstreams_agent_is_served_in_its_own_words() {
    let rig = Rig::new(GRPC);
    let server = rig.server().await;
    let mut agent = Peer::agent(&rig, "upstream").await;
    let mut frontend = Peer::frontend(&rig).await;
    let address = somewhere().to_string();
    let (dialled, ()) = tokio::join!(frontend.dials(&address), agent.takes_dial(3));
    let connect_id = dialled.unwrap();
    frontend.say_bytes(connect_id, "up".into()).await;
    let data =
        |connect_id, data: &'static str| Packet::Data(Data { connect_id, error: String::new(), data: data.into() });
    assert_eq!(agent.hears().await, Some(data(3, "up")));
    // What precedes a close arrives before it, and what belongs to nobody is closed.
    agent.say_bytes(99, "whose?".into()).await;
    assert_eq!(agent.hears().await, Some(Packet::CloseRequest(CloseRequest { connect_id: 99 })));
    agent.say_bytes(3, "down".into()).await;
    agent.say(Packet::CloseResponse(CloseResponse { error: String::new(), connect_id: 3 }));
    assert_eq!(frontend.hears().await, Some(data(connect_id, "down")));
    let closed = Packet::CloseResponse(CloseResponse { error: String::new(), connect_id });
    assert_eq!(frontend.hears().await, Some(closed));
    assert_eq!(frontend.hears().await, None);
    server.shows("server_established_connections", 0).await;
    // A refusal is passed on in the agent's words.
    let mut frontend = Peer::frontend(&rig).await;
    let (dialled, ()) = tokio::join!(frontend.dials(&address), async {
        let random = agent.hears_dial().await.random;
        agent.say(Packet::DialResponse(DialResponse { error: "no way".into(), connect_id: 0, random }));
    });
    assert_eq!(dialled, Err("no way".into()));
    // A close by the frontend reaches the agent behind the data.
    let mut frontend = Peer::frontend(&rig).await;
    let (dialled, ()) = tokio::join!(frontend.dials(&address), agent.takes_dial(4));
    let connect_id = dialled.unwrap();
    frontend.say_bytes(connect_id, "last words".into()).await;
    frontend.say(Packet::CloseRequest(CloseRequest { connect_id }));
    assert_eq!(agent.hears().await, Some(data(4, "last words")));
    assert_eq!(agent.hears().await, Some(Packet::CloseRequest(CloseRequest { connect_id: 4 })));
    let closed = Packet::CloseResponse(CloseResponse { error: String::new(), connect_id });
    assert_eq!(frontend.hears().await, Some(closed));
}

#[tokio::test]
async fn peers_that_lie_hurt_only_themselves() {
    let (rig, server, _agent, dial) = Rig::all(GRPC).await;
    let to = echo();
    let mut honest = open(&*dial, to).await;
    // A frontend that closes what it never dialled is told so.
    let mut frontend = Peer::frontend(&rig).await;
    frontend.say(Packet::CloseRequest(CloseRequest { connect_id: 1 }));
    assert!(matches!(frontend.hears().await, Some(Packet::CloseResponse(told)) if !told.error.is_empty()));
    // One that uses another's connection loses its own.
    let connect_id = frontend.dials(&to.to_string()).await.unwrap();
    frontend.say_bytes(connect_id - 1, "not mine".into()).await;
    assert!(matches!(frontend.hears().await, Some(Packet::CloseResponse(told)) if !told.error.is_empty()));
    // An agent that answers what nobody asked, twice, and floods what nobody has, is only told to stop.
    let mut liar = Peer::agent(&rig, "liar").await;
    for _ in 0..2 {
        let answer = DialResponse { error: String::new(), connect_id: 1, random: 42 };
        liar.say(Packet::DialResponse(answer));
        assert_eq!(liar.hears().await, Some(Packet::CloseRequest(CloseRequest { connect_id: 1 })));
    }
    for connect_id in 0..2000 {
        liar.say_bytes(connect_id, pattern(100, 1).into()).await;
    }
    drop(liar);
    server.shows("server_ready_backend_connections", 1).await;
    converse(&mut honest, "undisturbed").await;
    converse(&mut open(&*dial, to).await, "and open to others").await;
}

#[tokio::test]
async fn a_server_that_ends_gracefully_lets_connections_finish() {
    let rig = Rig::new(GRPC);
    let server = rig.server_with(|config| config.graceful_shutdown = DEADLINE).await;
    let _agent = rig.agent("agent-1").await;
    let mut stream = open(&*rig.dial(), echo()).await;
    converse(&mut stream, "before").await;
    let stopped = tokio::spawn(server.stop());
    let dial = rig.dial();
    eventually("new frontends are refused", async || {
        dial.dial("127.0.0.1", 1).await.is_err_and(|e| e.to_string().contains("unix"))
    })
    .await;
    converse(&mut stream, "after").await;
    assert!(!stopped.is_finished());
    drop(stream);
    within(stopped).await.unwrap();
}
