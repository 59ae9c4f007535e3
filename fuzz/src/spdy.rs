//! The frames of SPDY/3.1: a byte for whether what follows is a script of frames, or the bytes of a connection.

use crate::script::{self, Said};
use bytes::{Bytes, BytesMut};
use tinyplane_wire::streaming::spdy::{Decoder, Encoder, Frame};

/// What is written is read as it was, and what is read can be written; in pieces as well as whole.
pub(crate) fn run(bytes: &[u8]) {
    let [mode, rest @ ..] = bytes else { return };
    if mode % 2 == 0 {
        let script: Vec<_> = script::read(rest).into_iter().filter(|said| matches!(said, Said::Frame(_))).collect();
        let frames =
            script.iter().filter_map(|said| if let Said::Frame(frame) = said { Some(frame.clone()) } else { None });
        let read = decoded(&script::written(&script), usize::from(*mode) + 1).expect("frames of ours can be read");
        assert_eq!(read, joined(frames));
        return;
    }
    let Some(read) = decoded(rest, rest.len().max(1)) else { return };
    assert_eq!(decoded(rest, 1).as_ref(), Some(&read), "a byte at a time");
    let (mut encoder, mut again) = (Encoder::new().expect("an encoder"), BytesMut::new());
    read.iter().for_each(|frame| encoder.encode(frame, &mut again).expect("what was read can be written"));
    assert_eq!(decoded(&again, again.len().max(1)), Some(read));
}

/// The frames in the bytes, which come in pieces; nothing where they are none. What breaks off at the end is left out.
fn decoded(bytes: &[u8], piece: usize) -> Option<Vec<Frame>> {
    let (mut decoder, mut buffer, mut frames) = (Decoder::new(), BytesMut::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        buffer.extend_from_slice(piece);
        while let Some(frame) = decoder.decode(&mut buffer).ok()? {
            frames.push(frame);
        }
    }
    Some(joined(frames.into_iter()))
}

/// Data that came in pieces, together again; an unfinished piece and an empty one say nothing.
fn joined(frames: impl Iterator<Item = Frame>) -> Vec<Frame> {
    let mut all: Vec<Frame> = Vec::new();
    for frame in frames {
        match (all.last_mut(), frame) {
            (
                Some(Frame::Data { stream, bytes, fin: last @ false }),
                Frame::Data { stream: same, bytes: more, fin },
            ) if *stream == same => {
                *bytes = Bytes::from([&bytes[..], &more[..]].concat());
                *last = fin;
            }
            (_, Frame::Data { bytes, fin: false, .. }) if bytes.is_empty() => {}
            (_, frame) => all.push(frame),
        }
    }
    all
}
