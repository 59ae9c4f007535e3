//! What grpc-go says over a Unix socket, made sayable: its `:authority` is the socket's path, percent-encoded
//! (`%2Frun%2Fk.sock`), which HTTP libraries refuse, and with it the whole call. kube-apiserver does so.
//!
//! Until the first HEADERS frame the stream is looked into; there the value of a literal `:authority` is replaced by a
//! shorter one. Shorter matters: the table of headers that both ends build then holds at our end what the client
//! believes that it holds, or more. After that frame bytes pass as they are: the client refers to the table.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// What every HTTP/2 client begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const FRAME_HEAD_BYTES: usize = 9;

/// Room for what a client begins with, up to its first call.
const FIRST_BYTES_EXPECTED: usize = 512;

/// Longest frame that is waited for: what comes before a first call is short.
const FRAME_BYTES_MAX: usize = 64 * 1024;

const HEADERS: u8 = 1;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// The number of `:authority` in HPACK's static table.
const AUTHORITY: usize = 1;

/// What stands in its place.
const REPLACEMENT: &[u8] = b"k";

/// Reads a frontend's stream so that its first call has an authority that can be read.
#[derive(Debug)]
pub(super) struct Sayable {
    /// Nothing once the first call has been seen.
    looking: Option<Looking>,
    /// To be given out before anything else.
    ready: Bytes,
}

/// What was heard and not given out, and whether the preface was.
#[derive(Debug, Default)]
struct Looking {
    heard: BytesMut,
    begun: bool,
}

impl Sayable {
    pub(super) fn new() -> Self {
        let looking = Looking { heard: BytesMut::with_capacity(FIRST_BYTES_EXPECTED), begun: false };
        Self { looking: Some(looking), ready: Bytes::new() }
    }

    /// Reads on from the stream, which is the same each time.
    pub(super) fn poll_read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if !self.ready.is_empty() {
                let count = self.ready.len().min(into.remaining());
                into.put_slice(&self.ready[..count]);
                self.ready.advance(count);
                return Poll::Ready(Ok(()));
            }
            let Some(looking) = &mut self.looking else { return Pin::new(stream).poll_read(cx, into) };
            match ready!(tokio_util::io::poll_read_buf(Pin::new(&mut *stream), cx, &mut looking.heard))? {
                0 => {
                    self.ready = looking.heard.split().freeze();
                    self.looking = None;
                }
                _ => {
                    let (ready, done) = looking.look();
                    self.ready = ready;
                    if done {
                        self.looking = None;
                    }
                }
            }
        }
    }
}

impl Looking {
    /// What can be given out now, and whether that was all that there is to look for.
    fn look(&mut self) -> (Bytes, bool) {
        let mut out = BytesMut::new();
        if !self.begun {
            let known = self.heard.len().min(PREFACE.len());
            if self.heard[..known] != PREFACE[..known] {
                return (self.heard.split().freeze(), true);
            }
            if known < PREFACE.len() {
                return (Bytes::new(), false);
            }
            out.extend_from_slice(&self.heard.split_to(known));
            self.begun = true;
        }
        while let Some(head) = self.heard.first_chunk::<FRAME_HEAD_BYTES>() {
            let bytes =
                FRAME_HEAD_BYTES + usize::from(head[0]) * 65_536 + usize::from(head[1]) * 256 + usize::from(head[2]);
            let kind = head[3];
            if bytes > FRAME_BYTES_MAX {
                out.extend_from_slice(&self.heard.split());
                return (out.freeze(), true);
            }
            if self.heard.len() < bytes {
                break;
            }
            let frame = self.heard.split_to(bytes);
            if kind == HEADERS {
                out.extend_from_slice(&sayable(&frame).unwrap_or(frame));
                out.extend_from_slice(&self.heard.split());
                return (out.freeze(), true);
            }
            out.extend_from_slice(&frame);
        }
        (out.freeze(), false)
    }
}

/// A HEADERS frame with another authority; nothing when there is none in it, or it is not understood.
fn sayable(frame: &[u8]) -> Option<BytesMut> {
    let (head, payload) = frame.split_at_checked(FRAME_HEAD_BYTES)?;
    let flags = head[4];
    let padding = if flags & PADDED == 0 { 0 } else { usize::from(*payload.first()?) };
    let before = usize::from(flags & PADDED != 0) + if flags & PRIORITY == 0 { 0 } else { 5 };
    let block = payload.get(before..payload.len().checked_sub(padding)?)?;
    let value = authority_in(block)?;
    let mut said = BytesMut::with_capacity(frame.len());
    said.extend_from_slice(head);
    said.extend_from_slice(&payload[..before + value.start]);
    said.put_u8(u8::try_from(REPLACEMENT.len()).ok()?);
    said.extend_from_slice(REPLACEMENT);
    said.extend_from_slice(&payload[before + value.end..]);
    let length = u32::try_from(said.len() - FRAME_HEAD_BYTES).ok()?.to_be_bytes();
    said[..3].copy_from_slice(&length[1..]);
    Some(said)
}

