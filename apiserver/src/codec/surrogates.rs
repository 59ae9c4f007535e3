//! Halves of a pair of UTF-16 that stand alone in a JSON text: Go reads each as U+FFFD, and our parser would refuse the text.

use bytes::Bytes;
use std::borrow::Cow;

/// What an escape for half a pair is read as.
const REPLACED: &[u8] = b"\\ufffd";
/// The length of `\ud800`.
const ESCAPE_BYTES: usize = 6;

/// A JSON text without halves that stand alone. Nearly every text has none, and is given back as it is.
#[must_use]
pub(crate) fn mended(json: Bytes) -> Bytes {
    match without(&json) {
        Cow::Borrowed(_) => json,
        Cow::Owned(text) => text.into(),
    }
}

fn without(json: &[u8]) -> Cow<'_, [u8]> {
    // This is looked for many bytes at once, and most texts have none.
    if !json.contains(&b'\\') {
        return Cow::Borrowed(json);
    }
    let mut mended = Vec::new();
    let (mut kept, mut at) = (0, 0);
    while let Some(escape) = json.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\\')) {
        at += escape;
        let Some(unit) = unit(json, at) else {
            // Any other escape, whose second character may be another backslash.
            at += 2;
            continue;
        };
        let behind = at + ESCAPE_BYTES;
        match unit {
            0xD800..=0xDBFF if matches!(self::unit(json, behind), Some(0xDC00..=0xDFFF)) => at = behind + ESCAPE_BYTES,
            0xD800..=0xDFFF => {
                mended.extend_from_slice(&json[kept..at]);
                mended.extend_from_slice(REPLACED);
                (kept, at) = (behind, behind);
            }
            _ => at = behind,
        }
    }
    if kept == 0 {
        return Cow::Borrowed(json);
    }
    mended.extend_from_slice(&json[kept..]);
    Cow::Owned(mended)
}

/// The unit of UTF-16 of which an escape begins here.
fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + ESCAPE_BYTES)?.strip_prefix(b"\\u")?;
    let digits = digits.iter().all(u8::is_ascii_hexdigit).then(|| std::str::from_utf8(digits).ok())??;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_that_stand_alone_are_replaced() {
        for (text, read) in [
            (r#""\ud83d\ude00\ud800x""#, "\u{1f600}\u{fffd}x"),
            (r#""\udc00""#, "\u{fffd}"),
            (r#""\ud800\ud800\udc00""#, "\u{fffd}\u{10000}"),
            (r#""\uD800\n""#, "\u{fffd}\n"),
            (r#""\\ud800""#, "\\ud800"),
            (r#""\\\ud800""#, "\\\u{fffd}"),
            (r#""é\ud83d\ude00""#, "é\u{1f600}"),
        ] {
            let mended = mended(Bytes::copy_from_slice(text.as_bytes()));
            assert_eq!(serde_json::from_slice::<String>(&mended).unwrap(), read, "{text}");
        }
    }

    #[test]
    fn what_is_no_escape_stays() {
        for text in [&b""[..], b"\\", b"\\u", b"\"\\ud80\"", b"\"\\ud80g\"", b"{\"a\":\"b\\n\"}", b"\\\\"] {
            assert!(matches!(without(text), Cow::Borrowed(_)), "{text:?}");
        }
    }
}
