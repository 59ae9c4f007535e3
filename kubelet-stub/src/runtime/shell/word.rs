//! Reads words: quotes, escapes, parameters, substitutions.

use super::ast::{Act, Parameter, Part, Word};
use super::parser::{Parser, SyntaxError};
use std::sync::Arc;

/// Ends an unquoted word.
fn ends_word(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')')
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// True for what a variable may be called.
pub(super) fn is_variable_name(text: &str) -> bool {
    text.starts_with(is_name_start) && text.chars().all(is_name)
}

/// Collects parts; neighbouring texts become one.
#[derive(Default)]
struct Parts(Vec<Part>);

impl Parts {
    fn text(&mut self, c: char) {
        if let Some(Part::Text(text)) = self.0.last_mut() {
            text.push(c);
        } else {
            self.0.push(Part::Text(c.into()));
        }
    }

    fn quoted(&mut self, c: char) {
        if let Some(Part::Quoted(text)) = self.0.last_mut() {
            text.push(c);
        } else {
            self.0.push(Part::Quoted(c.into()));
        }
    }
}

impl Parser {
    /// A word, or `None` where none begins.
    pub(super) fn word(&mut self) -> Result<Option<Word>, SyntaxError> {
        let word = self.word_until(ends_word, true)?;
        Ok(if word.0.is_empty() { None } else { Some(word) })
    }

    /// Reads to an unquoted character that `ends`, which stays unread.
    fn word_until(&mut self, ends: impl Fn(char) -> bool, home: bool) -> Result<Word, SyntaxError> {
        let mut parts = Parts::default();
        if home && self.peek() == Some('~') {
            let length = self.rest().iter().take_while(|c| !ends_word(**c) && **c != '/').count();
            let user: String = self.rest()[1..length].iter().collect();
            if user.chars().all(|c| is_name(c) || c == '-') {
                self.skip(length);
                parts.0.push(Part::Home(user));
            }
        }
        while let Some(c) = self.peek() {
            if ends(c) {
                break;
            }
            self.skip(1);
            match c {
                '\\' => match self.next() {
                    Some('\n') => {}
                    Some(escaped) => parts.quoted(escaped),
                    None => parts.quoted('\\'),
                },
                '\'' => parts.0.push(Part::Quoted(self.until_quote()?)),
                '"' => {
                    let inner = self.double_quoted(Some('"'))?;
                    parts.0.push(Part::Double(inner));
                }
                '$' => match self.dollar(false)? {
                    Some(part) => parts.0.push(part),
                    None => parts.text('$'),
                },
                '`' => {
                    let part = self.backquoted(false)?;
                    parts.0.push(part);
                }
                other => parts.text(other),
            }
        }
        Ok(Word(parts.0))
    }

    fn until_quote(&mut self) -> Result<String, SyntaxError> {
        let mut text = String::new();
        loop {
            match self.next() {
                Some('\'') => return Ok(text),
                Some(c) => text.push(c),
                None => return Err(SyntaxError::incomplete("unterminated quoted string")),
            }
        }
    }

    /// The parts of a double-quoted text, to its closing quote, or of a here-document, to the end.
    pub(super) fn double_quoted(&mut self, close: Option<char>) -> Result<Vec<Part>, SyntaxError> {
        let mut parts = Parts::default();
        loop {
            let Some(c) = self.next() else {
                return match close {
                    None => Ok(parts.0),
                    Some(_) => Err(SyntaxError::incomplete("unterminated quoted string")),
                };
            };
            match c {
                _ if Some(c) == close => return Ok(parts.0),
                '\\' => match self.next() {
                    Some('\n') => {}
                    Some(c @ ('$' | '`' | '\\')) => parts.quoted(c),
                    Some('"') if close.is_some() => parts.quoted('"'),
                    Some(c) => {
                        parts.quoted('\\');
                        parts.quoted(c);
                    }
                    None => parts.quoted('\\'),
                },
                '$' => match self.dollar(true)? {
                    Some(part) => parts.0.push(part),
                    None => parts.quoted('$'),
                },
                '`' => {
                    let part = self.backquoted(true)?;
                    parts.0.push(part);
                }
                other => parts.quoted(other),
            }
        }
    }

