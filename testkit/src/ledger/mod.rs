//! The ledgers of all members, joined into walks: which hops each request took, as both ends of each saw it.

mod book;
mod filter;
mod folder;
mod hop;
mod walk;

pub use filter::Filter;
pub use hop::Hop;
pub use walk::{Step, Walk};

pub(crate) use folder::Reader;

use crate::cluster::ClusterError;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::ledger::Entry;
use tokio::time::Instant;

/// Longest wait for the lines of a walk: members write them a moment after it is over.
const SETTLE_SECONDS_MAX: u64 = 10;
/// How often the files are looked at meanwhile.
const LOOK_MILLIS: u64 = 10;

/// The ledgers of a cluster's members.
#[derive(Debug)]
pub struct Ledger {
    reader: Mutex<Reader>,
}

impl Ledger {
    pub(crate) fn of(folder: PathBuf) -> Self {
        Self { reader: Mutex::new(Reader::of(folder)) }
    }

    /// Every hop that a member has written down so far, of either end, member by member in the order of their beginnings.
    ///
    /// # Errors
    /// When a ledger can't be read.
    pub fn entries(&self) -> Result<Vec<Entry>, ClusterError> {
        let mut reader = self.read();
        reader.fetch()?;
        Ok(reader.book().entries().to_vec())
    }

    /// The walks of all requests so far that a filter lets through, in the order in which they came.
    ///
    /// # Errors
    /// When a ledger can't be read.
    pub fn walks(&self, filter: &Filter) -> Result<Vec<Walk>, ClusterError> {
        let mut reader = self.read();
        reader.fetch()?;
        let book = reader.book();
        let walks = book.requests().into_iter().filter_map(|ticket| book.walk(ticket));
        Ok(walks.filter(|walk| filter.admits(walk)).collect())
    }

    /// The walk of the request with this `Audit-ID`, once it is over and both ends of every hop have written it down; as
    /// it is at the deadline, 10 s from now, where that does not come.
    ///
    /// # Errors
    /// When a ledger can't be read, or nothing is known of the request at the deadline.
    pub async fn of_ticket(&self, ticket: &str) -> Result<Walk, ClusterError> {
        self.settled(|reader| reader.book().walk(ticket), &format!("the walk of {ticket}")).await
    }

    /// As [`Ledger::of_ticket`], of the newest request that a filter lets through.
    ///
    /// # Errors
    /// As [`Ledger::of_ticket`].
    pub async fn newest(&self, filter: &Filter) -> Result<Walk, ClusterError> {
        let found = |reader: &Reader| {
            let book = reader.book();
            let walks = book.requests().into_iter().rev().filter_map(|ticket| book.walk(ticket));
            walks.into_iter().find(|walk| filter.admits(walk))
        };
        self.settled(found, &format!("the walk of {filter}")).await
    }

    async fn settled(&self, find: impl Fn(&Reader) -> Option<Walk>, what: &str) -> Result<Walk, ClusterError> {
        let until = Instant::now() + Duration::from_secs(SETTLE_SECONDS_MAX);
        loop {
            let found = {
                let mut reader = self.read();
                reader.fetch()?;
                find(&reader)
            };
            let late = Instant::now() >= until;
            match found {
                Some(walk) if late || walk.is_settled() => return Ok(walk),
                None if late => {
                    let (what, last) = (what.to_owned(), "no such request is written down".to_owned());
                    return Err(ClusterError::Deadline { what, seconds: SETTLE_SECONDS_MAX, last });
                }
                _ => Clock::system().sleep(Duration::from_millis(LOOK_MILLIS)).await,
            }
        }
    }

    fn read(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
