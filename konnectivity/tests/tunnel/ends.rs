//! How connections end, one direction or both, and what a reader that stops does to others.

use crate::rig::*;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tinyplane_konnectivity::Overflow;
use tinyplane_wire::net::Dial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

in_every_setup_of_ours!(
    half_close_is_carried_both_ways,
    a_half_closed_connection_whose_client_leaves_is_not_kept,
    a_reader_that_stops_neither_grows_memory_nor_stops_others,
);

in_every_setup!(a_connection_that_is_dropped_in_the_middle_ends_everywhere);

async fn half_close_is_carried_both_ways(setup: Setup) {
    let (rig, server, agent, dial) = Rig::all(setup).await;
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
    assert_eq!(answer, "1000000 bytes");
    drop(stream);
    // The other way: the endpoint ends first and still listens.
    let (to, listener) = listen();
    let mut stream = open(&*dial, to).await;
    let mut accepted = within(listener.accept()).await.stream;
    accepted.write_all(b"that is all").await.unwrap();
    accepted.shutdown().await.unwrap();
    answer.clear();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "that is all");
    stream.write_all(b"and yet").await.unwrap();
    stream.shutdown().await.unwrap();
    answer.clear();
    within(accepted.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "and yet");
    drop((stream, accepted));
    rig.is_at_rest(dial, &[&server, &agent]).await;
}

async fn a_half_closed_connection_whose_client_leaves_is_not_kept(setup: Setup) {
    let (rig, server, agent, dial) = Rig::all(setup).await;
    let (to, listener) = listen();
    let mut stream = open(&*dial, to).await;
    let mut accepted = within(listener.accept()).await.stream;
    stream.shutdown().await.unwrap();
    assert_eq!(within(accepted.read(&mut [0])).await.unwrap(), 0);
    server.shows("server_established_connections", 1).await;
    drop(stream);
    server.shows("server_established_connections", 0).await;
    drop(accepted);
    rig.is_at_rest(dial, &[&server, &agent]).await;
}

async fn a_connection_that_is_dropped_in_the_middle_ends_everywhere(setup: Setup) {
    let (rig, server, agent, dial) = Rig::all(setup).await;
    let (down, _) = flood();
    let (up, listener) = listen();
    let mut reading = open(&*dial, down).await;
    let mut writing = open(&*dial, up).await;
    let mut accepted = within(listener.accept()).await.stream;
    within(reading.read_exact(&mut vec![0; 100_000])).await.unwrap();
    writing.write_all(&pattern(100_000, 1)).await.unwrap();
    // Both in the middle of it.
    drop((reading, writing));
    drop(within(accepted.read_to_end(&mut Vec::new())).await);
    drop(accepted);
    rig.is_at_rest(dial, &[&server, &agent]).await;
}

#[tokio::test]
async fn a_reset_at_the_endpoint_is_a_reset_for_the_client() {
    for setup in [GRPC, REUSABLE, GRPC_TCP] {
        let (rig, server, agent, dial) = Rig::all(setup).await;
        let (to, listener) = listen();
        let mut stream = open(&*dial, to).await;
        let accepted = within(listener.accept()).await.stream;
        accepted.set_zero_linger().unwrap();
        drop(accepted);
        let error = within(stream.read(&mut [0])).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        drop(stream);
        rig.is_at_rest(dial, &[&server, &agent]).await;
    }
}

