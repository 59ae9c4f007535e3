//! A pipe: a bounded queue of bytes whose ends count their holders, so that both end of file and a broken pipe happen.

use crate::runtime::files::Errno;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Bytes that wait in one pipe, as Linux has it.
const PIPE_BYTES_MAX: usize = 64 << 10;

#[derive(Debug, Default)]
struct State {
    bytes: VecDeque<u8>,
    writers: usize,
    readers: usize,
    /// The next read at an empty queue finds an end, once: Ctrl-D on a terminal.
    end_once: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end that is read.
#[derive(Debug)]
pub(crate) struct PipeReader(Arc<Shared>);

/// The end that is written.
#[derive(Debug)]
pub(crate) struct PipeWriter(Arc<Shared>);

/// Makes a pipe.
pub(crate) fn pipe() -> (PipeWriter, PipeReader) {
    let shared = Arc::new(Shared::default());
    {
        let mut state = shared.lock();
        state.writers = 1;
        state.readers = 1;
    }
    (PipeWriter(shared.clone()), PipeReader(shared))
}

impl PipeReader {
    /// The next bytes, at most so many; none at the end.
    pub(crate) async fn read(&self, most: usize) -> Vec<u8> {
        self.take(|bytes| Some(bytes.len().min(most))).await
    }

    /// The next bytes up to and with a delimiter, or `most` of them; what is left at the end. Nothing after the
    /// delimiter is taken.
    pub(crate) async fn read_until(&self, delimiter: u8, most: usize) -> Vec<u8> {
        let mut found = Vec::new();
        loop {
            let piece = self
                .take(|bytes| {
                    let end = bytes.iter().position(|byte| *byte == delimiter).map_or(bytes.len(), |at| at + 1);
                    Some(end.min(most - found.len()))
                })
                .await;
            let ended = piece.is_empty() || piece.last() == Some(&delimiter);
            found.extend(piece);
            if ended || found.len() >= most {
                return found;
            }
        }
    }

    async fn take(&self, length: impl Fn(&VecDeque<u8>) -> Option<usize>) -> Vec<u8> {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.0.lock();
                if !state.bytes.is_empty() {
                    let length = length(&state.bytes).unwrap_or_default();
                    let taken = take_front(&mut state.bytes, length);
                    drop(state);
                    self.0.changed.notify_waiters();
                    return taken;
                }
                if state.end_once || state.writers == 0 {
                    state.end_once = false;
                    return Vec::new();
                }
            }
            changed.await;
        }
    }

    /// Takes what waits now, without waiting for more.
    pub(crate) fn drain(&self) -> Vec<u8> {
        let taken = {
            let mut state = self.0.lock();
            let length = state.bytes.len();
            take_front(&mut state.bytes, length)
        };
        self.0.changed.notify_waiters();
        taken
    }
}

/// The first bytes, copied in at most two pieces.
fn take_front(bytes: &mut VecDeque<u8>, length: usize) -> Vec<u8> {
    let (head, tail) = bytes.as_slices();
    let mut taken = Vec::with_capacity(length);
    taken.extend_from_slice(&head[..length.min(head.len())]);
    taken.extend_from_slice(&tail[..length - taken.len()]);
    bytes.drain(..length);
    taken
}

impl PipeWriter {
    /// Writes all of it, waiting for room.
    pub(crate) async fn write(&self, mut data: &[u8]) -> Result<(), Errno> {
        while !data.is_empty() {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.0.lock();
                if state.readers == 0 {
                    return Err(Errno::BrokenPipe);
                }
                let room = PIPE_BYTES_MAX.saturating_sub(state.bytes.len()).min(data.len());
                if room > 0 {
                    state.bytes.extend(&data[..room]);
                    data = &data[room..];
                    drop(state);
                    self.0.changed.notify_waiters();
                    continue;
                }
            }
            changed.await;
        }
        Ok(())
    }

    /// Lets the reader find an end once, though more may be written.
    pub(crate) fn end_once(&self) {
        self.0.lock().end_once = true;
        self.0.changed.notify_waiters();
    }

    /// Waits until nobody reads any more.
    pub(crate) async fn broken(&self) {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.0.lock().readers == 0 {
                return;
            }
            changed.await;
        }
    }
}

impl Clone for PipeReader {
    fn clone(&self) -> Self {
        self.0.lock().readers += 1;
        Self(self.0.clone())
    }
}

impl Clone for PipeWriter {
    fn clone(&self) -> Self {
        self.0.lock().writers += 1;
        Self(self.0.clone())
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        self.0.lock().readers -= 1;
        self.0.changed.notify_waiters();
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.0.lock().writers -= 1;
        self.0.changed.notify_waiters();
    }
}
