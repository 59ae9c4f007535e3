//! A pod whose container does nothing, to run commands in. It has no network.

use async_trait::async_trait;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tinyplane_kubelet_stub::runtime::{
    ContainerId, ContainerSpec, Dns, Duplex, OpenPort, PodNetwork, Runtime, SandboxId, SandboxSpec, ScriptedRuntime,
    Stdio,
};
use tinyplane_wire::clock::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long a command may go on: what has no end is given up then, as a client gives it up.
const PATIENCE: Duration = Duration::from_millis(50);
/// Most of what a command says that is read.
const SAID_BYTES_MAX: u64 = 4 << 20;

struct NoNetwork;

#[async_trait]
impl PodNetwork for NoNetwork {
    async fn listen(&self, _pod: &SandboxSpec, _port: u16) -> io::Result<OpenPort> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    async fn dial(&self, _pod: &SandboxSpec, _to: SocketAddr) -> io::Result<Box<dyn Duplex>> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    async fn resolve(&self, _pod: &SandboxSpec, _name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(Vec::new())
    }
}

pub(crate) struct Pod {
    runtime: ScriptedRuntime,
    sandbox: SandboxId,
    container: ContainerId,
}

/// What came of a command.
pub(crate) struct Did {
    pub(crate) out: Vec<u8>,
    pub(crate) code: i32,
}

impl Pod {
    pub(crate) async fn new() -> Self {
        let runtime = ScriptedRuntime::new(Arc::new(NoNetwork), Clock::system());
        let sandbox = SandboxSpec {
            namespace: "default".into(),
            name: "a".into(),
            uid: "0".into(),
            labels: BTreeMap::new(),
            hostname: "a".into(),
            pod_ip: [127, 0, 0, 1].into(),
            host_aliases: Vec::new(),
            dns: Dns::default(),
        };
        let sandbox = runtime.create_sandbox(sandbox).await.expect("a sandbox");
        let spec = ContainerSpec { name: "main".into(), image: "pause".into(), ..ContainerSpec::default() };
        let container = runtime.create_container(&sandbox, spec).await.expect("a container");
        runtime.start_container(&container).await.expect("it starts");
        Self { runtime, sandbox, container }
    }

    /// Runs a command to its end; nothing where it has none.
    pub(crate) async fn run(&self, command: &[&str], input: &[u8]) -> Option<Did> {
        let (stdout, out) = tokio::io::duplex(1 << 16);
        let (stderr, err) = tokio::io::duplex(1 << 16);
        let (mut keys, stdin) = tokio::io::duplex(1 << 16);
        let stdio = Stdio {
            stdin: Some(Box::new(stdin)),
            stdout: Some(Box::new(stdout)),
            stderr: Some(Box::new(stderr)),
            ..Stdio::default()
        };
        let feed = async {
            // A command may end before it has read all.
            drop(keys.write_all(input).await);
            drop(keys.shutdown().await);
        };
        let (mut said, mut told) = (Vec::new(), Vec::new());
        let (mut out, mut err) = (out.take(SAID_BYTES_MAX), err.take(SAID_BYTES_MAX));
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        let all = async {
            let ran = self.runtime.exec(&self.container, command, stdio);
            let (code, ..) = tokio::join!(ran, out.read_to_end(&mut said), err.read_to_end(&mut told), feed);
            code.expect("the container runs")
        };
        let code = tokio::time::timeout(PATIENCE, all).await.ok()?;
        Some(Did { out: said, code })
    }

    /// Ends it with all that runs in it.
    pub(crate) async fn end(self) {
        self.runtime.remove_sandbox(&self.sandbox).await.expect("it goes");
    }
}
