//! The tunnels against hosts that are honest, that are not, and that go away.

mod host;

use super::health::tests::{is_well, kubelet};
use super::tunnel::{Condition, Tunnel};
use super::{KeyError, KeyText, NodeFeed, Place, SshConfig, SshError, Tunnels, public_file};
use crate::egress::{NodeConfig, Nodes, Target};
use crate::metrics::{Source, Text};
use async_trait::async_trait;
use host::{Host, Manner};
use russh::keys::{HashAlg, PublicKey};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::net::{Dial, Sources, Stream, TcpDial, bind};
use tinyplane_wire::process::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// The nodes that a test tells of.
struct Told(watch::Receiver<Vec<Place>>);

#[async_trait]
impl NodeFeed for Told {
    fn now(&mut self) -> Vec<Place> {
        self.0.borrow_and_update().clone()
    }

    async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

struct Rig {
    tunnels: Arc<Tunnels>,
    nodes: watch::Sender<Vec<Place>>,
    shutdown: Shutdown,
    key: PublicKey,
    known_hosts: PathBuf,
    _following: AbortOnDropHandle<()>,
    _folder: tempfile::TempDir,
}

impl Rig {
    fn new(verifying: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (key_file, known_hosts) = (folder.path().join("id"), folder.path().join("known"));
        std::fs::write(&known_hosts, "").unwrap();
        let known_hosts_file = verifying.then(|| known_hosts.clone());
        let config = SshConfig { user: "tinyplane".into(), key_file: key_file.clone(), known_hosts_file };
        let tunnels = Tunnels::new(config, TcpDial::from(None), Clock::system()).unwrap();
        let key = PublicKey::from_openssh(&std::fs::read_to_string(public_file(&key_file)).unwrap()).unwrap();
        let (nodes, shutdown) = (watch::Sender::new(Vec::new()), Shutdown::new());
        let (feed, followed, told) = (Told(nodes.subscribe()), Arc::clone(&tunnels), shutdown.clone());
        let kubelets = Arc::new(Nodes::new(NodeConfig::default(), tunnels.clone()));
        let following = tokio::spawn(async move { followed.follow(Box::new(feed), kubelets, &told).await });
        let _following = AbortOnDropHandle::new(following);
        Self { tunnels, nodes, shutdown, key, known_hosts, _following, _folder: folder }
    }

    fn host(&self, at: &str, manner: Manner) -> Host {
        Host::serve(at, self.key.clone(), manner)
    }

    /// Tells of these nodes.
    fn tell(&self, hosts: &[SocketAddr]) {
        let place = |at: &SocketAddr| Place {
            host: at.ip().to_string(),
            ssh_port: at.port(),
            kubelet: Target { host: at.ip().to_string(), port: 10_250 },
        };
        self.nodes.send_replace(hosts.iter().map(place).collect());
    }

