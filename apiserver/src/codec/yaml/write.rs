//! Values as YAML: keys in their natural order, quotation marks where a text would mean something else, lines of 80.

use super::{Unreadable, scalar};
use libyaml_safer::{Emitter, Encoding, Event, MappingStyle, ScalarStyle, SequenceStyle};
use serde_json::Value;
use std::cmp::Ordering;

/// A value as YAML.
///
/// # Errors
/// It holds a letter that YAML does not allow; upstream's way there leads over YAML, too.
pub fn write(value: &Value) -> Result<String, Unreadable> {
    let mut out = Vec::new();
    let mut writer = Writer { emitter: Emitter::new() };
    writer.emitter.set_output_string(&mut out);
    let mut found = Letters::default();
    found.look(value);
    if found.forbidden {
        return Err(Unreadable("yaml: control characters are not allowed".to_owned()));
    }
    // Upstream's library escapes letters beyond the basic plane; where others stand beside them, both can't be had.
    writer.emitter.set_unicode(!found.astral || found.beyond_ascii);
    let failed = |error: libyaml_safer::Error| Unreadable(format!("yaml: {}", error.problem()));
    writer.all(value).map_err(failed)?;
    drop(writer);
    String::from_utf8(out).map_err(|error| Unreadable(error.to_string()))
}

/// Which letters stand in a value.
#[derive(Default)]
struct Letters {
    forbidden: bool,
    astral: bool,
    beyond_ascii: bool,
}

impl Letters {
    fn look(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter().for_each(|item| self.look(item)),
            Value::Object(fields) => fields.iter().for_each(|(name, value)| {
                self.text(name);
                self.look(value);
            }),
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        for letter in text.chars() {
            // JSON, by way of which upstream comes here, escapes those below.
            self.forbidden |= letter >= ' ' && !super::is_allowed(letter);
            self.astral |= letter > '\u{ffff}';
            self.beyond_ascii |= ('\u{80}'..='\u{ffff}').contains(&letter);
        }
    }
}

struct Writer<'w> {
    emitter: Emitter<'w>,
}

impl Writer<'_> {
    fn all(&mut self, value: &Value) -> libyaml_safer::Result<()> {
        self.emitter.emit(Event::stream_start(Encoding::Utf8))?;
        self.emitter.emit(Event::document_start(None, &[], true))?;
        self.value(value)?;
        self.emitter.emit(Event::document_end(true))?;
        // The end of the stream would be marked, where a text leaves it open.
        self.emitter.flush()
    }

    fn value(&mut self, value: &Value) -> libyaml_safer::Result<()> {
        match value {
            Value::Null => self.scalar("null", ScalarStyle::Plain),
            Value::Bool(is) => self.scalar(if *is { "true" } else { "false" }, ScalarStyle::Plain),
            Value::Number(number) => {
                let float = number.as_f64().filter(|_| number.is_f64());
                let text = match float.map(|float| (float, scalar::number(float))) {
                    Some((float, _)) if float == 0.0 && float.is_sign_negative() => "-0".to_owned(),
                    Some((float, Some(number))) if number.is_f64() => crate::schema::go::float(float),
                    Some((_, Some(whole))) => whole.to_string(),
                    _ => number.to_string(),
                };
                self.scalar(&text, ScalarStyle::Plain)
            }
            Value::String(text) => self.text(text),
            Value::Array(items) => {
                self.emitter.emit(Event::sequence_start(None, None, true, SequenceStyle::Block))?;
                items.iter().try_for_each(|item| self.value(item))?;
                self.emitter.emit(Event::sequence_end())
            }
            Value::Object(fields) => {
                let fields = sorted(fields.iter().collect());
                self.emitter.emit(Event::mapping_start(None, None, true, MappingStyle::Block))?;
                for (name, value) in fields {
                    self.text(name)?;
                    self.value(value)?;
                }
                self.emitter.emit(Event::mapping_end())
            }
        }
    }

    fn text(&mut self, text: &str) -> libyaml_safer::Result<()> {
        let style = if text.contains('\n') {
            ScalarStyle::Literal
        } else if scalar::is_text(text) {
            ScalarStyle::Plain
        } else {
            ScalarStyle::DoubleQuoted
        };
        self.scalar(text, style)
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle) -> libyaml_safer::Result<()> {
        self.emitter.emit(Event::scalar(None, None, text, true, true, style))
    }
}

/// Entries by the natural order of their keys. That is no order of the whole where numbers begin with a nought: the sorts at
/// hand would refuse it.
fn sorted<'v>(mut entries: Vec<(&'v String, &'v Value)>) -> Vec<(&'v String, &'v Value)> {
    if entries.len() < 2 {
        return entries;
    }
    let right = sorted(entries.split_off(entries.len() / 2));
    let (left, mut merged) = (sorted(entries), Vec::new());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some((one, _)), Some((other, _))) = (left.peek(), right.peek()) {
        let next = if natural(other, one) == Ordering::Less { right.next() } else { left.next() };
        merged.extend(next);
    }
    merged.extend(left);
    merged.extend(right);
    merged
}

/// The order of keys: numbers within them count as numbers, and letters come after what is none.
fn natural(one: &str, other: &str) -> Ordering {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let Some(at) = one.iter().zip(&other).position(|(one, other)| one != other) else {
        return one.len().cmp(&other.len());
    };
    match (one[at].is_alphabetic(), other[at].is_alphabetic()) {
        (true, true) => return one[at].cmp(&other[at]),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // A nought counts where another number stands before it.
    let follows = (one[at] == '0' || other[at] == '0')
        && one[..at].iter().rev().take_while(|c| c.is_ascii_digit()).any(|c| *c != '0');
    let number = |text: &[char]| {
        let digits = text[at..].iter().map_while(|c| c.to_digit(10));
        let count = digits.clone().count();
        (digits.fold(i64::from(follows), |sum, digit| sum.wrapping_mul(10).wrapping_add(i64::from(digit))), count)
    };
    number(&one).cmp(&number(&other)).then(one[at].cmp(&other[at]))
}
