//! A client, the handlers, a kubelet and a pod's web server, each on its own address.

use crate::authn::{Caller, Peer};
use crate::authz::{Attributes, Authorizer, Decision, On, permit};
use crate::egress::{NodeConfig, Nodes, direct};
use crate::handlers::connect::{ConnectContext, Lookup, demand_method, serve};
use crate::request::Call;
use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::gvr::Gvr;
use tinyplane_wire::identity::pki::{Authority, Leaf};
use tinyplane_wire::identity::tls::{self, ClientAuth, KeyPairPem};
use tinyplane_wire::net::{Listener, Sources, bind};
use tinyplane_wire::process::Shutdown;
use tinyplane_wire::status::{self, Status};
use tinyplane_wire::streaming::handshake::{self, Purpose};
use tinyplane_wire::streaming::remote::{self, End, Wanted};
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

pub(super) async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), what).await.expect("in time")
}

pub(super) fn named(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_str(v).unwrap())).collect()
}

/// An answer that was read to its end.
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

#[derive(Clone)]
pub(super) struct Fixture {
    context: ConnectContext,
    network: String,
    asked: Arc<Mutex<String>>,
    open: watch::Sender<usize>,
    authorizer: Arc<dyn Authorizer>,
    _guard: Arc<Guard>,
}

