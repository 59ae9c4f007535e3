//! The single pass over a body, steered by the shape that is expected at each place.

use super::{Raws, Segment, State, scalar, syntax, twice};
use crate::codec::depth;
use crate::schema::default::empty;
use crate::schema::model::{Field, Model, Scalar, Shape, Type, TypeId};
use crate::schema::raw;
use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};
use std::fmt;

/// Reads one value of a shape.
pub(super) struct Seed<'a, 'm, 's> {
    state: &'a mut State<'m>,
    shape: &'s Shape,
    /// Go's name of the innermost element, where it has one of its own.
    element: Option<&'s str>,
    /// Go's name of this whole list or map, likewise.
    whole: Option<&'s str>,
}

impl<'a, 'm, 's> Seed<'a, 'm, 's> {
    /// For the root.
    pub(super) fn new(state: &'a mut State<'m>, shape: &'s Shape) -> Self {
        Self { state, shape, element: None, whole: None }
    }

    /// Notes that `found` is no value of this shape.
    fn refuse<E: Error>(self, found: &str) -> E {
        let itself = reads_itself(self.shape);
        // Laid over a type, these do not know where they stand.
        if let (true, Some(wanted)) = (self.state.converts, itself) {
            self.state.fail(format!("json: cannot unmarshal {found} into Go value of type {wanted}"));
            return E::custom("");
        }
        let wanted = match self.shape {
            Shape::SchemaOrBool(_) => {
                self.state.fail("boolean or JSON schema expected".to_owned());
                return E::custom("");
            }
            shape => itself.map_or_else(|| self.state.model.go_name(shape, self.element, self.whole), str::to_owned),
        };
        self.state.mismatch(found, &wanted);
        E::custom("")
    }

    fn checked<E: Error>(self, checked: Result<Value, String>) -> Result<Value, E> {
        checked.map_err(|message| {
            self.state.fail(message);
            E::custom("")
        })
    }

    fn number<E: Error>(self, number: &Number) -> Result<Value, E> {
        let is_float = self.state.converts && !number.is_i64() && reads_itself(self.shape).is_none();
        let found = if is_float { "float64" } else { "number" };
        let Shape::Scalar(scalar) = self.shape else { return Err(self.refuse(found)) };
        let converted =
            if self.state.converts { scalar::converted(*scalar, number) } else { scalar::whole_zero(*scalar, number) };
        let number = converted.as_ref().unwrap_or(number);
        match scalar {
            Scalar::Int32 | Scalar::IntOrString if !fits_int32(number) => {
                Err(self.refuse(&format!("number {}", scalar::written(number))))
            }
            Scalar::Int64 if number.as_i64().is_none() => {
                Err(self.refuse(&format!("number {}", scalar::written(number))))
            }
            Scalar::Int32 | Scalar::Int64 | Scalar::IntOrString | Scalar::Double => Ok(Value::Number(number.clone())),
            Scalar::Quantity => self.checked(scalar::quantity(&scalar::written(number))),
            _ => Err(self.refuse(found)),
        }
    }

    /// A number by its text, of which Go reads a whole number or a quantity.
    fn number_text<E: Error>(self, text: &str) -> Result<Value, E> {
        let Shape::Scalar(scalar) = self.shape else { return Err(self.refuse("number")) };
        let number = match scalar {
            Scalar::Quantity => return self.checked(scalar::quantity(text)),
            Scalar::Int32 | Scalar::IntOrString => text.parse::<i32>().ok().map(Number::from),
            Scalar::Int64 => text.parse::<i64>().ok().map(Number::from),
            Scalar::Double => text.parse().ok().and_then(Number::from_f64),
            _ => return Err(self.refuse("number")),
        };
        number.map(Value::Number).ok_or_else(|| self.refuse(&format!("number {text}")))
    }
}

/// Raw JSON is read as the text that it is.
impl Seed<'_, '_, '_> {
    fn raw<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let levels = depth::LEVELS_MAX.saturating_sub(self.state.path.len());
        let (raw, fits) = match self.state.raws {
            Raws::Written => {
                let text = <&RawValue>::deserialize(deserializer)?.get();
                let fits = depth::text_fits(text, levels);
                // What is stored is read again, each number of it.
                if let (true, Err(error)) = (fits, serde_json::from_str::<Value>(text)) {
                    self.state.fail(syntax::message(text.as_bytes(), &error));
                    return Err(D::Error::custom(""));
                }
                (if text == "null" { Value::Null } else { text.into() }, fits)
            }
            Raws::Folded => {
                let raw = Value::deserialize(deserializer)?;
                let fits = raw.as_str().is_none_or(|text| depth::text_fits(text, levels));
                (raw, fits)
            }
            Raws::Parsed => match Value::deserialize(deserializer)? {
                Value::Null => return Ok(Value::Null),
                value => (raw::text_of(&value), depth::fits(&value, levels)),
            },
        };
        if !fits {
            self.state.fail(depth::TOO_DEEP.to_owned());
            return Err(D::Error::custom(""));
        }
        Ok(raw)
    }
}

