//! The guard of a fault that was placed, and what it says when it heals.

use super::Board;
use std::sync::Arc;

/// A fault in force: dropped or healed, it is gone.
#[derive(Debug)]
#[must_use = "a fault that is dropped heals at once"]
pub struct Injected {
    board: Arc<Board>,
    id: u64,
}

impl Injected {
    pub(crate) fn new(board: Arc<Board>, id: u64) -> Self {
        Self { board, id }
    }

    /// How often it has bitten so far.
    #[must_use]
    pub fn times(&self) -> u64 {
        self.board.times(self.id)
    }

    /// Takes the fault away, and says what it did. No connection of the link feels it any more when this returns.
    pub async fn heal(self) -> Healed {
        let healed = self.board.heal(self.id).unwrap_or_else(|| Healed::new(0, String::new()));
        self.board.noticed().await;
        healed
    }
}

impl Drop for Injected {
    fn drop(&mut self) {
        self.board.heal(self.id);
    }
}

/// What a fault did while it was in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healed {
    times: u64,
    read: String,
}

impl Healed {
    pub(crate) const fn new(times: u64, read: String) -> Self {
        Self { times, read }
    }

    /// How often it bit: pieces that came late, connections that were reset or held up, bytes that were changed.
    #[must_use]
    pub const fn times(&self) -> u64 {
        self.times
    }

    /// What a man in the middle read, of both directions as it came by; at most 256 KiB.
    #[must_use]
    pub fn read(&self) -> &str {
        &self.read
    }

    /// # Panics
    /// When it bit less often: a fault that never fired proves nothing.
    #[track_caller]
    pub fn at_least(&self, times: u64) -> &Self {
        assert!(self.times >= times, "the fault bit {} times, and not {times} or more", self.times);
        self
    }
}
