//! The pods of a node: what each is to be, what it is, and how it gets from one to the other.
//!
//! `engine` watches the pods of its node and has one `worker` for each. A worker asks `stage`, which is pure, what is
//! to be done; lets `container` do it; and tells through `reporter` what `status` makes of it.

mod action;
mod container;
mod engine;
mod environment;
mod expand;
mod field;
mod image;
mod network;
mod probe;
mod reporter;
mod restore;
mod sources;
mod spec;
mod stage;
mod status;
mod token;
mod volumes;
mod worker;

pub(crate) use engine::Engine;
pub(crate) use network::Network;

use std::time::Duration;

/// A duration as Go prints it: `10s`, `1m20s`.
fn go_duration(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0) => format!("{millis}ms"),
        (0, 0, s) if millis > 0 => format!("{s}.{millis:03}s"),
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, m, s) => format!("{h}h{m}m{s}s"),
    }
}
