//! The messages of v2.

use super::Message;
use serde_json::Value;

/// The paths of a v2 document, written one after the other.
#[derive(Default)]
pub(in crate::schema::openapi) struct Paths(Message);

impl Paths {
    /// Writes one more.
    pub(in crate::schema::openapi) fn add(&mut self, name: &str, item: &Value) {
        let named = Message::default().bytes(1, name.as_bytes()).message(2, &path(item));
        self.0 = std::mem::take(&mut self.0).message(2, &named);
    }
}

/// Writes a v2 document: its paths, and what else stands in it.
pub(in crate::schema::openapi) fn document(rest: &Value, paths: &Paths) -> Vec<u8> {
    let info = Message::default().text(1, &rest["info"]["title"]).text(2, &rest["info"]["version"]);
    let callers = Message::default().named(1, &rest["securityDefinitions"], |one| {
        let key = Message::default().text(1, &one["type"]).text(2, &one["name"]).text(3, &one["in"]);
        Message::default().message(2, &key)
    });
    let demands = rest["security"].as_array().into_iter().flatten();
    let message = Message::default()
        .text(1, &rest["swagger"])
        .message(2, &info)
        .message(8, &paths.0)
        .message(9, &Message::default().named(1, &rest["definitions"], schema))
        .message(10, &Message::default().named(1, &rest["parameters"], parameter));
    let message = demands.fold(message, |message, demand| {
        message.message(12, &Message::default().named(1, demand, |scopes| Message::default().texts(1, scopes)))
    });
    message.message(13, &callers).0
}

fn path(item: &Value) -> Message {
    parameters(Message::default().methods(2, item, operation), 9, &item["parameters"])
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
        let item = match one["$ref"].is_string() {
            true => Message::default().message(2, &Message::default().text(1, &one["$ref"])),
            false => Message::default().message(1, &parameter(one)),
        };
        message.message(number, &item)
    })
}

fn parameter(one: &Value) -> Message {
    if one["in"] == "body" {
        let body = Message::default().text(2, &one["name"]).text(3, &one["in"]).truth(4, &one["required"]);
        return Message::default().message(1, &body.message(5, &schema(&one["schema"])));
    }
    // A query parameter and one in the path differ in where their type and uniqueness stand.
    let (which, kind, unique) = if one["in"] == "path" { (4, 5, 19) } else { (3, 6, 20) };
    let inner = Message::default()
        .truth(1, &one["required"])
        .text(2, &one["in"])
        .text(4, &one["name"])
        .text(kind, &one["type"])
        .truth(unique, &one["uniqueItems"]);
    Message::default().message(2, &Message::default().message(which, &inner))
}

/// What a schema says in one word each, by its number.
const FACETS: [(&str, u32); 17] = [
    ("$ref", 1),
    ("format", 2),
    ("title", 3),
    ("description", 4),
    ("multipleOf", 6),
    ("maximum", 7),
    ("exclusiveMaximum", 8),
    ("minimum", 9),
    ("exclusiveMinimum", 10),
    ("maxLength", 11),
    ("minLength", 12),
    ("pattern", 13),
    ("maxItems", 14),
    ("minItems", 15),
    ("uniqueItems", 16),
    ("maxProperties", 17),
    ("minProperties", 18),
];

fn schema(one: &Value) -> Message {
    let mut message = Message::default().facets(one, &FACETS).texts(19, &one["required"]);
    message = message.anything(20, one["enum"].as_array().into_iter().flatten());
    if let Some(values) = one.get("additionalProperties") {
        message = message.message(21, &Message::default().either(values, schema));
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
    if let Some(documentation) = one.get("externalDocs") {
        message = message.message(29, &Message::default().facets(documentation, &[("description", 1), ("url", 2)]));
    }
    message = message.anything(30, one.get("example"));
    message.extensions(31, one)
}
