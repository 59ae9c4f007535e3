//! The frames of SPDY/3.1 and their bytes, with one compression context a direction.

use super::dictionary::dictionary;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Largest control frame that is read, compressed.
const CONTROL_BYTES_MAX: usize = 64 * 1024;
/// Largest block of headers that is read, inflated.
const HEADER_BYTES_MAX: usize = 256 * 1024;
/// Length of the fixed part of every frame.
const PREFIX_BYTES: usize = 8;
/// The version in control frames.
const VERSION: u16 = 3;
/// Ids have 31 bits.
const ID_MASK: u32 = 0x7fff_ffff;
/// "This is my last frame of the stream."
const FLAG_FIN: u8 = 1;
/// "You will send nothing on this stream."
const FLAG_UNIDIRECTIONAL: u8 = 2;

/// One frame. A large data frame is read in pieces, of which the last carries `fin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Opens a stream.
    SynStream {
        /// The new stream: odd ids are the client's, even ones the server's.
        stream: u32,
        /// What it is for.
        headers: HeaderMap,
        /// Its opener will send nothing.
        fin: bool,
        /// The other side may send nothing.
        unidirectional: bool,
    },
    /// Accepts a stream.
    SynReply {
        /// Which.
        stream: u32,
        /// Answers to the opener's.
        headers: HeaderMap,
        /// The accepter will send nothing.
        fin: bool,
    },
    /// Ends both directions of a stream at once.
    RstStream {
        /// Which.
        stream: u32,
        /// Why: see [`super::ResetCode`].
        code: u32,
    },
    /// Settings, none of which concern us.
    Settings,
    /// Asks for the same frame back; odd ids are the client's.
    Ping {
        /// Which ping.
        id: u32,
    },
    /// No more streams will be accepted.
    GoAway {
        /// The last one that was.
        last_stream: u32,
        /// 0: all is well.
        code: u32,
    },
    /// More headers of a stream.
    Headers {
        /// Which.
        stream: u32,
        /// The headers.
        headers: HeaderMap,
        /// The sender's last frame.
        fin: bool,
    },
    /// More bytes may be sent. Kubernetes' peers neither send nor heed it.
    WindowUpdate {
        /// Which stream.
        stream: u32,
        /// How many.
        bytes: u32,
    },
    /// Bytes of a stream.
    Data {
        /// Which.
        stream: u32,
        /// The bytes.
        bytes: Bytes,
        /// The sender's last frame.
        fin: bool,
    },
}

/// Bytes that are no SPDY/3.1.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Another protocol, or another version of this one.
    #[error("SPDY version {0} is not served")]
    Version(u16),
    /// A frame of a type that does not exist, or too short for its type.
    #[error("a SPDY control frame of type {0} can't be read")]
    Malformed(u16),
    /// Larger than we read.
    #[error("a SPDY frame is over {0} bytes")]
    TooLarge(usize),
    /// Headers that can't be inflated or parsed.
    #[error("SPDY headers can't be read")]
    Headers,
}

/// Writes frames.
pub struct Encoder {
    deflate: Compress,
}

impl Encoder {
    /// A writer at the beginning of a connection.
    ///
    /// # Errors
    /// When the dictionary is refused.
    pub fn new() -> Result<Self, FrameError> {
        let mut deflate = Compress::new(Compression::fast(), true);
        deflate.set_dictionary(&dictionary()).map_err(|_| FrameError::Headers)?;
        Ok(Self { deflate })
    }

    /// Appends a frame to `to`.
    ///
    /// # Errors
    /// When headers can't be deflated.
    pub fn encode(&mut self, frame: &Frame, to: &mut BytesMut) -> Result<(), FrameError> {
        match frame {
            Frame::Data { stream, bytes, fin } => {
                to.put_u32(stream & ID_MASK);
                put_flags_and_length(to, u8::from(*fin), bytes.len());
                to.extend_from_slice(bytes);
            }
            Frame::SynStream { stream, headers, fin, unidirectional } => {
                let block = self.deflate(headers)?;
                let flags = u8::from(*fin) | if *unidirectional { FLAG_UNIDIRECTIONAL } else { 0 };
                put_control(to, 1, flags, block.len() + 10);
                to.put_u32(*stream);
                to.put_u32(0);
                to.put_u16(0);
                to.extend_from_slice(&block);
            }
            Frame::SynReply { stream, headers, fin } => {
                let block = self.deflate(headers)?;
                put_control(to, 2, u8::from(*fin), block.len() + 4);
                to.put_u32(*stream);
                to.extend_from_slice(&block);
            }
            Frame::RstStream { stream, code } => put_pair(to, 3, *stream, *code),
            Frame::Settings => {
                put_control(to, 4, 0, 4);
                to.put_u32(0);
            }
            Frame::Ping { id } => {
                put_control(to, 6, 0, 4);
                to.put_u32(*id);
            }
            Frame::GoAway { last_stream, code } => put_pair(to, 7, *last_stream, *code),
            Frame::Headers { stream, headers, fin } => {
                let block = self.deflate(headers)?;
                put_control(to, 8, u8::from(*fin), block.len() + 4);
                to.put_u32(*stream);
                to.extend_from_slice(&block);
            }
            Frame::WindowUpdate { stream, bytes } => put_pair(to, 9, *stream, *bytes),
        }
        Ok(())
    }

