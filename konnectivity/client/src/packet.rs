//! The packets of the tunnel: what they say, and how they lie on the wire (protobuf, without a package name).

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::{encode_varint, encoded_len_varint};

/// One packet, as either end means it.
#[derive(Clone, Debug, PartialEq)]
pub enum Packet {
    /// Asks for a connection.
    DialRequest(DialRequest),
    /// Answers a dial.
    DialResponse(DialResponse),
    /// Asks to close a connection, both ways.
    CloseRequest(CloseRequest),
    /// Says that a connection is closed, both ways.
    CloseResponse(CloseResponse),
    /// Carries bytes of a connection.
    Data(Data),
    /// Gives up a dial that has not been answered.
    CloseDial(CloseDial),
    /// The agent asks for no further dials.
    Drain,
}

/// Asks for a connection.
#[derive(Clone, PartialEq, Message)]
pub struct DialRequest {
    /// Always `tcp`.
    #[prost(string, tag = "1")]
    pub protocol: String,
    /// `host:port`.
    #[prost(string, tag = "2")]
    pub address: String,
    /// Names the dial until it has a connection id.
    #[prost(int64, tag = "3")]
    pub random: i64,
}

/// Answers a dial.
#[derive(Clone, PartialEq, Message)]
pub struct DialResponse {
    /// Why there is no connection; empty when there is one.
    #[prost(string, tag = "1")]
    pub error: String,
    /// The connection.
    #[prost(int64, tag = "2")]
    pub connect_id: i64,
    /// The dial.
    #[prost(int64, tag = "3")]
    pub random: i64,
    /// Ours, to frontends that can end one direction alone: who carries the connection. Upstream's skip it.
    #[prost(string, tag = "15")]
    pub agent: String,
}

impl DialResponse {
    /// There is a connection.
    #[must_use]
    pub fn made(random: i64, connect_id: i64) -> Self {
        Self { random, connect_id, ..Self::default() }
    }

    /// There is none.
    #[must_use]
    pub fn refused(random: i64, error: String) -> Self {
        Self { random, error, ..Self::default() }
    }
}

/// Asks to close a connection.
#[derive(Clone, PartialEq, Message)]
pub struct CloseRequest {
    /// The connection.
    #[prost(int64, tag = "1")]
    pub connect_id: i64,
}

/// Says that a connection is closed.
#[derive(Clone, PartialEq, Message)]
pub struct CloseResponse {
    /// Why, when it is not an orderly close.
    #[prost(string, tag = "1")]
    pub error: String,
    /// The connection.
    #[prost(int64, tag = "2")]
    pub connect_id: i64,
}

/// Bytes of a connection.
#[derive(Clone, PartialEq, Message)]
pub struct Data {
    /// The connection.
    #[prost(int64, tag = "1")]
    pub connect_id: i64,
    /// Unused by upstream.
    #[prost(string, tag = "2")]
    pub error: String,
    /// The bytes. Where half close was negotiated, none at all mean that this direction has ended.
    #[prost(bytes = "bytes", tag = "3")]
    pub data: Bytes,
}

