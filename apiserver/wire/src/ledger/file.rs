//! The file of a ledger, and who writes it: whoever has filled a room with lines, and a thread for those that have waited.

use super::entry::{Entry, Outcome, View};
use super::hop::Open;
use super::reading::put_aside;
use super::rooms::{Room, Rooms};
use crate::clock::Clock;
use crate::process::MemberError;
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::SystemTime;
use tracing::dispatcher;

/// A file that has become so large is put aside under its name and `.old`, in the place of an earlier one.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Appends hops to a file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Writing>);

#[derive(Debug)]
struct Writing {
    /// Sets the ids of one run apart from those of the next.
    run: u32,
    numbers: AtomicU64,
    desk: Arc<Desk>,
}

/// What the members' tasks and the writer share. The file is locked before a room.
#[derive(Debug)]
struct Desk {
    member: String,
    clock: Clock,
    rooms: Rooms,
    file: Mutex<Sink>,
}

#[derive(Debug)]
struct Sink {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Ledger {
    /// Appends to a file, which is made with its folder where it is missing.
    ///
    /// # Errors
    /// When it can't be written, or there is no thread for its writer.
    pub fn append_to(path: &Path, member: &str, clock: Clock) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = Mutex::new(Sink::open(path)?);
        let desk = Arc::new(Desk { member: member.to_owned(), clock, rooms: Rooms::default(), file });
        let (writer, log) = (Arc::clone(&desk), dispatcher::get_default(Clone::clone));
        std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || dispatcher::with_default(&log, || writer.write_on()))?;
        Ok(Self(Arc::new(Writing { run: rand::random(), numbers: AtomicU64::new(1), desk })))
    }

    /// The same, where a file is wished at all.
    ///
    /// # Errors
    /// As [`Ledger::append_to`], with the file's name.
    pub fn wished(path: Option<&Path>, member: &str, clock: &Clock) -> Result<Option<Self>, MemberError> {
        let told = |path: &Path| format!("the ledger {} can't be written", path.display());
        let open =
            |path: &Path| Self::append_to(path, member, clock.clone()).map_err(|e| MemberError::because(told(path), e));
        path.map(open).transpose()
    }

    /// A hop that begins now.
    #[must_use]
    pub fn entry(&self, view: View) -> Entry {
        let (member, id) = (self.0.desk.member.clone(), self.next_id());
        Entry { member, id, view, started: self.0.desk.clock.timestamp_micro(), ..Entry::default() }
    }

    /// A hop that begins now, of which something is known beforehand.
    #[must_use]
    pub fn entry_like(&self, known: &Entry) -> Entry {
        let (member, id) = (self.0.desk.member.clone(), self.next_id());
        Entry { member, id, started: self.0.desk.clock.timestamp_micro(), ..known.clone() }
    }

    /// Writes down that a hop has begun. The line is in the file when this returns, so that it outlives a kill of the
    /// process; the hop ends when what is given is dropped.
    #[must_use]
    pub fn open(&self, entry: Entry) -> Open {
        let mut line = Vec::with_capacity(512);
        if write_line(&mut line, &entry) {
            self.0.desk.write(&line);
        }
        Open::new(self.clone(), entry)
    }

    /// Writes down a hop, a moment later.
    pub fn note(&self, entry: &Entry) {
        self.put(|lines| {
            write_line(lines, entry);
        });
    }

    /// Writes down a hop that has ended now.
    pub fn end(&self, mut entry: Entry) {
        entry.ended = Some(self.0.desk.clock.timestamp_micro());
        self.note(&entry);
    }

    /// Waits until everything that was said is in the file.
    pub fn flush(&self) {
        self.0.desk.empty();
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.0.desk.clock.now()
    }

    fn next_id(&self) -> String {
        format!("{:08x}-{}", self.0.run, self.0.numbers.fetch_add(1, Ordering::Relaxed))
    }

    /// Puts a line into the thread's room, and writes what is there once it is much.
    pub(super) fn put(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let desk = &self.0.desk;
        if let Some(room) = desk.rooms.put(write) {
            desk.keep_empty(room);
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.desk.empty();
        self.desk.rooms.end();
    }
}

impl Desk {
    /// The writer's life.
    fn write_on(&self) {
        loop {
            let goes_on = self.rooms.wait();
            self.write_out(&mut self.sink(), self.rooms.left_alone());
            if !goes_on {
                return;
            }
        }
    }

    /// Writes what waits.
    fn empty(&self) {
        self.write_out(&mut self.sink(), self.rooms.all());
    }

    /// Writes what waits in a room, unless somebody writes just now: then it waits for the room's next line, or the writer.
    fn keep_empty(&self, room: &Room) {
        let mut sink = match self.file.try_lock() {
            Ok(sink) => sink,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        self.write_out(&mut sink, [room]);
        room.leave_alone();
    }

    fn write_out<'r>(&self, sink: &mut Sink, rooms: impl IntoIterator<Item = &'r Room>) {
        let lost: u64 = rooms.into_iter().map(|room| room.empty(|lines| sink.write(lines))).sum();
        if lost > 0 {
            tracing::error!(lost, "the ledger can't keep up: what it says is not all that was");
            sink.write(&self.told_lost(lost));
        }
    }

