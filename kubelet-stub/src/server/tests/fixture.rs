//! One kubelet server with one pod, an authority, and an API server that answers reviews.

use super::super::{AuthConfig, AuthorizationMode, Backing, PodAccess, ServerConfig, start};
use crate::runtime::{
    ContainerId, ContainerSpec, ContainerState, Duplex, ExitStatus, LogOptions, LogStream, Runtime, RuntimeError,
    SandboxId, SandboxSpec, Stdio, Volume,
};
use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tinyplane_wire::client::Client;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::identity::pki::{Authority, Issued, Leaf};
use tinyplane_wire::identity::tls::{self, ClientAuth, KeyPairPem, Trust};
use tinyplane_wire::net::{Sources, TcpDial, bind};
use tinyplane_wire::process::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub(super) async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), what).await.expect("in time")
}

pub(super) async fn text(response: Response<Incoming>) -> String {
    let bytes = in_time(response.into_body().collect()).await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(super) struct Fixture {
    address: SocketAddr,
    authority: String,
    pub(super) known: KeyPairPem,
    pub(super) stranger: KeyPairPem,
    running: watch::Sender<usize>,
    reviews: Arc<AtomicUsize>,
    shutdown: Shutdown,
    _folder: tempfile::TempDir,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn pair(issued: Issued) -> KeyPairPem {
    KeyPairPem { certificate: issued.certificate_pem, key: issued.key_pem }
}

impl Fixture {
    pub(super) async fn start(ip: &str) -> Self {
        Self::build(ip, AuthorizationMode::AlwaysAllow).await
    }

    pub(super) async fn start_with_webhook(ip: &str) -> Self {
        Self::build(ip, AuthorizationMode::Webhook).await
    }

    async fn build(ip: &str, authorization: AuthorizationMode) -> Self {
        let now = Clock::system().now();
        let authority = Authority::create("ca", now).unwrap();
        let other = Authority::create("other", now).unwrap();
        let leaf = Leaf::server("node-1", &[], &[ip.parse().unwrap()]);
        let serving = pair(authority.issue(&leaf, now).unwrap());
        let caller = Leaf::client("kube-apiserver-kubelet-client", Some("system:masters"));
        let (shutdown, reviews) = (Shutdown::new(), Arc::new(AtomicUsize::new(0)));
        let api = serve_reviews(ip, &serving, &shutdown, Arc::clone(&reviews));
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        let file = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": format!("https://{api}"),
                "certificate-authority-data": base64(authority.certificate_pem())}}],
            "users": [{"name": "u", "user": {"token": "node"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        });
        std::fs::write(&kubeconfig, file.to_string()).unwrap();
        let bound = bind(format!("{ip}:10250").parse().unwrap(), Sources::any()).unwrap();
        let address = bound.address;
        let running = watch::Sender::new(0);
        let config = ServerConfig {
            node: "node-1".into(),
            tls: Arc::new(tls::server(&serving, &ClientAuth::Offered, &tls::ALPN_HTTP).unwrap()),
            auth: AuthConfig {
                client_ca: Some(authority.certificate_pem().to_owned()),
                token_webhook: true,
                authorization,
            },
        };
        let backing = Backing {
            pods: Arc::new(OnePod),
            runtime: Arc::new(SmallRuntime { running: running.clone() }),
            client: Client::from_kubeconfig(&kubeconfig, None, "kubelet").unwrap(),
            clock: Clock::system(),
        };
        start(config, bound, backing, shutdown.clone()).unwrap();
        Self {
            address,
            authority: authority.certificate_pem().to_owned(),
            known: pair(authority.issue(&caller, now).unwrap()),
            stranger: pair(other.issue(&caller, now).unwrap()),
            running,
            reviews,
            shutdown,
            _folder: folder,
        }
    }

    pub(super) fn reviews(&self) -> usize {
        self.reviews.load(Ordering::SeqCst)
    }

    pub(super) async fn until_running(&self, commands: usize) {
        self.running.subscribe().wait_for(|n| *n == commands).await.unwrap();
    }

    pub(super) async fn request(
        &self,
        client: Option<&KeyPairPem>,
        method: Method,
        path: &str,
        headers: HeaderMap,
    ) -> Response<Incoming> {
        let config = tls::client(&Trust::Roots(self.authority.clone()), client, &tls::ALPN_HTTP1).unwrap();
        let stream = TcpDial::from(None).connect(self.address).await.unwrap();
        let name = self.address.ip().to_string().try_into().unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap();
        *request.headers_mut() = headers;
        request.headers_mut().insert("host", "node-1".parse().unwrap());
        in_time(sender.send_request(request)).await.unwrap()
    }

    pub(super) async fn upgrade(&self, path: &str, headers: HeaderMap) -> Upgraded {
        let response = self.request(Some(&self.known), Method::POST, path, headers).await;
        assert_eq!(response.status(), 101);
        in_time(hyper::upgrade::on(response)).await.unwrap()
    }
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// Reviews: the token `good` is jane, who may read pods; everything else is refused.
fn serve_reviews(ip: &str, pair: &KeyPairPem, shutdown: &Shutdown, reviews: Arc<AtomicUsize>) -> SocketAddr {
    let bound = bind(format!("{ip}:6443").parse().unwrap(), Sources::any()).unwrap();
    let config = tls::server(pair, &ClientAuth::None, &tls::ALPN_HTTP1).unwrap();
    let (acceptor, shutdown, address) = (TlsAcceptor::from(Arc::new(config)), shutdown.clone(), bound.address);
    let serve = async move {
        loop {
            let stream = acceptor.accept(bound.listener.accept().await.stream).await.unwrap();
            let reviews = Arc::clone(&reviews);
            let service = service_fn(move |request: Request<Incoming>| {
                let reviews = Arc::clone(&reviews);
                async move {
                    reviews.fetch_add(1, Ordering::SeqCst);
                    let bytes = request.into_body().collect().await.unwrap().to_bytes();
                    let mut review: Value = serde_json::from_slice(&bytes).unwrap();
                    review["status"] = match &review["spec"]["token"] {
                        Value::String(token) => json!({"authenticated": token == "good", "user": {"username": "jane"}}),
                        _ => json!({"allowed": review["spec"]["resourceAttributes"]["subresource"] == "pods"}),
                    };
                    Ok::<_, Infallible>(Response::new(Body::from(review.to_string())))
                }
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    };
    tokio::spawn(async move {
        tokio::select! { () = serve => {}, () = shutdown.cancelled() => {} }
    });
    address
}

struct OnePod;

impl PodAccess for OnePod {
    fn pods(&self) -> Vec<Arc<Value>> {
        self.pod("default", "web").into_iter().collect()
    }

    fn pod(&self, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let pod = json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "u1"},
            "spec": {"containers": [{"name": "c"}]},
            "status": {"containerStatuses": [
                {"name": "c", "image": "i", "containerID": "tiny://c1", "state": {"running": {}}},
            ]},
        });
        (namespace == "default" && name == "web").then(|| Arc::new(pod))
    }

    fn container(&self, pod_uid: &str, container: &str) -> Option<ContainerId> {
        (pod_uid == "u1" && container == "c").then(|| ContainerId::new("c1"))
    }

    fn sandbox(&self, pod_uid: &str) -> Option<SandboxId> {
        (pod_uid == "u1").then(|| SandboxId::new("s1"))
    }
}

struct SmallRuntime {
    running: watch::Sender<usize>,
}

struct Running(watch::Sender<usize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}

fn gone<T>() -> Result<T, RuntimeError> {
    Err(RuntimeError::NoSuchContainer(ContainerId::new("none")))
}

#[async_trait]
impl Runtime for SmallRuntime {
    async fn create_sandbox(&self, _: SandboxSpec) -> Result<SandboxId, RuntimeError> {
        gone()
    }
    async fn remove_sandbox(&self, _: &SandboxId) -> Result<(), RuntimeError> {
        gone()
    }
    async fn set_volume(&self, _: &SandboxId, _: &str, _: Volume) -> Result<(), RuntimeError> {
        gone()
    }
    async fn create_container(&self, _: &SandboxId, _: ContainerSpec) -> Result<ContainerId, RuntimeError> {
        gone()
    }
    async fn start_container(&self, _: &ContainerId) -> Result<(), RuntimeError> {
        gone()
    }
    async fn state(&self, _: &ContainerId) -> Result<ContainerState, RuntimeError> {
        gone()
    }
    async fn wait(&self, _: &ContainerId) -> Result<ExitStatus, RuntimeError> {
        gone()
    }
    async fn stop_container(&self, _: &ContainerId, _: Duration) -> Result<ExitStatus, RuntimeError> {
        gone()
    }
    async fn remove_container(&self, _: &ContainerId) -> Result<(), RuntimeError> {
        gone()
    }

    async fn logs(&self, container: &ContainerId, _: LogOptions) -> Result<LogStream, RuntimeError> {
        assert_eq!(container.as_str(), "c1");
        let pieces = ["one\n", "two\n"].map(|line| Bytes::from_static(line.as_bytes()));
        Ok(Box::pin(futures_util::stream::iter(pieces)))
    }

    /// `cat` copies its input and ends with 7, `echo` prints its words, anything else never ends.
    async fn exec(&self, _: &ContainerId, command: Vec<String>, mut stdio: Stdio) -> Result<i32, RuntimeError> {
        self.running.send_modify(|n| *n += 1);
        let _running = Running(self.running.clone());
        let mut stdout = stdio.stdout.take().unwrap();
        match command[0].as_str() {
            "cat" => {
                tokio::io::copy(&mut stdio.stdin.take().unwrap(), &mut stdout).await.unwrap();
                stdout.shutdown().await.unwrap();
                Ok(7)
            }
            "echo" => {
                stdout.write_all(format!("{}\n", command[1..].join(" ")).as_bytes()).await.unwrap();
                Ok(0)
            }
            _ => std::future::pending().await,
        }
    }

    async fn attach(&self, _: &ContainerId, _: Stdio) -> Result<Option<i32>, RuntimeError> {
        gone()
    }

    /// Port 80 echoes, others refuse.
    async fn dial(&self, _: &SandboxId, port: u16) -> Result<Box<dyn Duplex>, RuntimeError> {
        if port != 80 {
            return Err(std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused").into());
        }
        let (near, mut far) = tokio::io::duplex(1024);
        tokio::spawn(async move {
            let mut heard = Vec::new();
            far.read_to_end(&mut heard).await.unwrap();
            far.write_all(&heard).await.unwrap();
        });
        Ok(Box::new(near))
    }
}