struct Guard {
    shutdown: Shutdown,
    _folder: tempfile::TempDir,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

struct Everything;

impl Authorizer for Everything {
    fn authorize(&self, _: &Caller, _: &Attributes<'_>) -> Decision {
        Decision::Allow
    }
}

struct Reading;

impl Authorizer for Reading {
    fn authorize(&self, _: &Caller, question: &Attributes<'_>) -> Decision {
        match question.on {
            On::Resource { .. } if question.verb == "get" => Decision::Allow,
            _ => Decision::NoOpinion(String::new()),
        }
    }
}

struct Objects(HashMap<(String, String), Value>);

#[async_trait]
impl Lookup for Objects {
    async fn get(&self, gvr: &Gvr, _: Option<&str>, name: &str) -> status::Result<Arc<Value>> {
        let found = self.0.get(&(gvr.resource.to_string(), name.to_owned()));
        found.cloned().map(Arc::new).ok_or_else(|| Status::not_found("", &gvr.resource, name))
    }
}

fn objects(network: &str, web: SocketAddr, kubelet: SocketAddr) -> Objects {
    let node = |address: &str, port: u16| {
        json!({"status": {"addresses": [{"type": "InternalIP", "address": address}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}})
    };
    let pod = |name: &str, node: &str, containers: &[&str], ip: &str, port: u16| {
        let containers: Vec<Value> =
            containers.iter().map(|c| json!({"name": c, "ports": [{"containerPort": port}]})).collect();
        json!({"metadata": {"name": name, "namespace": "default"}, "spec": {"nodeName": node, "containers": containers},
            "status": {"podIPs": if ip.is_empty() { json!([]) } else { json!([{"ip": ip}]) }}})
    };
    let ip = web.ip().to_string();
    let mut aliased = pod("aliased", "node-1", &["c"], &ip, 9);
    aliased["metadata"]["annotations"] = json!({"tinyplane.dev/port-alias.9": web.port().to_string()});
    let endpoints = json!({"subsets": [{"ports": [{"name": "http", "port": web.port()}], "addresses": [
        {"ip": "127.0.0.1"}, {"ip": ip, "targetRef": {"kind": "Pod", "name": "web", "namespace": "default"}}]}]});
    let service = json!({"spec": {"ports": [{"name": "http", "port": 80}]}});
    let all = [
        ("nodes", "node-1", node(&kubelet.ip().to_string(), kubelet.port())),
        ("nodes", "node-2", node(&format!("{network}.4"), 10250)),
        ("pods", "web", pod("web", "node-1", &["c"], &ip, web.port())),
        ("pods", "two", pod("two", "node-1", &["a", "b"], &ip, 80)),
        ("pods", "new", pod("new", "", &["c"], "", 80)),
        ("pods", "lost", pod("lost", "node-2", &["c"], &ip, 80)),
        ("pods", "outside", pod("outside", "node-1", &["c"], "127.0.0.1", 80)),
        ("pods", "aliased", aliased),
        ("services", "web", service.clone()),
        ("services", "none", service),
        ("endpoints", "web", endpoints),
        ("endpoints", "none", json!({})),
    ];
    Objects(all.into_iter().map(|(kind, name, object)| ((kind.into(), name.into()), object)).collect())
}

impl Fixture {
    /// Addresses: .1 the API server, .2 a kubelet, .3 a pod, .4 a kubelet that is dead.
    pub(super) async fn start(network: &str) -> Self {
        let now = Clock::system().now();
        let authority = Authority::create("ca", now).unwrap();
        let address = |host: u8, port: u16| format!("{network}.{host}:{port}").parse::<SocketAddr>().unwrap();
        let leaf = Leaf::server("node-1", &[], &[address(2, 0).ip()]);
        let serving = authority.issue(&leaf, now).unwrap();
        let client = authority.issue(&Leaf::client("kube-apiserver-kubelet-client", None), now).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            Some(path)
        };
        let config = NodeConfig {
            certificate_file: file("client.crt", &client.certificate_pem),
            key_file: file("client.key", &client.key_pem),
            authority_file: file("ca.crt", authority.certificate_pem()),
            preferred_address_types: Vec::new(),
        };
        let (shutdown, open, asked) = (Shutdown::new(), watch::Sender::new(0), Arc::default());
        let kubelet = bind(address(2, 0), Sources::only(vec![format!("{network}.1/32").parse().unwrap()])).unwrap();
        let web = bind(address(3, 0), Sources::any()).unwrap();
        let pair = KeyPairPem { certificate: serving.certificate_pem, key: serving.key_pem };
        let required = ClientAuth::Required(authority.certificate_pem().to_owned());
        let tls = Arc::new(tls::server(&pair, &required, &tls::ALPN_HTTP).unwrap());
        let lookup = Arc::new(objects(network, web.address, kubelet.address));
        spawn(&shutdown, serve_kubelet(kubelet.listener, tls.into(), Arc::clone(&asked), open.clone()));
        spawn(&shutdown, serve_web(web.listener));
        let cluster_net = format!(r#"{{"nodes":"{network}.2/32","pods":"{network}.3/32"}}"#).parse().unwrap();
        let dial = Arc::new(direct::dial(Some(address(1, 0).ip()), &cluster_net));
        let context = ConnectContext {
            lookup,
            nodes: Arc::new(Nodes::new(config, dial)),
            cluster_net,
            shutdown: shutdown.clone(),
        };
        let guard = Arc::new(Guard { shutdown, _folder: folder });
        Self { context, network: network.into(), asked, open, authorizer: Arc::new(Everything), _guard: guard }
    }

    /// The same world for a caller that may only read.
    pub(super) fn as_reader(&self) -> Self {
        Self { authorizer: Arc::new(Reading), ..self.clone() }
    }

    pub(super) fn dead_kubelet(&self) -> String {
        format!("{}.4:10250", self.network)
    }

    /// What the kubelet was asked last.
    pub(super) fn asked(&self) -> String {
        self.asked.lock().unwrap().clone()
    }

    /// Waits until so many endless logs are being read.
    pub(super) async fn until_open(&self, logs: usize) {
        self.open.subscribe().wait_for(|n| *n == logs).await.unwrap();
    }

    pub(super) async fn begin(&self, method: Method, path: &str, headers: HeaderMap) -> Response<Incoming> {
        self.exchange(method, path, headers, Body::empty()).await
    }

    async fn exchange(&self, method: Method, path: &str, headers: HeaderMap, body: Body) -> Response<Incoming> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let world = self.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let world = world.clone();
            async move { Ok::<_, Infallible>(world.handle(request).await) }
        });
        let server = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(far), service);
        tokio::spawn(server.with_upgrades());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(near)).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap();
        *request.headers_mut() = headers;
        request.headers_mut().insert("host", "api".parse().unwrap());
        in_time(sender.send_request(request)).await.unwrap()
    }

    /// What chain and dispatcher do.
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let peer = Peer::new("127.0.0.1:1".parse().unwrap(), None);
        let ticket = crate::audit::Ticket::new(None);
        let call = Call::parse(&request, peer, ticket).unwrap();
        let caller = Arc::new(Caller::new("jane", []));
        let outcome = match permit(call, caller, Arc::clone(&self.authorizer)) {
            Ok(permitted) => {
                let part = permitted.resource().unwrap().subresource.clone().unwrap_or_default();
                match demand_method(&permitted, &part) {
                    Ok(()) => Box::pin(serve(&self.context, permitted, request.map(Body::new))).await,
                    refused => refused.map(|()| unreachable!()),
                }
            }
            Err(status) => Err(status),
        };
        outcome.unwrap_or_else(|status| {
            let mut response = Response::new(Body::from(serde_json::to_vec(&*status).unwrap()));
            *response.status_mut() = StatusCode::from_u16(status.code).unwrap();
            response
        })
    }

    pub(super) async fn request(&self, method: Method, path: &str, headers: HeaderMap) -> Answer {
        read(self.begin(method, path, headers).await).await
    }

    pub(super) async fn send(&self, method: Method, path: &str, headers: HeaderMap, body: &str) -> Answer {
        read(self.exchange(method, path, headers, Body::from(body.to_owned())).await).await
    }

    pub(super) async fn failure(&self, method: Method, path: &str, headers: HeaderMap) -> (u16, Value) {
        let answer = self.request(method, path, headers).await;
        (answer.code, serde_json::from_str(&answer.text).unwrap_or_else(|_| panic!("{path}: {}", answer.text)))
    }

    pub(super) async fn upgrade(&self, method: Method, path: &str, headers: HeaderMap) -> Upgraded {
        let response = self.begin(method, path, headers).await;
        assert_eq!(response.status(), 101);
        in_time(hyper::upgrade::on(response)).await.unwrap()
    }
}

