//! The server over real connections: both protocols, certificates that are judged per request, and the drain.

use super::*;
use crate::authn::{Authenticator, Certificates, Impersonation};
use crate::authz::Authorizers;
use crate::chain::tests::{Teller, endpoints};
use http::{Method, Request, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::identity::pki::{Authority, Issued, Leaf};
use tinyplane_wire::identity::serving::ServingFiles;
use tinyplane_wire::identity::tls::{self, ALPN_HTTP1, ALPN_HTTP2, ClientAuth, KeyPairPem, Trust};
use tinyplane_wire::net::TcpDial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

struct Running {
    address: SocketAddr,
    authority: Authority,
    files: tempfile::TempDir,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

fn pair(issued: Issued) -> KeyPairPem {
    KeyPairPem { certificate: issued.certificate_pem, key: issued.key_pem }
}

fn start() -> Running {
    let now = Clock::system().now();
    let authority = Authority::create("ca", now).unwrap();
    let files = tempfile::tempdir().unwrap();
    let (certificate, key) = issue(&authority, files.path());
    let served = ServingFiles::open(&certificate, &key).unwrap();
    let settings = tls::server_of(served, &ClientAuth::Offered, &tls::ALPN_HTTP).unwrap();
    let shutdown = Shutdown::new();
    let chain = Chain {
        authenticator: Arc::new(Authenticator {
            certificates: Some(Certificates::new(authority.certificate_pem()).unwrap()),
            anonymous: true,
            ..Authenticator::default()
        }),
        impersonation: Impersonation::default(),
        authorizer: Arc::new(Authorizers { node: None, rbac: None, always_allow: true }),
        flow_control: Arc::new(crate::flow_control::FlowControl::unlimited(Clock::system())),
        metrics: Arc::default(),
        audit: None,
        endpoints: endpoints(&shutdown),
        handlers: Arc::new(Teller),
        clock: Clock::system(),
        call_timeout: crate::chain::CALL_TIMEOUT,
        shutdown: shutdown.clone(),
    };
    let at = ([127, 86, 3, 1], 0).into();
    let server = Server::bind(at, None).unwrap();
    let address = server.address();
    let task = tokio::spawn(server.serve(Arc::new(settings), Arc::new(chain), shutdown.clone()));
    Running { address, authority, files, shutdown, task }
}

/// Writes a new serving certificate.
fn issue(authority: &Authority, folder: &Path) -> (PathBuf, PathBuf) {
    let issued = authority.issue(&Leaf::server("api", &["api"], &[]), Clock::system().now()).unwrap();
    let (certificate, key) = (folder.join("api.crt"), folder.join("api.key"));
    std::fs::write(&certificate, issued.certificate_pem).unwrap();
    std::fs::write(&key, issued.key_pem).unwrap();
    (certificate, key)
}

async fn connect(running: &Running, client: Option<&KeyPairPem>, alpn: &[&[u8]]) -> TlsStream<TcpStream> {
    let trust = Trust::Roots(running.authority.certificate_pem().to_owned());
    let settings = tls::client(&trust, client, alpn).unwrap();
    let stream = TcpDial::from(None).connect(running.address).await.unwrap();
    TlsConnector::from(Arc::new(settings)).connect("api".try_into().unwrap(), stream).await.unwrap()
}

fn request(path: &str) -> Request<Empty<bytes::Bytes>> {
    Request::builder().uri(format!("https://api{path}")).header("host", "api").body(Empty::new()).unwrap()
}

async fn text(response: http::Response<hyper::body::Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn both_protocols_are_spoken_and_certificates_are_judged_per_request() {
    let running = start();
    let jane = pair(running.authority.issue(&Leaf::client("jane", None), Clock::system().now()).unwrap());
    let stream = connect(&running, Some(&jane), &ALPN_HTTP1).await;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let driven = tokio::spawn(connection);
    for _ in 0..2 {
        let response = sender.send_request(request("/api/v1/nodes/n")).await.unwrap();
        assert_eq!((response.version(), response.status()), (Version::HTTP_11, StatusCode::OK));
        assert_eq!(text(response).await, "jane get");
    }
    drop(sender);
    driven.await.unwrap().unwrap();

    let stranger = Authority::create("other", Clock::system().now()).unwrap();
    let stranger = pair(stranger.issue(&Leaf::client("jane", None), Clock::system().now()).unwrap());
    let stream = connect(&running, Some(&stranger), &ALPN_HTTP2).await;
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let response = sender.send_request(request("/api/v1/nodes/n")).await.unwrap();
    assert_eq!((response.version(), response.status()), (Version::HTTP_2, StatusCode::UNAUTHORIZED));
    let mut head = request("/api/v1/nodes/n");
    *head.method_mut() = Method::HEAD;
    let response = sender.send_request(head).await.unwrap();
    assert_eq!(response.headers()["content-length"], "129");
    assert_eq!(text(response).await, "");
    running.shutdown.cancel();
    running.task.await.unwrap();
}

#[tokio::test]
async fn watches_end_and_the_server_is_gone_within_a_second() {
    let running = start();
    let mut watches = Vec::new();
    for alpn in [&ALPN_HTTP1[..], &ALPN_HTTP2[..]] {
        let stream = TokioIo::new(connect(&running, None, alpn).await);
        if alpn == ALPN_HTTP1 {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            watches.push(sender.send_request(request("/api/v1/pods?watch=1")).await.unwrap());
        } else {
            let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
            let (mut sender, connection) = handshake.await.unwrap();
            tokio::spawn(connection);
            watches.push(sender.send_request(request("/api/v1/pods?watch=1")).await.unwrap());
        }
    }
    let idle = connect(&running, None, &ALPN_HTTP2).await;
    let told = Instant::now();
    running.shutdown.cancel();
    for watch in watches {
        assert_eq!(text(watch).await, "", "a watch ends as if it were complete");
    }
    running.task.await.unwrap();
    assert!(told.elapsed() < Duration::from_secs(1), "{:?}", told.elapsed());
    drop(idle);
    assert!(TcpDial::from(None).connect(running.address).await.is_err());
}

#[tokio::test]
async fn a_changed_certificate_is_served_and_open_connections_go_on() {
    let running = start();
    let shown = |stream: &TlsStream<_>| stream.get_ref().1.peer_certificates().unwrap().to_vec();
    let stream = connect(&running, None, &ALPN_HTTP1).await;
    let first = shown(&stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    assert_eq!(shown(&connect(&running, None, &ALPN_HTTP1).await), first);
    issue(&running.authority, running.files.path());
    assert_ne!(shown(&connect(&running, None, &ALPN_HTTP1).await), first);
    assert_eq!(sender.send_request(request("/healthz")).await.unwrap().status(), StatusCode::OK);
    running.shutdown.cancel();
    running.task.await.unwrap();
}

#[tokio::test]
async fn a_refusal_does_not_overtake_a_short_body() {
    let running = start();
    let handshake = hyper::client::conn::http2::handshake(
        TokioExecutor::new(),
        TokioIo::new(connect(&running, None, &ALPN_HTTP2).await),
    );
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let (feed, fed) = tokio::sync::mpsc::channel::<bytes::Bytes>(1);
    let pieces = futures_util::stream::unfold(fed, |mut fed| async move {
        let piece = fed.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(hyper::body::Frame::data(piece)), fed))
    });
    let body = http_body_util::StreamBody::new(Box::pin(pieces));
    let request = Request::post("https://api/api/v1/nodes").header("authorization", "Bearer wrong").body(body);
    let answer = tokio::spawn(sender.send_request(request.unwrap()));
    for _ in 0..20 {
        feed.send(vec![b' '; 1_000].into()).await.expect("the server reads it");
    }
    drop(feed);
    assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::UNAUTHORIZED);
    running.shutdown.cancel();
    running.task.await.unwrap();
}

#[tokio::test]
async fn who_speaks_plain_http_is_told_so() {
    let running = start();
    let mut plain = TcpDial::from(None).connect(running.address).await.unwrap();
    plain.write_all(b"GET /version HTTP/1.1\r\nHost: api\r\n\r\n").await.unwrap();
    let mut told = String::new();
    // The rest of the request was not read, so that a reset may follow.
    drop(plain.read_to_string(&mut told).await);
    assert!(told.starts_with("HTTP/1.0 400 ") && told.contains("HTTP request to an HTTPS server"), "{told}");
    running.shutdown.cancel();
    running.task.await.unwrap();
}

#[tokio::test]
async fn what_http_itself_refuses_is_told_as_go_tells_it() {
    let running = start();
    let many: String = (0..200).map(|at| format!("x-{at}: y\r\n")).collect();
    let (bad, host) = ("400 Bad Request", "host: api\r\n");
    for (head, said, body) in [
        (format!("GET /api/v1/nodes?a={} HTTP/1.1\r\n{host}", "x".repeat(70_000)), "414 URI Too Long", None),
        (format!("GET /{} HTTP/1.1\r\n{host}", "x".repeat(300_000)), "414 URI Too Long", None),
        (format!("GET /{} HTTP/1.1\r\n{host}", "x".repeat(1 << 20)), "431 Request Header Fields Too Large", None),
        (format!("GET /healthz HTTP/1.1\r\n{host}{many}"), "431 Request Header Fields Too Large", None),
        ("GET /healthz HTTP/1.1\r\nhost api\r\n".to_owned(), bad, None),
        (format!("GET /%zz HTTP/1.1\r\n{host}"), bad, None),
        (format!("GET /healthz HTTP/1.1\r\n{host}{host}"), bad, None),
        ("GET /healthz HTTP/1.1\r\n".to_owned(), "400 Bad Request: missing required Host header", None),
        ("GET /healthz HTTP/1.1\r\nhost: a/b\r\n".to_owned(), "400 Bad Request: malformed Host header", None),
        (
            format!("POST /healthz HTTP/1.1\r\n{host}transfer-encoding: gzip, chunked\r\n"),
            "501 Not Implemented",
            Some("Unsupported transfer encoding"),
        ),
        (format!("POST /healthz HTTP/1.1\r\n{host}expect: x\r\n"), "417 Expectation Failed", Some("")),
    ] {
        let mut stream = connect(&running, None, &ALPN_HTTP1).await;
        // The answer may come before all is sent.
        drop(stream.write_all(format!("{head}\r\n").as_bytes()).await);
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        let answer = String::from_utf8(answer).unwrap();
        let (head, told) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{said}: {answer}"));
        assert_eq!(head.lines().next(), Some(format!("HTTP/1.1 {said}").as_str()), "{answer}");
        assert_eq!(told, body.unwrap_or(said), "{answer}");
        assert!(head.lines().any(|line| line == "connection: close"), "{answer}");
    }
    let mut stream = connect(&running, None, &ALPN_HTTP1).await;
    stream.write_all(b"OPTIONS * HTTP/1.1\r\nhost: api\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && !answer.contains("audit-id"), "{answer}");
    running.shutdown.cancel();
    running.task.await.unwrap();
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

#[tokio::test]
async fn a_path_too_long_costs_a_call_of_http2_and_not_its_connection() {
    let running = start();
    let mut stream = connect(&running, None, &ALPN_HTTP2).await;
    // GET, https, an authority and a path, all of them literal; the path's length as HPACK has it.
    let block = |path: &str| {
        let rest = path.len() - 127;
        let length = [0x7f, 0x80 | (rest & 0x7f) as u8, 0x80 | (rest >> 7 & 0x7f) as u8, (rest >> 14) as u8];
        [&[0x82, 0x87, 0x01, 3][..], b"api", &[0x04], &length, path.as_bytes()].concat()
    };
    let mut sent = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, &[])].concat();
    for (id, path) in [(1, format!("/healthz?{}", "x".repeat(70_000))), (3, format!("/healthz?{}", "x".repeat(200)))] {
        let block = block(&path);
        let pieces: Vec<_> = block.chunks(16_000).collect();
        for (at, piece) in pieces.iter().enumerate() {
            let (kind, ends) = (if at == 0 { 1 } else { 9 }, if at + 1 == pieces.len() { 4 } else { 0 });
            // The call has no body, which its first frame says.
            sent.extend(frame(kind, ends | u8::from(at == 0), id, piece));
        }
    }
    stream.write_all(&sent).await.unwrap();
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; usize::from(head[1]) * 256 + usize::from(head[2])];
        stream.read_exact(&mut payload).await.unwrap();
        // Headers or the end of a stream.
        if [1, 3].contains(&head[3]) {
            heard.push((head[8], head[3]));
        }
    }
    heard.sort_unstable();
    assert_eq!(heard, [(1, 3), (3, 1)], "the first is reset, the second answered");
    running.shutdown.cancel();
    running.task.await.unwrap();
}