/// Gives up a dial.
#[derive(Clone, PartialEq, Message)]
pub struct CloseDial {
    /// The dial.
    #[prost(int64, tag = "1")]
    pub random: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Drain {}

/// A packet as it lies on the wire.
#[derive(Clone, PartialEq, Message)]
struct Raw {
    #[prost(enumeration = "Kind", tag = "1")]
    kind: i32,
    #[prost(oneof = "Payload", tags = "2, 3, 4, 5, 6, 7, 8")]
    payload: Option<Payload>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Payload {
    #[prost(message, tag = "2")]
    DialRequest(DialRequest),
    #[prost(message, tag = "3")]
    DialResponse(DialResponse),
    #[prost(message, tag = "4")]
    Data(Data),
    #[prost(message, tag = "5")]
    CloseRequest(CloseRequest),
    #[prost(message, tag = "6")]
    CloseResponse(CloseResponse),
    #[prost(message, tag = "7")]
    CloseDial(CloseDial),
    #[prost(message, tag = "8")]
    Drain(Drain),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
enum Kind {
    DialRequest = 0,
    DialResponse = 1,
    CloseRequest = 2,
    CloseResponse = 3,
    Data = 4,
    CloseDial = 5,
    Drain = 6,
}

/// Bytes that are no packet.
#[derive(Debug, thiserror::Error)]
pub enum PacketError {
    /// No protobuf.
    #[error("a packet can't be decoded")]
    Decode(#[from] prost::DecodeError),
    /// A type that is not the payload's, or that nobody knows.
    #[error("a packet of type {0} without its payload")]
    Mismatch(i32),
}

/// The packets' names, in the order of their numbers.
pub const NAMES: [&str; 7] = ["DIAL_REQ", "DIAL_RSP", "CLOSE_REQ", "CLOSE_RSP", "DATA", "DIAL_CLS", "DRAIN"];

impl Packet {
    /// The number of [`CloseRequest`].
    pub const CLOSE_REQUEST: usize = Kind::CloseRequest as usize;
    /// The number of [`CloseResponse`].
    pub const CLOSE_RESPONSE: usize = Kind::CloseResponse as usize;
    /// The number of [`Data`].
    pub const DATA: usize = Kind::Data as usize;

    /// The protocol's name for it, as metrics and logs have it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        NAMES[self.number()]
    }

    /// The protocol's number for its type.
    #[must_use]
    pub fn number(&self) -> usize {
        let kind = match self {
            Self::DialRequest(_) => Kind::DialRequest,
            Self::DialResponse(_) => Kind::DialResponse,
            Self::CloseRequest(_) => Kind::CloseRequest,
            Self::CloseResponse(_) => Kind::CloseResponse,
            Self::Data(_) => Kind::Data,
            Self::CloseDial(_) => Kind::CloseDial,
            Self::Drain => Kind::Drain,
        };
        kind as usize
    }

    /// Reads a packet. The bytes of [`Data`] stay where they are when `from` holds them in one piece.
    ///
    /// # Errors
    /// When the bytes are no packet.
    pub fn decode(from: impl Buf) -> Result<Self, PacketError> {
        let raw = Raw::decode(from)?;
        Ok(match (Kind::try_from(raw.kind), raw.payload) {
            (Ok(Kind::DialRequest), Some(Payload::DialRequest(p))) => Self::DialRequest(p),
            (Ok(Kind::DialResponse), Some(Payload::DialResponse(p))) => Self::DialResponse(p),
            (Ok(Kind::CloseRequest), Some(Payload::CloseRequest(p))) => Self::CloseRequest(p),
            (Ok(Kind::CloseResponse), Some(Payload::CloseResponse(p))) => Self::CloseResponse(p),
            (Ok(Kind::Data), Some(Payload::Data(p))) => Self::Data(p),
            (Ok(Kind::CloseDial), Some(Payload::CloseDial(p))) => Self::CloseDial(p),
            (Ok(Kind::Drain), None | Some(Payload::Drain(_))) => Self::Drain,
            _ => return Err(PacketError::Mismatch(raw.kind)),
        })
    }

    /// Writes the packet as one gRPC message.
    #[must_use]
    pub fn encode(self) -> Bytes {
        let (kind, payload) = match self {
            Self::DialRequest(p) => (Kind::DialRequest, Payload::DialRequest(p)),
            Self::DialResponse(p) => (Kind::DialResponse, Payload::DialResponse(p)),
            Self::CloseRequest(p) => (Kind::CloseRequest, Payload::CloseRequest(p)),
            Self::CloseResponse(p) => (Kind::CloseResponse, Payload::CloseResponse(p)),
            Self::Data(p) => (Kind::Data, Payload::Data(p)),
            Self::CloseDial(p) => (Kind::CloseDial, Payload::CloseDial(p)),
            Self::Drain => (Kind::Drain, Payload::Drain(Drain {})),
        };
        let raw = Raw { kind: kind.into(), payload: Some(payload) };
        let mut to = BytesMut::with_capacity(PREFIX_BYTES + raw.encoded_len());
        put_prefix(&mut to, raw.encoded_len());
        raw.encode_raw(&mut to);
        to.freeze()
    }
}

/// A gRPC message begins with a compression flag and its length.
pub(crate) const PREFIX_BYTES: usize = 5;

/// What comes before the bytes of a DATA packet, at most.
pub(crate) const DATA_HEAD_BYTES_MAX: usize = PREFIX_BYTES + 2 + 6 + 11 + 6;

fn put_prefix(to: &mut BytesMut, message_bytes: usize) {
    to.put_u8(0);
    to.put_u32(u32::try_from(message_bytes).expect("a message is made of one read, which is far below 4 GiB"));
}

/// Everything of a DATA message that comes before its bytes, so that these need not be copied: they are the last
/// field of the last field. `room` is kept for bytes that are to follow in the same piece.
#[must_use]
pub fn data_head(connect_id: i64, data_bytes: usize, room: usize) -> BytesMut {
    const TYPE: &[u8] = &[0x08, Kind::Data as u8];
    const PAYLOAD_KEY: u8 = 4 << 3 | 2;
    const CONNECT_ID_KEY: u8 = 1 << 3;
    const DATA_KEY: u8 = 3 << 3 | 2;
    let id = connect_id.cast_unsigned();
    let inner = 1 + encoded_len_varint(id) + 1 + encoded_len_varint(data_bytes as u64) + data_bytes;
    let message = TYPE.len() + 1 + encoded_len_varint(inner as u64) + inner;
    let mut to = BytesMut::with_capacity(DATA_HEAD_BYTES_MAX + room);
    put_prefix(&mut to, message);
    to.put_slice(TYPE);
    to.put_u8(PAYLOAD_KEY);
    encode_varint(inner as u64, &mut to);
    to.put_u8(CONNECT_ID_KEY);
    encode_varint(id, &mut to);
    to.put_u8(DATA_KEY);
    encode_varint(data_bytes as u64, &mut to);
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(packet: &Packet) {
        let message = packet.clone().encode();
        assert_eq!(message.len() - PREFIX_BYTES, u32::from_be_bytes(message[1..5].try_into().unwrap()) as usize);
        assert_eq!(&Packet::decode(message.slice(PREFIX_BYTES..)).unwrap(), packet);
    }

    #[test]
    fn every_packet_reads_back() {
        round_trip(&Packet::DialRequest(DialRequest { protocol: "tcp".into(), address: "a:1".into(), random: -7 }));
        round_trip(&Packet::DialResponse(DialResponse {
            error: "no".into(),
            connect_id: 3,
            random: i64::MAX,
            agent: "near".into(),
        }));
        round_trip(&Packet::CloseRequest(CloseRequest { connect_id: 1 }));
        round_trip(&Packet::CloseResponse(CloseResponse { error: String::new(), connect_id: 0 }));
        round_trip(&Packet::CloseDial(CloseDial { random: 9 }));
        round_trip(&Packet::Drain);
    }

    #[test]
    fn a_drain_without_payload_is_a_drain() {
        assert_eq!(Packet::decode(&[0x08, 6][..]).unwrap(), Packet::Drain);
    }

    #[test]
    fn the_head_of_data_is_what_protobuf_writes() {
        for (connect_id, length) in [(1, 0), (-1, 1), (300, 127), (i64::MAX, 70_000)] {
            let data = Bytes::from(vec![5; length]);
            let mut ours = data_head(connect_id, length, length);
            assert!(ours.len() <= DATA_HEAD_BYTES_MAX);
            ours.extend_from_slice(&data);
            let packet = Packet::Data(Data { connect_id, error: String::new(), data });
            assert_eq!(Packet::decode(&ours[PREFIX_BYTES..]).unwrap(), packet);
            assert_eq!(u32::from_be_bytes(ours[1..5].try_into().unwrap()) as usize, ours.len() - PREFIX_BYTES);
        }
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        assert!(matches!(Packet::decode(&[0x08, 4][..]), Err(PacketError::Mismatch(4))));
        assert!(matches!(Packet::decode(&[0x08, 99][..]), Err(PacketError::Mismatch(99))));
        assert!(matches!(Packet::decode(&[0xff][..]), Err(PacketError::Decode(_))));
    }
}
