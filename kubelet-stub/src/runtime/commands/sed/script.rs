//! Reads `sed` scripts.

use crate::runtime::commands::regex::{Regex, Span};
use std::collections::HashMap;

#[derive(Clone, Debug)]
pub(super) enum Address {
    Line(usize),
    Last,
    Regex(Regex),
    Step(usize, usize),
}

#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) from: Option<Address>,
    pub(super) to: Option<Address>,
    pub(super) negated: bool,
    pub(super) act: Act,
}

#[derive(Clone, Debug)]
pub(super) enum Act {
    /// `{`, and where its `}` is.
    Block(usize),
    Nothing,
    Print,
    PrintFirst,
    Delete,
    DeleteFirst,
    Number,
    Quit(i32),
    QuitSilently(i32),
    Append(String),
    Insert(String),
    Change(String),
    Next,
    NextAppended,
    Hold,
    HoldAppended,
    Get,
    GetAppended,
    Exchange,
    Branch(usize),
    BranchIfReplaced(usize),
    Translate(Vec<char>, Vec<char>),
    Substitute(Substitution),
}

#[derive(Clone, Debug)]
enum Piece {
    Text(Vec<u8>),
    Group(usize),
}

#[derive(Clone, Debug)]
pub(super) struct Substitution {
    pub(super) regex: Regex,
    replacement: Vec<Piece>,
    pub(super) all: bool,
    pub(super) print: bool,
    /// The first match that is replaced.
    pub(super) number: usize,
}

impl Substitution {
    pub(super) fn write(&self, text: &[u8], spans: &[Option<Span>], out: &mut Vec<u8>) {
        for piece in &self.replacement {
            match piece {
                Piece::Text(bytes) => out.extend_from_slice(bytes),
                Piece::Group(number) => {
                    if let Some((from, to)) = spans.get(*number).copied().flatten() {
                        out.extend_from_slice(&text[from..to]);
                    }
                }
            }
        }
    }
}

