//! One direction of a relayed connection: bytes from one end to the other, through the faults that it meets.

use crate::fault::{Direction, Kind, Meeting, Met, Placed, Rider};
use bytes::{Buf, Bytes};
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

/// Bytes that one read takes at most.
const PIECE_BYTES_MAX: usize = 16 << 10;
/// Bytes that are under way in one direction at most.
const QUEUE_BYTES_MAX: usize = 1 << 20;
/// A narrow link lets as many bytes go at once as pass in this time.
const BANDWIDTH_STEP: Duration = Duration::from_millis(20);

/// How a direction ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// One end had no more to say, and the other was told.
    Closed,
    /// An end is gone.
    Broken,
    /// A fault reset it: towards one end, or both.
    Reset(Option<Direction>),
}

/// Bytes under way; none mean the end.
struct Piece {
    due: Instant,
    bytes: Bytes,
}

/// What a fault draws for this direction.
struct Draws {
    random: StdRng,
    /// Bytes until the next one that is changed.
    until_change: u64,
}

/// One direction.
pub(super) struct Pump<'a, R, W> {
    from: &'a mut R,
    to: &'a mut W,
    meeting: Meeting,
    rider: &'a Rider,
    /// The change by which the faults came that are met.
    change: u64,
    direction: Direction,
    /// Keeps what passes, where somebody reads along.
    reader: Option<Arc<Placed>>,
    met: Met,
    /// What is met in the other direction.
    back: Met,
    draws: BTreeMap<u64, Draws>,
    queue: VecDeque<Piece>,
    queued: usize,
    taken: u64,
    passed: u64,
    /// When the link is wide enough for the next piece.
    wide_at: Instant,
    unflushed: bool,
    /// Nothing more comes.
    end_taken: bool,
    /// It ended with an error.
    broken: bool,
    /// The other end is gone, which nobody is to be told.
    lost: bool,
    /// The fault that holds up what is under way, by its number.
    held_by: Option<u64>,
}

/// What there is to be done next.
enum Step {
    Changed,
    Read(io::Result<usize>),
    Written(io::Result<usize>),
    Flushed(io::Result<()>),
}

