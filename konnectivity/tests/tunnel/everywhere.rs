//! What goes through the tunnel arrives, in every mode and over every transport.

use crate::rig::*;
use tinyplane_wire::net::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One body, every way to set a tunnel up.
macro_rules! in_every_setup {
    ($($body:ident),* $(,)?) => {$(
        mod $body {
            #[tokio::test]
            async fn grpc_over_uds() {
                super::$body(super::GRPC).await;
            }
            #[tokio::test]
            async fn grpc_over_uds_in_upstreams_words() {
                super::$body(super::PLAIN).await;
            }
            #[tokio::test]
            async fn http_connect_over_uds() {
                super::$body(super::CONNECT).await;
            }
            #[tokio::test]
            async fn http_connect_over_uds_with_upstreams_agent() {
                super::$body(super::CONNECT_PLAIN).await;
            }
            #[tokio::test]
            async fn grpc_over_tls() {
                super::$body(super::GRPC_TCP).await;
            }
            #[tokio::test]
            async fn http_connect_over_tls() {
                super::$body(super::CONNECT_TCP).await;
            }
            #[tokio::test]
            async fn grpc_over_uds_with_tokens() {
                super::$body(super::GRPC_TOKEN).await;
            }
            #[tokio::test]
            async fn http_connect_over_uds_with_tokens() {
                super::$body(super::CONNECT_TOKEN).await;
            }
            #[tokio::test]
            async fn grpc_over_tls_with_tokens() {
                super::$body(super::GRPC_TCP_TOKEN).await;
            }
            #[tokio::test]
            async fn http_connect_over_tls_with_tokens() {
                super::$body(super::CONNECT_TCP_TOKEN).await;
            }
        }
    )*};
}

in_every_setup!(
    an_echo_comes_back,
    ten_large_streams_each_way_at_once_arrive_whole,
    a_refused_dial_is_told_in_the_endpoints_words,
    without_an_agent_a_dial_fails_at_once,
    what_an_endpoint_sends_before_it_closes_arrives,
    what_a_client_sends_before_it_closes_arrives,
    many_short_connections_leave_nothing_behind,
    an_agents_death_ends_its_connections_at_once,
    the_agent_comes_back_after_the_server_does,
);

async fn an_echo_comes_back(setup: Setup) {
    let (_rig, server, agent, dial) = Rig::all(setup).await;
    let mut stream = open(&*dial, echo()).await;
    converse(&mut stream, "hello").await;
    converse(&mut stream, "again").await;
    server.shows("server_established_connections", 1).await;
    agent.shows("agent_open_endpoint_connections", 1).await;
    drop(stream);
    server.shows("server_established_connections", 0).await;
    agent.shows("agent_open_endpoint_connections", 0).await;
    agent.stop().await;
    server.stop().await;
}

async fn ten_large_streams_each_way_at_once_arrive_whole(setup: Setup) {
    const BYTES: usize = 10 * 1024 * 1024;
    let (_rig, _server, _agent, dial) = Rig::all(setup).await;
    let to = echo();
    let streams = (0..10).map(|seed| {
        let dial = &dial;
        async move {
            let (mut read, mut write) = tokio::io::split(open(&**dial, to).await);
            let sent = pattern(BYTES, seed);
            let mut heard = vec![0; BYTES];
            let send = async {
                write.write_all(&sent).await.unwrap();
                write.flush().await.unwrap();
            };
            let ((), outcome) = tokio::join!(send, read.read_exact(&mut heard));
            outcome.unwrap();
            assert!(sent == heard, "stream {seed} brought other bytes back");
        }
    });
    tokio::time::timeout(2 * DEADLINE, futures_util::future::join_all(streams)).await.unwrap();
}

async fn a_refused_dial_is_told_in_the_endpoints_words(setup: Setup) {
    let (_rig, server, agent, dial) = Rig::all(setup).await;
    let (closed, listener) = listen();
    drop(listener);
    let error = refused(&*dial, closed).await;
    let told = format!("dial tcp {closed}: connect: connection refused");
    assert!(error.to_string().contains(&told), "{error}");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    server.shows("server_dial_failure_count{reason=\"error_response\"}", 1).await;
    agent.shows("agent_endpoint_dial_failure_total{reason=\"unknown\"}", 1).await;
    server.shows("server_pending_backend_dials", 0).await;
}

async fn without_an_agent_a_dial_fails_at_once(setup: Setup) {
    let rig = Rig::new(setup);
    let server = rig.server().await;
    let error = refused(&*rig.dial(), echo()).await.to_string();
    let told = ["No agent available", "currently no tunnels available"];
    assert!(told.iter().any(|told| error.contains(told)), "{error}");
    server.shows("server_dial_failure_count{reason=\"no_agent\"}", 1).await;
}

