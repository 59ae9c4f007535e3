//! The tunnel, end to end: client, server, agent and endpoint over real sockets.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api;
mod everywhere;
mod hardship;
mod hostile;
mod identity;
mod many;
mod peers;
mod rig;
mod upstream;
