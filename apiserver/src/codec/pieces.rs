//! A body of many pieces: shared slices of stored bytes, sent in chunks, never joined into one buffer.

use bytes::{BufMut, Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Pieces are gathered into chunks of about so many bytes; a longer piece goes as it is.
const CHUNK_BYTES: usize = 64 * 1024;

/// Pieces, in order.
#[derive(Debug, Default)]
pub struct Pieces {
    left: VecDeque<Bytes>,
    bytes: u64,
}

impl Pieces {
    /// Room for so many.
    #[must_use]
    pub fn with_capacity(pieces: usize) -> Self {
        Self { left: VecDeque::with_capacity(pieces), bytes: 0 }
    }

    /// Adds a piece at the end.
    pub fn push(&mut self, piece: impl Into<Bytes>) {
        let piece = piece.into();
        self.bytes += piece.len() as u64;
        self.left.push_back(piece);
    }

    /// How long they are together.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The pieces of another one behind these.
    pub fn append(&mut self, mut other: Self) {
        self.bytes += other.bytes;
        self.left.append(&mut other.left);
    }

    fn chunk(&mut self) -> Option<Bytes> {
        let first = self.left.pop_front()?;
        if first.len() >= CHUNK_BYTES || self.left.is_empty() {
            return Some(first);
        }
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES.min(usize::try_from(self.bytes).unwrap_or(CHUNK_BYTES)));
        chunk.put(first);
        while self.left.front().is_some_and(|next| chunk.len() + next.len() <= CHUNK_BYTES) {
            chunk.put(self.left.pop_front().unwrap_or_default());
        }
        Some(chunk.freeze())
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = self.chunk();
        self.bytes -= chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn pieces_come_in_order_and_in_chunks() {
        let mut pieces = Pieces::default();
        let mut whole = Vec::new();
        for at in 0..3000_u32 {
            let piece = vec![at.to_le_bytes()[0]; usize::try_from(at % 100).unwrap()];
            whole.extend_from_slice(&piece);
            pieces.push(piece);
        }
        pieces.push(vec![7; 2 * CHUNK_BYTES]);
        whole.extend_from_slice(&[7; 2 * CHUNK_BYTES]);
        assert_eq!(pieces.size_hint().exact(), Some(whole.len() as u64));
        let (mut chunks, mut read) = (0, Vec::new());
        while let Some(frame) = pieces.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            read.extend_from_slice(&data);
            chunks += 1;
            assert_eq!(pieces.size_hint().exact(), Some((whole.len() - read.len()) as u64));
        }
        assert!(read == whole && chunks < 10, "{chunks} chunks");
    }
}
