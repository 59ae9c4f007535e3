//! Connections that share one stream of packets: upstream's protocol between server and agent.
//!
//! The protocol has no windows, so a queue per connection stands between the stream and whoever reads the
//! connection. When one is full, the stream as a whole waits; how long is said by [`Overflow`].

use super::leg::{Leg, Reader, Writer};
use super::{End, Refused};
use crate::metrics::{Counter, Gauge, Packets};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tinyplane_konnectivity_client::packet::{CloseRequest, CloseResponse, Data, Packet};
use tinyplane_konnectivity_client::stream::PacketWriter;
use tokio::sync::{Semaphore, TryAcquireError, mpsc};
use tokio_util::sync::CancellationToken;

/// Bytes of one connection that wait for their reader.
const QUEUE_BYTES_MAX: usize = 256 * 1024;

/// What a piece costs in a queue beside its bytes.
const PIECE_BYTES: usize = 128;

/// Pieces of data that wait for the stream, of all connections together.
const OUTBOX_DATA_MAX: usize = 16;

/// Packets without data that wait for the stream. A peer that makes more of them necessary floods us.
const OUTBOX_CONTROL_MAX: usize = 1024;

/// How long a full queue may hold up the other connections, unless it may do so for ever.
const SLOW_READER_GRACE: Duration = Duration::from_secs(5);

const SLOW_READER: &str = "the reader was too slow for a tunnel without flow control";

/// What happens when a connection's queue is full and its peer can't be told to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The connection is closed after a grace of 5 s, so that one slow reader can't stop all others.
    #[default]
    CloseSlow,
    /// Everything waits for it, as upstream does.
    Stall,
}

/// Which end of the stream this is: they close connections in different words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Agent,
}

/// What is counted of slow readers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flow {
    /// Connections whose queue is full now.
    pub(crate) full: Gauge,
    /// Connections that were closed for it.
    pub(crate) closed: Counter,
}

/// What waits to be sent on the stream.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    control: mpsc::Sender<Bytes>,
    data: mpsc::Sender<Item>,
    sent: Packets,
}

#[derive(Debug)]
enum Item {
    Bytes(i64, Bytes),
    Close(Bytes),
}

/// Where it is taken from.
#[derive(Debug)]
pub(crate) struct Outgoing {
    control: mpsc::Receiver<Bytes>,
    data: mpsc::Receiver<Item>,
    sent: Packets,
}

/// An outbox, and what empties it. What is sent is counted.
pub(crate) fn outbox(sent: Packets) -> (Outbox, Outgoing) {
    let (control, control_from) = mpsc::channel(OUTBOX_CONTROL_MAX);
    let (data, data_from) = mpsc::channel(OUTBOX_DATA_MAX);
    let outgoing = Outgoing { control: control_from, data: data_from, sent: sent.clone() };
    (Outbox { control, data, sent }, outgoing)
}

impl Outgoing {
    /// Sends until the stream breaks or nobody is left who could send. Packets without data go first.
    pub(crate) async fn run(mut self, to: &mut PacketWriter) -> Result<(), h2::Error> {
        loop {
            let item = tokio::select! {
                biased;
                Some(packet) = self.control.recv() => Item::Close(packet),
                Some(item) = self.data.recv() => item,
                else => return Ok(()),
            };
            to.ready().await?;
            match item {
                Item::Bytes(connect_id, bytes) => {
                    self.sent.count_one(Packet::DATA);
                    to.send_bytes(connect_id, bytes)?;
                }
                Item::Close(packet) => to.send_encoded(packet)?,
            }
        }
    }
}

impl Outbox {
    /// Sends a packet without data, before all data that waits.
    pub(crate) async fn send(&self, packet: Packet) -> Result<(), Refused> {
        self.sent.count(&packet);
        self.control.send(packet.encode()).await.map_err(|_| Refused)
    }

    /// As [`Self::send`], from where nobody can wait.
    pub(crate) fn try_send(&self, packet: Packet) -> Result<(), Refused> {
        self.sent.count(&packet);
        self.control.try_send(packet.encode()).map_err(|_| Refused)
    }
}

/// The connections of one stream.
#[derive(Debug)]
pub(crate) struct Shared {
    side: Side,
    overflow: Overflow,
    outbox: Outbox,
    flow: Flow,
    /// `None` once the stream has ended.
    table: Mutex<Option<HashMap<i64, Slot>>>,
}

