//! A client that a node's SSH server has let in, and that wants whatever it likes.

use super::node::{Files, Node};
use super::{LONGEST, PATIENCE, Words, patiently};
use russh::client::{AuthResult, Config, Handle, Handler, Msg, connect_stream};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Channel, Sig};
use std::sync::Arc;

/// Wishes of one input.
const WISHES_MAX: usize = 64;

struct Trusting;

impl Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// Wishes, one after another; the next client is let in all the same, and finds no shell.
pub(super) async fn speaks(files: &Files, said: &[u8]) {
    let node = Node::start(files).await;
    let client = let_in(&node, files).await;
    let mut words = Words(said);
    let mut channel = None;
    let wishing = async {
        for _ in 0..WISHES_MAX {
            if wish(&client, &mut channel, &mut words).await.is_none() {
                return;
            }
        }
    };
    drop(tokio::time::timeout(10 * PATIENCE, wishing).await);
    drop((channel, client));
    let next = let_in(&node, files).await;
    let refused = tokio::time::timeout(LONGEST, next.channel_open_direct_tcpip("nobody", 1, "a", 1)).await;
    assert!(refused.expect("an answer in time").is_err(), "a name that nobody has was dialled");
}

async fn let_in(node: &Node, files: &Files) -> Handle<Trusting> {
    let entering = async {
        let mut client = connect_stream(Arc::new(Config::default()), node.connect().await, Trusting).await?;
        let key = PrivateKeyWithHashAlg::new(Arc::new(files.key()), None);
        let known = client.authenticate_publickey("fuzz", key).await?;
        assert!(matches!(known, AuthResult::Success), "{known:?}");
        Ok::<_, russh::Error>(client)
    };
    tokio::time::timeout(LONGEST, entering).await.expect("it is let in in time").expect("it is let in")
}

/// One wish. Nothing when there is none left.
async fn wish(client: &Handle<Trusting>, channel: &mut Option<Channel<Msg>>, words: &mut Words<'_>) -> Option<()> {
    match (words.byte()? % 12, &channel) {
        (0, _) => {
            // The node itself, by one of its names, or a name that nobody has: the machine dials nowhere else.
            let host = match words.byte().unwrap_or_default() % 5 {
                0 => "localhost".to_owned(),
                1 => "127.0.0.1".to_owned(),
                2 => "::1".to_owned(),
                3 => String::new(),
                _ => format!("x{}", words.text()),
            };
            let port = words.bytes().iter().fold(0_u32, |port, byte| (port << 8) | u32::from(*byte));
            let opened = patiently(client.channel_open_direct_tcpip(host, port, words.text(), port)).await;
            *channel = opened.and_then(Result::ok).or(channel.take());
        }
        (1, _) => *channel = patiently(client.channel_open_session()).await.and_then(Result::ok).or(channel.take()),
        (2, _) => drop(patiently(client.tcpip_forward(words.text(), 80)).await),
        (3, _) => drop(patiently(client.channel_open_direct_streamlocal(words.text())).await),
        (4, _) => drop(patiently(client.channel_open_x11(words.text(), 1)).await),
        (5, Some(open)) => drop(patiently(open.data_bytes(words.bytes().to_vec())).await),
        (6, Some(open)) => drop(patiently(open.extended_data_bytes(1, words.bytes().to_vec())).await),
        (7, Some(open)) => drop(patiently(open.exec(true, words.bytes().to_vec())).await),
        (8, Some(open)) => drop(patiently(open.request_subsystem(true, words.text())).await),
        (9, Some(open)) => {
            drop(patiently(open.request_pty(true, &words.text(), 80, 24, 0, 0, &[])).await);
            drop(patiently(open.set_env(true, words.text(), words.text())).await);
            drop(patiently(open.request_shell(true)).await);
        }
        (10, Some(open)) => {
            drop(patiently(open.signal(Sig::Custom(words.text()))).await);
            drop(patiently(open.window_change(1, 1, 0, 0)).await);
            drop(patiently(open.eof()).await);
        }
        (11, Some(open)) => drop(patiently(open.close()).await),
        _ => {}
    }
    Some(())
}
