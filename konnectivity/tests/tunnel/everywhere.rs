//! What goes through the tunnel arrives, in every mode, over every transport and whoever the agent is known by.

use crate::rig::*;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

in_every_setup!(
    an_echo_comes_back,
    requests_follow_each_other_on_one_connection,
    large_answers_one_after_another_arrive_whole,
    ten_large_streams_each_way_at_once_arrive_whole,
    a_hundred_requests_at_once_spread_over_two_agents,
    what_an_endpoint_sends_before_it_closes_arrives,
    what_a_client_sends_before_it_closes_arrives,
    many_short_connections_leave_nothing_behind,
);

async fn an_echo_comes_back(setup: Setup) {
    let (rig, server, agent, dial) = Rig::all(setup).await;
    let mut stream = open(&*dial, echo()).await;
    converse(&mut stream, "hello").await;
    converse(&mut stream, "again").await;
    server.shows("server_established_connections", 1).await;
    agent.shows("agent_open_endpoint_connections", 1).await;
    drop(stream);
    rig.is_at_rest(dial, &[&server, &agent]).await;
    agent.stop().await;
    server.stop().await;
}

/// Answers each request of a connection with its path.
async fn web(mut stream: TcpStream) {
    let mut heard = Vec::new();
    while stream.read_buf(&mut heard).await.is_ok_and(|count| count > 0) {
        let Some(end) = heard.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(heard.drain(..end + 4).collect()).unwrap();
        let path = head.split(' ').nth(1).unwrap();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

async fn requests_follow_each_other_on_one_connection(setup: Setup) {
    let (rig, server, agent, dial) = Rig::all(setup).await;
    let mut stream = open(&*dial, endpoint(web)).await;
    for path in ["/success", "/again", "/and-again"] {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: web\r\n\r\n").as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let expected = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len());
        let mut heard = vec![0; expected.len()];
        within(stream.read_exact(&mut heard)).await.unwrap();
        // Not a byte before it, and none of another answer.
        assert_eq!(String::from_utf8_lossy(&heard), expected);
    }
    drop(stream);
    rig.is_at_rest(dial, &[&server, &agent]).await;
}

async fn large_answers_one_after_another_arrive_whole(setup: Setup) {
    const BYTES: usize = 2 * 1024 * 1024;
    let (rig, server, agent, dial) = Rig::all(setup).await;
    let expected = pattern(BYTES, 3);
    let to = speaker(BYTES, 3);
    for round in 0..10 {
        let mut heard = Vec::new();
        within(open(&*dial, to).await.read_to_end(&mut heard)).await.unwrap();
        assert!(heard == expected, "{} of {BYTES} bytes arrived in round {round}", heard.len());
    }
    rig.is_at_rest(dial, &[&server, &agent]).await;
}

async fn ten_large_streams_each_way_at_once_arrive_whole(setup: Setup) {
    const BYTES: usize = 10 * 1024 * 1024;
    let (rig, server, agent, dial) = Rig::all(setup).await;
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
    tokio::time::timeout(2 * DEADLINE, join_all(streams)).await.unwrap();
    rig.is_at_rest(dial, &[&server, &agent]).await;
}

async fn a_hundred_requests_at_once_spread_over_two_agents(setup: Setup) {
    let rig = Rig::new(setup);
    let server = rig.server().await;
    let agents = [rig.agent("agent-1").await, rig.agent("agent-2").await];
    server.shows("server_ready_backend_connections", 2).await;
    let dial = rig.complete().await;
    let to = echo();
    let requests = (0..100).map(|number| {
        let dial = &dial;
        async move {
            let mut stream = open(&**dial, to).await;
            converse(&mut stream, &format!("request {number}")).await;
            stream
        }
    });
    let streams = join_all(requests).await;
    server.shows("server_established_connections", 100).await;
    for agent in &agents {
        let share = agent.number("agent_open_endpoint_connections").await;
        assert!((20..=80).contains(&share), "one of two agents has {share} of 100 connections");
    }
    drop(streams);
    rig.is_at_rest(dial, &[&server, &agents[0], &agents[1]]).await;
}

async fn what_an_endpoint_sends_before_it_closes_arrives(setup: Setup) {
    const BYTES: usize = 3_000_000;
    let (rig, server, agent, dial) = Rig::all(setup).await;
    let expected = pattern(BYTES, 7);
    let mut stream = open(&*dial, speaker(BYTES, 7)).await;
    // The endpoint is done long before the first byte is read.
    agent.shows("agent_open_endpoint_connections", 1).await;
    let mut heard = Vec::new();
    within(stream.read_to_end(&mut heard)).await.unwrap();
    assert!(heard == expected, "{} of {BYTES} bytes arrived", heard.len());
    drop(stream);
    rig.is_at_rest(dial, &[&server, &agent]).await;
}

async fn what_a_client_sends_before_it_closes_arrives(setup: Setup) {
    let (rig, server, agent, dial) = Rig::all(setup).await;
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
    rig.is_at_rest(dial, &[&server, &agent]).await;
}

async fn many_short_connections_leave_nothing_behind(setup: Setup) {
    let (rig, server, agent, dial) = Rig::all(setup).await;
    let to = echo();
    for _ in 0..15 {
        let round = (0..20).map(|number| {
            let dial = &dial;
            async move {
                let mut stream = open(&**dial, to).await;
                converse(&mut stream, &format!("stream {number}")).await;
            }
        });
        join_all(round).await;
    }
    rig.is_at_rest(dial, &[&server, &agent]).await;
}
