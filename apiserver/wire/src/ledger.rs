//! The ledger: what a member saw of each connection, one line of JSON a hop. Today listeners write who came.

use crate::clock::Clock;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Its source is allowed: it was handed to whom it came for.
    Accepted,
    /// Its source is not on the allow list: it was closed before a byte was read.
    Refused,
}

/// One connection, as the member at its end saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hop {
    /// When, as `metav1.MicroTime`.
    pub at: String,
    /// Who writes this.
    pub member: String,
    /// Where it listens.
    pub listener: SocketAddr,
    /// Where the connection came from, as the kernel says.
    pub peer: SocketAddr,
    /// What became of it.
    pub outcome: Outcome,
}

/// Appends hops to a file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger {
    member: Arc<str>,
    clock: Clock,
    file: Arc<Mutex<File>>,
}

impl Ledger {
    /// Appends to a file, which is made with its folder where it is missing.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn append_to(path: &Path, member: &str, clock: Clock) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { member: member.into(), clock, file: Arc::new(Mutex::new(file)) })
    }

    /// Writes down who came. The line is in the file when this returns, so that it outlives a kill of the process.
    pub fn came(&self, listener: SocketAddr, peer: SocketAddr, outcome: Outcome) {
        let hop = Hop { at: self.clock.timestamp_micro(), member: self.member.to_string(), listener, peer, outcome };
        let written = serde_json::to_vec(&hop).map_err(io::Error::other).and_then(|mut line| {
            line.push(b'\n');
            self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)
        });
        if let Err(error) = written {
            tracing::error!(%error, "the ledger can't be written: what it says is not all that was");
        }
    }

    /// The hops of a file, in the order in which they were written.
    ///
    /// # Errors
    /// When it can't be read, or holds something else.
    pub fn read(path: &Path) -> io::Result<Vec<Hop>> {
        let text = std::fs::read_to_string(path)?;
        text.lines().map(|line| serde_json::from_str(line).map_err(io::Error::other)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep").join("kubelet.jsonl");
        assert!(Ledger::read(&path).is_err());
        let (listener, peer) = ("127.86.4.1:10250".parse().unwrap(), "127.86.4.2:4000".parse().unwrap());
        for outcome in [Outcome::Accepted, Outcome::Refused] {
            Ledger::append_to(&path, "kubelet", Clock::system()).unwrap().came(listener, peer, outcome);
        }
        let hops = Ledger::read(&path).unwrap();
        let told: Vec<_> = hops.iter().map(|hop| (hop.member.as_str(), hop.listener, hop.peer, hop.outcome)).collect();
        assert_eq!(
            told,
            [("kubelet", listener, peer, Outcome::Accepted), ("kubelet", listener, peer, Outcome::Refused)]
        );
        std::fs::write(&path, "{").unwrap();
        assert!(Ledger::read(&path).is_err());
    }
}
