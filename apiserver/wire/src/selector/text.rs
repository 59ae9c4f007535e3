//! The text form of a label selector: words and signs, read as upstream's lexer and parser read them.

use super::{LabelSelector, REQUIREMENTS_MAX, Requirement, SelectorError, wrong};
use crate::quote::quote;
use smol_str::SmolStr;
use std::collections::BTreeSet;

/// The signs, each before those that it begins with: the longest that fits is taken.
const SIGNS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];

/// Reads `app=web,tier in (a,b),!legacy`.
pub(super) fn selector(text: &str) -> Result<LabelSelector, SelectorError> {
    let mut requirements = Vec::new();
    let mut parser = Parser { rest: text };
    loop {
        match parser.ahead() {
            Token::End => return Ok(LabelSelector { requirements }),
            Token::Word(_) | Token::Sign("!") => {}
            other => return wrong(format!("found '{}', expected: !, identifier, or 'end of string'", other.text())),
        }
        let requirement = parser.requirement();
        requirements.push(requirement.map_err(|why| SelectorError(format!("unable to parse requirement: {}", why.0)))?);
        if requirements.len() > REQUIREMENTS_MAX {
            return wrong(format!("more than {REQUIREMENTS_MAX} requirements"));
        }
        match parser.next() {
            Token::End => return Ok(LabelSelector { requirements }),
            Token::Sign(",") => {}
            other => return wrong(format!("found '{}', expected: ',' or 'end of string'", other.text())),
        }
        match parser.ahead() {
            Token::Word(_) | Token::Sign("!") => {}
            other => return wrong(format!("found '{}', expected: identifier after ','", other.text())),
        }
    }
}

