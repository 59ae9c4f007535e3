//! The sets of managers while their object is being written: as texts, for trees of them are as large as the object.
//!
//! In an object that is on its way into the store `fieldsV1` is a string that holds JSON. What comes from clients is folded
//! where it is decoded, what is in the store where it is read for a change, and the store's bytes hold it as upstream
//! writes it. What is answered in any other way is unfolded first.

use crate::codec::depth;
use crate::schema::spelling;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};
use std::fmt;
use tinyplane_wire::status;

/// The field of an entry that holds its set.
const SET: &str = "fieldsV1";

/// The sets of an object's managers.
fn sets(object: &mut Value) -> impl Iterator<Item = &mut Value> {
    let managers = object.get_mut("metadata").and_then(|metadata| metadata.get_mut("managedFields"));
    managers.and_then(Value::as_array_mut).into_iter().flatten().filter_map(|entry| entry.get_mut(SET))
}

/// Makes texts of the sets of an object that a client has sent: of a string, too, which is no set.
///
/// # Errors
/// A set is too deep to be read again.
pub fn fold(object: &mut Value) -> status::Result<()> {
    for set in sets(object).filter(|set| !set.is_null()) {
        depth::demand_set(set)?;
        *set = Value::String(set.to_string());
    }
    Ok(())
}

/// Makes trees of the sets again.
pub fn unfold(object: &mut Value) {
    for set in sets(object) {
        if let Value::String(text) = set {
            *set = serde_json::from_str(text).unwrap_or_default();
        }
    }
}

/// What Go declares of an entry, in its order.
const ENTRY_ORDER: [&str; 7] = ["manager", "operation", "apiVersion", "time", "fieldsType", SET, "subresource"];

/// Writes managers as the store keeps them: an entry's fields in Go's order, or sorted.
pub fn write(out: &mut Vec<u8>, typed: bool, managers: &Value) {
    let Some(entries) = managers.as_array() else { return spelling::free(managers, out) };
    out.push(b'[');
    for (at, entry) in entries.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let Some(fields) = entry.as_object() else {
            spelling::free(entry, out);
            continue;
        };
        let mut fields: Vec<_> = fields.iter().collect();
        if typed {
            fields.sort_by_key(|(name, _)| ENTRY_ORDER.iter().position(|known| known == name).unwrap_or(usize::MAX));
        }
        out.push(b'{');
        for (nth, (name, value)) in fields.into_iter().enumerate() {
            if nth > 0 {
                out.push(b',');
            }
            spelling::text(name, out);
            out.push(b':');
            match value {
                Value::String(text) if name == SET => out.extend_from_slice(text.as_bytes()),
                value => spelling::free(value, out),
            }
        }
        out.push(b'}');
    }
    out.push(b']');
}

/// Reads a stored object with its sets as texts.
///
/// # Errors
/// The bytes are no JSON.
pub fn read(bytes: &[u8]) -> serde_json::Result<Value> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Part::Object.deserialize(&mut reader)?;
    reader.end().map(|()| value)
}

/// Where in an object the reader is.
#[derive(Clone, Copy)]
enum Part {
    Object,
    Metadata,
    Managers,
    Entry,
    Set,
    Rest,
}

impl<'de> DeserializeSeed<'de> for Part {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self {
            Self::Rest => Value::deserialize(deserializer),
            Self::Set => match <&RawValue>::deserialize(deserializer)?.get() {
                "null" => Ok(Value::Null),
                text => Ok(text.into()),
            },
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Part {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let below = match (self, name.as_str()) {
                (Self::Object, "metadata") => Self::Metadata,
                (Self::Metadata, "managedFields") => Self::Managers,
                (Self::Entry, SET) => Self::Set,
                _ => Self::Rest,
            };
            let value = map.next_value_seed(below)?;
            out.push((name, value));
        }
        Ok(Value::Object(Map::from_iter(out)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let item = if matches!(self, Self::Managers) { Self::Entry } else { Self::Rest };
        let mut out = Vec::new();
        while let Some(value) = list.next_element_seed(item)? {
            out.push(value);
        }
        Ok(Value::Array(out))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_stored_object_is_read_and_written_with_its_sets_as_they_are() {
        let set = r#"{"f:a":{".":{},"k:{\"b\":\"c\"}":{}}}"#;
        let entry = format!(r#"{{"fieldsType":"FieldsV1","fieldsV1":{set},"manager":"m"}}"#);
        let text = format!(r#"{{"a":[1,-1,0.5,null,true],"metadata":{{"managedFields":[{entry}]}}}}"#);
        let mut read = read(text.as_bytes()).unwrap();
        assert_eq!(read["metadata"]["managedFields"][0]["fieldsV1"], set);
        let mut written = Vec::new();
        write(&mut written, false, &read["metadata"]["managedFields"]);
        assert_eq!(String::from_utf8(written).unwrap(), format!("[{entry}]"));
        let mut written = Vec::new();
        write(&mut written, true, &read["metadata"]["managedFields"]);
        let ordered = format!(r#"[{{"manager":"m","fieldsType":"FieldsV1","fieldsV1":{set}}}]"#);
        assert_eq!(String::from_utf8(written).unwrap(), ordered);
        unfold(&mut read);
        assert_eq!(read, serde_json::from_str::<Value>(&text).unwrap());
        fold(&mut read).unwrap();
        assert!(read["metadata"]["managedFields"][0]["fieldsV1"].is_string());
    }

    #[test]
    fn a_string_in_the_place_of_a_set_is_none() {
        let mut sent = json!({"metadata": {"managedFields": [{"fieldsV1": "{\"f:a\":{}}"}, {"fieldsV1": null}]}});
        fold(&mut sent).unwrap();
        let text = sent["metadata"]["managedFields"][0]["fieldsV1"].as_str().unwrap();
        assert!(crate::schema::fields::Set::from_text(text).is_err());
    }
}
