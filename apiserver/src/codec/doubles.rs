//! JSON and YAML whose keys may stand there twice: the last one counts, and each is told.

use super::yaml::{self, Unreadable};
use crate::schema::decode::TOLD_BYTES_MAX;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// No more double keys than this are told.
const TOLD_MAX: usize = 100;

/// A JSON text as a value, and the paths of its double keys, as `spec.a[0].b`.
///
/// # Errors
/// It is no JSON.
pub fn json(bytes: &[u8]) -> serde_json::Result<(Value, Vec<String>)> {
    let mut state = State::default();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Seed(&mut state).deserialize(&mut reader)?;
    reader.end()?;
    Ok((value, state.doubles))
}

/// A YAML text as a value, and what a strict reader says of it.
///
/// # Errors
/// It is no YAML.
pub fn yaml(bytes: &[u8]) -> Result<(Value, Option<String>), Unreadable> {
    // JSON is YAML, and what most clients send.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
        && let Ok((mut value, doubles)) = json(bytes)
        && doubles.is_empty()
    {
        yaml::numbers(&mut value);
        return Ok((value, None));
    }
    let read = yaml::read(bytes)?;
    let strict = read.strict().map(|told| format!("error converting YAML to JSON: {told}"));
    Ok((read.value, strict))
}

#[derive(Default)]
struct State {
    path: String,
    doubles: Vec<String>,
}

struct Seed<'s>(&'s mut State);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    /// What no `int64` holds is read as a number with a fraction, as Go's decoder does.
    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        #[expect(clippy::cast_precision_loss, reason = "as Go converts it")]
        Ok(i64::try_from(value).map_or_else(|_| Value::from(value as f64), Value::from))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        // Go reads `-0` as a whole number, which has no sign at zero.
        if value == 0.0 && value.is_sign_negative() {
            return Ok(0.into());
        }
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        let length = self.0.path.len();
        loop {
            self.0.path.push_str(&format!("[{}]", out.len()));
            let item = list.next_element_seed(Seed(&mut *self.0))?;
            self.0.path.truncate(length);
            match item {
                Some(item) => out.push(item),
                None => return Ok(Value::Array(out)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        let length = self.0.path.len();
        while let Some(key) = map.next_key::<String>()? {
            if length > 0 {
                self.0.path.push('.');
            }
            self.0.path.push_str(&key);
            let (path, doubles) = (&self.0.path, &mut self.0.doubles);
            if doubles.len() < TOLD_MAX && out.contains_key(&key) {
                let told = &path[..path.floor_char_boundary(TOLD_BYTES_MAX)];
                if !doubles.iter().any(|known| known == told) {
                    doubles.push(told.to_owned());
                }
            }
            let value = map.next_value_seed(Seed(&mut *self.0))?;
            self.0.path.truncate(length);
            out.insert(key, value);
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_last_of_double_keys_counts_and_each_is_told() {
        let (value, doubles) = json(br#"{"a":1,"b":[{"c":1,"c":2,"c":2}],"a":{"d":null}}"#).unwrap();
        assert_eq!(value, json!({"a": {"d": null}, "b": [{"c": 2}]}));
        assert_eq!(doubles, ["b[0].c", "a"]);
        let (value, _) = json(b"[9223372036854775807,9223372036854775808]").unwrap();
        assert!(value[0].is_i64() && value[1].is_f64(), "{value}");
        assert!(json(b"{} x").is_err() && json(b"").is_err() && json(&[b'['; 10_000]).is_err());
    }

    #[test]
    fn yaml_is_read_as_json_where_it_is_json() {
        assert_eq!(yaml(b"{\"a\": 1}").unwrap(), (json!({"a": 1}), None));
        assert_eq!(yaml(b"a: 1\nb: [x, 2.5]\n").unwrap(), (json!({"a": 1, "b": ["x", 2.5]}), None));
        let (value, strict) = yaml(b"a: 1\na: 2\n").unwrap();
        assert_eq!(value, json!({"a": 2}));
        assert!(strict.is_some_and(|told| told.starts_with("error converting YAML to JSON: yaml: ")));
        assert!(yaml(b"a: [").is_err());
    }
}
