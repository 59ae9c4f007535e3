//! The leg that is an HTTP/2 stream of its own: how connections travel between our server and our agent.
//!
//! The stream's window is the connection's, its end is a half close, and trailers say how the connection ended as a
//! whole: they come after the last byte, where a reset of the stream would overtake it.

use super::leg::{Leg, Reader, Writer};
use super::pump::LINGER;
use super::shared::Side;
use super::{Carried, End, Refused};
use bytes::Bytes;
use h2::{RecvStream, SendStream};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tinyplane_konnectivity_client::link::READ_BYTES;
use tinyplane_konnectivity_client::stream::{poll_bytes, poll_room};

/// How the connection ended: `closed`, or `reset` with the reason.
const END: HeaderName = HeaderName::from_static("tinyplane-end");
const REASON: HeaderName = HeaderName::from_static("tinyplane-reason");

/// The leg of a stream.
pub(crate) fn lane(side: Side, to: SendStream<Bytes>, from: RecvStream) -> Leg {
    let to = Outgoing(Arc::new(Mutex::new(to)));
    let reader = LaneReader { side, from, watch: to.clone() };
    Leg { reader: Reader::Lane(reader), writer: Writer::Lane(LaneWriter { to, ended: None }) }
}

/// The sending side, which also tells of resets. Both users of it are polled by one task.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing(Arc<Mutex<SendStream<Bytes>>>);

impl Outgoing {
    fn stream(&self) -> MutexGuard<'_, SendStream<Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the peer gives up the stream.
    pub(crate) async fn reset(&self) -> End {
        match poll_fn(|cx| self.stream().poll_reset(cx)).await {
            Ok(h2::Reason::NO_ERROR | h2::Reason::CANCEL) => End::Closed,
            Ok(reason) => End::Reset(reason.description().to_owned()),
            Err(error) => broken(&error),
        }
    }
}

/// Reads a lane.
#[derive(Debug)]
pub(crate) struct LaneReader {
    side: Side,
    from: RecvStream,
    watch: Outgoing,
}

impl LaneReader {
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, End> {
        loop {
            match poll_fn(|cx| poll_bytes(&mut self.from, cx)).await {
                Ok(Some(bytes)) if bytes.is_empty() => {}
                Ok(Some(bytes)) => return Ok(Some(bytes)),
                Ok(None) => break,
                Err(error) => return Err(broken(&error)),
            }
        }
        match self.from.trailers().await {
            Ok(Some(trailers)) => Err(end_in(&trailers)),
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
    to: Outgoing,
    ended: Option<Carried>,
}

impl LaneWriter {
    pub(crate) async fn send(&mut self, bytes: Bytes) -> Result<(), Refused> {
        // For all of a read, or else a window with a few bytes left would let one more of them wait here.
        let room = bytes.len().min(READ_BYTES);
        poll_fn(|cx| poll_room(&mut self.to.stream(), room, cx)).await.map_err(|_| Refused)?;
        self.to.stream().send_data(bytes, false).map_err(|_| Refused)
    }

    pub(crate) fn finish(&mut self) -> Result<Carried, Refused> {
        self.ended = Some(Carried::Half);
        self.to.stream().send_data(Bytes::new(), true).map(|()| Carried::Half).map_err(|_| Refused)
    }

    pub(crate) fn close(&mut self, end: &End) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(Carried::Whole);
        if let Err(error) = self.to.stream().send_trailers(trailers(end)) {
            tracing::debug!(%error, "a lane was gone before its end was told");
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
    End::Reset(format!("the tunnel broke: {error}"))
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
