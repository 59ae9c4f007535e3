//! From bytes to a value of a type: checked, pruned, nulls and zeros dropped, in one pass, as Go's decoder does it.
//! Lists and maps that are empty stay, for Go holds them as well, until they are written.

mod scalar;
mod syntax;
#[cfg(test)]
mod tests;
mod twice;
mod visit;

use super::default;
use super::go::quote;
use super::model::{Model, Shape, TypeId};
use serde::de::DeserializeSeed;
use serde_json::Value;
use std::fmt::Write as _;

/// Most bytes of a path that are told.
pub(crate) const TOLD_BYTES_MAX: usize = 1_024;
/// No more unknown and duplicate fields than this are told.
const STRICT_ERRORS_MAX: usize = 100;

/// A time in UTC and whole seconds; `None` where the text is none.
pub(super) fn moment(text: &str) -> Option<Value> {
    scalar::time(text).ok()
}

/// What a body holds.
#[derive(Clone, Debug, Default)]
pub struct Decoded {
    /// The object, without what its type does not know. A set of fields (`fieldsV1`) is the text of it.
    pub value: Value,
    /// `unknown field "spec.foo"`, `duplicate field "spec.bar"`, in the order of the body.
    pub unknown: Vec<String>,
}

impl Decoded {
    /// The one message that `fieldValidation=Strict` answers, where there is anything to say.
    pub fn strict_error(&self) -> Option<String> {
        (!self.unknown.is_empty()).then(|| format!("strict decoding error: {}", self.unknown.join(", ")))
    }
}

/// Why a body is not an object of its type. The text is the one that a Go API server gives.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is no JSON.
    #[error("{0}")]
    Syntax(String),
    /// A value has the wrong type, or does not parse as its type.
    #[error("{0}")]
    Type(String),
}

/// Decodes a JSON body.
///
/// # Errors
/// When the bytes are no JSON, or a value does not fit its type.
pub fn object(model: &Model, id: TypeId, bytes: &[u8]) -> Result<Decoded, DecodeError> {
    text(State::new(model), id, bytes)
}

/// The same of one in which raw JSON is the text of it.
///
/// # Errors
/// When the bytes are no JSON, or a value does not fit its type.
pub fn folded(model: &Model, id: TypeId, bytes: &[u8]) -> Result<Decoded, DecodeError> {
    text(State { raws: Raws::Folded, ..State::new(model) }, id, bytes)
}

fn text(state: State<'_>, id: TypeId, bytes: &[u8]) -> Result<Decoded, DecodeError> {
    let (model, raws) = (state.model, state.raws);
    let lossy;
    let bytes = match std::str::from_utf8(bytes) {
        Ok(_) => bytes,
        Err(_) => {
            lossy = String::from_utf8_lossy(bytes).into_owned();
            lossy.as_bytes()
        }
    };
    let shape = Shape::Object(id);
    let read = |state: &mut State<'_>| {
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let read = visit::Seed::new(state, &shape).deserialize(&mut reader);
        read.and_then(|value| reader.end().map(|()| value))
    };
    let mut state = State { has_texts: true, ..state };
    let mut object = read(&mut state);
    // Nearly no body has such a number.
    if object.as_ref().is_err_and(|error| state.wants_texts || syntax::is_beyond_doubles(error)) {
        state = State { texts: true, raws, ..State::new(model) };
        object = read(&mut state);
    }
    state.finish(object, |error| syntax::message(bytes, error))
}

/// Whether a text is no JSON for a number that no double holds.
#[must_use]
pub fn is_beyond_doubles(error: &serde_json::Error) -> bool {
    syntax::is_beyond_doubles(error)
}

/// What a Go server says of bytes that are no JSON.
pub fn not_json(bytes: &[u8], error: &serde_json::Error) -> String {
    syntax::message(bytes, error)
}

/// Decodes a value that is parsed already: a patched object, whose sets of fields may be texts.
///
/// # Errors
/// When a value does not fit its type.
pub fn value(model: &Model, id: TypeId, value: Value) -> Result<Decoded, DecodeError> {
    let shape = Shape::Object(id);
    let mut state = State { folded: true, raws: Raws::Parsed, ..State::new(model) };
    let read = visit::Seed::new(&mut state, &shape).deserialize(value);
    state.finish(read, ToString::to_string)
}

/// The same without the lists and maps that Go leaves out where it writes the value.
///
/// # Errors
/// When a value does not fit its type.
pub fn rewritten(model: &Model, id: TypeId, value: Value) -> Result<Decoded, DecodeError> {
    let mut decoded = self::value(model, id, value)?;
    default::leave_out(model, id, &mut decoded.value);
    Ok(decoded)
}

