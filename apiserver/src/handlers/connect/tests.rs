//! From a client through the handlers to a kubelet, a pod and a Service, over real connections.

mod fixture;

use fixture::{Fixture, in_time, named};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, Method};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tinyplane_wire::streaming::channel::{self, ChannelProtocol, Heard};
use tinyplane_wire::streaming::spdy::{Role, Session};
use tinyplane_wire::streaming::websocket;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const POD: &str = "/api/v1/namespaces/default/pods/web";
const SPDY: [(&str, &str); 3] =
    [("connection", "Upgrade"), ("upgrade", "SPDY/3.1"), ("x-stream-protocol-version", "v4.channel.k8s.io")];
const WEBSOCKET: [(&str, &str); 5] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("sec-websocket-protocol", "v5.channel.k8s.io"),
];

#[tokio::test]
async fn a_command_is_run_over_spdy_and_its_input_can_end_first() {
    let world = Fixture::start("127.84.1").await;
    let path = format!("{POD}/exec?command=cat&command=-&stdin=true&stdout=true&container=c");
    let connection = world.upgrade(Method::POST, &path, named(&SPDY)).await;
    let (session, _incoming) = Session::start(TokioIo::new(connection), Role::Client).unwrap();
    let open = async |kind: &str| session.open(named(&[("streamtype", kind)])).await.unwrap();
    let (mut error, mut stdin, mut stdout) = (open("error").await, open("stdin").await, open("stdout").await);
    let sent = vec![b'x'; 300_000];
    let copy = sent.clone();
    let writing = tokio::spawn(async move {
        stdin.write_all(&copy).await.unwrap();
        stdin.shutdown().await.unwrap();
        stdin
    });
    let (mut heard, mut told) = (Vec::new(), String::new());
    in_time(stdout.read_to_end(&mut heard)).await.unwrap();
    in_time(error.read_to_string(&mut told)).await.unwrap();
    assert!(heard == sent, "{} bytes came back", heard.len());
    assert!(told.contains("\"ExitCode\""), "{told}");
    in_time(writing).await.unwrap();
    assert_eq!(world.asked(), "POST /exec/default/web/c?command=cat&command=%2D&input=1&output=1");
}

#[tokio::test]
async fn a_command_is_run_over_a_websocket_by_whoever_may_create() {
    let world = Fixture::start("127.84.2").await;
    let path = format!("{POD}/exec?command=cat&stdin=true&stdout=true");
    let connection = world.upgrade(Method::GET, &path, named(&WEBSOCKET)).await;
    let mut socket = websocket::over(TokioIo::new(connection), websocket::Role::Client).await;
    let v5 = ChannelProtocol::V5;
    for message in [v5.encode(channel::STDIN, b"hello"), v5.encode_close(channel::STDIN).unwrap()] {
        socket.send(message.into()).await.unwrap();
    }
    let mut heard = Vec::new();
    while let Some(Ok(message)) = in_time(socket.next()).await {
        if let Some(Heard::Bytes(channel::STDOUT, bytes)) = v5.decode(message.into_data()) {
            heard.extend_from_slice(&bytes);
        }
    }
    assert_eq!(heard, b"hello");
    let reader = world.as_reader();
    let (code, status) = reader.failure(Method::GET, &path, named(&WEBSOCKET)).await;
    assert_eq!((code, &status["reason"]), (403, &json!("Forbidden")));
}

