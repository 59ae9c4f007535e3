//! The tunnel, end to end: client, server, agent and endpoint over real sockets.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api;
mod counted;
mod dials;
mod ends;
mod everywhere;
mod hostile;
mod identity;
mod many;
mod member;
mod members;
mod peers;
mod rest;
mod rig;
mod setup;
mod streams;
mod upstream;
