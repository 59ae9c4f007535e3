//! `OpenAPI` v2 as protobuf, `application/com.github.proto-openapi.spec.v2@v1.0+protobuf`: gnostic's messages.

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

    fn truth(mut self, number: u32, value: &Value) -> Self {
        if value == &Value::Bool(true) {
            self.varint(u64::from(number) << 3);
            self.varint(1);
        }
        self
    }

    /// One message per entry of an object, each with its name as 1 and its value as 2.
    fn named(self, number: u32, entries: &Value, value: impl Fn(&Value) -> Message) -> Self {
        entries.as_object().into_iter().flatten().fold(self, |message, (name, entry)| {
            let named = Message::default().bytes(1, name.as_bytes()).message(2, &value(entry));
            message.message(number, &named)
        })
    }

    /// What stands under names on `x-`, as YAML, of which JSON is a part.
    fn extensions(self, number: u32, of: &Value) -> Self {
        let entries = of.as_object().into_iter().flatten().filter(|(name, _)| name.starts_with("x-"));
        entries.fold(self, |message, (name, value)| {
            let any = Message::default().bytes(2, format!("{value}\n").as_bytes());
            message.message(number, &Message::default().bytes(1, name.as_bytes()).message(2, &any))
        })
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number as u8) | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}

/// The paths of a v2 document, written one after the other.
#[derive(Default)]
pub(super) struct Paths(Message);

impl Paths {
    /// Writes one more.
    pub(super) fn add(&mut self, name: &str, item: &Value) {
        let named = Message::default().bytes(1, name.as_bytes()).message(2, &path(item));
        self.0 = std::mem::take(&mut self.0).message(2, &named);
    }
}

/// Writes a v2 document: what stands at its head, its paths, its definitions.
pub(super) fn document(head: &Value, paths: &Paths, definitions: &Value) -> Vec<u8> {
    let info = Message::default().text(1, &head["info"]["title"]).text(2, &head["info"]["version"]);
    let definitions = Message::default().named(1, definitions, schema);
    Message::default().text(1, &head["swagger"]).message(2, &info).message(8, &paths.0).message(9, &definitions).0
}

fn path(item: &Value) -> Message {
    let methods = [("get", 2), ("put", 3), ("post", 4), ("delete", 5), ("options", 6), ("head", 7), ("patch", 8)];
    let message = methods.iter().fold(Message::default(), |message, (method, number)| match item.get(*method) {
        Some(found) => message.message(*number, &operation(found)),
        None => message,
    });
    parameters(message, 9, &item["parameters"])
}

fn operation(operation: &Value) -> Message {
    let responses = Message::default().named(1, &operation["responses"], |response| {
        let message = Message::default().text(1, &response["description"]);
        let message = match response.get("schema") {
            Some(found) => message.message(2, &Message::default().message(1, &schema(found))),
            None => message,
        };
        Message::default().message(1, &message)
    });
    let message = Message::default()
        .texts(1, &operation["tags"])
        .text(5, &operation["operationId"])
        .texts(6, &operation["produces"])
        .texts(7, &operation["consumes"]);
    parameters(message, 8, &operation["parameters"])
        .message(9, &responses)
        .texts(10, &operation["schemes"])
        .extensions(13, operation)
}

fn parameters(message: Message, number: u32, list: &Value) -> Message {
    list.as_array().into_iter().flatten().fold(message, |message, one| {
        let parameter = match one["in"].as_str() {
            Some("body") => {
                let body = Message::default().text(2, &one["name"]).text(3, &one["in"]).truth(4, &one["required"]);
                Message::default().message(1, &body.message(5, &schema(&one["schema"])))
            }
            place => {
                // A query parameter and one in the path differ in where their type and uniqueness stand.
                let (which, kind, unique) = if place == Some("path") { (4, 5, 19) } else { (3, 6, 20) };
                let inner = Message::default()
                    .truth(1, &one["required"])
                    .text(2, &one["in"])
                    .text(4, &one["name"])
                    .text(kind, &one["type"])
                    .truth(unique, &one["uniqueItems"]);
                Message::default().message(2, &Message::default().message(which, &inner))
            }
        };
        message.message(number, &Message::default().message(1, &parameter))
    })
}

fn schema(one: &Value) -> Message {
    let mut message = Message::default().text(1, &one["$ref"]).text(2, &one["format"]).texts(19, &one["required"]);
    if let Some(values) = one.get("additionalProperties") {
        message = message.message(21, &Message::default().message(1, &schema(values)));
    }
    if one["type"].is_string() {
        message = message.message(22, &Message::default().text(1, &one["type"]));
    }
    if let Some(items) = one.get("items") {
        message = message.message(23, &Message::default().message(1, &schema(items)));
    }
    if let Some(properties) = one.get("properties") {
        message = message.message(25, &Message::default().named(1, properties, schema));
    }
    message.extensions(31, one)
}
