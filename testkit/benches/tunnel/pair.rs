//! A server and an agent, each a process: ours, or upstream's.

use crate::figures;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tinyplane_konnectivity_client::{GrpcDial, HttpConnectDial, ReusableDial, Route};
use tinyplane_wire::clock::Clock;
use tinyplane_wire::identity::pki::{Authority, Leaf, Usage};
use tinyplane_wire::net::{Dial, Sources, TcpDial, UnixDial, bind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// Where both listen: no other port of this address is anybody's.
const HERE: Ipv4Addr = Ipv4Addr::new(127, 85, 9, 1);
/// How long a pair does nothing before its memory is read.
const IDLE: Duration = Duration::from_secs(2);
/// Longest wait until the server has its agent.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whose programs they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    Ours,
    /// Ours, in upstream's protocol and nothing more.
    OursPlain,
    Upstream,
}

/// How the client dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Grpc,
    Reusable,
    HttpConnect,
}

pub(crate) struct Pair {
    way: Way,
    plain: bool,
    folder: tempfile::TempDir,
    server: Child,
    agent: Child,
}

impl Pair {
    pub(crate) async fn start(maker: Maker, way: Way, upstream: Option<&Path>) -> Self {
        let folder = tempfile::Builder::new().prefix("k").tempdir().expect("a folder");
        issue(folder.path());
        let file = |name: &str| folder.path().join(name).display().to_string();
        let ports: Vec<u16> = (0..5).map(|_| port()).collect();
        let mode = if way == Way::HttpConnect { "http-connect" } else { "grpc" };
        let mut server = vec![
            format!("--mode={mode}"),
            format!("--uds-name={}", file("k.sock")),
            "--server-port=0".into(),
            format!("--agent-bind-address={HERE}"),
            format!("--agent-port={}", ports[0]),
            format!("--health-bind-address={HERE}"),
            format!("--health-port={}", ports[1]),
            format!("--admin-bind-address={HERE}"),
            format!("--admin-port={}", ports[2]),
            format!("--cluster-cert={}", file("pair.crt")),
            format!("--cluster-key={}", file("pair.key")),
            format!("--cluster-ca-cert={}", file("ca.crt")),
        ];
        let mut agent = vec![
            format!("--proxy-server-host={HERE}"),
            format!("--proxy-server-port={}", ports[0]),
            format!("--ca-cert={}", file("ca.crt")),
            format!("--agent-cert={}", file("pair.crt")),
            format!("--agent-key={}", file("pair.key")),
            format!("--health-server-host={HERE}"),
            format!("--health-server-port={}", ports[3]),
            format!("--admin-bind-address={HERE}"),
            format!("--admin-server-port={}", ports[4]),
        ];
        if maker == Maker::OursPlain {
            server.push("--plain-protocol=true".into());
            agent.push("--plain-protocol=true".into());
        }
        let program = |name: &str| -> (PathBuf, Option<String>) {
            match maker {
                Maker::Upstream => (upstream.expect("it was looked for").join(format!("proxy-{name}")), None),
                _ => (figures::program(), Some(format!("konnectivity-{name}"))),
            }
        };
        let server = run(program("server"), &server);
        let agent = run(program("agent"), &agent);
        let plain = maker != Maker::Ours;
        let pair = Self { way, plain, folder, server, agent };
        ready(SocketAddr::new(HERE.into(), ports[1])).await;
        Clock::system().sleep(IDLE).await;
        pair
    }

    pub(crate) fn dial(&self) -> Arc<dyn Dial> {
        let route = Route::Unix(UnixDial::to(self.folder.path().join("k.sock")));
        let grpc = |route| if self.plain { GrpcDial::new(route).plain() } else { GrpcDial::new(route) };
        match self.way {
            Way::Grpc => Arc::new(grpc(route)),
            Way::Reusable => Arc::new(ReusableDial::over(grpc(route))),
            Way::HttpConnect => Arc::new(HttpConnectDial::new(route)),
        }
    }

    fn pids(&self) -> [u32; 2] {
        [&self.server, &self.agent].map(|child| child.id().expect("it runs"))
    }

    pub(crate) fn processor_time(&self) -> Duration {
        self.pids().into_iter().map(figures::processor_time).sum()
    }

    /// Resident and anonymous MiB of server and agent.
    pub(crate) fn memory(&self) -> [[f64; 2]; 2] {
        self.pids().map(|pid| [figures::resident_mib(pid), figures::mib(pid, "smaps_rollup", "Anonymous")])
    }

    /// The most that has been resident, and what is anonymous now.
    pub(crate) fn largest(&self) -> [[f64; 2]; 2] {
        self.pids().map(|pid| [figures::mib(pid, "status", "VmHWM"), figures::mib(pid, "smaps_rollup", "Anonymous")])
    }
}

fn run((program, subcommand): (PathBuf, Option<String>), arguments: &[String]) -> Child {
    let mut command = Command::new(program);
    command.args(subcommand).args(arguments).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

/// A port that upstream takes: it wants none of the upper ones, nor 0.
fn port() -> u16 {
    loop {
        let at = bind(SocketAddr::new(HERE.into(), 0), Sources::any()).expect("a free port").address;
        if at.port() <= 49151 {
            return at.port();
        }
    }
}

/// A certificate for both, and its authority.
fn issue(folder: &Path) {
    let now = Clock::system().now();
    let authority = Authority::create("konnectivity-ca", now).expect("an authority");
    let leaf = Leaf { usage: Usage::Both, ..Leaf::server("konnectivity", &[], &[HERE.into()]) };
    let issued = authority.issue(&leaf, now).expect("a certificate");
    for (name, text) in [
        ("pair.crt", issued.certificate_pem.as_str()),
        ("pair.key", issued.key_pem.as_str()),
        ("ca.crt", authority.certificate_pem()),
    ] {
        std::fs::write(folder.join(name), text).expect("a file");
    }
}

/// Waits until the server has its agent.
async fn ready(health: SocketAddr) {
    let wait = async {
        while !probe(health).await.is_ok_and(|ready| ready) {
            Clock::system().sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the pair becomes ready");
}

async fn probe(health: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpDial::from(None).connect(health).await?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await?;
    Ok(answer.ends_with(b"200"))
}