#[derive(Clone, Copy)]
enum Token<'a> {
    Word(&'a str),
    Sign(&'static str),
    End,
}

impl<'a> Token<'a> {
    const fn text(self) -> &'a str {
        match self {
            Self::Word(word) => word,
            Self::Sign(sign) => sign,
            Self::End => "",
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Token<'a> {
        const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];
        let text = self.rest.trim_start_matches(BLANKS);
        if text.is_empty() {
            self.rest = text;
            return Token::End;
        }
        if let Some(sign) = SIGNS.into_iter().find(|sign| text.starts_with(sign)) {
            self.rest = &text[sign.len()..];
            return Token::Sign(sign);
        }
        let ends = |c: char| BLANKS.contains(&c) || "=!(),<>".contains(c);
        let (word, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
        self.rest = rest;
        Token::Word(word)
    }

    fn ahead(&self) -> Token<'a> {
        Parser { rest: self.rest }.next()
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let mut token = self.next();
        let denied = matches!(token, Token::Sign("!"));
        if denied {
            token = self.next();
        }
        let Token::Word(key) = token else {
            return wrong(format!("found '{}', expected: identifier", token.text()));
        };
        let faults = crate::meta::qualified_name(key);
        if !faults.is_empty() {
            return wrong(format!("<nil>: Invalid value: {}: {}", quote(key), faults.join("; ")));
        }
        if denied {
            return Ok(Requirement::DoesNotExist(key.into()));
        }
        if matches!(self.ahead(), Token::End | Token::Sign(",")) {
            return Ok(Requirement::Exists(key.into()));
        }
        self.compared(key)
    }

    /// What follows a key that is compared with something.
    fn compared(&mut self, key: &str) -> Result<Requirement, SelectorError> {
        let operator = self.next().text();
        let values = match operator {
            "in" | "notin" => self.set()?,
            "=" | "==" | "!=" | ">" | "<" => vec![self.value()?],
            other => return wrong(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt")),
        };
        let mut faults = Vec::new();
        let mut bound = 0;
        if matches!(operator, ">" | "<") {
            match values[0].parse() {
                Ok(number) => bound = number,
                Err(_) => faults.push(format!(
                    "values[0]: Invalid value: {:?}: for 'Gt', 'Lt' operators, the value must be an integer",
                    values[0]
                )),
            }
        }
        for (at, value) in values.iter().enumerate() {
            let wrong = crate::meta::label_value(value);
            if !wrong.is_empty() {
                faults.push(format!("values[{at}][{key}]: Invalid value: {}: {}", quote(value), wrong.join("; ")));
            }
        }
        match faults.as_slice() {
            [] => {}
            [one] => return wrong(one.clone()),
            many => return wrong(format!("[{}]", many.join(", "))),
        }
        Ok(match operator {
            ">" => Requirement::GreaterThan(key.into(), bound),
            "<" => Requirement::LessThan(key.into(), bound),
            "notin" | "!=" => Requirement::NotIn(key.into(), values),
            _ => Requirement::In(key.into(), values),
        })
    }

    /// What follows a sign: a word, or nothing where the text or the requirement ends.
    fn value(&mut self) -> Result<SmolStr, SelectorError> {
        if matches!(self.ahead(), Token::End | Token::Sign(",")) {
            return Ok(SmolStr::default());
        }
        match self.next() {
            Token::Word(word) => Ok(word.into()),
            other => wrong(format!("found '{}', expected: identifier", other.text())),
        }
    }

    /// The values in brackets, sorted and each of them once, as upstream keeps them.
    fn set(&mut self) -> Result<Vec<SmolStr>, SelectorError> {
        match self.next() {
            Token::Sign("(") => {}
            other => return wrong(format!("found '{}' expected: '('", other.text())),
        }
        let mut values = BTreeSet::new();
        match self.ahead() {
            Token::Word(_) | Token::Sign(",") => {}
            Token::Sign(")") => {
                self.next();
                return Ok(vec![SmolStr::default()]);
            }
            other => return wrong(format!("found '{}', expected: ',', ')' or identifier", other.text())),
        }
        loop {
            match self.next() {
                Token::Word(word) => {
                    values.insert(SmolStr::from(word));
                    if values.len() > REQUIREMENTS_MAX {
                        return wrong(format!("more than {REQUIREMENTS_MAX} values"));
                    }
                    match self.ahead() {
                        Token::Sign(",") => {}
                        Token::Sign(")") => break,
                        other => return wrong(format!("found '{}', expected: ',' or ')'", other.text())),
                    }
                }
                Token::Sign(",") => {
                    if values.is_empty() || matches!(self.ahead(), Token::Sign("," | ")")) {
                        values.insert(SmolStr::default());
                    }
                    if matches!(self.ahead(), Token::Sign(")")) {
                        break;
                    }
                }
                other => return wrong(format!("found '{}', expected: ',', or identifier", other.text())),
            }
        }
        self.next();
        Ok(values.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        selector(text).map_or_else(|why| why.0, |selector| format!("ok {selector}"))
    }

    #[test]
    fn what_is_wrong_with_a_selector_is_told_in_upstreams_words() {
        let table = [
            ("==a", "found '==', expected: !, identifier, or 'end of string'"),
            ("!=a", "found '!=', expected: !, identifier, or 'end of string'"),
            ("a,=b", "found '=', expected: identifier after ','"),
            ("a,", "found '', expected: identifier after ','"),
            ("a in (b)!=", "found '!=', expected: ',' or 'end of string'"),
            ("a=!=b", "unable to parse requirement: found '!=', expected: identifier"),
            ("a>(", "unable to parse requirement: found '(', expected: identifier"),
            ("a in b", "unable to parse requirement: found 'b' expected: '('"),
            ("a in (", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
            ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
            ("a in (,=", "unable to parse requirement: found '=', expected: ',', or identifier"),
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ];
        for (text, expected) in table {
            assert_eq!(told(text), expected, "{text}");
        }
        let many = told("a>b/");
        assert!(many.starts_with("unable to parse requirement: [values[0]: Invalid value: \"b/\": for 'Gt', 'Lt' operators, the value must be an integer, values[0][a]: Invalid value: \"b/\": a valid label"), "{many}");
        let key = told("a/");
        assert!(key.contains("\"a/\": name part must be non-empty; name part must consist of"), "{key}");
    }

    #[test]
    fn sets_are_sorted_and_may_hold_nothing() {
        assert_eq!(told("a in (c,b,c)"), "ok a in (b,c)");
        assert_eq!(told("a in ()"), "ok a=");
        assert_eq!(told("a in (,b)"), "ok a in (,b)");
        assert_eq!(told("a in (b,)"), "ok a in (,b)");
        assert_eq!(told("in=in,notin"), "ok in=in,notin");
    }
}
