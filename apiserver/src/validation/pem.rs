//! PEM as Go reads it: what is no block is passed over, and a block that is broken is none.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// One block.
pub(super) struct Block {
    /// What it says it is: `CERTIFICATE`.
    pub(super) kind: String,
    /// Whether there is a header before its bytes.
    pub(super) has_headers: bool,
    /// What it holds.
    pub(super) bytes: Vec<u8>,
}

/// The blocks of a text, in order.
pub(super) fn blocks(text: &str) -> impl Iterator<Item = Block> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let (kind, after) = line(beginning(rest)?);
            let Some(kind) = kind.strip_suffix(DASHES) else {
                rest = after;
                continue;
            };
            let (has_headers, body) = headers(after)?;
            match content(kind, has_headers, body) {
                Some((bytes, after)) => {
                    rest = after;
                    return Some(Block { kind: kind.to_owned(), has_headers, bytes });
                }
                None => rest = body,
            }
        }
    })
}

/// What follows the next line's beginning that begins a block.
fn beginning(text: &str) -> Option<&str> {
    text.strip_prefix(BEGIN).or_else(|| text.split_once(&format!("\n{BEGIN}")).map(|(_, after)| after))
}

/// A text's first line without the blanks at its end, and what follows.
fn line(text: &str) -> (&str, &str) {
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    (line.trim_end_matches([' ', '\t', '\r']), rest)
}

/// Whether there are lines of a name and a value, and what follows them; `None` where nothing does.
fn headers(mut text: &str) -> Option<(bool, &str)> {
    let mut any = false;
    loop {
        if text.is_empty() {
            return None;
        }
        let (header, rest) = line(text);
        if !header.contains(':') {
            return Some((any, text));
        }
        (any, text) = (true, rest);
    }
}

/// The bytes before the line that ends a block of this kind, and what follows that line.
fn content<'a>(kind: &str, has_headers: bool, body: &'a str) -> Option<(Vec<u8>, &'a str)> {
    let (encoded, end) = match body.strip_prefix(END) {
        Some(end) if !has_headers => ("", end),
        _ => body.split_once(&format!("\n{END}"))?,
    };
    let (behind, rest) = line(end.strip_prefix(kind)?.strip_prefix(DASHES)?);
    let encoded: String = encoded.chars().filter(|sign| !matches!(sign, ' ' | '\t' | '\r' | '\n')).collect();
    let bytes = STANDARD.decode(encoded).ok().filter(|_| behind.is_empty())?;
    Some((bytes, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, bool, usize)> {
        blocks(text).map(|block| (block.kind, block.has_headers, block.bytes.len())).collect()
    }

    #[test]
    fn blocks_stand_among_other_lines() {
        let one = "-----BEGIN A-----\nAAAA\n-----END A-----\n";
        assert_eq!(read(&format!("hello\n{one}bye\n{one}")), [("A".into(), false, 3), ("A".into(), false, 3)]);
        assert_eq!(read("-----BEGIN A-----  \r\nB: c\n\nAA A\tA\r\n-----END A-----\t"), [("A".into(), true, 3)]);
        assert_eq!(read("-----BEGIN A-----\n-----END A-----"), [("A".into(), false, 0)]);
    }

    #[test]
    fn what_is_broken_is_no_block() {
        let good = "-----BEGIN B-----\nAAAA\n-----END B-----";
        for broken in [
            "-----BEGIN A-----\nAAA*\n-----END A-----\n",
            "-----BEGIN A-----\nAAAA\n-----END C-----\n",
            "-----BEGIN A-----\nAAAA\n-----END A----- x\n",
            "-----BEGIN A\nAAAA\n-----END A-----\n",
            "x-----BEGIN A-----\nAAAA\n-----END A-----\n",
        ] {
            assert_eq!(read(broken), []);
            assert_eq!(read(&format!("{broken}{good}")), [("B".into(), false, 3)], "{broken}");
        }
        assert_eq!(read("-----BEGIN A-----\nB: c\n"), []);
    }
}
