//! Frames of SPDY as an input spells them: an operation a byte, and what it needs behind it.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use tinyplane_wire::streaming::spdy::{Encoder, Frame};

/// What a frame of the script is.
pub(crate) enum Said {
    /// A frame that makes sense by itself.
    Frame(Frame),
    /// Bytes as they are.
    Raw(Bytes),
}

const STREAMS: [&str; 8] = ["stdin", "stdout", "stderr", "error", "resize", "data", "odd", ""];

/// Reads the script; it ends where the input does.
pub(crate) fn read(bytes: &[u8]) -> Vec<Said> {
    let mut rest = bytes;
    std::iter::from_fn(|| next(&mut rest)).collect()
}

/// All of it as the bytes of one connection.
pub(crate) fn written(script: &[Said]) -> BytesMut {
    let (mut encoder, mut out) = (Encoder::new().expect("an encoder"), BytesMut::new());
    for said in script {
        match said {
            Said::Frame(frame) => encoder.encode(frame, &mut out).expect("a frame of ours"),
            Said::Raw(bytes) => out.extend_from_slice(bytes),
        }
    }
    out
}

fn next(rest: &mut &[u8]) -> Option<Said> {
    let (operation, stream) = (byte(rest)?, u32::from(byte(rest)?));
    let fin = operation & 0x80 != 0;
    Some(Said::Frame(match operation & 0x7f {
        0..=4 => Frame::SynStream { stream, headers: headers(byte(rest)?), fin, unidirectional: false },
        5 => Frame::SynReply { stream, headers: HeaderMap::new(), fin },
        6..=9 => Frame::Data { stream, bytes: some(rest)?, fin },
        10 => Frame::RstStream { stream, code: u32::from(byte(rest)?) },
        11 => Frame::Ping { id: stream },
        12 => Frame::GoAway { last_stream: stream, code: 0 },
        13 => Frame::Headers { stream, headers: headers(byte(rest)?), fin },
        14 => Frame::WindowUpdate { stream, bytes: u32::from(byte(rest)?) },
        15 => Frame::Settings,
        16 => Frame::SynStream { stream, headers: headers(byte(rest)?), fin, unidirectional: true },
        _ => return Some(Said::Raw(some(rest)?)),
    }))
}

/// The headers of a stream: what it is, a port, and which request it belongs to.
fn headers(which: u8) -> HeaderMap {
    let pair = |name: &'static str, value: String| {
        (HeaderName::from_static(name), HeaderValue::from_str(&value).expect("letters"))
    };
    let kind = STREAMS[usize::from(which) % STREAMS.len()].to_owned();
    HeaderMap::from_iter([
        pair("streamtype", kind),
        pair("port", format!("{}", u32::from(which) * 300)),
        pair("requestid", format!("{}", which / 64)),
    ])
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    Some(*first)
}

/// A length, and so many bytes, or what is left.
fn some(rest: &mut &[u8]) -> Option<Bytes> {
    let length = usize::from(byte(rest)?).min(rest.len());
    let (taken, after) = rest.split_at(length);
    *rest = after;
    Some(Bytes::copy_from_slice(taken))
}
