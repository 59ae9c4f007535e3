//! The regular expressions of schemas: written in the syntax of Go, matched by the `regex` crate.
//!
//! Both are of one family. What differs is put into the crate's words before it compiles: Go's `\w`, `\d`, `\s` and `\b` know
//! ASCII only, its classes know no sets of sets, a `-` may stand anywhere in a class, and a `{` that counts nothing is text.

mod complaint;

use regex::{Error, Regex, RegexBuilder};
use std::collections::HashMap;
use std::iter::Peekable;
use std::str::Chars;
use std::sync::Arc;

/// How many bytes a compiled expression may take: what most take, what some take, and what none may exceed.
const COMPILED_BYTES: [usize; 3] = [32 << 10, 256 << 10, 1 << 20];
/// The most bytes that all expressions of a definition may take: two thousand small ones, or sixty of the largest.
const ALL_BYTES_MAX: usize = 64 << 20;
/// What one search may keep of the states that it has met, in bytes.
const SEARCH_BYTES_MAX: usize = 256 << 10;

/// A regular expression, as it was written.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(super) text: String,
    /// Why it is none, where it can't be compiled.
    pub(crate) compiled: Result<Regex, String>,
}

/// The expressions of a definition: what stands in it twice is compiled once, and all of them have one limit.
#[derive(Debug, Default)]
pub struct Patterns {
    known: HashMap<String, Arc<Pattern>>,
    bytes: usize,
}

impl Patterns {
    /// An expression in Go's syntax, compiled; or why it can't be, in one line.
    pub(crate) fn get(&mut self, text: &str) -> Arc<Pattern> {
        if let Some(known) = self.known.get(text) {
            return Arc::clone(known);
        }
        // What is refused for its size has been tried, too, and that has an end as well.
        let compiled = match self.bytes + COMPILED_BYTES[0] <= ALL_BYTES_MAX {
            true => self.compile(text),
            false => Err(refused(text, "the expressions of a definition take too much memory")),
        };
        let pattern = Arc::new(Pattern { text: text.to_owned(), compiled });
        if pattern.compiled.is_ok() {
            self.known.insert(text.to_owned(), Arc::clone(&pattern));
        }
        pattern
    }

    fn compile(&mut self, text: &str) -> Result<Regex, String> {
        let (compiled, bytes) = compile(text);
        self.bytes += bytes;
        compiled
    }
}

/// Compiles an expression, and tells how many bytes that was worth.
fn compile(text: &str) -> (Result<Regex, String>, usize) {
    if let Some(why) = complaint::complaint(text) {
        return (Err(why), 0);
    }
    let translated = translated(text);
    let within = |bytes| RegexBuilder::new(&translated).size_limit(bytes).dfa_size_limit(SEARCH_BYTES_MAX).build();
    let mut last = (String::new(), 0);
    for bytes in COMPILED_BYTES {
        match within(bytes) {
            Ok(compiled) => return (Ok(compiled), bytes),
            Err(Error::CompiledTooBig(limit)) => last = (format!("it takes more than {limit} bytes"), bytes),
            Err(error) => {
                let told = error.to_string();
                let why = told.lines().last().unwrap_or_default();
                return (Err(refused(text, why.trim_start_matches("error: "))), 0);
            }
        }
    }
    (Err(refused(text, &last.0)), last.1)
}

fn refused(text: &str, why: &str) -> String {
    format!("error parsing regexp: {why}: `{text}`")
}

/// The members of Go's classes, without brackets.
fn members(class: char) -> Option<&'static str> {
    match class.to_ascii_lowercase() {
        'w' => Some("0-9A-Za-z_"),
        'd' => Some("0-9"),
        's' => Some(r"\t\n\f\r "),
        _ => None,
    }
}

