//! A Konnectivity server for one input, on addresses of its own; its certificates serve all inputs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tinyplane_konnectivity::server::{Config, Frontend, Mode, Strategy};
use tinyplane_konnectivity::{Overflow, TlsFiles, server};
use tinyplane_wire::clock::Clock;
use tinyplane_wire::identity::pki::{Authority, Leaf, Usage};
use tinyplane_wire::identity::tls::{self, KeyPairPem, TlsLimits, Trust};
use tinyplane_wire::net::{TcpDial, UnixDial, UnixStream};
use tinyplane_wire::process::{Running, Shutdown};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;

const HERE: Ipv4Addr = Ipv4Addr::new(127, 86, 9, 1);

/// Certificates, and a folder for sockets.
pub(crate) struct Files {
    folder: tempfile::TempDir,
    agent: Arc<ClientConfig>,
}

impl Files {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("k").tempdir().expect("a folder");
        let now = Clock::system().now();
        let authority = Authority::create("ca", now).expect("an authority");
        let leaf = Leaf { usage: Usage::Both, ..Leaf::server("k", &[], &[HERE.into()]) };
        let issued = authority.issue(&leaf, now).expect("a certificate");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
        write("ca.crt", authority.certificate_pem());
        write("k.crt", &issued.certificate_pem);
        write("k.key", &issued.key_pem);
        let pair = KeyPairPem { certificate: issued.certificate_pem, key: issued.key_pem };
        let trust = Trust::Roots(authority.certificate_pem().to_owned());
        let agent = Arc::new(tls::client(&trust, Some(&pair), &tls::ALPN_HTTP2).expect("a client"));
        Self { folder, agent }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// The server.
pub(crate) struct Server<'a> {
    files: &'a Files,
    running: Running,
    shutdown: Shutdown,
}

impl<'a> Server<'a> {
    pub(crate) async fn start(files: &'a Files, mode: Mode) -> Self {
        let any = SocketAddr::new(HERE.into(), 0);
        let config = Config {
            mode,
            frontend: Frontend::Unix { path: files.path("k.sock"), delete_existing: true },
            agents: any,
            agent_tls: TlsFiles::mutual(files.path("k.crt"), files.path("k.key"), files.path("ca.crt")),
            agent_tokens: None,
            tls_limits: TlsLimits::default(),
            strategies: vec![Strategy::Default],
            leases: None,
            kubeconfig: None,
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
        let shutdown = Shutdown::new();
        let running = server::start(config, Clock::system(), shutdown.clone()).await.expect("a server");
        Self { files, running, shutdown }
    }

    /// A frontend's connection.
    pub(crate) fn frontend(&self) -> UnixStream {
        UnixDial::to(self.socket()).connect().expect("the server listens")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.files.path("k.sock")
    }

    /// An agent's connection.
    pub(crate) async fn agent(&self) -> TlsStream<TcpStream> {
        let stream = TcpDial::from(None).connect(self.running.addresses["agent"]).await.expect("the server listens");
        let name = IpAddr::from(HERE).into();
        TlsConnector::from(Arc::clone(&self.files.agent)).connect(name, stream).await.expect("its certificate is good")
    }

    /// Ends it, with what it has under way.
    pub(crate) async fn end(self) {
        self.shutdown.cancel();
        drop(self.running.task.await);
        let _: &Path = self.files.folder.path();
    }
}
