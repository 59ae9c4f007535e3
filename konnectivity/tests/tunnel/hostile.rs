//! Peers that lie, flood, or never read: each hurts itself and nobody else.

use crate::peers::Peer;
use crate::rig::*;
use std::net::SocketAddr;
use std::sync::Arc;
use tinyplane_konnectivity::server::Strategy;
use tinyplane_konnectivity_client::packet::{CloseRequest, CloseResponse, Data, DialRequest, DialResponse, Packet};
use tinyplane_konnectivity_client::stream::{PacketReader, PacketWriter};
use tinyplane_konnectivity_client::{grpc, link};
use tinyplane_wire::identity::tls::{self, ALPN_HTTP2, ClientAuth, KeyPairPem};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// What is no packet: a length beyond every limit, a compressed message, and bytes that are no protobuf.
const NO_PACKETS: [&[u8]; 3] = [&[0, 0x40, 0, 0, 0], &[1, 0, 0, 0, 0], &[0, 0, 0, 0, 2, 0xff, 0xff]];

fn data(connect_id: i64, data: &'static str) -> Packet {
    Packet::Data(Data { connect_id, error: String::new(), data: data.into() })
}

/// An endpoint that belongs to the hostile agent alone.
fn theirs() -> SocketAddr {
    SocketAddr::new(place(66), 1)
}

/// A server whose hostile agent has its own hosts, and an honest agent for all others.
async fn beside_an_honest_agent(hostile: &str) -> (Rig, Member, Member, Peer) {
    let rig = Rig::new(GRPC);
    let strategies = vec![Strategy::DestHost, Strategy::DefaultRoute];
    let server = rig.server_with(|config| config.strategies = strategies).await;
    let mut config = rig.agent_config("honest");
    config.agent_identifiers = "default-route=true".into();
    let honest = rig.start_agent(config).await;
    honest.shows("agent_open_server_connections", 1).await;
    let peer = Peer::agent_that_says(&rig, hostile, &format!("ipv4={}", theirs().ip())).await;
    server.shows("server_ready_backends{proxy_strategy=\"destHost\"}", 1).await;
    (rig, server, honest, peer)
}

#[tokio::test]
async fn what_is_no_packet_ends_the_stream_that_it_came_on() {
    for bytes in NO_PACKETS {
        let (rig, server, _honest, mut agent) = beside_an_honest_agent("garbage").await;
        let mut kept = open(&*rig.dial(), echo()).await;
        let mut frontend = Peer::frontend(&rig).await;
        frontend.say_raw(bytes);
        assert_eq!(frontend.hears().await, None);
        agent.say_raw(bytes);
        assert_eq!(agent.hears().await, None);
        server.shows("server_ready_backends{proxy_strategy=\"destHost\"}", 0).await;
        let broken = "server_stream_errors_total{code=\"Unavailable\",packet_type=\"Unknown\",segment=\"from_agent\"}";
        server.shows(broken, 1).await;
        converse(&mut kept, "undisturbed").await;
        converse(&mut open(&*rig.dial(), echo()).await, "and open to others").await;
    }
}

#[tokio::test]
async fn a_connection_of_another_agent_can_neither_be_written_nor_closed() {
    let (rig, server, _honest, mut thief) = beside_an_honest_agent("thief").await;
    let mut victim = Peer::agent_that_says(&rig, "victim", "host=victim").await;
    server.shows("server_ready_backends{proxy_strategy=\"destHost\"}", 2).await;
    let mut frontend = Peer::frontend(&rig).await;
    let (dialled, ()) = tokio::join!(frontend.dials("victim:1"), victim.takes_dial(7));
    let connect_id = dialled.unwrap();
    let disowned = Packet::CloseRequest(CloseRequest { connect_id: 7 });
    thief.say(data(7, "forged"));
    assert_eq!(thief.hears().await, Some(disowned.clone()));
    thief.say(Packet::CloseResponse(CloseResponse { error: "forged".into(), connect_id: 7 }));
    thief.say(Packet::CloseRequest(CloseRequest { connect_id: 7 }));
    thief.say(data(7, "forged again"));
    assert_eq!(thief.hears().await, Some(disowned));
    victim.say(data(7, "genuine"));
    assert_eq!(frontend.hears().await, Some(data(connect_id, "genuine")));
}

