//! The ledger: what a member saw of each hop that a request took, lines of JSON in a file of the member's own.
//!
//! A hop has two ends. Who dials writes what it claims, who listens what it observed; the testkit joins the files of all
//! members by what the ends have in common: a ticket, the number of a dial, a source address. A connection is written down
//! before it is served, so that the line outlives a kill of the process, and once more when it has ended.

mod entry;
mod file;
mod hop;
mod reading;
mod request;
mod rooms;

pub use entry::{Entry, HostKey, Outcome, Tls, View};
pub use file::Ledger;
pub use hop::{Open, Recorded};
pub use reading::{Lines, read};
pub use request::{Asked, Origin};