#[tokio::test]
async fn what_can_not_be_streamed_is_refused_in_upstreams_words() {
    let world = Fixture::start("127.84.3").await;
    let dead = world.dead_kubelet();
    let pods = "/api/v1/namespaces/default/pods";
    for (path, headers, code, told) in [
        (format!("{POD}/exec?command=x&stdout=true"), &[][..], 400, "Upgrade request required".to_owned()),
        (format!("{POD}/exec?container=x&stdout=true"), &SPDY[..], 400, "container x is not valid for pod web".into()),
        (
            format!("{pods}/two/exec?stdout=true"),
            &SPDY[..],
            400,
            "a container name must be specified for pod two, choose one of: [a b]".into(),
        ),
        (format!("{pods}/new/exec?stdout=true"), &SPDY[..], 400, "pod new does not have a host assigned".into()),
        (format!("{pods}/gone/exec?stdout=true"), &SPDY[..], 404, "pods \"gone\" not found".into()),
        (
            format!("{pods}/lost/exec?stdout=true"),
            &SPDY[..],
            500,
            format!("error dialing backend: dial tcp {dead}: connect: connection refused"),
        ),
        (format!("{pods}/web/portforward"), &[][..], 400, "Upgrade request required".into()),
    ] {
        let (found, status) = world.failure(Method::POST, &path, named(headers)).await;
        assert_eq!((found, status["message"].as_str().unwrap()), (code, told.as_str()), "{path}");
    }
    let (code, _) = world.failure(Method::DELETE, &format!("{POD}/exec"), HeaderMap::new()).await;
    assert_eq!(code, 405);
    // A kubelet's own refusal passes as it is.
    let refused = world.request(Method::POST, &format!("{POD}/exec?stdout=true&command=refuse"), named(&SPDY)).await;
    assert_eq!((refused.code, refused.text.as_str()), (404, "pod does not exist"));
}

#[tokio::test]
async fn logs_stream_and_fail_in_upstreams_words() {
    let world = Fixture::start("127.84.4").await;
    let answer = world.request(Method::GET, &format!("{POD}/log?tailLines=2&follow=true"), HeaderMap::new()).await;
    assert_eq!((answer.code, answer.text.as_str()), (200, "one\ntwo\n"));
    assert_eq!(answer.headers["content-type"], "text/plain");
    assert_eq!(world.asked(), "GET /containerLogs/default/web/c?follow=true&tailLines=2");
    let new = world.request(Method::GET, "/api/v1/namespaces/default/pods/new/log", HeaderMap::new()).await;
    assert_eq!((new.code, new.text.as_str()), (204, ""));
    let dead = world.dead_kubelet();
    let refused =
        format!("Get \"https://{dead}/containerLogs/default/lost/c\": dial tcp {dead}: connect: connection refused");
    for (path, code, reason, told) in [
        (format!("{POD}/log?tailLines=x"), 400, "BadRequest", "strconv.ParseInt: parsing \"x\": invalid syntax"),
        (
            format!("{POD}/log?tailLines=-1"),
            422,
            "Invalid",
            "PodLogOptions \"web\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0",
        ),
        (format!("{POD}/log?container=x"), 400, "BadRequest", "container x is not valid for pod web"),
        (
            format!("{POD}/log?previous=true"),
            400,
            "BadRequest",
            "previous terminated container \"c\" in pod \"web\" not found",
        ),
        ("/api/v1/namespaces/default/pods/lost/log".into(), 500, "", refused.as_str()),
    ] {
        let (found, status) = world.failure(Method::GET, &path, HeaderMap::new()).await;
        assert_eq!((found, status["message"].as_str().unwrap()), (code, told), "{path}");
        assert_eq!(status["reason"].as_str().unwrap_or_default(), reason, "{path}");
    }
}

#[tokio::test]
async fn a_client_that_goes_ends_its_log() {
    let world = Fixture::start("127.84.5").await;
    let follow = world.begin(Method::GET, &format!("{POD}/log?follow=true&limitBytes=99"), HeaderMap::new()).await;
    in_time(world.until_open(1)).await;
    drop(follow);
    in_time(world.until_open(0)).await;
}

