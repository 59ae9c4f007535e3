//! The tunnel, end to end: client, server, agent and endpoint over real sockets.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod everywhere;
mod hardship;
mod peers;
mod rig;
