//! The server over real TLS, with pods and a runtime of the test's own.

mod fixture;

use super::exec::BEGINS_AFTER;
use fixture::{Fixture, in_time, text};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use hyper_util::rt::TokioIo;
use std::time::Instant;
use tinyplane_wire::streaming::channel::{self, ChannelProtocol, Heard};
use tinyplane_wire::streaming::spdy::{Role, Session};
use tinyplane_wire::streaming::websocket;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const WEBSOCKET: [(&str, &str); 5] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("sec-websocket-protocol", "v5.channel.k8s.io"),
];

fn named(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_str(v).unwrap())).collect()
}

const SPDY: [(&str, &str); 3] =
    [("connection", "Upgrade"), ("upgrade", "SPDY/3.1"), ("x-stream-protocol-version", "v4.channel.k8s.io")];

#[tokio::test]
async fn only_certificates_of_the_authority_are_served() {
    let kubelet = Fixture::start("127.85.1.1").await;
    for (client, code, told) in
        [(None, 401, "Unauthorized"), (Some(&kubelet.stranger), 401, "Unauthorized"), (Some(&kubelet.known), 200, "ok")]
    {
        let response = kubelet.request(client, Method::GET, "/healthz", HeaderMap::new()).await;
        assert_eq!(response.status(), code);
        assert_eq!(text(response).await, told);
    }
}

#[tokio::test]
async fn the_api_server_is_asked_who_a_token_is_and_what_it_may() {
    let kubelet = Fixture::start_with_webhook("127.85.1.2").await;
    let bearer = |token: &str| named(&[("authorization", &format!("Bearer {token}"))]);
    let get = async |token: &str, path: &str| {
        let response = kubelet.request(None, Method::GET, path, bearer(token)).await;
        (response.status().as_u16(), text(response).await)
    };
    assert_eq!(get("good", "/pods").await.0, 200);
    assert_eq!(get("bad", "/pods").await, (401, "Unauthorized".into()));
    let told = "Forbidden (user=jane, verb=get, resource=nodes, subresource(s)=[configz proxy])";
    assert_eq!(get("good", "/configz").await, (403, told.into()));
    let asked = kubelet.reviews();
    assert_eq!(get("good", "/pods").await.0, 200);
    assert_eq!(kubelet.reviews(), asked, "a cached answer was asked for again");
}

#[tokio::test]
async fn logs_are_read_and_refused_in_upstreams_words() {
    let kubelet = Fixture::start("127.85.1.3").await;
    for (path, code, told) in [
        ("/containerLogs/default/web/c", 200, "one\ntwo\n"),
        ("/containerLogs/default/nope/c", 404, "pod \"nope\" does not exist"),
        ("/containerLogs/default/web/x", 404, "container \"x\" not found in pod \"web\""),
        (
            "/containerLogs/default/web/c?previous=true",
            400,
            "previous terminated container \"c\" in pod \"web\" not found",
        ),
        ("/containerLogs/default/web/c?tailLines=-1", 422, "{\"message\": \"Invalid request.\"}"),
        ("/containerLogs/default/web/c?tailLines=x", 400, "{\"message\": \"Unable to decode query.\"}"),
        ("/nothing", 404, "404: Page Not Found"),
    ] {
        let response = kubelet.request(Some(&kubelet.known), Method::GET, path, HeaderMap::new()).await;
        assert_eq!((response.status().as_u16(), text(response).await.as_str()), (code, told), "{path}");
    }
}

#[tokio::test]
async fn a_command_is_run_over_spdy() {
    let kubelet = Fixture::start("127.85.1.4").await;
    let path = "/exec/default/web/c?command=cat&input=1&output=1";
    let connection = kubelet.upgrade(path, named(&SPDY)).await;
    let (session, _incoming) = Session::start(TokioIo::new(connection), Role::Client).unwrap();
    let open = async |kind: &str| session.open(named(&[("streamtype", kind)])).await.unwrap();
    let (mut error, mut stdin, mut stdout) = (open("error").await, open("stdin").await, open("stdout").await);
    stdin.write_all(b"hello").await.unwrap();
    stdin.shutdown().await.unwrap();
    let (mut heard, mut told) = (String::new(), String::new());
    in_time(stdout.read_to_string(&mut heard)).await.unwrap();
    in_time(error.read_to_string(&mut told)).await.unwrap();
    assert_eq!(heard, "hello");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["details"]["causes"][0]["message"], "7", "{told}");
}

#[tokio::test]
async fn a_command_is_run_over_a_websocket() {
    let kubelet = Fixture::start("127.85.1.5").await;
    let path = "/exec/default/web/c?command=cat&input=1&output=1";
    let connection = kubelet.upgrade(path, named(&WEBSOCKET)).await;
    let mut socket = websocket::over(TokioIo::new(connection), websocket::Role::Client).await;
    let v5 = ChannelProtocol::V5;
    for message in [v5.encode(channel::STDIN, b"hello"), v5.encode_close(channel::STDIN).unwrap()] {
        socket.send(message.into()).await.unwrap();
    }
    let (mut heard, mut told) = (Vec::new(), Vec::new());
    while let Some(Ok(message)) = in_time(socket.next()).await {
        match v5.decode(message.into_data()) {
            Some(Heard::Bytes(channel::STDOUT, bytes)) => heard.extend_from_slice(&bytes),
            Some(Heard::Bytes(channel::ERROR, bytes)) => told.extend_from_slice(&bytes),
            _ => {}
        }
    }
    assert_eq!(heard, b"hello");
    assert!(String::from_utf8(told).unwrap().contains("NonZeroExitCode"));
}

