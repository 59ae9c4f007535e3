//! Reads a script: recursive descent over its characters, here-documents at the ends of their lines.

use super::ast::{Arm, Command, Connector, Kind, Part, Pipeline, Redirect, RedirectKind, Script, Statement, Word};
use super::word::is_variable_name;
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

    #[expect(clippy::should_implement_trait, reason = "a parser is no iterator; its callers also peek and skip")]
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
        let kind = match self.compound()? {
            Some(kind) => kind,
            None => return self.simple(line),
        };
        let mut redirects = Vec::new();
        loop {
            self.blanks();
            match self.redirect()? {
                Some(redirect) => redirects.push(redirect),
                None => return Ok(Command { kind, redirects, line }),
            }
        }
    }

    fn compound(&mut self) -> Result<Option<Kind>, SyntaxError> {
        if self.peek() == Some('(') {
            self.skip(1);
            let script = self.script_until(&[")"])?;
            self.expect_char(')')?;
            return Ok(Some(Kind::Subshell(Arc::new(script))));
        }
        let known = ["{", "if", "while", "until", "for", "case", "[[", "function"];
        let Some(word) = known.into_iter().find(|word| self.at_reserved(word)) else {
            let closing = ["then", "else", "elif", "fi", "do", "done", "esac", "}"];
            return if self.at_end(&closing) { Err(self.unexpected()) } else { Ok(None) };
        };
        if word == "[[" && !self.rest().get(2).is_some_and(|c| c.is_whitespace()) {
            return Ok(None);
        }
        self.skip(word.len());
        Ok(Some(match word {
            "{" => {
                let script = self.script_until(&["}"])?;
                self.reserved("}")?;
                Kind::Group(Arc::new(script))
            }
            "if" => self.conditional()?,
            "while" | "until" => {
                let condition = self.script_until(&["do"])?;
                Kind::Loop { until: word == "until", condition, body: self.body()? }
            }
            "for" => self.for_loop()?,
            "case" => self.case()?,
            "[[" => Kind::Test(self.test_words()?),
            _ => {
                self.blanks();
                let name = self.word()?.and_then(|word| word.plain().map(str::to_owned));
                let name = name.ok_or_else(|| self.unexpected())?;
                self.blanks();
                if self.peek() == Some('(') {
                    self.skip(1);
                    self.expect_char(')')?;
                }
                self.function(name)?
            }
        }))
    }

    fn body(&mut self) -> Result<Script, SyntaxError> {
        self.reserved("do")?;
        let body = self.script_until(&["done"])?;
        self.reserved("done")?;
        Ok(body)
    }

    fn conditional(&mut self) -> Result<Kind, SyntaxError> {
        let mut arms = Vec::new();
        loop {
            let condition = self.script_until(&["then"])?;
            self.reserved("then")?;
            let body = self.script_until(&["elif", "else", "fi"])?;
            arms.push((condition, body));
            self.newlines()?;
            if self.at_reserved("elif") {
                self.skip(4);
            } else {
                break;
            }
        }
        let otherwise = if self.at_reserved("else") {
            self.skip(4);
            Some(self.script_until(&["fi"])?)
        } else {
            None
        };
        self.reserved("fi")?;
        Ok(Kind::If { arms, otherwise })
    }

    fn for_loop(&mut self) -> Result<Kind, SyntaxError> {
        self.blanks();
        let name = self.word()?.and_then(|word| word.plain().map(str::to_owned));
        let name =
            name.filter(|name| is_variable_name(name)).ok_or_else(|| SyntaxError::bad("bad for loop variable"))?;
        self.newlines()?;
        let words = if self.at_reserved("in") {
            self.skip(2);
            let mut words = Vec::new();
            loop {
                self.blanks();
                match self.word()? {
                    Some(word) => words.push(word),
                    None => break,
                }
            }
            Some(words)
        } else {
            None
        };
        self.blanks();
        if self.peek() == Some(';') {
            self.skip(1);
        }
        Ok(Kind::For { name, words, body: self.body()? })
    }

    fn case(&mut self) -> Result<Kind, SyntaxError> {
        self.blanks();
        let subject = self.word()?.ok_or_else(|| self.unexpected())?;
        self.reserved("in")?;
        let mut arms = Vec::new();
        loop {
            self.newlines()?;
            if self.at_reserved("esac") {
                self.skip(4);
                return Ok(Kind::Case { subject, arms });
            }
            if self.peek() == Some('(') {
                self.skip(1);
            }
            let mut patterns = Vec::new();
            loop {
                self.blanks();
                patterns.push(self.word()?.ok_or_else(|| self.unexpected())?);
                self.blanks();
                match self.peek() {
                    Some('|') => self.skip(1),
                    _ => break,
                }
            }
            self.expect_char(')')?;
            let body = self.script_until(&["esac"])?;
            arms.push(Arm { patterns, body });
            self.newlines()?;
            if self.at_reserved(";;") {
                self.skip(2);
            }
        }
    }

    fn test_words(&mut self) -> Result<Vec<Word>, SyntaxError> {
        let mut words = Vec::new();
        loop {
            self.newlines()?;
            if self.at_reserved("]]") {
                self.skip(2);
                return Ok(words);
            }
            let operator = match self.rest() {
                ['&', '&', ..] => "&&",
                ['|', '|', ..] => "||",
                ['(', ..] => "(",
                [')', ..] => ")",
                ['<', ..] => "<",
                ['>', ..] => ">",
                _ => "",
            };
            if operator.is_empty() {
                words.push(self.word()?.ok_or_else(|| self.unexpected())?);
            } else {
                self.skip(operator.len());
                words.push(text_word(operator));
            }
        }
    }

    fn function(&mut self, name: String) -> Result<Kind, SyntaxError> {
        self.newlines()?;
        let body = self.command()?;
        Ok(Kind::Function { name, body: Arc::new(body) })
    }

    fn simple(&mut self, line: u32) -> Result<Command, SyntaxError> {
        let mut assignments = Vec::new();
        let mut words: Vec<Word> = Vec::new();
        let mut redirects = Vec::new();
        loop {
            self.blanks();
            if let Some(redirect) = self.redirect()? {
                redirects.push(redirect);
                continue;
            }
            let Some(word) = self.word()? else { break };
            if words.is_empty() {
                if let Some(assignment) = assignment(&word) {
                    assignments.push(assignment);
                    continue;
                }
                if self.peek() == Some('(') && assignments.is_empty() && redirects.is_empty() {
                    if let Some(name) = word.plain().map(str::to_owned) {
                        self.skip(1);
                        self.expect_char(')')?;
                        let kind = self.function(name)?;
                        return Ok(Command { kind, redirects, line });
                    }
                }
            }
            words.push(word);
        }
        if assignments.is_empty() && words.is_empty() && redirects.is_empty() {
            return Err(self.unexpected());
        }
        Ok(Command { kind: Kind::Simple { assignments, words }, redirects, line })
    }

    fn redirect(&mut self) -> Result<Option<Redirect>, SyntaxError> {
        let digits = self.rest().iter().take_while(|c| c.is_ascii_digit()).count();
        let (fd, operator_at) = match self.rest().get(digits) {
            Some('<' | '>') if digits > 0 && digits < 4 => {
                let text: String = self.rest()[..digits].iter().collect();
                (text.parse::<u32>().ok(), digits)
            }
            _ => (None, 0),
        };
        let (kind, length) = match &self.rest()[operator_at..] {
            ['&', '>', '>', ..] if operator_at == 0 => (RedirectKind::AppendBoth, 3),
            ['&', '>', ..] if operator_at == 0 => (RedirectKind::WriteBoth, 2),
            ['<', '<', '<', ..] => (RedirectKind::HereString, 3),
            ['<', '<', '-', ..] => (RedirectKind::Here, 3),
            ['<', '<', ..] => (RedirectKind::Here, 2),
            ['<', '&', ..] | ['>', '&', ..] => (RedirectKind::Duplicate, 2),
            ['<', '>', ..] => (RedirectKind::ReadWrite, 2),
            ['>', '>', ..] => (RedirectKind::Append, 2),
            ['>', '|', ..] => (RedirectKind::Write, 2),
            ['<', ..] => (RedirectKind::Read, 1),
            ['>', ..] => (RedirectKind::Write, 1),
            _ => return Ok(None),
        };
        let input = self.rest().get(operator_at) == Some(&'<');
        let strip_tabs = kind == RedirectKind::Here && length == 3;
        self.skip(operator_at + length);
        self.blanks();
        let target = self.word()?.ok_or_else(|| self.unexpected())?;
        let fd = fd.unwrap_or(if input { 0 } else { 1 });
        if kind != RedirectKind::Here {
            return Ok(Some(Redirect { fd, kind, target, document: None }));
        }
        let expand = target.0.iter().all(|part| matches!(part, Part::Text(_)));
        let delimiter = delimiter_text(&target);
        let text = Arc::new(OnceLock::new());
        self.documents.push(Pending { delimiter, expand, strip_tabs, text: text.clone() });
        Ok(Some(Redirect { fd, kind, target, document: Some(text) }))
    }
}

