//! The ear of a connection: what an SSH server sends, sorted to the one stream that the connection carries.

use super::known_hosts::{Distrust, believe};
use bytes::Bytes;
use russh::client::{self, ChannelOpenHandle, Msg, Session};
use russh::keys::{HashAlg, PublicKeyOrCertificate};
use russh::{Channel, ChannelId, ChannelOpenFailure};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tinyplane_wire::ledger::HostKey;
use tinyplane_wire::process::Shutdown;
use tokio::sync::{Notify, mpsc};

/// What is heard of the stream.
#[derive(Debug)]
pub(super) enum Heard {
    Data(Bytes),
    /// Nothing more comes, in order.
    End,
    /// Nothing more is taken either.
    Closed,
    /// It was not opened, in the node's words.
    Refused(String),
}

/// Who hears what comes. The channel is known once it was confirmed; of others nothing is heard.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) channel: Option<ChannelId>,
    pub(super) tell: mpsc::Sender<Heard>,
}

/// The ear of a connection, which the crate calls for all that comes. Its end is the connection's.
pub(super) struct Ear {
    pub(super) host: String,
    pub(super) known_hosts: Option<PathBuf>,
    /// The host's key, once it was shown.
    pub(super) host_key: Arc<Mutex<HostKey>>,
    /// Why the host's key is not believed, where it is not.
    pub(super) distrust: Arc<Mutex<Option<Distrust>>>,
    pub(super) listener: Arc<Mutex<Option<Listener>>>,
    pub(super) wanted: Arc<Notify>,
    pub(super) ended: Shutdown,
}

impl Drop for Ear {
    fn drop(&mut self) {
        // Whoever listens learns that nothing more comes, and that it was out of order.
        self.listener.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.ended.cancel();
        self.wanted.notify_one();
    }
}

impl Ear {
    /// Tells the stream's reader, and waits for room: meanwhile nothing more of this connection is read.
    async fn tell(&self, channel: ChannelId, heard: Heard) {
        let tell = {
            let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
            listener.as_ref().filter(|one| one.channel == Some(channel)).map(|one| one.tell.clone())
        };
        if let Some(tell) = tell
            && tell.send(heard).await.is_err()
        {
            tracing::trace!(%channel, "the reader of a stream is gone");
        }
    }
}

/// Openings that are refused, each with what it is told of besides its channel.
macro_rules! refuses {
    ($($opening:ident($($told:ty),*);)*) => {$(
        async fn $opening(
            &mut self,
            _: Channel<Msg>,
            $(_: $told,)*
            _: ChannelOpenHandle,
            _: &mut Session,
        ) -> Result<(), Self::Error> {
            Ok(())
        }
    )*};
}

impl client::Handler for Ear {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let (fingerprint, key) = match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => (key.fingerprint(HashAlg::Sha256), Some(key)),
            PublicKeyOrCertificate::Certificate(shown) => (shown.public_key().fingerprint(HashAlg::Sha256), None),
        };
        let believed = match (&self.known_hosts, key) {
            (None, _) => Ok(()),
            (Some(file), Some(key)) => believe(&self.host, key, file),
            (Some(_), None) => Err(Distrust::Unknown),
        };
        let distrust = believed.err();
        let known = distrust.is_none();
        *self.distrust.lock().unwrap_or_else(PoisonError::into_inner) = distrust;
        let verified = self.known_hosts.as_ref().map(|file| file.display().to_string());
        let shown = HostKey { fingerprint: fingerprint.to_string(), verified };
        *self.host_key.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        Ok(known)
    }

    async fn channel_open_confirmation(
        &mut self,
        channel: ChannelId,
        _: u32,
        _: u32,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        if let Some(listener) = self.listener.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            listener.channel.get_or_insert(channel);
        }
        Ok(())
    }

    async fn channel_open_failure(
        &mut self,
        channel: ChannelId,
        _: ChannelOpenFailure,
        words: &str,
        _: &str,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        if let Some(listener) = self.listener.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            listener.channel.get_or_insert(channel);
        }
        self.tell(channel, Heard::Refused(words.to_owned())).await;
        Ok(())
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], _: &mut Session) -> Result<(), Self::Error> {
        self.tell(channel, Heard::Data(Bytes::copy_from_slice(data))).await;
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.tell(channel, Heard::End).await;
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.tell(channel, Heard::Closed).await;
        Ok(())
    }

    // What a server opens towards us is refused: the crate would take all of it. A reply that is dropped says no.
    refuses! {
        server_channel_open_forwarded_tcpip(&str, u32, &str, u32);
        server_channel_open_forwarded_streamlocal(&str);
        server_channel_open_agent_forward();
        server_channel_open_session();
        server_channel_open_direct_tcpip(&str, u32, &str, u32);
        server_channel_open_direct_streamlocal(&str);
        server_channel_open_x11(&str, u32);
    }
}
