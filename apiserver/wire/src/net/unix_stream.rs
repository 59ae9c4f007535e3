//! A connection over a Unix socket that isn't woken by its peer's reading.
//!
//! Whenever a Unix socket's peer has read something, the kernel tells whoever waits for room to write, were there ever so much
//! of it before. `tokio::net::UnixStream` waits for both directions all the time, so that each message would wake its sender as
//! well, often on another processor. This one waits for room only where a write has found none.

use rustix::io::Errno;
use std::io::{self, IoSlice, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Socket;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::task::coop;

/// So many writes in a row that found room are the end of a crowd.
const EASY_WRITES: u8 = 16;

/// A connection. It has two descriptors, and a third one while writes find no room: where none is left, such a write fails. It is
/// used within the runtime in which it was made.
#[derive(Debug)]
pub struct UnixStream {
    read: UnixReadHalf,
    write: UnixWriteHalf,
}

/// What is read from.
#[derive(Debug)]
pub struct UnixReadHalf {
    /// For the runtime it is a pipe, for which it waits in one direction alone. It reads a pipe as it reads a socket.
    pipe: Receiver,
    /// Who has just connected has mostly said something: that is looked for before anybody waits.
    is_fresh: bool,
}

/// What is written to. When it is dropped, its direction ends.
#[derive(Debug)]
pub struct UnixWriteHalf {
    socket: Socket,
    crowded: Option<Crowded>,
    /// Not of a stream that is whole: that ends in both directions at once, and what it has not read is a reset for its peer.
    ends_on_drop: bool,
}

/// Writes have found no room.
#[derive(Debug)]
struct Crowded {
    /// A descriptor of its own for the same socket, for which the runtime waits.
    room: Sender,
    easy: u8,
}

impl UnixStream {
    /// Of a socket that was accepted, and does not block.
    pub(super) fn accepted(socket: Socket) -> io::Result<Self> {
        let mut stream = Self::of(socket)?;
        stream.read.is_fresh = true;
        Ok(stream)
    }

    /// Of a socket that does not block.
    pub(super) fn of(socket: Socket) -> io::Result<Self> {
        let pipe = Receiver::from_owned_fd_unchecked(OwnedFd::from(socket.try_clone()?))?;
        Ok(Self {
            read: UnixReadHalf { pipe, is_fresh: false },
            write: UnixWriteHalf { socket, crowded: None, ends_on_drop: false },
        })
    }

    /// Both of its sides.
    #[must_use]
    pub fn into_split(mut self) -> (UnixReadHalf, UnixWriteHalf) {
        self.write.ends_on_drop = true;
        (self.read, self.write)
    }
}

impl UnixReadHalf {
    /// Whether the peer is still there, also after it has said its last: reading would not tell, writing nothing does.
    ///
    /// # Errors
    /// When it has left.
    pub fn probe(&self) -> io::Result<()> {
        rustix::io::write(&self.pipe, &[])?;
        Ok(())
    }
}

impl UnixWriteHalf {
    fn poll_with(
        &mut self,
        cx: &mut Context<'_>,
        at_once: impl FnOnce(&Socket) -> io::Result<usize>,
        later: impl FnOnce(Pin<&mut Sender>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if self.crowded.is_none() {
            // Who always finds room lets others have their turn all the same.
            let turn = ready!(coop::poll_proceed(cx));
            match at_once(&self.socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => {
                    turn.made_progress();
                    return Poll::Ready(done);
                }
            }
        }
        let crowded = match &mut self.crowded {
            Some(crowded) => crowded,
            none => {
                let room = Sender::from_owned_fd_unchecked(OwnedFd::from(self.socket.try_clone()?))?;
                none.insert(Crowded { room, easy: 0 })
            }
        };
        let Poll::Ready(done) = later(Pin::new(&mut crowded.room), cx) else {
            crowded.easy = 0;
            return Poll::Pending;
        };
        crowded.easy += 1;
        if crowded.easy == EASY_WRITES {
            self.crowded = None;
        }
        Poll::Ready(done)
    }
}

impl Drop for UnixWriteHalf {
    fn drop(&mut self) {
        if self.ends_on_drop {
            // The peer may have gone before.
            let _gone = self.socket.shutdown(Shutdown::Write);
        }
    }
}

impl AsyncRead for UnixReadHalf {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.is_fresh) {
            match rustix::io::read(&self.pipe, into.initialize_unfilled()) {
                Err(Errno::AGAIN) => {}
                read => {
                    into.advance(read?);
                    return Poll::Ready(Ok(()));
                }
            }
        }
        Pin::new(&mut self.pipe).poll_read(cx, into)
    }
}

