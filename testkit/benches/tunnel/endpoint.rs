//! What lies behind the tunnel: it takes bytes, gives bytes, or sends them back, as it is asked.

use std::net::SocketAddr;
use tinyplane_wire::net::{Sources, Stream, bind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::task::AbortOnDropHandle;

/// Bytes of one read or write at either end.
const PIECE_BYTES: usize = 64 * 1024;

/// What an endpoint is asked for, before the number of bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    /// Take so many bytes, and say one when all are there.
    Up = 1,
    /// Give so many.
    Down = 2,
    /// Send back what comes, up to so many.
    Echo = 3,
}

pub(crate) struct Endpoint {
    pub(crate) at: SocketAddr,
    _serving: AbortOnDropHandle<()>,
}

impl Endpoint {
    pub(crate) fn start() -> Self {
        let bound = bind("127.85.9.3:0".parse().expect("an address"), Sources::any()).expect("it can be bound");
        let serving = tokio::spawn(async move {
            loop {
                let mut stream = bound.listener.accept().await.stream;
                tokio::spawn(async move { drop(serve(&mut stream).await) });
            }
        });
        Self { at: bound.address, _serving: AbortOnDropHandle::new(serving) }
    }
}

async fn serve(stream: &mut tokio::net::TcpStream) -> std::io::Result<()> {
    let wish = stream.read_u8().await?;
    let bytes = stream.read_u64().await?;
    match wish {
        1 => {
            take(stream, bytes).await?;
            stream.write_all(&[1]).await?;
        }
        2 => give(stream, bytes).await?,
        _ => {
            let mut one = [0];
            for _ in 0..bytes {
                stream.read_exact(&mut one).await?;
                stream.write_all(&one).await?;
            }
        }
    }
    // The client closes first.
    while stream.read(&mut [0; 64]).await? > 0 {}
    Ok(())
}

/// Asks the endpoint for something.
pub(crate) async fn ask(stream: &mut dyn Stream, wish: Wish, bytes: u64) -> std::io::Result<()> {
    let mut asked = [0; 9];
    asked[0] = wish as u8;
    asked[1..].copy_from_slice(&bytes.to_be_bytes());
    stream.write_all(&asked).await?;
    stream.flush().await
}

/// Reads so many bytes.
pub(crate) async fn take(stream: &mut (impl tokio::io::AsyncRead + Unpin + ?Sized), bytes: u64) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut left = bytes;
    while left > 0 {
        let room = PIECE_BYTES.min(usize::try_from(left).unwrap_or(PIECE_BYTES));
        match stream.read(&mut piece[..room]).await? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => left -= count as u64,
        }
    }
    Ok(())
}

/// Writes so many bytes.
pub(crate) async fn give(
    stream: &mut (impl tokio::io::AsyncWrite + Unpin + ?Sized),
    bytes: u64,
) -> std::io::Result<()> {
    let piece = vec![7; PIECE_BYTES];
    let mut left = bytes;
    while left > 0 {
        let count = PIECE_BYTES.min(usize::try_from(left).unwrap_or(PIECE_BYTES));
        stream.write_all(&piece[..count]).await?;
        left -= count as u64;
    }
    stream.flush().await
}
