//! A server, its agents and their endpoints for one test, on addresses and files of its own.

use crate::api::{AUDIENCE, Api, TOKEN};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tinyplane_konnectivity::agent::CountSource;
use tinyplane_konnectivity::server::{AgentTokens, Frontend, Mode, Strategy};
use tinyplane_konnectivity::{Overflow, TlsFiles, agent, server};
use tinyplane_konnectivity_client::{GrpcDial, HttpConnectDial, Route};
use tinyplane_wire::clock::Clock;
use tinyplane_wire::identity::pki::{Authority, Leaf, Usage};
use tinyplane_wire::identity::tls::{self, KeyPairPem, TlsLimits, Trust};
use tinyplane_wire::net::{Bound, ClusterNet, Dial, Listener, Sources, Stream, TcpDial, UnixDial, bind};
use tinyplane_wire::process::{Running, Shutdown};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Every wait of a test ends after this.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

const HERE: &str = "127.85.0.1";

/// How a test's tunnel is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) mode: Mode,
    pub(crate) tcp: bool,
    /// The agent speaks upstream's protocol only.
    pub(crate) plain_agent: bool,
    /// The client does.
    pub(crate) plain_client: bool,
    /// The agent proves itself by a token, not by a certificate.
    pub(crate) token: bool,
}

pub(crate) const GRPC: Setup =
    Setup { mode: Mode::Grpc, tcp: false, plain_agent: false, plain_client: false, token: false };
pub(crate) const PLAIN: Setup = Setup { plain_agent: true, plain_client: true, ..GRPC };
pub(crate) const CONNECT: Setup = Setup { mode: Mode::HttpConnect, plain_client: true, ..GRPC };
pub(crate) const GRPC_TOKEN: Setup = Setup { token: true, ..GRPC };
pub(crate) const CONNECT_TOKEN: Setup = Setup { token: true, ..CONNECT };
pub(crate) const GRPC_TCP_TOKEN: Setup = Setup { token: true, ..GRPC_TCP };
pub(crate) const CONNECT_TCP_TOKEN: Setup = Setup { token: true, ..CONNECT_TCP };
pub(crate) const GRPC_TCP: Setup = Setup { tcp: true, ..GRPC };
pub(crate) const CONNECT_TCP: Setup = Setup { tcp: true, ..CONNECT };
pub(crate) const CONNECT_PLAIN: Setup = Setup { plain_agent: true, ..CONNECT };

/// A member that runs.
pub(crate) struct Member {
    pub(crate) running: Running,
    pub(crate) drain: Shutdown,
    shutdown: Shutdown,
}

impl Member {
    pub(crate) fn at(&self, what: &str) -> SocketAddr {
        self.running.addresses[what]
    }

