//! Requests, of which a server has tens of thousands a second. Theirs are the short lines of a ledger: an array without the
//! fields' names, of which no byte is written that the line of their connection tells.

use super::entry::Entry;
use super::file::Ledger;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

/// Room for a request's line, in bytes, that most need not leave.
const LINE_BYTES: usize = 256;
/// The largest that is kept for another request.
const KEPT_BYTES_MAX: usize = 4 << 10;

thread_local! {
    /// Room for the next line: most requests have come and gone before the thread sees another one. It is empty, and whose it was
    /// before makes no difference to anybody.
    static KEPT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What all requests of one connection have in common, as it stands in their lines.
#[derive(Debug)]
pub struct Origin {
    ledger: Ledger,
    line: Vec<u8>,
    /// Requests have numbers of their connection's own: one that all share would go from processor to processor.
    numbers: AtomicU64,
}

impl Origin {
    /// Of the requests that a connection carries.
    #[must_use]
    pub fn new(ledger: &Ledger, connection: &Entry) -> Self {
        let mut line = vec![b'['];
        put_text(&mut line, b"\"", &connection.id);
        line.extend_from_slice(b"\",");
        Self { ledger: ledger.clone(), line, numbers: AtomicU64::new(1) }
    }
}

/// A request that is answered: its line, as far as it is known.
#[derive(Debug)]
pub struct Asked {
    origin: Arc<Origin>,
    line: Vec<u8>,
    user_is_known: bool,
}

impl Asked {
    /// What is known of a request when it comes: its `Audit-ID`, its method, its path and query.
    #[must_use]
    pub fn new(origin: &Arc<Origin>, ticket: &str, method: &str, uri: &str) -> Self {
        let mut line = KEPT.take();
        line.reserve(LINE_BYTES);
        line.extend_from_slice(&origin.line);
        put_number(&mut line, origin.numbers.fetch_add(1, Ordering::Relaxed));
        put_text(&mut line, b",\"", ticket);
        put_text(&mut line, b"\",\"", method);
        put_text(&mut line, b" ", uri);
        Self { origin: Arc::clone(origin), line, user_is_known: false }
    }

    /// Who asks. Told once.
    pub fn by(&mut self, user: &str) {
        put_text(&mut self.line, b"\",\"", user);
        self.user_is_known = true;
    }

    /// Writes down the answer, a moment later: its code, the bytes of its body, where they are known, how long it has taken, and
    /// whether that is its end. An answer that goes on is written down once more when it ends.
    pub fn answered(&mut self, code: u16, sent: Option<u64>, took: Duration, ended: bool) {
        let took = whole_micros(took);
        let now = whole_micros(self.origin.ledger.now().duration_since(UNIX_EPOCH).unwrap_or_default());
        let (known, line) = (self.line.len(), &mut self.line);
        line.extend_from_slice(if self.user_is_known { b"\"," } else { b"\",null," });
        put_number(line, code.into());
        line.push(b',');
        put_known(line, sent);
        line.push(b',');
        put_number(line, now.saturating_sub(took));
        line.push(b',');
        put_known(line, ended.then_some(took));
        line.extend_from_slice(b"]\n");
        self.origin.ledger.put(|lines| lines.extend_from_slice(line));
        line.truncate(known);
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        if line.capacity() <= KEPT_BYTES_MAX {
            line.clear();
            // A thread that ends keeps nothing.
            let _ended = KEPT.try_with(|kept| kept.set(line));
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
    use super::super::{View, read};
    use super::*;
    use crate::clock::{Clock, parse};

    #[test]
    fn a_request_is_one_hop_however_odd_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("apiserver.jsonl");
        let ledger = Ledger::append_to(&path, "apiserver", Clock::system()).unwrap();
        let from = "127.86.4.2:4000".parse().ok();
        let connection = ledger.open(Entry { path: Some(1), from, ..ledger.entry(View::Observed) });
        let origin = Arc::new(Origin::new(&ledger, &connection.entry));
        let mut asked = Asked::new(&origin, "a\"b\\c", "GET", "/api/v1/pods?watch=1&x=\"");
        asked.by("admin");
        asked.answered(200, None, Duration::from_millis(3), false);
        ledger.flush();
        let hops = read(&path).unwrap();
        assert_eq!((hops[1].sent, hops[1].ended.as_ref()), (None, None));
        asked.answered(200, Some(7), Duration::from_secs(2), true);
        // Lines of different threads may change places.
        asked.answered(200, None, Duration::from_millis(3), false);
        Asked::new(&origin, "unknown", "PUT", "/").answered(401, Some(0), Duration::ZERO, true);
        ledger.flush();
        let hops = read(&path).unwrap();
        let [_, hop, unknown] = hops.as_slice() else { panic!("{hops:?}") };
        assert_eq!(hop.ticket.as_deref(), Some("a\"b\\c"));
        assert_eq!(hop.request.as_deref(), Some("GET /api/v1/pods?watch=1&x=\""));
        assert_eq!((hop.user.as_deref(), hop.code, hop.sent), (Some("admin"), Some(200), Some(7)));
        assert_eq!((hop.path, hop.from, hop.after.as_ref()), (Some(1), from, Some(&connection.entry.id)));
        assert_eq!((hop.member.as_str(), hop.view), ("apiserver", View::Observed));
        assert_eq!(hop.id, format!("{}.1", connection.entry.id));
        let span =
            |hop: &Entry| parse(hop.ended.as_deref()?).unwrap().duration_since(parse(&hop.started).unwrap()).ok();
        assert_eq!(span(hop), Some(Duration::from_secs(2)));
        assert_eq!((unknown.user.as_ref(), unknown.code, unknown.request.as_deref()), (None, Some(401), Some("PUT /")));
    }
}
