//! Expands parameters: `$name`, the special ones, and what `${name…}` does to a value.

use super::ast::{Act, Parameter, Word};
use super::expand::{Origin, Unit, push_text};
use super::glob::Pattern;
use super::state::{Flow, Shell};

impl Shell {
    pub(super) async fn parameter(
        &mut self,
        parameter: &Parameter,
        quoted: bool,
        units: &mut Vec<Unit>,
    ) -> Result<(), Flow> {
        let origin = if quoted { Origin::Quoted } else { Origin::Expanded };
        if matches!(parameter.name.as_str(), "@" | "*") && matches!(parameter.act, Act::Value) {
            self.all_positional(&parameter.name, quoted, units);
            return Ok(());
        }
        let value = self.parameter_value(&parameter.name);
        if let Act::Default { operator, colon, word } = &parameter.act {
            return self.default(parameter, value, (*operator, *colon, word), quoted, units).await;
        }
        if value.is_none() && self.options.unset_is_error && !matches!(parameter.name.as_str(), "@" | "*" | "!") {
            return self.fail(2, &format!("{}: parameter not set", parameter.name)).await;
        }
        let value = value.unwrap_or_default();
        let text = match &parameter.act {
            Act::Value | Act::Default { .. } => value,
            Act::Length if matches!(parameter.name.as_str(), "@" | "*") => self.positional.len().to_string(),
            Act::Length => value.chars().count().to_string(),
            Act::Trim { suffix, longest, pattern } => {
                let pattern = self.pattern(pattern).await?;
                trim(&value, &pattern, *suffix, *longest)
            }
            Act::Replace { all, anchor, pattern, with } => {
                let pattern = self.pattern(pattern).await?;
                let with = self.single(with).await?;
                replace(&value, &pattern, &with, *all, *anchor)
            }
            Act::Slice { offset, length } => self.slice(&value, offset, length.as_ref()).await?,
            Act::Case { upper, all } => change_case(&value, *upper, *all),
        };
        push_text(units, &text, origin);
        Ok(())
    }

    fn all_positional(&self, name: &str, quoted: bool, units: &mut Vec<Unit>) {
        if name == "*" && quoted {
            let ifs = self.ifs();
            let separator = ifs.chars().next().map(String::from).unwrap_or_default();
            push_text(units, &self.positional.join(&separator), Origin::Quoted);
            return;
        }
        for (index, value) in self.positional.iter().enumerate() {
            if quoted {
                if index > 0 {
                    units.push(Unit::Break);
                }
                if value.is_empty() {
                    units.push(Unit::Empty);
                }
                push_text(units, value, Origin::Quoted);
            } else {
                if index > 0 {
                    units.push(Unit::Char(' ', Origin::Expanded));
                }
                push_text(units, value, Origin::Expanded);
            }
        }
    }

    /// A parameter's value, or nothing where it is unset.
    pub(super) fn parameter_value(&self, name: &str) -> Option<String> {
        match name {
            "?" => Some(self.status.to_string()),
            "$" => Some(self.process.pid.to_string()),
            "!" => self.last_background.map(|pid| pid.to_string()),
            "#" => Some(self.positional.len().to_string()),
            "@" | "*" if self.positional.is_empty() => None,
            "@" | "*" => Some(self.positional.join(" ")),
            "-" => Some(self.option_letters()),
            "0" => Some(self.name.clone()),
            "LINENO" => Some(self.line.to_string()),
            "RANDOM" if !self.variables.contains_key(name) => {
                Some((rand::RngCore::next_u32(&mut rand::rng()) & 0x7fff).to_string())
            }
            "PPID" => Some(self.process.parent.to_string()),
            _ if name.starts_with(|c: char| c.is_ascii_digit()) => {
                let index = name.parse::<usize>().ok()?;
                self.positional.get(index.checked_sub(1)?).cloned()
            }
            _ => self.value(name).map(str::to_owned),
        }
    }

    fn option_letters(&self) -> String {
        let options = &self.options;
        let known = [
            (options.exit_on_error, 'e'),
            (options.no_glob, 'f'),
            (self.interactive, 'i'),
            (options.unset_is_error, 'u'),
            (options.trace, 'x'),
        ];
        known.iter().filter(|(on, _)| *on).map(|(_, letter)| *letter).collect()
    }

