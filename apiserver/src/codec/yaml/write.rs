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
    writer.emitter.set_unicode(true);
    let failed = |error: libyaml_safer::Error| Unreadable(format!("yaml: {}", error.problem()));
    writer.all(value).map_err(failed)?;
    drop(writer);
    String::from_utf8(out).map_err(|error| Unreadable(error.to_string()))
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
                    Some((float, Some(number))) if number.is_f64() => scalar::float_text(float),
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
                let mut fields: Vec<_> = fields.iter().collect();
                fields.sort_unstable_by(|(one, _), (other, _)| natural(one, other));
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
