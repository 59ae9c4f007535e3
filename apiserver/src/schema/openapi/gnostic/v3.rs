//! The messages of v3.

use super::Message;
use serde_json::Value;

/// Writes a v3 document.
pub(in crate::schema::openapi) fn document(document: &Value) -> Vec<u8> {
    let info = Message::default().text(1, &document["info"]["title"]).text(6, &document["info"]["version"]);
    let components = &document["components"];
    let mut held = Message::default();
    if let Some(schemas) = components.get("schemas") {
        held = held.message(1, &Message::default().named(1, schemas, schema_or_reference));
    }
    if let Some(schemes) = components.get("securitySchemes") {
        held = held.message(7, &Message::default().named(1, schemes, security_scheme));
    }
    Message::default()
        .text(1, &document["openapi"])
        .message(2, &info)
        .message(4, &Message::default().named(1, &document["paths"], path))
        .message(5, &held)
        .0
}

fn security_scheme(one: &Value) -> Message {
    let scheme = Message::default().text(1, &one["type"]).text(3, &one["name"]).text(4, &one["in"]);
    Message::default().message(1, &scheme)
}

fn path(item: &Value) -> Message {
    parameters(Message::default().methods(4, item, operation), 13, &item["parameters"])
}

fn operation(operation: &Value) -> Message {
    let message = Message::default().texts(1, &operation["tags"]).text(5, &operation["operationId"]);
    let mut message = parameters(message, 6, &operation["parameters"]);
    if let Some(body) = operation.get("requestBody") {
        let body = Message::default().message(2, &content(&body["content"])).truth(3, &body["required"]);
        message = message.message(7, &Message::default().message(1, &body));
    }
    let responses = Message::default().named(2, &operation["responses"], |response| {
        let mut message = Message::default().text(1, &response["description"]);
        if let Some(found) = response.get("content") {
            message = message.message(3, &content(found));
        }
        Message::default().message(1, &message)
    });
    message.message(8, &responses).extensions(13, operation)
}

/// What a body holds, by its media types.
fn content(content: &Value) -> Message {
    Message::default().named(1, content, |media| Message::default().message(1, &schema_or_reference(&media["schema"])))
}

fn parameters(message: Message, number: u32, list: &Value) -> Message {
    list.as_array().into_iter().flatten().fold(message, |message, one| {
        let parameter = Message::default().text(1, &one["name"]).text(2, &one["in"]).truth(4, &one["required"]);
        let parameter = parameter.message(10, &schema_or_reference(&one["schema"]));
        message.message(number, &Message::default().message(1, &parameter))
    })
}

/// A reference hides what stands beside it.
fn schema_or_reference(one: &Value) -> Message {
    match one["$ref"].is_string() {
        true => Message::default().message(2, &Message::default().text(1, &one["$ref"])),
        false => Message::default().message(1, &schema(one)),
    }
}

/// What a schema says in one word each, by its number.
const FACETS: [(&str, u32); 18] = [
    ("nullable", 1),
    ("title", 9),
    ("multipleOf", 10),
    ("maximum", 11),
    ("exclusiveMaximum", 12),
    ("minimum", 13),
    ("exclusiveMinimum", 14),
    ("maxLength", 15),
    ("minLength", 16),
    ("pattern", 17),
    ("maxItems", 18),
    ("minItems", 19),
    ("uniqueItems", 20),
    ("maxProperties", 21),
    ("minProperties", 22),
    ("type", 25),
    ("description", 34),
    ("format", 35),
];
/// Lists of further schemas.
const FURTHER: [(&str, u32); 3] = [("allOf", 26), ("oneOf", 27), ("anyOf", 28)];

fn schema(one: &Value) -> Message {
    let mut message = Message::default().facets(one, &FACETS).texts(23, &one["required"]);
    if let Some(documentation) = one.get("externalDocs") {
        message = message.message(6, &Message::default().facets(documentation, &[("description", 1), ("url", 2)]));
    }
    message = message.anything(7, one.get("example")).anything(24, one["enum"].as_array().into_iter().flatten());
    for (name, number) in FURTHER {
        let further = one[name].as_array().into_iter().flatten();
        message = further.fold(message, |message, one| message.message(number, &schema_or_reference(one)));
    }
    if let Some(not) = one.get("not") {
        message = message.message(29, &schema(not));
    }
    if let Some(items) = one.get("items") {
        message = message.message(30, &Message::default().message(1, &schema_or_reference(items)));
    }
    if let Some(properties) = one.get("properties") {
        message = message.message(31, &Message::default().named(1, properties, schema_or_reference));
    }
    if let Some(values) = one.get("additionalProperties") {
        message = message.message(32, &Message::default().either(values, schema_or_reference));
    }
    if let Some(default) = one.get("default") {
        message = message.message(33, &self::default(default));
    }
    message.extensions(36, one)
}

/// What is no number, truth or text leaves only that there is a default.
fn default(value: &Value) -> Message {
    match value {
        Value::Number(number) => Message::default().fixed(1, number.as_f64().unwrap_or_default()),
        Value::Bool(truth) => Message::default().said(2, *truth),
        Value::String(text) => Message::default().bytes(3, text.as_bytes()),
        _ => Message::default(),
    }
}
