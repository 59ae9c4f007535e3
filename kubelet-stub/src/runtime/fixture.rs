//! What the runtime's tests stand on: a network in memory, and a container to run scripts in.

use super::{
    ContainerId, ContainerSpec, Duplex, OpenPort, PodNetwork, PortListener, Runtime, SandboxId, SandboxSpec,
    ScriptedRuntime, Stdio,
};
use async_trait::async_trait;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tinyplane_wire::clock::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

type Connection = (Box<dyn Duplex>, SocketAddr);

/// Ports by address, joined by pipes.
#[derive(Default)]
pub(super) struct MemoryNetwork {
    listeners: Arc<Mutex<HashMap<SocketAddr, mpsc::Sender<Connection>>>>,
    pub(super) names: Mutex<HashMap<String, Vec<IpAddr>>>,
}

struct MemoryListener {
    address: SocketAddr,
    connections: mpsc::Receiver<Connection>,
    listeners: Arc<Mutex<HashMap<SocketAddr, mpsc::Sender<Connection>>>>,
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        self.listeners.lock().unwrap().remove(&self.address);
    }
}

#[async_trait]
impl PortListener for MemoryListener {
    async fn accept(&mut self) -> io::Result<Connection> {
        self.connections.recv().await.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

#[async_trait]
impl PodNetwork for MemoryNetwork {
    async fn listen(&self, pod: &SandboxSpec, port: u16) -> io::Result<OpenPort> {
        let address = SocketAddr::new(pod.pod_ip, port);
        let (sender, connections) = mpsc::channel(16);
        self.listeners.lock().unwrap().insert(address, sender);
        let listener = MemoryListener { address, connections, listeners: self.listeners.clone() };
        Ok(OpenPort { address, listener: Box::new(listener) })
    }

    async fn dial(&self, pod: &SandboxSpec, to: SocketAddr) -> io::Result<Box<dyn Duplex>> {
        let found = self.listeners.lock().unwrap().get(&to).cloned();
        let refused = || io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused");
        let (near, far) = tokio::io::duplex(4096);
        let connection: Connection = (Box::new(far), SocketAddr::new(pod.pod_ip, 40_000));
        found.ok_or_else(refused)?.send(connection).await.map_err(|_| refused())?;
        Ok(Box::new(near))
    }

    async fn resolve(&self, _pod: &SandboxSpec, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(self.names.lock().unwrap().get(name).cloned().unwrap_or_default())
    }
}

/// What a command did.
#[derive(Debug, PartialEq)]
pub(super) struct Did {
    pub(super) out: String,
    pub(super) err: String,
    pub(super) code: i32,
}

/// A pod with one container.
pub(super) struct Fixture {
    pub(super) runtime: Arc<ScriptedRuntime>,
    pub(super) network: Arc<MemoryNetwork>,
    pub(super) sandbox: SandboxId,
    pub(super) container: ContainerId,
}

/// No wait of a test is longer.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// Fails a test whose future does not end.
pub(super) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it ends before the deadline")
}

pub(super) fn pod(name: &str) -> SandboxSpec {
    SandboxSpec {
        namespace: "default".into(),
        name: name.into(),
        uid: "0".into(),
        labels: BTreeMap::new(),
        hostname: name.into(),
        pod_ip: "127.8.0.9".parse().unwrap(),
        host_aliases: Vec::new(),
        dns: super::Dns::default(),
    }
}

pub(super) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

impl Fixture {
    /// A pod whose container runs `pause` unless told otherwise.
    pub(super) async fn new(spec: ContainerSpec) -> Self {
        let network = Arc::new(MemoryNetwork::default());
        let runtime = Arc::new(ScriptedRuntime::new(network.clone(), Clock::system()));
        let sandbox = runtime.create_sandbox(pod("web-0")).await.unwrap();
        let container = runtime.create_container(&sandbox, spec).await.unwrap();
        runtime.start_container(&container).await.unwrap();
        Self { runtime, network, sandbox, container }
    }

    pub(super) async fn idle() -> Self {
        Self::new(ContainerSpec { name: "main".into(), image: "pause".into(), ..ContainerSpec::default() }).await
    }

    pub(super) async fn exec_bytes(&self, command: &[&str], input: Option<&[u8]>) -> (Vec<u8>, Vec<u8>, i32) {
        let (out, mut out_client) = tokio::io::duplex(1 << 16);
        let (err, mut err_client) = tokio::io::duplex(1 << 16);
        let mut stdio = Stdio { stdout: Some(Box::new(out)), stderr: Some(Box::new(err)), ..Stdio::default() };
        let mut in_client = None;
        if input.is_some() {
            let (client, program) = tokio::io::duplex(1 << 16);
            stdio.stdin = Some(Box::new(program));
            in_client = Some(client);
        }
        let feed = async move {
            if let (Some(mut client), Some(input)) = (in_client, input) {
                // A program that reads no more is no failure.
                drop(client.write_all(input).await);
                drop(client.shutdown().await);
            }
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let joined = async {
            tokio::join!(
                self.runtime.exec(&self.container, words(command), stdio),
                out_client.read_to_end(&mut out),
                err_client.read_to_end(&mut err),
                feed,
            )
        };
        let (code, ..) = soon(joined).await;
        (out, err, code.unwrap())
    }

    pub(super) async fn exec(&self, command: &[&str], input: Option<&str>) -> Did {
        let (out, err, code) = self.exec_bytes(command, input.map(str::as_bytes)).await;
        Did { out: String::from_utf8_lossy(&out).into(), err: String::from_utf8_lossy(&err).into(), code }
    }

    /// Runs a script with `sh -c`.
    pub(super) async fn sh(&self, script: &str) -> Did {
        self.exec(&["sh", "-c", script], None).await
    }
}
