//! One connection of SSH: opened, proven on both sides, and then lent to one stream at a time.
//!
//! The crate grants the peer a new window as soon as data has come, and not when it was read, and one loop hands out the
//! data of all channels. A stream that is not read would so stop all others of its connection: each has one to itself.

use super::Means;
use super::ear::{Ear, Heard, Listener};
use super::key::{self, KeyError};
use super::known_hosts::Distrust;
use super::severed::Severable;
use super::tunnel::Place;
use russh::client::{self, AuthResult, Config, Handle, Msg};
use russh::keys::{Algorithm, EcdsaCurve, PrivateKeyWithHashAlg};
use russh::{AlgorithmKind, ChannelOpenFailure, ChannelWriteHalf, Preferred, SshId};
use std::borrow::Cow;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tinyplane_wire::ledger::HostKey;
use tinyplane_wire::net::Dial;
use tinyplane_wire::process::Shutdown;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::DropGuard;

/// How long an SSH server may take to prove itself and to believe us, as upstream has it.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a node may take to connect onwards.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(150);
/// What a peer may send of a stream before it has to wait.
const WINDOW_BYTES: u32 = 1024 * 1024;
/// Largest packet that is taken.
const PACKET_BYTES_MAX: u32 = 32 * 1024;
/// Packets of a stream that wait for its reader. The connection is not read on before there is room.
const PACKETS_WAITING_MAX: usize = 16;

/// The keys by which hosts prove who they are. RSA is not spoken.
const HOST_KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
];

/// Why a tunnel can't be opened. The texts are Go's where it has them, and reach the user.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error("the key of the SSH tunnels can't be used: {0}")]
    Key(#[from] KeyError),
    #[error("{0}")]
    Dial(io::Error),
    #[error("ssh: handshake failed: knownhosts: the key of {0} {1}")]
    Host(String, Distrust),
    #[error("ssh: handshake failed: Ed25519 and ECDSA keys of hosts are taken, and it has none but {0}")]
    HostKinds(String),
    #[error("ssh: handshake failed: {0}")]
    Handshake(#[from] russh::Error),
    #[error("ssh: handshake failed: it took over {} s", HANDSHAKE_TIMEOUT.as_secs())]
    Late,
    #[error(
        "ssh: handshake failed: ssh: unable to authenticate, attempted methods [publickey], no supported methods remain"
    )]
    Unbelieved,
}

/// Why a connection leads nowhere.
#[derive(Debug)]
pub(super) enum Failed {
    /// The node says so; the connection is good for another stream.
    Refused(io::Error),
    /// The connection is of no use any more.
    Broken(io::Error),
}

/// An open connection. Dropping it ends it at once.
pub(super) struct Connection {
    /// By which the host proved itself.
    pub(super) host_key: HostKey,
    handle: Handle<Ear>,
    listener: Arc<Mutex<Option<Listener>>>,
    ended: Shutdown,
    _sever: DropGuard,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("ended", &self.ended.is_cancelled()).finish_non_exhaustive()
    }
}

/// A stream that was opened on a connection.
pub(super) struct Forwarded {
    pub(super) heard: mpsc::Receiver<Heard>,
    pub(super) channel: ChannelWriteHalf<Msg>,
}

