//! Requests, of which a server has tens of thousands a second. Theirs are the short lines of a ledger: an array without the
//! fields' names, of which no byte is written that can be known otherwise.

use super::entry::{Entry, View};
use super::file::Ledger;
use crate::clock::format_micros;
use serde::Deserialize;
use std::net::SocketAddr;
use std::time::{Duration, UNIX_EPOCH};

/// What all requests of one connection have in common, as it stands in their lines.
#[derive(Debug)]
pub struct Origin {
    ledger: Ledger,
    line: Vec<u8>,
}

/// A request that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// Its `Audit-ID`.
    pub ticket: &'a str,
    /// Its method.
    pub method: &'a str,
    /// Its path and query.
    pub uri: &'a str,
    /// Who asked, where that is known.
    pub user: Option<&'a str>,
    /// The answer's code.
    pub code: u16,
    /// Bytes of the answer's body, where that is known.
    pub sent: Option<u64>,
    /// How long it has gone on.
    pub took: Duration,
    /// False of an answer that goes on.
    pub ended: bool,
}

impl Origin {
    /// Of the requests that a connection carries.
    #[must_use]
    pub fn new(ledger: &Ledger, connection: &Entry) -> Self {
        let shared = (ledger.member(), connection.path, connection.from, &connection.id);
        let mut line = serde_json::to_vec(&shared).unwrap_or_default();
        // Without its last bracket, before which each request has fields of its own.
        line.pop();
        line.push(b',');
        Self { ledger: ledger.clone(), line }
    }

    /// Writes down a request, a moment later. Gives its number, by which the line of its end is known.
    pub fn answered(&self, request: &Answered<'_>) -> u64 {
        let number = self.ledger.next_number();
        self.write(number, request);
        number
    }

    /// Writes down that a request which went on has ended.
    pub fn ended(&self, number: u64, request: &Answered<'_>) {
        self.write(number, request);
    }

    /// The order of the fields is that of [`Line`].
    fn write(&self, number: u64, request: &Answered<'_>) {
        let took = whole_micros(request.took);
        let started =
            whole_micros(self.ledger.now().duration_since(UNIX_EPOCH).unwrap_or_default()).saturating_sub(took);
        self.ledger.put(|to| {
            to.extend_from_slice(&self.line);
            put_number(to, number);
            put_text(to, b",\"", request.ticket);
            put_text(to, b"\",\"", request.method);
            put_text(to, b" ", request.uri);
            match request.user {
                Some(user) => {
                    put_text(to, b"\",\"", user);
                    to.extend_from_slice(b"\",");
                }
                None => to.extend_from_slice(b"\",null,"),
            }
            put_number(to, request.code.into());
            to.push(b',');
            put_known(to, request.sent);
            to.push(b',');
            put_number(to, started);
            to.push(b',');
            put_known(to, request.ended.then_some(took));
            to.extend_from_slice(b"]\n");
        });
    }
}

/// A request's line, as it is read.
#[derive(Deserialize)]
pub(super) struct Line {
    member: String,
    path: Option<u8>,
    from: Option<SocketAddr>,
    /// The connection's id.
    after: String,
    /// Names it among the hops of its member's run, which the connection's id begins with.
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

impl From<Line> for Entry {
    fn from(line: Line) -> Self {
        let at = |micros| format_micros(UNIX_EPOCH + Duration::from_micros(micros));
        let run = line.after.split_once('-').map_or(line.after.as_str(), |(run, _)| run);
        Self {
            member: line.member,
            id: format!("{run}-{}", line.number),
            view: View::Observed,
            path: line.path,
            ticket: Some(line.ticket),
            request: Some(line.request),
            user: line.user,
            after: Some(line.after),
            from: line.from,
            sent: line.sent,
            code: Some(line.code),
            started: at(line.started),
            ended: line.took.map(|took| at(line.started.saturating_add(took))),
            ..Self::default()
        }
    }
}

fn whole_micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// A number, without what makes `write!` slow.
fn put_number(to: &mut Vec<u8>, number: u64) {
    // Writing into memory does not fail.
    drop(serde_json::to_writer(to, &number));
}

fn put_known(to: &mut Vec<u8>, number: Option<u64>) {
    match number {
        Some(number) => put_number(to, number),
        None => to.extend_from_slice(b"null"),
    }
}

/// Text within a JSON string, behind what comes before it. What comes in a request has hardly ever anything to escape, and is looked
/// at whole, for that is many bytes at once.
#[inline]
fn put_text(to: &mut Vec<u8>, before: &[u8], text: &str) {
    to.extend_from_slice(before);
    let odd = text.bytes().fold(false, |odd, byte| odd | (byte < 0x20) | (byte == b'"') | (byte == b'\\'));
    if odd {
        let quoted = serde_json::to_string(text).unwrap_or_default();
        return to.extend_from_slice(quoted.get(1..quoted.len() - 1).unwrap_or_default().as_bytes());
    }
    to.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_request_is_one_hop_however_odd_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("apiserver.jsonl");
        let ledger = Ledger::append_to(&path, "apiserver", Clock::system()).unwrap();
        let from = "127.86.4.2:4000".parse().ok();
        let connection = Entry { path: Some(1), from, ..ledger.entry(View::Observed) };
        let origin = Origin::new(&ledger, &connection);
        let begun = Answered {
            ticket: "a\"b\\c",
            method: "GET",
            uri: "/api/v1/pods?watch=1",
            user: Some("admin"),
            code: 200,
            sent: None,
            took: Duration::from_millis(3),
            ended: false,
        };
        let id = origin.answered(&begun);
        ledger.flush();
        assert_eq!(read(&path).unwrap()[0].ended, None);
        origin.ended(id, &Answered { sent: Some(7), took: Duration::from_secs(2), ended: true, ..begun });
        ledger.flush();
        let hops = read(&path).unwrap();
        let [hop] = hops.as_slice() else { panic!("{hops:?}") };
        assert_eq!(hop.ticket.as_deref(), Some("a\"b\\c"));
        assert_eq!(hop.request.as_deref(), Some("GET /api/v1/pods?watch=1"));
        assert_eq!((hop.user.as_deref(), hop.code, hop.sent), (Some("admin"), Some(200), Some(7)));
        assert_eq!((hop.path, hop.from, hop.after.as_ref()), (Some(1), from, Some(&connection.id)));
        assert_eq!(
            (hop.member.as_str(), hop.view, hop.id.split('-').next()),
            ("apiserver", View::Observed, connection.id.split('-').next())
        );
        let at = |text: &str| crate::clock::parse(text).unwrap();
        assert_eq!(at(hop.ended.as_deref().unwrap()).duration_since(at(&hop.started)).unwrap(), Duration::from_secs(2));
    }
}
