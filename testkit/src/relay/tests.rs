//! Each fault on a relay before an echo, as both ends see it.

use super::{Front, Kind, Link, Onward, Opened};
use crate::fault::{Board, Direction, Fault, Healed};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tinyplane_wire::clock::Clock;
use tinyplane_wire::identity::pki::{Authority, Leaf};
use tinyplane_wire::identity::tls::{self, ClientAuth, KeyPairPem, Trust};
use tinyplane_wire::net::{Bound, Sources, TcpDial, bind};
use tinyplane_wire::process::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Longest that a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is sent where nothing else matters.
const HELLO: &[u8] = b"hello";

/// A relay, and who listens behind it.
struct Rig {
    at: SocketAddr,
    behind: Bound,
    board: Arc<Board>,
    shutdown: Shutdown,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Rig {
    fn open() -> Self {
        let any: SocketAddr = "127.86.11.1:0".parse().unwrap();
        let behind = bind(any, Sources::any()).unwrap();
        let to = behind.address;
        let onward = Onward::Addresses(Arc::new(move || vec![to]));
        let who = Arc::new(|_| (Kind::ClientToApiserver, Link::EVERY.to_owned()));
        let opened = Opened::open(&Front::Tcp(any), onward, who, true).unwrap();
        let (at, board, shutdown) = (opened.address().unwrap(), Board::new(), Shutdown::new());
        tokio::spawn(opened.serve(Arc::clone(&board), shutdown.clone()));
        Self { at, behind, board, shutdown }
    }

    async fn dial(&self) -> TcpStream {
        TcpDial::from("127.86.11.9".parse().ok()).connect(self.at).await.unwrap()
    }

    /// Both ends of a new connection.
    async fn pair(&self) -> (TcpStream, TcpStream) {
        let (client, accepted) = tokio::join!(self.dial(), self.behind.listener.accept());
        assert_eq!(accepted.peer.ip(), client.local_addr().unwrap().ip(), "who comes is told");
        (client, accepted.stream)
    }

    fn inject(&self, fault: Fault) -> u64 {
        self.board.place(Link::ClientToApiserver.place(), fault).unwrap()
    }

    fn heal(&self, id: u64) -> Healed {
        self.board.heal(id).unwrap()
    }
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it comes in time")
}

/// What comes until the end, or until it breaks.
async fn rest(stream: &mut TcpStream) -> (Vec<u8>, io::Result<()>) {
    let mut bytes = Vec::new();
    let ended = in_time(stream.read_to_end(&mut bytes)).await;
    (bytes, ended.map(drop))
}

async fn hears(stream: &mut TcpStream, bytes: &[u8]) {
    let mut heard = vec![0; bytes.len()];
    in_time(stream.read_exact(&mut heard)).await.unwrap();
    assert_eq!(heard, bytes);
}

/// Nothing can be read now, as far as that can be seen.
async fn hears_nothing(stream: &mut TcpStream) {
    let heard = tokio::time::timeout(Duration::from_millis(50), stream.read_u8()).await;
    assert!(heard.is_err(), "{heard:?}");
}

#[tokio::test]
async fn without_a_fault_bytes_and_ends_pass_both_ways() {
    let rig = Rig::open();
    let (mut client, mut server) = rig.pair().await;
    let much: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let sending = async {
        client.write_all(&much).await.unwrap();
        client.shutdown().await.unwrap();
    };
    let ((), (heard, ended)) = tokio::join!(sending, rest(&mut server));
    assert!(heard == much && ended.is_ok());
    // The other direction is still there.
    server.write_all(HELLO).await.unwrap();
    drop(server);
    assert_eq!(rest(&mut client).await.0, HELLO);
}

#[tokio::test]
async fn latency_and_bandwidth_take_their_time() {
    let rig = Rig::open();
    let (mut client, mut server) = rig.pair().await;
    let late = rig.inject(Fault::latency(Duration::from_millis(80)).jitter(Duration::from_millis(40)).seeded(3));
    let began = Instant::now();
    client.write_all(HELLO).await.unwrap();
    hears(&mut server, HELLO).await;
    server.write_all(HELLO).await.unwrap();
    hears(&mut client, HELLO).await;
    assert!(began.elapsed() >= Duration::from_millis(160), "{:?}", began.elapsed());
    rig.heal(late).at_least(2);
    let narrow = rig.inject(Fault::bandwidth(100_000).towards(Direction::Server));
    let began = Instant::now();
    client.write_all(&[7; 20_000]).await.unwrap();
    hears(&mut server, &[7; 20_000]).await;
    assert!(began.elapsed() >= Duration::from_millis(150), "{:?}", began.elapsed());
    rig.heal(narrow).at_least(5);
}

#[tokio::test]
async fn a_blackhole_holds_everything_until_it_heals() {
    let rig = Rig::open();
    let (mut client, mut server) = rig.pair().await;
    let dark = rig.inject(Fault::blackhole());
    client.write_all(HELLO).await.unwrap();
    server.write_all(HELLO).await.unwrap();
    let mut new = rig.dial().await;
    new.write_all(b"new").await.unwrap();
    hears_nothing(&mut client).await;
    hears_nothing(&mut server).await;
    assert!(tokio::time::timeout(Duration::from_millis(50), rig.behind.listener.accept()).await.is_err());
    rig.heal(dark).at_least(3);
    hears(&mut client, HELLO).await;
    hears(&mut server, HELLO).await;
    let mut late = in_time(rig.behind.listener.accept()).await.stream;
    hears(&mut late, b"new").await;
    // One direction alone.
    let deaf = rig.inject(Fault::blackhole().towards(Direction::Client));
    client.write_all(HELLO).await.unwrap();
    hears(&mut server, HELLO).await;
    server.write_all(HELLO).await.unwrap();
    hears_nothing(&mut client).await;
    rig.heal(deaf).at_least(1);
    hears(&mut client, HELLO).await;
}

#[tokio::test]
async fn a_reset_ends_what_is_there_and_what_comes() {
    let rig = Rig::open();
    let (mut client, mut server) = rig.pair().await;
    let reset = rig.inject(Fault::reset());
    for end in [&mut client, &mut server] {
        assert_eq!(rest(end).await.1.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
    assert_eq!(rest(&mut rig.dial().await).await.1.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    rig.heal(reset).at_least(2);
    // Towards one end, after a while: the other knows nothing of it until it heals.
    let (mut client, mut server) = rig.pair().await;
    let reset = rig.inject(Fault::reset().towards(Direction::Client).after_bytes(3));
    server.write_all(HELLO).await.unwrap();
    let (heard, ended) = rest(&mut client).await;
    assert!(heard.len() <= 3 && ended.is_err(), "{heard:?}");
    hears_nothing(&mut server).await;
    rig.heal(reset).at_least(1);
    assert!(rest(&mut server).await.1.is_err());
}

#[tokio::test]
async fn what_is_there_is_bitten_before_a_fault_can_heal() {
    let rig = Rig::open();
    let mut pairs = Vec::new();
    for _ in 0..20 {
        pairs.push(rig.pair().await);
    }
    let reset = rig.inject(Fault::reset());
    rig.board.noticed().await;
    rig.heal(reset).at_least(20);
    for (client, server) in &mut pairs {
        assert!(rest(client).await.1.is_err() && rest(server).await.1.is_err());
    }
}

#[tokio::test]
async fn half_open_tells_nobody_of_an_end() {
    let rig = Rig::open();
    let (mut client, server) = rig.pair().await;
    let hidden = rig.inject(Fault::half_open());
    drop(server);
    hears_nothing(&mut client).await;
    for _ in 0..3 {
        client.write_all(HELLO).await.unwrap();
        hears_nothing(&mut client).await;
    }
    rig.heal(hidden).at_least(1);
    assert!(matches!(rest(&mut client).await, (heard, _) if heard.is_empty()));
}

/// What comes through a corruption of 50,000 zeroes.
async fn corrupted(seed: u64, pieces: usize) -> Vec<u8> {
    let rig = Rig::open();
    let rule = rig.inject(Fault::corrupt().one_in(500).seeded(seed));
    let (mut client, mut server) = rig.pair().await;
    let sending = async {
        for piece in vec![0; 50_000].chunks(pieces) {
            client.write_all(piece).await.unwrap();
        }
        client.shutdown().await.unwrap();
    };
    let ((), (heard, _)) = tokio::join!(sending, rest(&mut server));
    let changed = heard.iter().filter(|byte| **byte != 0).count();
    assert!(changed > 50 && heard.len() == 50_000, "{changed} of {}", heard.len());
    rig.heal(rule).at_least(changed as u64);
    heard
}

#[tokio::test]
async fn corruption_is_the_same_for_the_same_seed_however_bytes_come() {
    let first = corrupted(7, 50_000).await;
    assert!(first == corrupted(7, 77).await);
    assert!(first != corrupted(8, 50_000).await);
}

#[tokio::test]
async fn slices_are_small_and_several_faults_go_together() {
    let rig = Rig::open();
    let (mut client, mut server) = rig.pair().await;
    let small = rig.inject(Fault::slice(2));
    let late = rig.inject(Fault::latency(Duration::from_millis(20)));
    client.write_all(HELLO).await.unwrap();
    hears(&mut server, HELLO).await;
    rig.heal(small).at_least(2);
    rig.heal(late).at_least(1);
}

/// A certificate for the relay's address, from an authority; and that authority.
fn certified() -> (KeyPairPem, String) {
    let authority = Authority::create("kubernetes", Clock::system().now()).unwrap();
    let leaf = Leaf::server("kubelet", &[], &["127.86.11.1".parse().unwrap()]);
    let issued = authority.issue(&leaf, Clock::system().now()).unwrap();
    let pair = KeyPairPem { certificate: issued.certificate_pem, key: issued.key_pem };
    (pair, authority.certificate_pem().to_owned())
}

#[tokio::test]
async fn a_man_in_the_middle_reads_whom_nobody_verifies() {
    let rig = Rig::open();
    let (pair, authority) = certified();
    let acceptor = TlsAcceptor::from(Arc::new(tls::server(&pair, &ClientAuth::Offered, &tls::ALPN_HTTP1).unwrap()));
    let middle = rig.inject(Fault::man_in_the_middle());
    for (trust, believed) in [(Trust::Anybody, true), (Trust::Roots(authority), false)] {
        let serving = async {
            let Ok(mut stream) = acceptor.accept(rig.behind.listener.accept().await.stream).await else { return };
            let mut heard = [0; 5];
            if stream.read_exact(&mut heard).await.is_ok() {
                stream.write_all(b"secret").await.unwrap();
                stream.shutdown().await.unwrap();
            }
        };
        let asking = async {
            let config = tls::client(&trust, None, &tls::ALPN_HTTP1).unwrap();
            let name = ServerName::try_from("127.86.11.1").unwrap();
            let mut stream = TlsConnector::from(Arc::new(config)).connect(name, rig.dial().await).await?;
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
            stream.write_all(HELLO).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok::<_, io::Error>(answer)
        };
        let ((), answer) = in_time(Box::pin(async { tokio::join!(serving, asking) })).await;
        match believed {
            true => assert_eq!(answer.unwrap(), "secret"),
            false => assert!(answer.unwrap_err().to_string().contains("certificate"), "an unknown issuer"),
        }
    }
    let healed = rig.heal(middle);
    assert_eq!(healed.at_least(2).read(), "hellosecret");
}
