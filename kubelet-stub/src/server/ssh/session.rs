//! One client of a node's SSH server: who it is, and what it may open.

use super::{CHANNELS_MAX, SshServer};
use russh::keys::PublicKey;
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session as Link, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, Pty};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::ledger::{Entry, Recorded, View};
use tinyplane_wire::process::Shutdown;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Longest wait for what a client wants to be connected with.
const DIAL_TIMEOUT: Duration = Duration::from_secs(30);
/// The number of the path that SSH tunnels are.
const PATH: u8 = 4;
/// What whoever wants a shell is told.
const NO_SHELL: &str = "This node of Tinyplane has no shell: it forwards connections and does nothing else.\r\n";
/// How a command ends that there is no shell for, as shells say that a command can't be run.
const NO_SHELL_STATUS: u32 = 126;

/// A client.
pub(super) struct Session {
    server: Arc<SshServer>,
    known: Shutdown,
    /// Ends the channels.
    ends: Shutdown,
    places: Arc<Semaphore>,
}

impl Session {
    pub(super) fn new(server: Arc<SshServer>, known: Shutdown, ends: Shutdown) -> Self {
        Self { server, known, ends, places: Arc::new(Semaphore::new(CHANNELS_MAX)) }
    }

    fn judge(&self, key: &PublicKey) -> Auth {
        if self.server.authorized.admits(key) { Auth::Accept } else { Auth::reject() }
    }

    /// Says that there is no shell, on the channel that wanted one, and ends it.
    fn no_shell(channel: ChannelId, link: &mut Link) -> Result<(), russh::Error> {
        link.channel_success(channel)?;
        link.extended_data(channel, 1, NO_SHELL.as_bytes())?;
        link.exit_status_request(channel, NO_SHELL_STATUS)?;
        link.eof(channel)?;
        link.close(channel)
    }
}

impl Handler for Session {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, _: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        Ok(self.judge(offer.public_key))
    }

    async fn auth_publickey(&mut self, _: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(self.judge(key.public_key))
    }

    async fn auth_succeeded(&mut self, _: &mut Link) -> Result<(), Self::Error> {
        self.known.cancel();
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        originator: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Link,
    ) -> Result<(), Self::Error> {
        let Ok(port) = u16::try_from(port) else {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            return Ok(());
        };
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        };
        let (server, host, ends) = (Arc::clone(&self.server), host.to_owned(), self.ends.clone());
        // Our API server says in its place what it calls the dial.
        let number = originator.parse::<i64>().is_ok().then(|| originator.to_owned());
        // Beside the loop of the connection, which would stand still while the node dials.
        tokio::spawn(async move {
            tokio::select! {
                () = forward(&server, (&host, port), number, channel, reply) => {}
                () = ends.cancelled() => {}
            }
            drop(place);
        });
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Link,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        link: &mut Link,
    ) -> Result<(), Self::Error> {
        link.channel_failure(channel)
    }

    async fn env_request(&mut self, channel: ChannelId, _: &str, _: &str, link: &mut Link) -> Result<(), Self::Error> {
        link.channel_failure(channel)
    }

    async fn shell_request(&mut self, channel: ChannelId, link: &mut Link) -> Result<(), Self::Error> {
        Self::no_shell(channel, link)
    }

    async fn exec_request(&mut self, channel: ChannelId, _: &[u8], link: &mut Link) -> Result<(), Self::Error> {
        Self::no_shell(channel, link)
    }

    async fn subsystem_request(&mut self, channel: ChannelId, _: &str, link: &mut Link) -> Result<(), Self::Error> {
        link.channel_failure(channel)
    }

    async fn agent_request(&mut self, _: ChannelId, _: &mut Link) -> Result<bool, Self::Error> {
        Ok(false)
    }
}

/// Connects a channel with an address, and carries bytes both ways until both have ended.
async fn forward(
    server: &SshServer,
    (host, port): (&str, u16),
    number: Option<String>,
    channel: Channel<Msg>,
    reply: ChannelOpenHandle,
) {
    let mut hop = server.cluster.ledger.as_ref().map(|ledger| {
        ledger.open(Entry {
            path: Some(PATH),
            dial: number,
            request: Some(format!("direct-tcpip {host}:{port}")),
            to: server.address.to_string(),
            host_key: Some(server.host_key.clone()),
            ..ledger.entry(View::Observed)
        })
    });
    let after = hop.as_ref().map(|hop| hop.entry.id.clone());
    let mut onward = match dial(server, host, port, after).await {
        Ok(onward) => onward,
        Err(error) => {
            if let Some(hop) = &mut hop {
                hop.failed(&error);
            }
            tracing::debug!(host, port, %error, "an SSH client wants to be connected with what does not answer");
            let failed = ChannelOpenFailure::ConnectFailed.code();
            return reply.reject(ChannelOpenFailure::Other { code: failed, reason: error.to_string() }).await;
        }
    };
    reply.accept().await;
    let mut channel = Recorded::new(channel.into_stream(), hop);
    if let Err(error) = tokio::io::copy_bidirectional(&mut channel, &mut onward).await {
        tracing::debug!(host, port, %error, "a forwarded connection broke");
    }
}

/// Dials from the node's address. By the loopback network's first address, and by its name, a node means itself: the
/// machine beneath it is none of its clients' business.
async fn dial(server: &SshServer, host: &str, port: u16, after: Option<String>) -> io::Result<Recorded<TcpStream>> {
    let local = |ip: &IpAddr| *ip == IpAddr::from([127, 0, 0, 1]) || *ip == IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]);
    let address = match host.parse::<IpAddr>() {
        Ok(ip) if local(&ip) => server.address,
        Ok(ip) => ip,
        Err(_) if host.eq_ignore_ascii_case("localhost") => server.address,
        Err(_) => {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("dial tcp: lookup {host}: no such host")));
        }
    };
    let to = server.cluster.real(SocketAddr::new(address, port));
    let (dial, ledger) = (server.dial.clone().with_timeout(DIAL_TIMEOUT), server.cluster.ledger.as_ref());
    dial.connect_recorded(to, ledger, Entry { after, ..Entry::default() }).await
}
