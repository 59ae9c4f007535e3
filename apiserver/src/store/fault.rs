//! A disk that fails when a test says so: what was not synced is gone, as after a crash.

use super::journal::{Batch, Head, Journal, JournalError, Visit};
use std::sync::{Arc, Mutex, PoisonError};

/// What goes wrong at the next sync. From then on the disk answers nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The machine stops before anything of it has reached the disk.
    CrashBeforeSync,
    /// Everything has reached the disk, and the machine stops before anybody is told.
    CrashAfterSync,
    /// The disk reports an error.
    SyncError,
    /// The database panics.
    Panic,
}

/// A test's hand on a [`Lossy`] disk.
#[derive(Clone, Default)]
pub(super) struct Faults(Arc<Mutex<Option<Fault>>>);

impl Faults {
    pub(super) fn strike(&self, fault: Fault) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }

    fn next(&self) -> Option<Fault> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds back what was not synced, so that dropping it is a crash.
pub(super) struct Lossy<J> {
    inner: J,
    unsynced: Vec<Batch>,
    faults: Faults,
    dead: bool,
}

impl<J> Lossy<J> {
    pub(super) fn new(inner: J, faults: Faults) -> Self {
        Self { inner, unsynced: Vec::new(), faults, dead: false }
    }
}

impl<J: Journal> Journal for Lossy<J> {
    fn head(&self) -> Head {
        self.inner.head()
    }

    fn replay(&mut self, visit: &mut Visit<'_>) -> Result<(), JournalError> {
        self.inner.replay(visit)
    }

    fn append(&mut self, batch: Batch) -> Result<(), JournalError> {
        assert!(!self.dead, "nobody writes to a disk that has failed");
        self.unsynced.push(batch);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        let fault = self.faults.next();
        self.dead = fault.is_some();
        match fault {
            Some(Fault::CrashBeforeSync | Fault::SyncError) => {
                return Err(JournalError::Disk("the test pulled the plug".into()));
            }
            Some(Fault::Panic) => panic!("the test makes the database panic"),
            Some(Fault::CrashAfterSync) | None => {}
        }
        for batch in self.unsynced.drain(..) {
            self.inner.append(batch)?;
        }
        self.inner.sync()?;
        match fault {
            None => Ok(()),
            Some(_) => Err(JournalError::Disk("the test pulled the plug".into())),
        }
    }
}
