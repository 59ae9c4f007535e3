//! The tunnel to one node: connections that are kept ready, opened anew with back-off when they end.

use super::Means;
use super::connection::{Connection, Failed, OpenError};
use super::stream::TunnelStream;
use crate::egress::{Nodes, Target};
use async_trait::async_trait;
use serde_json::Value;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tinyplane_wire::client::Backoff;
use tinyplane_wire::net::{Dial, Dialled, Stream, Way};
use tinyplane_wire::process::Shutdown;
use tokio::sync::{Notify, Semaphore, watch};

/// The port of a node's SSH server, unless the node tells another.
const PORT: u16 = 22;
/// The annotation by which a node of ours tells that its SSH server listens elsewhere, port 22 being taken.
const PORT_ALIAS: &str = "tinyplane.dev/port-alias.22";
/// Connections of one tunnel that wait for streams. Those that come back when so many are there already are closed.
const IDLE_MAX: usize = 4;
/// How long further connections wait for streams beside the one that is always ready.
const QUIET: Duration = Duration::from_secs(5);
/// Connections of one tunnel that are being opened at a time: sshd's `MaxStartups` begins to refuse at ten.
const OPENING_MAX: usize = 8;
/// Waits between attempts to open a tunnel.
const REOPEN: Backoff = Backoff { first: Duration::from_millis(250), most: Duration::from_secs(30) };

/// Where a node's SSH server and its kubelet are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub(super) host: String,
    pub(super) ssh_port: u16,
    pub(super) kubelet: Target,
}

impl Place {
    /// The place of a node (`v1.Node`); none without an address.
    #[must_use]
    pub fn of(nodes: &Nodes, node: &Value) -> Option<Self> {
        let kubelet = nodes.target(node).ok()?;
        let told = node["metadata"]["annotations"][PORT_ALIAS].as_str().and_then(|port| port.parse().ok());
        Some(Self { host: kubelet.host.clone(), ssh_port: told.unwrap_or(PORT), kubelet })
    }
}

/// How a tunnel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// It is being opened for the first time.
    Opening,
    /// A connection could be had when that was last tried.
    Open,
    /// None could be had.
    Broken,
}

/// The tunnel to one node.
#[derive(Debug)]
pub(super) struct Tunnel {
    pub(super) place: Place,
    means: Arc<Means>,
    /// Held for moments only, and never with another lock.
    pool: Mutex<Pool>,
    condition: watch::Sender<Condition>,
    /// A spare connection may be missing.
    wanted: Arc<Notify>,
    opening: Semaphore,
}

/// The connections that wait, and what ends all of the tunnel's.
#[derive(Debug)]
struct Pool {
    idle: Vec<Connection>,
    sever: Shutdown,
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.sever();
    }
}

impl Tunnel {
    pub(super) fn new(place: Place, means: Arc<Means>) -> Arc<Self> {
        let pool = Mutex::new(Pool { idle: Vec::new(), sever: Shutdown::new() });
        let condition = watch::Sender::new(Condition::Opening);
        let opening = Semaphore::new(OPENING_MAX);
        Arc::new(Self { place, means, pool, condition, wanted: Arc::default(), opening })
    }

    pub(super) fn condition(&self) -> Condition {
        *self.condition.borrow()
    }

    /// Keeps a connection ready for as long as this is polled.
    pub(super) async fn keep(&self) {
        let mut failures = 0;
        loop {
            match self.spares() {
                0 => {}
                1 => {
                    self.wanted.notified().await;
                    continue;
                }
                _ => {
                    tokio::select! {
                        () = self.wanted.notified() => {}
                        () = self.means.clock.sleep(QUIET) => self.shrink(),
                    }
                    continue;
                }
            }
            match self.open().await {
                Ok(connection) => {
                    failures = 0;
                    self.take_back(connection);
                }
                Err(error) => {
                    failures += 1;
                    // An outage is told of once, and not at each of its attempts.
                    if failures == 1 {
                        tracing::warn!(node = self.place.host, %error, "failed to open the SSH tunnel to a node");
                    }
                    self.means.clock.sleep(REOPEN.after(failures)).await;
                }
            }
        }
    }