    fn deflate(&mut self, headers: &HeaderMap) -> Result<Vec<u8>, FrameError> {
        let block = header_block(headers);
        let mut input = block.as_slice();
        let mut out = Vec::with_capacity(block.len() + 64);
        loop {
            let before = self.deflate.total_in();
            let outcome = self.deflate.compress_vec(input, &mut out, FlushCompress::Sync);
            outcome.map_err(|_| FrameError::Headers)?;
            input = input.get(taken(before, self.deflate.total_in())..).unwrap_or_default();
            if input.is_empty() && out.len() < out.capacity() {
                return Ok(out);
            }
            out.reserve(256);
        }
    }
}

fn taken(before: u64, after: u64) -> usize {
    usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX)
}

fn put_control(to: &mut BytesMut, kind: u16, flags: u8, length: usize) {
    to.put_u16(0x8000 | VERSION);
    to.put_u16(kind);
    put_flags_and_length(to, flags, length);
}

fn put_flags_and_length(to: &mut BytesMut, flags: u8, length: usize) {
    to.put_u8(flags);
    to.put_uint(length as u64, 3);
}

fn put_pair(to: &mut BytesMut, kind: u16, first: u32, second: u32) {
    put_control(to, kind, 0, 8);
    to.put_u32(first);
    to.put_u32(second);
}

fn header_block(headers: &HeaderMap) -> Vec<u8> {
    let mut block = Vec::with_capacity(256);
    block.put_u32(u32::try_from(headers.keys_len()).unwrap_or(u32::MAX));
    for name in headers.keys() {
        let values: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        put_text(&mut block, name.as_str().as_bytes());
        put_text(&mut block, &values.join(&0));
    }
    block
}

fn put_text(to: &mut Vec<u8>, text: &[u8]) {
    to.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    to.extend_from_slice(text);
}

/// Reads frames.
pub struct Decoder {
    inflate: Decompress,
    /// The rest of a data frame: its stream, how many bytes are to come, and whether it is the stream's last.
    data: Option<(u32, usize, bool)>,
}

impl Decoder {
    /// A reader at the beginning of a connection.
    #[must_use]
    pub fn new() -> Self {
        Self { inflate: Decompress::new(true), data: None }
    }

    /// Takes the next frame, or piece of one, from the front of `from`. `None`: more bytes are needed.
    ///
    /// # Errors
    /// When the bytes are no SPDY/3.1. The connection can't be read any further then.
    pub fn decode(&mut self, from: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        if let Some((stream, rest, fin)) = self.data {
            return Ok(self.data_piece(from, stream, rest, fin));
        }
        let Some(mut prefix) = from.get(..PREFIX_BYTES) else { return Ok(None) };
        let first = prefix.get_u32();
        let flags = prefix.get_u8();
        let length = usize::try_from(prefix.get_uint(3)).unwrap_or(usize::MAX);
        if first & !ID_MASK == 0 {
            from.advance(PREFIX_BYTES);
            return Ok(self.data_piece(from, first, length, flags & FLAG_FIN != 0));
        }
        if length > CONTROL_BYTES_MAX {
            return Err(FrameError::TooLarge(CONTROL_BYTES_MAX));
        }
        if from.len() < PREFIX_BYTES + length {
            return Ok(None);
        }
        let version = ((first & ID_MASK) >> 16) as u16;
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        from.advance(PREFIX_BYTES);
        let body = from.split_to(length);
        self.control((first & 0xffff) as u16, flags, body.freeze()).map(Some)
    }

    fn data_piece(&mut self, from: &mut BytesMut, stream: u32, rest: usize, fin: bool) -> Option<Frame> {
        let bytes = from.split_to(rest.min(from.len())).freeze();
        let left = rest - bytes.len();
        self.data = (left > 0).then_some((stream, left, fin));
        if left > 0 && bytes.is_empty() {
            return None;
        }
        Some(Frame::Data { stream, bytes, fin: fin && left == 0 })
    }

    fn control(&mut self, kind: u16, flags: u8, mut body: Bytes) -> Result<Frame, FrameError> {
        let fixed = match kind {
            1 => 10,
            3 | 7 | 9 => 8,
            2 | 6 | 8 => 4,
            4 => return Ok(Frame::Settings),
            _ => return Err(FrameError::Malformed(kind)),
        };
        if body.len() < fixed {
            return Err(FrameError::Malformed(kind));
        }
        let stream = body.get_u32() & ID_MASK;
        let fin = flags & FLAG_FIN != 0;
        Ok(match kind {
            1 => {
                body.advance(6);
                let unidirectional = flags & FLAG_UNIDIRECTIONAL != 0;
                Frame::SynStream { stream, headers: self.headers(&body)?, fin, unidirectional }
            }
            2 => Frame::SynReply { stream, headers: self.headers(&body)?, fin },
            3 => Frame::RstStream { stream, code: body.get_u32() },
            6 => Frame::Ping { id: stream },
            7 => Frame::GoAway { last_stream: stream, code: body.get_u32() },
            8 => Frame::Headers { stream, headers: self.headers(&body)?, fin },
            _ => Frame::WindowUpdate { stream, bytes: body.get_u32() & ID_MASK },
        })
    }

