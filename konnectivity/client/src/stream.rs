//! Packets as gRPC messages on one HTTP/2 stream: a reader, and a writer that waits for the peer's window.

use crate::chunks::Chunks;
use crate::link::READ_BYTES;
use crate::packet::{DATA_HEAD_BYTES_MAX, PREFIX_BYTES, Packet, PacketError, data_head};
use bytes::{Buf, Bytes};
use h2::{RecvStream, SendStream};
use http::HeaderMap;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

/// Largest message that is read: what gRPC takes unless told otherwise, so that upstream sends none larger.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Data below this is copied behind its head, into one frame; above it, it travels where it lies.
const COPIED_BYTES_MAX: usize = 1024;

/// How a stream of packets broke.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The connection or the stream is gone.
    #[error("the stream is gone")]
    Transport(#[from] h2::Error),
    /// The peer sent what is no packet.
    #[error("the peer sent what is no packet")]
    Packet(#[from] PacketError),
    /// A message that is compressed, which nobody offered.
    #[error("the peer sent a compressed message")]
    Compressed,
    /// A message beyond the limit.
    #[error("the peer sent a message of {0} bytes, more than {MESSAGE_BYTES_MAX}")]
    TooLarge(usize),
    /// The stream ended inside of a message.
    #[error("the stream ended inside of a message")]
    Truncated,
}

impl StreamError {
    /// gRPC's code for it, in Go's words.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Transport(error) => crate::grpc::code_of(error),
            Self::TooLarge(_) => "ResourceExhausted",
            Self::Packet(_) | Self::Compressed | Self::Truncated => "Internal",
        }
    }
}

/// Reads packets. Bytes are taken from the peer's window only as they are asked for: that is the backpressure.
#[derive(Debug)]
pub struct PacketReader {
    frames: Pieces,
    unread: Chunks,
    message_bytes: Option<usize>,
}

impl PacketReader {
    /// Reads from a stream.
    #[must_use]
    pub fn new(frames: RecvStream) -> Self {
        Self { frames: Pieces::new(frames), unread: Chunks::default(), message_bytes: None }
    }

    /// The next packet, or nothing at the stream's orderly end.
    ///
    /// # Errors
    /// When the stream breaks, or carries what is no packet.
    pub async fn next(&mut self) -> Result<Option<Packet>, StreamError> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`Self::next`].
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Packet>, StreamError>> {
        loop {
            if let Some(packet) = self.unread_packet()? {
                return Poll::Ready(Ok(Some(packet)));
            }
            match ready!(self.frames.poll_next(cx))? {
                Some(piece) => self.unread.push(piece),
                None if self.unread.has_remaining() || self.message_bytes.is_some() => {
                    return Poll::Ready(Err(StreamError::Truncated));
                }
                None => return Poll::Ready(Ok(None)),
            }
        }
    }

    fn unread_packet(&mut self) -> Result<Option<Packet>, StreamError> {
        if self.message_bytes.is_none() && self.unread.remaining() >= PREFIX_BYTES {
            if self.unread.get_u8() != 0 {
                return Err(StreamError::Compressed);
            }
            let bytes = self.unread.get_u32() as usize;
            if bytes > MESSAGE_BYTES_MAX {
                return Err(StreamError::TooLarge(bytes));
            }
            self.message_bytes = Some(bytes);
        }
        match self.message_bytes {
            Some(bytes) if self.unread.remaining() >= bytes => {
                self.message_bytes = None;
                Ok(Some(Packet::decode((&mut self.unread).take(bytes))?))
            }
            _ => Ok(None),
        }
    }

    /// What gRPC says at the stream's end, when it is not OK: the code, and all of it in words.
    pub(crate) async fn failure(&mut self) -> Option<(u16, String)> {
        let trailers = self.frames.trailers().await.ok().flatten()?;
        Some((crate::grpc::failure_code(&trailers)?, crate::grpc::failure_in(&trailers)?))
    }
}

/// Writes packets.
#[derive(Debug)]
pub struct PacketWriter {
    frames: SendStream<Bytes>,
}

impl PacketWriter {
    /// Writes to a stream.
    #[must_use]
    pub fn new(frames: SendStream<Bytes>) -> Self {
        Self { frames }
    }

    /// Waits until the peer takes more.
    ///
    /// # Errors
    /// When the stream is gone.
    pub async fn ready(&mut self) -> Result<(), h2::Error> {
        poll_fn(|cx| self.poll_ready(cx)).await
    }

