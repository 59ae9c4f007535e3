//! Moves bytes between two legs until the connection has ended on both.

use super::leg::{Leg, Reader, Writer};
use super::{Carried, End, Refused};
use crate::metrics::Histogram;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long bytes that were sent before a break may take to be delivered.
pub(super) const LINGER: Duration = Duration::from_secs(10);

/// Why one direction stopped.
#[derive(Debug)]
enum Stop {
    /// It ended, and the other goes on.
    Half,
    /// The connection ended as a whole.
    Ended(End),
    /// Its target takes no more.
    Refused,
}

/// How many bytes a connection has carried: from the front to the back, and from there to the front.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    up: AtomicU64,
    down: AtomicU64,
}

impl Moved {
    /// Up and down.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.up.load(Ordering::Relaxed), self.down.load(Ordering::Relaxed))
    }
}

/// Carries a connection to its end. Data that was sent before a close is delivered before it; a break is passed on.
pub(crate) async fn pump(front: &mut Leg, back: &mut Leg, moved: &Moved) -> End {
    pump_timed(front, back, None, moved).await
}

/// As [`pump`], and measures how long writes to the front take.
pub(crate) async fn pump_timed(front: &mut Leg, back: &mut Leg, writes: Option<&Histogram>, moved: &Moved) -> End {
    let watched = (front.reader.watch(), back.reader.watch());
    let end = {
        let mut both = pin!(both_directions(front, back, writes, moved));
        let reset = async {
            tokio::select! {
                reset = watched.0.reset() => reset,
                reset = watched.1.reset() => reset,
            }
        };
        tokio::select! {
            biased;
            end = &mut both => end,
            reset = reset => tokio::time::timeout(LINGER, both).await.unwrap_or(reset),
        }
    };
    drop(watched);
    front.writer.close(&end).await;
    back.writer.close(&end).await;
    end
}

async fn both_directions(front: &mut Leg, back: &mut Leg, writes: Option<&Histogram>, moved: &Moved) -> End {
    let mut up = pin!(carry(&mut front.reader, &mut back.writer, None, &moved.up));
    let mut down = pin!(carry(&mut back.reader, &mut front.writer, writes, &moved.down));
    tokio::select! {
        (stop, reader) = &mut up => rest(stop, reader, down).await,
        (stop, reader) = &mut down => rest(stop, reader, up).await,
    }
}

/// After the first direction stopped.
async fn rest<'a>(first: Stop, reader: &mut Reader, other: impl Future<Output = (Stop, &'a mut Reader)>) -> End {
    match first {
        Stop::Ended(end) => end,
        Stop::Half => tokio::select! {
            biased;
            (second, _) = other => match second {
                Stop::Ended(end) => end,
                Stop::Half | Stop::Refused => End::Closed,
            },
            end = reader.gone() => end,
        },
        // What the refusing side sent before is still to be delivered, and its reader knows why it refused.
        Stop::Refused => match tokio::time::timeout(LINGER, other).await {
            Ok((Stop::Ended(end), _)) => end,
            Ok((Stop::Half | Stop::Refused, _)) => End::Closed,
            Err(_) => End::Reset("the connection was closed at one end".into()),
        },
    }
}

async fn carry<'a>(
    reader: &'a mut Reader,
    writer: &mut Writer,
    writes: Option<&Histogram>,
    moved: &AtomicU64,
) -> (Stop, &'a mut Reader) {
    let stop = loop {
        match reader.next().await {
            Ok(Some(bytes)) => {
                moved.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                let began = writes.map(|_| Instant::now());
                let sent = writer.send(bytes).await;
                if let (Some(writes), Some(began)) = (writes, began) {
                    writes.observe(began.elapsed());
                }
                if let Err(Refused) = sent {
                    break Stop::Refused;
                }
            }
            Ok(None) => match writer.finish().await {
                Ok(Carried::Half) => break Stop::Half,
                Ok(Carried::Whole) => break Stop::Ended(End::Closed),
                Err(Refused) => break Stop::Refused,
            },
            Err(end) => break Stop::Ended(end),
        }
    };
    (stop, reader)
}