/// Reads a script.
pub(super) fn parse(text: &str, extended: bool) -> Result<Vec<Command>, String> {
    let mut reader = Reader {
        chars: text.chars().collect(),
        at: 0,
        extended,
        last_regex: None,
        labels: HashMap::new(),
        jumps: Vec::new(),
    };
    let mut commands = Vec::new();
    let mut blocks = Vec::new();
    loop {
        reader.skip(|c| c.is_whitespace() || c == ';');
        match reader.peek() {
            None => break,
            Some('#') => {
                reader.skip(|c| c != '\n');
                continue;
            }
            Some('}') => {
                reader.at += 1;
                let open: usize = blocks.pop().ok_or("unexpected }")?;
                commands.push(Command { from: None, to: None, negated: false, act: Act::Nothing });
                let end = commands.len();
                if let Some(command) = commands.get_mut(open) {
                    command.act = Act::Block(end);
                }
                continue;
            }
            Some(_) => {}
        }
        let index = commands.len();
        let command = reader.command(index)?;
        if matches!(command.act, Act::Block(_)) {
            blocks.push(index);
        }
        commands.push(command);
    }
    if !blocks.is_empty() {
        return Err("unmatched {".into());
    }
    for (index, label) in std::mem::take(&mut reader.jumps) {
        let target = if label.is_empty() {
            commands.len()
        } else {
            *reader.labels.get(&label).ok_or_else(|| format!("can't find label for jump to '{label}'"))?
        };
        if let Some(Act::Branch(to) | Act::BranchIfReplaced(to)) =
            commands.get_mut(index).map(|command| &mut command.act)
        {
            *to = target;
        }
    }
    Ok(commands)
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    extended: bool,
    last_regex: Option<Regex>,
    labels: HashMap<String, usize>,
    /// Commands that jump, and to which label.
    jumps: Vec<(usize, String)>,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn skip(&mut self, skipped: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&skipped) {
            self.at += 1;
        }
    }

    fn number(&mut self) -> Option<usize> {
        let mut value: Option<usize> = None;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            value = Some(value.unwrap_or(0).saturating_mul(10).saturating_add(digit as usize));
            self.at += 1;
        }
        value
    }

    fn address(&mut self) -> Result<Option<Address>, String> {
        Ok(match self.peek() {
            Some('$') => {
                self.at += 1;
                Some(Address::Last)
            }
            Some('/') => {
                self.at += 1;
                Some(Address::Regex(self.regex_until('/', false)?))
            }
            Some('\\') => {
                self.at += 1;
                let delimiter = self.take().ok_or("unexpected end")?;
                Some(Address::Regex(self.regex_until(delimiter, false)?))
            }
            Some(c) if c.is_ascii_digit() => {
                let line = self.number().unwrap_or(0);
                if self.peek() == Some('~') {
                    self.at += 1;
                    Some(Address::Step(line, self.number().unwrap_or(0)))
                } else {
                    Some(Address::Line(line))
                }
            }
            _ => None,
        })
    }

    fn regex_until(&mut self, delimiter: char, ignore_case: bool) -> Result<Regex, String> {
        let text = self.until(delimiter, true)?;
        let ignore_case = ignore_case
            || (self.peek() == Some('I') && {
                self.at += 1;
                true
            });
        self.regex(&text, ignore_case)
    }

    fn regex(&mut self, text: &str, ignore_case: bool) -> Result<Regex, String> {
        if text.is_empty() {
            return self.last_regex.clone().ok_or_else(|| "no previous regexp".into());
        }
        let regex = Regex::new(text, self.extended, ignore_case)?;
        self.last_regex = Some(regex.clone());
        Ok(regex)
    }

    /// The text up to a delimiter; behind a backslash the delimiter stands for itself.
    fn until(&mut self, delimiter: char, is_regex: bool) -> Result<String, String> {
        let mut text = String::new();
        let mut in_set = false;
        loop {
            let c = self.take().ok_or("unterminated address or command")?;
            match c {
                _ if c == delimiter && !in_set => return Ok(text),
                '\\' => match self.take().ok_or("unexpected end")? {
                    escaped if escaped == delimiter => text.push(escaped),
                    escaped => text.extend(['\\', escaped]),
                },
                '[' if is_regex && !in_set => {
                    in_set = true;
                    text.push('[');
                    for lead in ['^', ']'] {
                        if self.peek() == Some(lead) {
                            self.at += 1;
                            text.push(lead);
                        }
                    }
                }
                ']' if in_set && !text.ends_with(':') => {
                    in_set = false;
                    text.push(']');
                }
                other => text.push(other),
            }
        }
    }

    fn command(&mut self, index: usize) -> Result<Command, String> {
        let from = self.address()?;
        let mut to = None;
        self.skip(|c| c == ' ');
        if from.is_some() && self.peek() == Some(',') {
            self.at += 1;
            self.skip(|c| c == ' ');
            to = Some(match self.peek() {
                Some('+') => {
                    self.at += 1;
                    let more = self.number().unwrap_or(0);
                    match from {
                        Some(Address::Line(line)) => Address::Line(line + more),
                        _ => return Err("only a line's number can be followed by +".into()),
                    }
                }
                _ => self.address()?.ok_or("unexpected ,")?,
            });
        }
        self.skip(|c| c == ' ');
        let mut negated = false;
        while self.peek() == Some('!') {
            self.at += 1;
            negated = true;
            self.skip(|c| c == ' ');
        }
        let letter = self.take().ok_or("missing command")?;
        let act = self.act(letter, index)?;
        Ok(Command { from, to, negated, act })
    }

    fn act(&mut self, letter: char, index: usize) -> Result<Act, String> {
        Ok(match letter {
            '{' => Act::Block(0),
            '=' => Act::Number,
            'p' => Act::Print,
            'P' => Act::PrintFirst,
            'd' => Act::Delete,
            'D' => Act::DeleteFirst,
            'n' => Act::Next,
            'N' => Act::NextAppended,
            'h' => Act::Hold,
            'H' => Act::HoldAppended,
            'g' => Act::Get,
            'G' => Act::GetAppended,
            'x' => Act::Exchange,
            'q' | 'Q' => {
                self.skip(|c| c == ' ');
                let code = self.number().and_then(|code| i32::try_from(code).ok()).unwrap_or(0);
                if letter == 'q' { Act::Quit(code) } else { Act::QuitSilently(code) }
            }
            'a' => Act::Append(self.text()),
            'i' => Act::Insert(self.text()),
            'c' => Act::Change(self.text()),
            ':' => {
                let label = self.label();
                self.labels.insert(label, index);
                Act::Nothing
            }
            'b' | 't' => {
                let label = self.label();
                self.jumps.push((index, label));
                if letter == 'b' { Act::Branch(0) } else { Act::BranchIfReplaced(0) }
            }
            's' => self.substitution()?,
            'y' => {
                let delimiter = self.take().ok_or("unterminated y command")?;
                let unescape =
                    |text: String| text.replace("\\n", "\n").replace("\\\\", "\\").chars().collect::<Vec<char>>();
                let from = unescape(self.until(delimiter, false)?);
                let to = unescape(self.until(delimiter, false)?);
                if from.len() != to.len() {
                    return Err("strings for y command are of different lengths".into());
                }
                Act::Translate(from, to)
            }
            other => return Err(format!("unsupported command {other}")),
        })
    }

    fn label(&mut self) -> String {
        self.skip(|c| c == ' ');
        let mut label = String::new();
        while let Some(c) = self.peek().filter(|c| !matches!(c, ';' | '\n' | '}')) {
            label.push(c);
            self.at += 1;
        }
        label.trim().to_owned()
    }

    /// What follows `a`, `i` or `c`: to the end of the line, which a backslash continues.
    fn text(&mut self) -> String {
        self.skip(|c| c == ' ');
        if self.peek() == Some('\\') {
            self.at += 1;
            self.skip(|c| c == ' ');
            if self.peek() == Some('\n') {
                self.at += 1;
            }
        }
        let mut text = String::new();
        while let Some(c) = self.take() {
            match c {
                '\n' => break,
                '\\' => match self.take() {
                    Some('t') => text.push('\t'),
                    Some(escaped) => text.push(escaped),
                    None => {}
                },
                other => text.push(other),
            }
        }
        text
    }

    fn substitution(&mut self) -> Result<Act, String> {
        let delimiter = self.take().ok_or("unterminated s command")?;
        let pattern = self.until(delimiter, true)?;
        let replacement = self.until(delimiter, false)?;
        let (mut all, mut print, mut ignore_case, mut number) = (false, false, false, 1);
        while let Some(flag) = self.peek() {
            match flag {
                'g' => all = true,
                'p' => print = true,
                'i' | 'I' => ignore_case = true,
                '1'..='9' => {
                    number = self.number().unwrap_or(1);
                    continue;
                }
                _ => break,
            }
            self.at += 1;
        }
        let regex = self.regex(&pattern, ignore_case)?;
        Ok(Act::Substitute(Substitution { regex, replacement: pieces(&replacement), all, print, number }))
    }
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut found = vec![Piece::Text(Vec::new())];
    let push = |found: &mut Vec<Piece>, c: char| {
        let mut buffer = [0; 4];
        let bytes = c.encode_utf8(&mut buffer).as_bytes();
        match found.last_mut() {
            Some(Piece::Text(text)) => text.extend_from_slice(bytes),
            _ => found.push(Piece::Text(bytes.to_vec())),
        }
    };
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '&' => found.push(Piece::Group(0)),
            '\\' => match chars.next() {
                Some(digit @ '0'..='9') => found.push(Piece::Group(digit.to_digit(10).unwrap_or(0) as usize)),
                Some('n') => push(&mut found, '\n'),
                Some('t') => push(&mut found, '\t'),
                Some(other) => push(&mut found, other),
                None => {}
            },
            other => push(&mut found, other),
        }
    }
    found
}