#[tokio::test]
async fn an_answer_is_taken_once_and_a_number_given_once() {
    let (rig, server, _honest, mut agent) = beside_an_honest_agent("twice").await;
    let to = theirs().to_string();
    let mut frontend = Peer::frontend(&rig).await;
    let answer = |connect_id, random| Packet::DialResponse(DialResponse::made(random, connect_id));
    let (dialled, ()) = tokio::join!(frontend.dials(&to), async {
        let random = agent.hears_dial().await.random;
        agent.say(answer(1, random));
        agent.say(answer(2, random));
    });
    let connect_id = dialled.unwrap();
    assert_eq!(agent.hears().await, Some(Packet::CloseRequest(CloseRequest { connect_id: 2 })));
    server.shows("server_dial_failure_count{reason=\"unrecognized_response\"}", 1).await;
    // The number of a connection that goes on is no answer to another dial, which is told so at once.
    let mut second = Peer::frontend(&rig).await;
    let (dialled, ()) = tokio::join!(second.dials(&to), async {
        let random = agent.hears_dial().await.random;
        agent.say(answer(1, random));
    });
    assert!(dialled.unwrap_err().contains("another's"));
    agent.say(data(1, "the first goes on"));
    assert_eq!(frontend.hears().await, Some(data(connect_id, "the first goes on")));
    server.shows("server_pending_backend_dials", 0).await;
}

#[tokio::test]
async fn an_agent_that_never_reads_stops_its_own_connections_only() {
    let (rig, server, honest, mut deaf) = beside_an_honest_agent("deaf").await;
    let mut frontend = Peer::frontend(&rig).await;
    let to = theirs().to_string();
    let (dialled, ()) = tokio::join!(frontend.dials(&to), deaf.takes_dial(1));
    let connect_id = dialled.unwrap();
    // Until nothing more is taken: what is under way is bounded by windows.
    let mut sent = 0;
    let piece = bytes::Bytes::from(pattern(32 * 1024, 1));
    let fill = async {
        loop {
            frontend.say_bytes(connect_id, piece.clone()).await;
            sent += piece.len();
        }
    };
    let mut beside = open(&*rig.dial(), echo()).await;
    tokio::select! {
        () = fill => unreachable!("it never ends"),
        () = async { for _ in 0..500 { converse(&mut beside, "tick").await; } } => {}
    }
    assert!(sent < 8 * 1024 * 1024, "{sent} bytes went to an agent that reads none");
    drop(frontend);
    drop(deaf);
    server.shows("server_established_connections", 1).await;
    converse(&mut beside, "still").await;
    drop(beside);
    server.shows("server_established_connections", 0).await;
    honest.shows("agent_open_endpoint_connections", 0).await;
}

#[tokio::test]
async fn a_frontend_that_floods_and_never_reads_waits_for_itself() {
    let (rig, server, _agent, dial) = Rig::all(GRPC).await;
    let mut kept = open(&*dial, echo()).await;
    let mut frontend = Peer::frontend(&rig).await;
    let mut said = 0;
    let flood = async {
        loop {
            frontend.say_close(99).await;
            said += 1;
        }
    };
    tokio::select! {
        () = flood => unreachable!("it never ends"),
        () = async { for _ in 0..500 { converse(&mut kept, "tick").await; } } => {}
    }
    assert!(said > 0);
    drop(frontend);
    drop(kept);
    server.shows("server_grpc_connections{service_method=\"Proxy\"}", 0).await;
    converse(&mut open(&*dial, echo()).await, "and open to others").await;
}

#[tokio::test]
async fn words_that_mean_nothing_change_nothing() {
    let (rig, server, _honest, mut agent) = beside_an_honest_agent("babbler").await;
    for random in 0..2000 {
        agent.say(Packet::CloseDial(tinyplane_konnectivity_client::packet::CloseDial { random }));
        agent.say(Packet::CloseResponse(CloseResponse { error: String::new(), connect_id: random }));
        agent.say(Packet::Drain);
    }
    // It drains, and still serves what nobody else can.
    let mut frontend = Peer::frontend(&rig).await;
    let to = theirs().to_string();
    let (dialled, ()) = tokio::join!(frontend.dials(&to), agent.takes_dial(1));
    assert!(dialled.is_ok());
    drop((frontend, agent));
    server.shows("server_established_connections", 0).await;
    converse(&mut open(&*rig.dial(), echo()).await, "undisturbed").await;
}

#[tokio::test]
async fn a_server_that_lies_does_not_hold_its_agent() {
    let rig = Rig::new(GRPC);
    let read = |file: &str| std::fs::read_to_string(rig.path(file)).unwrap();
    let pair = KeyPairPem { certificate: read("server.crt"), key: read("server.key") };
    let tls = tls::server(&pair, &ClientAuth::Required(read("ca.crt")), &ALPN_HTTP2).unwrap();
    let (tls, turn) = (TlsAcceptor::from(Arc::new(tls)), Arc::new(std::sync::atomic::AtomicUsize::new(0)));
    let at = endpoint_at(HERE, move |stream: TcpStream| {
        let turn = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        lie(tls.clone(), stream, turn)
    });
    rig.agents_connect_to(at);
    let agent = rig.start_agent(rig.agent_config("agent-1")).await;
    // Each lie ends a session, and the agent comes again, until one goes on.
    agent.shows("agent_open_endpoint_connections", 0).await;
    let told = "agent_stream_packets_total{packet_type=\"CLOSE_RSP\",segment=\"from_agent\"}";
    eventually("the agent has answered closes of what it does not have", async || agent.number(told).await >= 3).await;
    eventually("it dialled where it was told", async || {
        agent.number("agent_endpoint_dial_failure_total{reason=\"unknown\"}").await >= 1
    })
    .await;
}