/// Where the value of a literal `:authority` lies in a block of headers, its length included.
fn authority_in(block: &[u8]) -> Option<std::ops::Range<usize>> {
    let mut at = 0;
    while let Some(first) = block.get(at).copied() {
        let (prefix, literal) = match first {
            0x80.. => (7, false),
            0x40.. => (6, true),
            0x20.. => (5, false),
            _ => (4, true),
        };
        let name = integer(block, &mut at, prefix)?;
        if !literal {
            continue;
        }
        if name == 0 {
            let bytes = integer(block, &mut at, 7)?;
            at = at.checked_add(bytes)?;
        }
        let start = at;
        let bytes = integer(block, &mut at, 7)?;
        at = at.checked_add(bytes).filter(|end| *end <= block.len())?;
        if name == AUTHORITY {
            return (bytes >= REPLACEMENT.len()).then_some(start..at);
        }
    }
    None
}

/// An integer whose first byte has `prefix` bits of it.
fn integer(block: &[u8], at: &mut usize, prefix: u32) -> Option<usize> {
    let full = (1 << prefix) - 1;
    let mut value = usize::from(*block.get(*at)?) & full;
    *at += 1;
    if value < full {
        return Some(value);
    }
    for shift in [0, 7, 14] {
        let byte = *block.get(*at)?;
        *at += 1;
        value += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::reticent::Reticent;
    use super::*;
    use tokio::io::AsyncReadExt;

    /// `:method POST`, `:scheme http`, a path and an authority in the way that Go writes them, without Huffman's code.
    fn block(authority: &str) -> Vec<u8> {
        let mut block = vec![0x83, 0x86, 0x44, 4];
        block.extend(b"/a/b");
        block.extend([0x41, u8::try_from(authority.len()).unwrap()]);
        block.extend(authority.as_bytes());
        block.extend([0x40, 1, b'x', 1, b'y']);
        block
    }

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0, 0, u8::try_from(payload.len()).unwrap(), kind, flags, 0, 0, 0, 1];
        frame.extend(payload);
        frame
    }

    async fn said(bytes: &[u8]) -> Vec<u8> {
        let mut heard = Vec::new();
        // A byte at a time, as the worst of networks brings them.
        let (inner, mut client) = tokio::io::duplex(1);
        let sent = bytes.to_vec();
        let write = async move { tokio::io::AsyncWriteExt::write_all(&mut client, &sent).await.unwrap() };
        let (mut stream, _tongue) = Reticent::new(inner);
        let ((), read) = tokio::join!(write, stream.read_to_end(&mut heard));
        read.unwrap();
        heard
    }

    #[tokio::test]
    async fn the_path_of_a_socket_is_no_authority_any_more_and_all_else_stays() {
        let begin = [PREFACE, &frame(4, 0, &[1; 6])].concat();
        let rest = [frame(0, 0, b"data"), frame(1, 4, &block("%2Fnot%2Flooked"))].concat();
        let sent = [&begin[..], &frame(1, 4, &block("%2Frun%2Fk.sock")), &rest].concat();
        let expected = [&begin[..], &frame(1, 4, &block("k")), &rest].concat();
        assert_eq!(said(&sent).await, expected);
    }

    #[tokio::test]
    async fn padding_and_priority_stay_where_they_are() {
        let padded = |authority: &str| [&[3, 0, 0, 0, 0, 9][..], &block(authority), &[0; 3]].concat();
        let sent = [PREFACE, &frame(1, PADDED | PRIORITY | 4, &padded("%2Fa"))].concat();
        let expected = [PREFACE, &frame(1, PADDED | PRIORITY | 4, &padded("k"))].concat();
        assert_eq!(said(&sent).await, expected);
    }

    #[tokio::test]
    async fn what_is_not_understood_passes_as_it_is() {
        for strange in [
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            PREFACE[..10].to_vec(),
            [PREFACE, &frame(1, PADDED, &[200, 1])].concat(),
            [PREFACE, &frame(1, 4, &[0x41, 0x7f, 0xff, 0xff, 0xff, 0xff])].concat(),
            [PREFACE, &frame(1, 4, &[0x41, 9, b'a'])].concat(),
            [PREFACE, &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 1, 2]].concat(),
        ] {
            assert_eq!(said(&strange).await, strange);
        }
    }
}