    fn headers(&mut self, block: &[u8]) -> Result<HeaderMap, FrameError> {
        parse_headers(&self.inflate(block)?)
    }

    fn inflate(&mut self, mut input: &[u8]) -> Result<Vec<u8>, FrameError> {
        let mut out = Vec::with_capacity(1024);
        loop {
            let before = self.inflate.total_in();
            let outcome = self.inflate.decompress_vec(input, &mut out, FlushDecompress::Sync);
            if out.len() > HEADER_BYTES_MAX {
                return Err(FrameError::TooLarge(HEADER_BYTES_MAX));
            }
            let moved = taken(before, self.inflate.total_in());
            input = input.get(moved..).unwrap_or_default();
            match outcome {
                Err(e) if e.needs_dictionary().is_some() => {
                    self.inflate.set_dictionary(&dictionary()).map_err(|_| FrameError::Headers)?;
                }
                Err(_) | Ok(Status::StreamEnd) => return Err(FrameError::Headers),
                Ok(_) if input.is_empty() && out.len() < out.capacity() => return Ok(out),
                Ok(_) if moved == 0 && out.len() < out.capacity() => return Err(FrameError::Headers),
                Ok(_) => out.reserve(4096),
            }
        }
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

fn parse_headers(mut block: &[u8]) -> Result<HeaderMap, FrameError> {
    let count = block.try_get_u32().map_err(|_| FrameError::Headers)?;
    let mut headers = HeaderMap::new();
    for _ in 0..count {
        let name = HeaderName::from_bytes(take_text(&mut block)?).map_err(|_| FrameError::Headers)?;
        for value in take_text(&mut block)?.split(|byte| *byte == 0) {
            let value = HeaderValue::from_bytes(value).map_err(|_| FrameError::Headers)?;
            headers.try_append(&name, value).map_err(|_| FrameError::Headers)?;
        }
    }
    Ok(headers)
}

fn take_text<'a>(block: &mut &'a [u8]) -> Result<&'a [u8], FrameError> {
    let length = block.try_get_u32().map_err(|_| FrameError::Headers)? as usize;
    let (text, rest) = block.split_at_checked(length).ok_or(FrameError::Headers)?;
    *block = rest;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        map
    }

    #[test]
    fn frames_come_back_as_they_were_over_one_compression_context() {
        let first = headers(&[("streamtype", "error"), ("x", "1"), ("x", "2")]);
        let frames = [
            Frame::SynStream { stream: 1, headers: first, fin: true, unidirectional: false },
            Frame::SynReply { stream: 1, headers: HeaderMap::new(), fin: false },
            Frame::SynStream { stream: 3, headers: headers(&[("port", "80")]), fin: false, unidirectional: true },
            Frame::Headers { stream: 3, headers: headers(&[("a", "b")]), fin: true },
            Frame::RstStream { stream: 3, code: 5 },
            Frame::Settings,
            Frame::Ping { id: 7 },
            Frame::GoAway { last_stream: 3, code: 0 },
            Frame::WindowUpdate { stream: 1, bytes: 9 },
            Frame::Data { stream: 1, bytes: Bytes::from_static(b"hello"), fin: true },
        ];
        let (mut encoder, mut decoder) = (Encoder::new().unwrap(), Decoder::new());
        let mut bytes = BytesMut::new();
        for frame in &frames {
            encoder.encode(frame, &mut bytes).unwrap();
        }
        for frame in &frames {
            assert_eq!(decoder.decode(&mut bytes).unwrap().as_ref(), Some(frame));
        }
        assert!(bytes.is_empty());
    }

    #[test]
    fn a_data_frame_is_read_in_pieces() {
        let mut bytes = BytesMut::new();
        let whole = Frame::Data { stream: 5, bytes: Bytes::from(vec![7; 1000]), fin: true };
        Encoder::new().unwrap().encode(&whole, &mut bytes).unwrap();
        let mut rest = bytes.split_off(100);
        let mut decoder = Decoder::new();
        let first = Frame::Data { stream: 5, bytes: Bytes::from(vec![7; 92]), fin: false };
        assert_eq!(decoder.decode(&mut bytes).unwrap(), Some(first));
        assert_eq!(decoder.decode(&mut bytes).unwrap(), None);
        let last = Frame::Data { stream: 5, bytes: Bytes::from(vec![7; 908]), fin: true };
        assert_eq!(decoder.decode(&mut rest).unwrap(), Some(last));
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut buffer = BytesMut::from(bytes.as_slice());
            let mut decoder = Decoder::new();
            while let Ok(Some(_)) = decoder.decode(&mut buffer) {}
        }
    }
}
