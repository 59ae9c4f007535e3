//! JSON and YAML whose keys may stand there twice: the last one counts, and each is told.

use super::yaml::{self, Unreadable};
use crate::schema::decode::TOLD_BYTES_MAX;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::collections::VecDeque;
use std::fmt;

/// No more double keys than this are told.
const TOLD_MAX: usize = 100;

/// What a JSON text holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Read {
    /// Its value.
    pub value: Value,
    /// The paths of its double keys, as `spec.a[0].b`.
    pub doubles: Vec<String>,
    /// Whether the text of a number in it says more than the value does.
    pub is_rounded: bool,
    /// Whether there is a zero with a sign in it, which was taken for a whole number.
    has_signed_zero: bool,
}

/// Reads a JSON text.
///
/// # Errors
/// It is no JSON.
pub fn json(bytes: &[u8]) -> serde_json::Result<Read> {
    read(bytes, State::default())
}

/// The same with those zeros that have a sign and are no whole numbers.
///
/// # Errors
/// It is no JSON.
pub fn json_with_signs(bytes: &[u8]) -> serde_json::Result<Read> {
    let plain = json(bytes)?;
    if !plain.has_signed_zero {
        return Ok(plain);
    }
    read(bytes, State { zeros: signed_zeros(bytes).into(), ..State::default() })
}

/// Of each zero with a sign in a JSON text whether it is written as a number with a fraction, or with an exponent.
fn signed_zeros(bytes: &[u8]) -> Vec<bool> {
    let (mut zeros, mut quoted, mut at) = (Vec::new(), false, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b'-' if !quoted => {
                let is_in = |byte: &&u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
                let length = bytes[at..].iter().take_while(is_in).count();
                let number = std::str::from_utf8(&bytes[at..at + length]).unwrap_or_default();
                if number.parse() == Ok(0.0_f64) {
                    zeros.push(number.contains(['.', 'e', 'E']));
                }
                at += length - 1;
            }
            _ => {}
        }
        at += 1;
    }
    zeros
}

fn read(bytes: &[u8], mut state: State) -> serde_json::Result<Read> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Seed(&mut state).deserialize(&mut reader)?;
    reader.end()?;
    let State { doubles, is_rounded, has_signed_zero, .. } = state;
    Ok(Read { value, doubles, is_rounded, has_signed_zero })
}

/// A number that Go holds as a `float64`. One that is written as a whole number which 64 bits hold without a sign is read
/// back as that from the store, and so is the same here from the beginning.
pub fn of_double(value: f64) -> Value {
    if (INT64_END..UINT64_END).contains(&value)
        && let Ok(whole) = value.to_string().parse::<u64>()
    {
        return whole.into();
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// What follows the greatest `int64`, and the greatest `uint64`.
const INT64_END: f64 = 9_223_372_036_854_775_808.0;
pub(super) const UINT64_END: f64 = 18_446_744_073_709_551_616.0;

/// A YAML text as a value, and what a strict reader says of it.
///
/// # Errors
/// It is no YAML.
pub fn yaml(bytes: &[u8]) -> Result<(Value, Option<String>), Unreadable> {
    // JSON is YAML, and what most clients send.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
        && let Ok(Read { mut value, doubles, .. }) = json(bytes)
        && doubles.is_empty()
    {
        yaml::numbers(&mut value);
        return Ok((value, None));
    }
    let mut read = yaml::read(bytes)?;
    if read.is_unsigned {
        yaml::numbers(&mut read.value);
    }
    let strict = read.strict().map(|told| format!("error converting YAML to JSON: {told}"));
    Ok((read.value, strict))
}

#[derive(Default)]
struct State {
    path: String,
    doubles: Vec<String>,
    is_rounded: bool,
    has_signed_zero: bool,
    /// What [`signed_zeros`] says of those that follow.
    zeros: VecDeque<bool>,
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
        if let Ok(value) = i64::try_from(value) {
            return Ok(value.into());
        }
        self.0.is_rounded = true;
        #[expect(clippy::cast_precision_loss, reason = "as Go converts it")]
        Ok(of_double(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.0.is_rounded = true;
        // Go reads `-0` as a whole number, which has no sign at zero.
        if value == 0.0 && value.is_sign_negative() {
            self.0.has_signed_zero = true;
            let is_whole = self.0.zeros.pop_front() != Some(true);
            return Ok(if is_whole { 0.into() } else { value.into() });
        }
        Ok(of_double(value))
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
        let Read { value, doubles, is_rounded, .. } =
            json(br#"{"a":1,"b":[{"c":1,"c":2,"c":2}],"a":{"d":null}}"#).unwrap();
        assert!(!is_rounded);
        assert_eq!(value, json!({"a": {"d": null}, "b": [{"c": 2}]}));
        assert_eq!(doubles, ["b[0].c", "a"]);
        let Read { value, is_rounded, .. } = json(b"[9223372036854775807,9223372036854775808]").unwrap();
        assert!(is_rounded && json(b"1.0").unwrap().is_rounded);
        assert_eq!(value, json!([9_223_372_036_854_775_807_u64, 9_223_372_036_854_776_000_u64]));
        assert!(json(b"{} x").is_err() && json(b"").is_err() && json(&[b'['; 10_000]).is_err());
    }

    #[test]
    fn a_zero_with_a_sign_is_whole_unless_it_says_otherwise() {
        let text = br#"{"a":[-0,-0.0,"-0.0 \"-0.0",-0e3,-1,0.0],"b":-0,"c":-0.0}"#;
        let signs = |read: Read| read.value.to_string();
        assert_eq!(signs(json(text).unwrap()), r#"{"a":[0,0,"-0.0 \"-0.0",0,-1,0.0],"b":0,"c":0}"#);
        let with = signs(json_with_signs(text).unwrap());
        assert_eq!(with, r#"{"a":[0,-0.0,"-0.0 \"-0.0",-0.0,-1,0.0],"b":0,"c":-0.0}"#);
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