impl AsyncWrite for UnixWriteHalf {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_with(cx, |mut socket| socket.write(bytes), |room, cx| room.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_with(cx, |mut socket| socket.write_vectored(parts), |room, cx| room.poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ends_on_drop = false;
        Poll::Ready(self.socket.shutdown(Shutdown::Write))
    }
}

impl AsyncRead for UnixStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, into)
    }
}

impl AsyncWrite for UnixStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{UnixDial, bind_unix};
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A connection, from both of its ends.
    async fn pair() -> (UnixStream, UnixStream) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = bind_unix(&path, false).unwrap();
        (UnixDial::to(path).connect().unwrap(), listener.accept().await)
    }

    #[tokio::test]
    async fn what_finds_no_room_waits_for_it_and_nothing_is_lost() {
        let (here, there) = pair().await;
        let ((mut heard, mut writing), (mut reading, mut answering)) = (here.into_split(), there.into_split());
        let sent: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
        let mut gone = 0;
        while let Poll::Ready(wrote) =
            poll_fn(|cx| Poll::Ready(Pin::new(&mut writing).poll_write(cx, &sent[gone..]))).await
        {
            gone += wrote.unwrap();
        }
        assert!(writing.crowded.is_some());
        let rest = sent[gone..].to_vec();
        let writer = tokio::spawn(async move {
            writing.write_all(&rest).await.unwrap();
            writing
        });
        let mut got = vec![0; sent.len()];
        reading.read_exact(&mut got).await.unwrap();
        assert!(got == sent);
        let mut writing = writer.await.unwrap();
        for _ in 0..2 * EASY_WRITES {
            writing.write_all(b"x").await.unwrap();
            reading.read_exact(&mut got[..1]).await.unwrap();
        }
        assert!(writing.crowded.is_none(), "there is room again");
        drop(writing);
        assert_eq!(reading.read(&mut got).await.unwrap(), 0, "its end is heard");
        answering.write_all(b"answer").await.unwrap();
        answering.shutdown().await.unwrap();
        let mut answer = String::new();
        heard.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer");
    }

    #[tokio::test]
    async fn a_whole_stream_ends_at_once() {
        for unread in [false, true] {
            for _ in 0..200 {
                let (here, there) = pair().await;
                let ((mut heard, mut writing), mut leaves) = (here.into_split(), there);
                if unread {
                    writing.write_all(b"x").await.unwrap();
                }
                let leaving = std::thread::spawn(move || leaves.write.socket.write(b"y").map(|_| drop(leaves)));
                let mut got = Vec::new();
                let end = heard.read_to_end(&mut got).await;
                leaving.join().unwrap().unwrap();
                if unread {
                    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
                } else {
                    assert_eq!((end.unwrap(), heard.probe().is_err()), (1, true));
                }
            }
        }
    }

    #[tokio::test]
    async fn a_peer_that_has_left_is_noticed_by_who_waits_for_room_and_by_who_asks() {
        let (here, there) = pair().await;
        let (heard, mut writing) = here.into_split();
        let writer = tokio::spawn(async move { while writing.write_all(&[0; 4096]).await.is_ok() {} });
        let (mut reading, answering) = there.into_split();
        reading.read_exact(&mut [0; 5000]).await.unwrap();
        heard.probe().unwrap();
        drop((reading, answering));
        writer.await.unwrap();
        assert!(heard.probe().is_err());
    }
}
