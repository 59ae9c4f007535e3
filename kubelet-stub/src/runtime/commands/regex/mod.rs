//! Regular expressions, POSIX's basic and extended ones, with groups and back references.

mod parser;

use parser::Parser;

/// Steps of one search; an expression that needs more does not match.
const STEPS_MAX: u32 = 2_000_000;
/// Groups and repetitions that wait for what follows them.
const DEPTH_MAX: u32 = 400;

/// Where a group matched.
pub(crate) type Span = (usize, usize);

#[derive(Clone, Debug)]
enum Node {
    Char(char),
    Any,
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    LineStart,
    LineEnd,
    WordStart,
    WordEnd,
    WordEdge,
    /// Number 0: not captured.
    Group(usize, Vec<Vec<Node>>),
    Back(usize),
    Repeat {
        node: Box<Node>,
        least: u32,
        most: u32,
    },
}

/// A compiled expression.
#[derive(Clone, Debug)]
pub(crate) struct Regex {
    branches: Vec<Vec<Node>>,
    groups: usize,
    ignore_case: bool,
}

impl Regex {
    pub(crate) fn new(text: &str, extended: bool, ignore_case: bool) -> Result<Self, String> {
        let mut parser = Parser { chars: text.chars().collect(), at: 0, extended, groups: 0, depth: 0 };
        let branches = parser.branches()?;
        if parser.at < parser.chars.len() {
            return Err(format!("bad regex '{text}': Unmatched ( or )"));
        }
        Ok(Self { branches, groups: parser.groups, ignore_case })
    }

    /// An expression that means each of its characters.
    pub(crate) fn literal(text: &str, ignore_case: bool) -> Self {
        Self { branches: vec![text.chars().map(Node::Char).collect()], groups: 0, ignore_case }
    }

    /// The first match at or after an offset: the spans of all of it and of its groups.
    pub(crate) fn find(&self, text: &[u8], from: usize) -> Option<Vec<Option<Span>>> {
        let mut steps = 0;
        let mut at = from;
        loop {
            let mut search =
                Search { text, ignore_case: self.ignore_case, spans: vec![None; self.groups + 1], steps, depth: 0 };
            let mut longest: Option<(usize, Vec<Option<Span>>)> = None;
            for branch in &self.branches {
                search.spans = vec![None; self.groups + 1];
                let mut end = None;
                search.sequence(branch, at, &mut |search, position| {
                    end = Some((position, search.spans.clone()));
                    true
                });
                if let Some((position, spans)) = end
                    && longest.as_ref().is_none_or(|(best, _)| position > *best)
                {
                    longest = Some((position, spans));
                }
            }
            steps = search.steps;
            if let Some((end, mut spans)) = longest {
                spans[0] = Some((at, end));
                return Some(spans);
            }
            if at >= text.len() || steps > STEPS_MAX {
                return None;
            }
            at += width(text, at);
        }
    }

    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        self.find(text, 0).is_some()
    }
}

/// Bytes of the character at an offset; 1 where it is none.
fn width(text: &[u8], at: usize) -> usize {
    let length = match text.get(at) {
        Some(0xC2..=0xDF) => 2,
        Some(0xE0..=0xEF) => 3,
        Some(0xF0..=0xF4) => 4,
        _ => 1,
    };
    if length > 1 && std::str::from_utf8(text.get(at..at + length).unwrap_or(&[0xff])).is_ok() { length } else { 1 }
}

fn char_at(text: &[u8], at: usize) -> Option<(char, usize)> {
    let first = *text.get(at)?;
    let length = width(text, at);
    if length == 1 {
        return Some((if first < 0x80 { char::from(first) } else { char::REPLACEMENT_CHARACTER }, 1));
    }
    let c = std::str::from_utf8(&text[at..at + length]).ok()?.chars().next()?;
    Some((c, length))
}

fn is_word(text: &[u8], at: usize) -> bool {
    text.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

struct Search<'a> {
    text: &'a [u8],
    ignore_case: bool,
    spans: Vec<Option<Span>>,
    steps: u32,
    depth: u32,
}

