//! Reads compound commands: groups, conditions, loops, cases, functions.

use super::{Parser, SyntaxError, text_word};
use crate::runtime::shell::ast::{Arm, Kind, Script, Word};
use crate::runtime::shell::word::is_variable_name;
use std::sync::Arc;

impl Parser {
    pub(super) fn compound(&mut self) -> Result<Option<Kind>, SyntaxError> {
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

    pub(super) fn function(&mut self, name: String) -> Result<Kind, SyntaxError> {
        self.newlines()?;
        let body = self.command()?;
        Ok(Kind::Function { name, body: Arc::new(body) })
    }
}
