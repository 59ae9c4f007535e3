//! Whole connections of the API server: a byte for whether HTTP/2 begins of itself, then what the client sends.

use crate::desk::with;

/// How HTTP/2 begins: its preface, and settings that say nothing.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Whatever is sent, it ends in time, and no answer is a failure of the server's own.
pub(crate) fn run(bytes: &[u8]) {
    let [mode, said @ ..] = bytes else { return };
    if mode % 2 == 1 {
        with(|desk| desk.converse(&[PREFACE, said].concat()));
        return;
    }
    let heard = with(|desk| desk.converse(said));
    assert!(heard.is_empty() || said.starts_with(b"PRI") || heard.starts_with(b"HTTP/1."), "{heard:?}");
    // A body that breaks off is a 500 as well, and so is a path that ends with an old verb: neither for that reason.
    let unforeseen = heard.starts_with(b"HTTP/1.1 500") && heard.windows(13).any(|some| some == b"InternalError");
    assert!(!unforeseen, "{}", String::from_utf8_lossy(&heard));
}
