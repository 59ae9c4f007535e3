//! The schema of a version: what `OpenAPI` allows and definitions do not, and what makes a schema structural.

use crate::schema::structural::{Structural, pattern};
use crate::validation::field::{Errors, child, index, key, list, text};
use serde_json::Value;

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
/// No schema is looked at deeper than this; decoding refuses what is deeper.
const DEPTH_MAX: usize = 128;

/// Where a schema stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Item,
    Field,
}

pub(super) fn check(path: &str, schema: &Value, errors: &mut Errors) {
    if schema["nullable"] == true {
        errors.forbidden(format!("{path}.nullable"), "nullable cannot be true at the root");
    }
    standard(path, schema, 0, errors);
    let mut found = Errors::default();
    structural(path, schema, Place::Root, 0, &mut found);
    if found.is_empty() {
        Structural::compile(Some(schema)).check_defaults(path, errors);
    }
    errors.append(found);
}

fn is(schema: &Value, name: &str) -> bool {
    schema[name] == true
}

/// The schemas below one, with their paths and where they stand.
fn below<'v>(path: &str, schema: &'v Value) -> Vec<(String, &'v Value, Place)> {
    let fields = schema["properties"].as_object().into_iter().flatten();
    let fields = fields.map(|(name, one)| (key(&child(path, "properties"), name), one, Place::Field));
    let others = [("items", Place::Item), ("additionalProperties", Place::Field)].into_iter();
    let others = others.map(|(name, place)| (child(path, name), &schema[name], place));
    fields.chain(others.filter(|(_, one, _)| one.is_object())).collect()
}

/// What no schema of a definition may say.
fn standard(path: &str, schema: &Value, depth: usize, errors: &mut Errors) {
    if depth > DEPTH_MAX {
        return;
    }
    let kind = text(&schema["type"]);
    if kind == "null" {
        errors.forbidden(format!("{path}.type"), "type cannot be set to null, use nullable as an alternative");
    } else if !kind.is_empty() && !TYPES.contains(&kind) {
        errors.unsupported(format!("{path}.type"), kind, &TYPES);
    }
    for name in ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"] {
        if !schema[name].is_null() {
            errors.forbidden(format!("{path}.{name}"), &format!("{name} is not supported"));
        }
    }
    if schema["items"].is_array() {
        errors.forbidden(format!("{path}.items"), "items must be a schema object and not an array");
    }
    if is(schema, "uniqueItems") {
        let why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errors.forbidden(format!("{path}.uniqueItems"), why);
    }
    let has_fields = schema["properties"].as_object().is_some_and(|fields| !fields.is_empty());
    if has_fields && !matches!(schema["additionalProperties"], Value::Null | Value::Bool(true)) {
        let why = "additionalProperties and properties are mutual exclusive";
        errors.forbidden(format!("{path}.additionalProperties"), why);
    }
    if schema["x-kubernetes-preserve-unknown-fields"] == false {
        let why = "must be true or undefined";
        errors.invalid(format!("{path}.x-kubernetes-preserve-unknown-fields"), &false.into(), why);
    }
    lists(path, schema, errors);
    for (path, one, _) in below(path, schema) {
        standard(&path, one, depth + 1, errors);
    }
}

