//! The leg that is an HTTP/2 stream of its own: how connections travel between our server and our agent.
//!
//! The stream's window is the connection's, its end is a half close, and trailers say how the connection ended as a
//! whole: they come after the last byte, where a reset of the stream would overtake it.

use super::leg::{Counts, Leg, Reader, Writer};
use super::pump::LINGER;
use super::shared::Side;
use super::{Carried, End, Refused};
use crate::metrics::Packets;
use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use tinyplane_konnectivity_client::grpc;
use tinyplane_konnectivity_client::link::READ_BYTES;
use tinyplane_konnectivity_client::packet::Packet;
use tinyplane_konnectivity_client::stream::{Pieces, poll_room};
use tinyplane_konnectivity_client::words;

/// How the connection ended: `closed`, or `reset` with the reason.
const END: HeaderName = HeaderName::from_static("tinyplane-end");
const REASON: HeaderName = HeaderName::from_static("tinyplane-reason");

/// The leg of a stream that an agent opened. The head of our answer goes with the first data: by itself it would be a write, and
/// a turn of the agent, which waits for none of it.
pub(crate) fn lane(respond: SendResponse<Bytes>, from: RecvStream, counts: Counts) -> Leg {
    leg(Side::Server, Sending::Owed(respond), Receiving::Body(Pieces::new(from)), counts)
}

/// The leg of a stream that was opened to the server.
pub(crate) fn opened(to: SendStream<Bytes>, response: ResponseFuture, counts: Counts) -> Leg {
    leg(Side::Agent, Sending::Body(to), Receiving::Awaited(response), counts)
}

fn leg(side: Side, to: Sending, from: Receiving, Counts { heard, said }: Counts) -> Leg {
    let to = Outgoing(Arc::new(Mutex::new(to)));
    let reader = LaneReader { side, from, watch: to.clone(), heard };
    Leg { reader: Reader::Lane(reader), writer: Writer::Lane(LaneWriter { side, to, ended: None, said }) }
}

/// The packet by which a side of upstream's tunnel closes a connection.
fn close_of(side: Side) -> usize {
    match side {
        Side::Server => Packet::CLOSE_REQUEST,
        Side::Agent => Packet::CLOSE_RESPONSE,
    }
}

/// What is sent on.
enum Sending {
    /// Nothing was sent yet, and the head comes first.
    Owed(SendResponse<Bytes>),
    Body(SendStream<Bytes>),
}

/// What is read from.
enum Receiving {
    /// Nothing came yet.
    Awaited(ResponseFuture),
    Body(Pieces),
}

/// The sending side, which also tells of resets. Both users of it are polled by one task.
#[derive(Clone)]
pub(crate) struct Outgoing(Arc<Mutex<Sending>>);

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outgoing")
    }
}

impl Outgoing {
    fn sending(&self) -> MutexGuard<'_, Sending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Uses the stream, whose head has been sent.
    fn with<T>(&self, use_it: impl FnOnce(&mut SendStream<Bytes>) -> T) -> Result<T, h2::Error> {
        let mut sending = self.sending();
        if let Sending::Owed(respond) = &mut *sending {
            *sending = Sending::Body(respond.send_response(grpc::response(), false)?);
        }
        match &mut *sending {
            Sending::Body(stream) => Ok(use_it(stream)),
            Sending::Owed(_) => unreachable!("it has been answered"),
        }
    }

    /// Waits until the peer gives up the stream.
    pub(crate) async fn reset(&self) -> End {
        let reset = poll_fn(|cx| match &mut *self.sending() {
            Sending::Owed(respond) => respond.poll_reset(cx),
            Sending::Body(stream) => stream.poll_reset(cx),
        });
        match reset.await {
            Ok(h2::Reason::NO_ERROR | h2::Reason::CANCEL) => End::Closed,
            Ok(reason) => End::Reset(reason.description().to_owned()),
            Err(error) => broken(&error),
        }
    }
}

/// Reads a lane.
pub(crate) struct LaneReader {
    side: Side,
    from: Receiving,
    watch: Outgoing,
    heard: Packets,
}

impl std::fmt::Debug for LaneReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LaneReader")
    }
}

