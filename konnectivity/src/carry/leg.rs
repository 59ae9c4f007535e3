//! One side of a connection, whatever carries it.

use super::lane::{LaneReader, LaneWriter, Outgoing};
use super::shared::{GivenUp, SharedReader, SharedWriter};
use super::socket::{SocketReader, WriteSide};
use super::{Carried, End, Refused};
use crate::metrics::Packets;
use bytes::Bytes;
use std::future::poll_fn;
use tinyplane_konnectivity_client::packet::{CloseResponse, Packet};
use tinyplane_konnectivity_client::stream::{PacketReader, PacketWriter};

/// Both directions of one side.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
}

impl Leg {
    /// The connection's number in a stream that many share.
    pub(crate) fn connection(&self) -> Option<i64> {
        match &self.writer {
            Writer::Shared(writer) => Some(writer.connection()),
            Writer::Socket(_) | Writer::Lane(_) | Writer::Packets(_) => None,
        }
    }

    /// After a close: waits until the peer has ended its side too, where dropping the leg at once could lose what is
    /// still to be sent.
    pub(crate) async fn settle(&mut self) {
        match (&mut self.reader, &self.writer) {
            (Reader::Lane(reader), Writer::Lane(writer)) => reader.settle(writer.told_end()).await,
            (Reader::Packets(reader), _) => while matches!(reader.packets.next().await, Ok(Some(_))) {},
            _ => {}
        }
    }
}

/// Where bytes come from.
#[derive(Debug)]
pub(crate) enum Reader {
    /// A socket.
    Socket(SocketReader),
    /// An HTTP/2 stream of its own.
    Lane(LaneReader),
    /// A gRPC frontend.
    Packets(FrontendReader),
    /// A stream of packets that many connections share.
    Shared(SharedReader),
}

impl Reader {
    /// The next bytes, or nothing when this direction has ended; an error when the connection has.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, End> {
        match self {
            Self::Socket(reader) => reader.next().await,
            Self::Lane(reader) => reader.next().await,
            Self::Packets(reader) => reader.next().await,
            Self::Shared(reader) => reader.next().await,
        }
    }

    /// After the end of this direction: waits for the end of the connection.
    pub(crate) async fn gone(&mut self) -> End {
        match self {
            Self::Socket(reader) => reader.gone().await,
            Self::Lane(reader) => reader.gone().await,
            Self::Packets(reader) => reader.gone().await,
            Self::Shared(reader) => reader.gone().await,
        }
    }

    /// Tells when the peer gave up the connection while bytes of it are still to be delivered.
    pub(crate) fn watch(&self) -> Watch {
        match self {
            Self::Lane(reader) => Watch::Lane(reader.watch()),
            Self::Shared(reader) => Watch::Shared(reader.watch()),
            Self::Socket(_) | Self::Packets(_) => Watch::Nothing,
        }
    }
}

/// Tells of breaks that reading does not show, since bytes are still before them.
#[derive(Debug)]
pub(crate) enum Watch {
    /// Resets of an HTTP/2 stream.
    Lane(Outgoing),
    /// Queues that nobody empties.
    Shared(GivenUp),
    /// There is nothing to tell.
    Nothing,
}

impl Watch {
    pub(crate) async fn reset(&self) -> End {
        match self {
            Self::Lane(lane) => lane.reset().await,
            Self::Shared(queue) => queue.reset().await,
            Self::Nothing => std::future::pending().await,
        }
    }
}

/// Where bytes go.
#[derive(Debug)]
pub(crate) enum Writer {
    /// A socket.
    Socket(WriteSide),
    /// An HTTP/2 stream of its own.
    Lane(LaneWriter),
    /// A gRPC frontend.
    Packets(FrontendWriter),
    /// A stream of packets that many connections share.
    Shared(SharedWriter),
}

impl Writer {
    /// Sends bytes, once there is room for them.
    pub(crate) async fn send(&mut self, bytes: Bytes) -> Result<(), Refused> {
        match self {
            Self::Socket(writer) => writer.send(&bytes).await,
            Self::Lane(writer) => writer.send(bytes).await,
            Self::Packets(writer) => writer.send(bytes).await,
            Self::Shared(writer) => writer.send(bytes).await,
        }
    }