#[derive(Debug)]
enum Slot {
    Open(QueueSender),
    /// Closed at one end, and the other has not confirmed it: what still comes is thrown away.
    Closing,
}

impl Shared {
    pub(crate) fn new(side: Side, overflow: Overflow, outbox: Outbox, flow: Flow) -> Arc<Self> {
        Arc::new(Self { side, overflow, outbox, flow, table: Mutex::new(Some(HashMap::new())) })
    }

    fn table(&self) -> MutexGuard<'_, Option<HashMap<i64, Slot>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a connection. Nothing when the stream has ended or the id is taken.
    pub(crate) fn open(self: &Arc<Self>, connect_id: i64) -> Option<Leg> {
        let (sender, queue) = queue();
        let mut table = self.table();
        let table = table.as_mut()?;
        if table.contains_key(&connect_id) {
            return None;
        }
        table.insert(connect_id, Slot::Open(sender));
        let writer = SharedWriter { shared: Arc::clone(self), connect_id, closed: false };
        Some(Leg { reader: Reader::Shared(queue), writer: Writer::Shared(writer) })
    }

    /// Takes data in, once its queue has room. False when nobody has such a connection.
    pub(crate) async fn deliver(&self, data: Data) -> bool {
        let queue = match self.table().as_ref().and_then(|table| table.get(&data.connect_id)) {
            Some(Slot::Open(queue)) => queue.clone(),
            Some(Slot::Closing) => return true,
            None => return false,
        };
        let Some(waiting) = queue.push(data.data) else { return true };
        let _counted = self.flow.full.hold();
        let pushed = queue.push_waiting(waiting);
        match self.overflow {
            Overflow::Stall => pushed.await,
            Overflow::CloseSlow => {
                if tokio::time::timeout(SLOW_READER_GRACE, pushed).await.is_err() {
                    tracing::info!(connection = data.connect_id, "closed a connection whose reader held up all others");
                    self.give_up(data.connect_id, &queue);
                }
            }
        }
        true
    }

    /// Closes a connection whose reader takes nothing.
    fn give_up(&self, connect_id: i64, queue: &QueueSender) {
        queue.given_up.cancel();
        self.flow.closed.add();
        let end = End::Reset(SLOW_READER.into());
        if let Some(packet) = self.close(connect_id, &end)
            && let Err(Refused) = self.outbox.try_send(packet)
        {
            tracing::warn!(connection = connect_id, "the peer could not be told of a close");
        }
    }

    /// Takes in that the other end has closed a connection. False when nobody has it.
    pub(crate) fn closed(&self, connect_id: i64, end: End) -> bool {
        let mut table = self.table();
        let Some(table) = table.as_mut() else { return true };
        match self.side {
            // The agent's word is the last one.
            Side::Server => match table.remove(&connect_id) {
                Some(Slot::Open(queue)) => queue.end(end),
                Some(Slot::Closing) => {}
                None => return false,
            },
            // The server's wish is answered once everything before it is delivered.
            Side::Agent => match table.get_mut(&connect_id) {
                Some(slot) => {
                    if let Slot::Open(queue) = std::mem::replace(slot, Slot::Closing) {
                        queue.end(end);
                    }
                }
                None => return false,
            },
        }
        true
    }

    /// Ends all connections, since the stream has ended.
    pub(crate) fn end(&self) {
        drop(self.table().take());
    }

    /// Marks a connection as closed at this end, and gives the packet that says so; nothing when the other end has
    /// closed it first and expects no answer.
    fn close(&self, connect_id: i64, end: &End) -> Option<Packet> {
        let mut table = self.table();
        let table = table.as_mut()?;
        match self.side {
            Side::Server => {
                match table.get_mut(&connect_id)? {
                    Slot::Closing => return None,
                    slot => *slot = Slot::Closing,
                }
                Some(Packet::CloseRequest(CloseRequest { connect_id }))
            }
            Side::Agent => {
                table.remove(&connect_id)?;
                let error = match end {
                    End::Closed => String::new(),
                    End::Reset(reason) => reason.clone(),
                };
                Some(Packet::CloseResponse(CloseResponse { error, connect_id }))
            }
        }
    }
}