    async fn default(
        &mut self,
        parameter: &Parameter,
        value: Option<String>,
        (operator, colon, word): (char, bool, &Word),
        quoted: bool,
        units: &mut Vec<Unit>,
    ) -> Result<(), Flow> {
        let is_set = value.as_ref().is_some_and(|value| !colon || !value.is_empty());
        let origin = if quoted { Origin::Quoted } else { Origin::Expanded };
        match (operator, is_set) {
            ('+', false) => Ok(()),
            ('+', true) | ('-', false) => self.default_units(word, quoted, units).await,
            ('=', false) => {
                let value = self.single(word).await?;
                self.assign(&parameter.name, value.clone()).await?;
                push_text(units, &value, origin);
                Ok(())
            }
            ('?', false) => {
                let message = self.single(word).await?;
                let message = if message.is_empty() { "parameter not set".to_owned() } else { message };
                self.fail(2, &format!("{}: {message}", parameter.name)).await
            }
            _ if matches!(parameter.name.as_str(), "@" | "*") => {
                self.all_positional(&parameter.name, quoted, units);
                Ok(())
            }
            _ => {
                push_text(units, &value.unwrap_or_default(), origin);
                Ok(())
            }
        }
    }

    /// The word's units; what it has unquoted is split, as the value would have been.
    async fn default_units(&mut self, word: &Word, quoted: bool, units: &mut Vec<Unit>) -> Result<(), Flow> {
        let mut own = Vec::new();
        self.units(&word.0, quoted, &mut own).await?;
        units.extend(own.into_iter().map(|unit| match unit {
            Unit::Char(c, Origin::Plain) => Unit::Char(c, Origin::Expanded),
            other => other,
        }));
        Ok(())
    }

    async fn slice(&mut self, value: &str, offset: &Word, length: Option<&Word>) -> Result<String, Flow> {
        let chars: Vec<char> = value.chars().collect();
        let count = i64::try_from(chars.len()).unwrap_or(i64::MAX);
        let text = self.single(offset).await?;
        let start = self.arithmetic(&text).await?;
        let start = if start < 0 { (count + start).max(0) } else { start.min(count) };
        let end = match length {
            None => count,
            Some(word) => {
                let text = self.single(word).await?;
                let length = self.arithmetic(&text).await?;
                if length < 0 { (count + length).max(start) } else { start.saturating_add(length).min(count) }
            }
        };
        let index = |at: i64| usize::try_from(at).unwrap_or_default();
        Ok(chars[index(start)..index(end)].iter().collect())
    }
}

fn trim(value: &str, pattern: &Pattern, suffix: bool, longest: bool) -> String {
    let chars: Vec<char> = value.chars().collect();
    let mut cuts: Vec<usize> = (0..=chars.len()).collect();
    // A suffix is short where the cut is late, a prefix where it is early.
    if suffix != longest {
        cuts.reverse();
    }
    for cut in cuts {
        let (head, tail) = chars.split_at(cut);
        if suffix && pattern.matches_chars(tail) {
            return head.iter().collect();
        }
        if !suffix && pattern.matches_chars(head) {
            return tail.iter().collect();
        }
    }
    value.to_owned()
}

fn replace(value: &str, pattern: &Pattern, with: &str, all: bool, anchor: Option<char>) -> String {
    let chars: Vec<char> = value.chars().collect();
    let mut result = String::new();
    let mut at = 0;
    while at <= chars.len() {
        let ends = (at + 1..=chars.len()).rev();
        let found = ends
            .into_iter()
            .find(|end| (anchor != Some('%') || *end == chars.len()) && pattern.matches_chars(&chars[at..*end]));
        match found {
            Some(end) => {
                result.push_str(with);
                at = end;
                if !all {
                    break;
                }
            }
            None => {
                let Some(c) = chars.get(at) else { break };
                result.push(*c);
                at += 1;
            }
        }
        if anchor == Some('#') {
            break;
        }
    }
    result.extend(chars.get(at..).unwrap_or_default());
    result
}

fn change_case(value: &str, upper: bool, all: bool) -> String {
    let change = |text: &str| if upper { text.to_uppercase() } else { text.to_lowercase() };
    if all {
        return change(value);
    }
    let first = value.chars().next().map_or(0, char::len_utf8);
    change(&value[..first]) + &value[first..]
}
