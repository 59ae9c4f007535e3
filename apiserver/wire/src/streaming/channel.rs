//! The channel protocols of Kubernetes' WebSockets: one byte names the stream, the rest is what it carries.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{BufMut, Bytes, BytesMut};

/// Standard input.
pub const STDIN: u8 = 0;
/// Standard output.
pub const STDOUT: u8 = 1;
/// Standard error.
pub const STDERR: u8 = 2;
/// How it ended.
pub const ERROR: u8 = 3;
/// The terminal's size.
pub const RESIZE: u8 = 4;
/// Not a channel: in v5, the next byte names the channel that its sender has closed.
const CLOSE: u8 = 255;

/// A subprotocol of remote commands and port-forwards over WebSockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelProtocol {
    /// No subprotocol was offered; as `V1`.
    Unnamed,
    /// `channel.k8s.io`.
    V1,
    /// `base64.channel.k8s.io`.
    V1Base64,
    /// `v4.channel.k8s.io`: the end is told as a JSON `Status`.
    V4,
    /// `v4.base64.channel.k8s.io`.
    V4Base64,
    /// `v5.channel.k8s.io`: a client can close its input and still listen.
    V5,
}

/// What a message means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Bytes of a channel.
    Bytes(u8, Bytes),
    /// A channel's end.
    Close(u8),
}

impl ChannelProtocol {
    /// The subprotocol's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unnamed => "",
            Self::V1 => "channel.k8s.io",
            Self::V1Base64 => "base64.channel.k8s.io",
            Self::V4 => "v4.channel.k8s.io",
            Self::V4Base64 => "v4.base64.channel.k8s.io",
            Self::V5 => "v5.channel.k8s.io",
        }
    }

    /// True when messages are texts: a digit and base64.
    #[must_use]
    pub const fn is_base64(self) -> bool {
        matches!(self, Self::V1Base64 | Self::V4Base64)
    }

    /// True when the end is told as a JSON `Status`; before, it was a plain text.
    #[must_use]
    pub const fn tells_status(self) -> bool {
        matches!(self, Self::V4 | Self::V4Base64 | Self::V5)
    }

    /// The message that carries bytes of a channel.
    #[must_use]
    pub fn encode(self, channel: u8, bytes: &[u8]) -> Bytes {
        let mut message = BytesMut::with_capacity(1 + bytes.len());
        if self.is_base64() {
            message.put_u8(b'0'.saturating_add(channel));
            message.extend_from_slice(BASE64.encode(bytes).as_bytes());
        } else {
            message.put_u8(channel);
            message.extend_from_slice(bytes);
        }
        message.freeze()
    }

    /// The message that closes a channel, where the protocol has one.
    #[must_use]
    pub fn encode_close(self, channel: u8) -> Option<Bytes> {
        (self == Self::V5).then(|| Bytes::copy_from_slice(&[CLOSE, channel]))
    }

    /// What a message means; `None` for one that means nothing (empty, or no base64).
    #[must_use]
    pub fn decode(self, mut message: Bytes) -> Option<Heard> {
        let channel = *message.first()?;
        let rest = message.split_off(1);
        if self == Self::V5 && channel == CLOSE {
            return Some(Heard::Close(*rest.first()?));
        }
        if !self.is_base64() {
            return Some(Heard::Bytes(channel, rest));
        }
        let bytes = BASE64.decode(&rest).ok()?;
        Some(Heard::Bytes(channel.checked_sub(b'0')?, Bytes::from(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_in_every_protocol() {
        use ChannelProtocol::{Unnamed, V1, V1Base64, V4, V4Base64, V5};
        for protocol in [Unnamed, V1, V1Base64, V4, V4Base64, V5] {
            let heard = protocol.decode(protocol.encode(STDERR, b"\xff\x00no"));
            assert_eq!(heard, Some(Heard::Bytes(STDERR, Bytes::from_static(b"\xff\x00no"))), "{protocol:?}");
        }
        assert_eq!(V4Base64.encode(1, b"hi"), Bytes::from_static(b"1aGk="));
    }

    #[test]
    fn only_v5_closes_a_channel() {
        let close = ChannelProtocol::V5.encode_close(STDIN).unwrap();
        assert_eq!(ChannelProtocol::V5.decode(close.clone()), Some(Heard::Close(STDIN)));
        assert_eq!(ChannelProtocol::V4.encode_close(STDIN), None);
        assert_eq!(ChannelProtocol::V4.decode(close), Some(Heard::Bytes(255, Bytes::from_static(&[0]))));
    }

    #[test]
    fn a_message_without_meaning_is_nothing() {
        assert_eq!(ChannelProtocol::V5.decode(Bytes::new()), None);
        assert_eq!(ChannelProtocol::V1Base64.decode(Bytes::from_static(b"0***")), None);
    }
}