impl Connection {
    /// Connects to a node's SSH server. `wanted` is told when the connection ends, and `severed` ends it.
    pub(super) async fn open(
        means: &Means,
        place: &Place,
        wanted: &Arc<Notify>,
        severed: Shutdown,
    ) -> Result<Self, OpenError> {
        let key = Arc::new(key::load(&means.key_file)?);
        let stream = means.direct.dial(&place.host, place.ssh_port).await.map_err(OpenError::Dial)?;
        let sever = severed.clone().drop_guard();
        let stream = Severable::new(stream, severed);
        let (listener, ended, distrust) = (Arc::default(), Shutdown::new(), Arc::<Mutex<Option<Distrust>>>::default());
        let host_key = Arc::<Mutex<HostKey>>::default();
        let ear = Ear {
            host: place.host.clone(),
            host_key: Arc::clone(&host_key),
            known_hosts: means.known_hosts_file.clone(),
            distrust: Arc::clone(&distrust),
            listener: Arc::clone(&listener),
            wanted: Arc::clone(wanted),
            ended: ended.clone(),
        };
        let prove = async {
            let mut handle = client::connect_stream(Arc::new(config()), stream, ear).await?;
            let key = PrivateKeyWithHashAlg::new(key, None);
            match handle.authenticate_publickey(&means.user, key).await? {
                AuthResult::Success => Ok(handle),
                AuthResult::Failure { .. } => Err(OpenError::Unbelieved),
            }
        };
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, prove).await {
            Ok(Ok(handle)) => {
                let host_key = host_key.lock().unwrap_or_else(PoisonError::into_inner).clone();
                Ok(Self { host_key, handle, listener, ended, _sever: sever })
            }
            Ok(Err(OpenError::Handshake(russh::Error::NoCommonAlgo { kind: AlgorithmKind::Key, theirs, .. }))) => {
                Err(OpenError::HostKinds(theirs.join(", ")))
            }
            Ok(Err(error)) => {
                let distrust = distrust.lock().unwrap_or_else(PoisonError::into_inner).take();
                Err(distrust.map_or(error, |why| OpenError::Host(place.host.clone(), why)))
            }
            Err(_) => Err(OpenError::Late),
        }
    }

    /// True when it is of no use any more.
    pub(super) fn is_ended(&self) -> bool {
        self.ended.is_cancelled() || self.handle.is_closed()
    }

    /// What tells of its end.
    pub(super) fn ended(&self) -> Shutdown {
        self.ended.clone()
    }

    /// Has the node connect to an address. Whoever gives this up in between must not use the connection again.
    /// In place of the originator's address, which nobody asks for, the node is told `number`: what both ends call the dial.
    pub(super) async fn forward(&self, number: i64, host: &str, port: u16) -> Result<Forwarded, Failed> {
        let (tell, mut heard) = mpsc::channel(PACKETS_WAITING_MAX);
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(Listener { channel: None, tell });
        let open = self.handle.channel_open_direct_tcpip(host, port.into(), number.to_string(), 0);
        let broken = |kind, told: String| Failed::Broken(io::Error::new(kind, told));
        match tokio::time::timeout(FORWARD_TIMEOUT, open).await {
            Ok(Ok(channel)) => {
                // All that comes is heard by the ear: the crate's own queue is left.
                let (_, channel) = channel.split();
                Ok(Forwarded { heard, channel })
            }
            Ok(Err(russh::Error::ChannelOpenFailure(reason))) => {
                let words = tokio::select! {
                    heard = heard.recv() => match heard { Some(Heard::Refused(words)) => words, _ => String::new() },
                    () = self.ended.cancelled() => String::new(),
                };
                Err(Failed::Refused(refusal(&reason, &words)))
            }
            Ok(Err(error)) => Err(broken(io::ErrorKind::ConnectionReset, format!("ssh: {error}"))),
            Err(_) => Err(broken(io::ErrorKind::TimedOut, format!("ssh: dial tcp {host}:{port}: i/o timeout"))),
        }
    }
}

/// What Go's client says of a channel that was not opened.
fn refusal(reason: &ChannelOpenFailure, words: &str) -> io::Error {
    let (kind, name) = match reason {
        ChannelOpenFailure::AdministrativelyProhibited => {
            (io::ErrorKind::PermissionDenied, "administratively prohibited")
        }
        ChannelOpenFailure::ConnectFailed => (io::ErrorKind::ConnectionRefused, "connect failed"),
        ChannelOpenFailure::UnknownChannelType => (io::ErrorKind::Unsupported, "unknown channel type"),
        ChannelOpenFailure::ResourceShortage => (io::ErrorKind::QuotaExceeded, "resource shortage"),
        ChannelOpenFailure::Other { .. } => (io::ErrorKind::Other, "unknown reason"),
    };
    io::Error::new(kind, format!("ssh: rejected: {name} ({words})"))
}

fn config() -> Config {
    Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-tinyplane_", env!("CARGO_PKG_VERSION")))),
        window_size: WINDOW_BYTES,
        maximum_packet_size: PACKET_BYTES_MAX,
        preferred: Preferred { key: Cow::Borrowed(HOST_KEYS), ..Preferred::DEFAULT },
        ..Config::default()
    }
}
