//! Bytes under keys at revisions, and the story of their changes. Knows nothing of HTTP, kinds or encodings.

pub mod contract;
pub mod durable;
pub mod entry;
pub mod forms;
mod held;
pub mod limits;
pub mod measured;
pub mod memory;
pub mod sled;
pub mod snapshot;
pub mod watchers;

pub use self::sled::{OpenError, check};

mod journal;
mod log;
mod published;
mod stage;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod fault;