    /// What follows a `$`, or nothing where it stands for itself.
    fn dollar(&mut self, quoted: bool) -> Result<Option<Part>, SyntaxError> {
        let value = |name: String| Some(Part::Parameter(Parameter { name, act: Act::Value }));
        Ok(match self.peek() {
            Some('(') if self.rest().get(1) == Some(&'(') => match self.arithmetic()? {
                Some(part) => Some(part),
                None => Some(self.command_substitution()?),
            },
            Some('(') => Some(self.command_substitution()?),
            Some('{') => {
                self.skip(1);
                Some(Part::Parameter(self.braced(quoted)?))
            }
            Some('\'') if !quoted => {
                self.skip(1);
                Some(Part::Quoted(self.ansi_quoted()?))
            }
            Some(c) if is_name_start(c) => value(self.name()),
            Some(c) if c.is_ascii_digit() || "?$!#@*-".contains(c) => {
                self.skip(1);
                value(c.into())
            }
            _ => None,
        })
    }

    fn name(&mut self) -> String {
        let length = self.rest().iter().take_while(|c| is_name(**c)).count();
        let name = self.rest()[..length].iter().collect();
        self.skip(length);
        name
    }

    fn command_substitution(&mut self) -> Result<Part, SyntaxError> {
        self.skip(1);
        let script = self.script_until(&[")"])?;
        self.expect_char(')')?;
        Ok(Part::Command(Arc::new(script)))
    }

    /// `((…))` after the dollar, or nothing where it is a substitution that begins with a subshell.
    fn arithmetic(&mut self) -> Result<Option<Part>, SyntaxError> {
        let mut depth = 0;
        let mut end = None;
        for (index, c) in self.rest().iter().enumerate() {
            match c {
                '(' => depth += 1,
                ')' => {
                    depth -= 1;
                    if depth == 1 && self.rest().get(index + 1) == Some(&')') {
                        end = Some(index);
                        break;
                    }
                    if depth <= 1 {
                        return Ok(None);
                    }
                }
                _ => {}
            }
        }
        let Some(end) = end else { return Err(SyntaxError::incomplete("missing '))'")) };
        let text: String = self.rest()[2..end].iter().collect();
        self.skip(end + 2);
        let parts = self.nested(&text).double_quoted(None)?;
        Ok(Some(Part::Arithmetic(Word(parts))))
    }

    fn backquoted(&mut self, quoted: bool) -> Result<Part, SyntaxError> {
        let mut text = String::new();
        loop {
            match self.next() {
                Some('`') => break,
                Some('\\') => match self.next() {
                    Some(c @ ('`' | '\\' | '$')) => text.push(c),
                    Some('"') if quoted => text.push('"'),
                    Some(c) => text.extend(['\\', c]),
                    None => {}
                },
                Some(c) => text.push(c),
                None => return Err(SyntaxError::incomplete("unterminated backquote")),
            }
        }
        let script = self.nested(&text).whole()?;
        Ok(Part::Command(Arc::new(script)))
    }

