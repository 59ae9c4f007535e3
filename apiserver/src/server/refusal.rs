//! What a client is told whose request HTTP itself refuses: hyper answers it without a body, and here it gets the few words that
//! Go's servers say.
//!
//! Over HTTP/2 such a call is reset instead, and the connection goes on.

/// How every answer begins.
const BEGINNING: &[u8] = b"HTTP/1.1 ";
/// The end of an answer's head.
const END: &[u8] = b"\r\n\r\n";

/// The bytes that a connection wants to end with, if they end with such an answer: the same as Go says it.
pub(super) fn told(held: &[u8]) -> Option<Vec<u8>> {
    let begin = held.windows(BEGINNING.len()).rposition(|window| window == BEGINNING)?;
    let (before, answer) = held.split_at(begin);
    let head = std::str::from_utf8(answer.strip_suffix(END)?).ok()?;
    let mut lines = head.split("\r\n");
    let first = lines.next()?;
    let said = first.get(BEGINNING.len()..)?;
    // Every answer of ours has a header more than these.
    let own = |line: &str| ["connection: ", "content-length: 0", "date: "].iter().any(|name| line.starts_with(name));
    if !lines.all(own) {
        return None;
    }
    if !["400", "414", "431"].contains(&said.get(..3)?) {
        return None;
    }
    let told = format!("{first}\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n\r\n{said}");
    Some([before, told.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_what_http_refuses_gets_a_body() {
        let refused = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: now\r\n\r\n";
        let before = b"HTTP/1.1 200 OK\r\naudit-id: 1\r\ncontent-length: 2\r\n\r\nhi";
        let told = String::from_utf8(super::told(&[&before[..], refused].concat()).unwrap()).unwrap();
        let (head, body) = told.rsplit_once("\r\n\r\n").unwrap();
        assert_eq!(body, "400 Bad Request");
        assert!(head.starts_with("HTTP/1.1 200 OK") && head.ends_with("connection: close"), "{head}");
        for ours in [
            &before[..],
            b"",
            b"HTTP/1.1 400 Bad Request\r\naudit-id: 1\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 417 Expectation Failed\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n",
        ] {
            assert_eq!(super::told(ours), None);
        }
    }
}