#[tokio::test]
async fn a_command_says_nothing_before_its_client_has_made_its_streams() {
    let kubelet = Fixture::start("127.85.1.13").await;
    let asked = Instant::now();
    let connection = kubelet.upgrade("/exec/default/web/c?command=echo&command=hi&output=1", named(&WEBSOCKET)).await;
    let mut socket = websocket::over(TokioIo::new(connection), websocket::Role::Client).await;
    let first = in_time(async {
        loop {
            let message = socket.next().await.unwrap().unwrap();
            if let Some(Heard::Bytes(channel::STDOUT, bytes)) = ChannelProtocol::V5.decode(message.into_data())
                && !bytes.is_empty()
            {
                break bytes;
            }
        }
    });
    assert_eq!(first.await, "hi\n");
    assert!(asked.elapsed() >= BEGINS_AFTER);
}

#[tokio::test]
async fn a_client_that_goes_ends_its_command() {
    let kubelet = Fixture::start("127.85.1.6").await;
    let connection = kubelet.upgrade("/exec/default/web/c?command=sleep&output=1", named(&SPDY)).await;
    let (session, incoming) = Session::start(TokioIo::new(connection), Role::Client).unwrap();
    let open = async |kind: &str| session.open(named(&[("streamtype", kind)])).await.unwrap();
    let streams = (open("error").await, open("stdout").await);
    in_time(kubelet.until_running(1)).await;
    drop((streams, session, incoming));
    in_time(kubelet.until_running(0)).await;
}

#[tokio::test]
async fn what_can_not_be_run_is_refused_before_the_upgrade() {
    let kubelet = Fixture::start("127.85.1.7").await;
    for (path, headers, code, told) in [
        ("/exec/default/web/c?command=x", &SPDY[..], 400, "you must specify at least 1 of stdin, stdout, stderr"),
        ("/exec/default/nope/c?command=x&output=1", &SPDY[..], 404, "pod does not exist"),
        ("/exec/default/web/x?command=x&output=1", &SPDY[..], 500, "container not found (\"x\")"),
        ("/exec/default/web/c?command=x&output=1", &[], 400, "Upgrade request required\n"),
        ("/portForward/default/nope", &SPDY[..], 404, "pod does not exist"),
    ] {
        let response = kubelet.request(Some(&kubelet.known), Method::POST, path, named(headers)).await;
        assert_eq!((response.status().as_u16(), text(response).await.as_str()), (code, told), "{path}");
    }
}

#[tokio::test]
async fn a_port_is_forwarded_and_a_refusal_is_told() {
    let kubelet = Fixture::start("127.85.1.8").await;
    let asked = named(&[
        ("connection", "Upgrade"),
        ("upgrade", "SPDY/3.1"),
        ("x-stream-protocol-version", "portforward.k8s.io"),
    ]);
    let connection = kubelet.upgrade("/portForward/default/web", asked).await;
    let (session, _incoming) = Session::start(TokioIo::new(connection), Role::Client).unwrap();
    let open = async |kind: &str, port: &str, id: &str| {
        session.open(named(&[("streamtype", kind), ("port", port), ("requestid", id)])).await.unwrap()
    };
    let (mut error, mut data) = (open("error", "80", "0").await, open("data", "80", "0").await);
    data.write_all(b"echo").await.unwrap();
    data.shutdown().await.unwrap();
    let (mut heard, mut told) = (String::new(), String::new());
    in_time(data.read_to_string(&mut heard)).await.unwrap();
    in_time(error.read_to_string(&mut told)).await.unwrap();
    assert_eq!((heard.as_str(), told.as_str()), ("echo", ""));
    let (mut error, _data) = (open("error", "81", "1").await, open("data", "81", "1").await);
    in_time(error.read_to_string(&mut told)).await.unwrap();
    assert!(told.starts_with("error forwarding port 81 to pod s1, uid : "), "{told}");
    assert!(told.contains("connection refused"), "{told}");
}

#[tokio::test]
async fn run_answers_with_what_the_command_wrote() {
    let kubelet = Fixture::start("127.85.1.9").await;
    let path = "/run/default/web/c?cmd=echo%20hi";
    let response = kubelet.request(Some(&kubelet.known), Method::POST, path, HeaderMap::new()).await;
    assert_eq!((response.status().as_u16(), text(response).await.as_str()), (200, "hi\n"));
    let response = kubelet.request(Some(&kubelet.known), Method::GET, path, HeaderMap::new()).await;
    assert_eq!(response.status(), 405);
}

#[tokio::test]
async fn pods_and_counts_are_told() {
    let kubelet = Fixture::start("127.85.1.10").await;
    let get =
        async |path: &str| text(kubelet.request(Some(&kubelet.known), Method::GET, path, HeaderMap::new()).await).await;
    for path in ["/pods", "/runningpods/"] {
        let list: serde_json::Value = serde_json::from_str(&get(path).await).unwrap();
        assert_eq!(list["items"][0]["metadata"]["name"], "web", "{path}");
    }
    assert!(get("/metrics").await.contains("kubelet_running_pods 1\n"));
    assert!(get("/stats/summary").await.contains("\"podRef\""));
}