    fn sink(&self) -> MutexGuard<'_, Sink> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The line that stands for those that found no room.
    fn told_lost(&self, lost: u64) -> Vec<u8> {
        let why = Some(format!("{lost} lines found no room"));
        let (member, started) = (self.member.clone(), self.clock.timestamp_micro());
        let mut line = Vec::new();
        write_line(&mut line, &Entry { member, outcome: Outcome::Lost, why, started, ..Entry::default() });
        line
    }

    /// Writes a line at once.
    fn write(&self, line: &[u8]) {
        self.sink().write(line);
    }
}

impl Sink {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, bytes })
    }

    fn write(&mut self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        let written = self.turn_over().and_then(|()| self.file.write_all(lines));
        match written {
            Ok(()) => self.bytes += lines.len() as u64,
            Err(error) => tracing::error!(%error, "the ledger can't be written: what it says is not all that was"),
        }
    }

    /// Begins another file where this one has become too large.
    fn turn_over(&mut self) -> io::Result<()> {
        if self.bytes < FILE_BYTES_MAX {
            return Ok(());
        }
        std::fs::rename(&self.path, put_aside(&self.path))?;
        *self = Self::open(&self.path)?;
        Ok(())
    }
}

fn write_line(to: &mut Vec<u8>, entry: &impl Serialize) -> bool {
    let began = to.len();
    if let Err(error) = serde_json::to_writer(&mut *to, entry) {
        tracing::error!(%error, "a hop can't be written down");
        to.truncate(began);
        return false;
    }
    to.push(b'\n');
    true
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    #[test]
    fn hops_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep").join("kubelet.jsonl");
        assert!(read(&path).is_err());
        for outcome in [Outcome::Accepted, Outcome::Refused] {
            let ledger = Ledger::append_to(&path, "kubelet", Clock::system()).unwrap();
            let known = Entry { outcome, to: "127.86.4.1:10250".into(), ..ledger.entry(View::Observed) };
            let open = ledger.open(known);
            assert_eq!(read(&path).unwrap().last().unwrap().ended, None, "it is in the file before it ends");
            drop(open);
        }
        let hops = read(&path).unwrap();
        let told: Vec<_> = hops.iter().map(|hop| (hop.member.as_str(), hop.view, hop.outcome)).collect();
        let observed = View::Observed;
        assert_eq!(told, [("kubelet", observed, Outcome::Accepted), ("kubelet", observed, Outcome::Refused)]);
        assert!(hops.iter().all(|hop| hop.ended.is_some() && hop.listener().is_some()), "{hops:?}");
        assert_ne!(hops[0].id, hops[1].id, "a second run goes on with ids of its own");
        std::fs::write(&path, "{\n").unwrap();
        assert!(read(&path).is_err());
        std::fs::write(&path, "{").unwrap();
        assert_eq!(read(&path).unwrap(), [], "a line that is not whole yet is nobody's");
    }

    #[test]
    fn who_has_filled_a_room_writes_it_as_soon_as_nobody_else_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("apiserver.jsonl");
        let file = Mutex::new(Sink::open(&path).unwrap());
        let desk = Desk { member: "apiserver".into(), clock: Clock::system(), rooms: Rooms::default(), file };
        // There is no thread that writes.
        let ledger = Ledger(Arc::new(Writing { run: 1, numbers: AtomicU64::new(1), desk: Arc::new(desk) }));
        let note = || ledger.note(&Entry { to: "x".repeat(20 << 10), ..ledger.entry(View::Claimed) });
        note();
        assert_eq!(read(&path).unwrap(), []);
        note();
        assert_eq!(read(&path).unwrap().len(), 2);
        let held = ledger.0.desk.file.lock().unwrap();
        note();
        note();
        drop(held);
        assert_eq!(read(&path).unwrap().len(), 2, "somebody else wrote");
        note();
        assert_eq!(read(&path).unwrap().len(), 5);
    }

    #[test]
    fn what_finds_no_room_is_told_and_the_rest_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("apiserver.jsonl");
        let ledger = Ledger::append_to(&path, "apiserver", Clock::system()).unwrap();
        // While the file is held nothing is written.
        let held = ledger.0.desk.file.lock().unwrap();
        let entry = Entry { to: "x".repeat(64 << 10), ..ledger.entry(View::Claimed) };
        for _ in 0..80 {
            ledger.note(&Entry { id: ledger.next_id(), ..entry.clone() });
        }
        drop(held);
        drop(ledger);
        let hops = read(&path).unwrap();
        let lost: Vec<_> = hops.iter().filter(|hop| hop.outcome == Outcome::Lost).collect();
        assert_eq!(lost.len(), 1, "{} lines", hops.len());
        let count: usize = lost[0].why.as_deref().unwrap().split(' ').next().unwrap().parse().unwrap();
        assert_eq!(hops.len() - 1 + count, 80);
    }
}
