//! Remote commands over both protocols, in memory.

use super::*;
use crate::streaming::websocket::over;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::Message;

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), what).await.expect("in time")
}

fn kind(kind: &str) -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static("streamtype"), HeaderValue::from_str(kind).unwrap())])
}

/// Echoes its input to its output, and ends with 3.
async fn serve(connection: tokio::io::DuplexStream, spoken: Spoken) {
    let wanted = Wanted { stdin: true, stdout: true, ..Wanted::default() };
    let mut streams = accept(connection, spoken, wanted).await.unwrap();
    let (mut stdin, mut stdout) = (streams.stdin.take().unwrap(), streams.stdout.take().unwrap());
    tokio::io::copy(&mut stdin, &mut stdout).await.unwrap();
    stdout.shutdown().await.unwrap();
    streams.end.tell(&End::ExitCode(3, "exit code 3".into())).await.unwrap();
}

#[tokio::test]
async fn spdy_streams_echo_and_tell_the_exit_code() {
    let (near, far) = tokio::io::duplex(4096);
    let server = tokio::spawn(serve(far, Spoken::Spdy(4)));
    let (client, _incoming) = Session::start(near, spdy::Role::Client).unwrap();
    let mut error = client.open(kind("error")).await.unwrap();
    let mut stdin = client.open(kind("stdin")).await.unwrap();
    let mut stdout = client.open(kind("stdout")).await.unwrap();
    stdin.write_all(b"hello").await.unwrap();
    stdin.shutdown().await.unwrap();
    let (mut heard, mut told) = (String::new(), String::new());
    in_time(stdout.read_to_string(&mut heard)).await.unwrap();
    in_time(error.read_to_string(&mut told)).await.unwrap();
    assert_eq!(heard, "hello");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["reason"], "NonZeroExitCode");
    assert_eq!(told["details"]["causes"][0], json!({"reason": "ExitCode", "message": "3"}));
    in_time(server).await.unwrap();
}

async fn through_websocket(protocol: ChannelProtocol) -> (String, String) {
    let (near, far) = tokio::io::duplex(4096);
    let server = tokio::spawn(serve(far, Spoken::Channels(protocol)));
    let mut client = over(near, websocket::Role::Client).await;
    let pack = |bytes: bytes::Bytes| match protocol.is_base64() {
        true => Message::Text(String::from_utf8(bytes.to_vec()).unwrap().into()),
        false => Message::Binary(bytes),
    };
    client.send(pack(protocol.encode(channel::STDIN, b"hello"))).await.unwrap();
    if let Some(close) = protocol.encode_close(channel::STDIN) {
        client.send(Message::Binary(close)).await.unwrap();
    }
    let (mut heard, mut told) = (String::new(), String::new());
    while let Some(message) = in_time(client.next()).await {
        let bytes = match message.unwrap() {
            Message::Close(_) => break,
            message => message.into_data(),
        };
        let Some(channel::Heard::Bytes(channel, bytes)) = protocol.decode(bytes) else { panic!("a close") };
        match channel {
            channel::STDOUT => heard.push_str(std::str::from_utf8(&bytes).unwrap()),
            channel::ERROR => told.push_str(std::str::from_utf8(&bytes).unwrap()),
            other => panic!("channel {other}"),
        }
        // Without a close of its own, the input ends with the connection.
        if heard == "hello" && protocol != ChannelProtocol::V5 {
            client.close(None).await.unwrap();
        }
    }
    server.abort();
    (heard, told)
}

#[tokio::test]
async fn a_v5_websocket_closes_its_input_and_still_hears_the_end() {
    let (heard, told) = through_websocket(ChannelProtocol::V5).await;
    assert_eq!(heard, "hello");
    assert!(told.contains("NonZeroExitCode"), "{told}");
}

#[tokio::test]
async fn older_websockets_carry_bytes_and_texts() {
    for protocol in [ChannelProtocol::V4, ChannelProtocol::V4Base64, ChannelProtocol::V1] {
        assert_eq!(through_websocket(protocol).await.0, "hello", "{protocol:?}");
    }
}

#[tokio::test]
async fn a_client_that_goes_is_noticed() {
    for spoken in [Spoken::Spdy(4), Spoken::Channels(ChannelProtocol::V5)] {
        let (near, far) = tokio::io::duplex(4096);
        let client = Session::start(near, spdy::Role::Client).unwrap();
        let _error = match spoken {
            Spoken::Spdy(_) => Some(client.0.open(kind("error")).await.unwrap()),
            _ => None,
        };
        let streams = in_time(accept(far, spoken, Wanted::default())).await.unwrap();
        drop((client, _error));
        in_time(streams.closed.cancelled()).await;
    }
}

#[tokio::test]
async fn sizes_are_read_one_by_one() {
    let text = br#"{"Width":80,"Height":24}
{"Width":100,"Height":30}"#;
    let mut sizes = Sizes::of(Box::new(&text[..]));
    assert_eq!(sizes.next().await, Some(Size { width: 80, height: 24 }));
    assert_eq!(sizes.next().await, Some(Size { width: 100, height: 30 }));
    assert_eq!(sizes.next().await, None);
}
