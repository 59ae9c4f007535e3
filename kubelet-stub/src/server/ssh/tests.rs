//! The SSH server of a node against its clients: those that are let in, those that are not, and those that ask too much.

use super::{CHANNELS_MAX, SshServer};
use crate::Config;
use crate::cluster::Cluster;
use crate::tasks::Tasks;
use russh::client::{self, AuthResult, Handle, Session};
use russh::keys::key::safe_rng;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{ChannelId, ChannelMsg, ChannelOpenFailure};
use serde_json::json;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tinyplane_wire::client::Client;
use tinyplane_wire::ledger::Entry;
use tinyplane_wire::net::{ClusterNet, Sources, TcpDial, bind};
use tinyplane_wire::process::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::task::AbortOnDropHandle;

const PATIENCE: Duration = Duration::from_secs(30);

struct Rig {
    at: SocketAddr,
    key: PrivateKey,
    control_plane: IpAddr,
    shutdown: Shutdown,
    _folder: tempfile::TempDir,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn key() -> PrivateKey {
    PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap()
}

impl Rig {
    /// A node in a block of addresses of its own, isolated as those behind tunnels are.
    fn start(block: u8) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let kubeconfig = json!({
            "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1", "insecure-skip-tls-verify": true}}],
            "users": [{"name": "u", "user": {}}],
        });
        let kubeconfig = file("kubeconfig", &kubeconfig.to_string());
        let net: ClusterNet = json!({
            "controlPlane": format!("127.91.{block}.0/28"), "nodes": format!("127.91.{block}.16/28"),
            "pods": format!("127.91.{block}.32/28"), "services": format!("127.91.{block}.48/28"),
        })
        .to_string()
        .parse()
        .unwrap();
        let shutdown = Shutdown::new();
        let config = Config { isolated: true, ..Config::new(Vec::new(), net) };
        let client = Client::from_kubeconfig(&kubeconfig, None, "test").unwrap();
        let cluster = Arc::new(Cluster::watch(&client, &config, None, &shutdown));
        let (host, key) = (key(), key());
        let host = file("host", &host.to_openssh(LineEnding::LF).unwrap());
        let lines = format!("# those who are let in\n\nno key at all\n{}\n", key.public_key().to_openssh().unwrap());
        let authorized = file("authorized", &lines);
        let address: IpAddr = format!("127.91.{block}.17").parse().unwrap();
        let server = SshServer::new(address, &cluster, &host, &authorized).unwrap();
        let bound = cluster.listen_for_ssh(SocketAddr::new(address, 0), Entry::default()).unwrap();
        let at = bound.address;
        server.serve(bound, &Tasks::new(&shutdown));
        let control_plane = format!("127.91.{block}.1").parse().unwrap();
        Self { at, key, control_plane, shutdown, _folder: folder }
    }

    async fn connect(&self, from: IpAddr) -> Result<Handle<Ear>, russh::Error> {
        let stream = TcpDial::from(Some(from)).connect(self.at).await?;
        client::connect_stream(Arc::new(client::Config::default()), stream, Ear::default()).await
    }

    /// A client that was let in.
    async fn client(&self) -> Handle<Ear> {
        let mut client = self.connect(self.control_plane).await.unwrap();
        assert!(login(&mut client, &self.key).await);
        client
    }

    /// A place on the node that answers each connection with its source, and what it sent.
    fn answering(&self, port: u16) -> (SocketAddr, AbortOnDropHandle<()>) {
        let bound = bind(SocketAddr::new(self.at.ip(), port), Sources::any()).unwrap();
        let serving = tokio::spawn(async move {
            loop {
                let mut accepted = bound.listener.accept().await;
                tokio::spawn(async move {
                    let mut asked = String::new();
                    accepted.stream.read_to_string(&mut asked).await.unwrap();
                    let answer = format!("{} from {}", asked, accepted.peer.ip());
                    accepted.stream.write_all(answer.as_bytes()).await.unwrap();
                });
            }
        });
        (bound.address, AbortOnDropHandle::new(serving))
    }
}

#[derive(Clone, Default)]
struct Ear(Arc<Mutex<String>>);

impl client::Handler for Ear {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }

    async fn channel_open_failure(
        &mut self,
        _: ChannelId,
        _: ChannelOpenFailure,
        words: &str,
        _: &str,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        words.clone_into(&mut self.0.lock().unwrap());
        Ok(())
    }
}

async fn login(client: &mut Handle<Ear>, key: &PrivateKey) -> bool {
    let key = PrivateKeyWithHashAlg::new(Arc::new(key.clone()), None);
    client.authenticate_publickey("anybody", key).await.is_ok_and(|result| matches!(result, AuthResult::Success))
}

async fn ask(client: &Handle<Ear>, host: &str, port: u16) -> Result<String, russh::Error> {
    let channel = client.channel_open_direct_tcpip(host, port.into(), "127.0.0.1", 1).await?;
    let mut stream = channel.into_stream();
    stream.write_all(b"hello").await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap()?;
    Ok(answer)
}

