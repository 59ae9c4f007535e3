//! YAML as upstream's library reads and writes it: YAML 1.1's words for truth, keys that are no texts, Go's complaints,
//! and the widths, quotes and order of its answers.

mod decode;
mod scalar;
mod tags;
mod tree;
mod write;

pub use write::write;

use serde_json::Value;

/// How the complaint of a strict reader begins; each of its lines tells of one thing.
pub(super) const STRICT: &str = "yaml: unmarshal errors:\n";

/// What a text holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Read {
    /// The first document; of a key that stands twice, the last one counts.
    pub value: Value,
    /// The keys that stand twice, each with its line.
    pub doubles: Vec<String>,
    /// Whether a number in it is beyond the signed ones, as JSON's whole ones are.
    pub is_unsigned: bool,
}

impl Read {
    /// What a strict reader says of it.
    #[must_use]
    pub fn strict(&self) -> Option<String> {
        (!self.doubles.is_empty()).then(|| format!("{STRICT}  {}", self.doubles.join("\n  ")))
    }
}

/// Why a text is no YAML, or none that JSON could say, in the words of Go.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

/// Reads the first document of a text, as JSON has it. A text without one is null.
///
/// # Errors
/// It is no YAML, or JSON can't say it.
pub fn read(bytes: &[u8]) -> Result<Read, Unreadable> {
    let of_yaml = |told: String| Unreadable(format!("yaml: {told}"));
    let Some(tree) = tree::Tree::read(bytes).map_err(of_yaml)? else { return Ok(Read::default()) };
    decode::decode(&tree).map_err(|told| match told {
        decode::Refusal::Yaml(told) => of_yaml(told),
        decode::Refusal::Json(told) => Unreadable(told),
    })
}

/// Whether YAML allows a letter.
fn is_allowed(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}

/// Makes the numbers of a JSON text what they are in YAML, and then in JSON again: whole ones have no fraction, and what no
/// `int64` holds is rounded.
pub fn numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().filter(|_| !number.is_i64()).and_then(scalar::number) {
                *number = whole;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(numbers),
        Value::Object(fields) => fields.values_mut().for_each(numbers),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
