//! A relay before somebody who listens: where it listens itself, whom it knows by their address, and where it goes on.

use super::carry::{admitted, carry, coming, refuse};
use super::end::{End, cut};
use super::link::Kind;
use crate::fault::{Board, Meeting};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tinyplane_wire::net::{Accepted, Listener, Sources, TcpDial, UnixDial, UnixListener, bind, bind_unix, detour};
use tinyplane_wire::process::Shutdown;
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;

/// Connections of one relay at the same time.
const CONNECTIONS_MAX: usize = 16_384;

/// Longest wait until a dialler has said where it wants to go on to.
const ASK_SECONDS_MAX: u64 = 10;

/// Where a relay listens.
#[derive(Clone, Debug)]
pub(crate) enum Front {
    /// On an address.
    Tcp(SocketAddr),
    /// On a Unix socket.
    Unix(PathBuf),
}

/// Where a relay goes on.
#[derive(Clone)]
pub(crate) enum Onward {
    /// To the next of the addresses of the moment that takes the connection.
    Addresses(Arc<dyn Fn() -> Vec<SocketAddr> + Send + Sync>),
    /// To a name and a port, which are looked up each time.
    #[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "the binary's relay alone is told names"))]
    Name(String, u16),
    /// To a Unix socket.
    Unix(PathBuf),
    /// Where the dialler asks to go on to, on a link that this tells.
    AsAsked(Arc<dyn Fn(IpAddr, SocketAddr) -> (Kind, String) + Send + Sync>),
}

impl fmt::Debug for Onward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addresses(addresses) => write!(f, "{:?}", addresses()),
            Self::Name(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::AsAsked(_) => f.write_str("where it is asked to"),
        }
    }
}

/// Which link a connection from an address runs on. A Unix socket's dialler has none.
pub(crate) type Who = Arc<dyn Fn(Option<IpAddr>) -> (Kind, String) + Send + Sync>;

/// A relay that listens, and does not serve yet.
pub(crate) struct Opened {
    listener: AnyListener,
    onward: Onward,
    who: Who,
    /// Whether it dials on from the address that a connection came from, so that whoever is reached knows who it is.
    keeps_source: bool,
    turn: AtomicUsize,
}

/// Between whom a connection is.
struct Ends {
    /// Who dialled; nobody knows that of a Unix socket.
    peer: Option<IpAddr>,
    /// Whom they dialled.
    dialled: String,
}

enum AnyListener {
    Tcp(Listener),
    Unix(UnixListener),
}

impl Opened {
    /// Listens.
    pub(crate) fn open(front: &Front, onward: Onward, who: Who, keeps_source: bool) -> io::Result<Self> {
        let listener = match front {
            Front::Tcp(at) => AnyListener::Tcp(bind(*at, Sources::any())?.listener),
            Front::Unix(path) => AnyListener::Unix(bind_unix(path, true)?),
        };
        Ok(Self { listener, onward, who, keeps_source, turn: AtomicUsize::new(0) })
    }

    /// Where it really listens; nothing for a Unix socket.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match &self.listener {
            AnyListener::Tcp(listener) => Some(listener.address()),
            AnyListener::Unix(_) => None,
        }
    }

    /// Serves until `shutdown`; connections end with it.
    pub(crate) async fn serve(self, board: Arc<Board>, shutdown: Shutdown) {
        let relay = Arc::new(self);
        let mut carried = JoinSet::new();
        loop {
            tokio::select! {
                (client, ends) = relay.accept(), if carried.len() < CONNECTIONS_MAX => {
                    match &relay.onward {
                        Onward::AsAsked(_) => carried.spawn(Arc::clone(&relay).detour(client, ends, Arc::clone(&board))),
                        _ => {
                            let (kind, name) = (relay.who)(ends.peer);
                            carried.spawn(Arc::clone(&relay).relay(client, ends, board.meet(kind, &name)))
                        }
                    };
                }
                Some(_) = carried.join_next() => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    async fn accept(&self) -> (Box<dyn End>, Ends) {
        match &self.listener {
            AnyListener::Tcp(listener) => {
                let Accepted { stream, peer, .. } = listener.accept().await;
                let dialled = stream.local_addr().unwrap_or(listener.address()).ip();
                (Box::new(stream), Ends { peer: Some(peer.ip()), dialled: dialled.to_string() })
            }
            AnyListener::Unix(listener) => {
                (Box::new(listener.accept().await), Ends { peer: None, dialled: "localhost".into() })
            }
        }
    }

    async fn relay(self: Arc<Self>, client: Box<dyn End>, ends: Ends, mut meeting: Meeting) {
        let rider = meeting.ride();
        if !admitted(&mut meeting, &rider).await {
            return cut(client);
        }
        match coming(self.dial(ends.peer), &mut meeting, &rider).await {
            (Ok(server), false) => carry(client, server, meeting, rider, &ends.dialled).await,
            (Ok(server), true) => [client, server].into_iter().for_each(cut),
            (Err(error), _) => refuse(client, &error),
        }
    }

    /// As `relay`, for a dialler that says where it wants to go on to and waits until it is there.
    async fn detour(self: Arc<Self>, mut client: Box<dyn End>, ends: Ends, board: Arc<Board>) {
        let (Onward::AsAsked(who), Some(from)) = (&self.onward, ends.peer) else { return };
        let asking = tokio::time::timeout(Duration::from_secs(ASK_SECONDS_MAX), detour::asked(&mut client));
        let to = match asking.await {
            Ok(Ok(to)) => to,
            Ok(Err(error)) => return refuse(client, &error),
            Err(_) => return refuse(client, &io::ErrorKind::TimedOut.into()),
        };
        let (kind, name) = who(from, to);
        let mut meeting = board.meet(kind, &name);
        let rider = meeting.ride();
        let admitted = tokio::select! {
            admitted = admitted(&mut meeting, &rider) => admitted,
            // It says nothing before it is answered: it has given up.
            _ = client.read_u8() => return,
        };
        if !admitted {
            return cut(client);
        }
        let dialled = async {
            let dialled = TcpDial::from(Some(from).filter(|_| self.keeps_source)).connect(to).await;
            let answered = detour::answer(&mut client, dialled.as_ref().map(|_| ())).await;
            dialled.and_then(|server| answered.map(|()| server))
        };
        let dialled = coming(dialled, &mut meeting, &rider).await;
        match dialled {
            (Ok(server), false) => carry(client, Box::new(server), meeting, rider, &to.ip().to_string()).await,
            (Ok(server), true) => {
                cut(client);
                cut(Box::new(server));
            }
            (Err(error), _) => tracing::debug!(%error, "a detour leads nowhere"),
        }
    }

    async fn dial(&self, peer: Option<IpAddr>) -> io::Result<Box<dyn End>> {
        let dial = TcpDial::from(peer.filter(|_| self.keeps_source));
        match &self.onward {
            Onward::Addresses(addresses) => {
                let mut addresses = addresses();
                let first = self.turn.fetch_add(1, Ordering::Relaxed) % addresses.len().max(1);
                addresses.rotate_left(first);
                let mut last = io::Error::new(io::ErrorKind::NotConnected, "nobody listens behind the relay yet");
                for at in addresses {
                    match dial.connect(at).await {
                        Ok(stream) => return Ok(Box::new(stream)),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
            Onward::Name(host, port) => Ok(Box::new(dial.connect_to(host, *port).await?)),
            // That one dials for itself.
            Onward::AsAsked(_) => Err(io::ErrorKind::Unsupported.into()),
            Onward::Unix(path) => Ok(Box::new(UnixDial::to(path).connect()?)),
        }
    }
}
