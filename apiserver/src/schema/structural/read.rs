//! JSON into a value, with a word about fields that stand there twice.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::RefCell;
use std::fmt;

/// No more double fields than this are told.
const DOUBLES_MAX: usize = 100;

/// What a body holds.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// The value; of a double field, the last.
    pub value: Value,
    /// `duplicate field "spec.foo"`, in the order of the body.
    pub doubles: Vec<String>,
}

/// Reads a body of JSON.
///
/// # Errors
/// It is none.
pub fn read(bytes: &[u8]) -> Result<Read, serde_json::Error> {
    let doubles = RefCell::default();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Seed { path: String::new(), doubles: &doubles }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(Read { value, doubles: doubles.into_inner() })
}

struct Seed<'a> {
    path: String,
    doubles: &'a RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let path = format!("{}[{}]", self.path, list.len());
            match items.next_element_seed(Seed { path, doubles: self.doubles })? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let path = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
            if fields.contains_key(&name) {
                let told = format!("duplicate field {path:?}");
                let mut doubles = self.doubles.borrow_mut();
                if doubles.len() < DOUBLES_MAX && !doubles.contains(&told) {
                    doubles.push(told);
                }
            }
            let value = entries.next_value_seed(Seed { path, doubles: self.doubles })?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}
