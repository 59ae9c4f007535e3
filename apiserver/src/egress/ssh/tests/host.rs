//! A host with an SSH server, as honest as a test wishes it to be.

use russh::keys::key::safe_rng;
use russh::keys::{Algorithm, PrivateKey, PublicKey};
use russh::server::{self, Auth, ChannelOpenHandle, Config, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelOpenFailure};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tinyplane_wire::net::{Sources, TcpDial, bind};
use tinyplane_wire::process::Shutdown;
use tokio_util::task::AbortOnDropHandle;

/// What a host does that it should not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Manner {
    #[default]
    Honest,
    /// Opens channels towards its client, as many as it can.
    Intrudes,
    /// Ends the connection as soon as a channel was opened on it.
    HangsUp,
}

/// What a host and its connections share.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Connections that proved who they are.
    pub(super) logins: AtomicUsize,
    /// Channels that are open.
    pub(super) channels: AtomicUsize,
    /// Channels that the client let the host open.
    pub(super) intrusions: AtomicUsize,
}

/// A host that serves until it is dropped.
pub(super) struct Host {
    pub(super) address: SocketAddr,
    pub(super) key: PrivateKey,
    pub(super) seen: Arc<Seen>,
    pub(super) ends: Shutdown,
    _serving: AbortOnDropHandle<()>,
}

impl Drop for Host {
    fn drop(&mut self) {
        self.ends.cancel();
    }
}

impl Host {
    pub(super) fn key() -> PrivateKey {
        PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap()
    }

    /// Listens, and lets in whoever has this key.
    pub(super) fn serve(at: &str, authorized: PublicKey, manner: Manner) -> Self {
        let bound = bind(at.parse().unwrap(), Sources::any()).unwrap();
        let address = bound.address;
        let (key, seen, ends) = (Self::key(), Arc::<Seen>::default(), Shutdown::new());
        let config = Arc::new(Config {
            keys: vec![key.clone()],
            auth_rejection_time: Duration::ZERO,
            inactivity_timeout: None,
            ..Config::default()
        });
        let (shared, told) = (Arc::clone(&seen), ends.clone());
        let serving = tokio::spawn(async move {
            loop {
                let accepted = bound.listener.accept().await;
                let client = Client { authorized: authorized.clone(), manner, seen: Arc::clone(&shared) };
                let (config, told) = (Arc::clone(&config), told.clone());
                tokio::spawn(async move {
                    let Ok(running) = server::run_stream(config, accepted.stream, client).await else { return };
                    let handle = running.handle();
                    tokio::select! {
                        _ = running => {}
                        () = told.cancelled() => {
                            let gone = handle.disconnect(russh::Disconnect::ByApplication, String::new(), String::new());
                            drop(gone.await);
                        }
                    }
                });
            }
        });
        Self { address, key, seen, ends, _serving: AbortOnDropHandle::new(serving) }
    }
}

struct Client {
    authorized: PublicKey,
    manner: Manner,
    seen: Arc<Seen>,
}

impl Handler for Client {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let known = key.public_key.key_data() == self.authorized.key_data();
        Ok(if known { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_succeeded(&mut self, session: &mut Session) -> Result<(), Self::Error> {
        self.seen.logins.fetch_add(1, Ordering::Relaxed);
        if self.manner == Manner::Intrudes {
            let (handle, seen) = (session.handle(), Arc::clone(&self.seen));
            tokio::spawn(async move {
                for port in 1..20 {
                    let opened = handle.channel_open_forwarded_tcpip("127.0.0.1", port, "127.0.0.1", port).await;
                    let agent = handle.channel_open_agent().await;
                    seen.intrusions
                        .fetch_add(usize::from(opened.is_ok()) + usize::from(agent.is_ok()), Ordering::Relaxed);
                }
            });
        }
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let (to, seen, manner) = (format!("{host}:{port}"), Arc::clone(&self.seen), self.manner);
        let handle = session.handle();
        tokio::spawn(async move {
            let Ok(mut onward) = TcpDial::from(None).connect(to.parse().unwrap()).await else {
                let reason = "Connection refused".to_owned();
                return reply.reject(ChannelOpenFailure::Other { code: 2, reason }).await;
            };
            reply.accept().await;
            seen.channels.fetch_add(1, Ordering::Relaxed);
            let mut channel = channel.into_stream();
            if manner == Manner::HangsUp {
                drop(handle.disconnect(russh::Disconnect::ByApplication, String::new(), String::new()).await);
            }
            drop(tokio::io::copy_bidirectional(&mut channel, &mut onward).await);
            seen.channels.fetch_sub(1, Ordering::Relaxed);
        });
        Ok(())
    }
}
