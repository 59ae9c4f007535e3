//! PEM as Go reads it: what is no block is passed over, and a block that is broken is none.

use base64::Engine;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "\n-----END ";
const DASHES: &str = "-----";

/// Go does not mind bits behind the last byte.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

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
        let (block, after) = next(rest)?;
        rest = after;
        Some(block)
    })
}

/// The first block, and what follows it. Each end is looked at once, with the last beginning before it: beginnings without an end
/// cost nothing.
fn next(mut text: &str) -> Option<(Block, &str)> {
    loop {
        let end = text.find(END)?;
        let trailer = end + END.len();
        if let Some(begin) = text[..end].rfind(BEGIN)
            && (begin == 0 || text[..begin].ends_with('\n'))
            && let (kind, body) = line(&text[begin + BEGIN.len()..])
            && let Some(kind) = kind.strip_suffix(DASHES)
        {
            let (has_headers, body) = headers(body)?;
            let at = text.len() - body.len();
            if let Some(after) = ended(kind, &text[trailer..])
                && (at <= end || !has_headers)
                && let Some(bytes) = decoded(text.get(at..end).unwrap_or_default())
            {
                return Some((Block { kind: kind.to_owned(), has_headers, bytes }, after));
            }
            if at > trailer {
                return None;
            }
        }
        text = &text[trailer..];
    }
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

/// What follows the line that ends a block of this kind, if the rest of one is here.
fn ended<'a>(kind: &str, text: &'a str) -> Option<&'a str> {
    let (behind, rest) = line(text.strip_prefix(kind)?.strip_prefix(DASHES)?);
    behind.is_empty().then_some(rest)
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let text: String = text.chars().filter(|sign| !matches!(sign, ' ' | '\t' | '\r' | '\n')).collect();
    LENIENT.decode(text).ok()
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

    #[test]
    fn the_last_beginning_counts_and_the_others_cost_nothing() {
        let good = "-----BEGIN A-----\nQUJ=\n-----END A-----\n";
        assert_eq!(
            read(&format!("-----BEGIN X-----\n{good}")),
            [("A".into(), false, 2)],
            "bits behind the last byte are let be"
        );
        // Looked through anew for each of them it would take minutes.
        assert_eq!(read(&"-----BEGIN A-----\n".repeat(150_000)), []);
        let one = format!("{}{good}", "-----BEGIN A-----\n".repeat(50_000));
        assert_eq!(read(&format!("{one}{one}")).len(), 2);
    }
}
