//! Copies bytes both ways between two upgraded connections.

use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What one direction keeps on its way.
const COPY_BYTES: usize = 32 * 1024;
/// How long the other direction may take to finish once one has: both ends close together, and what was written last
/// should still arrive.
const LINGER: Duration = Duration::from_secs(2);

/// Copies both ways until one direction ends, then closes both. Half-closes of the streams inside travel as their own
/// protocol's frames.
pub async fn pump<A, B>(client: A, backend: B)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (client_read, client_write) = tokio::io::split(client);
    let (backend_read, backend_write) = tokio::io::split(backend);
    let up = copy(client_read, backend_write);
    let down = copy(backend_read, client_write);
    tokio::pin!(up, down);
    let (first, rest) = tokio::select! {
        ended = &mut up => (ended, tokio::time::timeout(LINGER, down).await),
        ended = &mut down => (ended, tokio::time::timeout(LINGER, up).await),
    };
    for outcome in [Some(first), rest.ok()].into_iter().flatten() {
        if let Err(error) = outcome {
            tracing::debug!(%error, "an upgraded connection broke off");
        }
    }
}

async fn copy<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(mut from: R, mut to: W) -> io::Result<()> {
    let mut buffer = vec![0; COPY_BYTES];
    let ended = loop {
        match from.read(&mut buffer).await {
            Ok(0) => break Ok(()),
            // A peer that breaks off has ended, too, and the other side is told.
            Err(error) => break Err(error),
            Ok(count) => to.write_all(&buffer[..count]).await?,
        }
        to.flush().await?;
    };
    to.shutdown().await?;
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_bytes_arrive_and_then_both_ends_are_closed() {
        let (mut client, near) = tokio::io::duplex(64);
        let (far, mut backend) = tokio::io::duplex(64);
        let pumping = tokio::spawn(pump(near, far));
        client.write_all(b"question").await.unwrap();
        let mut heard = [0; 8];
        backend.read_exact(&mut heard).await.unwrap();
        let answering = tokio::spawn(async move {
            backend.write_all(&[7; 1000]).await.unwrap();
        });
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!((&heard, answer.len()), (b"question", 1000));
        answering.await.unwrap();
        drop(client);
        tokio::time::timeout(Duration::from_secs(10), pumping).await.expect("in time").unwrap();
    }
}