fn lists(path: &str, schema: &Value, errors: &mut Errors) {
    let (kind, list_type) = (text(&schema["type"]), text(&schema["x-kubernetes-list-type"]));
    let map_type = text(&schema["x-kubernetes-map-type"]);
    let of_kind = |wanted: &str, name: &str, errors: &mut Errors| {
        let why = format!("must be {wanted} if {name} is specified");
        if kind.is_empty() {
            errors.required(format!("{path}.type"), &why);
        } else if kind != wanted {
            errors.invalid_text(format!("{path}.type"), kind, &why);
        }
    };
    if !map_type.is_empty() {
        of_kind("object", "x-kubernetes-map-type", errors);
        if !["atomic", "granular"].contains(&map_type) {
            errors.unsupported(format!("{path}.x-kubernetes-map-type"), map_type, &["atomic", "granular"]);
        }
    }
    if !list_type.is_empty() {
        of_kind("array", "x-kubernetes-list-type", errors);
        if !["atomic", "set", "map"].contains(&list_type) {
            errors.unsupported(format!("{path}.x-kubernetes-list-type"), list_type, &["atomic", "set", "map"]);
        }
    }
    let keys = list(&schema["x-kubernetes-list-map-keys"]);
    let at_keys = format!("{path}.x-kubernetes-list-map-keys");
    if !keys.is_empty() && list_type != "map" {
        let (at, why) =
            (format!("{path}.x-kubernetes-list-type"), "must be map if x-kubernetes-list-map-keys is non-empty");
        if list_type.is_empty() { errors.required(at, why) } else { errors.invalid_text(at, list_type, why) }
    }
    if list_type != "map" {
        return;
    }
    if keys.is_empty() {
        errors.required(&at_keys, "must not be empty if x-kubernetes-list-type is map");
    }
    let items = &schema["items"];
    if items.is_null() {
        errors.required(format!("{path}.items"), "must have a schema if x-kubernetes-list-type is map");
        return;
    }
    if items["type"] != "object" {
        let why = "must be object if parent array's x-kubernetes-list-type is map";
        errors.invalid(format!("{path}.items.type"), &items["type"], why);
    }
    for (at, name) in keys.iter().enumerate() {
        let field = &items["properties"][text(name)];
        let path = key(&format!("{path}.items.properties"), text(name));
        if field.is_null() {
            errors.invalid(
                &at_keys,
                &schema["x-kubernetes-list-map-keys"],
                "entries must all be names of item properties",
            );
        } else if ["array", "object"].contains(&text(&field["type"])) {
            let why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
            errors.invalid(format!("{path}.type"), &items["type"], why);
        } else if field["default"].is_null() && !list(&items["required"]).contains(name) {
            let why =
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            errors.required(format!("{path}.default"), why);
        }
        if keys[..at].contains(name) {
            errors.invalid(&at_keys, &schema["x-kubernetes-list-map-keys"], "must not contain duplicate entries");
        }
    }
}

/// What makes pruning and defaulting possible without looking at values.
fn structural(path: &str, schema: &Value, place: Place, depth: usize, errors: &mut Errors) {
    if depth > DEPTH_MAX {
        return;
    }
    let kind = text(&schema["type"]);
    let embedded = is(schema, "x-kubernetes-embedded-resource");
    let free = is(schema, "x-kubernetes-preserve-unknown-fields");
    if kind == "array" && schema["items"].is_null() {
        errors.required(format!("{path}.items"), "must be specified");
    }
    if place == Place::Root && schema["additionalProperties"].is_object() {
        errors.forbidden(format!("{path}.additionalProperties"), "must not be used at the root");
    }
    if is(schema, "x-kubernetes-int-or-string") {
        for name in ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"] {
            if is(schema, name) {
                errors.invalid(
                    format!("{path}.{name}"),
                    &true.into(),
                    "must be false if x-kubernetes-int-or-string is true",
                );
            }
        }
    } else if embedded && kind != "object" {
        let why = "must be object if x-kubernetes-embedded-resource is true";
        match kind {
            "" => errors.required(format!("{path}.type"), why),
            kind => errors.invalid_text(format!("{path}.type"), kind, why),
        }
    } else if kind.is_empty() && !free {
        errors.required(
            format!("{path}.type"),
            match place {
                Place::Root => "must not be empty at the root",
                Place::Item => "must not be empty for specified array items",
                Place::Field => "must not be empty for specified object fields",
            },
        );
    }
    if place == Place::Root && !kind.is_empty() && kind != "object" {
        errors.invalid_text(format!("{path}.type"), kind, "must be object at the root");
    }
    if embedded && !schema["additionalProperties"].is_null() {
        let why = "must not be used if x-kubernetes-embedded-resource is set";
        errors.forbidden(format!("{path}.additionalProperties"), why);
    }
    if embedded && !free && schema["properties"].as_object().is_none_or(serde_json::Map::is_empty) {
        let why =
            "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
        errors.required(format!("{path}.properties"), why);
    }
    if embedded || place == Place::Root {
        for name in ["apiVersion", "kind"] {
            let field = &schema["properties"][name];
            if !field.is_null() && field["type"] != "string" {
                let path = format!("{}.type", key(&child(path, "properties"), name));
                errors.invalid(path, &field["type"], "must be string");
            }
        }
        check_metadata(path, &schema["properties"]["metadata"], errors);
    }
    check_pattern(path, schema, errors);
    for name in ["allOf", "anyOf", "oneOf"] {
        for (at, one) in list(&schema[name]).iter().enumerate() {
            nested(&index(&child(path, name), at), one, is(schema, "x-kubernetes-int-or-string"), depth + 1, errors);
        }
    }
    if schema["not"].is_object() {
        nested(&child(path, "not"), &schema["not"], false, depth + 1, errors);
    }
    for (path, one, place) in below(path, schema) {
        structural(&path, one, place, depth + 1, errors);
    }
}

