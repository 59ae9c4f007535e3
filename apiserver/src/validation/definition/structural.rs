//! What makes a schema structural: pruning and defaulting are possible without looking at values.

use super::schema::{DEPTH_MAX, below};
use crate::schema::structural::Patterns;
use crate::validation::field::{Errors, child, index, key, list, text};
use serde_json::{Value, json};

/// Where a schema stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Root,
    Item,
    Field,
}

/// What is wrong, in the order of what is told, as upstream sorts it.
pub(super) fn check(path: &str, schema: &Value, patterns: &mut Patterns) -> Errors {
    let mut errors = Errors::default();
    invariants(path, schema, Place::Root, patterns, 0, &mut errors);
    complete((path, schema), (path, schema), 0, &mut errors);
    errors.sorted()
}

fn is(schema: &Value, name: &str) -> bool {
    schema[name] == true
}

fn invariants(path: &str, schema: &Value, place: Place, patterns: &mut Patterns, depth: usize, errors: &mut Errors) {
    if depth > DEPTH_MAX {
        return;
    }
    if schema["type"] == "array" && schema["items"].is_null() {
        errors.required(format!("{path}.items"), "must be specified");
    }
    if place == Place::Root && !schema["additionalProperties"].is_null() {
        errors.forbidden(format!("{path}.additionalProperties"), "must not be used at the root");
    }
    check_kind(path, schema, place, errors);
    let embedded = is(schema, "x-kubernetes-embedded-resource");
    if embedded && !schema["additionalProperties"].is_null() {
        let why = "must not be used if x-kubernetes-embedded-resource is set";
        errors.forbidden(format!("{path}.additionalProperties"), why);
    }
    let free = is(schema, "x-kubernetes-preserve-unknown-fields");
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
                errors.invalid(path, &json!(text(&field["type"])), "must be string");
            }
        }
        check_metadata(path, &schema["properties"]["metadata"], place, errors);
    }
    let two_types = (is_of_two_types(&schema["anyOf"]), is_of_two_types(&schema["allOf"][0]["anyOf"]));
    values(path, schema, two_types, patterns, depth, errors);
    for (path, one, place) in below(path, schema) {
        invariants(&path, one, place, patterns, depth + 1, errors);
    }
}

/// The type, and what forbids one or demands it.
fn check_kind(path: &str, schema: &Value, place: Place, errors: &mut Errors) {
    let kind = text(&schema["type"]);
    let int_or_string = is(schema, "x-kubernetes-int-or-string");
    for name in ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"] {
        if int_or_string && is(schema, name) {
            let why = "must be false if x-kubernetes-int-or-string is true";
            errors.invalid(format!("{path}.{name}"), &true.into(), why);
        }
    }
    if is(schema, "x-kubernetes-embedded-resource") && kind != "object" {
        let why = "must be object if x-kubernetes-embedded-resource is true";
        match kind {
            "" => errors.required(format!("{path}.type"), why),
            kind => errors.invalid_text(format!("{path}.type"), kind, why),
        }
    } else if kind.is_empty() && !int_or_string && schema["x-kubernetes-preserve-unknown-fields"].is_null() {
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
}

/// Of the metadata of a custom resource, only the names can be limited.
fn check_metadata(path: &str, metadata: &Value, place: Place, errors: &mut Errors) {
    if metadata.is_null() {
        return;
    }
    let path = key(&child(path, "properties"), "metadata");
    if metadata["type"] != "object" {
        errors.invalid(format!("{path}.type"), &json!(text(&metadata["type"])), "must be object");
    }
    if place != Place::Root {
        return;
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

fn check_pattern(path: &str, schema: &Value, patterns: &mut Patterns, errors: &mut Errors) {
    let written = text(&schema["pattern"]);
    if written.is_empty() {
        return;
    }
    if let Err(error) = &patterns.get(written).compiled {
        let why = format!("must be a valid regular expression, but isn't: {error}");
        errors.invalid_text(format!("{path}.pattern"), written, &why);
    }
}

/// An integer or a text, said in two ways: the one `anyOf` whose schemas may name types.
fn is_of_two_types(any_of: &Value) -> bool {
    *any_of == json!([{"type": "integer"}, {"type": "string"}])
}

/// What limits values, and declares nothing.
fn values(
    path: &str,
    schema: &Value,
    (any_of, first_of_all): (bool, bool),
    patterns: &mut Patterns,
    depth: usize,
    errors: &mut Errors,
) {
    for name in ["anyOf", "allOf", "oneOf"] {
        if name == "anyOf" && any_of {
            continue;
        }
        for (at, one) in list(&schema[name]).iter().enumerate() {
            let passes = name == "allOf" && at == 0 && first_of_all;
            nested(&index(&child(path, name), at), one, passes, patterns, depth + 1, errors);
        }
    }
    if schema["not"].is_object() {
        nested(&child(path, "not"), &schema["not"], false, patterns, depth + 1, errors);
    }
    check_pattern(path, schema, patterns, errors);
}

fn nested(path: &str, schema: &Value, any_of_passes: bool, patterns: &mut Patterns, depth: usize, errors: &mut Errors) {
    if depth > DEPTH_MAX {
        return;
    }
    values(path, schema, (any_of_passes, false), patterns, depth, errors);
    for (name, why) in [
        ("type", "must be empty to be structural"),
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
        ("x-kubernetes-validations", "must be empty to be structural"),
    ] {
        let said = match &schema[name] {
            Value::Null | Value::Bool(false) => name == "additionalProperties" && schema[name] == false,
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            _ => true,
        };
        if said {
            errors.forbidden(format!("{path}.{name}"), why);
        }
    }
    if !schema["properties"]["metadata"].is_null() {
        let path = key(&child(path, "properties"), "metadata");
        errors.forbidden(path, "must not be specified in a nested context");
    }
    for (path, one, _) in below(path, schema) {
        if !path.ends_with(".additionalProperties") {
            nested(&path, one, false, patterns, depth + 1, errors);
        }
    }
}

/// What limits the root's values may only speak of fields and items that are declared beside it.
fn complete(declared: (&str, &Value), limits: (&str, &Value), depth: usize, errors: &mut Errors) {
    let (path, schema) = limits;
    if schema["not"].is_object() {
        complete_nested(declared, (&child(path, "not"), &schema["not"]), depth, errors);
    }
    for name in ["allOf", "anyOf", "oneOf"] {
        for (at, one) in list(&schema[name]).iter().enumerate() {
            complete_nested(declared, (&index(&child(path, name), at), one), depth, errors);
        }
    }
}

fn complete_nested(declared: (&str, &Value), limits: (&str, &Value), depth: usize, errors: &mut Errors) {
    if depth > DEPTH_MAX {
        return;
    }
    complete(declared, limits, depth + 1, errors);
    let ((at, known), (path, schema)) = (declared, limits);
    let mut look = |known: &Value, at: String, one: &Value, path: String| {
        if known.is_object() {
            complete_nested((&at, known), (&path, one), depth + 1, errors);
        } else {
            errors.required(at, &format!("because it is defined in {path}"));
        }
    };
    if schema["items"].is_object() {
        look(&known["items"], child(at, "items"), &schema["items"], child(path, "items"));
    }
    for (name, one) in schema["properties"].as_object().into_iter().flatten() {
        let below = |path: &str| key(&child(path, "properties"), name);
        look(&known["properties"][name], below(at), one, below(path));
    }
}