    /// Ends it, as abruptly as a kill does for its peers.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        within(self.running.task).await.unwrap().unwrap();
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let (code, answer) = self.head("health", path).await;
        (code, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    /// The code of an answer, and all of it, its head included.
    pub(crate) async fn head(&self, port: &str, path: &str) -> (u16, String) {
        let at = self.at(port);
        let mut stream = TcpDial::from(None).connect(at).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        (answer[9..12].parse().unwrap(), answer)
    }

    /// A number of its metrics; none that it does not show.
    pub(crate) async fn number(&self, name: &str) -> i64 {
        let (_, page) = self.get("/metrics").await;
        let name = format!("konnectivity_network_proxy_{name} ");
        page.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until a number is what it should be.
    pub(crate) async fn shows(&self, name: &str, wanted: i64) {
        eventually(name, async || self.number(name).await == wanted).await;
    }
}

pub(crate) struct Rig {
    pub(crate) setup: Setup,
    pub(crate) dir: tempfile::TempDir,
    authority: std::sync::Mutex<Authority>,
    api: Option<Api>,
    agents_at: std::sync::Mutex<Option<SocketAddr>>,
    frontend_at: std::sync::Mutex<Option<SocketAddr>>,
}

impl Rig {
    pub(crate) fn new(setup: Setup) -> Self {
        let dir = tempfile::Builder::new().prefix("k").tempdir().unwrap();
        let authority = Authority::create("konnectivity-ca", Clock::system().now()).unwrap();
        let api = setup.token.then(|| Api::start(&dir.path().join("kubeconfig")));
        std::fs::write(dir.path().join("token"), TOKEN).unwrap();
        let authority = authority.into();
        let rig = Self { setup, dir, authority, api, agents_at: None.into(), frontend_at: None.into() };
        rig.issue_all();
        rig
    }

    fn issue_all(&self) {
        self.issue("server");
        self.issue("agent");
        self.issue("frontend");
    }

    /// Replaces the authority, and all certificates.
    pub(crate) fn renew(&self) {
        *self.authority.lock().unwrap() = Authority::create("konnectivity-ca-2", Clock::system().now()).unwrap();
        self.issue_all();
    }

    fn issue(&self, name: &str) {
        self.issue_for(name, HERE.parse().unwrap());
    }

    /// Makes a certificate that is good for one address, and for clients.
    pub(crate) fn issue_for(&self, name: &str, address: IpAddr) {
        let leaf = Leaf { usage: Usage::Both, ..Leaf::server(name, &[], &[address]) };
        let authority = self.authority.lock().unwrap();
        let issued = authority.issue(&leaf, Clock::system().now()).unwrap();
        std::fs::write(self.path(&format!("{name}.crt")), issued.certificate_pem).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), issued.key_pem).unwrap();
        std::fs::write(self.path("ca.crt"), authority.certificate_pem()).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn tls(&self, name: &str) -> TlsFiles {
        let (certificate, key) = (self.path(&format!("{name}.crt")), self.path(&format!("{name}.key")));
        TlsFiles::mutual(certificate, key, self.path("ca.crt"))
    }

    /// What the server shows agents, and asks of them.
    fn agents_tls(&self) -> TlsFiles {
        let files = self.tls("server");
        if self.setup.token { TlsFiles { authority: None, ..files } } else { files }
    }

    /// Starts one of several servers: it is `server-<number>`, and its socket `k<number>.sock`.
    pub(crate) async fn another_server(&self, number: u32, count: u32) -> Member {
        self.another_server_with(number, |config| config.server_count = count).await
    }

    pub(crate) async fn another_server_with(&self, number: u32, change: impl FnOnce(&mut server::Config)) -> Member {
        let apart = |config: &mut server::Config| {
            config.server_id = format!("server-{number}");
            config.agents = SocketAddr::new(HERE.parse().unwrap(), 0);
            config.frontend = Frontend::Unix { path: self.path(&format!("k{number}.sock")), delete_existing: true };
            change(config);
        };
        self.server_with(apart).await
    }

    /// Starts the server, on the same addresses as before if it ran before.
    pub(crate) async fn server(&self) -> Member {
        self.server_with(|_| {}).await
    }

    pub(crate) async fn server_with(&self, change: impl FnOnce(&mut server::Config)) -> Member {
        let any = SocketAddr::new(HERE.parse().unwrap(), 0);
        let frontend = if self.setup.tcp {
            Frontend::Tcp { at: self.frontend_at.lock().unwrap().unwrap_or(any), tls: self.tls("server") }
        } else {
            Frontend::Unix { path: self.path("k.sock"), delete_existing: true }
        };
        let mut config = server::Config {
            mode: self.setup.mode,
            frontend,
            agents: self.agents_at.lock().unwrap().unwrap_or(any),
            agent_tls: self.agents_tls(),
            agent_tokens: self.api.as_ref().map(|_| AgentTokens {
                namespace: "kube-system".into(),
                service_account: "konnectivity-agent".into(),
                audience: AUDIENCE.into(),
            }),
            tls_limits: TlsLimits::default(),
            strategies: vec![Strategy::Default],
            leases: None,
            kubeconfig: self.api.as_ref().map(|_| self.path("kubeconfig")),
            source: None,
            health: any,
            admin: any,
            server_id: "server-1".into(),
            server_count: 1,
            keepalive: Duration::from_secs(3600),
            frontend_keepalive: Duration::from_secs(3600),
            backend_dial_timeout: None,
            graceful_shutdown: Duration::ZERO,
            overflow: Overflow::CloseSlow,
            plain: false,
        };
        change(&mut config);
        let shutdown = Shutdown::new();
        let running = server::start(config, Clock::system(), shutdown.clone()).await.unwrap();
        self.agents_at.lock().unwrap().get_or_insert(running.addresses["agent"]);
        if let Some(&at) = running.addresses.get("frontend") {
            self.frontend_at.lock().unwrap().get_or_insert(at);
        }
        Member { running, drain: Shutdown::new(), shutdown }
    }

    pub(crate) fn agents_at(&self) -> SocketAddr {
        self.agents_at.lock().unwrap().unwrap()
    }

    /// Where the tunnel's ends listen.
    pub(crate) fn here(&self) -> IpAddr {
        HERE.parse().unwrap()
    }

    /// The server is somebody else's.
    pub(crate) fn agents_connect_to(&self, at: SocketAddr) {
        *self.agents_at.lock().unwrap() = Some(at);
    }

    pub(crate) fn agent_config(&self, id: &str) -> agent::Config {
        self.agent_config_at(id, self.agents_at())
    }

    pub(crate) fn agent_config_at(&self, id: &str, server: SocketAddr) -> agent::Config {
        let tls = self.tls("agent");
        let any = SocketAddr::new(HERE.parse().unwrap(), 0);
        agent::Config {
            server_host: server.ip().to_string(),
            server_port: server.port(),
            tls: if self.setup.token { TlsFiles { pair: None, ..tls } } else { tls },
            token_file: self.setup.token.then(|| self.path("token")),
            alpn: Vec::new(),
            agent_id: id.into(),
            agent_identifiers: String::new(),
            sync_interval: Duration::from_millis(20),
            sync_interval_cap: Duration::from_millis(100),
            sync_forever: false,
            leases: None,
            count_source: CountSource::Single,
            keepalive: Duration::from_secs(3600),
            health: any,
            admin: any,
            source: Some("127.85.0.2".parse().unwrap()),
            cluster_net: ClusterNet::default(),
            overflow: Overflow::CloseSlow,
            plain: self.setup.plain_agent,
        }
    }

    pub(crate) async fn start_agent(&self, config: agent::Config) -> Member {
        let (drain, shutdown) = (Shutdown::new(), Shutdown::new());
        let started = agent::start_with_drain(config, Clock::system(), drain.clone(), shutdown.clone());
        Member { running: started.await.unwrap(), drain, shutdown }
    }

    /// Starts an agent and waits until the server has it.
    pub(crate) async fn agent(&self, id: &str) -> Member {
        let agent = self.start_agent(self.agent_config(id)).await;
        agent.shows("agent_open_server_connections", 1).await;
        agent
    }

    /// Server, agent and the way through them.
    pub(crate) async fn all(setup: Setup) -> (Self, Member, Member, Box<dyn Dial>) {
        let rig = Self::new(setup);
        let server = rig.server().await;
        let agent = rig.agent("agent-1").await;
        server.shows("server_ready_backend_connections", 1).await;
        let dial = rig.dial();
        (rig, server, agent, dial)
    }

    pub(crate) fn route(&self) -> Route {
        if !self.setup.tcp {
            return Route::Unix(UnixDial::to(self.path("k.sock")));
        }
        let at = self.frontend_at.lock().unwrap().unwrap();
        let alpn = match self.setup.mode {
            Mode::Grpc => &tls::ALPN_HTTP2,
            Mode::HttpConnect => &tls::ALPN_HTTP1,
        };
        let tls = Arc::new(self.client_tls("frontend", alpn));
        Route::Tcp { dial: TcpDial::from(None), host: HERE.into(), port: at.port(), tls: Some((tls, None)) }
    }

    pub(crate) fn client_tls(&self, name: &str, alpn: &[&[u8]]) -> tokio_rustls::rustls::ClientConfig {
        let read = |file: String| std::fs::read_to_string(self.path(&file)).unwrap();
        let pair = KeyPairPem { certificate: read(format!("{name}.crt")), key: read(format!("{name}.key")) };
        tls::client(&Trust::Roots(read("ca.crt".into())), Some(&pair), alpn).unwrap()
    }

    pub(crate) fn dial(&self) -> Box<dyn Dial> {
        match self.setup.mode {
            Mode::Grpc if self.setup.plain_client => Box::new(GrpcDial::new(self.route()).plain()),
            Mode::Grpc => Box::new(GrpcDial::new(self.route())),
            Mode::HttpConnect => Box::new(HttpConnectDial::new(self.route())),
        }
    }
}

/// Serves each connection to an address of its own; gives the address.
pub(crate) fn endpoint<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> SocketAddr {
    endpoint_at(&"127.85.0.3".parse().unwrap(), serve)
}

/// The same, on another address.
pub(crate) fn endpoint_at<F: Future<Output = ()> + Send + 'static>(
    at: &IpAddr,
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> SocketAddr {
    let Bound { address, listener } = bind(SocketAddr::new(*at, 0), Sources::any()).unwrap();
    tokio::spawn(async move {
        loop {
            let accepted = listener.accept().await;
            tokio::spawn(serve(accepted.stream));
        }
    });
    address
}

pub(crate) fn listen() -> (SocketAddr, Listener) {
    let bound = bind("127.85.0.3:0".parse().unwrap(), Sources::any()).unwrap();
    (bound.address, bound.listener)
}

/// Sends back what it gets, and ends when its peer does.
pub(crate) fn echo() -> SocketAddr {
    endpoint(async |mut stream: TcpStream| {
        let (mut read, mut write) = stream.split();
        drop(tokio::io::copy(&mut read, &mut write).await);
    })
}

pub(crate) async fn open(dial: &dyn Dial, to: SocketAddr) -> Box<dyn Stream> {
    within(dial.dial(&to.ip().to_string(), to.port())).await.unwrap()
}

/// The error of a dial that has to fail.
pub(crate) async fn refused(dial: &dyn Dial, to: SocketAddr) -> std::io::Error {
    match within(dial.dial(&to.ip().to_string(), to.port())).await {
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

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("the test's deadline has passed")
}

/// Waits for a state.
pub(crate) async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("{what} did not come to hold"));
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
