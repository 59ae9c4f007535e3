//! Where lines wait until they are written: several rooms, each for some of the threads, which so hardly ever stand in each
//! other's way.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const ROOMS: usize = 16;
/// Lines that wait in a room, in bytes. Further ones are lost, and that is told.
const WAITING_BYTES_MAX: usize = 512 << 10;
/// A room with so many bytes is emptied by the thread that fills it: they are in the cache of its processor, and stay there
/// for the next ones. To take them from there and to give the room back costs more than to write them.
const MUCH_BYTES: usize = 32 << 10;
/// How long lines may wait, so that many are written at once: each turn of the writer takes a processor from a member's tasks.
/// They wait twice as long in a room that a thread has just emptied.
const LINGER: Duration = Duration::from_millis(15);
/// What a room keeps for further lines once it is empty, in bytes.
const KEPT_BYTES_MAX: usize = 256 << 10;

/// All of them. An order there is within a thread's lines alone.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    rooms: [Room; ROOMS],
    bell: Mutex<()>,
    rung: Condvar,
    /// The writer waits for the bell.
    sleeps: AtomicBool,
    ended: AtomicBool,
}

/// Two rooms never share what processors hand each other at once.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Room(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    lost: u64,
    /// A thread has emptied it since the writer looked, and will again: the writer lets it be for a turn.
    is_kept_empty: bool,
}

impl Rooms {
    /// Puts a line into the thread's room, unless that is full. Gives the room, when it is to be emptied.
    pub(super) fn put(&self, write: impl FnOnce(&mut Vec<u8>)) -> Option<&Room> {
        let room = &self.rooms[own()];
        let holds_much = {
            let mut waiting = room.lock();
            if waiting.lines.len() >= WAITING_BYTES_MAX {
                waiting.lost += 1;
                return Some(room);
            }
            write(&mut waiting.lines);
            waiting.lines.len() >= MUCH_BYTES
        };
        // Who has looked into the room before the line was there has said before that it sleeps.
        if self.sleeps.load(Ordering::Relaxed) {
            self.ring();
        }
        holds_much.then_some(room)
    }

    /// Waits until there is something, and then for more. False when that was the end.
    pub(super) fn wait(&self) -> bool {
        let mut bell = self.bell.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = |_: &mut ()| !self.ended.load(Ordering::Relaxed);
        loop {
            self.sleeps.store(true, Ordering::Relaxed);
            if !goes_on(&mut ()) || self.rooms.iter().any(|room| !room.lock().lines.is_empty()) {
                break;
            }
            bell = self.rung.wait(bell).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleeps.store(false, Ordering::Relaxed);
        drop(self.rung.wait_timeout_while(bell, LINGER, goes_on));
        goes_on(&mut ())
    }

    /// All rooms.
    pub(super) fn all(&self) -> impl Iterator<Item = &Room> {
        self.rooms.iter()
    }

    /// Those whose lines have waited for long enough.
    pub(super) fn left_alone(&self) -> impl Iterator<Item = &Room> {
        self.rooms.iter().filter(|room| !std::mem::take(&mut room.lock().is_kept_empty))
    }

    /// Nothing more comes.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.ring();
    }

    fn ring(&self) {
        // Between its last look and its sleep the writer holds the bell.
        drop(self.bell.lock().unwrap_or_else(PoisonError::into_inner));
        self.rung.notify_one();
    }
}

impl Room {
    /// Hands out what waits. Gives how many lines were lost.
    pub(super) fn empty(&self, write: impl FnOnce(&[u8])) -> u64 {
        let (mut lines, lost) = {
            let mut waiting = self.lock();
            (std::mem::take(&mut waiting.lines), std::mem::take(&mut waiting.lost))
        };
        write(&lines);
        lines.clear();
        let mut waiting = self.lock();
        // The same bytes of memory again, which the processor has at hand.
        if waiting.lines.capacity() == 0 && lines.capacity() <= KEPT_BYTES_MAX {
            waiting.lines = lines;
        }
        lost
    }

    /// The writer is to pass it over at its next turn.
    pub(super) fn leave_alone(&self) {
        self.lock().is_kept_empty = true;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The room of this thread.
fn own() -> usize {
    thread_local! {
        static OWN: usize = {
            let mut hash = DefaultHasher::new();
            std::thread::current().id().hash(&mut hash);
            usize::try_from(hash.finish() % ROOMS as u64).unwrap_or_default()
        };
    }
    OWN.with(|own| *own)
}
