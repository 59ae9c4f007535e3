//! Room for reads: taken when a socket has something to say, so that ten thousand idle connections hold none.

use bytes::{Bytes, BytesMut};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tinyplane_konnectivity_client::link::READ_BYTES;
use tokio::io::AsyncRead;

/// What is allocated at once: more than one read, so that reads of middle size share it.
const BLOCK_BYTES: usize = 2 * READ_BYTES;

/// Reads below this are copied out, so that a few bytes that wait do not hold a block.
const COPIED_BYTES_MAX: usize = 4096;

/// Blocks that are kept for the next read.
const KEPT_MAX: usize = 4;

/// A member's blocks. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffers(Arc<Mutex<Vec<BytesMut>>>);

impl Buffers {
    /// Reads once; nothing at the end.
    pub(crate) fn poll_read(
        &self,
        from: Pin<&mut (impl AsyncRead + ?Sized)>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Bytes>>> {
        let mut block = self.take();
        let polled = tokio_util::io::poll_read_buf(from, cx, &mut block);
        let bytes = match &polled {
            Poll::Ready(Ok(count @ 1..)) if *count > COPIED_BYTES_MAX => Some(block.split().freeze()),
            Poll::Ready(Ok(1..)) => {
                let copied = Bytes::copy_from_slice(&block);
                block.clear();
                Some(copied)
            }
            _ => None,
        };
        self.keep(block);
        ready!(polled)?;
        Poll::Ready(Ok(bytes))
    }

    fn take(&self) -> BytesMut {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match kept {
            Some(block) if block.capacity() >= READ_BYTES / 2 => block,
            Some(mut block) => {
                block.reserve(BLOCK_BYTES);
                block
            }
            None => BytesMut::with_capacity(BLOCK_BYTES),
        }
    }

    fn keep(&self, block: BytesMut) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            kept.push(block);
        }
    }
}
