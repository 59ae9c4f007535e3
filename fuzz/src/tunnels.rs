//! Konnectivity's server and its clients, with a peer that says anything: a byte for which, what it says.

use crate::rig::{Files, Server};
use crate::soon::{LONGEST, soon};
use bytes::Bytes;
use h2::SendStream;
use std::cell::OnceCell;
use std::time::Duration;
use tinyplane_konnectivity::server::Mode;
use tinyplane_konnectivity_client::grpc::{self, CONNECT_PATH, PROXY_PATH};
use tinyplane_konnectivity_client::packet::{DialResponse, Packet};
use tinyplane_konnectivity_client::{GrpcDial, HttpConnectDial, Route};
use tinyplane_wire::net::{Dial, UnixDial, UnixListener, bind_unix};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

thread_local! {
    static FILES: OnceCell<Files> = const { OnceCell::new() };
}

/// How long a client of ours waits for a peer that says nothing more.
const PATIENCE: Duration = Duration::from_millis(100);
/// Most bytes that are read of what a peer is told.
const HEARD_BYTES_MAX: u64 = 1 << 20;
/// What gRPC writes before each message.
const FRAME_HEAD_BYTES: usize = 5;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Whatever the peer says, it hurts only itself: the server answers the next one, the client gives up in time.
pub(crate) fn run(bytes: &[u8]) {
    let [which, said @ ..] = bytes else { return };
    FILES.with(|files| {
        let files = files.get_or_init(Files::new);
        soon(async {
            match which % 6 {
                0 => connects(files, said).await,
                1 => frontends(files, said, true).await,
                2 => frontends(files, said, false).await,
                3 => agents(files, said).await,
                4 => answers_connect(files, said).await,
                _ => answers_grpc(files, said).await,
            }
        });
    });
}

/// Says all of it and ends; what comes back is read, for as long as that may take.
async fn speak(mut stream: impl AsyncRead + AsyncWrite + Unpin, said: &[u8], patience: Duration) -> Vec<u8> {
    // The other end may have had enough before.
    drop(stream.write_all(said).await);
    drop(stream.shutdown().await);
    let mut heard = Vec::new();
    drop(tokio::time::timeout(patience, stream.take(HEARD_BYTES_MAX).read_to_end(&mut heard)).await);
    heard
}

