//! Listening: on the port that is meant, or on another that is told; open to all, or to an allow list.

use crate::ledger::{Entry, Ledger, Open, Outcome, Recorded, View};
use ipnet::IpNet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A port below 1024 that may not be bound is served at this many ports above it, on the same address.
pub const PORT_ALIAS_OFFSET: u16 = 20_000;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// Where a low port is served when the process may not bind it.
#[must_use]
pub const fn port_alias(port: u16) -> Option<u16> {
    if port > 0 && port < 1024 { Some(port + PORT_ALIAS_OFFSET) } else { None }
}

/// Who may connect: everybody, or sources in these ranges only (an allow list, never a deny list).
#[derive(Clone, Debug, Default)]
pub struct Sources(Option<Vec<IpNet>>);

impl Sources {
    /// Everybody.
    #[must_use]
    pub fn any() -> Self {
        Self(None)
    }

    /// These ranges and nobody else.
    #[must_use]
    pub fn only(ranges: Vec<IpNet>) -> Self {
        Self(Some(ranges))
    }

    /// True when a source may connect.
    #[must_use]
    pub fn admit(&self, source: IpAddr) -> bool {
        self.0.as_ref().is_none_or(|ranges| ranges.iter().any(|range| range.contains(&source)))
    }
}

/// A listener, and where it really listens.
#[derive(Debug)]
pub struct Bound {
    /// Accepts.
    pub listener: Listener,
    /// Where: the port may differ from the one asked for.
    pub address: SocketAddr,
}

/// A connection that came in.
#[derive(Debug)]
pub struct Accepted {
    /// Its bytes.
    pub stream: TcpStream,
    /// Who it is from.
    pub peer: SocketAddr,
    /// Its line in the ledger, where one is kept: it says that the connection has ended when this is dropped.
    pub hop: Option<Open>,
}

impl Accepted {
    /// Its bytes, counted for the ledger.
    #[must_use]
    pub fn recorded(self) -> Recorded<TcpStream> {
        Recorded::new(self.stream, self.hop)
    }
}

/// Accepts connections from the sources that it admits; others are closed before a byte is read.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    address: SocketAddr,
    sources: Sources,
    ledger: Option<(Ledger, Box<Entry>)>,
}

impl Listener {
    /// Writes down from now on who came. What is known of all of them beforehand, such as the path, stands in `known`.
    #[must_use]
    pub fn recording(self, ledger: Option<&Ledger>, known: Entry) -> Self {
        let known = Entry { view: View::Observed, to: self.address.to_string(), ..known };
        Self { ledger: ledger.cloned().map(|ledger| (ledger, Box::new(known))), ..self }
    }

    /// The next connection from an admitted source. Errors that concern one connection or a moment's shortage of
    /// descriptors are waited over, so it never fails.
    pub async fn accept(&self) -> Accepted {
        loop {
            match self.inner.accept().await {
                Ok((stream, peer)) if self.sources.admit(peer.ip()) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "a connection was gone before it was served");
                        continue;
                    }
                    return Accepted { stream, peer, hop: self.record(peer, Outcome::Accepted) };
                }
                Ok((stream, peer)) => {
                    tracing::debug!(%peer, "refused a source outside of the allow list");
                    drop(self.record(peer, Outcome::Refused));
                    refuse(&stream);
                }
                Err(error) => wait_over(&error).await,
            }
        }
    }

    fn record(&self, peer: SocketAddr, outcome: Outcome) -> Option<Open> {
        let (ledger, known) = self.ledger.as_ref()?;
        Some(ledger.open(Entry { from: Some(peer), outcome, ..ledger.entry_like(known) }))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Ends a connection with a reset, so that the peer does not take it for a service that hangs up.
fn refuse(stream: &TcpStream) {
    if let Err(error) = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO)) {
        tracing::debug!(%error, "a refused connection ends with a plain close");
    }
}

/// Listens on an address. A port that somebody's wildcard listener holds, or that this user may not bind, is
/// replaced: by its alias below 1024, else by one that is free.
///
/// # Errors
/// When the address itself can't be bound.
pub fn bind(at: SocketAddr, sources: Sources) -> io::Result<Bound> {
    let inner = match try_bind(at) {
        Ok(inner) => inner,
        Err(e) if is_taken(&e) => match port_alias(at.port()).map(|port| try_bind(SocketAddr::new(at.ip(), port))) {
            Some(Ok(inner)) => inner,
            _ => try_bind(SocketAddr::new(at.ip(), 0))?,
        },
        Err(e) => return Err(e),
    };
    let address = inner.local_addr()?;
    Ok(Bound { listener: Listener { inner, address, sources, ledger: None }, address })
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

fn try_bind(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = if at.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(BACKLOG)
}

/// Waits over an error of one connection, or a shortage of descriptors: nothing tells when there is one again.
pub(super) async fn wait_over(error: &io::Error) {
    tracing::debug!(%error, "accept failed");
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::TcpDial;
    use tokio::io::AsyncReadExt;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_taken_port_is_replaced_and_told() {
        let first = bind(address("127.86.0.1:0"), Sources::any()).unwrap();
        let second = bind(first.address, Sources::any()).unwrap();
        assert_eq!(second.address.ip(), first.address.ip());
        assert_ne!(second.address.port(), first.address.port());
    }

    #[tokio::test]
    async fn only_the_allow_list_is_served() {
        let bound = bind(address("127.86.0.2:0"), Sources::only(vec!["127.86.1.0/24".parse().unwrap()])).unwrap();
        let accept = tokio::spawn(async move { bound.listener.accept().await.peer.ip() });
        let stranger = TcpDial::from(Some("127.86.2.1".parse().unwrap()));
        let mut refused = stranger.connect(bound.address).await.unwrap();
        assert!(refused.read(&mut [0; 1]).await.map_or(true, |n| n == 0));
        let friend = TcpDial::from(Some("127.86.1.9".parse().unwrap()));
        let _open = friend.connect(bound.address).await.unwrap();
        assert_eq!(accept.await.unwrap(), "127.86.1.9".parse::<IpAddr>().unwrap());
    }
}
