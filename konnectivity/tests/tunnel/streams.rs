//! What lies behind a test's tunnel, and how a test speaks to it.

use crate::rig::{place, within};
use std::net::SocketAddr;
use tinyplane_wire::net::{Bound, Dial, Listener, Sources, Stream, bind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Where endpoints listen that are served by a task each: there are as many of these tasks as listeners.
pub(crate) const SERVED: u8 = 3;

/// Where a test accepts by itself.
const LISTENED: u8 = 5;

/// Serves each connection to an address of its own; gives the address.
pub(crate) fn endpoint<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> SocketAddr {
    endpoint_at(SERVED, serve)
}

/// The same, on another of the test's addresses.
pub(crate) fn endpoint_at<F: Future<Output = ()> + Send + 'static>(
    at: u8,
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> SocketAddr {
    let Bound { address, listener } = bind(SocketAddr::new(place(at), 0), Sources::any()).unwrap();
    tokio::spawn(async move {
        loop {
            let accepted = listener.accept().await;
            tokio::spawn(serve(accepted.stream));
        }
    });
    address
}

pub(crate) fn listen() -> (SocketAddr, Listener) {
    let bound = bind(SocketAddr::new(place(LISTENED), 0), Sources::any()).unwrap();
    (bound.address, bound.listener)
}

/// An address where nobody listens.
pub(crate) fn closed() -> SocketAddr {
    listen().0
}

/// Sends back what it gets, and ends when its peer does.
pub(crate) fn echo() -> SocketAddr {
    endpoint(async |mut stream: TcpStream| {
        let (mut read, mut write) = stream.split();
        drop(tokio::io::copy(&mut read, &mut write).await);
    })
}

/// Says so many bytes to whoever connects, and closes.
pub(crate) fn speaker(bytes: usize, seed: u64) -> SocketAddr {
    let sent = pattern(bytes, seed);
    endpoint(move |mut stream: TcpStream| {
        let sent = sent.clone();
        async move { stream.write_all(&sent).await.unwrap() }
    })
}

pub(crate) async fn open(dial: &dyn Dial, to: SocketAddr) -> Box<dyn Stream> {
    within(dial.dial(&to.ip().to_string(), to.port())).await.unwrap()
}

/// The error of a dial that has to fail.
pub(crate) async fn refused(dial: &dyn Dial, to: SocketAddr) -> std::io::Error {
    refused_by_name(dial, &to.ip().to_string(), to.port()).await
}

pub(crate) async fn refused_by_name(dial: &dyn Dial, host: &str, port: u16) -> std::io::Error {
    match within(dial.dial(host, port)).await {
        Ok(_) => panic!("the dial succeeded"),
        Err(error) => error,
    }
}

/// Says something and hears it back.
pub(crate) async fn converse(stream: &mut Box<dyn Stream>, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut heard = vec![0; text.len()];
    within(stream.read_exact(&mut heard)).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&heard), text);
}

/// Waits for the end of a stream that says nothing more.
pub(crate) async fn ended(stream: &mut Box<dyn Stream>) {
    let mut rest = Vec::new();
    // Over a Unix socket CONNECT has no word for a break.
    drop(within(stream.read_to_end(&mut rest)).await);
    assert!(rest.is_empty());
}

/// Bytes that differ from place to place, so that a loss or a swap shows.
pub(crate) fn pattern(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}
