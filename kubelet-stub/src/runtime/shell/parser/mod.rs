//! Reads a script: recursive descent over its characters, here-documents at the ends of their lines.

mod compound;
mod simple;

use crate::runtime::shell::ast::{Command, Connector, Part, Pipeline, Redirect, RedirectKind, Script, Statement, Word};
use std::sync::{Arc, OnceLock};

/// Commands within commands.
const DEPTH_MAX: u32 = 50;
/// Bytes of one script.
pub(super) const SCRIPT_BYTES_MAX: usize = 4 << 20;

/// Why a text is no script.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub(super) struct SyntaxError {
    pub(super) message: String,
    /// More text could mend it: an interactive shell asks for another line.
    pub(super) incomplete: bool,
    pub(super) line: u32,
}

impl SyntaxError {
    pub(super) fn incomplete(message: &str) -> Self {
        Self { message: format!("syntax error: {message}"), incomplete: true, line: 0 }
    }

    pub(super) fn bad(message: &str) -> Self {
        Self { message: format!("syntax error: {message}"), incomplete: false, line: 0 }
    }
}

/// A here-document whose text comes after the line.
struct Pending {
    delimiter: String,
    expand: bool,
    strip_tabs: bool,
    text: Arc<OnceLock<Word>>,
}

pub(super) struct Parser {
    chars: Vec<char>,
    at: usize,
    depth: u32,
    line: u32,
    documents: Vec<Pending>,
}

/// Reads a whole script.
pub(super) fn parse(text: &str) -> Result<Script, SyntaxError> {
    if text.len() > SCRIPT_BYTES_MAX {
        return Err(SyntaxError::bad("script too large"));
    }
    let mut parser = Parser { chars: text.chars().collect(), at: 0, depth: 0, line: 1, documents: Vec::new() };
    parser.whole().map_err(|error| SyntaxError { line: parser.line, ..error })
}

impl Parser {
    pub(super) fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    pub(super) fn rest(&self) -> &[char] {
        &self.chars[self.at.min(self.chars.len())..]
    }

