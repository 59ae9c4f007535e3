//! The two tasks of a session: one reads frames and hands them out, one writes what is queued.

use super::ResetCode;
use super::frame::{Decoder, Encoder, Frame, FrameError};
use super::inbound::{End, Inbound};
use super::session::{Handles, Queued, STREAMS_MAX, Shared};
use super::stream::Stream;
use bytes::BytesMut;
use http::HeaderMap;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// What is read at once.
const READ_BYTES: usize = 64 * 1024;
/// What is written at once.
const WRITE_BYTES: usize = 64 * 1024;
/// How long the last frames may take to be written once nobody uses the session any more.
const LINGER: Duration = Duration::from_secs(10);

/// What the writer takes its frames from.
pub(super) struct Outgoing {
    pub(super) frames: mpsc::UnboundedReceiver<Queued>,
    pub(super) encoder: Encoder,
}

/// Writes until the last handle is gone and everything is written, or the connection ends.
pub(super) async fn write<W: AsyncWrite + Unpin>(mut to: W, mut from: Outgoing, shared: Arc<Shared>) {
    let given_up = async {
        shared.unused.cancelled().await;
        tokio::time::sleep(LINGER).await;
    };
    let written = async {
        write_all(&mut to, &mut from).await?;
        // Closed before the peer has closed, what it still sends would be answered with a reset, which may cost it
        // our last bytes.
        std::future::pending().await
    };
    let outcome: io::Result<()> = tokio::select! {
        outcome = written => outcome,
        () = shared.dead.cancelled() => Ok(()),
        () = given_up => Ok(()),
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a SPDY connection can't be written any more");
    }
    shared.die();
}

async fn write_all<W: AsyncWrite + Unpin>(to: &mut W, from: &mut Outgoing) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(WRITE_BYTES);
    let mut rooms = Vec::new();
    while let Some(first) = from.frames.recv().await {
        let mut next = Some(first);
        while let Some(Queued { frame, room }) = next {
            encode(&mut from.encoder, &frame, &mut buffer)?;
            rooms.push(room);
            next = if buffer.len() < WRITE_BYTES { from.frames.try_recv().ok() } else { None };
        }
        to.write_all(&buffer).await?;
        to.flush().await?;
        buffer.clear();
        rooms.clear();
    }
    encode(&mut from.encoder, &Frame::GoAway { last_stream: 0, code: 0 }, &mut buffer)?;
    to.write_all(&buffer).await?;
    to.shutdown().await
}

fn encode(encoder: &mut Encoder, frame: &Frame, to: &mut BytesMut) -> io::Result<()> {
    encoder.encode(frame, to).map_err(io::Error::other)
}

/// Reads until the connection ends.
pub(super) async fn read<R: AsyncRead + Unpin>(
    mut from: R,
    handles: Weak<Handles>,
    shared: Arc<Shared>,
    opened: mpsc::Sender<Stream>,
) {
    let mut reader = Reader { handles, shared: Arc::clone(&shared), opened, last_received: 0 };
    tokio::select! {
        outcome = reader.run(&mut from) => match outcome {
            Ok(()) => tracing::trace!("the peer ended a SPDY connection"),
            Err(error) => tracing::debug!(%error, "a SPDY connection can't be read any further"),
        },
        () = shared.dead.cancelled() => {}
    }
    shared.die();
}

/// Why reading ended.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
}

struct Reader {
    handles: Weak<Handles>,
    shared: Arc<Shared>,
    opened: mpsc::Sender<Stream>,
    last_received: u32,
}

impl Reader {
    async fn run<R: AsyncRead + Unpin>(&mut self, from: &mut R) -> Result<(), ReadError> {
        let mut decoder = Decoder::new();
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(READ_BYTES);
            if from.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            while let Some(frame) = decoder.decode(&mut buffer)? {
                self.handle(frame).await?;
            }
        }
    }

    async fn handle(&mut self, frame: Frame) -> io::Result<()> {
        match frame {
            Frame::SynStream { stream, headers, fin, .. } => self.open(stream, headers, fin).await?,
            Frame::SynReply { stream, fin, .. } => {
                if let Some(inbound) = self.shared.stream(stream) {
                    inbound.set_replied();
                    end_if(&inbound, fin);
                }
            }
            Frame::Headers { stream, fin, .. } => {
                if let Some(inbound) = self.shared.stream(stream) {
                    end_if(&inbound, fin);
                }
            }
            Frame::Data { stream, bytes, fin } => {
                // Bytes of a stream that we gave up were on their way; they are nobody's.
                if let Some(inbound) = self.shared.stream(stream) {
                    inbound.push(bytes).await;
                    end_if(&inbound, fin);
                }
            }
            Frame::RstStream { stream, .. } => {
                if let Some(inbound) = self.shared.stream(stream) {
                    inbound.end(End::Reset);
                }
            }
            Frame::Ping { id } if self.shared.role.is_peers(id) => self.answer(Frame::Ping { id }).await?,
            // A peer that goes away ends the connection when its streams are through: that is the end we wait for.
            Frame::Ping { .. } | Frame::Settings | Frame::GoAway { .. } | Frame::WindowUpdate { .. } => {}
        }
        Ok(())
    }

    async fn open(&mut self, id: u32, headers: HeaderMap, fin: bool) -> io::Result<()> {
        if !self.shared.role.is_peers(id) || id <= self.last_received {
            return self.reset(id, ResetCode::ProtocolError).await;
        }
        self.last_received = id;
        if self.shared.streams().len() >= STREAMS_MAX {
            return self.reset(id, ResetCode::RefusedStream).await;
        }
        // Once nobody uses the session there is nobody to open a stream to, and the peer will hear so.
        let Some(handles) = self.handles.upgrade() else { return Ok(()) };
        let inbound = Arc::new(Inbound::default());
        end_if(&inbound, fin);
        self.shared.streams().insert(id, Arc::clone(&inbound));
        // A stream that nobody takes resets itself as it is dropped.
        if let Err(refused) = self.opened.send(Stream::new(id, headers, inbound, handles)).await {
            tracing::debug!(%refused, "a SPDY stream was refused");
        }
        Ok(())
    }

    async fn reset(&self, stream: u32, code: ResetCode) -> io::Result<()> {
        self.answer(Frame::RstStream { stream, code: code as u32 }).await
    }

    /// Queues an answer. No handle is held while it waits for room: it must not keep the session alive.
    async fn answer(&self, frame: Frame) -> io::Result<()> {
        let room = Arc::clone(&self.shared.answer_room).acquire_owned().await;
        let room = room.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        match self.handles.upgrade() {
            Some(handles) => handles.queue(frame, Some(room)),
            None => Ok(()),
        }
    }
}

fn end_if(inbound: &Inbound, fin: bool) {
    if fin {
        inbound.end(End::Fin);
    }
}
