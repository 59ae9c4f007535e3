//! One address of a Service: accepts, picks an endpoint, and carries bytes both ways.

use super::plan::Port;
use crate::tasks::Tasks;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tinyplane_wire::ledger::{Entry, Ledger, Recorded};
use tinyplane_wire::net::{Accepted, Bound, TcpDial, port_alias};
use tinyplane_wire::process::Shutdown;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::DropGuard;

/// Endpoints that are tried for one connection: one that just went is not known yet to be gone.
const TRIES_MAX: usize = 3;
/// Longest wait for an endpoint.
const DIAL_SECONDS_MAX: u64 = 5;
/// Clients that are remembered for their affinity.
const CLIENTS_MAX: usize = 10_000;

/// Who gets the next connection.
#[derive(Debug)]
struct Balance {
    backends: Vec<SocketAddr>,
    turn: usize,
    affinity: Option<Duration>,
    clients: HashMap<IpAddr, (SocketAddr, Instant)>,
}

impl Balance {
    /// The endpoint for a client: the one it had, or the next in turn.
    fn pick(&mut self, client: IpAddr, now: Instant) -> Option<SocketAddr> {
        if let Some(stay) = self.affinity
            && let Some((backend, seen)) = self.clients.get_mut(&client)
            && now.duration_since(*seen) < stay
            && self.backends.contains(backend)
        {
            *seen = now;
            return Some(*backend);
        }
        let backend = *self.backends.get(self.turn % self.backends.len().max(1))?;
        self.turn = self.turn.wrapping_add(1);
        if self.affinity.is_some() {
            if self.clients.len() >= CLIENTS_MAX {
                self.clients.clear();
            }
            self.clients.insert(client, (backend, now));
        }
        Some(backend)
    }

    /// An endpoint did not answer: its clients go elsewhere.
    fn avoid(&mut self, client: IpAddr) {
        self.clients.remove(&client);
    }
}

/// How endpoints are reached. Cheap to clone.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) dial: TcpDial,
    pub(super) ledger: Option<Ledger>,
}

impl Way {
    /// Connects; the ledger says which of its hops goes on by that.
    async fn reach(&self, backend: SocketAddr, after: Option<String>) -> io::Result<Recorded<TcpStream>> {
        self.dial.connect_recorded(backend, self.ledger.as_ref(), Entry { after, ..Entry::default() }).await
    }
}

/// Listens until it is dropped; connections that are open then go on.
#[derive(Debug)]
pub(super) struct Forwarder {
    balance: Arc<Mutex<Balance>>,
    at: SocketAddr,
    real: SocketAddr,
    _ends: DropGuard,
}

impl Forwarder {
    pub(super) fn listen(port: Port, bound: Bound, way: Way, tasks: &Tasks) -> Self {
        let balance = Balance { backends: port.backends, turn: 0, affinity: port.affinity, clients: HashMap::new() };
        let balance = Arc::new(Mutex::new(balance));
        let (ends, real) = (Shutdown::new(), bound.address);
        let ended = ends.clone();
        let (shared, spawner) = (Arc::clone(&balance), tasks.clone());
        let way = Way { dial: way.dial.with_timeout(Duration::from_secs(DIAL_SECONDS_MAX)), ..way };
        tasks.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = ended.cancelled() => return,
                    accepted = bound.listener.accept() => accepted,
                };
                spawner.spawn(forward(accepted, Arc::clone(&shared), way.clone()));
            }
        });
        Self { balance, at: port.at, real, _ends: ends.drop_guard() }
    }

    /// The port that is really listened on, when it is one that no dialer expects.
    pub(super) fn moved(&self) -> Option<u16> {
        let (meant, real) = (self.at.port(), self.real.port());
        (real != meant && Some(real) != port_alias(meant)).then_some(real)
    }

    /// New connections lead there.
    pub(super) fn lead_to(&self, backends: Vec<SocketAddr>, affinity: Option<Duration>) {
        let mut balance = self.balance.lock().unwrap_or_else(PoisonError::into_inner);
        (balance.backends, balance.affinity) = (backends, affinity);
    }
}

async fn forward(accepted: Accepted, balance: Arc<Mutex<Balance>>, way: Way) {
    let peer = accepted.peer;
    let after = accepted.hop.as_ref().map(|hop| hop.entry.id.clone());
    let mut client = accepted.recorded();
    for _ in 0..TRIES_MAX {
        let picked = balance.lock().unwrap_or_else(PoisonError::into_inner).pick(peer.ip(), Instant::now());
        let Some(backend) = picked else { return };
        match way.reach(backend, after.clone()).await {
            Ok(mut stream) => {
                if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut stream).await {
                    tracing::debug!(%peer, %backend, %error, "a forwarded connection broke");
                }
                return;
            }
            Err(error) => {
                tracing::debug!(%peer, %backend, %error, "an endpoint does not answer");
                balance.lock().unwrap_or_else(PoisonError::into_inner).avoid(peer.ip());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tinyplane_wire::net::{Sources, bind};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn clients_take_turns_or_stay() {
        let (a, b) = (address("127.1.0.1:80"), address("127.1.0.2:80"));
        let client = "127.5.0.1".parse().unwrap();
        let mut balance = Balance { backends: vec![a, b], turn: 0, affinity: None, clients: HashMap::new() };
        let now = Instant::now();
        let picked: Vec<_> = (0..3).filter_map(|_| balance.pick(client, now)).collect();
        assert_eq!(picked, [a, b, a]);
        balance.affinity = Some(Duration::from_secs(10));
        let first = balance.pick(client, now).unwrap();
        assert_eq!(balance.pick(client, now + Duration::from_secs(9)), Some(first));
        assert_ne!(balance.pick(client, now + Duration::from_secs(30)), Some(first));
        balance.backends.clear();
        assert_eq!(balance.pick(client, now), None);
    }

    #[tokio::test]
    async fn bytes_go_both_ways_and_half_a_close_goes_through() {
        let backend = bind(address("127.87.0.1:0"), Sources::any()).unwrap();
        tokio::spawn(async move {
            let mut accepted = backend.listener.accept().await.stream;
            let mut asked = String::new();
            accepted.read_to_string(&mut asked).await.unwrap();
            accepted.write_all(format!("<{asked}>").as_bytes()).await.unwrap();
        });
        let tasks = Tasks::new(&Shutdown::new());
        // The first endpoint is gone already: nobody listens on the port that was reserved for it.
        let gone = address("127.87.0.3:1");
        let port = Port { at: address("127.87.0.2:0"), backends: vec![gone, backend.address], affinity: None };
        let way = Way { dial: TcpDial::from("127.87.0.4".parse().ok()), ledger: None };
        let bound = bind(port.at, Sources::any()).unwrap();
        let forwarder = Forwarder::listen(port, bound, way, &tasks);
        let mut client = TcpDial::from("127.87.0.5".parse().ok()).connect(forwarder.real).await.unwrap();
        client.write_all(b"hello").await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "<hello>");
    }
}