    /// As [`Self::ready`].
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        poll_window(&mut self.frames, cx)
    }

    /// Waits until the peer takes so many bytes of a connection, at most [`READ_BYTES`], in one piece: of pieces it would have to put
    /// them together. Only for a peer of ours, whose windows have room for two such.
    ///
    /// # Errors
    /// When the stream is gone.
    pub fn poll_ready_for(&mut self, bytes: usize, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        poll_room(&mut self.frames, bytes.min(READ_BYTES) + DATA_HEAD_BYTES_MAX, cx)
    }

    /// Hands a packet over. What the peer's window has no room for waits here, so that callers who send more than
    /// one packet without [`Self::ready`] bound them on their own.
    ///
    /// # Errors
    /// When the stream is gone.
    pub fn send(&mut self, packet: Packet) -> Result<(), h2::Error> {
        self.send_encoded(packet.encode())
    }

    /// As [`Self::send`], for a message that is encoded already.
    ///
    /// # Errors
    /// When the stream is gone.
    pub fn send_encoded(&mut self, message: Bytes) -> Result<(), h2::Error> {
        self.frames.send_data(message, false)
    }

    /// Hands bytes of a connection over, after [`Self::ready`].
    ///
    /// # Errors
    /// When the stream is gone.
    pub fn send_bytes(&mut self, connect_id: i64, data: Bytes) -> Result<(), h2::Error> {
        if data.len() > COPIED_BYTES_MAX {
            self.frames.send_data(data_head(connect_id, data.len(), 0).freeze(), false)?;
            self.frames.send_data(data, false)
        } else {
            self.copy_bytes(connect_id, &data)
        }
    }

    /// Copies bytes of a connection into one message, after [`Self::ready`].
    ///
    /// # Errors
    /// When the stream is gone.
    pub fn copy_bytes(&mut self, connect_id: i64, data: &[u8]) -> Result<(), h2::Error> {
        let mut message = data_head(connect_id, data.len(), data.len());
        message.extend_from_slice(data);
        self.frames.send_data(message.freeze(), false)
    }

    /// Ends a client's side of the stream.
    ///
    /// # Errors
    /// When the stream is gone.
    pub fn end(&mut self) -> Result<(), h2::Error> {
        self.frames.send_data(Bytes::new(), true)
    }

    /// Ends a server's side of the stream, as a call that succeeded.
    ///
    /// # Errors
    /// When the stream is gone.
    pub fn succeed(&mut self) -> Result<(), h2::Error> {
        self.frames.send_trailers(crate::grpc::success())
    }
}

/// The bytes of a stream. What was read keeps its place in the window until more is asked for: only then is it known to have gone
/// on, and so what is in a pump's hands is no more than the window.
#[derive(Debug)]
pub struct Pieces {
    frames: RecvStream,
    /// Bytes of the last piece.
    in_hand: usize,
}

impl Pieces {
    /// Of a stream.
    #[must_use]
    pub fn new(frames: RecvStream) -> Self {
        Self { frames, in_hand: 0 }
    }

    /// The next bytes, or nothing at the stream's end.
    ///
    /// # Errors
    /// When the stream breaks.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, h2::Error>> {
        if self.in_hand > 0 {
            // That a stream which broke has no window any more is told by what is read next.
            drop(self.frames.flow_control().release_capacity(std::mem::take(&mut self.in_hand)));
        }
        match ready!(self.frames.poll_data(cx)) {
            Some(piece) => {
                let piece = piece?;
                self.in_hand = piece.len();
                Poll::Ready(Ok(Some(piece)))
            }
            None => Poll::Ready(Ok(None)),
        }
    }

    /// What comes behind the last byte.
    ///
    /// # Errors
    /// When the stream breaks.
    pub async fn trailers(&mut self) -> Result<Option<HeaderMap>, h2::Error> {
        self.frames.trailers().await
    }
}

/// Waits until a stream's window has any room. One piece may then be sent whole: what exceeds the window waits in the
/// stream, and no further piece is sent before it has gone.
pub fn poll_window(frames: &mut SendStream<Bytes>, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
    poll_room(frames, 1, cx)
}

/// Waits until a stream's window has room for so many bytes: at most two thirds of the peer's windows, who gives back what was read
/// once it is half of what is left, and no more than may wait to be sent.
pub fn poll_room(frames: &mut SendStream<Bytes>, bytes: usize, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
    frames.reserve_capacity(bytes);
    while frames.capacity() < bytes {
        match ready!(frames.poll_capacity(cx)) {
            Some(capacity) => drop(capacity?),
            None => return Poll::Ready(Err(h2::Error::from(h2::Reason::STREAM_CLOSED))),
        }
    }
    Poll::Ready(Ok(()))
}
