//! Dials that come to nothing: each says why, in the words of whoever knows, and leaves nothing.

use crate::peers::Peer;
use crate::rig::*;
use futures_util::future::join_all;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tinyplane_konnectivity_client::packet::{CloseRequest, DialResponse, Packet};

in_every_setup!(
    a_refused_dial_is_told_in_the_endpoints_words,
    a_name_that_nobody_knows_is_told,
    a_dial_without_time_is_not_made,
    fifty_dials_given_up_at_once_leave_nothing,
);

in_every_setup_of_ours!(
    without_an_agent_a_dial_fails_at_once,
    pending_dials_end_with_their_agent,
    a_dial_that_is_given_up_is_taken_back_and_its_late_answer_closed,
    an_agent_that_does_not_answer_in_time_fails_the_dial,
    a_dial_that_hangs_at_the_agent_ends_when_it_is_given_up,
);

/// An address for agents that are played.
fn somewhere() -> SocketAddr {
    SocketAddr::new(place(9), 10250)
}

/// A Linux host name is shorter: no server of names is asked.
const NOBODYS_NAME: &str = "nobody-has-a-label-of-seventy-letters-and-so-no-resolver-needs-to-ask-for-it";

async fn a_refused_dial_is_told_in_the_endpoints_words(setup: Setup) {
    let (rig, server, agent, dial) = Rig::all(setup).await;
    let closed = closed();
    let error = refused(&*dial, closed).await;
    let told = format!("dial tcp {closed}: connect: connection refused");
    assert!(error.to_string().contains(&told), "{error}");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    server.shows("server_dial_failure_count{reason=\"error_response\"}", 1).await;
    agent.shows("agent_endpoint_dial_failure_total{reason=\"unknown\"}", 1).await;
    rig.is_at_rest(dial, &[&server, &agent]).await;
}

async fn a_name_that_nobody_knows_is_told(setup: Setup) {
    let (rig, server, agent, dial) = Rig::all(setup).await;
    let error = refused_by_name(&*dial, NOBODYS_NAME, 80).await.to_string();
    assert!(error.contains("no such host"), "{error}");
    server.shows("server_dial_failure_count{reason=\"error_response\"}", 1).await;
    rig.is_at_rest(dial, &[&server, &agent]).await;
}

async fn a_dial_without_time_is_not_made(setup: Setup) {
    let (rig, server, agent, dial) = Rig::all(setup).await;
    let hasty = rig.dial_within(Duration::ZERO);
    let error = refused(&*hasty, echo()).await;
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut, "{error}");
    converse(&mut open(&*dial, echo()).await, "others have time").await;
    drop(hasty);
    rig.is_at_rest(dial, &[&server, &agent]).await;
}

async fn fifty_dials_given_up_at_once_leave_nothing(setup: Setup) {
    let (rig, server, agent, dial) = Rig::all(setup).await;
    let to = echo();
    let host = to.ip().to_string();
    for millis in [1, 3, 9, 27] {
        // All at once, and dropped wherever they are.
        let all = join_all((0..50).map(|_| dial.dial(&host, to.port())));
        drop(tokio::time::timeout(Duration::from_millis(millis), all).await);
    }
    converse(&mut open(&*dial, to).await, "and another").await;
    rig.is_at_rest(dial, &[&server, &agent]).await;
}

async fn without_an_agent_a_dial_fails_at_once(setup: Setup) {
    let rig = Rig::new(setup);
    let server = rig.server().await;
    let dial = rig.complete().await;
    let error = refused(&*dial, echo()).await.to_string();
    let told = ["No agent available", "currently no tunnels available"];
    assert!(told.iter().any(|told| error.contains(told)), "{error}");
    server.shows("server_dial_failure_count{reason=\"no_agent\"}", 1).await;
    rig.is_at_rest(dial, &[&server]).await;
}

async fn pending_dials_end_with_their_agent(setup: Setup) {
    let rig = Rig::new(setup);
    let server = rig.server().await;
    let dial = rig.complete().await;
    let mut agent = Peer::agent(&rig, "silent").await;
    let (error, ()) = tokio::join!(refused(&*dial, somewhere()), async {
        assert_eq!(agent.hears_dial().await.address, somewhere().to_string());
        server.shows("server_pending_backend_dials", 1).await;
        drop(agent);
    });
    assert!(error.to_string().contains("connection was lost"), "{error}");
    server.shows("server_dial_failure_count{reason=\"backend_close\"}", 1).await;
    rig.is_at_rest(dial, &[&server]).await;
}

async fn a_dial_that_is_given_up_is_taken_back_and_its_late_answer_closed(setup: Setup) {
    let rig = Rig::new(setup);
    let server = rig.server().await;
    let dial = rig.complete().await;
    let mut agent = Peer::agent(&rig, "slow").await;
    let random = tokio::select! {
        _ = refused(&*dial, somewhere()) => panic!("nobody answered"),
        dialled = agent.hears_dial() => dialled.random,
    };
    assert!(matches!(agent.hears().await, Some(Packet::CloseDial(close)) if close.random == random));
    server.shows("server_pending_backend_dials", 0).await;
    server.shows("server_dial_failure_count{reason=\"frontend_close\"}", 1).await;
    // Upstream's agents take no notice, and connect.
    agent.say(Packet::DialResponse(DialResponse::made(random, 5)));
    let close = Packet::CloseRequest(CloseRequest { connect_id: 5 });
    assert_eq!(agent.hears().await, Some(close));
    drop(agent);
    rig.is_at_rest(dial, &[&server]).await;
}