/// What Go makes a value of that reads itself of JSON, as such values tell it.
fn reads_itself(shape: &Shape) -> Option<&'static str> {
    match shape {
        Shape::Scalar(Scalar::Time | Scalar::MicroTime) => Some("string"),
        Shape::Scalar(Scalar::IntOrString) => Some("int32"),
        _ => None,
    }
}

/// Whether a number says more by its text than as a double: Go makes it of its text.
fn is_made_of_text(shape: &Shape) -> bool {
    let Shape::Scalar(scalar) = shape else { return false };
    matches!(scalar, Scalar::Quantity | Scalar::Int32 | Scalar::Int64 | Scalar::IntOrString)
}

fn fits_int32(number: &Number) -> bool {
    number.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
}

impl<'de> DeserializeSeed<'de> for Seed<'_, '_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.shape {
            Shape::Scalar(Scalar::Json) => Value::deserialize(deserializer).map(scalar::read_back),
            Shape::Scalar(Scalar::Raw) => self.raw(deserializer),
            Shape::Scalar(Scalar::Fields) => {
                let set = Value::deserialize(deserializer)?;
                if depth::demand_set(&set).is_err() {
                    self.state.fail(depth::TOO_DEEP.to_owned());
                    return Err(D::Error::custom(""));
                }
                Ok(if self.state.keeps(&set) { set } else { Value::String(set.to_string()) })
            }
            Shape::Scalar(_) if self.state.texts => {
                let text = <&RawValue>::deserialize(deserializer)?.get();
                if text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
                    return self.number_text(text);
                }
                serde_json::Deserializer::from_str(text).deserialize_any(self).map_err(D::Error::custom)
            }
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Seed<'_, '_, '_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        match self.shape {
            Shape::Scalar(Scalar::Bool) | Shape::SchemaOrBool(_) => Ok(Value::Bool(value)),
            Shape::Scalar(Scalar::Quantity) => self.checked(scalar::quantity("true")),
            _ => Err(self.refuse("bool")),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.number(&value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.number(&value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        if self.state.has_texts && is_made_of_text(self.shape) {
            self.state.wants_texts = true;
            return Err(E::custom(""));
        }
        match Number::from_f64(value) {
            Some(number) => self.number(&number),
            None => Err(self.refuse("number")),
        }
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        match self.shape {
            Shape::Scalar(Scalar::String | Scalar::IntOrString) => Ok(Value::String(value.to_owned())),
            Shape::Scalar(Scalar::Quantity) => self.checked(scalar::quantity(value)),
            Shape::Scalar(Scalar::Time) => self.checked(scalar::time(value)),
            Shape::Scalar(Scalar::MicroTime) => self.checked(scalar::micro_time(value)),
            Shape::Scalar(Scalar::Bytes) => self.checked(scalar::bytes(value)),
            _ => Err(self.refuse("string")),
        }
    }

    /// A text of a value that is parsed already is taken as it is.
    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        match self.shape {
            Shape::Scalar(Scalar::String | Scalar::IntOrString) => Ok(Value::String(value)),
            _ => self.visit_str(&value),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Value, A::Error> {
        let strings = Shape::Scalar(Scalar::String);
        let schema;
        match self.shape {
            Shape::List(item) => items(self.state, item, self.element, list),
            Shape::SchemaOrArray(id) => {
                schema = Shape::Object(*id);
                quietly(self.state, |state| items(state, &schema, None, list))
            }
            Shape::SchemaOrStrings(_) => quietly(self.state, |state| items(state, &strings, None, list)),
            Shape::Scalar(Scalar::Quantity) => self.checked(scalar::quantity("[")),
            _ => Err(self.refuse("array")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        match self.shape {
            Shape::Object(id) => fields(self.state, *id, map),
            Shape::Map(value) => entries(self.state, value, self.element, map),
            Shape::SchemaOrArray(id) | Shape::SchemaOrBool(id) | Shape::SchemaOrStrings(id) => {
                quietly(self.state, |state| fields(state, *id, map))
            }
            Shape::Scalar(Scalar::Patch) => entries(self.state, &Shape::Scalar(Scalar::Json), None, map),
            Shape::Scalar(Scalar::Quantity) => self.checked(scalar::quantity("{")),
            _ => Err(self.refuse("object")),
        }
    }
}

fn quietly<'m, T>(state: &mut State<'m>, act: impl FnOnce(&mut State<'m>) -> T) -> T {
    state.silent += 1;
    let result = act(state);
    state.silent -= 1;
    result
}

fn items<'de, A: SeqAccess<'de>>(
    state: &mut State<'_>,
    item: &Shape,
    element: Option<&str>,
    mut list: A,
) -> Result<Value, A::Error> {
    let mut out = Vec::new();
    loop {
        state.path.push(Segment::Index(out.len()));
        let seed = Seed { state: &mut *state, shape: item, element, whole: None };
        let Some(value) = list.next_element_seed(seed)? else { break };
        state.path.pop();
        out.push(if value.is_null() { empty(item, false) } else { value });
    }
    state.path.pop();
    Ok(Value::Array(out))
}

fn entries<'de, A: MapAccess<'de>>(
    state: &mut State<'_>,
    shape: &Shape,
    element: Option<&str>,
    mut map: A,
) -> Result<Value, A::Error> {
    let mut out = Map::new();
    while let Some(key) = map.next_key::<String>()? {
        if out.contains_key(&key) {
            state.note("duplicate", &key);
        }
        // Only an object can have an unknown field below, and only that needs the key in its path.
        let named = !matches!(shape, Shape::Scalar(_));
        if named {
            state.path.push(Segment::Key(key.clone()));
        }
        let value = map.next_value_seed(Seed { state: &mut *state, shape, element, whole: None })?;
        if named {
            state.path.pop();
        }
        let value = match shape {
            // Bytes that are none are stored as ones of which there are none.
            Shape::Scalar(Scalar::Bytes) if value.is_null() => Value::String(String::new()),
            _ if value.is_null() => empty(shape, false),
            _ => value,
        };
        out.insert(key, value);
    }
    Ok(Value::Object(out))
}

fn fields<'de, 'm, A: MapAccess<'de>>(state: &mut State<'m>, id: TypeId, mut map: A) -> Result<Value, A::Error> {
    let model: &'m Model = state.model;
    let one = model.get(id);
    // A map of all at once costs less than one that grows.
    let mut out: Vec<(String, Value)> = Vec::with_capacity(8);
    let mut seen = Seen::default();
    while let Some(key) = map.next_key_seed(Key(one))? {
        match key {
            Found::Field(index, name) => {
                let field = &one.fields[index];
                let twice = !seen.first(index);
                if twice {
                    state.note("duplicate", &field.name);
                }
                state.path.push(Segment::Field(&field.name, id));
                let value = map.next_value_seed(Seed {
                    state: &mut *state,
                    shape: &field.shape,
                    element: field.element_name.as_deref(),
                    whole: field.whole_name.as_deref(),
                })?;
                state.path.pop();
                let known = |(name, _): &(String, Value)| *name == field.name.as_str();
                let value = match if twice { out.iter().position(known) } else { None } {
                    Some(at) => twice::over(model, field, out.swap_remove(at).1, value),
                    None => value,
                };
                if says_something(field, &value) {
                    out.push((name.unwrap_or_else(|| field.name.as_str().to_owned()), value));
                }
            }
            Found::Other(name) if one.open => {
                if out.iter().any(|(known, _)| *known == name) {
                    state.note("duplicate", &name);
                }
                out.push((name, map.next_value()?));
            }
            Found::Other(name) => {
                state.note("unknown", &name);
                map.next_value::<IgnoredAny>()?;
            }
        }
    }
    Ok(Value::Object(Map::from_iter(out)))
}

/// Which fields were met: a word for the first 128, a list for the rare type with more.
#[derive(Default)]
struct Seen {
    low: u128,
    high: Vec<usize>,
}

impl Seen {
    /// Whether a field is met for the first time.
    fn first(&mut self, index: usize) -> bool {
        if index >= 128 {
            let met = self.high.contains(&index);
            self.high.push(index);
            return !met;
        }
        let bit = 1 << index;
        let met = self.low & bit != 0;
        self.low |= bit;
        !met
    }
}

/// Whether Go holds this value: no null, and no zero of a field that has one in any case.
fn says_something(field: &Field, value: &Value) -> bool {
    if value.is_null() {
        return false;
    }
    if field.pointer || (field.written && !matches!(field.shape, Shape::Scalar(Scalar::IntOrString))) {
        return true;
    }
    match (&field.shape, value) {
        (Shape::Object(_), _) => true,
        (Shape::Scalar(Scalar::Quantity | Scalar::Raw | Scalar::Json), _) => true,
        // A name that is empty is a name, and no port.
        (Shape::Scalar(Scalar::IntOrString), Value::String(_)) if field.written => true,
        (_, Value::Bool(value)) => *value,
        (_, Value::Number(number)) => number.as_f64() != Some(0.0),
        (_, Value::String(text)) => !text.is_empty(),
        (_, Value::Array(_) | Value::Object(_)) => true,
        (_, Value::Null) => false,
    }
}

/// Reads a key and finds its field, without keeping the text of one that is known.
struct Key<'m>(&'m Type);

enum Found {
    /// A field that is known, and the key where it is nobody else's.
    Field(usize, Option<String>),
    Other(String),
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Found;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a field name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Found, E> {
        Ok(match self.0.index(name) {
            Some(index) => Found::Field(index, None),
            None => Found::Other(name.to_owned()),
        })
    }

    fn visit_string<E: Error>(self, name: String) -> Result<Found, E> {
        Ok(match self.0.index(&name) {
            Some(index) => Found::Field(index, Some(name)),
            None => Found::Other(name),
        })
    }
}