async fn what_an_endpoint_sends_before_it_closes_arrives(setup: Setup) {
    let (_rig, _server, agent, dial) = Rig::all(setup).await;
    let sent = pattern(3_000_000, 7);
    let expected = sent.clone();
    let to = endpoint(move |mut stream: TcpStream| {
        let sent = sent.clone();
        async move { stream.write_all(&sent).await.unwrap() }
    });
    let mut stream = open(&*dial, to).await;
    // The endpoint is done long before the first byte is read.
    agent.shows("agent_open_endpoint_connections", 1).await;
    let mut heard = Vec::new();
    within(stream.read_to_end(&mut heard)).await.unwrap();
    assert!(heard == expected, "{} of {} bytes arrived", heard.len(), expected.len());
}

async fn what_a_client_sends_before_it_closes_arrives(setup: Setup) {
    let (_rig, server, _agent, dial) = Rig::all(setup).await;
    let (to, listener) = listen();
    let sent = pattern(3_000_000, 9);
    let mut stream = open(&*dial, to).await;
    let mut accepted = within(listener.accept()).await.stream;
    let mut heard = Vec::new();
    let send = async {
        stream.write_all(&sent).await.unwrap();
        stream.shutdown().await.unwrap();
        drop(stream);
    };
    let (_, read) = within(async { tokio::join!(send, accepted.read_to_end(&mut heard)) }).await;
    read.unwrap();
    assert!(heard == sent, "{} of {} bytes arrived", heard.len(), sent.len());
    drop(accepted);
    server.shows("server_established_connections", 0).await;
}

async fn many_short_connections_leave_nothing_behind(setup: Setup) {
    let (_rig, server, agent, dial) = Rig::all(setup).await;
    let to = echo();
    let tasks = tokio::runtime::Handle::current().metrics();
    let warm = open(&*dial, to).await;
    drop(warm);
    server.shows("server_established_connections", 0).await;
    agent.shows("agent_open_endpoint_connections", 0).await;
    let before = tasks.num_alive_tasks();
    for _ in 0..15 {
        let round = (0..20).map(|number| {
            let dial = &dial;
            async move {
                let mut stream = open(&**dial, to).await;
                converse(&mut stream, &format!("stream {number}")).await;
            }
        });
        futures_util::future::join_all(round).await;
    }
    server.shows("server_established_connections", 0).await;
    server.shows("server_pending_backend_dials", 0).await;
    server.shows("server_http_connections", 0).await;
    server.shows("server_grpc_connections{service_method=\"Proxy\"}", 0).await;
    agent.shows("agent_open_endpoint_connections", 0).await;
    eventually("all tasks have ended", async || tasks.num_alive_tasks() <= before).await;
}

async fn an_agents_death_ends_its_connections_at_once(setup: Setup) {
    let (rig, server, agent, dial) = Rig::all(setup).await;
    let mut stream = open(&*dial, echo()).await;
    converse(&mut stream, "hello").await;
    agent.stop().await;
    let started = std::time::Instant::now();
    ended(&mut stream).await;
    assert!(started.elapsed().as_secs() < 5, "the end took {:?}", started.elapsed());
    server.shows("server_established_connections", 0).await;
    assert_eq!(server.get("/readyz").await.0, 500);
    refused(&*dial, echo()).await;
    let _agent = rig.agent("agent-1").await;
    server.shows("server_ready_backend_connections", 1).await;
    converse(&mut open(&*dial, echo()).await, "back").await;
}

async fn ended(stream: &mut Box<dyn Stream>) {
    let mut rest = Vec::new();
    // Over a Unix socket CONNECT has no word for a break.
    drop(within(stream.read_to_end(&mut rest)).await);
    assert!(rest.is_empty());
}

async fn the_agent_comes_back_after_the_server_does(setup: Setup) {
    let (rig, server, agent, dial) = Rig::all(setup).await;
    let mut stream = open(&*dial, echo()).await;
    converse(&mut stream, "hello").await;
    server.stop().await;
    ended(&mut stream).await;
    agent.shows("agent_open_server_connections", 0).await;
    agent.shows("agent_open_endpoint_connections", 0).await;
    assert_eq!(agent.get("/readyz").await.0, 503);
    let server = rig.server().await;
    server.shows("server_ready_backend_connections", 1).await;
    converse(&mut open(&*dial, echo()).await, "back").await;
}
