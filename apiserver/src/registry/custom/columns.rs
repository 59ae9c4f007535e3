//! The Tables of custom resources: the name, and what the definition asks for, or the age.

use super::JsonPath;
use crate::registry::cells;
use crate::schema::go;
use serde_json::{Value, json};
use std::time::SystemTime;
use tinyplane_wire::clock;

/// One column after the name's.
#[derive(Debug)]
pub(super) struct Column {
    definition: Value,
    kind: String,
    path: JsonPath,
}

const AGE_TEXT: &str = "Time when the object was created, as the server that created it saw it.";

/// The columns that a version of a definition asks for, up to the first whose path can't be read.
pub(super) fn of(version: &Value) -> Vec<Column> {
    let column = |wished: &Value| {
        let path = wished["jsonPath"].as_str().unwrap_or_default();
        let kind = wished["type"].as_str().unwrap_or_default();
        let described = wished["description"].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let description =
            described.unwrap_or_else(|| format!("Custom resource definition column (in JSONPath format): {path}"));
        Some(Column {
            definition: json!({
                "name": wished["name"], "type": kind, "format": wished["format"].as_str().unwrap_or_default(),
                "description": description, "priority": wished["priority"].as_i64().unwrap_or_default(),
            }),
            kind: kind.to_owned(),
            path: JsonPath::parse(path)?,
        })
    };
    match version["additionalPrinterColumns"].as_array().map(Vec::as_slice) {
        Some(wished @ [_, ..]) => wished.iter().map_while(column).collect(),
        _ => Vec::from_iter(column(&json!({
            "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "description": AGE_TEXT,
        }))),
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
        let found = column.path.find(object).unwrap_or_default();
        found.first().map_or(Value::Null, |value| cell(&column.kind, value, now))
    };
    std::iter::once(cells::name(object)).chain(columns.iter().map(cell)).collect()
}

fn cell(kind: &str, value: &Value, now: SystemTime) -> Value {
    match (kind, value) {
        ("string", value) => json!(text(value)),
        ("integer", Value::Number(number)) => number.as_i64().or_else(|| number.as_f64().map(whole)).into(),
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.clone(),
        ("date", Value::String(at)) => match at.as_str() {
            "" | "null" => cells::since(&Value::Null, now),
            at if clock::parse(at).is_none() => json!("<invalid>"),
            _ => cells::since(value, now),
        },
        _ => Value::Null,
    }
}

/// A value as upstream prints it where a column is a text.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.as_i64().is_none() => number.as_f64().map(go::float).unwrap_or_default(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        Value::Array(_) | Value::Object(_) => {
            let mut out = String::new();
            go::json(value, &mut out);
            out
        }
    }
}

/// The number before the point; what is too large for it becomes the smallest, as the processors that upstream runs on have it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "upstream cuts a number for an integer's column as well"
)]
fn whole(number: f64) -> i64 {
    if (i64::MIN as f64..-(i64::MIN as f64)).contains(&number) { number as i64 } else { i64::MIN }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn shown(kind: &str, value: &Value) -> Value {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_934_245 + 300);
        let wished = json!({"additionalPrinterColumns": [{"name": "A", "type": kind, "jsonPath": ".a"}]});
        cells(&of(&wished), &json!({"metadata": {"name": "n"}, "a": value}), now).swap_remove(1)
    }

    #[test]
    fn cells_hold_what_their_columns_type_can_show() {
        for (kind, value, wanted) in [
            ("string", json!(null), json!("<no value>")),
            ("string", json!({"b": "<", "a": [1.5, 2]}), json!("{\"a\":[1.5,2],\"b\":\"\\u003c\"}")),
            ("string", json!(12_345_678.5), json!("1.23456785e+07")),
            ("string", json!(true), json!("true")),
            ("integer", json!(-7.9), json!(-7)),
            ("integer", json!(1e21), json!(i64::MIN)),
            ("integer", json!("5"), json!(null)),
            ("number", json!(1.5), json!(1.5)),
            ("boolean", json!("true"), json!(null)),
            ("date", json!("2020-01-02T03:04:05Z"), json!("5m")),
            ("date", json!("yesterday"), json!("<invalid>")),
            ("date", json!(""), json!("<unknown>")),
            ("date", json!(5), json!(null)),
        ] {
            assert_eq!(shown(kind, &value), wanted, "{kind} {value}");
        }
    }

    #[test]
    fn no_column_comes_after_one_whose_path_is_none() {
        let column = |path: &str| json!({"name": path, "type": "string", "jsonPath": path});
        let columns = of(&json!({"additionalPrinterColumns": [column(".a"), column(".b["), column(".c")]}));
        assert_eq!(definitions(&columns).as_array().unwrap().len(), 2);
    }
}
