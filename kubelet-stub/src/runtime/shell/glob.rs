//! Patterns: `*`, `?`, `[a-z]`, matched against texts and against the names in the tree.

use crate::runtime::files::{Place, join};

/// Names that one pattern may expand to.
const MATCHES_MAX: usize = 100_000;

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Any,
    One,
    Char(char),
    Set { negated: bool, ranges: Vec<(char, char)> },
}

/// A pattern in which quoted characters stand for themselves.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pattern(Vec<Piece>);

impl Pattern {
    /// A pattern with backslashes as quotes.
    pub(crate) fn new(text: &str) -> Self {
        let mut chars = Vec::new();
        let mut escaped = false;
        for c in text.chars() {
            if !escaped && c == '\\' {
                escaped = true;
            } else {
                chars.push((c, escaped));
                escaped = false;
            }
        }
        Self::of_chars(&chars)
    }

    /// A pattern of characters, each with whether it is quoted.
    pub(crate) fn of_chars(chars: &[(char, bool)]) -> Self {
        let mut pieces = Vec::new();
        let mut at = 0;
        while let Some(&(c, quoted)) = chars.get(at) {
            at += 1;
            pieces.push(match c {
                '*' if !quoted => Piece::Any,
                '?' if !quoted => Piece::One,
                '[' if !quoted => match set(chars, at) {
                    Some((piece, end)) => {
                        at = end;
                        piece
                    }
                    None => Piece::Char('['),
                },
                other => Piece::Char(other),
            });
        }
        Self(pieces)
    }

    /// True when a character has a meaning beyond itself.
    pub(crate) fn is_magic(&self) -> bool {
        self.0.iter().any(|piece| !matches!(piece, Piece::Char(_)))
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let chars: Vec<char> = text.chars().collect();
        self.matches_chars(&chars)
    }

    /// Greedy with one point to go back to, so time is at most length times length.
    pub(crate) fn matches_chars(&self, text: &[char]) -> bool {
        let (mut piece, mut at) = (0, 0);
        let mut back: Option<(usize, usize)> = None;
        while at < text.len() {
            match self.0.get(piece) {
                Some(Piece::Any) => {
                    back = Some((piece, at));
                    piece += 1;
                }
                Some(known) if known.takes(text[at]) => {
                    piece += 1;
                    at += 1;
                }
                _ => match back {
                    Some((star, from)) => {
                        back = Some((star, from + 1));
                        piece = star + 1;
                        at = from + 1;
                    }
                    None => return false,
                },
            }
        }
        self.0[piece..].iter().all(|piece| *piece == Piece::Any)
    }
}

impl Piece {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Any => false,
            Self::One => true,
            Self::Char(own) => *own == c,
            Self::Set { negated, ranges } => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *negated,
        }
    }
}

fn set(chars: &[(char, bool)], mut at: usize) -> Option<(Piece, usize)> {
    let negated = matches!(chars.get(at), Some(('!' | '^', false)));
    at += usize::from(negated);
    let mut ranges = Vec::new();
    let first = at;
    loop {
        let &(c, quoted) = chars.get(at)?;
        if c == ']' && !quoted && at > first {
            return Some((Piece::Set { negated, ranges }, at + 1));
        }
        if c == '[' && chars.get(at + 1).map(|(c, _)| *c) == Some(':') {
            let rest: String = chars[at + 2..].iter().map(|(c, _)| *c).collect();
            let name = rest.split(":]").next().unwrap_or_default().to_owned();
            ranges.extend_from_slice(class(&name)?);
            at += name.chars().count() + 4;
            continue;
        }
        if let (Some(('-', false)), Some((to, _))) = (chars.get(at + 1), chars.get(at + 2))
            && *to != ']'
        {
            ranges.push((c, *to));
            at += 3;
            continue;
        }
        ranges.push((c, c));
        at += 1;
    }
}

/// The ranges of a character class such as `alpha`.
pub(crate) fn class(name: &str) -> Option<&'static [(char, char)]> {
    Some(match name {
        "alpha" => &[('a', 'z'), ('A', 'Z')],
        "digit" => &[('0', '9')],
        "alnum" => &[('a', 'z'), ('A', 'Z'), ('0', '9')],
        "upper" => &[('A', 'Z')],
        "lower" => &[('a', 'z')],
        "space" => &[(' ', ' '), ('\t', '\r')],
        "blank" => &[(' ', ' '), ('\t', '\t')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "xdigit" => &[('0', '9'), ('a', 'f'), ('A', 'F')],
        "cntrl" => &[('\0', '\x1f'), ('\x7f', '\x7f')],
        "print" => &[(' ', '~')],
        "graph" => &[('!', '~')],
        _ => return None,
    })
}

/// The names in the tree that a pattern matches, sorted; none where it matches nothing.
pub(super) fn expand(place: &Place, chars: &[(char, bool)]) -> Vec<String> {
    let absolute = chars.first().is_some_and(|(c, _)| *c == '/');
    let mut found = vec![if absolute { "/".to_owned() } else { String::new() }];
    let components: Vec<&[(char, bool)]> = chars.split(|(c, _)| *c == '/').collect();
    let last = components.len() - 1;
    for (index, component) in components.into_iter().enumerate() {
        if component.is_empty() {
            if index == last && index > 0 {
                found.retain(|path| place.stat(path).is_ok_and(|stat| stat.is_directory()));
                for path in &mut found {
                    path.push('/');
                }
            }
            continue;
        }
        let pattern = Pattern::of_chars(component);
        let literal: String = component.iter().map(|(c, _)| *c).collect();
        let mut next = Vec::new();
        for path in &found {
            let below = |name: &str| if path.is_empty() { name.to_owned() } else { join(path, name) };
            if !pattern.is_magic() {
                let path = below(&literal);
                if place.stat_link(&path).is_ok() {
                    next.push(path);
                }
                continue;
            }
            let here = if path.is_empty() { "." } else { path };
            for (name, stat) in place.list(here).unwrap_or_default() {
                let hidden = name.starts_with('.') && component[0].0 != '.';
                let leads_on =
                    index == last || stat.is_directory() || matches!(stat.kind, crate::runtime::files::Kind::Link);
                if !hidden && leads_on && pattern.matches(&name) && next.len() < MATCHES_MAX {
                    next.push(below(&name));
                }
            }
        }
        found = next;
    }
    found.sort();
    found
}
