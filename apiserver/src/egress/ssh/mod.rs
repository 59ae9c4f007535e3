//! SSH tunnels, as kube-apiserver had them up to 1.21: one to each node, through which the whole cluster is reached.
//!
//! Upstream's `pkg/master/tunneler` and `pkg/ssh` are what this goes by: the tunnel of the same host, else a random one; a
//! look at each every minute; nothing asked of a host's key, unless a file of known hosts is given, which is ours.

mod connection;
mod ear;
mod health;
mod key;
mod known_hosts;
mod numbers;
mod severed;
mod stream;
mod tunnel;

#[cfg(test)]
mod tests;

pub use key::{KeyError, KeyText, load, public_file};
pub use tunnel::Place;

use crate::egress::Nodes;
use async_trait::async_trait;
use numbers::Numbers;
use rand::seq::IndexedRandom;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::net::{Dial, Dialled, Stream, TcpDial};
use tinyplane_wire::process::Shutdown;
use tokio_util::task::AbortOnDropHandle;
use tunnel::{Condition, Tunnel};

/// Longest name of the user, in characters.
pub const USER_CHARACTERS_MAX: usize = 32;
/// How long it may take to connect to a node: longer than the kernel tries by default.
const DIAL_TIMEOUT: Duration = Duration::from_secs(150);
/// Silence after which a node's kernel is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// How often the list of nodes is gone through even if nobody tells of a change.
const SYNC_PERIOD: Duration = Duration::from_secs(15);
/// Seconds without such a pass after which the member calls itself ill.
const LAG_SECONDS_MAX: i64 = 600;

/// How tunnels are opened.
#[derive(Clone, Debug)]
pub struct SshConfig {
    /// The user on the nodes (`--ssh-user`).
    pub user: String,
    /// The private key (`--ssh-keyfile`); made where the public one, of the same name with `.pub`, is missing.
    pub key_file: PathBuf,
    /// The hosts' keys, in OpenSSH's form, without ports. Without it every key is believed, as upstream had it.
    pub known_hosts_file: Option<PathBuf>,
}