    pub(super) fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.next();
        }
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        if c == '\n' {
            self.line += 1;
        }
        Some(c)
    }

    /// A parser of a text within this one.
    pub(super) fn nested(&self, text: &str) -> Self {
        Self { chars: text.chars().collect(), at: 0, depth: self.depth + 1, line: self.line, documents: Vec::new() }
    }

    pub(super) fn whole(&mut self) -> Result<Script, SyntaxError> {
        let script = self.script_until(&[])?;
        match self.peek() {
            None if self.documents.is_empty() => Ok(script),
            None => Err(SyntaxError::incomplete("unexpected end of file in a here-document")),
            Some(_) => Err(self.unexpected()),
        }
    }

    fn unexpected(&self) -> SyntaxError {
        match self.peek() {
            None => SyntaxError::incomplete("unexpected end of file"),
            Some('\n') => SyntaxError::bad("unexpected newline"),
            Some(c) => {
                let text: String = self.rest().iter().take_while(|c| !c.is_whitespace()).take(20).collect();
                let token = if "();&|<>".contains(c) { c.to_string() } else { text };
                SyntaxError::bad(&format!("unexpected \"{token}\""))
            }
        }
    }

    pub(super) fn expect_char(&mut self, wanted: char) -> Result<(), SyntaxError> {
        self.blanks();
        if self.peek() == Some(wanted) {
            self.skip(1);
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    /// Skips blanks, continued lines and comments.
    fn blanks(&mut self) {
        loop {
            match self.rest() {
                [' ' | '\t' | '\r', ..] => self.skip(1),
                ['\\', '\n', ..] => self.skip(2),
                ['#', ..] => {
                    let length = self.rest().iter().take_while(|c| **c != '\n').count();
                    self.skip(length);
                }
                _ => return,
            }
        }
    }

    /// Skips blanks and newlines; at a newline, reads the here-documents that wait for it.
    fn newlines(&mut self) -> Result<(), SyntaxError> {
        loop {
            self.blanks();
            if self.peek() != Some('\n') {
                return Ok(());
            }
            self.newline()?;
        }
    }

    fn newline(&mut self) -> Result<(), SyntaxError> {
        self.skip(1);
        for pending in std::mem::take(&mut self.documents) {
            self.document(&pending)?;
        }
        Ok(())
    }

    fn document(&mut self, pending: &Pending) -> Result<(), SyntaxError> {
        let mut text = String::new();
        loop {
            if self.peek().is_none() {
                return Err(SyntaxError::incomplete("unexpected end of file in a here-document"));
            }
            let length = self.rest().iter().take_while(|c| **c != '\n').count();
            let mut line: String = self.rest()[..length].iter().collect();
            self.skip(length + 1);
            if pending.strip_tabs {
                line = line.trim_start_matches('\t').to_owned();
            }
            if line == pending.delimiter {
                break;
            }
            text.push_str(&line);
            text.push('\n');
        }
        let word = if pending.expand {
            Word(vec![Part::Double(self.nested(&text).double_quoted(None)?)])
        } else {
            Word(vec![Part::Quoted(text)])
        };
        // Each document is read once, so its slot was empty.
        drop(pending.text.set(word));
        Ok(())
    }

    /// The reserved word or operator that is next, if it is one of these.
    fn at_end(&self, ends: &[&str]) -> bool {
        ends.iter().any(|end| self.at_reserved(end))
    }

    fn at_reserved(&self, word: &str) -> bool {
        let length = word.chars().count();
        let rest = self.rest();
        rest.len() >= length
            && rest.iter().zip(word.chars()).all(|(a, b)| *a == b)
            && (!word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '{' || c == '}' || c == '!')
                || rest.get(length).is_none_or(|c| " \t\r\n;&|()<>".contains(*c)))
    }

    fn reserved(&mut self, word: &str) -> Result<(), SyntaxError> {
        self.newlines()?;
        if !self.at_reserved(word) {
            return Err(self.unexpected());
        }
        self.skip(word.chars().count());
        Ok(())
    }

    /// Statements up to one of these words or operators, or the end.
    pub(super) fn script_until(&mut self, ends: &[&str]) -> Result<Script, SyntaxError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(SyntaxError::bad("commands nested too deeply"));
        }
        let mut script = Script::new();
        loop {
            self.newlines()?;
            if self.peek().is_none() || self.at_end(ends) || self.at_reserved(")") || self.at_reserved(";;") {
                break;
            }
            let mut statement = self.statement()?;
            self.blanks();
            match self.rest() {
                [';', ';', ..] | [';', '&', ..] => {}
                [';', ..] => self.skip(1),
                ['&', ..] => {
                    self.skip(1);
                    statement.background = true;
                }
                ['\n', ..] => self.newline()?,
                [] | [')', ..] => {}
                _ if self.at_end(ends) => {}
                _ => return Err(self.unexpected()),
            }
            script.push(statement);
        }
        self.depth -= 1;
        Ok(script)
    }

    fn statement(&mut self) -> Result<Statement, SyntaxError> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            self.blanks();
            let connector = match self.rest() {
                ['&', '&', ..] => Connector::And,
                ['|', '|', ..] => Connector::Or,
                _ => return Ok(Statement { first, rest, background: false }),
            };
            self.skip(2);
            self.newlines()?;
            rest.push((connector, self.pipeline()?));
        }
    }

    fn pipeline(&mut self) -> Result<Pipeline, SyntaxError> {
        self.blanks();
        let mut negated = false;
        while self.at_reserved("!") {
            self.skip(1);
            self.blanks();
            negated = !negated;
        }
        let mut commands = vec![self.command()?];
        loop {
            self.blanks();
            match self.rest() {
                ['|', '|', ..] => break,
                ['|', '&', ..] => {
                    self.skip(2);
                    let both =
                        Redirect { fd: 2, kind: RedirectKind::Duplicate, target: text_word("1"), document: None };
                    if let Some(last) = commands.last_mut() {
                        last.redirects.push(both);
                    }
                }
                ['|', ..] => self.skip(1),
                _ => break,
            }
            self.newlines()?;
            commands.push(self.command()?);
        }
        Ok(Pipeline { negated, commands })
    }

    fn command(&mut self) -> Result<Command, SyntaxError> {
        self.blanks();
        let line = self.line;
        let Some(kind) = self.compound()? else { return self.simple(line) };
        let mut redirects = Vec::new();
        loop {
            self.blanks();
            match self.redirect()? {
                Some(redirect) => redirects.push(redirect),
                None => return Ok(Command { kind, redirects, line }),
            }
        }
    }
}

fn text_word(text: &str) -> Word {
    Word(vec![Part::Text(text.into())])
}