    /// Connects to an address through the node.
    pub(super) async fn dial(self: &Arc<Self>, number: i64, host: &str, port: u16) -> io::Result<Dialled> {
        // The first attempt is under way: it decides for all who wait.
        if self.condition.subscribe().wait_for(|condition| *condition != Condition::Opening).await.is_err() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        while let Some(connection) = self.idle() {
            match self.forward(connection, number, host, port).await {
                Ok(stream) => return Ok(stream),
                Err(Failed::Refused(error)) => return Err(error),
                Err(Failed::Broken(error)) => {
                    tracing::debug!(node = self.place.host, %error, "a connection of an SSH tunnel had ended");
                }
            }
        }
        let connection = self.open().await.map_err(|error| io::Error::other(error.to_string()))?;
        self.forward(connection, number, host, port).await.map_err(|failed| match failed {
            Failed::Refused(error) | Failed::Broken(error) => error,
        })
    }

    /// Ends all connections, those that carry streams as well. New ones may be opened.
    pub(super) fn sever(&self) {
        let idle = {
            let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
            pool.sever.cancel();
            pool.sever = Shutdown::new();
            std::mem::take(&mut pool.idle)
        };
        drop(idle);
        self.wanted.notify_one();
    }

    /// Takes a connection that is free again.
    pub(super) fn take_back(&self, connection: Connection) {
        let surplus = {
            let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
            if pool.idle.len() < IDLE_MAX && !connection.is_ended() {
                pool.idle.push(connection);
                // Of several, the keeper closes some after a while of quiet, which begins now.
                self.wanted.notify_one();
                None
            } else {
                Some(connection)
            }
        };
        drop(surplus);
    }

    async fn forward(
        self: &Arc<Self>,
        connection: Connection,
        number: i64,
        host: &str,
        port: u16,
    ) -> Result<Dialled, Failed> {
        match connection.forward(number, host, port).await {
            Ok(forwarded) => {
                let (tunnel, host_key) = (Some(self.place.host.clone()), Some(connection.host_key.clone()));
                let stream = Box::new(TunnelStream::new(forwarded, connection, Arc::clone(self)));
                Ok(Dialled { stream, way: Way { tunnel, host_key, ..Way::default() } })
            }
            Err(Failed::Refused(error)) => {
                self.take_back(connection);
                Err(Failed::Refused(error))
            }
            Err(broken) => Err(broken),
        }
    }

    async fn open(&self) -> Result<Connection, OpenError> {
        let _turn = self.opening.acquire().await.expect("nobody closes it");
        let severed = self.pool.lock().unwrap_or_else(PoisonError::into_inner).sever.child_token();
        let opened = Connection::open(&self.means, &self.place, &self.wanted, severed).await;
        self.means.numbers.tried(opened.is_ok());
        self.condition.send_replace(if opened.is_ok() { Condition::Open } else { Condition::Broken });
        opened
    }

    /// A connection that waits. Another one is opened in its place.
    fn idle(&self) -> Option<Connection> {
        let mut ended = Vec::new();
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let found = loop {
            match pool.idle.pop() {
                Some(connection) if connection.is_ended() => ended.push(connection),
                found => break found,
            }
        };
        let lacking = pool.idle.is_empty();
        drop(pool);
        drop(ended);
        if lacking {
            self.wanted.notify_one();
        }
        found
    }

    /// How many connections wait that are good for anything.
    pub(super) fn spares(&self) -> usize {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let (alive, ended): (Vec<_>, Vec<_>) =
            std::mem::take(&mut pool.idle).into_iter().partition(|connection| !connection.is_ended());
        pool.idle = alive;
        let spares = pool.idle.len();
        drop(pool);
        drop(ended);
        spares
    }

    /// Closes all that wait but one.
    fn shrink(&self) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let surplus = if pool.idle.is_empty() { Vec::new() } else { pool.idle.split_off(1) };
        drop(pool);
        drop(surplus);
    }
}

/// Dials through one tunnel, whatever the others do.
#[derive(Debug)]
pub(super) struct Through(pub(super) Arc<Tunnel>);

#[async_trait]
impl Dial for Through {
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        Ok(self.0.dial(rand::random(), host, port).await?.stream)
    }
}