#[tokio::test]
async fn pods_are_proxied_without_our_credentials() {
    let world = Fixture::start("127.84.6").await;
    let headers = named(&[("authorization", "Bearer secret"), ("x-mine", "1")]);
    let answer = world.request(Method::GET, &format!("{POD}/proxy/a/b?c=d"), headers).await;
    let seen: Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!((answer.code, &seen["path"]), (200, &json!("/a/b?c=d")));
    assert_eq!(seen["headers"]["x-forwarded-uri"], json!(format!("{POD}/proxy/a/b")));
    assert_eq!(seen["headers"]["x-mine"], "1");
    assert!(seen["headers"].get("authorization").is_none());
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
    let posted = world.send(Method::POST, &format!("{POD}/proxy/x"), HeaderMap::new(), "body").await;
    assert_eq!(serde_json::from_str::<Value>(&posted.text).unwrap()["body"], "body");
    let moved = world.request(Method::GET, &format!("{POD}/proxy?x=1"), HeaderMap::new()).await;
    assert_eq!((moved.code, &moved.headers["location"]), (301, &format!("{POD}/proxy/?x=1").parse().unwrap()));
    let redirected = world.request(Method::GET, &format!("{POD}/proxy/redirect"), HeaderMap::new()).await;
    assert_eq!(redirected.headers["location"], format!("{POD}/proxy/login").as_str());
}

#[tokio::test]
async fn proxies_reach_only_what_they_may() {
    let world = Fixture::start("127.84.7").await;
    let namespace = "/api/v1/namespaces/default";
    for (path, code, told) in [
        (format!("{namespace}/pods/outside/proxy/"), 400, "address not allowed"),
        (format!("{namespace}/pods/new/proxy/"), 400, "address not allowed"),
        (format!("{namespace}/pods/ftp:web:1/proxy/"), 400, "invalid pod request \"ftp:web:1\""),
        (format!("{namespace}/services/none/proxy/"), 503, "no endpoints available for service \"none\""),
        (format!("{namespace}/services/web:9/proxy/"), 503, "no service port 9 found for service \"web\""),
        (format!("{namespace}/services/gone/proxy/"), 404, "services \"gone\" not found"),
        ("/api/v1/nodes/gone/proxy/".into(), 404, "nodes \"gone\" not found"),
    ] {
        let (found, status) = world.failure(Method::GET, &path, HeaderMap::new()).await;
        assert_eq!((found, status["message"].as_str().unwrap()), (code, told), "{path}");
    }
    let (code, status) = world.failure(Method::GET, &format!("{namespace}/pods/web:1/proxy/"), HeaderMap::new()).await;
    let told = "error trying to reach service: dial tcp 127.84.7.3:1: connect: connection refused";
    assert_eq!((code, status["message"].as_str().unwrap()), (503, told));
    assert_eq!(status["reason"], "ServiceUnavailable");
}

#[tokio::test]
async fn services_and_nodes_are_proxied() {
    let world = Fixture::start("127.84.8").await;
    let answer =
        world.request(Method::GET, "/api/v1/namespaces/default/services/web:80/proxy/x", HeaderMap::new()).await;
    assert_eq!(serde_json::from_str::<Value>(&answer.text).unwrap()["path"], "/x");
    let answer =
        world.request(Method::GET, "/api/v1/nodes/node-1/proxy/containerLogs/default/web/c", HeaderMap::new()).await;
    assert_eq!((answer.code, answer.text.as_str()), (200, "one\ntwo\n"));
}

#[tokio::test]
async fn a_taken_port_is_reached_at_its_alias() {
    let world = Fixture::start("127.84.9").await;
    let path = "/api/v1/namespaces/default/pods/aliased/proxy/x";
    let answer = world.request(Method::GET, path, HeaderMap::new()).await;
    assert_eq!(serde_json::from_str::<Value>(&answer.text).unwrap()["path"], "/x");
}

#[tokio::test]
async fn websockets_pass_through_the_pod_proxy() {
    let world = Fixture::start("127.84.10").await;
    let mut connection =
        TokioIo::new(world.upgrade(Method::GET, &format!("{POD}/proxy/echo"), named(&WEBSOCKET)).await);
    connection.write_all(b"anything").await.unwrap();
    let mut heard = [0; 8];
    in_time(connection.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"anything");
}
