//! Reads regular expressions, basic and extended.

use super::Node;
use crate::runtime::shell::class;

/// The largest number in `{…}`.
const REPEATS_MAX: u32 = 1000;

/// Repetitions of one atom, each of the one before it.
const STACKED_MAX: usize = 16;

/// Reads an expression.
pub(super) struct Parser {
    pub(super) chars: Vec<char>,
    pub(super) at: usize,
    pub(super) extended: bool,
    pub(super) groups: usize,
    pub(super) depth: u32,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    /// An operator: bare in extended expressions, behind a backslash in basic ones.
    fn operator(&mut self, c: char) -> bool {
        let length = if self.extended {
            usize::from(self.peek() == Some(c))
        } else if self.peek() == Some('\\') && self.chars.get(self.at + 1) == Some(&c) {
            2
        } else {
            0
        };
        self.at += length;
        length > 0
    }

    pub(super) fn branches(&mut self) -> Result<Vec<Vec<Node>>, String> {
        let mut branches = vec![self.branch()?];
        while self.operator('|') {
            branches.push(self.branch()?);
        }
        Ok(branches)
    }

    fn at_operator(&self, c: char) -> bool {
        if self.extended {
            self.peek() == Some(c)
        } else {
            self.peek() == Some('\\') && self.chars.get(self.at + 1) == Some(&c)
        }
    }

    fn branch(&mut self) -> Result<Vec<Node>, String> {
        let mut nodes: Vec<Node> = Vec::new();
        while self.peek().is_some() && !self.at_operator('|') && !(self.depth > 0 && self.at_operator(')')) {
            let first = nodes.is_empty();
            let node = self.atom(first)?;
            nodes.push(node);
            let mut stacked = 0;
            while let Some((least, most)) = self.repetition(first)? {
                stacked += 1;
                if stacked > STACKED_MAX {
                    return Err("bad regex: Invalid preceding regular expression".into());
                }
                let Some(node) = nodes.pop() else { break };
                nodes.push(Node::Repeat { node: Box::new(node), least, most });
            }
        }
        Ok(nodes)
    }

    fn repetition(&mut self, _first: bool) -> Result<Option<(u32, u32)>, String> {
        if self.peek() == Some('*') {
            self.at += 1;
            return Ok(Some((0, u32::MAX)));
        }
        if self.operator('+') {
            return Ok(Some((1, u32::MAX)));
        }
        if self.operator('?') {
            return Ok(Some((0, 1)));
        }
        let is_interval = self.chars.get(self.at + if self.extended { 1 } else { 2 }).is_some_and(char::is_ascii_digit);
        if !self.at_operator('{') || !is_interval {
            return Ok(None);
        }
        self.operator('{');
        let mut number = || {
            let mut value = None;
            while let Some(digit) = self.chars.get(self.at).and_then(|c| c.to_digit(10)) {
                value = Some((value.unwrap_or(0_u32) * 10 + digit).min(REPEATS_MAX));
                self.at += 1;
            }
            value
        };
        let least = number().unwrap_or(0);
        let most = if self.peek() == Some(',') {
            self.at += 1;
            let mut value = None;
            while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
                value = Some((value.unwrap_or(0_u32) * 10 + digit).min(REPEATS_MAX));
                self.at += 1;
            }
            value.unwrap_or(u32::MAX)
        } else {
            least
        };
        if !self.operator('}') {
            return Err("bad regex: Unmatched {".into());
        }
        Ok(Some((least, most)))
    }

    fn atom(&mut self, first: bool) -> Result<Node, String> {
        if self.operator('(') {
            self.depth += 1;
            if self.depth > 50 {
                return Err("bad regex: too many groups".into());
            }
            self.groups += 1;
            let number = self.groups;
            let branches = self.branches()?;
            if !self.operator(')') {
                return Err("bad regex: Unmatched ( or \\(".into());
            }
            self.depth -= 1;
            return Ok(Node::Group(number, branches));
        }
        let Some(c) = self.peek() else { return Err("bad regex".into()) };
        self.at += 1;
        Ok(match c {
            '.' => Node::Any,
            '[' => self.set()?,
            '^' if self.extended || first => Node::LineStart,
            '$' if self.extended || self.peek().is_none() || self.at_operator(')') || self.at_operator('|') => {
                Node::LineEnd
            }
            '\\' => {
                let Some(escaped) = self.peek() else { return Err("bad regex: Trailing backslash".into()) };
                self.at += 1;
                self.escaped(escaped)
            }
            other => Node::Char(other),
        })
    }

    fn escaped(&self, c: char) -> Node {
        let named = |name: &str, negated: bool, more: &[(char, char)]| Node::Set {
            negated,
            ranges: class(name).unwrap_or_default().iter().chain(more).copied().collect(),
        };
        match c {
            '1'..='9' => Node::Back(c.to_digit(10).unwrap_or(1) as usize),
            'w' => named("alnum", false, &[('_', '_')]),
            'W' => named("alnum", true, &[('_', '_')]),
            's' => named("space", false, &[]),
            'S' => named("space", true, &[]),
            'd' => named("digit", false, &[]),
            'b' => Node::WordEdge,
            '<' => Node::WordStart,
            '>' => Node::WordEnd,
            'n' => Node::Char('\n'),
            't' => Node::Char('\t'),
            other => Node::Char(other),
        }
    }

    fn set(&mut self) -> Result<Node, String> {
        let negated = self.peek() == Some('^');
        self.at += usize::from(negated);
        let start = self.at;
        let mut ranges = Vec::new();
        loop {
            let Some(c) = self.peek() else { return Err("bad regex: Unmatched [".into()) };
            self.at += 1;
            if c == ']' && self.at > start + 1 {
                return Ok(Node::Set { negated, ranges });
            }
            if c == '[' && self.peek() == Some(':') {
                let rest: String = self.chars[self.at + 1..].iter().collect();
                let Some((name, _)) = rest.split_once(":]") else { return Err("bad regex: Unmatched [:".into()) };
                ranges.extend_from_slice(class(name).ok_or("bad regex: Invalid character class name")?);
                self.at += name.chars().count() + 3;
                continue;
            }
            let c = match (c, self.peek()) {
                ('\\', Some('n')) => {
                    self.at += 1;
                    '\n'
                }
                ('\\', Some('t')) => {
                    self.at += 1;
                    '\t'
                }
                _ => c,
            };
            match (self.peek(), self.chars.get(self.at + 1).copied()) {
                (Some('-'), Some(to)) if to != ']' => {
                    self.at += 2;
                    ranges.push((c, to));
                }
                _ => ranges.push((c, c)),
            }
        }
    }
}