/// Writes a connection to the stream.
#[derive(Debug)]
pub(crate) struct SharedWriter {
    shared: Arc<Shared>,
    connect_id: i64,
    closed: bool,
}

impl SharedWriter {
    pub(crate) fn connection(&self) -> i64 {
        self.connect_id
    }

    pub(crate) async fn send(&mut self, bytes: Bytes) -> Result<(), Refused> {
        self.shared.outbox.data.send(Item::Bytes(self.connect_id, bytes)).await.map_err(|_| Refused)
    }

    pub(crate) async fn close(&mut self, end: &End) {
        if !std::mem::replace(&mut self.closed, true)
            && let Some(packet) = self.shared.close(self.connect_id, end)
        {
            // Behind the data. When the stream is gone, nobody waits for it.
            self.shared.outbox.sent.count(&packet);
            drop(self.shared.outbox.data.send(Item::Close(packet.encode())).await);
        }
    }
}

impl Drop for SharedWriter {
    /// A connection that nobody wanted any more before it began.
    fn drop(&mut self) {
        if !self.closed
            && let Some(packet) = self.shared.close(self.connect_id, &End::Closed)
            && let Err(Refused) = self.shared.outbox.try_send(packet)
        {
            tracing::warn!(connection = self.connect_id, "the peer could not be told of a close");
        }
    }
}

fn queue() -> (QueueSender, SharedReader) {
    let (pieces, from) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(QUEUE_BYTES_MAX));
    let given_up = CancellationToken::new();
    let reader = SharedReader { pieces: from, room: Arc::clone(&room), given_up: given_up.clone() };
    (QueueSender { pieces, room, given_up }, reader)
}

/// Fills a queue: its length is bounded by the bytes that `room` gives out.
#[derive(Clone, Debug)]
struct QueueSender {
    pieces: mpsc::UnboundedSender<Result<Bytes, End>>,
    room: Arc<Semaphore>,
    given_up: CancellationToken,
}

fn cost(bytes: &Bytes) -> u32 {
    u32::try_from((bytes.len() + PIECE_BYTES).min(QUEUE_BYTES_MAX)).unwrap_or(u32::MAX)
}

impl QueueSender {
    /// Puts bytes into the queue, and gives them back when there is no room for them now.
    fn push(&self, bytes: Bytes) -> Option<Bytes> {
        if bytes.is_empty() {
            return None;
        }
        match self.room.try_acquire_many(cost(&bytes)) {
            Ok(room) => {
                room.forget();
                drop(self.pieces.send(Ok(bytes)));
                None
            }
            Err(TryAcquireError::NoPermits) => Some(bytes),
            // Closed together with its reader.
            Err(TryAcquireError::Closed) => None,
        }
    }

    /// Puts bytes into the queue once there is room.
    async fn push_waiting(&self, bytes: Bytes) {
        if let Ok(room) = self.room.acquire_many(cost(&bytes)).await {
            room.forget();
            drop(self.pieces.send(Ok(bytes)));
        }
    }

    fn end(&self, end: End) {
        drop(self.pieces.send(Err(end)));
    }
}

/// Reads a connection's queue.
#[derive(Debug)]
pub(crate) struct SharedReader {
    pieces: mpsc::UnboundedReceiver<Result<Bytes, End>>,
    room: Arc<Semaphore>,
    given_up: CancellationToken,
}

impl SharedReader {
    /// Tells when the connection was given up for its slowness.
    pub(crate) fn watch(&self) -> GivenUp {
        GivenUp(self.given_up.clone())
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, End> {
        match self.pieces.recv().await {
            Some(Ok(bytes)) => {
                self.room.add_permits(cost(&bytes) as usize);
                Ok(Some(bytes))
            }
            Some(Err(end)) => Err(end),
            None => Err(End::Reset("the tunnel's connection was lost".into())),
        }
    }

    pub(crate) async fn gone(&mut self) -> End {
        loop {
            if let Err(end) = self.next().await {
                return end;
            }
        }
    }
}

impl Drop for SharedReader {
    fn drop(&mut self) {
        self.room.close();
    }
}

/// Tells when a connection was given up for its slowness.
#[derive(Debug)]
pub(crate) struct GivenUp(CancellationToken);

impl GivenUp {
    pub(crate) async fn reset(&self) -> End {
        self.0.cancelled().await;
        End::Reset(SLOW_READER.into())
    }
}
