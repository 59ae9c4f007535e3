//! SSH from both sides, with a peer that says anything: a byte for which, then what it says, before keys are exchanged or
//! in the words of one that was let in.

mod client;
mod host;
mod node;

use crate::soon::{LONGEST, soon};
use std::cell::OnceCell;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Where the nodes' SSH servers are, and the hosts that are played.
const HERE: Ipv4Addr = Ipv4Addr::new(127, 86, 10, 1);
/// How long a peer is heard that has said its all.
const PATIENCE: Duration = Duration::from_millis(100);
/// Most bytes that are read of what a peer is told.
const HEARD_BYTES_MAX: u64 = 1 << 20;
/// How either end of SSH begins.
const GREETING: &[u8] = b"SSH-2.0-fuzz\r\n";

thread_local! {
    static FILES: OnceCell<node::Files> = const { OnceCell::new() };
}

/// Whatever the peer says, it hurts only itself: a node's server answers the next one, and the API server's client ends
/// its dial in time and hears no more than was said.
pub(crate) fn run(bytes: &[u8]) {
    let [which, said @ ..] = bytes else { return };
    FILES.with(|files| {
        let files = files.get_or_init(node::Files::new);
        let greeted = || [GREETING, said].concat();
        soon(async {
            match which % 6 {
                0 => node::hears(files, said).await,
                1 => node::hears(files, &greeted()).await,
                2 => client::speaks(files, said).await,
                3 => host::greets(files, said).await,
                4 => host::greets(files, &greeted()).await,
                _ => drop(host::answers(files, said).await),
            }
        });
    });
}

/// Says all of it and ends; what comes back is read, for as long as that may take.
async fn speak(mut stream: impl AsyncRead + AsyncWrite + Unpin, said: &[u8]) -> Vec<u8> {
    // The other end may have had enough before.
    drop(stream.write_all(said).await);
    drop(stream.shutdown().await);
    let mut heard = Vec::new();
    drop(tokio::time::timeout(PATIENCE, stream.take(HEARD_BYTES_MAX).read_to_end(&mut heard)).await);
    heard
}

/// What an input still has to say, taken from its front.
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A byte for how many, and then so many, or as many as there are.
    fn bytes(&mut self) -> &'a [u8] {
        let many = usize::from(self.byte().unwrap_or_default()).min(self.0.len());
        let (taken, rest) = self.0.split_at(many);
        self.0 = rest;
        taken
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}

/// Waits for something that need not come.
async fn patiently<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(PATIENCE, future).await.ok()
}