async fn connects(files: &Files, said: &[u8]) {
    let server = Server::start(files, Mode::HttpConnect).await;
    let heard = speak(server.frontend(), said, PATIENCE).await;
    assert!(heard.is_empty() || heard.starts_with(b"HTTP/1."), "{heard:?}");
    let next = speak(server.frontend(), b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", LONGEST).await;
    assert!(next.starts_with(b"HTTP/1.1 500 "), "{:?}", String::from_utf8_lossy(&next));
    server.end().await;
}

/// Bytes of HTTP/2, or of the messages in it.
async fn frontends(files: &Files, said: &[u8], raw: bool) {
    let server = Server::start(files, Mode::Grpc).await;
    if raw {
        speak(server.frontend(), &[PREFACE, said].concat(), PATIENCE).await;
    } else {
        call(server.frontend(), PROXY_PATH, said, PATIENCE).await;
    }
    has_no_agent(&server).await;
    server.end().await;
}

async fn has_no_agent(server: &Server<'_>) {
    let refused = GrpcDial::new(Route::Unix(UnixDial::to(server.socket()))).dial("a", 1).await.err();
    let told = refused.expect("there is no agent").to_string();
    assert!(told.contains("No agent available"), "{told}");
}

/// An agent that lies, while somebody dials.
async fn agents(files: &Files, said: &[u8]) {
    let server = Server::start(files, Mode::Grpc).await;
    let dial = GrpcDial::new(Route::Unix(UnixDial::to(server.socket()))).with_timeout(PATIENCE);
    let dialled = async {
        let mut heard = Vec::new();
        if let Ok(stream) = dial.dial("10.0.0.1", 80).await {
            drop(tokio::time::timeout(PATIENCE, stream.take(HEARD_BYTES_MAX).read_to_end(&mut heard)).await);
        }
        heard.len()
    };
    let lying = async {
        let agent = server.agent().await;
        call(agent, CONNECT_PATH, said, PATIENCE / 2).await;
    };
    let ((), heard) = tokio::join!(lying, dialled);
    assert!(heard <= said.len(), "{heard} bytes");
    // The agent is gone, and with it what it carried.
    let gone = async {
        loop {
            let refused = dial.dial("a", 1).await.err();
            if refused.is_some_and(|error| error.to_string().contains("No agent available")) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    gone.await;
    server.end().await;
}

/// One call of gRPC whose messages are these bytes.
async fn call(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    path: &str,
    said: &[u8],
    patience: Duration,
) -> Option<()> {
    let (client, connection) = h2::client::handshake(stream).await.ok()?;
    let driven = tokio::spawn(connection);
    let mut request = grpc::request("https", "k", path).expect("a request");
    for (name, value) in [("agentid", "a"), ("agentidentifiers", ""), ("tinyplane-half-close", "1")] {
        request.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    let (response, to) = client.ready().await.ok()?.send_request(request, false).ok()?;
    let heard = async {
        let mut body = response.await.ok()?.into_body();
        let mut bytes = 0;
        let mut to = Some(to);
        if said.first().is_none_or(|first| first % 2 == 0) {
            to.take().into_iter().for_each(|to| send(to, Bytes::new(), said));
        }
        while let Some(Ok(piece)) = body.data().await {
            bytes += piece.len();
            // A peer that is asked for a dial, makes it, and says the rest then.
            to.take().into_iter().for_each(|to| send(to, dialled(&piece).unwrap_or_default(), said));
            body.flow_control().release_capacity(piece.len()).ok()?;
        }
        Some(bytes)
    };
    drop(tokio::time::timeout(patience, heard).await);
    driven.abort();
    Some(())
}

/// In pieces, so that a message may be cut anywhere.
fn send(mut to: SendStream<Bytes>, answer: Bytes, said: &[u8]) {
    let (first, second) = said.split_at(said.len() / 2);
    let pieces = [(answer, false), (Bytes::copy_from_slice(first), false), (Bytes::copy_from_slice(second), true)];
    for (piece, end) in pieces {
        if to.send_data(piece, end).is_err() {
            return;
        }
    }
}

/// The answer to a dial: it is made.
fn dialled(message: &[u8]) -> Option<Bytes> {
    let Packet::DialRequest(request) = Packet::decode(message.get(FRAME_HEAD_BYTES..)?).ok()? else { return None };
    let answer = DialResponse::made(request.random, 1);
    Some(Packet::DialResponse(answer).encode())
}

fn listen(files: &Files) -> UnixListener {
    bind_unix(&files.path("f.sock"), true).expect("a socket")
}

fn route(files: &Files) -> Route {
    Route::Unix(UnixDial::to(files.path("f.sock")))
}

async fn answers_connect(files: &Files, said: &[u8]) {
    let listener = listen(files);
    let server = async {
        let mut stream = listener.accept().await;
        let mut head = [0; 1024];
        let read = stream.read(&mut head).await.expect("a request");
        assert!(head[..read].starts_with(b"CONNECT [::1]:80 HTTP/1.1\r\n"));
        speak(stream, said, PATIENCE).await;
    };
    let client = async {
        let dialled = HttpConnectDial::new(route(files)).with_timeout(PATIENCE).dial("::1", 80).await;
        read_all(dialled).await
    };
    let ((), got) = tokio::join!(server, client);
    assert!(got <= said.len(), "{got} bytes of {}", said.len());
}

async fn answers_grpc(files: &Files, said: &[u8]) {
    let listener = listen(files);
    let server = async {
        let stream = listener.accept().await;
        let serve = async {
            let mut connection = h2::server::handshake(stream).await.ok()?;
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let mut response = grpc::response();
                response.headers_mut().insert(grpc::HALF_CLOSE, grpc::YES);
                let (mut body, to) = (request.into_body(), respond.send_response(response, false).ok()?);
                let said = said.to_vec();
                tokio::spawn(async move {
                    let message = body.data().await?.ok()?;
                    let answer = if said.first()? % 2 == 0 { Bytes::new() } else { dialled(&message)? };
                    send(to, answer, &said);
                    while let Some(Ok(piece)) = body.data().await {
                        body.flow_control().release_capacity(piece.len()).ok()?;
                    }
                    Some(())
                });
            }
            Some(())
        };
        drop(tokio::time::timeout(PATIENCE, serve).await);
    };
    let client = async {
        let dialled = GrpcDial::new(route(files)).with_timeout(PATIENCE).dial("::1", 80).await;
        read_all(dialled).await
    };
    let ((), got) = tokio::join!(server, client);
    assert!(got <= said.len(), "{got} bytes of {}", said.len());
}

async fn read_all(dialled: std::io::Result<Box<dyn tinyplane_wire::net::Stream>>) -> usize {
    let Ok(stream) = dialled else { return 0 };
    let mut got = Vec::new();
    drop(tokio::time::timeout(PATIENCE, stream.take(HEARD_BYTES_MAX).read_to_end(&mut got)).await);
    got.len()
}
