//! Values as Go writes them, in the order of their types: kinds of an API, and what is of none, Tables and bare metadata.

use super::body::OBJECT_META;
use crate::schema::spelling::{self, Speller};
use crate::schema::{self, TypeId, raw};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::LazyLock;

/// The group of what is of no API.
const GROUP: &str = "meta.k8s.io";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
// Found by their names once, and not for every row of a table.
static OBJECT_META_ID: LazyLock<Option<TypeId>> = LazyLock::new(|| schema::model().named(OBJECT_META));
static LIST_META_ID: LazyLock<Option<TypeId>> = LazyLock::new(|| schema::model().named(LIST_META));

/// What a value says to be: group, version and kind.
fn said(value: &Value) -> (&str, &str, &str) {
    let said = value["apiVersion"].as_str().unwrap_or("v1");
    let (group, version) = said.split_once('/').unwrap_or(("", said));
    (group, version, value["kind"].as_str().unwrap_or_default())
}

/// A value in which raw JSON is what it says, and no text of it.
pub fn unfolded(value: &Value) -> Cow<'_, Value> {
    let (group, version, kind) = said(value);
    raw::unfolded(schema::model(), schema::model().kind(group, version, kind), value)
}

/// Writes a value by its kind, where it has one that is known.
pub fn write(value: &Value, out: &mut Vec<u8>) {
    let (group, version, kind) = said(value);
    match (group, kind) {
        (GROUP, "Table") => table(value, out),
        (GROUP, "PartialObjectMetadataList") => {
            object(value, &[KIND, API_VERSION, LIST_METADATA, ("items", &|it, out| list(it, out, &write))], out);
        }
        (GROUP, "PartialObjectMetadata") => object(value, &[KIND, API_VERSION, METADATA], out),
        (_, kind) => of_type(schema::model().kind(group, version, kind), value, out),
    }
}

type Write<'a> = dyn Fn(&Value, &mut Vec<u8>) + 'a;

const KIND: (&str, &Write<'static>) = ("kind", &spelling::free);
const API_VERSION: (&str, &Write<'static>) = ("apiVersion", &spelling::free);
const METADATA: (&str, &Write<'static>) = ("metadata", &|it, out| of_type(*OBJECT_META_ID, it, out));
const LIST_METADATA: (&str, &Write<'static>) = ("metadata", &|it, out| of_type(*LIST_META_ID, it, out));

fn table(value: &Value, out: &mut Vec<u8>) {
    let free = |name: &'static str| -> (&'static str, &Write<'static>) { (name, &spelling::free) };
    let column = ["name", "type", "format", "description", "priority"].map(free);
    let row: [(&str, &Write<'_>); 3] = [free("cells"), free("conditions"), ("object", &write)];
    let fields: [(&str, &Write<'_>); 5] = [
        KIND,
        API_VERSION,
        LIST_METADATA,
        ("columnDefinitions", &|it, out| list(it, out, &|it, out| object(it, &column, out))),
        ("rows", &|it, out| list(it, out, &|it, out| object(it, &row, out))),
    ];
    object(value, &fields, out);
}

fn of_type(id: Option<TypeId>, value: &Value, out: &mut Vec<u8>) {
    match id {
        Some(id) => Speller::new(schema::model()).object(id, value, out),
        None => spelling::free(value, out),
    }
}

/// Writes the fields of an object that are there.
fn object(value: &Value, fields: &[(&str, &Write<'_>)], out: &mut Vec<u8>) {
    let mut open = b'{';
    for (name, write) in fields {
        let Some(value) = value.get(name) else { continue };
        out.push(open);
        open = b',';
        spelling::text(name, out);
        out.push(b':');
        write(value, out);
    }
    if open == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}

/// Writes a list, or null where there is none.
fn list(value: &Value, out: &mut Vec<u8>, each: &Write<'_>) {
    let Value::Array(items) = value else { return spelling::free(value, out) };
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        each(item, out);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::write;
    use serde_json::{Value, json};

    fn spelled(value: &Value) -> String {
        let mut out = Vec::new();
        write(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn tables_have_gos_order() {
        let metadata = json!({"name": "a", "labels": {"b": "c"}, "annotations": {"d": "<"}});
        let partial = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata});
        let table = json!({
            "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"continue": "x", "resourceVersion": "1"},
            "columnDefinitions": [{"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}],
            "rows": [{"cells": ["a", 1], "object": partial}, {"cells": [], "object": null}],
        });
        let inner = r#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"a","labels":{"b":"c"},"annotations":{"d":"\u003c"}}}"#;
        assert_eq!(spelled(&partial), inner);
        assert_eq!(
            spelled(&table),
            format!(
                r#"{{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{{"resourceVersion":"1","continue":"x"}},"columnDefinitions":[{{"name":"Name","type":"string","format":"name","description":"","priority":0}}],"rows":[{{"cells":["a",1],"object":{inner}}},{{"cells":[],"object":null}}]}}"#
            )
        );
        let list = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "items": [partial]});
        assert_eq!(
            spelled(&list),
            format!(
                r#"{{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{{}},"items":[{inner}]}}"#
            )
        );
        assert_eq!(spelled(&json!({"kind": "Odd", "apiVersion": "a/v1"})), r#"{"apiVersion":"a/v1","kind":"Odd"}"#);
    }
}
