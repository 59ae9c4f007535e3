//! Expands words: parameters, substitutions, field splitting, names in the tree, in POSIX's order.

use super::ast::{Part, Word};
use super::glob::{self, Pattern};
use super::state::{Flow, Shell};
use crate::runtime::machine::{Fd, Sink, pipe};
use futures_util::future::{BoxFuture, FutureExt};

/// Bytes of one command substitution.
const SUBSTITUTION_BYTES_MAX: usize = 4 << 20;
/// Characters of one word, each of which takes several bytes while the word is expanded.
const WORD_CHARS_MAX: usize = 4 << 20;
/// Bytes of all words of one command.
const ARGUMENT_BYTES_MAX: usize = 4 << 20;

/// How a character came into a word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Origin {
    /// Written unquoted: patterns match.
    Plain,
    /// Quoted: stands for itself.
    Quoted,
    /// From an unquoted expansion: split into fields, patterns match.
    Expanded,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unit {
    Char(char, Origin),
    /// `"$@"` begins another field here.
    Break,
    /// Quotes with nothing in them: the field exists.
    Empty,
}

pub(super) fn push_text(units: &mut Vec<Unit>, text: &str, origin: Origin) {
    units.extend(text.chars().map(|c| Unit::Char(c, origin)));
}

impl Shell {
    /// A word's fields.
    pub(super) async fn fields(&mut self, word: &Word) -> Result<Vec<String>, Flow> {
        if let Some(text) = word.plain().filter(|text| !text.contains(['*', '?', '['])) {
            return Ok(vec![text.to_owned()]);
        }
        let mut units = Vec::new();
        self.units(&word.0, false, &mut units).await?;
        let mut fields = Vec::new();
        for field in split(&units, &self.ifs()) {
            if !self.options.no_glob && Pattern::of_chars(&field).is_magic() {
                let found = glob::expand(&self.process.place, &field);
                if !found.is_empty() {
                    fields.extend(found);
                    continue;
                }
            }
            fields.push(field.iter().map(|(c, _)| *c).collect());
        }
        Ok(fields)
    }

    /// The fields of several words.
    pub(super) async fn all_fields(&mut self, words: &[Word]) -> Result<Vec<String>, Flow> {
        let (mut fields, mut bytes) = (Vec::new(), 0);
        for word in words {
            let more = self.fields(word).await?;
            bytes += more.iter().map(|field| field.len() + 1).sum::<usize>();
            if bytes > ARGUMENT_BYTES_MAX {
                return self.fail(2, "Argument list too long").await;
            }
            fields.extend(more);
        }
        Ok(fields)
    }

    /// A word as one text, without splitting and without names of the tree.
    pub(super) async fn single(&mut self, word: &Word) -> Result<String, Flow> {
        if let Some(text) = word.plain() {
            return Ok(text.to_owned());
        }
        let mut units = Vec::new();
        self.units(&word.0, false, &mut units).await?;
        let text = units.iter().map(|unit| match unit {
            Unit::Char(c, _) => Some(*c),
            Unit::Break => Some(' '),
            Unit::Empty => None,
        });
        Ok(text.flatten().collect())
    }

    /// A word as a pattern.
    pub(super) async fn pattern(&mut self, word: &Word) -> Result<Pattern, Flow> {
        let mut units = Vec::new();
        self.units(&word.0, false, &mut units).await?;
        let chars = units.iter().filter_map(|unit| match unit {
            Unit::Char(c, origin) => Some((*c, *origin == Origin::Quoted)),
            Unit::Break => Some((' ', true)),
            Unit::Empty => None,
        });
        Ok(Pattern::of_chars(&chars.collect::<Vec<_>>()))
    }