async fn read(response: Response<Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let bytes = in_time(body.collect()).await.unwrap().to_bytes();
    Answer { code: head.status.as_u16(), headers: head.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
}

fn spawn(shutdown: &Shutdown, what: impl Future<Output = ()> + Send + 'static) {
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! { () = what => {}, () = shutdown.cancelled() => {} }
    });
}

/// A kubelet with one log and one command: `cat`, which ends with 3.
async fn serve_kubelet(listener: Listener, tls: TlsAcceptor, asked: Arc<Mutex<String>>, open: watch::Sender<usize>) {
    loop {
        let stream = listener.accept().await.stream;
        let (tls, asked, open) = (tls.clone(), Arc::clone(&asked), open.clone());
        tokio::spawn(async move {
            let stream = tls.accept(stream).await.unwrap();
            let service = service_fn(move |request| {
                *asked.lock().unwrap() = format!("{} {}", request.method(), request.uri());
                let answer = answer_as_kubelet(request, open.clone());
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            drop(connection.with_upgrades().await);
        });
    }
}

fn answer_as_kubelet(request: Request<Incoming>, open: watch::Sender<usize>) -> Response<Body> {
    let uri = request.uri().to_string();
    let refuse = |code: u16, text: &'static str| Response::builder().status(code).body(Body::from(text)).unwrap();
    if uri.contains("previous=true") {
        return refuse(400, "previous terminated container \"c\" in pod \"web\" not found");
    }
    if uri.contains("limitBytes") {
        return Response::new(Body::from_stream(Endless::new(open)));
    }
    if uri.starts_with("/containerLogs") {
        return Response::new(Body::from("one\ntwo\n"));
    }
    if uri.contains("command=refuse") {
        return refuse(404, "pod does not exist");
    }
    let (spoken, response) = handshake::accept(request.headers(), Purpose::RemoteCommand).unwrap();
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(request).await.unwrap();
        let wanted = Wanted { stdin: true, stdout: true, ..Wanted::default() };
        let mut streams = remote::accept(TokioIo::new(upgraded), spoken, wanted).await.unwrap();
        let mut stdout = streams.stdout.take().unwrap();
        tokio::io::copy(&mut streams.stdin.take().unwrap(), &mut stdout).await.unwrap();
        stdout.shutdown().await.unwrap();
        streams.end.tell(&End::ExitCode(3, "exit code 3".into())).await.unwrap();
    });
    response.map(|()| Body::empty())
}

/// A log that never ends, and counts itself.
struct Endless(watch::Sender<usize>);

impl Endless {
    fn new(open: watch::Sender<usize>) -> Self {
        open.send_modify(|n| *n += 1);
        Self(open)
    }
}

impl futures_util::Stream for Endless {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Pending
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}

/// A pod's web server: tells what it was asked, redirects, and echoes what upgrades.
async fn serve_web(listener: Listener) {
    loop {
        let stream = listener.accept().await.stream;
        tokio::spawn(async move {
            let service =
                service_fn(|request: Request<Incoming>| async { Ok::<_, Infallible>(answer_as_web(request).await) });
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            drop(connection.with_upgrades().await);
        });
    }
}

async fn answer_as_web(request: Request<Incoming>) -> Response<Body> {
    if request.uri().path() == "/redirect" {
        return Response::builder().status(302).header("location", "/login").body(Body::empty()).unwrap();
    }
    if request.uri().path() == "/echo" {
        tokio::spawn(async move {
            let upgraded = TokioIo::new(hyper::upgrade::on(request).await.unwrap());
            let (mut from, mut to) = tokio::io::split(upgraded);
            drop(tokio::io::copy(&mut from, &mut to).await);
        });
        let switching = Response::builder().status(101).header("connection", "Upgrade").header("upgrade", "websocket");
        return switching.body(Body::empty()).unwrap();
    }
    let (head, body) = request.into_parts();
    let headers: HashMap<&str, &str> = head.headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
    let body = body.collect().await.unwrap().to_bytes();
    let seen = json!({"path": head.uri.to_string(), "headers": headers, "body": String::from_utf8_lossy(&body)});
    Response::builder().header("access-control-allow-origin", "*").body(Body::from(seen.to_string())).unwrap()
}
