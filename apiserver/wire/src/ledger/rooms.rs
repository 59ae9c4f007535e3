//! Where lines wait for the writer: several rooms, each for some of the threads, which so hardly ever stand in each other's way.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const ROOMS: usize = 16;
/// Lines that wait in a room, in bytes. Further ones are lost, and that is told.
const WAITING_BYTES_MAX: usize = 512 << 10;
/// How long lines may wait, so that many are written at once (each turn of the writer takes a processor from a member's tasks), and
/// few enough that they are still in the processor's cache.
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
    /// A room is half full: the writer is not to linger.
    hurries: AtomicBool,
    ended: AtomicBool,
}

/// Two rooms never share what processors hand each other at once.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Room(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Room for those that come while these are written.
    spare: Vec<u8>,
    lost: u64,
}

impl Rooms {
    /// Puts a line into the thread's room, unless that is full.
    pub(super) fn put(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let is_filling = {
            let mut waiting = self.rooms[own()].lock();
            let before = waiting.lines.len();
            if before >= WAITING_BYTES_MAX {
                waiting.lost += 1;
                return;
            }
            write(&mut waiting.lines);
            (before..waiting.lines.len()).contains(&(WAITING_BYTES_MAX / 2))
        };
        if is_filling {
            self.hurries.store(true, Ordering::Relaxed);
            self.ring();
        }
        // Who has looked into the room before the line was there has said before that it sleeps.
        if self.sleeps.load(Ordering::Relaxed) {
            self.ring();
        }
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
        let has_time = |bell: &mut ()| goes_on(bell) && !self.hurries.load(Ordering::Relaxed);
        drop(self.rung.wait_timeout_while(bell, LINGER, has_time));
        self.hurries.store(false, Ordering::Relaxed);
        goes_on(&mut ())
    }

    /// Hands out what waits. Gives how many lines were lost.
    pub(super) fn empty(&self, mut write: impl FnMut(&[u8])) -> u64 {
        let mut lost = 0;
        for room in &self.rooms {
            let mut lines = {
                let mut waiting = room.lock();
                lost += std::mem::take(&mut waiting.lost);
                let spare = std::mem::take(&mut waiting.spare);
                std::mem::replace(&mut waiting.lines, spare)
            };
            write(&lines);
            if lines.capacity() <= KEPT_BYTES_MAX {
                lines.clear();
                room.lock().spare = lines;
            }
        }
        lost
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
