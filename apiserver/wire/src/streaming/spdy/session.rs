//! A session: one connection that carries many streams.

use super::frame::{Encoder, Frame, FrameError};
use super::inbound::{End, Inbound};
use super::pump;
use super::stream::Stream;
use http::HeaderMap;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

/// Most streams of one session at one moment, as a guard against a peer that opens without end.
pub(super) const STREAMS_MAX: usize = 2000;
/// Streams that the peer opened and nobody took yet.
pub(super) const UNTAKEN_MAX: usize = 64;
/// Data frames that wait to be written.
const DATA_QUEUED_MAX: usize = 8;
/// Answers to the peer's frames that wait to be written; past that we read no more of its frames.
const ANSWERS_QUEUED_MAX: usize = 256;

/// A frame in the one queue to the writer, in which nothing overtakes: a reset that came before the reply, or before
/// the last bytes, would cost the peer what it was told.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) frame: Frame,
    /// Given back when the frame is written. Resets of dropped streams have none: there is one a stream at most.
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// Which end of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Dialled: opens streams with odd ids.
    Client,
    /// Was dialled: opens streams with even ids.
    Server,
}

impl Role {
    /// True when the peer gives such ids.
    pub(super) fn is_peers(self, id: u32) -> bool {
        (id % 2 == 1) == (self == Self::Server)
    }

    fn first_id(self) -> u32 {
        match self {
            Self::Client => 1,
            Self::Server => 2,
        }
    }
}

/// What both pumps and all handles share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) role: Role,
    pub(super) streams: Mutex<HashMap<u32, Arc<Inbound>>>,
    /// The connection has ended, or was given up.
    pub(super) dead: CancellationToken,
    /// All handles are gone; what is queued may still be written.
    pub(super) unused: CancellationToken,
    pub(super) data_room: Arc<Semaphore>,
    pub(super) answer_room: Arc<Semaphore>,
}

impl Shared {
    pub(super) fn streams(&self) -> MutexGuard<'_, HashMap<u32, Arc<Inbound>>> {
        self.streams.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn stream(&self, id: u32) -> Option<Arc<Inbound>> {
        self.streams().get(&id).cloned()
    }

    /// Ends the connection for everybody who waits on it.
    pub(super) fn die(&self) {
        self.dead.cancel();
        self.data_room.close();
        self.answer_room.close();
        let streams: Vec<_> = self.streams().drain().collect();
        for (_, inbound) in streams {
            inbound.end(End::Dead);
        }
    }
}

/// What `Session` and `Stream`s hold: when the last one goes, the connection is ended in good order.
#[derive(Debug)]
pub(super) struct Handles {
    pub(super) outgoing: mpsc::UnboundedSender<Queued>,
    pub(super) shared: Arc<Shared>,
}

impl Handles {
    pub(super) fn forget(&self, id: u32) {
        self.shared.streams().remove(&id);
    }

    /// Queues a frame.
    pub(super) fn queue(&self, frame: Frame, room: Option<OwnedSemaphorePermit>) -> io::Result<()> {
        self.outgoing.send(Queued { frame, room }).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Queues what answers a frame of the peer, once there is room for it.
    pub(super) async fn answer(&self, frame: Frame) -> io::Result<()> {
        let room = Arc::clone(&self.shared.answer_room).acquire_owned().await;
        self.queue(frame, Some(room.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?))
    }
}

impl Drop for Handles {
    fn drop(&mut self) {
        self.shared.unused.cancel();
    }
}

/// One end of a SPDY/3.1 connection. Cheap to clone; the connection lives as long as a clone or a stream does.
#[derive(Clone, Debug)]
pub struct Session {
    handles: Arc<Handles>,
    next_id: Arc<tokio::sync::Mutex<u32>>,
}

impl Session {
    /// Speaks SPDY/3.1 on a connection. Streams that the peer opens come out of [`Incoming`].
    ///
    /// # Errors
    /// When compression can't be set up.
    pub fn start(
        connection: impl AsyncRead + AsyncWrite + Send + 'static,
        role: Role,
    ) -> Result<(Self, Incoming), FrameError> {
        let (outgoing, to_write) = mpsc::unbounded_channel();
        let (opened, incoming) = mpsc::channel(UNTAKEN_MAX);
        let shared = Arc::new(Shared {
            role,
            streams: Mutex::default(),
            dead: CancellationToken::new(),
            unused: CancellationToken::new(),
            data_room: Arc::new(Semaphore::new(DATA_QUEUED_MAX)),
            answer_room: Arc::new(Semaphore::new(ANSWERS_QUEUED_MAX)),
        });
        let handles = Arc::new(Handles { outgoing, shared: Arc::clone(&shared) });
        let (reader, writer) = tokio::io::split(connection);
        let frames = pump::Outgoing { frames: to_write, encoder: Encoder::new()? };
        tokio::spawn(pump::write(writer, frames, Arc::clone(&shared)));
        tokio::spawn(pump::read(reader, Arc::downgrade(&handles), Arc::clone(&shared), opened));
        let next_id = Arc::new(tokio::sync::Mutex::new(role.first_id()));
        Ok((Self { handles, next_id }, Incoming { streams: incoming, dead: shared.dead.clone() }))
    }

    /// Opens a stream. It can be written to at once; [`Stream::until_replied`] waits for the peer to accept it.
    ///
    /// # Errors
    /// When the connection has ended, or ids are used up.
    pub async fn open(&self, headers: HeaderMap) -> io::Result<Stream> {
        // Held while sending: ids have to rise on the wire.
        let mut next_id = self.next_id.lock().await;
        let id = *next_id;
        if id > 0x7fff_fff0 {
            return Err(io::Error::other("the session's stream ids are used up"));
        }
        *next_id += 2;
        let inbound = Arc::new(Inbound::default());
        self.handles.shared.streams().insert(id, Arc::clone(&inbound));
        let stream = Stream::new(id, headers.clone(), inbound, Arc::clone(&self.handles));
        let syn = Frame::SynStream { stream: id, headers, fin: false, unidirectional: false };
        self.handles.answer(syn).await?;
        Ok(stream)
    }

    /// Is cancelled when the connection has ended.
    #[must_use]
    pub fn closed(&self) -> CancellationToken {
        self.handles.shared.dead.clone()
    }
}

/// The streams that the peer opens. While nobody takes them, nothing further is read; dropped, they are refused.
#[derive(Debug)]
pub struct Incoming {
    streams: mpsc::Receiver<Stream>,
    dead: CancellationToken,
}

impl Incoming {
    /// Accepts the next stream. `None`: the connection has ended.
    pub async fn accept(&mut self) -> Option<Stream> {
        loop {
            let stream = tokio::select! {
                stream = self.streams.recv() => stream?,
                () = self.dead.cancelled() => return None,
            };
            if stream.reply().await.is_ok() {
                return Some(stream);
            }
        }
    }
}
