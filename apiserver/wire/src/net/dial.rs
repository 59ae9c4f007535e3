//! Dialling: a trait, so that a tunnel can stand where a socket would, and the plain TCP way.

use super::ClusterNet;
use super::detour;
use super::keepalive::keep_alive;
use super::listen::port_alias;
use crate::ledger::{Entry, HostKey, Ledger, Outcome, Recorded, View};
use async_trait::async_trait;
use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;

/// A connection, whatever carries it.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// By which way a connection goes, as far as its dialler knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// The address and port that it comes from, where it is TCP to the very end.
    pub from: Option<SocketAddr>,
    /// The tunnel's server.
    pub tunnel: Option<String>,
    /// The tunnel's agent.
    pub agent: Option<String>,
    /// The tunnel's number of the connection.
    pub connection: Option<i64>,
    /// The key by which the tunnel's SSH server proved itself.
    pub host_key: Option<HostKey>,
}

/// A connection, and its way.
pub struct Dialled {
    /// The connection.
    pub stream: Box<dyn Stream>,
    /// Its way.
    pub way: Way,
}

/// A way to reach an address: directly, or through a tunnel.
#[async_trait]
pub trait Dial: Send + Sync + Debug {
    /// Connects to `host:port`; `host` is an address or a name, without brackets.
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>>;

    /// As [`Dial::dial`], under a number by which a tunnel's other end knows the dial as well, and tells the way.
    async fn dial_as(&self, _number: i64, host: &str, port: u16) -> io::Result<Dialled> {
        Ok(Dialled { stream: self.dial(host, port).await?, way: Way::default() })
    }
}

/// Longest wait for a TCP connection unless told otherwise.
const DIAL_SECONDS_MAX: u64 = 30;

/// Connects over TCP, from one source address.
#[derive(Clone, Debug)]
pub struct TcpDial {
    source: Option<IpAddr>,
    timeout: Duration,
    keepalive: Option<Duration>,
    cluster_net: ClusterNet,
}

impl TcpDial {
    /// Dials from `source`, or from where the system likes.
    #[must_use]
    pub fn from(source: Option<IpAddr>) -> Self {
        Self {
            source,
            timeout: Duration::from_secs(DIAL_SECONDS_MAX),
            keepalive: None,
            cluster_net: ClusterNet::default(),
        }
    }

    /// Gives up after `timeout`.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Has the kernel ask a silent peer whether it is there, after each such time.
    #[must_use]
    pub fn with_keepalive(mut self, silence: Duration) -> Self {
        self.keepalive = Some(silence);
        self
    }

    /// Knows a cluster's addresses: a port below 1024 that refuses there is tried at its alias as well.
    #[must_use]
    pub fn in_cluster(mut self, net: ClusterNet) -> Self {
        self.cluster_net = net;
        self
    }

    /// Connects to an address that is known already.
    ///
    /// # Errors
    /// As `connect(2)`, or `TimedOut`.
    pub async fn connect(&self, to: SocketAddr) -> io::Result<tokio::net::TcpStream> {
        match self.connect_once(to).await {
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused && self.cluster_net.contains(to.ip()) => {
                match port_alias(to.port()) {
                    // Whoever asked knows the port that was meant: the refusal is of that one.
                    Some(alias) => self.connect_once(SocketAddr::new(to.ip(), alias)).await.map_err(|_| e),
                    None => Err(e),
                }
            }
            outcome => outcome,
        }
    }