impl LaneReader {
    /// What is read from, once the peer's head is there.
    async fn body(from: &mut Receiving) -> Result<&mut Pieces, End> {
        if let Receiving::Awaited(response) = from {
            let response = response.await.map_err(|error| match error.reason() {
                // The server had no use for it any more.
                Some(h2::Reason::NO_ERROR | h2::Reason::CANCEL) => End::Closed,
                _ => broken(&error),
            })?;
            *from = Receiving::Body(Pieces::new(response.into_body()));
        }
        match from {
            Receiving::Body(body) => Ok(body),
            Receiving::Awaited(_) => unreachable!("its head is there"),
        }
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, End> {
        let from = Self::body(&mut self.from).await?;
        loop {
            match poll_fn(|cx| from.poll_next(cx)).await {
                Ok(Some(bytes)) if bytes.is_empty() => {}
                Ok(Some(bytes)) => {
                    self.heard.count_one(Packet::DATA);
                    return Ok(Some(bytes));
                }
                Ok(None) => break,
                Err(error) => return Err(broken(&error)),
            }
        }
        match from.trailers().await {
            Ok(Some(trailers)) => {
                self.heard.count_one(match self.side {
                    Side::Server => close_of(Side::Agent),
                    Side::Agent => close_of(Side::Server),
                });
                Err(end_in(&trailers))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(broken(&error)),
        }
    }

    /// After the end of this direction: waits until the peer gives up the other one.
    pub(crate) async fn gone(&mut self) -> End {
        self.watch.reset().await
    }

    pub(crate) fn watch(&self) -> Outgoing {
        self.watch.clone()
    }

    /// After a close: waits until the peer has ended its side too, since HTTP/2 forgets what is still to be sent on a
    /// stream that is dropped. `told` says whether the peer knows that the connection as a whole has ended: if not,
    /// dropping the stream tells it, and only a server's dropping lets go out what was sent before.
    pub(crate) async fn settle(&mut self, told: bool) {
        let side = self.side;
        let rest = async { while matches!(self.next().await, Ok(Some(_))) {} };
        match (told, side) {
            (true, _) => rest.await,
            (false, Side::Server) => {}
            (false, Side::Agent) => drop(tokio::time::timeout(LINGER, rest).await),
        }
    }
}

/// Writes a lane.
#[derive(Debug)]
pub(crate) struct LaneWriter {
    side: Side,
    to: Outgoing,
    ended: Option<Carried>,
    said: Packets,
}

impl LaneWriter {
    pub(crate) async fn send(&mut self, bytes: Bytes) -> Result<(), Refused> {
        // For all of a read, or else a window with a few bytes left would let one more of them wait here.
        let room = bytes.len().min(READ_BYTES);
        let has_room = poll_fn(|cx| match self.to.with(|to| poll_room(to, room, cx)) {
            Ok(polled) => polled.map_err(|_| Refused),
            Err(_) => Poll::Ready(Err(Refused)),
        });
        has_room.await?;
        self.send_data(bytes, false)?;
        self.said.count_one(Packet::DATA);
        Ok(())
    }

    pub(crate) fn finish(&mut self) -> Result<Carried, Refused> {
        self.ended = Some(Carried::Half);
        self.send_data(Bytes::new(), true).map(|()| Carried::Half)
    }

    fn send_data(&self, bytes: Bytes, last: bool) -> Result<(), Refused> {
        self.to.with(|to| to.send_data(bytes, last)).flatten().map_err(|_| Refused)
    }

    pub(crate) fn close(&mut self, end: &End) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(Carried::Whole);
        match self.to.with(|to| to.send_trailers(trailers(end))).flatten() {
            Ok(()) => self.said.count_one(close_of(self.side)),
            Err(error) => tracing::debug!(%error, "a lane was gone before its end was told"),
        }
    }

    /// Whether the peer knows that the connection as a whole has ended.
    pub(crate) fn told_end(&self) -> bool {
        self.ended == Some(Carried::Whole)
    }
}

fn trailers(end: &End) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    match end {
        End::Closed => drop(trailers.insert(END, HeaderValue::from_static("closed"))),
        End::Reset(reason) => {
            trailers.insert(END, HeaderValue::from_static("reset"));
            let reason = percent_encoding::utf8_percent_encode(reason, percent_encoding::CONTROLS).to_string();
            if let Ok(reason) = HeaderValue::try_from(reason) {
                trailers.insert(REASON, reason);
            }
        }
    }
    trailers
}

fn end_in(trailers: &HeaderMap) -> End {
    if trailers.get(END).is_none_or(|end| end != "reset") {
        return End::Closed;
    }
    let reason = trailers.get(REASON).map(HeaderValue::as_bytes).unwrap_or_default();
    let reason = percent_encoding::percent_decode(reason).decode_utf8_lossy().into_owned();
    End::Reset(if reason.is_empty() { "connection reset".into() } else { reason })
}

fn broken(error: &h2::Error) -> End {
    End::Reset(format!("the tunnel broke: {}", words(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_read_back() {
        for end in [End::Closed, End::Reset("read: connection reset by peer\u{1}é".into())] {
            assert_eq!(end_in(&trailers(&end)), end);
        }
    }
}
