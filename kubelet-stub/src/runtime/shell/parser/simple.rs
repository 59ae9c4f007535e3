//! Reads simple commands: assignments, words, redirections, the beginnings of here-documents.

use super::{Parser, Pending, SyntaxError};
use crate::runtime::shell::ast::{Act, Command, Kind, Parameter, Part, Redirect, RedirectKind, Word};
use crate::runtime::shell::word::is_variable_name;
use std::sync::{Arc, OnceLock};

impl Parser {
    pub(super) fn simple(&mut self, line: u32) -> Result<Command, SyntaxError> {
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
                if self.peek() == Some('(')
                    && assignments.is_empty()
                    && redirects.is_empty()
                    && let Some(name) = word.plain().map(str::to_owned)
                {
                    self.skip(1);
                    self.expect_char(')')?;
                    let kind = self.function(name)?;
                    return Ok(Command { kind, redirects, line });
                }
            }
            words.push(word);
        }
        if assignments.is_empty() && words.is_empty() && redirects.is_empty() {
            return Err(self.unexpected());
        }
        Ok(Command { kind: Kind::Simple { assignments, words }, redirects, line })
    }

    pub(super) fn redirect(&mut self) -> Result<Option<Redirect>, SyntaxError> {
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
        let act = Act::Value;
        parts.push(Part::Double(vec![Part::Parameter(Parameter { name: bare.to_owned(), act })]));
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
