//! A host that the API server's SSH client comes to, and that says whatever it likes.

use super::node::Files;
use super::{HEARD_BYTES_MAX, HERE, PATIENCE, Words, patiently, speak};
use async_trait::async_trait;
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, VerifiedPublicKey, run_stream};
use russh::{Channel, ChannelOpenFailure};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tinyplane_apiserver::egress::ssh::{NodeFeed, Place, SshConfig};
use tinyplane_apiserver::egress::{NodeConfig, Nodes, Tunnels};
use tinyplane_wire::clock::Clock;
use tinyplane_wire::net::{Dial, Listener, Sources, TcpDial, bind};
use tinyplane_wire::process::Shutdown;
use tokio::io::AsyncReadExt;
use tokio_util::task::AbortOnDropHandle;

/// Words of one input.
const WORDS_MAX: usize = 64;

/// One node, which stays.
struct Told(Vec<Place>);

#[async_trait]
impl NodeFeed for Told {
    fn now(&mut self) -> Vec<Place> {
        self.0.clone()
    }

    async fn changed(&mut self) {
        std::future::pending::<()>().await;
    }
}

fn listen() -> (SocketAddr, Listener) {
    let bound = bind(SocketAddr::new(HERE.into(), 0), Sources::any()).expect("an address");
    (bound.address, bound.listener)
}

/// Dials through a tunnel to the host, and gives how many bytes came.
async fn dial(files: &Files, host: SocketAddr) -> usize {
    let config = SshConfig { user: "fuzz".into(), key_file: files.path("id"), known_hosts_file: None };
    let tunnels = Tunnels::new(config, TcpDial::from(None), Clock::system()).expect("tunnels");
    let nodes = Arc::new(Nodes::new(NodeConfig::default(), tunnels.clone()));
    let node = json!({
        "metadata": {"annotations": {"tinyplane.dev/port-alias.22": host.port().to_string()}},
        "status": {"addresses": [{"type": "InternalIP", "address": host.ip()}]},
    });
    let feed = Box::new(Told(vec![Place::of(&nodes, &node).expect("a place")]));
    let (followed, shutdown) = (Arc::clone(&tunnels), Shutdown::new());
    let following = tokio::spawn(async move { followed.follow(feed, nodes, &shutdown).await });
    let _following = AbortOnDropHandle::new(following);
    let dialled = async {
        // It takes a moment until the tunnel is known.
        loop {
            match tunnels.dial(&host.ip().to_string(), 80).await {
                Err(error) if error.to_string().starts_with("No SSH tunnels") => tokio::task::yield_now().await,
                dialled => return dialled,
            }
        }
    };
    let Some(Ok(stream)) = patiently_long(dialled).await else { return 0 };
    let mut heard = Vec::new();
    drop(patiently(stream.take(HEARD_BYTES_MAX).read_to_end(&mut heard)).await);
    heard.len()
}

/// Until a host has had the time to say its all, more than once.
async fn patiently_long<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(10 * PATIENCE, future).await.ok()
}

/// Bytes in the place of a greeting and a key exchange. No dial comes of them.
pub(super) async fn greets(files: &Files, said: &[u8]) {
    let (at, listener) = listen();
    let saying = async {
        loop {
            let stream = listener.accept().await.stream;
            let heard = speak(stream, said).await;
            assert!(heard.is_empty() || heard.starts_with(b"SSH-2.0-tinyplane_"), "{heard:?}");
        }
    };
    tokio::select! {
        heard = dial(files, at) => assert_eq!(heard, 0, "a host that has proved nothing was heard"),
        () = saying => {}
    }
}

/// A host that proves itself, lets everybody in, and answers each dial as its words say.
pub(super) async fn answers(files: &Files, said: &[u8]) -> usize {
    let (at, listener) = listen();
    let config =
        Arc::new(Config { keys: vec![files.host_key()], auth_rejection_time: Duration::ZERO, ..Config::default() });
    let serving = async {
        loop {
            let stream = listener.accept().await.stream;
            let (config, host) = (Arc::clone(&config), Host(said.to_vec()));
            tokio::spawn(async move {
                if let Ok(running) = run_stream(config, stream, host).await {
                    drop(running.await);
                }
            });
        }
    };
    let heard = tokio::select! {
        heard = dial(files, at) => heard,
        () = serving => 0,
    };
    assert!(heard <= said.len(), "{heard} bytes of {}", said.len());
    heard
}

struct Host(Vec<u8>);

impl Handler for Host {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, _: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let (said, link) = (self.0.clone(), session.handle());
        tokio::spawn(async move {
            let mut words = Words(&said);
            if words.byte().unwrap_or_default() % 4 == 0 {
                let code = u32::from(words.byte().unwrap_or_default());
                return reply.reject(ChannelOpenFailure::Other { code, reason: words.text() }).await;
            }
            reply.accept().await;
            for _ in 0..WORDS_MAX {
                match words.byte().map(|word| word % 8) {
                    Some(0 | 1) => drop(channel.data_bytes(words.bytes().to_vec()).await),
                    Some(2) => drop(channel.extended_data_bytes(1, words.bytes().to_vec()).await),
                    Some(3) => drop(channel.eof().await),
                    Some(4) => drop(channel.close().await),
                    Some(5) => drop(channel.exit_status(1).await),
                    Some(6) => drop(patiently(link.channel_open_forwarded_tcpip(words.text(), 1, "a", 1)).await),
                    Some(_) => {
                        let (told, tongue) = (words.text(), words.text());
                        drop(link.disconnect(russh::Disconnect::ByApplication, told, tongue).await);
                    }
                    None => return,
                }
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soon::soon;

    #[test]
    fn a_host_that_answers_in_order_is_heard_to_the_end_and_one_that_refuses_is_not() {
        let files = Files::new();
        assert_eq!(soon(answers(&files, b"\x01\x00\x05hello\x03\x04")), 5);
        assert_eq!(soon(answers(&files, b"\x00\x02\x07refused")), 0);
    }
}