#[tokio::test]
async fn connections_are_forwarded_from_the_nodes_address() {
    let rig = Rig::start(1);
    let (there, _serving) = rig.answering(0);
    let client = rig.client().await;
    let wanted = format!("hello from {}", rig.at.ip());
    // By its own loopback address a node means itself.
    for host in [rig.at.ip().to_string().as_str(), "127.0.0.1", "::1", "localhost"] {
        assert_eq!(ask(&client, host, there.port()).await.unwrap(), wanted, "{host}");
    }
    let refused = ask(&client, &rig.at.ip().to_string(), 1).await.unwrap_err();
    assert!(matches!(refused, russh::Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed)), "{refused:?}");
    assert!(ask(&client, "nowhere.invalid", 80).await.is_err());
    // After all of these the connection still serves.
    assert_eq!(ask(&client, "localhost", there.port()).await.unwrap(), wanted);
}

#[tokio::test]
async fn only_authorized_keys_are_let_in_and_only_from_the_cluster() {
    let rig = Rig::start(2);
    let mut client = rig.connect(rig.control_plane).await.unwrap();
    assert!(!login(&mut client, &key()).await);
    assert!(client.channel_open_direct_tcpip("localhost", 1, "127.0.0.1", 1).await.is_err());
    let mut client = rig.connect(rig.control_plane).await.unwrap();
    assert!(matches!(client.authenticate_none("root").await, Ok(AuthResult::Failure { .. })));
    assert!(!matches!(client.authenticate_password("root", "root").await, Ok(AuthResult::Success)));
    let stranger = rig.connect("127.91.200.1".parse().unwrap()).await;
    assert!(stranger.is_err(), "an address from outside of the cluster was served");
    let mut neighbour = rig.connect("127.91.2.18".parse().unwrap()).await.unwrap();
    assert!(login(&mut neighbour, &rig.key).await);
}

#[tokio::test]
async fn who_wants_a_shell_is_told_that_there_is_none() {
    let rig = Rig::start(3);
    let client = rig.client().await;
    for shell in [false, true] {
        let mut channel = client.channel_open_session().await.unwrap();
        if shell {
            channel.request_shell(true).await.unwrap();
        } else {
            channel.exec(true, "uptime").await.unwrap();
        }
        let (mut told, mut status) = (String::new(), None);
        while let Some(message) = tokio::time::timeout(PATIENCE, channel.wait()).await.unwrap() {
            match message {
                ChannelMsg::ExtendedData { data, .. } => told.push_str(&String::from_utf8_lossy(&data)),
                ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
                _ => {}
            }
        }
        assert!(told.contains("has no shell"), "{told}");
        assert_eq!(status, Some(126));
    }
    // Nothing listens for a client, and no file is served.
    assert!(client.tcpip_forward("127.0.0.1", 0).await.is_err());
    let mut channel = client.channel_open_session().await.unwrap();
    channel.request_subsystem(true, "sftp").await.unwrap();
    assert!(matches!(tokio::time::timeout(PATIENCE, channel.wait()).await.unwrap(), Some(ChannelMsg::Failure)));
    assert!(client.channel_open_direct_streamlocal("/run/docker.sock").await.is_err());
}

#[tokio::test]
async fn channels_have_a_limit_and_come_back() {
    let rig = Rig::start(4);
    let (there, _serving) = rig.answering(0);
    let client = rig.client().await;
    let mut open = Vec::new();
    for _ in 0..CHANNELS_MAX {
        open.push(client.channel_open_direct_tcpip("localhost", there.port().into(), "127.0.0.1", 1).await.unwrap());
    }
    let refused = ask(&client, "localhost", there.port()).await.unwrap_err();
    assert!(matches!(refused, russh::Error::ChannelOpenFailure(ChannelOpenFailure::ResourceShortage)), "{refused:?}");
    // Another client has its own.
    ask(&rig.client().await, "localhost", there.port()).await.unwrap();
    for channel in &open {
        channel.close().await.unwrap();
    }
    drop(open);
    let again = async { while ask(&client, "localhost", there.port()).await.is_err() {} };
    tokio::time::timeout(PATIENCE, again).await.unwrap();
}

#[tokio::test]
async fn nonsense_before_a_greeting_harms_nobody() {
    let rig = Rig::start(5);
    let (there, _serving) = rig.answering(0);
    let client = rig.client().await;
    let dial = TcpDial::from(Some(rig.control_plane));
    for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"SSH-2.0-x\r\n\xff\xff\xff\xff\xff\xff\xff\xff", &[b'x'; 100_000]]
    {
        let mut stream = dial.connect(rig.at).await.unwrap();
        // The server may have hung up before all was sent.
        drop(stream.write_all(nonsense).await);
        drop(stream.shutdown().await);
        let mut answer = Vec::new();
        drop(tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap());
        assert!(answer.len() < 10_000);
    }
    assert!(ask(&client, "localhost", there.port()).await.unwrap().starts_with("hello"));
}

#[test]
fn a_hosts_key_of_rsa_is_refused_with_the_kinds_that_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("host");
    std::fs::write(&file, "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n").unwrap();
    let told = super::keys::load(&file).unwrap_err().to_string();
    assert!(told.ends_with("a key of the kind RSA: Ed25519 and ECDSA keys are taken, and no others"), "{told}");
}
