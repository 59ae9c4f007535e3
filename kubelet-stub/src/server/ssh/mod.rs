//! A node's SSH server: takes those whose key is authorized, and forwards their connections from the node's address.
//!
//! There is no shell behind it, no file and nothing that listens for its clients: `direct-tcpip` is all that is served.

mod keys;
mod session;
#[cfg(test)]
mod tests;

pub(crate) use keys::SshKeyError;

use crate::cluster::Cluster;
use crate::tasks::Tasks;
use keys::Authorized;
use russh::server::{self, Config};
use russh::{MethodKind, MethodSet, SshId};
use session::Session;
use std::borrow::Cow;
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::ledger::HostKey;
use tinyplane_wire::net::{Bound, TcpDial, keep_alive};
use tinyplane_wire::process::Shutdown;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Connections of one node at a time. Further ones are closed before a byte is read.
pub(crate) const CONNECTIONS_MAX: usize = 1024;
/// Channels of one connection at a time.
pub(crate) const CHANNELS_MAX: usize = 256;
/// How long a client may take until it is known, as sshd's `LoginGraceTime` has it by default.
const LOGIN_SECONDS_MAX: u64 = 120;
/// Silence after which a client's kernel is asked whether it is there. (A question over SSH would go unanswered where a
/// stream is not read.)
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Keys that a client may try.
const ATTEMPTS_MAX: usize = 6;
/// How long a refusal takes, so that it says nothing by its time.
const REFUSAL_TIME: Duration = Duration::from_millis(500);
/// What a client may send of a channel before it has to wait.
const WINDOW_BYTES: u32 = 1024 * 1024;
/// Packets of a channel that wait to be sent on. The connection is not read on before there is room.
const PACKETS_WAITING_MAX: usize = 16;

/// What an SSH server of a node is made of.
#[derive(Debug)]
pub(crate) struct SshServer {
    /// The node's address: where forwarded connections come from, and what it calls itself.
    pub(crate) address: IpAddr,
    /// How it dials.
    pub(crate) dial: TcpDial,
    /// What it knows of the cluster's ports.
    pub(crate) cluster: Arc<Cluster>,
    /// By which it proves itself.
    pub(crate) host_key: HostKey,
    config: Arc<Config>,
    authorized: Arc<Authorized>,
    places: Arc<Semaphore>,
}

impl SshServer {
    /// With the key that proves the host, and the file of those whose keys are let in, which is read for each of them.
    ///
    /// # Errors
    /// When the host's key can't be used.
    pub(crate) fn new(
        address: IpAddr,
        cluster: &Arc<Cluster>,
        host_key_file: &Path,
        authorized_keys_file: &Path,
    ) -> Result<Self, SshKeyError> {
        let host_key = keys::load(host_key_file)?;
        Ok(Self {
            address,
            dial: TcpDial::from(Some(address)).in_cluster(cluster.net.clone()),
            cluster: Arc::clone(cluster),
            host_key: keys::host_key(&host_key),
            config: Arc::new(Config {
                server_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-tinyplane_", env!("CARGO_PKG_VERSION")))),
                methods: MethodSet::from(&[MethodKind::PublicKey][..]),
                auth_rejection_time: REFUSAL_TIME,
                // Clients of OpenSSH begin by asking which methods there are.
                auth_rejection_time_initial: Some(Duration::ZERO),
                keys: vec![host_key],
                window_size: WINDOW_BYTES,
                channel_buffer_size: PACKETS_WAITING_MAX,
                max_auth_attempts: ATTEMPTS_MAX,
                // A connection may wait for its next channel as long as it likes.
                inactivity_timeout: None,
                ..Config::default()
            }),
            authorized: Arc::new(Authorized::in_file(authorized_keys_file)),
            places: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        })
    }

    /// Serves a listener until the member ends.
    pub(crate) fn serve(self, bound: Bound, tasks: &Tasks) {
        let (server, spawner) = (Arc::new(self), tasks.clone());
        tasks.spawn(async move {
            loop {
                let accepted = bound.listener.accept().await;
                let Ok(place) = Arc::clone(&server.places).try_acquire_owned() else {
                    tracing::warn!(peer = %accepted.peer, "an SSH server has all the connections that it takes");
                    continue;
                };
                let server = Arc::clone(&server);
                spawner.spawn(async move {
                    server.connection(accepted.stream, accepted.peer).await;
                    drop((accepted.hop, place));
                });
            }
        });
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        if let Err(error) = keep_alive(&stream, KEEPALIVE) {
            return tracing::debug!(%peer, %error, "an SSH client was gone before it was served");
        }
        let (known, ends) = (Shutdown::new(), Shutdown::new());
        let session = Session::new(Arc::clone(&self), known.clone(), ends.clone());
        // Whatever becomes of the connection, its channels end with it.
        let _ends = ends.drop_guard();
        let login = Duration::from_secs(LOGIN_SECONDS_MAX);
        let running =
            match tokio::time::timeout(login, server::run_stream(Arc::clone(&self.config), stream, session)).await {
                Ok(Ok(running)) => running,
                Ok(Err(error)) => return tracing::debug!(%peer, %error, "an SSH connection did not begin"),
                Err(_) => return tracing::debug!(%peer, "an SSH client did not say who it is"),
            };
        let handle = running.handle();
        tokio::pin!(running);
        let late = async {
            if tokio::time::timeout(login, known.cancelled()).await.is_ok() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            ended = &mut running => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "an SSH connection broke");
                }
            }
            () = late => {
                tracing::debug!(%peer, "an SSH client did not prove who it is in time");
                let told = handle.disconnect(russh::Disconnect::ByApplication, "login timed out".into(), "en".into());
                if told.await.is_err() {
                    tracing::debug!(%peer, "the SSH client was gone already");
                }
            }
        }
    }
}
