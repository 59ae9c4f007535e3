//! `OpenAPI` as protobuf, in gnostic's messages, of which v2 and v3 have their own.

#[cfg(test)]
mod tests;
pub(super) mod v2;
pub(super) mod v3;

use serde_json::Value;

/// A message that is being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn bytes(mut self, number: u32, bytes: &[u8]) -> Self {
        self.varint((u64::from(number) << 3) | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn message(self, number: u32, message: &Message) -> Self {
        self.bytes(number, &message.0)
    }

    /// A text, where the value is one.
    fn text(self, number: u32, value: &Value) -> Self {
        match value.as_str() {
            Some(text) => self.bytes(number, text.as_bytes()),
            None => self,
        }
    }

    /// All texts of a list.
    fn texts(self, number: u32, list: &Value) -> Self {
        list.as_array().into_iter().flatten().fold(self, |message, text| message.text(number, text))
    }

    fn truth(self, number: u32, value: &Value) -> Self {
        if value == &Value::Bool(true) { self.said(number, true) } else { self }
    }

    /// A truth that is written where it is false, too: one of several fields of which one is there.
    fn said(mut self, number: u32, truth: bool) -> Self {
        self.varint(u64::from(number) << 3);
        self.varint(u64::from(truth));
        self
    }

    /// One message per entry of an object, each with its name as 1 and its value as 2.
    fn named(self, number: u32, entries: &Value, value: impl Fn(&Value) -> Message) -> Self {
        entries.as_object().into_iter().flatten().fold(self, |message, (name, entry)| {
            let named = Message::default().bytes(1, name.as_bytes()).message(2, &value(entry));
            message.message(number, &named)
        })
    }

    /// What can be done at a path, by its methods, which have numbers one after the other.
    fn methods(self, first: u32, item: &Value, operation: impl Fn(&Value) -> Message) -> Self {
        (first..).zip(METHODS).fold(self, |message, (number, method)| match item.get(method) {
            Some(found) => message.message(number, &operation(found)),
            None => message,
        })
    }

    /// What stands under names on `x-`.
    fn extensions(self, number: u32, of: &Value) -> Self {
        let entries = of.as_object().into_iter().flatten().filter(|(name, _)| name.starts_with("x-"));
        entries.fold(self, |message, (name, value)| {
            message.message(number, &Message::default().bytes(1, name.as_bytes()).message(2, &any(value)))
        })
    }

    /// Values of any kind, as YAML.
    fn anything<'v>(self, number: u32, values: impl IntoIterator<Item = &'v Value>) -> Self {
        values.into_iter().fold(self, |message, value| message.message(number, &any(value)))
    }

    /// What a schema says of numbers, texts and lists, each under the number that its version has for it.
    fn facets(self, of: &Value, numbers: &[(&str, u32)]) -> Self {
        numbers.iter().fold(self, |message, (name, number)| match &of[*name] {
            Value::String(text) => message.bytes(*number, text.as_bytes()),
            Value::Number(count) if COUNTS.contains(name) => message.count(*number, count.as_i64().unwrap_or_default()),
            Value::Number(bound) => message.double(*number, bound.as_f64().unwrap_or_default()),
            said => message.truth(*number, said),
        })
    }

    /// A schema, or whether anything is allowed.
    fn either(self, schema: &Value, write: impl Fn(&Value) -> Message) -> Self {
        match schema {
            Value::Bool(allowed) => self.said(2, *allowed),
            schema => self.message(1, &write(schema)),
        }
    }

    fn count(mut self, number: u32, count: i64) -> Self {
        if count != 0 {
            self.varint(u64::from(number) << 3);
            self.varint(count.cast_unsigned());
        }
        self
    }

    fn double(self, number: u32, value: f64) -> Self {
        if value == 0.0 { self } else { self.fixed(number, value) }
    }

    /// A number that is written where it is nothing, too.
    fn fixed(mut self, number: u32, value: f64) -> Self {
        self.varint((u64::from(number) << 3) | 1);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number as u8) | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}

/// A value of any kind, as YAML, of which JSON is a part.
fn any(value: &Value) -> Message {
    Message::default().bytes(2, format!("{value}\n").as_bytes())
}

/// In the order of their numbers.
const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];
/// What a schema counts: whole numbers.
const COUNTS: [&str; 6] = ["maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties"];