    pub(super) fn units<'a>(
        &'a mut self,
        parts: &'a [Part],
        quoted: bool,
        units: &'a mut Vec<Unit>,
    ) -> BoxFuture<'a, Result<(), Flow>> {
        async move {
            let plain = if quoted { Origin::Quoted } else { Origin::Plain };
            let expanded = if quoted { Origin::Quoted } else { Origin::Expanded };
            for part in parts {
                match part {
                    Part::Text(text) => push_text(units, text, plain),
                    Part::Quoted(text) if text.is_empty() && !quoted => units.push(Unit::Empty),
                    Part::Quoted(text) => push_text(units, text, Origin::Quoted),
                    Part::Double(inner) => {
                        let before = units.len();
                        self.units(inner, true, units).await?;
                        if units.len() == before && !only_all_positional(inner) {
                            units.push(Unit::Empty);
                        }
                    }
                    Part::Parameter(parameter) => self.parameter(parameter, quoted, units).await?,
                    Part::Command(script) => {
                        let text = self.substitute(script).await?;
                        push_text(units, &text, expanded);
                    }
                    Part::Arithmetic(word) => {
                        let text = self.single(word).await?;
                        let value = self.arithmetic(&text).await?;
                        push_text(units, &value.to_string(), expanded);
                    }
                    Part::Home(user) => {
                        let home = match user.as_str() {
                            "" => self.value("HOME").unwrap_or("/root").to_owned(),
                            "root" => "/root".to_owned(),
                            other => format!("~{other}"),
                        };
                        push_text(units, &home, Origin::Quoted);
                    }
                }
                if units.len() > WORD_CHARS_MAX {
                    return self.fail(2, "out of memory").await;
                }
            }
            Ok(())
        }
        .boxed()
    }

    pub(super) async fn arithmetic(&mut self, text: &str) -> Result<i64, Flow> {
        match super::arithmetic::evaluate(text, self) {
            Ok(value) => Ok(value),
            Err(message) => self.fail(2, &message).await,
        }
    }

    /// Runs a script and returns what it wrote, without the newlines at its end.
    async fn substitute(&mut self, script: &super::ast::Script) -> Result<String, Flow> {
        let (writer, reader) = pipe();
        let mut subshell = self.subshell();
        subshell.process.fds.insert(1, Fd::Sink(Sink::Pipe(writer)));
        let run = async move {
            let ran = subshell.run_subshell(script).await;
            drop(subshell);
            ran
        };
        let collect = async {
            let mut output = Vec::new();
            loop {
                let piece = reader.read(64 << 10).await;
                if piece.is_empty() {
                    return Some(output);
                }
                if output.len() + piece.len() > SUBSTITUTION_BYTES_MAX {
                    return None;
                }
                output.extend(piece);
            }
        };
        let joined = async {
            tokio::pin!(run);
            tokio::pin!(collect);
            let mut status = None;
            loop {
                tokio::select! {
                    ran = &mut run, if status.is_none() => status = Some(ran),
                    output = &mut collect => match (output, status) {
                        (Some(output), Some(status)) => return Some((status, output)),
                        // Its output is closed, but it goes on.
                        (Some(output), None) => return Some((run.await, output)),
                        (None, _) => return None,
                    },
                }
            }
        };
        let Some((status, output)) = joined.await else { return self.fail(2, "substitution too large").await };
        self.status = status;
        self.last_substitution = Some(status);
        let text = String::from_utf8_lossy(&output).replace('\0', "");
        Ok(text.trim_end_matches('\n').to_owned())
    }
}

/// `"$@"` without arguments is no field at all.
fn only_all_positional(parts: &[Part]) -> bool {
    !parts.is_empty() && parts.iter().all(|part| matches!(part, Part::Parameter(p) if p.name == "@"))
}

/// Splits at the characters of IFS that came from expansions.
fn split(units: &[Unit], ifs: &str) -> Vec<Vec<(char, bool)>> {
    let mut fields = Vec::new();
    let mut current: Option<Vec<(char, bool)>> = None;
    // A blank just ended a field: a delimiter that follows belongs to the same gap.
    let mut after_blank = false;
    for unit in units {
        match *unit {
            Unit::Break => {
                fields.push(current.take().unwrap_or_default());
                current = Some(Vec::new());
            }
            Unit::Empty => {
                current.get_or_insert_default();
            }
            Unit::Char(c, Origin::Expanded) if ifs.contains(c) => {
                if c.is_ascii_whitespace() {
                    if let Some(field) = current.take() {
                        fields.push(field);
                        after_blank = true;
                    }
                    continue;
                }
                match current.take() {
                    Some(field) => fields.push(field),
                    None if after_blank => {}
                    None => fields.push(Vec::new()),
                }
            }
            Unit::Char(c, origin) => current.get_or_insert_default().push((c, origin == Origin::Quoted)),
        }
        after_blank = false;
    }
    fields.extend(current);
    fields
}
