//! The ready line: one line of JSON on stdout, printed when a member serves.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;

/// What a member says when it is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyLine {
    /// The member's name.
    pub ready: String,
    /// Its process id.
    pub pid: u32,
    /// Where it listens, by what.
    pub addresses: BTreeMap<String, SocketAddr>,
}

/// Prints the line. Whoever spawned the member waits for it instead of polling.
///
/// # Errors
/// When stdout is closed.
pub fn announce(name: &str, addresses: &BTreeMap<String, SocketAddr>) -> std::io::Result<()> {
    let line = ReadyLine { ready: name.into(), pid: std::process::id(), addresses: addresses.clone() };
    let mut text = serde_json::to_vec(&line)?;
    text.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&text)?;
    out.flush()
}
