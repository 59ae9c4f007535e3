//! Sessions against each other, in memory.

use super::{Frame, Incoming, Role, Session};
use crate::streaming::spdy::{Decoder, Encoder};
use bytes::BytesMut;
use http::{HeaderMap, HeaderValue};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SOON: Duration = Duration::from_secs(10);

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, what).await.expect("in time")
}

fn pair() -> ((Session, Incoming), (Session, Incoming)) {
    let (a, b) = tokio::io::duplex(16 * 1024);
    (Session::start(a, Role::Client).unwrap(), Session::start(b, Role::Server).unwrap())
}

fn kind(kind: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static("streamtype"), HeaderValue::from_static(kind))])
}

#[tokio::test]
async fn a_stream_is_closed_in_each_direction_on_its_own() {
    let ((client, _), (_server, mut incoming)) = pair();
    let mut mine = client.open(kind("stdin")).await.unwrap();
    let mut theirs = in_time(incoming.accept()).await.unwrap();
    in_time(mine.until_replied(SOON)).await.unwrap();
    assert_eq!(theirs.header("streamType"), Some("stdin"));
    mine.write_all(b"question").await.unwrap();
    mine.shutdown().await.unwrap();
    let mut heard = String::new();
    in_time(theirs.read_to_string(&mut heard)).await.unwrap();
    assert_eq!(heard, "question");
    theirs.write_all(b"answer").await.unwrap();
    theirs.shutdown().await.unwrap();
    drop(theirs);
    let mut answer = String::new();
    in_time(mine.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "answer");
}

#[tokio::test]
async fn a_megabyte_passes_through_small_buffers_while_the_session_is_dropped() {
    let ((client, _), (server, mut incoming)) = pair();
    let mut mine = client.open(kind("stdout")).await.unwrap();
    drop(client);
    let mut theirs = in_time(incoming.accept()).await.unwrap();
    drop(server);
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let copy = sent.clone();
    let writing = tokio::spawn(async move {
        mine.write_all(&copy).await.unwrap();
        mine.shutdown().await.unwrap();
    });
    let mut heard = Vec::new();
    in_time(theirs.read_to_end(&mut heard)).await.unwrap();
    in_time(writing).await.unwrap();
    assert!(heard == sent, "the bytes changed on the way");
}

#[tokio::test]
async fn a_reader_that_is_slow_stops_its_writer() {
    let ((client, _), (_server, mut incoming)) = pair();
    let mut mine = client.open(kind("stdin")).await.unwrap();
    let mut theirs = in_time(incoming.accept()).await.unwrap();
    let mut written = 0_usize;
    let chunk = vec![0_u8; 32 * 1024];
    while let Ok(Ok(n)) = tokio::time::timeout(Duration::from_millis(200), mine.write(&chunk)).await {
        written += n;
        assert!(written < 4 * 1024 * 1024, "nothing held the writer back");
    }
    let mut read = vec![0; written];
    in_time(theirs.read_exact(&mut read)).await.unwrap();
    in_time(mine.write_all(b"more")).await.unwrap();
}

#[tokio::test]
async fn dropping_a_stream_resets_it_and_the_session_goes_on() {
    let ((client, _), (_server, mut incoming)) = pair();
    let mine = client.open(kind("data")).await.unwrap();
    let mut theirs = in_time(incoming.accept()).await.unwrap();
    drop(mine);
    assert_eq!(in_time(theirs.read(&mut [0; 8])).await.unwrap(), 0);
    assert!(theirs.is_reset());
    assert!(theirs.write(b"x").await.is_err());
    let _second = client.open(kind("data")).await.unwrap();
    in_time(incoming.accept()).await.unwrap();
}

#[tokio::test]
async fn the_end_of_the_connection_ends_everything() {
    let (a, b) = tokio::io::duplex(1024);
    let (client, mut incoming) = Session::start(a, Role::Client).unwrap();
    let mut stream = client.open(kind("stdout")).await.unwrap();
    drop(b);
    assert!(in_time(stream.read(&mut [0; 8])).await.is_err());
    assert!(in_time(incoming.accept()).await.is_none());
    in_time(client.closed().cancelled()).await;
    assert!(client.open(kind("late")).await.is_err());
}

#[tokio::test]
async fn the_last_handle_says_good_bye() {
    let (a, mut b) = tokio::io::duplex(1024);
    let (client, incoming) = Session::start(a, Role::Client).unwrap();
    drop((client, incoming));
    let mut bytes = BytesMut::new();
    while in_time(b.read_buf(&mut bytes)).await.unwrap() > 0 {}
    assert_eq!(Decoder::new().decode(&mut bytes).unwrap(), Some(Frame::GoAway { last_stream: 0, code: 0 }));
}

#[tokio::test]
async fn a_ping_comes_back_and_a_wrong_id_is_reset() {
    let (a, mut b) = tokio::io::duplex(1024);
    let (_server, _incoming) = Session::start(a, Role::Server).unwrap();
    let (mut encoder, mut decoder, mut bytes) = (Encoder::new().unwrap(), Decoder::new(), BytesMut::new());
    encoder.encode(&Frame::Ping { id: 3 }, &mut bytes).unwrap();
    let even = Frame::SynStream { stream: 2, headers: kind("x"), fin: false, unidirectional: false };
    encoder.encode(&even, &mut bytes).unwrap();
    b.write_all(&bytes.split()).await.unwrap();
    for expected in [Frame::Ping { id: 3 }, Frame::RstStream { stream: 2, code: 1 }] {
        let frame = loop {
            if let Some(frame) = decoder.decode(&mut bytes).unwrap() {
                break frame;
            }
            in_time(b.read_buf(&mut bytes)).await.unwrap();
        };
        assert_eq!(frame, expected);
    }
}

#[tokio::test]
async fn a_stream_that_is_given_up_at_once_was_accepted_first() {
    let (mut a, b) = tokio::io::duplex(64 * 1024);
    let (_server, mut incoming) = Session::start(b, Role::Server).unwrap();
    let (mut encoder, mut decoder, mut bytes) = (Encoder::new().unwrap(), Decoder::new(), BytesMut::new());
    let opened = 300;
    for n in 0..opened {
        let syn = Frame::SynStream { stream: 2 * n + 1, headers: kind("data"), fin: false, unidirectional: false };
        encoder.encode(&syn, &mut bytes).unwrap();
    }
    a.write_all(&bytes.split()).await.unwrap();
    for _ in 0..opened {
        drop(in_time(incoming.accept()).await.unwrap());
    }
    let mut frames = Vec::new();
    while frames.len() < 2 * opened as usize {
        in_time(a.read_buf(&mut bytes)).await.unwrap();
        while let Some(frame) = decoder.decode(&mut bytes).unwrap() {
            frames.push(frame);
        }
    }
    for (n, pair) in (0..opened).zip(frames.chunks(2)) {
        let stream = 2 * n + 1;
        assert!(matches!(pair[0], Frame::SynReply { stream: replied, .. } if replied == stream), "{pair:?}");
        assert_eq!(pair[1], Frame::RstStream { stream, code: 5 });
    }
}
