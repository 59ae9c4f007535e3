//! A container's log: the last lines that its main program wrote, with their times, and clients attached to it.

use crate::runtime::io::{LogOptions, LogStream};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tinyplane_wire::clock::{Clock, format_nanos};
use tokio::sync::{Notify, mpsc};

/// Bytes of one container's log; the oldest lines go first. Upstream rotates at the same size.
pub(crate) const LOG_BYTES_MAX: usize = 10 << 20;
/// A line longer than this is kept in pieces, as CRI does.
const LINE_BYTES_MAX: usize = 16 << 10;
/// What a line counts beside its bytes.
const LINE_OVERHEAD_BYTES: usize = 64;
/// Pieces that wait for an attached client before the program waits.
const ATTACHED_PIECES_MAX: usize = 64;
/// Bytes of one piece of a log stream.
const PIECE_BYTES_MAX: usize = 32 << 10;

#[derive(Debug)]
struct Line {
    at: SystemTime,
    /// With its newline, unless a piece of a longer line.
    bytes: Bytes,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Line>,
    /// The number of the first line kept.
    first: u64,
    bytes: usize,
    partial: [BytesMut; 2],
    attached: Vec<mpsc::Sender<(usize, Bytes)>>,
    closed: bool,
}

/// The log of one container.
#[derive(Debug)]
pub(crate) struct Log {
    state: Mutex<State>,
    changed: Notify,
    clock: Clock,
}

/// One of the two streams that end in a log.
#[derive(Clone, Debug)]
pub(crate) struct LogSink {
    log: Arc<Log>,
    stream: usize,
}

impl LogSink {
    pub(crate) async fn write(&self, data: &[u8]) {
        let attached = self.log.append(self.stream, data);
        if !attached.is_empty() {
            let piece = Bytes::copy_from_slice(data);
            for client in attached {
                // A client that is gone is dropped at the next append.
                let _ = client.send((self.stream, piece.clone())).await;
            }
        }
    }
}

impl Log {
    pub(crate) fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), changed: Notify::new(), clock })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stdout(self: &Arc<Self>) -> LogSink {
        LogSink { log: self.clone(), stream: 0 }
    }

    pub(crate) fn stderr(self: &Arc<Self>) -> LogSink {
        LogSink { log: self.clone(), stream: 1 }
    }

    fn append(&self, stream: usize, mut data: &[u8]) -> Vec<mpsc::Sender<(usize, Bytes)>> {
        let now = self.clock.now();
        let mut state = self.lock();
        if state.closed {
            return Vec::new();
        }
        while !data.is_empty() {
            let room = LINE_BYTES_MAX.saturating_sub(state.partial[stream].len()).max(1);
            let newline = data.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let length = newline.unwrap_or(data.len()).min(room);
            state.partial[stream].extend_from_slice(&data[..length]);
            data = &data[length..];
            if newline == Some(length) || state.partial[stream].len() >= LINE_BYTES_MAX {
                state.flush(stream, now);
            }
        }
        state.attached.retain(|client| !client.is_closed());
        let attached = state.attached.clone();
        drop(state);
        self.changed.notify_waiters();
        attached
    }

    /// Ends the log: followers end, attached clients too.
    pub(crate) fn close(&self) {
        let now = self.clock.now();
        let mut state = self.lock();
        for stream in 0..2 {
            if !state.partial[stream].is_empty() {
                state.flush(stream, now);
            }
        }
        state.closed = true;
        state.attached.clear();
        drop(state);
        self.changed.notify_waiters();
    }

    /// From now on, what is written, with 0 for output and 1 for errors.
    pub(crate) fn attach(&self) -> mpsc::Receiver<(usize, Bytes)> {
        let (sender, receiver) = mpsc::channel(ATTACHED_PIECES_MAX);
        let mut state = self.lock();
        if !state.closed {
            state.attached.push(sender);
        }
        receiver
    }

    /// The end of the log as text, at most so many lines and bytes: a termination message.
    pub(crate) fn tail(&self, lines_max: usize, bytes_max: usize) -> String {
        let state = self.lock();
        let skip = state.lines.len().saturating_sub(lines_max);
        let all: Vec<u8> = state.lines.iter().skip(skip).flat_map(|line| line.bytes.iter().copied()).collect();
        String::from_utf8_lossy(&all[all.len().saturating_sub(bytes_max)..]).into_owned()
    }

    /// Reads it.
    pub(crate) fn read(self: &Arc<Self>, options: LogOptions) -> LogStream {
        let next = self.lock().start(&options);
        let reader = Reader { log: self.clone(), next, left: options.bytes_max, options };
        Box::pin(futures_util::stream::unfold(reader, |mut reader| async move {
            reader.next_piece().await.map(|piece| (piece, reader))
        }))
    }
}

impl State {
    fn flush(&mut self, stream: usize, at: SystemTime) {
        let bytes = self.partial[stream].split().freeze();
        self.bytes += bytes.len() + LINE_OVERHEAD_BYTES;
        self.lines.push_back(Line { at, bytes });
        while self.bytes > LOG_BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.bytes.len() + LINE_OVERHEAD_BYTES;
            self.first += 1;
        }
    }

    /// The number of the first line that is asked for.
    fn start(&self, options: &LogOptions) -> u64 {
        let end = self.first + self.lines.len() as u64;
        let tail = options.tail_lines.map_or(self.first, |lines| self.first.max(end.saturating_sub(lines)));
        match options.since {
            Some(since) => {
                let before = self.lines.iter().take_while(|line| line.at < since).count() as u64;
                tail.max(self.first + before)
            }
            None => tail,
        }
    }
}

struct Reader {
    log: Arc<Log>,
    next: u64,
    left: Option<u64>,
    options: LogOptions,
}

impl Reader {
    async fn next_piece(&mut self) -> Option<Bytes> {
        if self.left == Some(0) {
            return None;
        }
        let log = self.log.clone();
        loop {
            let changed = log.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let state = log.lock();
                let piece = self.gather(&state);
                if !piece.is_empty() {
                    return Some(self.cut(piece));
                }
                if state.closed || !self.options.follow {
                    return None;
                }
            }
            changed.await;
        }
    }

    fn gather(&mut self, state: &State) -> BytesMut {
        let mut piece = BytesMut::new();
        let skip = self.next.saturating_sub(state.first);
        self.next = self.next.max(state.first);
        for line in state.lines.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX)) {
            self.next += 1;
            if self.options.since.is_some_and(|since| line.at < since) {
                continue;
            }
            if self.options.timestamps {
                piece.extend_from_slice(format_nanos(line.at).as_bytes());
                piece.extend_from_slice(b" ");
            }
            piece.extend_from_slice(&line.bytes);
            if piece.len() >= PIECE_BYTES_MAX {
                break;
            }
        }
        piece
    }

    fn cut(&mut self, mut piece: BytesMut) -> Bytes {
        if let Some(left) = &mut self.left {
            piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= piece.len() as u64;
        }
        piece.freeze()
    }
}
