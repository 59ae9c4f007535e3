//! A node of the stub's with an SSH server, and what is said to it before anybody knows who speaks.

use super::{HERE, LONGEST, speak};
use crate::rig;
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use tinyplane_apiserver::egress::ssh::{KeyText, load, public_file};
use tinyplane_kubelet_stub::{Config, NodeConfig};
use tinyplane_wire::clock::Clock;
use tinyplane_wire::net::{ClusterNet, TcpDial};
use tinyplane_wire::process::Shutdown;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Keys and certificates, which serve all inputs.
pub(super) struct Files(rig::Files);

impl Files {
    pub(super) fn new() -> Self {
        let files = rig::Files::new();
        let write = |name: &str, text: &str| std::fs::write(files.path(name), text).expect("a file");
        for name in ["host", "id"] {
            let key = KeyText::generate(name).expect("a key");
            write(name, &key.private);
            write(&format!("{name}.pub"), &key.public);
        }
        // An API server that is not there.
        let kubeconfig = json!({
            "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1", "insecure-skip-tls-verify": true}}],
            "users": [{"name": "u", "user": {}}],
        });
        write("kubeconfig", &kubeconfig.to_string());
        Self(files)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    /// The key of those who are let in.
    pub(super) fn key(&self) -> russh::keys::PrivateKey {
        load(&self.path("id")).expect("a key")
    }

    /// The key of hosts.
    pub(super) fn host_key(&self) -> russh::keys::PrivateKey {
        load(&self.path("host")).expect("a key")
    }
}

/// A node that ends with the input.
pub(super) struct Node {
    ssh: SocketAddr,
    _shutdown: Shutdown,
}

impl Node {
    pub(super) async fn start(files: &Files) -> Self {
        let node = json!({
            "name": "n", "address": HERE, "port": 0, "podRange": "127.86.11.0/24", "kubeconfig": files.path("kubeconfig"),
            "tlsCertFile": files.path("k.crt"), "tlsPrivateKeyFile": files.path("k.key"),
            "sshHostKeyFile": files.path("host"), "sshPort": 0,
        });
        let node: NodeConfig = serde_json::from_value(node).expect("a node");
        let mut config = Config::new(vec![node], ClusterNet::default());
        config.ssh_authorized_keys_file = Some(public_file(&files.path("id")));
        let shutdown = Shutdown::new();
        let running = tinyplane_kubelet_stub::start(config, Clock::system(), shutdown.clone()).await.expect("a node");
        Self { ssh: running.addresses["ssh/n"], _shutdown: shutdown }
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpDial::from(None).connect(self.ssh).await.expect("it listens")
    }

    /// Insists that the next client is greeted.
    pub(super) async fn greets(&self) {
        let mut heard = [0; 18];
        let mut stream = self.connect().await;
        let read = tokio::time::timeout(LONGEST, stream.read_exact(&mut heard)).await.expect("it greets in time");
        read.expect("it greets");
        assert_eq!(&heard, b"SSH-2.0-tinyplane_");
    }
}

/// Bytes from nobody knows whom. They are told who speaks here, and which keys there are, and nothing that is encrypted.
pub(super) async fn hears(files: &Files, said: &[u8]) {
    let node = Node::start(files).await;
    let heard = speak(node.connect().await, said).await;
    assert!(heard.is_empty() || heard.starts_with(b"SSH-2.0-tinyplane_"), "{heard:?}");
    node.greets().await;
}
