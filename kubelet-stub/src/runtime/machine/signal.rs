//! Signals to a program: what each one does to it, and which one ended it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

pub(crate) const HANGUP: i32 = 1;
pub(crate) const INTERRUPT: i32 = 2;
pub(crate) const KILL: i32 = 9;
pub(crate) const TERMINATE: i32 = 15;

const NAMES: &[(&str, i32)] = &[
    ("HUP", HANGUP),
    ("INT", INTERRUPT),
    ("QUIT", 3),
    ("ABRT", 6),
    ("KILL", KILL),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", TERMINATE),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("WINCH", 28),
];

/// `TERM`, `SIGTERM` or `15`.
pub(crate) fn signal_number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (0..=64).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    NAMES.iter().find(|(name, _)| *name == bare).map(|(_, number)| *number)
}

/// A signal's name without `SIG`.
pub(crate) fn signal_name(number: i32) -> Option<&'static str> {
    NAMES.iter().find(|(_, known)| *known == number).map(|(name, _)| *name)
}

/// What a signal does other than by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    Ignored,
    /// It waits until the program takes it.
    Caught,
}

#[derive(Debug, Default)]
struct State {
    dispositions: BTreeMap<i32, Disposition>,
    pending: Vec<i32>,
    fatal: Option<i32>,
}

/// One program's signals.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    state: Mutex<State>,
    changed: Notify,
}

impl Signals {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a signal.
    pub(crate) fn send(&self, signal: i32) {
        {
            let mut state = self.lock();
            let disposition = state.dispositions.get(&signal).copied().filter(|_| signal != KILL);
            match disposition {
                Some(Disposition::Ignored) => return,
                Some(Disposition::Caught) => {
                    if !state.pending.contains(&signal) {
                        state.pending.push(signal);
                    }
                }
                // By default these are ignored, and stopping is not modelled.
                None if matches!(signal, 0 | 17 | 18 | 19 | 28) => return,
                None => {
                    state.fatal = Some(if state.fatal == Some(KILL) { KILL } else { signal });
                }
            }
        }
        self.changed.notify_waiters();
    }

    /// Says what a signal does from now on; `None`: the default.
    pub(crate) fn set(&self, signal: i32, disposition: Option<Disposition>) {
        let mut state = self.lock();
        match disposition {
            Some(disposition) => state.dispositions.insert(signal, disposition),
            None => state.dispositions.remove(&signal),
        };
    }

    /// The next caught signal that was not taken yet.
    pub(crate) fn take(&self) -> Option<i32> {
        let mut state = self.lock();
        if state.pending.is_empty() { None } else { Some(state.pending.remove(0)) }
    }

    /// Waits for a signal that ends the program.
    pub(crate) async fn fatal(&self) -> i32 {
        self.until(|state| state.fatal).await
    }

    /// Waits until a caught signal is there to be taken.
    pub(crate) async fn caught(&self) {
        self.until(|state| (!state.pending.is_empty()).then_some(())).await;
    }

    async fn until<T>(&self, found: impl Fn(&State) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(value) = found(&self.lock()) {
                return value;
            }
            changed.await;
        }
    }
}
