//! Requests, of which a server has tens of thousands a second: their lines are put together without a detour.

use super::entry::{Entry, View};
use super::file::Ledger;
use crate::clock::micros;
use serde::Serialize;
use std::net::SocketAddr;
use std::time::SystemTime;

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
    /// When it came.
    pub started: SystemTime,
    /// False of an answer that goes on.
    pub ended: bool,
}

impl Origin {
    /// Of the requests that a connection carries.
    #[must_use]
    pub fn new(ledger: &Ledger, connection: &Entry) -> Self {
        let shared = Shared {
            member: ledger.member(),
            view: connection.view,
            path: connection.path,
            after: &connection.id,
            from: connection.from,
        };
        let mut line = serde_json::to_vec(&shared).unwrap_or_default();
        // Without its last brace, before which each request has fields of its own.
        line.pop();
        line.extend_from_slice(format!(",\"id\":\"{:08x}-", ledger.run()).as_bytes());
        Self { ledger: ledger.clone(), line }
    }

    /// Writes down a request, a moment later. Gives its id, by which the line of its end is known.
    pub fn answered(&self, request: &Answered<'_>) -> u64 {
        let id = self.ledger.next_number();
        self.write(id, request);
        id
    }

    /// Writes down that a request which went on has ended.
    pub fn ended(&self, id: u64, request: &Answered<'_>) {
        self.write(id, request);
    }

    fn write(&self, id: u64, request: &Answered<'_>) {
        let now = self.ledger.now();
        self.ledger.put(|to| {
            to.extend_from_slice(&self.line);
            put_number(to, id);
            to.extend_from_slice(b"\",\"ticket\":\"");
            escape(to, request.ticket);
            to.extend_from_slice(b"\",\"request\":\"");
            escape(to, request.method);
            to.push(b' ');
            escape(to, request.uri);
            if let Some(user) = request.user {
                to.extend_from_slice(b"\",\"user\":\"");
                escape(to, user);
            }
            to.extend_from_slice(b"\",\"code\":");
            put_number(to, request.code.into());
            if let Some(sent) = request.sent {
                to.extend_from_slice(b",\"sent\":");
                put_number(to, sent);
            }
            to.extend_from_slice(b",\"outcome\":\"accepted\",\"started\":\"");
            put_time(to, request.started);
            if request.ended {
                to.extend_from_slice(b"\",\"ended\":\"");
                put_time(to, now);
            }
            to.extend_from_slice(b"\"}\n");
        });
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.ledger.now()
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

/// The fields that requests of a connection share.
#[derive(Serialize)]
struct Shared<'a> {
    member: &'a str,
    view: View,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<u8>,
    after: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<SocketAddr>,
}

/// A number, without what makes `write!` slow.
fn put_number(to: &mut Vec<u8>, number: u64) {
    // Writing into memory does not fail.
    drop(serde_json::to_writer(to, &number));
}

fn put_time(to: &mut Vec<u8>, at: SystemTime) {
    to.extend_from_slice(&micros(at));
}

/// Text within a JSON string. What comes in a request has hardly ever anything to escape.
fn escape(to: &mut Vec<u8>, text: &str) {
    if !text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        return to.extend_from_slice(text.as_bytes());
    }
    let quoted = serde_json::to_string(text).unwrap_or_default();
    to.extend_from_slice(quoted.get(1..quoted.len() - 1).unwrap_or_default().as_bytes());
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
            started: origin.now(),
            ended: false,
        };
        let id = origin.answered(&begun);
        ledger.flush();
        assert_eq!(read(&path).unwrap()[0].ended, None);
        origin.ended(id, &Answered { sent: Some(7), ended: true, ..begun });
        ledger.flush();
        let hops = read(&path).unwrap();
        let [hop] = hops.as_slice() else { panic!("{hops:?}") };
        assert_eq!(hop.ticket.as_deref(), Some("a\"b\\c"));
        assert_eq!(hop.request.as_deref(), Some("GET /api/v1/pods?watch=1"));
        assert_eq!((hop.user.as_deref(), hop.code, hop.sent), (Some("admin"), Some(200), Some(7)));
        assert_eq!((hop.path, hop.from, hop.after.as_ref()), (Some(1), from, Some(&connection.id)));
        assert!(hop.ended.as_ref().is_some_and(|ended| *ended >= hop.started));
    }
}
