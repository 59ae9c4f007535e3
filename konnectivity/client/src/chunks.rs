//! A row of byte pieces as one buffer, from which a whole piece is taken without copying it.

use bytes::{Buf, Bytes, BytesMut};
use std::collections::VecDeque;

/// Pieces in their order.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    pieces: VecDeque<Bytes>,
    bytes: usize,
}

impl Chunks {
    /// Adds a piece at the end.
    pub(crate) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.bytes += piece.len();
            self.pieces.push_back(piece);
        }
    }
}

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.bytes
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.bytes, "nobody advances beyond what remains");
        self.bytes -= count;
        while count > 0 {
            let Some(front) = self.pieces.front_mut() else { return };
            let step = count.min(front.len());
            front.advance(step);
            count -= step;
            if front.is_empty() {
                self.pieces.pop_front();
            }
        }
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        match self.pieces.front_mut() {
            Some(front) if count <= front.len() => {
                let taken = front.split_to(count);
                if front.is_empty() {
                    self.pieces.pop_front();
                }
                self.bytes -= count;
                taken
            }
            _ => {
                let mut taken = BytesMut::with_capacity(count);
                bytes::BufMut::put(&mut taken, self.take(count));
                taken.freeze()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_taken_where_it_lies_and_pieces_are_joined() {
        let piece = Bytes::from_static(b"defg");
        let mut chunks = Chunks::default();
        chunks.push(Bytes::from_static(b"abc"));
        chunks.push(piece.clone());
        chunks.push(Bytes::new());
        chunks.advance(3);
        let taken = chunks.copy_to_bytes(2);
        assert_eq!((&taken[..], taken.as_ptr()), (&b"de"[..], piece.as_ptr()));
        chunks.push(Bytes::from_static(b"h"));
        assert_eq!(chunks.copy_to_bytes(3), "fgh");
        assert_eq!(chunks.remaining(), 0);
        assert_eq!(chunks.copy_to_bytes(0), "");
    }
}