fn text_word(text: &str) -> Word {
    Word(vec![Part::Text(text.into())])
}

fn delimiter_text(word: &Word) -> String {
    let text = |part: &Part| match part {
        Part::Text(text) | Part::Quoted(text) => text.clone(),
        Part::Double(parts) => delimiter_text(&Word(parts.clone())),
        _ => String::new(),
    };
    word.0.iter().map(text).collect()
}

fn assignment(word: &Word) -> Option<(String, Word)> {
    let Some(Part::Text(text)) = word.0.first() else { return None };
    let (name, value) = text.split_once('=')?;
    let (bare, append) = name.strip_suffix('+').map_or((name, false), |bare| (bare, true));
    if !is_variable_name(bare) {
        return None;
    }
    let mut parts = Vec::new();
    if append {
        let act = super::ast::Act::Value;
        parts.push(Part::Double(vec![Part::Parameter(super::ast::Parameter { name: bare.to_owned(), act })]));
    }
    if let Some(user) = value.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        parts.push(Part::Home(String::new()));
        parts.push(Part::Text(user.to_owned()));
    } else if !value.is_empty() {
        parts.push(Part::Text(value.to_owned()));
    }
    parts.extend(word.0.iter().skip(1).cloned());
    Some((bare.to_owned(), Word(parts)))
}