/// The same as Go lays a map over a struct: a number that is no fraction becomes what the type holds, whatever is lost of it.
///
/// # Errors
/// When a value does not fit its type.
pub fn laid_over(model: &Model, id: TypeId, value: Value) -> Result<Decoded, DecodeError> {
    let shape = Shape::Object(id);
    let mut state = State { folded: true, raws: Raws::Parsed, converts: true, ..State::new(model) };
    let read = visit::Seed::new(&mut state, &shape).deserialize(value);
    state.finish(read, ToString::to_string)
}

/// A step from the root to the value at hand.
enum Segment<'m> {
    Field(&'m str, TypeId),
    Index(usize),
    Key(String),
}

/// What raw JSON is in what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Raws {
    /// JSON as its author wrote it.
    Written,
    /// A string that holds it.
    Folded,
    /// A value that was parsed.
    Parsed,
}

/// What one decoding remembers.
struct State<'m> {
    model: &'m Model,
    path: Vec<Segment<'m>>,
    strict: Vec<String>,
    /// Above zero inside of what Go decodes by a method of its own, which tells of no unknown fields.
    silent: usize,
    /// Whether sets of fields are texts already.
    folded: bool,
    /// How raw JSON comes.
    raws: Raws,
    /// Whether numbers are converted to what the type holds.
    converts: bool,
    /// Whether there is a text, which can be read again.
    has_texts: bool,
    /// Whether numbers are read as texts.
    texts: bool,
    /// A number was met of which its text says more than our parser does.
    wants_texts: bool,
    failure: Option<DecodeError>,
}

impl<'m> State<'m> {
    fn new(model: &'m Model) -> Self {
        let path = Vec::with_capacity(16);
        Self {
            model,
            path,
            strict: Vec::new(),
            silent: 0,
            folded: false,
            raws: Raws::Written,
            converts: false,
            has_texts: false,
            texts: false,
            wants_texts: false,
            failure: None,
        }
    }

    /// Whether a set of fields stays as it is: nothing, its text, or one that is not of the object's own managers.
    fn keeps(&self, set: &Value) -> bool {
        set.is_null() || (self.folded && set.is_string()) || !self.is_at_managers()
    }

    /// Whether the value at hand is the set of one of the object's own managers, and not of those that a template has.
    fn is_at_managers(&self) -> bool {
        let below = match self.path.as_slice() {
            [Segment::Field("metadata", _), below @ ..] => below,
            all => all,
        };
        matches!(below, [Segment::Field("managedFields", _), Segment::Index(_), Segment::Field(..)])
    }

    fn finish(
        self,
        read: Result<Value, serde_json::Error>,
        syntax: impl FnOnce(&serde_json::Error) -> String,
    ) -> Result<Decoded, DecodeError> {
        match (read, self.failure) {
            (_, Some(failure)) => Err(failure),
            (Ok(value), None) => Ok(Decoded { value, unknown: self.strict }),
            (Err(error), None) => Err(DecodeError::Syntax(syntax(&error))),
        }
    }

    /// Notes an unknown or duplicate field of the object at hand.
    fn note(&mut self, what: &str, name: &str) {
        if self.silent > 0 || self.strict.len() >= STRICT_ERRORS_MAX {
            return;
        }
        let mut path = String::new();
        for segment in &self.path {
            if path.len() > TOLD_BYTES_MAX {
                break;
            }
            let name = match segment {
                Segment::Index(index) => {
                    let _ = write!(path, "[{index}]");
                    continue;
                }
                Segment::Field(name, _) => name,
                Segment::Key(name) => name.as_str(),
            };
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&name[..name.floor_char_boundary(TOLD_BYTES_MAX)]);
        }
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(&name[..name.floor_char_boundary(TOLD_BYTES_MAX)]);
        path.truncate(path.floor_char_boundary(TOLD_BYTES_MAX));
        let message = format!("{what} field {}", quote(&path));
        if !self.strict.contains(&message) {
            self.strict.push(message);
        }
    }

    /// Notes that a value of the Go type `wanted` cannot be made of `found`.
    fn mismatch(&mut self, found: &str, wanted: &str) {
        let mut fields = String::new();
        let mut holder = None;
        for segment in &self.path {
            if let Segment::Field(name, id) = segment {
                for embedded in self.model.way_to(*id, name) {
                    fields.push_str(embedded);
                    fields.push('.');
                }
                fields.push_str(name);
                fields.push('.');
                holder = Some(*id);
            }
        }
        fields.pop();
        let place = match holder {
            Some(id) => format!("struct field {}.{fields}", self.model.get(id).short_name()),
            None => "value".to_owned(),
        };
        self.fail(format!("json: cannot unmarshal {found} into Go {place} of type {wanted}"));
    }

    fn fail(&mut self, message: String) {
        if self.failure.is_none() {
            self.failure = Some(DecodeError::Type(message));
        }
    }
}