/// A server that says something else to each session.
async fn lie(tls: TlsAcceptor, stream: TcpStream, turn: usize) {
    let Ok(stream) = tls.accept(stream).await else { return };
    let mut connection = link::server(0).handshake::<_, bytes::Bytes>(stream).await.unwrap();
    let Some(Ok((request, mut respond))) = connection.accept().await else { return };
    let driven = tokio::spawn(async move { while connection.accept().await.is_some() {} });
    let mut response = grpc::response();
    // The first ones do not even say who they are, or say it twice, or count in words.
    let (names, count) = match turn {
        0 => (0, "1"),
        1 => (2, "1"),
        2 => (1, "one"),
        _ => (1, "1"),
    };
    for _ in 0..names {
        response.headers_mut().append(grpc::SERVER_ID, http::HeaderValue::from_static("liar"));
    }
    response.headers_mut().insert(grpc::SERVER_COUNT, http::HeaderValue::from_static(count));
    let mut to = PacketWriter::new(respond.send_response(response, false).unwrap());
    let mut from = PacketReader::new(request.into_body());
    if (3..6).contains(&turn) {
        drop(to.send_encoded(bytes::Bytes::from_static(NO_PACKETS[turn - 3])));
    } else if turn >= 6 {
        for connect_id in 0..3 {
            drop(to.send(data(connect_id, "whose?")));
            drop(to.send(Packet::CloseRequest(CloseRequest { connect_id })));
        }
        let dial = DialRequest { protocol: "tcp".into(), address: "nowhere".into(), random: 1 };
        drop(to.send(Packet::DialRequest(dial)));
    }
    while matches!(from.next().await, Ok(Some(_))) {}
    driven.abort();
}

#[tokio::test]
async fn frontends_that_lie_lose_their_own_connection_only() {
    let (rig, server, agent, dial) = Rig::all(GRPC).await;
    let to = echo();
    let mut honest = open(&*dial, to).await;
    // One that closes what it never dialled is told so.
    let mut frontend = Peer::frontend(&rig).await;
    frontend.say(Packet::CloseRequest(CloseRequest { connect_id: 1 }));
    assert!(matches!(frontend.hears().await, Some(Packet::CloseResponse(told)) if !told.error.is_empty()));
    drop(frontend);
    // One that uses another's connection, closes it, or dials twice on one stream, loses its own.
    let lies: [&dyn Fn(i64) -> Packet; 3] =
        [&|own| data(own - 1, "not mine"), &|own| Packet::CloseRequest(CloseRequest { connect_id: own - 1 }), &|_| {
            Packet::DialRequest(DialRequest { protocol: "tcp".into(), address: "a:1".into(), random: 8 })
        }];
    for lie in lies {
        let mut frontend = Peer::frontend(&rig).await;
        let connect_id = frontend.dials(&to.to_string()).await.unwrap();
        frontend.say(lie(connect_id));
        assert!(matches!(frontend.hears().await, Some(Packet::CloseResponse(told)) if !told.error.is_empty()));
        converse(&mut honest, "undisturbed").await;
    }
    // Packets that only an agent has a right to say mean nothing.
    let mut frontend = Peer::frontend(&rig).await;
    let connect_id = frontend.dials(&to.to_string()).await.unwrap();
    frontend.say(Packet::Drain);
    frontend.say(Packet::DialResponse(DialResponse::made(7, connect_id)));
    frontend.say_bytes(connect_id, "still mine".into()).await;
    assert_eq!(frontend.hears().await, Some(data(connect_id, "still mine")));
    server.shows("server_ready_backend_connections", 1).await;
    drop((frontend, honest));
    rig.is_at_rest(dial, &[&server, &agent]).await;
}

#[tokio::test]
async fn an_agent_that_floods_what_nobody_has_is_only_told_to_stop() {
    let (rig, server, agent, dial) = Rig::all(GRPC).await;
    let mut honest = open(&*dial, echo()).await;
    let mut liar = Peer::agent(&rig, "liar").await;
    for _ in 0..2 {
        let answer = DialResponse::made(42, 1);
        liar.say(Packet::DialResponse(answer));
        assert_eq!(liar.hears().await, Some(Packet::CloseRequest(CloseRequest { connect_id: 1 })));
    }
    for connect_id in 0..2000 {
        liar.say_bytes(connect_id, pattern(100, 1).into()).await;
    }
    drop(liar);
    server.shows("server_ready_backend_connections", 1).await;
    converse(&mut honest, "undisturbed").await;
    converse(&mut open(&*dial, echo()).await, "and open to others").await;
    drop(honest);
    rig.is_at_rest(dial, &[&server, &agent]).await;
}

