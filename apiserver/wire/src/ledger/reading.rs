//! A ledger's lines, read back.

use super::entry::{Entry, View};
use crate::clock::format_micros;
use serde::Deserialize;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// Connections that are remembered, also after their end, for what they carried may be told later.
const CONNECTIONS_MAX: usize = 50_000;

/// Reads one member's lines, some at a time.
#[derive(Debug, Default)]
pub struct Lines {
    /// What requests have from the connections that carried them.
    connections: HashMap<String, Entry>,
}

/// A request's line: an array, of which no byte is written that its connection's line tells.
#[derive(Deserialize)]
struct Request {
    /// The connection's id.
    after: String,
    /// Names it among the connection's requests.
    number: u64,
    ticket: String,
    request: String,
    user: Option<String>,
    code: u16,
    sent: Option<u64>,
    /// Microseconds since the epoch.
    started: u64,
    /// Microseconds, of what has ended.
    took: Option<u64>,
}

impl Lines {
    /// The hops in a text of whole lines, in the order in which they began. Of two lines of one hop the later one holds, but
    /// for one that tells no end beside one that does: they may have waited in different rooms.
    ///
    /// # Errors
    /// When a line is something else.
    pub fn hops(&mut self, text: &str) -> io::Result<Vec<Entry>> {
        let mut found: Vec<Entry> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for line in text.lines() {
            let entry = self.hop(line).map_err(io::Error::other)?;
            match places.get(&entry.id).copied() {
                Some(place) if !entry.id.is_empty() => found[place].tell(entry),
                _ => {
                    places.insert(entry.id.clone(), found.len());
                    found.push(entry);
                }
            }
        }
        Ok(found)
    }

    fn hop(&mut self, line: &str) -> serde_json::Result<Entry> {
        if line.starts_with('[') {
            return serde_json::from_str(line).map(|request| self.entry(request));
        }
        let entry: Entry = serde_json::from_str(line)?;
        if entry.view == View::Observed && entry.path.is_some() && entry.ticket.is_none() {
            if self.connections.len() >= CONNECTIONS_MAX {
                self.connections.retain(|_, connection| connection.ended.is_none());
                if self.connections.len() >= CONNECTIONS_MAX {
                    self.connections.clear();
                }
            }
            self.connections.insert(entry.id.clone(), entry.clone());
        }
        Ok(entry)
    }

    fn entry(&self, request: Request) -> Entry {
        let at = |micros| format_micros(UNIX_EPOCH + Duration::from_micros(micros));
        let connection = self.connections.get(&request.after);
        Entry {
            member: connection.map(|connection| connection.member.clone()).unwrap_or_default(),
            id: format!("{}.{}", request.after, request.number),
            view: View::Observed,
            path: connection.and_then(|connection| connection.path),
            ticket: Some(request.ticket),
            request: Some(request.request),
            user: request.user,
            after: Some(request.after),
            from: connection.and_then(|connection| connection.from),
            sent: request.sent,
            code: Some(request.code),
            started: at(request.started),
            ended: request.took.map(|took| at(request.started.saturating_add(took))),
            ..Entry::default()
        }
    }
}

/// The hops of a file and of the one that was put aside before it. A line that is just being written is left out.
///
/// # Errors
/// When it can't be read, or holds something else.
pub fn read(path: &Path) -> io::Result<Vec<Entry>> {
    let mut text = match std::fs::read_to_string(put_aside(path)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let now = std::fs::read(path)?;
    let whole = now.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    text.push_str(std::str::from_utf8(&now[..whole]).map_err(io::Error::other)?);
    Lines::default().hops(&text)
}

/// Where a full file goes.
pub(super) fn put_aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".old");
    name.into()
}