impl<'a, R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Pump<'a, R, W> {
    pub(super) fn new(
        from: &'a mut R,
        to: &'a mut W,
        (meeting, rider): (Meeting, &'a Rider),
        direction: Direction,
        reader: Option<Arc<Placed>>,
    ) -> Self {
        Self {
            from,
            to,
            meeting,
            rider,
            change: 0,
            direction,
            reader,
            met: Met::default(),
            back: Met::default(),
            draws: BTreeMap::new(),
            queue: VecDeque::new(),
            queued: 0,
            taken: 0,
            passed: 0,
            wide_at: Instant::now(),
            unflushed: false,
            end_taken: false,
            broken: false,
            lost: false,
            held_by: None,
        }
    }

    /// Carries until an end is reached.
    pub(super) async fn run(mut self) -> Ended {
        let mut buffer = vec![0; PIECE_BYTES_MAX];
        self.look();
        loop {
            if let Some(ended) = self.ended().await {
                if matches!(ended, Ended::Closed) {
                    self.rider.dismount();
                }
                return ended;
            }
            self.rider.saw(self.change);
            match self.step(&mut buffer).await {
                Step::Changed => self.look(),
                Step::Read(Ok(0)) => self.take_end(false),
                Step::Read(Ok(bytes)) => self.take(&mut buffer[..bytes]),
                Step::Read(Err(error)) => self.take_end(error.kind() != io::ErrorKind::UnexpectedEof),
                Step::Written(Ok(bytes)) => self.passed(bytes),
                Step::Flushed(Ok(())) => self.unflushed = false,
                Step::Written(Err(_)) | Step::Flushed(Err(_)) => {
                    (self.lost, self.unflushed) = (true, false);
                }
            }
        }
    }

    fn look(&mut self) {
        ([self.met, self.back], self.change) = self.meeting.look(self.direction);
    }

    /// How it ends, where nothing is left to be done.
    async fn ended(&mut self) -> Option<Ended> {
        if let Some(reset) = self.met.first(self.passed, |kind| matches!(kind, Kind::Reset)) {
            reset.bit();
            return Some(Ended::Reset(reset.fault.towards));
        }
        let hides = |met: &Met| met.first(u64::MAX, |kind| matches!(kind, Kind::HalfOpen)).map(Arc::clone);
        if self.lost {
            if hides(&self.back).is_none() {
                return Some(Ended::Broken);
            }
            self.queue.clear();
            self.queued = 0;
        }
        let at_the_end = self.queue.front().is_some_and(|piece| piece.bytes.is_empty() && piece.due <= Instant::now());
        if !at_the_end || self.is_dark() {
            return None;
        }
        if let Some(half_open) = hides(&self.met) {
            self.held(&half_open);
            return None;
        }
        if self.broken || self.to.shutdown().await.is_err() {
            return Some(Ended::Broken);
        }
        Some(Ended::Closed)
    }

    /// Whether nothing passes now. What is under way then is held up, which counts once.
    fn is_dark(&mut self) -> bool {
        let Some(dark) = self.met.first(self.passed, |kind| matches!(kind, Kind::Blackhole)).map(Arc::clone) else {
            return false;
        };
        if !self.queue.is_empty() {
            self.held(&dark);
        }
        true
    }

    fn held(&mut self, by: &Placed) {
        if self.held_by.replace(by.id()) != Some(by.id()) {
            by.bit();
        }
    }

    async fn step(&mut self, buffer: &mut [u8]) -> Step {
        let dark = self.is_dark();
        let room = if dark { 1 } else { QUEUE_BYTES_MAX };
        let may_read = !self.end_taken && self.queued < room;
        let limit = self.met.room(self.taken).map_or(PIECE_BYTES_MAX, |room| PIECE_BYTES_MAX.min(as_size(room)));
        // An end that is due and still there is not to be told.
        let waits = |piece: &&Piece| dark || (piece.bytes.is_empty() && piece.due <= Instant::now());
        let next = self.queue.front().filter(|piece| !waits(piece));
        let next = next.map(|piece| (piece.due.max(self.wide_at), piece.bytes.slice(..self.piece(piece.bytes.len()))));
        let Self { from, to, meeting, unflushed, .. } = self;
        if *unflushed {
            return tokio::select! {
                () = meeting.changed() => Step::Changed,
                flushed = to.flush() => Step::Flushed(flushed),
            };
        }
        let write = async {
            match next {
                // The end of a connection is told in `ended`, when it is due.
                Some((due, bytes)) => {
                    tokio::time::sleep_until(due).await;
                    if bytes.is_empty() { Ok(0) } else { to.write(&bytes).await }
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = meeting.changed() => Step::Changed,
            written = write => Step::Written(written),
            read = from.read(&mut buffer[..limit]), if may_read => Step::Read(read),
        }
    }

    /// How many bytes of the next piece go at once.
    fn piece(&self, bytes: usize) -> usize {
        let room = self.met.room(self.passed).map_or(bytes, as_size);
        self.met.after(self.passed).fold(bytes.min(room), |least, placed| match placed.fault.kind {
            Kind::Slice { bytes } => least.min(bytes.max(1)),
            Kind::Bandwidth { bytes_per_second } => {
                least.min(as_size(bytes_per_second / per_second(BANDWIDTH_STEP)).max(1))
            }
            _ => least,
        })
    }

    /// Takes what was read, late and changed where it is to be so.
    fn take(&mut self, bytes: &mut [u8]) {
        if let Some(reader) = &self.reader {
            reader.overheard(bytes);
        }
        for placed in self.met.after(self.taken) {
            if let Kind::Corrupt { one_in_bytes } = placed.fault.kind {
                change(bytes, one_in_bytes, placed, drawn(&mut self.draws, &self.meeting, placed, one_in_bytes));
            }
        }
        let due = self.due(true);
        self.taken += bytes.len() as u64;
        self.queued += bytes.len();
        self.queue.push_back(Piece { due, bytes: Bytes::copy_from_slice(bytes) });
    }

    fn take_end(&mut self, broken: bool) {
        (self.end_taken, self.broken) = (true, broken);
        let due = self.due(false);
        self.queue.push_back(Piece { due, bytes: Bytes::new() });
    }

    /// When something that comes now is to go on: never before what came earlier.
    fn due(&mut self, counts: bool) -> Instant {
        let mut due = Instant::now();
        for placed in self.met.after(self.taken) {
            if let Kind::Latency { delay, jitter } = placed.fault.kind {
                let random = &mut drawn(&mut self.draws, &self.meeting, placed, 1).random;
                due += delay + jitter.mul_f64(random.random());
                if counts {
                    placed.bit();
                }
            }
        }
        self.queue.back().map_or(due, |last| due.max(last.due))
    }

    /// Takes note of what has been written.
    fn passed(&mut self, bytes: usize) {
        let Some(front) = self.queue.front_mut() else { return };
        if bytes == 0 {
            // Either the end, which `ended` sees now that it is due, or a stream that takes nothing any more.
            self.lost |= !front.bytes.is_empty();
            return;
        }
        front.bytes.advance(bytes);
        let cut = !front.bytes.is_empty();
        if !cut {
            self.queue.pop_front();
        }
        self.unflushed = true;
        self.queued -= bytes;
        let now = Instant::now();
        for placed in self.met.after(self.passed) {
            match placed.fault.kind {
                Kind::Slice { .. } if cut => placed.bit(),
                Kind::Bandwidth { bytes_per_second } => {
                    let takes = Duration::from_secs_f64(bytes as f64 / bytes_per_second.max(1) as f64);
                    self.wide_at = self.wide_at.max(now) + takes;
                    placed.bit();
                }
                _ => {}
            }
        }
        self.passed += bytes as u64;
        self.held_by = None;
    }
}

/// Turns bits over at places that are drawn.
fn change(bytes: &mut [u8], one_in: u64, placed: &Placed, draws: &mut Draws) {
    let length = bytes.len() as u64;
    while draws.until_change < length {
        bytes[as_size(draws.until_change)] ^= 1 << draws.random.random_range(0..8);
        placed.bit();
        draws.until_change += draws.random.random_range(1..=2 * one_in);
    }
    draws.until_change -= length;
}

fn drawn<'a>(all: &'a mut BTreeMap<u64, Draws>, meeting: &Meeting, placed: &Placed, one_in: u64) -> &'a mut Draws {
    all.entry(placed.id()).or_insert_with(|| {
        let mut random = meeting.draws(placed);
        let until_change = random.random_range(0..2 * one_in);
        Draws { random, until_change }
    })
}

fn as_size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn per_second(step: Duration) -> u64 {
    u64::try_from(Duration::from_secs(1).as_millis() / step.as_millis()).unwrap_or(1)
}