/// The expression in the crate's syntax.
fn translated(text: &str) -> String {
    let mut rest = text.chars().peekable();
    let mut out = String::with_capacity(text.len() + 16);
    while let Some(next) = rest.next() {
        match next {
            '\\' => escape(&mut rest, &mut out),
            '[' => class(&mut rest, &mut out),
            '{' if !counts(rest.clone()) => out.push_str(r"\{"),
            _ => out.push(next),
        }
    }
    out
}

/// What follows a backslash outside of a class.
fn escape(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    match rest.next() {
        Some(sign @ ('b' | 'B')) => out.push_str(&format!(r"(?-u:\{sign})")),
        Some('Q') => literal(rest, out),
        Some(sign) => match members(sign) {
            Some(members) if sign.is_ascii_lowercase() => out.push_str(&format!("[{members}]")),
            Some(members) => out.push_str(&format!("[^{members}]")),
            None => escaped(sign, out),
        },
        None => out.push('\\'),
    }
}

/// One escaped sign. The crate has a meaning for `\<` and `\>`; Go has none.
fn escaped(sign: char, out: &mut String) {
    if !matches!(sign, '<' | '>') {
        out.push('\\');
    }
    out.push(sign);
}

/// Text from `\Q` to `\E`, or to the end.
fn literal(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    let mut held = String::new();
    for next in rest.by_ref() {
        held.push(next);
        if held.ends_with(r"\E") {
            held.truncate(held.len() - 2);
            break;
        }
    }
    out.push_str(&regex::escape(&held));
}

/// Whether what follows a `{` is `n}`, `n,}` or `n,m}`.
fn counts(mut rest: Peekable<Chars<'_>>) -> bool {
    let digits = |rest: &mut Peekable<Chars<'_>>| {
        let mut some = false;
        while rest.next_if(char::is_ascii_digit).is_some() {
            some = true;
        }
        some
    };
    if !digits(&mut rest) {
        return false;
    }
    if rest.next_if_eq(&',').is_some() {
        digits(&mut rest);
    }
    rest.next() == Some('}')
}

/// A class, behind its opening bracket.
fn class(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    out.push('[');
    if rest.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    if rest.next_if_eq(&']').is_some() {
        out.push_str(r"\]");
    }
    // Whether what came last is one sign, that a range may begin with.
    let mut begins = false;
    while let Some(next) = rest.next() {
        match next {
            ']' => return out.push(']'),
            '-' if begins && rest.peek() != Some(&']') => {
                out.push('-');
                range_end(rest, out);
                begins = false;
            }
            '[' if rest.peek() == Some(&':') => {
                out.push('[');
                for inner in rest.by_ref() {
                    out.push(inner);
                    if inner == ']' {
                        break;
                    }
                }
                begins = false;
            }
            '\\' => begins = class_escape(rest, out),
            _ => {
                member(next, out);
                begins = true;
            }
        }
    }
}

/// One sign of a class, escaped where the crate has a meaning for it.
fn member(sign: char, out: &mut String) {
    if matches!(sign, '[' | '&' | '~' | '-') {
        out.push('\\');
    }
    out.push(sign);
}