    async fn until(&self, what: &str, wished: impl Fn(&Tunnels) -> bool) {
        let waiting = async {
            while !wished(&self.tunnels) {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what} did not come; {:?}", self.tunnels);
    }

    async fn is(&self, host: IpAddr, condition: Condition) {
        let is = |tunnels: &Tunnels| {
            let kept = tunnels.tunnels.lock().unwrap();
            kept.get(&host.to_string()).is_some_and(|kept| kept.tunnel.condition() == condition)
        };
        self.until(&format!("{condition:?} at {host}"), is).await;
    }

    fn tunnel(&self, host: IpAddr) -> Arc<Tunnel> {
        Arc::clone(&self.tunnels.tunnels.lock().unwrap()[&host.to_string()].tunnel)
    }

    async fn dial(&self, to: SocketAddr) -> io::Result<Box<dyn Stream>> {
        tokio::time::timeout(PATIENCE, self.tunnels.dial(&to.ip().to_string(), to.port())).await.unwrap()
    }

    fn page(&self) -> String {
        let mut text = Text::default();
        self.tunnels.tell(&mut text);
        text.finish()
    }
}

/// Answers each connection with what it sent, in brackets, once that has ended.
fn brackets(at: &str) -> (SocketAddr, AbortOnDropHandle<()>) {
    let bound = bind(at.parse().unwrap(), Sources::any()).unwrap();
    let serving = tokio::spawn(async move {
        loop {
            let mut stream = bound.listener.accept().await.stream;
            tokio::spawn(async move {
                let mut asked = Vec::new();
                if stream.read_to_end(&mut asked).await.is_ok() {
                    let answer = [b"<", &asked[..], b">"].concat();
                    drop(stream.write_all(&answer).await);
                }
            });
        }
    });
    (bound.address, AbortOnDropHandle::new(serving))
}

/// Sends so many bytes to whoever comes.
fn flood(at: &str, bytes: usize) -> (SocketAddr, AbortOnDropHandle<()>) {
    let bound = bind(at.parse().unwrap(), Sources::any()).unwrap();
    let serving = tokio::spawn(async move {
        loop {
            let mut stream = bound.listener.accept().await.stream;
            tokio::spawn(async move { drop(stream.write_all(&vec![7; bytes]).await) });
        }
    });
    (bound.address, AbortOnDropHandle::new(serving))
}

async fn ask(mut stream: Box<dyn Stream>, what: &str) -> io::Result<String> {
    stream.write_all(what.as_bytes()).await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await??;
    Ok(answer)
}

#[tokio::test]
async fn bytes_go_both_ways_and_half_a_close_goes_through() {
    let rig = Rig::new(false);
    let host = rig.host("127.86.40.1:0", Manner::Honest);
    let (there, _serving) = brackets("127.86.40.2:0");
    rig.tell(&[host.address]);
    rig.is(host.address.ip(), Condition::Open).await;
    let long = "x".repeat(3_000_000);
    assert_eq!(ask(rig.dial(there).await.unwrap(), &long).await.unwrap(), format!("<{long}>"));
    for turn in 0..20 {
        assert_eq!(ask(rig.dial(there).await.unwrap(), "hello").await.unwrap(), "<hello>", "{turn}");
    }
    rig.until("the end of all channels", |_| host.seen.channels.load(Ordering::Relaxed) == 0).await;
    // Streams that follow each other share a few connections.
    let logins = host.seen.logins.load(Ordering::Relaxed);
    assert!(logins <= 6, "{logins} connections for streams one after another");
    let page = rig.page();
    assert!(
        page.contains("# HELP ssh_tunnel_open_count [ALPHA] Counter of ssh tunnel total open attempts\n"),
        "{page}"
    );
    assert!(page.contains("ssh_tunnel_open_fail_count 0\n"), "{page}");
    rig.shutdown.cancel();
    rig.until("the end of the tunnels", |tunnels| tunnels.tunnels.lock().unwrap().is_empty()).await;
}

#[tokio::test]
async fn a_stream_that_nobody_reads_stops_no_other_and_loses_nothing() {
    let rig = Rig::new(false);
    let host = rig.host("127.86.41.1:0", Manner::Honest);
    let (there, _serving) = brackets("127.86.41.2:0");
    let bytes = 16 * 1024 * 1024;
    let (flooding, _flooding) = flood("127.86.41.3:0", bytes);
    rig.tell(&[host.address]);
    rig.is(host.address.ip(), Condition::Open).await;
    let mut unread = Vec::new();
    for _ in 0..8 {
        unread.push(rig.dial(flooding).await.unwrap());
    }
    assert_eq!(ask(rig.dial(there).await.unwrap(), "hello").await.unwrap(), "<hello>");
    for mut stream in unread {
        let mut all = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await.unwrap().unwrap();
        assert_eq!(all.len(), bytes);
    }
    // One that is dropped unread leaves nothing behind.
    drop(rig.dial(flooding).await.unwrap());
    rig.until("the end of all channels", |_| host.seen.channels.load(Ordering::Relaxed) == 0).await;
}

#[tokio::test]
async fn a_hundred_streams_at_once_each_get_their_own_bytes() {
    let rig = Rig::new(false);
    let host = rig.host("127.86.49.1:0", Manner::Honest);
    let (there, _serving) = brackets("127.86.49.2:0");
    rig.tell(&[host.address]);
    rig.is(host.address.ip(), Condition::Open).await;
    let one = async |turn: usize| {
        let text = format!("{turn} ").repeat(10_000);
        assert_eq!(ask(rig.dial(there).await.unwrap(), &text).await.unwrap(), format!("<{text}>"));
    };
    futures_util::future::join_all((0..100).map(one)).await;
    rig.until("the end of all channels", |_| host.seen.channels.load(Ordering::Relaxed) == 0).await;
    // Of their connections a few wait for what comes next, and after a while of quiet one.
    let tunnel = rig.tunnel(host.address.ip());
    assert!(tunnel.spares() <= 4);
    rig.until("the end of the connections that are too many", |_| tunnel.spares() == 1).await;
}

#[tokio::test]
async fn what_the_node_refuses_is_told_in_gos_words_and_costs_no_connection() {
    let rig = Rig::new(false);
    let host = rig.host("127.86.42.1:0", Manner::Honest);
    rig.tell(&[host.address]);
    rig.is(host.address.ip(), Condition::Open).await;
    for _ in 0..10 {
        let told = rig.dial("127.86.42.2:1".parse().unwrap()).await.err().unwrap();
        assert_eq!(told.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(told.to_string(), "ssh: rejected: connect failed (Connection refused)");
    }
    let logins = host.seen.logins.load(Ordering::Relaxed);
    assert!(logins <= 4, "{logins} connections for dials that were refused");
}

#[tokio::test]
async fn the_tunnel_of_the_same_host_is_taken_and_else_any() {
    let rig = Rig::new(false);
    let told = rig.dial("127.86.43.9:1".parse().unwrap()).await.err().unwrap().to_string();
    let none = "No SSH tunnels currently open. Were the targets able to accept an ssh-key for user \"tinyplane\"?";
    assert_eq!(told, none);
    let hosts = [rig.host("127.86.43.1:0", Manner::Honest), rig.host("127.86.43.2:0", Manner::Honest)];
    rig.tell(&[hosts[0].address, hosts[1].address]);
    for host in &hosts {
        rig.is(host.address.ip(), Condition::Open).await;
    }
    let (there, _serving) = brackets("127.86.43.2:0");
    for _ in 0..5 {
        let mut stream = rig.dial(there).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        assert_eq!(hosts[0].seen.channels.load(Ordering::Relaxed), 0);
        assert_eq!(ask(stream, "y").await.unwrap(), "<xy>");
    }
    // Its own host is gone: another one leads there too.
    let [first, second] = hosts;
    let gone = second.address.ip();
    drop(second);
    rig.is(gone, Condition::Broken).await;
    assert_eq!(ask(rig.dial(there).await.unwrap(), "z").await.unwrap(), "<z>");
    // A node that is gone takes its streams along.
    let mut stream = rig.dial(there).await.unwrap();
    rig.tell(&[]);
    let ended = tokio::time::timeout(PATIENCE, stream.read_u8()).await.unwrap();
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    drop(first);
}

#[tokio::test]
async fn a_tunnel_that_breaks_is_no_orderly_end_and_is_opened_again() {
    let rig = Rig::new(false);
    let (there, _serving) = brackets("127.86.44.2:0");
    let host = rig.host("127.86.44.1:0", Manner::Honest);
    let at = host.address;
    rig.tell(&[at]);
    rig.is(at.ip(), Condition::Open).await;
    let mut stream = rig.dial(there).await.unwrap();
    stream.write_all(b"half of it").await.unwrap();
    drop(host);
    let ended = tokio::time::timeout(PATIENCE, stream.read_u8()).await.unwrap();
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert!(stream.write_all(b"more").await.is_err());
    rig.is(at.ip(), Condition::Broken).await;
    let told = rig.dial(at).await.err().unwrap().to_string();
    assert!(told.contains("connection refused"), "{told}");
    // To the tunnel that broke, the cause is told; to others, that there is none.
    let told = rig.dial(there).await.err().unwrap().to_string();
    assert!(told.starts_with("No SSH tunnels currently open."), "{told}");
    let host = rig.host(&at.to_string(), Manner::Honest);
    assert_eq!(host.address, at);
    rig.is(at.ip(), Condition::Open).await;
    assert_eq!(ask(rig.dial(there).await.unwrap(), "again").await.unwrap(), "<again>");
    let failed = rig.page().lines().find_map(|line| line.strip_prefix("ssh_tunnel_open_fail_count ")?.parse().ok());
    assert!(failed.is_some_and(|failed: u64| failed > 0));
}

#[tokio::test]
async fn hosts_are_believed_by_their_keys_where_that_is_wished() {
    let rig = Rig::new(true);
    let host = rig.host("127.86.45.1:0", Manner::Honest);
    let line = |key: &PublicKey| format!("{} {}\n", host.address.ip(), key.to_openssh().unwrap());
    let (there, _serving) = brackets("127.86.45.2:0");
    let ours = line(host.key.public_key());
    // Somebody else's key, none at all, and one that is revoked: nobody is believed, and no channel is opened.
    for (known, why) in [
        (line(Host::key().public_key()), "is not the one that is known"),
        (String::new(), "is unknown"),
        (format!("{ours}@revoked {ours}"), "is revoked"),
    ] {
        std::fs::write(&rig.known_hosts, known).unwrap();
        rig.tell(&[host.address]);
        rig.is(host.address.ip(), Condition::Broken).await;
        let told = rig.dial(host.address).await.err().unwrap().to_string();
        assert!(told.contains("knownhosts: the key of 127.86.45.1") && told.contains(why), "{told}");
        rig.tell(&[]);
        rig.until("the end of the tunnel", |tunnels| tunnels.tunnels.lock().unwrap().is_empty()).await;
    }
    assert_eq!(host.seen.logins.load(Ordering::Relaxed), 0);
    std::fs::write(&rig.known_hosts, ours).unwrap();
    rig.tell(&[host.address]);
    rig.is(host.address.ip(), Condition::Open).await;
    let dialled = rig.tunnels.dial_as(7, &there.ip().to_string(), there.port()).await.unwrap();
    let key = dialled.way.host_key.unwrap();
    assert_eq!(key.fingerprint, host.key.public_key().fingerprint(HashAlg::Sha256).to_string());
    assert_eq!(key.verified, Some(rig.known_hosts.display().to_string()));
    assert_eq!(ask(dialled.stream, "hello").await.unwrap(), "<hello>");
}

#[tokio::test]
async fn who_does_not_let_us_in_is_told_as_such() {
    let rig = Rig::new(false);
    let host = Host::serve("127.86.46.1:0", Host::key().public_key().clone(), Manner::Honest);
    rig.tell(&[host.address]);
    rig.is(host.address.ip(), Condition::Broken).await;
    let told = rig.dial(host.address).await.err().unwrap().to_string();
    assert!(told.contains("unable to authenticate"), "{told}");
    let long = SshConfig { user: "x".repeat(33), key_file: "k".into(), known_hosts_file: None };
    assert!(matches!(Tunnels::new(long, TcpDial::from(None), Clock::system()), Err(SshError::User(_))));
    let folder = tempfile::tempdir().unwrap();
    let (key_file, missing) = (folder.path().join("id"), folder.path().join("known"));
    let nowhere = SshConfig { user: "x".into(), key_file, known_hosts_file: Some(missing) };
    let told = Tunnels::new(nowhere, TcpDial::from(None), Clock::system());
    assert!(matches!(told, Err(SshError::KnownHosts(KeyError::File { .. }))));
    assert!(KeyText::generate("x").unwrap().public.ends_with(" x\n"));
}

#[tokio::test]
async fn a_host_that_lies_hurts_only_itself() {
    let rig = Rig::new(false);
    let honest = rig.host("127.86.47.1:0", Manner::Honest);
    let intruder = rig.host("127.86.47.2:0", Manner::Intrudes);
    let fickle = rig.host("127.86.47.3:0", Manner::HangsUp);
    // No SSH at all, and more of it than any greeting has.
    let (flooding, _flooding) = flood("127.86.47.4:0", 4 * 1024 * 1024);
    let (there, _serving) = brackets("127.86.47.1:0");
    rig.tell(&[honest.address, intruder.address, fickle.address, flooding]);
    rig.is(flooding.ip(), Condition::Broken).await;
    rig.is(intruder.address.ip(), Condition::Open).await;
    let through = |host: &Host| rig.tunnel(host.address.ip());
    let (host, port) = (there.ip().to_string(), there.port());
    for _ in 0..5 {
        assert_eq!(ask(through(&intruder).dial(7, &host, port).await.unwrap().stream, "x").await.unwrap(), "<x>");
        let ended = match through(&fickle).dial(7, &host, port).await {
            Ok(dialled) => ask(dialled.stream, "x").await,
            Err(error) => Err(error),
        };
        assert!(ended.is_err(), "{ended:?}");
        assert_eq!(ask(rig.dial(there).await.unwrap(), "hello").await.unwrap(), "<hello>");
    }
    assert_eq!(intruder.seen.intrusions.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_tunnel_is_well_as_long_as_its_kubelet_says_anything() {
    let rig = Rig::new(false);
    let host = rig.host("127.86.48.1:0", Manner::Honest);
    let (there, _serving) = brackets("127.86.48.2:0");
    let (at, answering) = kubelet("127.86.48.1:0");
    let ip = at.ip();
    let place = Place {
        host: ip.to_string(),
        ssh_port: host.address.port(),
        kubelet: Target { host: ip.to_string(), port: at.port() },
    };
    rig.nodes.send_replace(vec![place]);
    rig.is(ip, Condition::Open).await;
    let nodes = Nodes::new(NodeConfig::default(), rig.tunnels.clone());
    assert_eq!(is_well(&rig.tunnel(ip), &nodes).await, Ok(()));
    drop(answering);
    let told = is_well(&rig.tunnel(ip), &nodes).await.unwrap_err();
    assert!(told.contains("connect failed"), "{told}");
    // What is done then: the tunnel is cut, with all that it carries, and another stands in its place.
    let mut stream = rig.dial(there).await.unwrap();
    let logins = host.seen.logins.load(Ordering::Relaxed);
    rig.tunnel(ip).sever();
    let ended = tokio::time::timeout(PATIENCE, stream.read_u8()).await.unwrap();
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    rig.until("another login", |_| host.seen.logins.load(Ordering::Relaxed) > logins).await;
    assert_eq!(ask(rig.dial(there).await.unwrap(), "again").await.unwrap(), "<again>");
}

#[tokio::test]
async fn an_illness_shows_when_the_nodes_were_not_gone_through_for_long() {
    let rig = Rig::new(false);
    assert!(rig.tunnels.is_in_step());
    rig.shutdown.cancel();
    rig.until("the end", |tunnels| tunnels.tunnels.lock().unwrap().is_empty()).await;
    let now = Clock::system().unix_seconds();
    rig.tunnels.synced.store(now - 590, Ordering::Relaxed);
    assert!(rig.tunnels.is_in_step());
    rig.tunnels.synced.store(now - 610, Ordering::Relaxed);
    assert!(!rig.tunnels.is_in_step());
    assert!(rig.page().contains("apiserver_proxy_tunnel_sync_latency_secs 61"), "{}", rig.page());
}