    /// Ends this direction.
    pub(crate) async fn finish(&mut self) -> Result<Carried, Refused> {
        match self {
            Self::Socket(writer) => writer.finish().await,
            Self::Lane(writer) => writer.finish(),
            Self::Packets(writer) => writer.finish(),
            Self::Shared(_) => Ok(Carried::Whole),
        }
    }

    /// Ends the connection.
    pub(crate) async fn close(&mut self, end: &End) {
        match self {
            Self::Socket(writer) => writer.close(end).await,
            Self::Lane(writer) => writer.close(end),
            Self::Packets(writer) => writer.close(end),
            Self::Shared(writer) => writer.close(end).await,
        }
    }
}

/// What the packets of one side are counted by. What a lane carries counts as the packets that upstream's protocol has for it.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    pub(crate) heard: Packets,
    pub(crate) said: Packets,
}

/// The leg of a gRPC frontend, once its dial is answered.
pub(crate) fn packets(
    packets: PacketReader,
    to: PacketWriter,
    connect_id: i64,
    half_close: bool,
    counts: Counts,
) -> Leg {
    let Counts { heard, said } = counts;
    Leg {
        reader: Reader::Packets(FrontendReader { packets, connect_id, half_close, heard }),
        writer: Writer::Packets(FrontendWriter { to, connect_id, half_close, said }),
    }
}

/// Reads a gRPC frontend.
#[derive(Debug)]
pub(crate) struct FrontendReader {
    packets: PacketReader,
    connect_id: i64,
    half_close: bool,
    heard: Packets,
}

impl FrontendReader {
    async fn next(&mut self) -> Result<Option<Bytes>, End> {
        loop {
            let next = self.packets.next().await;
            if let Ok(Some(packet)) = &next {
                self.heard.count(packet);
            }
            match next {
                Ok(Some(Packet::Data(data))) if data.connect_id != self.connect_id => return Err(mismatch()),
                Ok(Some(Packet::Data(data))) if !data.data.is_empty() => return Ok(Some(data.data)),
                Ok(Some(Packet::Data(_))) if self.half_close => return Ok(None),
                Ok(Some(Packet::CloseRequest(close))) if close.connect_id != self.connect_id => return Err(mismatch()),
                Ok(Some(Packet::CloseRequest(_)) | None) => return Err(End::Closed),
                Ok(Some(Packet::DialRequest(_))) => return Err(mismatch()),
                Ok(Some(other)) => tracing::debug!(packet = other.name(), "a packet that means nothing here"),
                Err(error) => return Err(End::Reset(format!("the frontend broke: {error}"))),
            }
        }
    }

    async fn gone(&mut self) -> End {
        loop {
            if let Err(end) = self.next().await {
                return end;
            }
        }
    }
}

fn mismatch() -> End {
    End::Reset("a frontend's stream carries one connection".into())
}

/// Writes a gRPC frontend.
#[derive(Debug)]
pub(crate) struct FrontendWriter {
    to: PacketWriter,
    connect_id: i64,
    half_close: bool,
    said: Packets,
}

impl FrontendWriter {
    async fn send(&mut self, bytes: Bytes) -> Result<(), Refused> {
        let room = bytes.len();
        let ready =
            poll_fn(|cx| if self.half_close { self.to.poll_ready_for(room, cx) } else { self.to.poll_ready(cx) });
        ready.await.map_err(|_| Refused)?;
        self.said.count_one(Packet::DATA);
        self.to.send_bytes(self.connect_id, bytes).map_err(|_| Refused)
    }

    fn finish(&mut self) -> Result<Carried, Refused> {
        if !self.half_close {
            return Ok(Carried::Whole);
        }
        self.to.copy_bytes(self.connect_id, &[]).map(|()| Carried::Half).map_err(|_| Refused)
    }

    fn close(&mut self, end: &End) {
        let error = match end {
            End::Closed => String::new(),
            End::Reset(reason) => reason.clone(),
        };
        let closed = Packet::CloseResponse(CloseResponse { error, connect_id: self.connect_id });
        self.said.count(&closed);
        if let Err(error) = self.to.send(closed).and_then(|()| self.to.succeed()) {
            tracing::debug!(%error, "a frontend was gone before it was told of the end");
        }
    }
}