    fn ansi_quoted(&mut self) -> Result<String, SyntaxError> {
        let mut text = String::new();
        loop {
            match self.next() {
                Some('\'') => return Ok(text),
                Some('\\') => match self.next() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('r') => text.push('\r'),
                    Some('e') => text.push('\x1b'),
                    Some('0') => text.push('\0'),
                    Some(c) => text.push(c),
                    None => {}
                },
                Some(c) => text.push(c),
                None => return Err(SyntaxError::incomplete("unterminated quoted string")),
            }
        }
    }

    /// What follows `${`, with the closing brace.
    fn braced(&mut self, quoted: bool) -> Result<Parameter, SyntaxError> {
        let length = self.peek() == Some('#') && self.rest().get(1).is_some_and(|c| *c != '}');
        if length {
            self.skip(1);
        }
        let name = match self.peek() {
            Some(c) if is_name_start(c) => self.name(),
            Some(c) if c.is_ascii_digit() => {
                let count = self.rest().iter().take_while(|c| c.is_ascii_digit()).count();
                let digits = self.rest()[..count].iter().collect();
                self.skip(count);
                digits
            }
            Some(c) if "?$!#@*-".contains(c) => {
                self.skip(1);
                c.into()
            }
            Some(_) => return Err(SyntaxError::bad("bad substitution")),
            None => return Err(SyntaxError::incomplete("missing '}'")),
        };
        let act = if length { Act::Length } else { self.act(quoted)? };
        match self.next() {
            Some('}') => Ok(Parameter { name, act }),
            Some(_) => Err(SyntaxError::bad("bad substitution")),
            None => Err(SyntaxError::incomplete("missing '}'")),
        }
    }

    fn act(&mut self, quoted: bool) -> Result<Act, SyntaxError> {
        let Some(c) = self.peek() else { return Ok(Act::Value) };
        let next = self.rest().get(1).copied();
        let twice = next == Some(c);
        match c {
            '-' | '=' | '?' | '+' => {
                self.skip(1);
                Ok(Act::Default { operator: c, colon: false, word: self.operand(quoted, "}")? })
            }
            ':' if next.is_some_and(|c| "-=?+".contains(c)) => {
                self.skip(2);
                Ok(Act::Default { operator: next.unwrap_or('-'), colon: true, word: self.operand(quoted, "}")? })
            }
            ':' => {
                self.skip(1);
                let offset = self.operand(quoted, ":}")?;
                let length = if self.peek() == Some(':') {
                    self.skip(1);
                    Some(self.operand(quoted, "}")?)
                } else {
                    None
                };
                Ok(Act::Slice { offset, length })
            }
            '#' | '%' => {
                self.skip(if twice { 2 } else { 1 });
                Ok(Act::Trim { suffix: c == '%', longest: twice, pattern: self.operand(false, "}")? })
            }
            '/' => {
                self.skip(if twice { 2 } else { 1 });
                let anchor = self.peek().filter(|c| !twice && "#%".contains(*c));
                self.skip(usize::from(anchor.is_some()));
                let pattern = self.operand(false, "/}")?;
                let with = if self.peek() == Some('/') {
                    self.skip(1);
                    self.operand(quoted, "}")?
                } else {
                    Word::default()
                };
                Ok(Act::Replace { all: twice, anchor, pattern, with })
            }
            '^' | ',' => {
                self.skip(if twice { 2 } else { 1 });
                Ok(Act::Case { upper: c == '^', all: twice })
            }
            _ => Ok(Act::Value),
        }
    }

    /// A word within braces: blanks belong to it.
    fn operand(&mut self, quoted: bool, ends: &str) -> Result<Word, SyntaxError> {
        if !quoted {
            return self.word_until(|c| ends.contains(c), true);
        }
        // Within double quotes, single quotes stand for themselves.
        let mut parts = Parts::default();
        while let Some(c) = self.peek().filter(|c| !ends.contains(*c)) {
            self.skip(1);
            match c {
                '\\' => match self.next() {
                    Some(c @ ('$' | '`' | '\\' | '"' | '}')) => parts.quoted(c),
                    Some(c) => {
                        parts.quoted('\\');
                        parts.quoted(c);
                    }
                    None => {}
                },
                '"' => {
                    let inner = self.double_quoted(Some('"'))?;
                    parts.0.push(Part::Double(inner));
                }
                '$' => match self.dollar(true)? {
                    Some(part) => parts.0.push(part),
                    None => parts.quoted('$'),
                },
                '`' => {
                    let part = self.backquoted(true)?;
                    parts.0.push(part);
                }
                other => parts.quoted(other),
            }
        }
        Ok(Word(parts.0))
    }
}