/// Sends for ever, and counts what it could.
fn flood() -> (SocketAddr, Arc<AtomicUsize>) {
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

async fn a_reader_that_stops_neither_grows_memory_nor_stops_others(setup: Setup) {
    let (rig, server, agent, dial) = Rig::all(setup).await;
    let (to, sent) = flood();
    let stalled = open(&*dial, to).await;
    let bytes = steady(&sent, &*dial).await;
    // The sockets of the kernel hold most of it.
    assert!(bytes < 16 * 1024 * 1024, "{bytes} bytes are under way, unread");
    let mut other = open(&*dial, echo()).await;
    converse(&mut other, "still here").await;
    drop((stalled, other));
    rig.is_at_rest(dial, &[&server, &agent]).await;
}

/// With upstream's pair such streams stop each other, and everybody.
#[tokio::test]
async fn a_hundred_streams_that_nobody_reads_let_others_through() {
    for setup in [GRPC, REUSABLE, CONNECT] {
        a_hundred_unread_streams(setup).await;
    }
}

async fn a_hundred_unread_streams(setup: Setup) {
    let (rig, server, agent, dial) = Rig::all(setup).await;
    // Many times what windows and queues hold.
    let (to, said) = (speaker(1_000_000, 3), pattern(1_000_000, 3));
    let mut stalled = Vec::new();
    for _ in 0..100 {
        stalled.push(open(&*dial, to).await);
    }
    let mut other = open(&*dial, echo()).await;
    let sent = pattern(1_000_000, 5);
    let mut heard = vec![0; sent.len()];
    let (mut read, mut write) = tokio::io::split(&mut other);
    let (wrote, arrived) = within(async { tokio::join!(write.write_all(&sent), read.read_exact(&mut heard)) }).await;
    wrote.unwrap();
    arrived.unwrap();
    assert!(sent == heard, "other bytes came back");
    // And each of them goes on when it is read.
    for stream in &mut stalled {
        let mut heard = Vec::new();
        within(stream.read_to_end(&mut heard)).await.unwrap();
        assert!(heard == said, "{} of {} bytes arrived", heard.len(), said.len());
    }
    drop((stalled, other));
    rig.is_at_rest(dial, &[&server, &agent]).await;
}

#[tokio::test]
async fn behind_upstreams_agent_a_reader_that_stops_is_closed_after_a_grace() {
    let (rig, server, agent, dial) = Rig::all(CONNECT_PLAIN).await;
    let (to, sent) = flood();
    let mut stalled = open(&*dial, to).await;
    steady(&sent, &*dial).await;
    let mut other = open(&*dial, echo()).await;
    converse(&mut other, "still here").await;
    agent.shows("agent_open_endpoint_connections", 1).await;
    drop(within(stalled.read_to_end(&mut Vec::new())).await);
    server.shows("server_overflow_closed_total", 1).await;
    converse(&mut other, "and still").await;
    drop((stalled, other));
    rig.is_at_rest(dial, &[&server, &agent]).await;
}

#[tokio::test]
async fn behind_upstreams_agent_a_reader_that_stops_may_hold_up_everything_where_that_is_asked_for() {
    let rig = Rig::new(CONNECT_PLAIN);
    let server = rig.server_with(|config| config.overflow = Overflow::Stall).await;
    let agent = rig.agent("agent-1").await;
    server.shows("server_ready_backend_connections", 1).await;
    let dial = rig.complete().await;
    let mut other = open(&*dial, echo()).await;
    converse(&mut other, "before").await;
    let (to, _) = flood();
    let mut stalled = open(&*dial, to).await;
    server.shows("server_full_receive_channels{service_method=\"Connect\"}", 1).await;
    // Nothing comes back to the other one, until the first is read.
    other.write_all(b"held").await.unwrap();
    let mut heard = [0; 4];
    let mut answer = std::pin::pin!(other.read_exact(&mut heard));
    let longer_than_the_grace = std::time::Duration::from_secs(6);
    assert!(tokio::time::timeout(longer_than_the_grace, &mut answer).await.is_err());
    let mut sink = vec![0; 64 * 1024];
    let drained = async { while stalled.read(&mut sink).await.is_ok_and(|count| count > 0) {} };
    tokio::select! {
        () = drained => panic!("the flood never ends"),
        answered = within(answer) => drop(answered.unwrap()),
    }
    assert_eq!(&heard, b"held");
    assert_eq!(server.number("server_overflow_closed_total").await, 0);
    drop((stalled, other));
    rig.is_at_rest(dial, &[&server, &agent]).await;
}
