//! What has come in on one stream and was not read yet: bounded, so that a slow reader slows its sender down.

use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use tokio::io::ReadBuf;
use tokio::sync::Notify;

/// A stream takes no more bytes while so many are unread. SPDY's peers in Kubernetes do not heed windows, so the whole
/// connection then waits for the reader of this stream, as theirs does.
pub(super) const UNREAD_BYTES_MAX: usize = 256 * 1024;
/// What a piece that nobody has read counts beside its bytes: it keeps the buffer alive that it came in.
const PIECE_BYTES: usize = 256;

/// The receiving half of one stream.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    state: Mutex<State>,
    /// The connection's reader waits here for room.
    room: Notify,
    /// The opener waits here for the reply.
    replied: Notify,
}

#[derive(Debug, Default)]
struct State {
    unread: VecDeque<Bytes>,
    unread_bytes: usize,
    end: Option<End>,
    reader_gone: bool,
    replied: bool,
    waker: Option<Waker>,
}

/// How a direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The peer has sent all it had.
    Fin,
    /// The peer gave the stream up.
    Reset,
    /// The connection ended.
    Dead,
}

impl Inbound {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Adds bytes once there is room for them. Bytes that nobody will read are thrown away.
    pub(super) async fn push(&self, bytes: Bytes) {
        loop {
            {
                let mut state = self.state();
                if state.reader_gone || state.end.is_some() || bytes.is_empty() {
                    return;
                }
                if state.unread_bytes < UNREAD_BYTES_MAX {
                    state.unread_bytes += bytes.len() + PIECE_BYTES;
                    state.unread.push_back(bytes);
                    return wake(state);
                }
            }
            self.room.notified().await;
        }
    }

    /// Ends the direction; the first end counts, save that a reset after it is remembered.
    pub(super) fn end(&self, end: End) {
        let mut state = self.state();
        if state.end.is_none() || end == End::Reset {
            state.end = Some(end);
        }
        state.replied |= end != End::Fin;
        wake(state);
        self.room.notify_one();
        self.replied.notify_one();
    }

    pub(super) fn has_ended(&self) -> Option<End> {
        self.state().end
    }

    pub(super) fn set_replied(&self) {
        self.state().replied = true;
        self.replied.notify_one();
    }

    /// Waits for the reply, or the end of the stream.
    pub(super) async fn until_replied(&self) -> io::Result<()> {
        loop {
            {
                let state = self.state();
                match state.end {
                    Some(End::Reset) => return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "Stream reset")),
                    Some(End::Dead) => return Err(io::ErrorKind::ConnectionReset.into()),
                    _ if state.replied => return Ok(()),
                    _ => {}
                }
            }
            self.replied.notified().await;
        }
    }

    /// Nobody will read any more.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        state.reader_gone = true;
        state.unread.clear();
        state.unread_bytes = 0;
        drop(state);
        self.room.notify_one();
    }

    /// Reads what is there. After a reset the reader sees the end, as upstream's does; a connection that broke off is
    /// an error.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        let mut taken = 0;
        while to.remaining() > 0 {
            let Some(first) = state.unread.front_mut() else { break };
            let part = first.len().min(to.remaining());
            to.put_slice(&first[..part]);
            first.advance(part);
            taken += part;
            if first.is_empty() {
                state.unread.pop_front();
                taken += PIECE_BYTES;
            }
        }
        if taken > 0 || to.remaining() == 0 {
            state.unread_bytes -= taken;
            drop(state);
            self.room.notify_one();
            return Poll::Ready(Ok(()));
        }
        match state.end {
            Some(End::Fin | End::Reset) => Poll::Ready(Ok(())),
            Some(End::Dead) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}