async fn an_agent_that_does_not_answer_in_time_fails_the_dial(setup: Setup) {
    let rig = Rig::new(setup);
    let server = rig.server_with(|config| config.backend_dial_timeout = Some(Duration::from_millis(50))).await;
    let dial = rig.complete().await;
    let agent = Peer::agent(&rig, "silent").await;
    let error = refused(&*dial, somewhere()).await;
    assert!(error.to_string().contains("i/o timeout") || error.to_string().contains("504"), "{error}");
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut, "{error}");
    server.shows("server_dial_failure_count{reason=\"backend_dial_timeout\"}", 1).await;
    drop(agent);
    rig.is_at_rest(dial, &[&server]).await;
}

/// An endpoint that takes no connection and refuses none: its queue is full.
struct Hanging {
    at: SocketAddr,
    _listener: socket2::Socket,
    _queued: Vec<socket2::Socket>,
}

impl Hanging {
    fn new() -> Self {
        use socket2::{Domain, Socket, Type};
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::new(place(9), 0).into()).unwrap();
        listener.listen(0).unwrap();
        let at = listener.local_addr().unwrap().as_socket().unwrap();
        let mut queued = Vec::new();
        // What the queue has no room for waits for ever.
        for _ in 0..8 {
            let one = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            one.set_nonblocking(true).unwrap();
            drop(one.connect(&at.into()));
            queued.push(one);
        }
        Self { at, _listener: listener, _queued: queued }
    }
}

async fn a_dial_that_hangs_at_the_agent_ends_when_it_is_given_up(setup: Setup) {
    let hanging = Hanging::new();
    let (rig, server, agent, dial) = Rig::all(setup).await;
    let began = Instant::now();
    tokio::select! {
        error = refused(&*dial, hanging.at) => panic!("nobody answers, and yet: {error}"),
        () = server.shows("server_pending_backend_dials", 1) => {}
    }
    server.shows("server_dial_failure_count{reason=\"frontend_close\"}", 1).await;
    rig.is_at_rest(dial, &[&server, &agent]).await;
    assert!(began.elapsed() < Duration::from_secs(4), "the agent dialled on for {:?}", began.elapsed());
    assert_eq!(agent.number("agent_endpoint_dial_failure_total{reason=\"timeout\"}").await, 0);
}

#[tokio::test]
async fn an_endpoint_that_never_answers_is_given_up_after_five_seconds() {
    for setup in [GRPC, CONNECT_PLAIN] {
        let hanging = Hanging::new();
        let (rig, server, agent, dial) = Rig::all(setup).await;
        let error = refused(&*dial, hanging.at).await;
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut, "{error}");
        assert!(error.to_string().contains("i/o timeout"), "{error}");
        agent.shows("agent_endpoint_dial_failure_total{reason=\"timeout\"}", 1).await;
        server.shows("server_dial_failure_count{reason=\"error_response\"}", 1).await;
        rig.is_at_rest(dial, &[&server, &agent]).await;
    }
}

#[tokio::test]
async fn one_connection_is_dialled_anew_when_its_server_comes_back() {
    for setup in [REUSABLE, REUSABLE_TCP_TOKEN] {
        let (rig, server, agent, dial) = Rig::all(setup).await;
        let mut first = open(&*dial, echo()).await;
        converse(&mut first, "before").await;
        assert_eq!(server.number("server_grpc_connections{service_method=\"Proxy\"}").await, 1);
        server.stop().await;
        ended_somehow(&mut first).await;
        refused(&*dial, echo()).await;
        let server = rig.server().await;
        server.shows("server_ready_backend_connections", 1).await;
        converse(&mut open(&*dial, echo()).await, "after").await;
        drop(first);
        rig.is_at_rest(dial, &[&server, &agent]).await;
    }
}

/// Waits for the end of a stream, be it a break.
async fn ended_somehow(stream: &mut Box<dyn tinyplane_wire::net::Stream>) {
    drop(within(tokio::io::AsyncReadExt::read_to_end(stream, &mut Vec::new())).await);
}

#[tokio::test]
async fn http_connect_takes_connect_and_nothing_else() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for setup in [CONNECT, CONNECT_TCP] {
        let (rig, server, agent, dial) = Rig::all(setup).await;
        let refused = format!("CONNECT {} HTTP/1.1\r\nHost: a\r\n\r\n", closed());
        let unknown = format!("CONNECT {NOBODYS_NAME}:80 HTTP/1.1\r\nHost: a\r\n\r\n");
        for (request, code, told) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "405", "CONNECT"),
            ("nonsense\r\n\r\n", "400", ""),
            (refused.as_str(), "502", "connection refused"),
            (unknown.as_str(), "502", "no such host"),
        ] {
            let mut stream = crate::peers::frontend_stream(&rig).await;
            stream.write_all(request.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            let mut answer = Vec::new();
            while !(answer.starts_with(format!("HTTP/1.1 {code}").as_bytes())
                && String::from_utf8_lossy(&answer).contains(told))
            {
                let count = within(stream.read_buf(&mut answer)).await.unwrap();
                assert!(count > 0, "{}", String::from_utf8_lossy(&answer));
            }
        }
        // The 200 has no byte behind it until the endpoint says one.
        let to = echo();
        let mut stream = crate::peers::frontend_stream(&rig).await;
        stream.write_all(format!("CONNECT {to} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            assert!(within(stream.read_buf(&mut answer)).await.unwrap() > 0);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        converse(&mut stream, "hello").await;
        drop(stream);
        rig.is_at_rest(dial, &[&server, &agent]).await;
    }
}