/// What follows a backslash in a class: whether it is one sign.
fn class_escape(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> bool {
    let Some(sign) = rest.next() else {
        out.push('\\');
        return false;
    };
    match members(sign) {
        Some(members) if sign.is_ascii_lowercase() => out.push_str(members),
        Some(members) => out.push_str(&format!("[^{members}]")),
        None => {
            escaped(sign, out);
            braces(rest, out);
        }
    }
    members(sign).is_none() && !sign.eq_ignore_ascii_case(&'p')
}

/// The braces of `\x{…}` and `\p{…}`, if any.
fn braces(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    if rest.peek() == Some(&'{') && out.ends_with(['x', 'p', 'P']) {
        for inner in rest.by_ref() {
            out.push(inner);
            if inner == '}' {
                break;
            }
        }
    }
}

/// The end of a range. A class can't be one: it is left as it is, for the crate to refuse.
fn range_end(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    match rest.next() {
        Some('\\') => {
            if let Some(sign) = rest.next() {
                if members(sign).is_some() {
                    out.push('\\');
                    out.push(sign);
                } else {
                    escaped(sign, out);
                    braces(rest, out);
                }
            }
        }
        Some(sign) => member(sign, out),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        compile(pattern).0.unwrap_or_else(|error| panic!("{pattern}: {error}")).is_match(text)
    }

    #[test]
    fn classes_know_ascii_only() {
        for (pattern, yes, no) in [
            (r"^\w+$", "aZ_9", "ä"),
            (r"^\d$", "7", "٣"),
            (r"^\s$", "\t", "\u{a0}"),
            (r"^\W$", "ä", "a"),
            (r"^[\d]$", "7", "٣"),
            (r"^[^\W]$", "a", "ä"),
            (r"^[\D]$", "٣", "3"),
            (r"a\bä", "aä", "ab"),
        ] {
            assert!(matches(pattern, yes), "{pattern} {yes}");
            assert!(!matches(pattern, no), "{pattern} {no}");
        }
    }

    #[test]
    fn what_go_takes_as_text_is_text() {
        for (pattern, yes, no) in [
            (r"^[\w-.]+$", "a-b.c", "a/b"),
            (r"^[a-z-0]+$", "b-0", "1"),
            (r"^[-a]+$", "-a", "b"),
            (r"^[a-]+$", "-a", "b"),
            (r"^[a&&b]+$", "a&b", "c"),
            (r"^[a[b]+$", "a[b", "c"),
            (r"^[]a]+$", "]a", "b"),
            (r"^[^]a]+$", "b", "]"),
            (r"^[a~~b]$", "~", "c"),
            (r"^[[:alpha:]-]+$", "a-", "1"),
            (r"^[\x{61}-\x{63}]+$", "abc", "d"),
            (r"^[\p{Greek}-]+$", "α-", "a"),
            ("^a{b}$", "a{b}", "ab"),
            ("^{$", "{", "a"),
            ("^a{,2}$", "a{,2}", "aa"),
            ("^a{1,2}$", "aa", "aaa"),
            ("^a{2,}$", "aaa", "a"),
            (r"^\Qa.b*\E+$", "a.b**", "axb"),
            (r"^\<a\>$", "<a>", "a"),
            (r"^\_\-\/$", "_-/", "a"),
            (r"^(?P<a>x)(?i:y)$", "xY", "XY"),
        ] {
            assert!(matches(pattern, yes), "{pattern} {yes}");
            assert!(!matches(pattern, no), "{pattern} {no}");
        }
    }

    #[test]
    fn what_is_none_is_refused_in_a_line() {
        for pattern in
            ["(", "[a", "a)", "*a", r"[a-\d]", r"a\", r"[\", "[z-a]", r"\8", "(?=a)", "((a{1000}){1000}){1000}"]
        {
            let error = compile(pattern).0.unwrap_err();
            assert!(error.starts_with("error parsing regexp: ") && !error.contains('\n'), "{pattern}: {error}");
        }
    }

    #[test]
    fn all_expressions_of_a_definition_have_one_limit() {
        let large = |at: usize| format!(r"^\pL{{9}}{at}$");
        let (mut patterns, mut refused) = (Patterns::default(), 0);
        assert!(patterns.get("^a+$").compiled.is_ok());
        for at in 0..300 {
            refused += usize::from(patterns.get(&large(at)).compiled.is_err());
            // What is known costs nothing.
            assert!(patterns.get("^a+$").compiled.is_ok());
        }
        assert!((40..240).contains(&refused), "{refused}");
        let told = patterns.get("^b+$").compiled.as_ref().unwrap_err().clone();
        assert!(told.contains("too much memory"), "{told}");
        let mut patterns = Patterns::default();
        assert!((0..1_000).all(|at| patterns.get(&format!("^[a-z]{{1,63}}{at}$")).compiled.is_ok()));
    }
}
