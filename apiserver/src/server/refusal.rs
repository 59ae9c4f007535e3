//! What a client is told whose request HTTP itself refuses: hyper answers it without a body, and here a `Status` is put there.
//!
//! Over HTTP/2 such a call is reset instead, and the connection goes on.

use serde_json::Value;
use tinyplane_wire::status::{Reason, Status};

/// How every answer begins.
const BEGINNING: &[u8] = b"HTTP/1.1 ";
/// The end of an answer's head.
const END: &[u8] = b"\r\n\r\n";

/// The bytes that a connection wants to end with, if they end with such an answer: the same with a body.
pub(super) fn told(held: &[u8]) -> Option<Vec<u8>> {
    let begin = held.windows(BEGINNING.len()).rposition(|window| window == BEGINNING)?;
    let (before, answer) = held.split_at(begin);
    let head = std::str::from_utf8(answer.strip_suffix(END)?).ok()?;
    let mut lines = head.split("\r\n");
    let code: u16 = lines.next()?.get(BEGINNING.len()..)?.get(..3)?.parse().ok()?;
    // Every answer of ours has a header more than these.
    let own = |line: &str| ["connection: ", "content-length: 0", "date: "].iter().any(|name| line.starts_with(name));
    if !lines.all(own) {
        return None;
    }
    let why = match code {
        400 => "the request is no HTTP/1.1",
        414 => "the path and the query of a request may have 65534 bytes together",
        431 => "the headers of a request are too many or too long",
        _ => return None,
    };
    let mut status = serde_json::to_value(Status::failure(Reason::BadRequest, why)).ok()?;
    if code != 400 {
        // Kubernetes has no reason for these.
        status["code"] = code.into();
        status["reason"] = Value::from("");
    }
    let body = format!("{status}\n");
    let length = format!("content-length: {}\r\ncontent-type: application/json", body.len());
    let head = head.replacen("content-length: 0", &length, 1);
    Some([before, head.as_bytes(), END, body.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_http_refuses_gets_another_body() {
        let refused = b"HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\ndate: now\r\n\r\n";
        let before = b"HTTP/1.1 200 OK\r\naudit-id: 1\r\ncontent-length: 2\r\n\r\nhi";
        let told = String::from_utf8(told(&[&before[..], refused].concat()).unwrap()).unwrap();
        let (head, body) = told.rsplit_once("\r\n\r\n").unwrap();
        let status: Value = serde_json::from_str(body).unwrap();
        assert_eq!((&status["kind"], &status["code"]), (&"Status".into(), &414.into()));
        assert!(head.starts_with("HTTP/1.1 200 OK") && head.contains(&format!("content-length: {}\r\n", body.len())));
        for ours in [
            &before[..],
            b"",
            b"HTTP/1.1 400 Bad Request\r\naudit-id: 1\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n",
        ] {
            assert_eq!(super::told(ours), None);
        }
    }
}