#[tokio::test]
async fn an_agent_that_floods_a_connection_is_slowed_by_its_reader() {
    let (rig, server, honest, mut agent) = beside_an_honest_agent("firehose").await;
    let mut frontend = Peer::frontend(&rig).await;
    let to = theirs().to_string();
    let (dialled, ()) = tokio::join!(frontend.dials(&to), agent.takes_dial(1));
    dialled.unwrap();
    let mut beside = open(&*rig.dial(), echo()).await;
    let (mut sent, piece) = (0, bytes::Bytes::from(pattern(32 * 1024, 1)));
    // The frontend reads nothing: what the agent can say is bounded by windows and a queue.
    let fill = async {
        loop {
            agent.say_bytes(1, piece.clone()).await;
            sent += piece.len();
        }
    };
    tokio::select! {
        () = fill => unreachable!("it never ends"),
        () = async { for _ in 0..500 { converse(&mut beside, "tick").await; } } => {}
    }
    assert!(sent < 8 * 1024 * 1024, "{sent} bytes were taken that nobody reads");
    drop((frontend, agent, beside));
    server.shows("server_established_connections", 0).await;
    honest.shows("agent_open_endpoint_connections", 0).await;
}

#[tokio::test]
async fn lanes_that_nobody_asked_for_are_given_back_and_hurt_nobody() {
    let (rig, server, agent, dial) = Rig::all(GRPC).await;
    let mut honest = open(&*dial, echo()).await;
    let stream = crate::peers::over_tls(&rig, "agent", rig.agents_at()).await;
    let (client, connection) = link::client().handshake::<_, bytes::Bytes>(stream).await.unwrap();
    let driven = tokio::spawn(connection);
    let call = |path: &str| {
        let mut request = grpc::request("https", "konnectivity", path).unwrap();
        request.headers_mut().insert(grpc::AGENT_ID, http::HeaderValue::from_static("liar"));
        request.headers_mut().insert(grpc::LANES, grpc::YES);
        request.headers_mut().insert(grpc::DIAL_ID, http::HeaderValue::from_static("42"));
        request
    };
    // Before it has said who it is there are no lanes at all.
    let (early, _to) = client.clone().ready().await.unwrap().send_request(call(grpc::LANE_PATH), false).unwrap();
    let early = within(early).await.unwrap();
    assert!(grpc::failure_in(early.headers()).unwrap().contains("unknown"), "{early:?}");
    let (greeting, _call) =
        client.clone().ready().await.unwrap().send_request(call(grpc::CONNECT_PATH), false).unwrap();
    assert_eq!(grpc::failure_in(within(greeting).await.unwrap().headers()), None);
    for _ in 0..200 {
        let (lane, _to) = client.clone().ready().await.unwrap().send_request(call(grpc::LANE_PATH), false).unwrap();
        assert_eq!(within(lane).await.unwrap_err().reason(), Some(h2::Reason::CANCEL));
    }
    server.shows("server_pending_backend_dials", 0).await;
    converse(&mut honest, "undisturbed").await;
    drop((client, honest));
    driven.abort();
    server.shows("server_ready_backend_connections", 1).await;
    converse(&mut open(&*dial, echo()).await, "and open to others").await;
    rig.is_at_rest(dial, &[&server, &agent]).await;
}

#[tokio::test]
async fn http_connect_frontends_that_lie_lose_their_own_connection_only() {
    for setup in [CONNECT, CONNECT_TCP] {
        let (rig, server, agent, dial) = Rig::all(setup).await;
        let mut honest = open(&*dial, echo()).await;
        let endless = vec![b'a'; 2 * 1024 * 1024];
        let many = format!("CONNECT a:1 HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(2000));
        let lies: [&[u8]; 4] =
            [&endless, many.as_bytes(), b"\x16\x03\x01\x02\x00", b"CONNECT /path HTTP/1.1\r\nHost: a\r\n\r\n"];
        for lie in lies {
            let mut stream = crate::peers::frontend_stream(&rig).await;
            // It may be cut off in the middle of its lie.
            let _cut_off = stream.write_all(lie).await;
            let _cut_off = stream.flush().await;
            let _cut_off = stream.shutdown().await;
            let mut answer = Vec::new();
            let _cut_off = within(stream.read_to_end(&mut answer)).await;
            assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
            converse(&mut honest, "undisturbed").await;
        }
        drop(honest);
        rig.is_at_rest(dial, &[&server, &agent]).await;
    }
}