/// Why there can be no tunnels.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// The user's name is too long.
    #[error("the SSH user {0:?} has over {USER_CHARACTERS_MAX} characters")]
    User(String),
    /// The key can't be used or made.
    #[error("the key of the SSH tunnels can't be used")]
    Key(#[from] KeyError),
    /// The hosts' keys can't be read.
    #[error("the known hosts of the SSH tunnels can't be used")]
    KnownHosts(#[source] KeyError),
}

/// Tells of the cluster's nodes.
#[async_trait]
pub trait NodeFeed: Send {
    /// The places of all nodes, as of now.
    fn now(&mut self) -> Vec<Place>;
    /// Waits until a node may have changed. May be dropped and called again.
    async fn changed(&mut self);
}

/// What all tunnels share.
#[derive(Debug)]
struct Means {
    user: String,
    key_file: PathBuf,
    known_hosts_file: Option<PathBuf>,
    direct: TcpDial,
    clock: Clock,
    numbers: Numbers,
}

/// The tunnels to all nodes: a way to everything in the cluster.
#[derive(Debug)]
pub struct Tunnels {
    means: Arc<Means>,
    /// By the nodes' addresses. Held for moments only, and never with another lock.
    tunnels: Mutex<BTreeMap<String, Kept>>,
    /// When the nodes were last gone through, in seconds since the epoch.
    synced: AtomicI64,
}

/// A tunnel, and what keeps it.
#[derive(Debug)]
struct Kept {
    tunnel: Arc<Tunnel>,
    _keeper: AbortOnDropHandle<()>,
}

impl Tunnels {
    /// Tunnels to nobody yet; the key is made where it is missing.
    ///
    /// # Errors
    /// When the key can't be used or made, the hosts' keys can't be read, or the user's name is too long.
    pub fn new(config: SshConfig, direct: TcpDial, clock: Clock) -> Result<Arc<Self>, SshError> {
        if config.user.chars().count() > USER_CHARACTERS_MAX {
            return Err(SshError::User(config.user));
        }
        key::ensure(&config.key_file)?;
        if let Some(file) = &config.known_hosts_file {
            key::read(file).map_err(SshError::KnownHosts)?;
        }
        let synced = AtomicI64::new(clock.unix_seconds());
        let means = Means {
            user: config.user,
            key_file: config.key_file,
            known_hosts_file: config.known_hosts_file,
            direct: direct.with_timeout(DIAL_TIMEOUT).with_keepalive(KEEPALIVE),
            clock,
            numbers: Numbers::default(),
        };
        Ok(Arc::new(Self { means: Arc::new(means), tunnels: Mutex::default(), synced }))
    }

    /// Keeps a tunnel to each node until the shutdown, which ends all of them.
    pub async fn follow(&self, mut feed: Box<dyn NodeFeed>, nodes: Arc<Nodes>, shutdown: &Shutdown) {
        while !shutdown.is_cancelled() {
            self.update(feed.now(), &nodes);
            self.synced.store(self.means.clock.unix_seconds(), Ordering::Relaxed);
            tokio::select! {
                () = feed.changed() => {}
                () = self.means.clock.sleep(SYNC_PERIOD) => {}
                () = shutdown.cancelled() => {}
            }
        }
        self.update(Vec::new(), &nodes);
    }

    /// False when the nodes have not been gone through for ten minutes: upstream's `SSH Tunnel Check`.
    #[must_use]
    pub fn is_in_step(&self) -> bool {
        self.seconds_since_sync() <= LAG_SECONDS_MAX
    }

    fn seconds_since_sync(&self) -> i64 {
        self.means.clock.unix_seconds() - self.synced.load(Ordering::Relaxed)
    }

    fn numbers(&self) -> &Numbers {
        &self.means.numbers
    }

    /// Begins the tunnels that are missing, and ends those to nodes that are gone or have moved.
    fn update(&self, places: Vec<Place>, nodes: &Arc<Nodes>) {
        let mut wanted: BTreeMap<String, Place> = places.into_iter().map(|place| (place.host.clone(), place)).collect();
        let mut gone = Vec::new();
        {
            let mut tunnels = self.tunnels.lock().unwrap_or_else(PoisonError::into_inner);
            for (host, kept) in std::mem::take(&mut *tunnels) {
                match wanted.remove(&host) {
                    Some(place) if place == kept.tunnel.place => drop(tunnels.insert(host, kept)),
                    Some(place) => {
                        tunnels.insert(host, self.begin(place, nodes));
                        gone.push(kept);
                    }
                    None => gone.push(kept),
                }
            }
            for (host, place) in wanted {
                tunnels.insert(host, self.begin(place, nodes));
            }
        }
        for kept in gone {
            tracing::debug!(node = kept.tunnel.place.host, "the SSH tunnel to a node that is gone is closed");
            kept.tunnel.sever();
        }
    }

    fn begin(&self, place: Place, nodes: &Arc<Nodes>) -> Kept {
        let tunnel = Tunnel::new(place, Arc::clone(&self.means));
        let (kept, means, nodes) = (Arc::clone(&tunnel), Arc::clone(&self.means), Arc::clone(nodes));
        let keeper = tokio::spawn(async move {
            tokio::join!(kept.keep(), health::watch(&kept, &means, &nodes));
        });
        Kept { tunnel, _keeper: AbortOnDropHandle::new(keeper) }
    }

    /// The tunnel to the host itself, unless it is broken; else a random one; else the broken one, which is tried again.
    fn pick(&self, host: &str) -> io::Result<Arc<Tunnel>> {
        let tunnels = self.tunnels.lock().unwrap_or_else(PoisonError::into_inner);
        let own = tunnels.get(host).map(|kept| &kept.tunnel);
        if let Some(own) = own.filter(|own| own.condition() != Condition::Broken) {
            return Ok(Arc::clone(own));
        }
        let of = |condition| {
            let fitting: Vec<_> =
                tunnels.values().map(|kept| &kept.tunnel).filter(|tunnel| tunnel.condition() == condition).collect();
            fitting.choose(&mut rand::rng()).map(|tunnel| Arc::clone(tunnel))
        };
        let found = of(Condition::Open).or_else(|| of(Condition::Opening)).or_else(|| own.cloned());
        found.ok_or_else(|| {
            let user = &self.means.user;
            let told =
                format!("No SSH tunnels currently open. Were the targets able to accept an ssh-key for user {user:?}?");
            io::Error::new(io::ErrorKind::NotConnected, told)
        })
    }
}

#[async_trait]
impl Dial for Tunnels {
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        Ok(self.dial_as(rand::random(), host, port).await?.stream)
    }

    async fn dial_as(&self, number: i64, host: &str, port: u16) -> io::Result<Dialled> {
        self.pick(host)?.dial(number, host, port).await
    }
}