type Then<'t> = &'t mut dyn FnMut(&mut Search<'_>, usize) -> bool;

impl Search<'_> {
    /// What is one character or none is matched here, one after the other; only what may match in several ways recurses.
    fn sequence(&mut self, mut nodes: &[Node], mut at: usize, then: Then<'_>) -> bool {
        loop {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                return false;
            }
            let Some((node, rest)) = nodes.split_first() else { return then(self, at) };
            match node {
                Node::Repeat { node, least, most } if single(node) => {
                    return self.repeat_single(node, (*least, *most), rest, at, then);
                }
                Node::Repeat { node, least, most } => return self.repeat(node, (*least, *most), rest, at, then),
                Node::Group(number, branches) => {
                    return self.group(*number, branches, at, &mut |search, end| search.sequence(rest, end, then));
                }
                Node::Back(number) => {
                    let Some((from, to)) = self.spans.get(*number).copied().flatten() else { return false };
                    if self.text.get(at..at + (to - from)) != Some(&self.text[from..to]) {
                        return false;
                    }
                    at += to - from;
                }
                node => match self.step(node, at) {
                    Some(next) => at = next,
                    None => return false,
                },
            }
            nodes = rest;
        }
    }

    /// Matches a node that is one character or none.
    fn step(&self, node: &Node, at: usize) -> Option<usize> {
        let before = at > 0 && is_word(self.text, at - 1);
        let after = is_word(self.text, at);
        let holds = match node {
            Node::LineStart => at == 0,
            Node::LineEnd => at == self.text.len(),
            Node::WordStart => !before && after,
            Node::WordEnd => before && !after,
            Node::WordEdge => before != after,
            node => {
                let (c, length) = char_at(self.text, at)?;
                return self.takes(node, c).then_some(at + length);
            }
        };
        holds.then_some(at)
    }

    fn takes(&self, node: &Node, c: char) -> bool {
        let within = |ranges: &[(char, char)], c: char| ranges.iter().any(|(from, to)| (*from..=*to).contains(&c));
        let folded = |c: char| (c.to_ascii_lowercase(), c.to_ascii_uppercase());
        match node {
            Node::Any => true,
            Node::Char(own) if self.ignore_case => own.to_lowercase().eq(c.to_lowercase()),
            Node::Char(own) => *own == c,
            Node::Set { negated, ranges } => {
                let (low, high) = if self.ignore_case { folded(c) } else { (c, c) };
                (within(ranges, low) || within(ranges, high)) != *negated
            }
            _ => false,
        }
    }

    /// A group once, then what follows it.
    fn group(&mut self, number: usize, branches: &[Vec<Node>], at: usize, then: Then<'_>) -> bool {
        if self.depth > DEPTH_MAX {
            return false;
        }
        self.depth += 1;
        let before = self.spans.get(number).copied().flatten();
        let mut matched = false;
        for branch in branches {
            matched = self.sequence(branch, at, &mut |search, end| {
                let inner = search.spans[number];
                if number > 0 {
                    search.spans[number] = Some((at, end));
                }
                let went_on = then(search, end);
                if !went_on {
                    search.spans[number] = inner;
                }
                went_on
            });
            if matched {
                break;
            }
        }
        if !matched && number > 0 {
            self.spans[number] = before;
        }
        self.depth -= 1;
        matched
    }

    /// One character again and again: as many as there are, then fewer.
    fn repeat_single(
        &mut self,
        node: &Node,
        (least, most): (u32, u32),
        rest: &[Node],
        at: usize,
        then: Then<'_>,
    ) -> bool {
        if self.depth > DEPTH_MAX {
            return false;
        }
        let mut ends = vec![at];
        let mut end = at;
        while ends.len() <= most as usize {
            match self.step(node, end) {
                Some(next) => {
                    end = next;
                    ends.push(next);
                }
                None => break,
            }
        }
        self.depth += 1;
        let mut matched = false;
        while let Some(end) = ends.pop().filter(|_| !matched) {
            if ends.len() < least as usize {
                break;
            }
            matched = self.sequence(rest, end, then);
        }
        self.depth -= 1;
        matched
    }

    fn repeat(&mut self, node: &Node, (least, most): (u32, u32), rest: &[Node], at: usize, then: Then<'_>) -> bool {
        let Node::Group(number, branches) = node else {
            let once = Node::Group(0, vec![vec![node.clone()]]);
            return self.repeat(&once, (least, most), rest, at, then);
        };
        if most > 0 {
            let again = self.group(*number, branches, at, &mut |search, end| {
                // An empty round changes nothing, so that it is not repeated.
                let fewer = if end == at && least == 0 { 0 } else { most - 1 };
                end != at && search.repeat(node, (least.saturating_sub(1), fewer), rest, end, then)
            });
            if again {
                return true;
            }
        }
        if least == 0 {
            return self.sequence(rest, at, then);
        }
        // An empty round may serve for those that are still wanted.
        self.group(*number, branches, at, &mut |search, end| end == at && search.sequence(rest, at, then))
    }
}

fn single(node: &Node) -> bool {
    matches!(node, Node::Char(_) | Node::Any | Node::Set { .. })
}

#[cfg(test)]
mod tests {
    use super::Regex;

    fn matched<'a>(regex: &str, extended: bool, text: &'a str) -> Option<&'a str> {
        let spans = Regex::new(regex, extended, false).unwrap().find(text.as_bytes(), 0)?;
        spans[0].map(|(from, to)| &text[from..to])
    }

    #[test]
    fn expressions_match_the_leftmost_and_longest_text() {
        for (regex, extended, text, expected) in [
            ("a.c", true, "xabcx", Some("abc")),
            ("a*", true, "aaab", Some("aaa")),
            ("(ab)+", true, "xababab", Some("ababab")),
            ("(a|ab)(c|bcd)", true, "abcd", Some("abcd")),
            ("^a", true, "ba", None),
            ("b$", true, "ab", Some("b")),
            ("[[:digit:]]{2,3}", true, "a1234", Some("123")),
            ("[^0-9]+", true, "12ab3", Some("ab")),
            ("\\(a\\)\\1", false, "xaa", Some("aa")),
            ("a+", false, "a+", Some("a+")),
            ("a\\+", false, "aa", Some("aa")),
            ("\\bfoo\\b", true, "a foo b", Some("foo")),
            ("(a*)*b", true, "aaaaaaaaaaaaaaaaaaaaaaaaaac", None),
            ("ü.", true, "süß", Some("üß")),
            ("x?y", true, "y", Some("y")),
            ("(foo|foobar)$", true, "foobar", Some("foobar")),
            ("", true, "abc", Some("")),
        ] {
            assert_eq!(matched(regex, extended, text), expected, "{regex} on {text}");
        }
    }

    #[test]
    fn a_long_expression_needs_no_deep_stack() {
        let long = "a".repeat(200_000);
        assert_eq!(matched(&long, true, &long), Some(long.as_str()));
        assert_eq!(matched(&"a*".repeat(100_000), true, &long), None);
        assert_eq!(matched(&"a*".repeat(100), true, "aa"), Some("aa"));
    }

    #[test]
    fn a_bad_expression_is_refused() {
        for regex in ["(", "[a", "a{2", "\\", &format!("a{}", "*".repeat(100_000))] {
            let refused = Regex::new(regex, true, false).is_err();
            assert!(refused || regex == "a{2", "{regex}");
        }
    }
}
