//! The Tables of custom resources: the name, and what the definition asks for, or the age.

use super::JsonPath;
use crate::registry::cells;
use serde_json::{Value, json};
use std::time::SystemTime;

/// One column after the name's.
#[derive(Debug)]
pub(super) struct Column {
    definition: Value,
    kind: String,
    /// `None` for a path that can't be read: its cells stay empty.
    path: Option<JsonPath>,
}

const AGE_TEXT: &str = "Time when the object was created, as the server that created it saw it.";

/// The columns that a version of a definition asks for.
pub(super) fn of(version: &Value) -> Vec<Column> {
    let column = |wished: &Value| {
        let path = wished["jsonPath"].as_str().unwrap_or_default();
        let kind = wished["type"].as_str().unwrap_or_default();
        let described = wished["description"].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let description =
            described.unwrap_or_else(|| format!("Custom resource definition column (in JSONPath format): {path}"));
        Column {
            definition: json!({
                "name": wished["name"], "type": kind, "format": wished["format"].as_str().unwrap_or_default(),
                "description": description, "priority": wished["priority"].as_i64().unwrap_or_default(),
            }),
            kind: kind.to_owned(),
            path: JsonPath::parse(path),
        }
    };
    match version["additionalPrinterColumns"].as_array().map(Vec::as_slice) {
        Some(wished @ [_, ..]) => wished.iter().map(column).collect(),
        _ => vec![column(&json!({
            "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "description": AGE_TEXT,
        }))],
    }
}

/// The columns as a Table tells them.
pub(super) fn definitions(columns: &[Column]) -> Value {
    let name = json!({
        "name": "Name", "type": "string", "format": "name", "description": crate::registry::behaviour::NAME.description, "priority": 0,
    });
    std::iter::once(name).chain(columns.iter().map(|column| column.definition.clone())).collect()
}

/// One object's cells.
pub(super) fn cells(columns: &[Column], object: &Value, now: SystemTime) -> Vec<Value> {
    let cell = |column: &Column| {
        let found = column.path.as_ref().map(|path| path.find(object)).unwrap_or_default();
        match (column.kind.as_str(), found.first()) {
            (_, None) => Value::Null,
            ("date", Some(value)) => cells::since(value, now),
            ("string", Some(Value::String(text))) => json!(text),
            ("string", Some(other)) => json!(other.to_string()),
            ("integer", Some(value)) => value.as_f64().map_or(Value::Null, whole),
            ("number", Some(value)) if value.is_number() => (*value).clone(),
            ("boolean", Some(value)) if value.is_boolean() => (*value).clone(),
            _ => Value::Null,
        }
    };
    std::iter::once(cells::name(object)).chain(columns.iter().map(cell)).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "upstream cuts a number for an integer's column as well")]
fn whole(number: f64) -> Value {
    json!(number as i64)
}