/// Of metadata, only the name can be limited.
fn check_metadata(path: &str, metadata: &Value, errors: &mut Errors) {
    if metadata.is_null() {
        return;
    }
    let path = key(&child(path, "properties"), "metadata");
    if metadata["type"] != "object" {
        errors.invalid(format!("{path}.type"), &metadata["type"], "must be object");
    }
    let mut fields = metadata["properties"].as_object().into_iter().flatten();
    let mut others = metadata
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| !["type", "properties", "description", "title"].contains(&name.as_str()));
    if fields.any(|(name, _)| name != "name" && name != "generateName") || others.next().is_some() {
        let why = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        errors.forbidden(path, why);
    }
}

fn check_pattern(path: &str, schema: &Value, errors: &mut Errors) {
    let written = text(&schema["pattern"]);
    if let Err(error) = pattern::compile(written) {
        let why = format!("must be a valid regular expression, but isn't: {error}");
        errors.invalid_text(format!("{path}.pattern"), written, &why);
    }
}

/// What stands in `allOf`, `anyOf`, `oneOf` and `not` limits values, and declares nothing.
fn nested(path: &str, schema: &Value, of_int_or_string: bool, depth: usize, errors: &mut Errors) {
    if depth > DEPTH_MAX {
        return;
    }
    // The one exception: an integer or a text, said in two ways.
    let kind = text(&schema["type"]);
    if !(kind.is_empty() || of_int_or_string && ["integer", "string"].contains(&kind)) {
        errors.forbidden(format!("{path}.type"), "must be empty to be structural");
    }
    for (name, why) in [
        ("additionalProperties", "must be undefined to be structural"),
        ("default", "must be undefined to be structural"),
        ("title", "must be empty to be structural"),
        ("description", "must be empty to be structural"),
        ("nullable", "must be false to be structural"),
        ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
        ("x-kubernetes-embedded-resource", "must be false to be structural"),
        ("x-kubernetes-int-or-string", "must be false to be structural"),
        ("x-kubernetes-list-map-keys", "must be empty to be structural"),
        ("x-kubernetes-list-type", "must be undefined to be structural"),
        ("x-kubernetes-map-type", "must be undefined to be structural"),
    ] {
        if !matches!(schema[name], Value::Null | Value::Bool(false)) {
            errors.forbidden(format!("{path}.{name}"), why);
        }
    }
    if !schema["properties"]["metadata"].is_null() {
        let path = key(&child(path, "properties"), "metadata");
        errors.forbidden(path, "must not be specified in a nested context");
    }
    check_pattern(path, schema, errors);
    for name in ["allOf", "anyOf", "oneOf"] {
        for (at, one) in list(&schema[name]).iter().enumerate() {
            nested(&index(&child(path, name), at), one, of_int_or_string, depth + 1, errors);
        }
    }
    if schema["not"].is_object() {
        nested(&child(path, "not"), &schema["not"], false, depth + 1, errors);
    }
    for (path, one, _) in below(path, schema) {
        nested(&path, one, false, depth + 1, errors);
    }
}
