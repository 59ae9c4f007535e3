//! Bytes under keys at revisions, and the story of their changes. Knows nothing of HTTP, kinds or encodings.

pub mod contract;
pub mod entry;
pub mod forms;
pub mod limits;
pub mod memory;
pub mod snapshot;
pub mod watchers;

mod log;
mod published;
mod stage;
