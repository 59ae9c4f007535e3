//! A server, its agents and their endpoints for one test, on addresses and files of its own.

use crate::api::{AUDIENCE, Api, TOKEN};
use crate::rest::Rest;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};
use tinyplane_konnectivity::agent::CountSource;
use tinyplane_konnectivity::server::{AgentTokens, Frontend, Mode, Strategy};
use tinyplane_konnectivity::{Overflow, TlsFiles, agent, server};
use tinyplane_konnectivity_client::{GrpcDial, HttpConnectDial, Numbers, ReusableDial, Route};
use tinyplane_wire::clock::Clock;
use tinyplane_wire::identity::pki::{Authority, Leaf, Usage};
use tinyplane_wire::identity::tls::{self, KeyPairPem, TlsLimits, Trust};
use tinyplane_wire::net::{ClusterNet, Dial, TcpDial, UnixDial};
use tinyplane_wire::process::Shutdown;

pub(crate) use crate::member::Member;
pub(crate) use crate::setup::*;
pub(crate) use crate::streams::*;

/// Every wait of a test ends after this.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The place of server and agent.
pub(crate) const HERE: u8 = 1;

/// What the agent dials from.
const AGENTS: u8 = 2;

/// One of the addresses of this test. Each test runs on a thread of its own, whose number no other has.
pub(crate) fn place(last: u8) -> IpAddr {
    let thread = format!("{:?}", std::thread::current().id());
    let number: u16 = thread.trim_matches(|c: char| !c.is_ascii_digit()).parse().expect("a thread has a number");
    let [high, low] = number.to_be_bytes();
    IpAddr::from([127, 85 + high, low, last])
}

pub(crate) struct Rig {
    pub(crate) setup: Setup,
    pub(crate) dir: tempfile::TempDir,
    authority: std::sync::Mutex<Authority>,
    api: Option<Api>,
    agents_at: std::sync::Mutex<Option<SocketAddr>>,
    frontend_at: std::sync::Mutex<Option<SocketAddr>>,
    /// What there is while nothing goes through.
    pub(crate) before: OnceLock<Rest>,
}

impl Rig {
    pub(crate) fn new(setup: Setup) -> Self {
        let dir = tempfile::Builder::new().prefix("k").tempdir().unwrap();
        let authority = Authority::create("konnectivity-ca", Clock::system().now()).unwrap();
        let api = setup.token.then(|| Api::start(&dir.path().join("kubeconfig")));
        std::fs::write(dir.path().join("token"), TOKEN).unwrap();
        let authority = authority.into();
        let rig = Self {
            setup,
            dir,
            authority,
            api,
            agents_at: None.into(),
            frontend_at: None.into(),
            before: OnceLock::new(),
        };
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
        self.issue_for(name, place(HERE));
    }

    /// Makes a certificate that is good for one address, and for clients.
    pub(crate) fn issue_for(&self, name: &str, address: IpAddr) {
        self.issue_at(name, address, Clock::system().now());
    }

    /// The same, as it would have been made at another time.
    pub(crate) fn issue_at(&self, name: &str, address: IpAddr, now: SystemTime) {
        let leaf = Leaf { usage: Usage::Both, ..Leaf::server(name, &[], &[address]) };
        let authority = self.authority.lock().unwrap();
        let issued = authority.issue(&leaf, now).unwrap();
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
        self.another_server_with(number, |config| config.server_count = count.cast_signed()).await
    }

    pub(crate) async fn another_server_with(&self, number: u32, change: impl FnOnce(&mut server::Config)) -> Member {
        let apart = |config: &mut server::Config| {
            config.server_id = format!("server-{number}");
            config.agents = SocketAddr::new(place(HERE), 0);
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
        let any = SocketAddr::new(place(HERE), 0);
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
            ledger_file: None,
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
        place(HERE)
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
        let any = SocketAddr::new(place(HERE), 0);
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
            source: Some(place(AGENTS)),
            cluster_net: ClusterNet::default(),
            overflow: Overflow::CloseSlow,
            plain: self.setup.plain_agent,
            ledger_file: None,
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
        let dial = rig.complete().await;
        (rig, server, agent, dial)
    }

    /// Gives the way through, once nothing goes on any more: what is there now is what is to be left in the end.
    pub(crate) async fn complete(&self) -> Box<dyn Dial> {
        if self.setup.token {
            // The first token is what a server connects to its API server for, and it keeps that connection.
            drop(crate::peers::Peer::agent(self, "first").await);
        }
        self.before.set(Rest::of(self.dir.path()).await).expect("a rig is completed once");
        self.dial()
    }

    pub(crate) fn route(&self) -> Route {
        if !self.setup.tcp {
            return Route::Unix(UnixDial::to(self.path("k.sock")));
        }
        let at = self.frontend_at().expect("the server listens for frontends");
        let tls = Arc::new(self.client_tls("frontend", self.frontend_alpn()));
        Route::Tcp { dial: TcpDial::from(None), host: place(HERE).to_string(), port: at.port(), tls: Some((tls, None)) }
    }

    /// Where frontends connect over TLS, if they do.
    pub(crate) fn frontend_at(&self) -> Option<SocketAddr> {
        *self.frontend_at.lock().unwrap()
    }

    pub(crate) fn frontend_alpn(&self) -> &'static [&'static [u8]] {
        match self.setup.mode {
            Mode::Grpc => &tls::ALPN_HTTP2,
            Mode::HttpConnect => &tls::ALPN_HTTP1,
        }
    }

    pub(crate) fn client_tls(&self, name: &str, alpn: &[&[u8]]) -> tokio_rustls::rustls::ClientConfig {
        let read = |file: String| std::fs::read_to_string(self.path(&file)).unwrap();
        let pair = KeyPairPem { certificate: read(format!("{name}.crt")), key: read(format!("{name}.key")) };
        tls::client(&Trust::Roots(read("ca.crt".into())), Some(&pair), alpn).unwrap()
    }

    pub(crate) fn dial(&self) -> Box<dyn Dial> {
        self.dial_within(DEADLINE)
    }

    /// A way through that gives up after a time.
    pub(crate) fn dial_within(&self, timeout: Duration) -> Box<dyn Dial> {
        self.dial_counted(timeout, &Arc::default())
    }

    /// The same, which is counted.
    pub(crate) fn dial_counted(&self, timeout: Duration, numbers: &Arc<Numbers>) -> Box<dyn Dial> {
        let route = self.route();
        if self.setup.mode == Mode::HttpConnect {
            return Box::new(HttpConnectDial::new(route).with_timeout(timeout));
        }
        let dial = GrpcDial::new(route).with_timeout(timeout).counted(numbers);
        let dial = if self.setup.plain_client { dial.plain() } else { dial };
        if self.setup.reusable { Box::new(ReusableDial::over(dial)) } else { Box::new(dial) }
    }
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
