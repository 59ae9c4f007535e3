//! Whole connections of exec, attach and port-forward, with a peer that says anything: a byte for the protocol, one for
//! the streams that were asked for and for how the peer speaks, and what it says.

use crate::script;
use crate::soon::soon;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tinyplane_wire::streaming::channel::ChannelProtocol;
use tinyplane_wire::streaming::handshake::Spoken;
use tinyplane_wire::streaming::remote::{self, End, Sizes, Wanted};
use tinyplane_wire::streaming::spdy::{Role, Session};
use tinyplane_wire::streaming::{portforward, websocket};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

const SPOKEN: [Spoken; 10] = [
    Spoken::Spdy(1),
    Spoken::Spdy(3),
    Spoken::Spdy(4),
    Spoken::Tunnel,
    Spoken::Channels(ChannelProtocol::Unnamed),
    Spoken::Channels(ChannelProtocol::V1),
    Spoken::Channels(ChannelProtocol::V1Base64),
    Spoken::Channels(ChannelProtocol::V4),
    Spoken::Channels(ChannelProtocol::V4Base64),
    Spoken::Channels(ChannelProtocol::V5),
];
/// What a pipe between both ends holds.
const PIPE_BYTES: usize = 4096;
const AS_CLIENT: u8 = 0x80;
const FORWARDS: u8 = 0x40;
const RAW: u8 = 0x20;

/// Whatever the peer says, our end ends when the peer is gone, and gives no more bytes than came.
pub(crate) fn run(bytes: &[u8]) {
    let [protocol, how, rest @ ..] = bytes else { return };
    let spoken = SPOKEN[usize::from(*protocol) % SPOKEN.len()];
    soon(async {
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        let peer = tokio::spawn(peer(near, spoken, how & RAW != 0, rest.to_vec()));
        let got = match (how & AS_CLIENT != 0, how & FORWARDS != 0) {
            (true, _) => opened(far).await,
            (_, true) => forwarded(far, spoken).await,
            _ => commanded(far, spoken, *how).await,
        };
        assert!(got <= rest.len(), "{got} bytes of {}", rest.len());
        peer.abort();
    });
}

/// Says all of it and ends; what it is told is thrown away.
async fn peer(stream: DuplexStream, spoken: Spoken, raw: bool, bytes: Vec<u8>) {
    let framed = matches!(spoken, Spoken::Channels(_)) && !raw;
    if framed {
        return messages(stream, spoken, &bytes).await;
    }
    let said = if raw { bytes } else { script::written(&script::read(&bytes)).to_vec() };
    if spoken == Spoken::Tunnel && !raw {
        let tunnel = websocket::Tunnel::over(websocket::over(stream, websocket::Role::Client).await);
        return speak(tunnel, &said).await;
    }
    speak(stream, &said).await;
}

async fn speak(stream: impl AsyncRead + AsyncWrite, said: &[u8]) {
    let (mut from, mut to) = tokio::io::split(stream);
    let speaking = async {
        // Our end may have had enough before.
        drop(to.write_all(said).await);
        drop(to.shutdown().await);
    };
    let mut sink = tokio::io::sink();
    drop(tokio::join!(speaking, tokio::io::copy(&mut from, &mut sink)));
}

/// Messages of a WebSocket: a length, and so many bytes.
async fn messages(stream: DuplexStream, spoken: Spoken, bytes: &[u8]) {
    use futures_util::{SinkExt, StreamExt};
    let is_text = matches!(spoken, Spoken::Channels(protocol) if protocol.is_base64());
    let (mut to, from) = websocket::over(stream, websocket::Role::Client).await.split();
    let speaking = async {
        let mut rest = bytes;
        while let [length, after @ ..] = rest {
            let (message, after) = after.split_at(after.len().min(usize::from(*length)));
            let message = match (is_text, std::str::from_utf8(message)) {
                (true, Ok(text)) => websocket::Message::Text(text.into()),
                _ => websocket::Message::Binary(Bytes::copy_from_slice(message)),
            };
            if to.send(message).await.is_err() {
                return;
            }
            rest = after;
        }
        drop(to.close().await);
    };
    tokio::join!(speaking, from.for_each(|_| std::future::ready(())));
}

async fn commanded(stream: DuplexStream, spoken: Spoken, how: u8) -> usize {
    let wanted = Wanted { stdin: how & 1 != 0, stdout: how & 2 != 0, stderr: how & 4 != 0, tty: how & 8 != 0 };
    let Ok(streams) = remote::accept(stream, spoken, wanted).await else { return 0 };
    if let Some(mut out) = streams.stdout {
        drop(out.write_all(b"out").await);
        drop(out.shutdown().await);
    }
    let sizes = async {
        if let Some(resize) = streams.resize {
            let mut sizes = Sizes::of(resize);
            while sizes.next().await.is_some() {}
        }
    };
    let read = async {
        let mut input = Vec::new();
        if let Some(mut stdin) = streams.stdin {
            drop(stdin.read_to_end(&mut input).await);
        }
        input.len()
    };
    let ((), got) = tokio::join!(sizes, read);
    drop(streams.end.tell(&End::ExitCode(3, "three".into())).await);
    got
}

async fn forwarded(stream: DuplexStream, spoken: Spoken) -> usize {
    let Ok(mut forwards) = portforward::accept(stream, spoken, &[80, 8080]).await else { return 0 };
    let mut all = 0;
    while let Some(mut forward) = forwards.next().await {
        assert!(forward.port > 0);
        drop(forward.data.write_all(b"hello").await);
        drop(forward.data.shutdown().await);
        let mut got = Vec::new();
        drop(forward.data.read_to_end(&mut got).await);
        drop(forward.error.write_all(b"no").await);
        all += got.len();
    }
    all
}

/// Our end opens the streams.
async fn opened(stream: DuplexStream) -> usize {
    let (session, mut incoming) = Session::start(stream, Role::Client).expect("a session");
    let headers = HeaderMap::from_iter([(HeaderName::from_static("streamtype"), HeaderValue::from_static("data"))]);
    let Ok(mut opened) = session.open(headers).await else { return 0 };
    let mut got = Vec::new();
    let (_, _) = tokio::join!(opened.read_to_end(&mut got), async {
        while let Some(mut other) = incoming.accept().await {
            drop(other.write_all(b"hello").await);
        }
    });
    got.len()
}
