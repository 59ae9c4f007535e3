//! Who has yet to notice that faults came or went: whatever is under way on the links.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Longest wait for one that is held up elsewhere, such as by an end that takes nothing.
const NOTICED_TIMEOUT: Duration = Duration::from_secs(1);

/// All that is under way.
#[derive(Debug, Default)]
pub(super) struct Riders {
    state: Mutex<State>,
    /// Told at each look, and when one is gone.
    looked: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    /// The change that each of them saw last.
    seen: HashMap<u64, u64>,
}

/// Something under way that meets faults: a connection that is coming to be, or one direction of one that is carried.
#[derive(Debug)]
pub(crate) struct Rider {
    riders: Arc<Riders>,
    number: u64,
    /// What it saw last, for the many looks that see nothing new.
    seen: AtomicU64,
}

impl Riders {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that has seen nothing so far.
    pub(super) fn mount(self: &Arc<Self>) -> Rider {
        let mut state = self.state();
        state.last += 1;
        let number = state.last;
        state.seen.insert(number, 0);
        Rider { riders: Arc::clone(self), number, seen: AtomicU64::new(0) }
    }

    /// Waits until everybody has seen a change, or is gone.
    pub(super) async fn noticed(&self, change: u64) {
        let mut looked = self.looked.subscribe();
        let all =
            async { while self.state().seen.values().any(|seen| *seen < change) && looked.changed().await.is_ok() {} };
        if tokio::time::timeout(NOTICED_TIMEOUT, all).await.is_err() {
            tracing::debug!("a connection is held up, and will see later that the faults have changed");
        }
    }
}

impl Rider {
    /// Notes that it has seen a change, and been bitten by what came by it.
    pub(crate) fn saw(&self, change: u64) {
        if self.seen.swap(change, Ordering::Relaxed) != change {
            self.riders.state().seen.insert(self.number, change);
            self.riders.looked.send_replace(());
        }
    }

    /// Nothing of it is under way any more.
    pub(crate) fn dismount(&self) {
        self.riders.state().seen.remove(&self.number);
        self.riders.looked.send_replace(());
    }
}

impl Drop for Rider {
    fn drop(&mut self) {
        self.dismount();
    }
}