    /// Connects to an address or a name, without brackets.
    ///
    /// # Errors
    /// As `connect(2)`, `TimedOut`, or `NotFound` for a name that nobody has.
    pub async fn connect_to(&self, host: &str, port: u16) -> io::Result<tokio::net::TcpStream> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return self.connect(SocketAddr::new(ip, port)).await;
        }
        let found = tokio::net::lookup_host((host, port)).await.map_err(|_| no_such_host(host))?;
        let mut last = no_such_host(host);
        for to in found {
            match self.connect(to).await {
                Ok(stream) => return Ok(stream),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    /// As [`TcpDial::connect`], and writes it down, where a ledger is kept; `known` is what is known of the hop beforehand.
    ///
    /// # Errors
    /// As [`TcpDial::connect`].
    pub async fn connect_recorded(
        &self,
        to: SocketAddr,
        ledger: Option<&Ledger>,
        known: Entry,
    ) -> io::Result<Recorded<tokio::net::TcpStream>> {
        match ledger {
            None => Ok(Recorded::new(self.connect(to).await?, None)),
            Some(ledger) => recorded(ledger, Entry { to: to.to_string(), ..known }, self.connect(to)).await,
        }
    }

    /// As [`TcpDial::connect_to`], and writes it down like [`TcpDial::connect_recorded`].
    ///
    /// # Errors
    /// As [`TcpDial::connect_to`].
    pub async fn connect_to_recorded(
        &self,
        (host, port): (&str, u16),
        ledger: Option<&Ledger>,
        known: Entry,
    ) -> io::Result<Recorded<tokio::net::TcpStream>> {
        match ledger {
            None => Ok(Recorded::new(self.connect_to(host, port).await?, None)),
            Some(ledger) => {
                let to = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
                recorded(ledger, Entry { to, ..known }, self.connect_to(host, port)).await
            }
        }
    }

    async fn connect_once(&self, to: SocketAddr) -> io::Result<tokio::net::TcpStream> {
        let relay = self.cluster_net.relay.filter(|_| self.cluster_net.excepts(to.ip()));
        let connecting = async {
            match relay {
                None => self.open(to).await.map_err(|e| not_connected(to, &e)),
                Some(relay) => self.open_by(relay, to).await,
            }
        };
        let stream = tokio::time::timeout(self.timeout, connecting)
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("dial tcp {to}: i/o timeout")))??;
        stream.set_nodelay(true)?;
        if let Some(silence) = self.keepalive {
            keep_alive(&stream, silence)?;
        }
        Ok(stream)
    }

    async fn open(&self, to: SocketAddr) -> io::Result<tokio::net::TcpStream> {
        let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(source) = self.source.filter(|s| s.is_ipv4() == to.is_ipv4()) {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        socket.connect(to).await
    }

    /// By way of a relay, whose own failure says already who could not be dialled.
    async fn open_by(&self, relay: SocketAddr, to: SocketAddr) -> io::Result<tokio::net::TcpStream> {
        let mut stream = self.open(relay).await.map_err(|e| not_connected(to, &e))?;
        stream.set_nodelay(true)?;
        match detour::go_on(&mut stream, to).await {
            Ok(()) => Ok(stream),
            Err(e) if e.get_ref().is_some() => Err(e),
            Err(e) => Err(not_connected(to, &e)),
        }
    }
}

fn not_connected(to: SocketAddr, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("dial tcp {to}: connect: {}", in_gos_words(error)))
}

/// Dials, and writes down what came of it.
async fn recorded(
    ledger: &Ledger,
    known: Entry,
    dial: impl Future<Output = io::Result<tokio::net::TcpStream>>,
) -> io::Result<Recorded<tokio::net::TcpStream>> {
    let begun = ledger.entry_like(&Entry { view: View::Claimed, ..known });
    match dial.await {
        Ok(stream) => {
            let hop = ledger.open(Entry { from: stream.local_addr().ok(), ..begun });
            Ok(Recorded::new(stream, Some(hop)))
        }
        Err(error) => {
            ledger.end(Entry { outcome: Outcome::Failed, why: Some(error.to_string()), ..begun });
            Err(error)
        }
    }
}

/// The system's message as Go prints it, which is what users of Kubernetes know and match on.
fn in_gos_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::ConnectionReset => "connection reset by peer".into(),
        io::ErrorKind::HostUnreachable => "no route to host".into(),
        io::ErrorKind::NetworkUnreachable => "network is unreachable".into(),
        _ => error.to_string(),
    }
}

#[async_trait]
impl Dial for TcpDial {
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(self.connect_to(host, port).await?))
    }

    async fn dial_as(&self, _number: i64, host: &str, port: u16) -> io::Result<Dialled> {
        let stream = self.connect_to(host, port).await?;
        let way = Way { from: stream.local_addr().ok(), ..Way::default() };
        Ok(Dialled { stream: Box::new(stream), way })
    }
}

fn no_such_host(host: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("dial tcp: lookup {host}: no such host"))
}
