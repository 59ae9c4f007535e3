//! The schema of a version: what `OpenAPI` allows and definitions do not.

use super::structural::Place;
use super::{lists, rules, shown, structural};
use crate::schema::structural::{Patterns, Structural};
use crate::validation::field::{Errors, child, index, key, list, text};
use serde_json::{Map, Value};

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
/// No schema is looked at deeper than this; decoding refuses what is deeper.
pub(super) const DEPTH_MAX: usize = 128;
/// What no schema may say, beside what is wrong by its value.
const UNKNOWN: [&str; 6] = ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"];
/// What a root may say where the status is a subresource, by the names of Go's fields and JSON's.
const AT_ROOT: [(&str, &str); 22] = [
    ("Description", "description"),
    ("Type", "type"),
    ("Format", "format"),
    ("Title", "title"),
    ("Maximum", "maximum"),
    ("ExclusiveMaximum", "exclusiveMaximum"),
    ("Minimum", "minimum"),
    ("ExclusiveMinimum", "exclusiveMinimum"),
    ("MaxLength", "maxLength"),
    ("MinLength", "minLength"),
    ("Pattern", "pattern"),
    ("MaxItems", "maxItems"),
    ("MinItems", "minItems"),
    ("UniqueItems", "uniqueItems"),
    ("MultipleOf", "multipleOf"),
    ("Required", "required"),
    ("Items", "items"),
    ("Properties", "properties"),
    ("ExternalDocs", "externalDocs"),
    ("Example", "example"),
    ("XPreserveUnknownFields", "x-kubernetes-preserve-unknown-fields"),
    ("XValidations", "x-kubernetes-validations"),
];

/// What is wrong with a version's schema. With a status of its own, that is checked by what stands in its properties alone.
pub(super) fn check(path: &str, schema: &Value, has_status: bool, patterns: &mut Patterns, all: &mut Errors) {
    let errors = &mut Errors::default();
    if has_status {
        check_root(path, schema, errors);
    }
    if schema["nullable"] == true {
        errors.forbidden(format!("{path}.nullable"), "nullable cannot be true at the root");
    }
    let may_be_structural = can_be_structural(schema, 0);
    if may_be_structural {
        let found = structural::check(path, schema, patterns);
        if found.is_empty() {
            Structural::compile_with(Some(schema), patterns).check_defaults(path, errors);
        }
        errors.append(found);
    }
    standard(path, schema, &Inside::default(), 0, errors);
    // Of what else keeps a schema from being a structural one, each is told already.
    if errors.is_empty() && !may_be_structural {
        errors.invalid_text(path, "", "OpenAPIV3Schema 'schema' is not supported");
    }
    all.append(std::mem::take(errors));
}

/// Whether a value is as good as none where Go keeps it by value.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

/// Whether a schema says something by a field. A map of schemas with nothing in it says nothing.
fn says(schema: &Value, name: &str) -> bool {
    let is_map = ["definitions", "patternProperties"].contains(&name);
    !(is_nothing(&schema[name]) || is_map && schema[name].as_object().is_some_and(Map::is_empty))
}

fn check_root(path: &str, schema: &Value, errors: &mut Errors) {
    let kind = text(&schema["type"]);
    if !kind.is_empty() && kind != "object" {
        let why =
            "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
        return errors.invalid_text(format!("{path}.type"), kind, why);
    }
    let mut said = schema.as_object().into_iter().flatten().filter(|(_, value)| !is_nothing(value));
    if said.any(|(name, _)| !AT_ROOT.iter().any(|(_, known)| known == name)) {
        let names: Vec<&str> = AT_ROOT.iter().map(|(name, _)| *name).collect();
        let why = format!(
            "only [{}] fields are allowed at the root of the schema if the status subresource is enabled",
            names.join(" ")
        );
        errors.invalid_as(path, &shown::schema(schema), &why);
    }
}

/// Whether nothing in a schema keeps it from being looked at as a structural one.
fn can_be_structural(schema: &Value, depth: usize) -> bool {
    let unknown = UNKNOWN.iter().chain(&["$schema"]).any(|name| says(schema, name));
    let nested = ["allOf", "anyOf", "oneOf"].into_iter().flat_map(|name| list(&schema[name]));
    let not = Some(&schema["not"]).filter(|not| not.is_object());
    depth > DEPTH_MAX
        || !unknown
            && !schema["items"].is_array()
            && below("", schema).iter().all(|(_, one, _)| can_be_structural(one, depth + 1))
            && nested.chain(not).all(|one| can_be_structural(one, depth + 1))
}

/// The schemas below one, with their paths and where they stand.
pub(super) fn below<'v>(path: &str, schema: &'v Value) -> Vec<(String, &'v Value, Place)> {
    let others = [("items", Place::Item), ("additionalProperties", Place::Field)].into_iter();
    let others = others.map(|(name, place)| (child(path, name), &schema[name], place));
    let fields = schema["properties"].as_object().into_iter().flatten();
    let fields = fields.map(|(name, one)| (key(&child(path, "properties"), name), one, Place::Field));
    fields.chain(others.filter(|(_, one, _)| one.is_object())).collect()
}

/// What surrounds a schema.
#[derive(Clone, Default)]
struct Inside {
    /// It is of what the server itself knows: of `apiVersion`, `kind` or `metadata`.
    meta: bool,
    /// Why nothing may have a default.
    no_default: Option<String>,
}

fn standard(path: &str, schema: &Value, inside: &Inside, depth: usize, errors: &mut Errors) {
    if depth > DEPTH_MAX {
        return;
    }
    check_words(path, schema, inside, errors);
    if schema["uniqueItems"] == true {
        let why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errors.forbidden(format!("{path}.uniqueItems"), why);
    }
    let has_fields = schema["properties"].as_object().is_some_and(|fields| !fields.is_empty());
    if has_fields && !matches!(schema["additionalProperties"], Value::Null | Value::Bool(true)) {
        let why = "additionalProperties and properties are mutual exclusive";
        errors.forbidden(format!("{path}.additionalProperties"), why);
    }
    if schema["additionalProperties"].is_object() {
        let mut inside = inside.clone();
        if inside.meta {
            inside.no_default = Some("inside additionalProperties applying to object metadata".into());
        }
        standard(&child(path, "additionalProperties"), &schema["additionalProperties"], &inside, depth + 1, errors);
    }
    for (name, one) in schema["properties"].as_object().into_iter().flatten() {
        let mut inside = inside.clone();
        let is_root = depth == 0;
        if (is_root || schema["x-kubernetes-embedded-resource"] == true)
            && ["metadata", "kind", "apiVersion"].contains(&name.as_str())
        {
            inside.meta = true;
            if is_root {
                inside.no_default = Some(format!("in top-level {name}"));
            }
        }
        standard(&key(&child(path, "properties"), name), one, &inside, depth + 1, errors);
    }
    if schema["not"].is_object() {
        standard(&child(path, "not"), &schema["not"], inside, depth + 1, errors);
    }
    for name in ["allOf", "oneOf", "anyOf"] {
        for (at, one) in list(&schema[name]).iter().enumerate() {
            standard(&index(&child(path, name), at), one, inside, depth + 1, errors);
        }
    }
    if schema["items"].is_object() {
        standard(&child(path, "items"), &schema["items"], inside, depth + 1, errors);
    }
    if schema["x-kubernetes-preserve-unknown-fields"] == false {
        let why = "must be true or undefined";
        errors.invalid(format!("{path}.x-kubernetes-preserve-unknown-fields"), &false.into(), why);
    }
    lists::check(path, schema, errors);
    rules::check(path, schema, errors);
}

/// The words that no schema of a definition may say.
fn check_words(path: &str, schema: &Value, inside: &Inside, errors: &mut Errors) {
    let kind = text(&schema["type"]);
    if !kind.is_empty() && !TYPES.contains(&kind) {
        errors.unsupported(format!("{path}.type"), kind, &TYPES);
    }
    if let Some(why) = inside.no_default.as_ref().filter(|_| !schema["default"].is_null()) {
        errors.forbidden(format!("{path}.default"), &format!("must not be set {why}"));
    }
    for name in UNKNOWN {
        if says(schema, name) {
            errors.forbidden(format!("{path}.{name}"), &format!("{name} is not supported"));
        }
    }
    if kind == "null" {
        errors.forbidden(format!("{path}.type"), "type cannot be set to null, use nullable as an alternative");
    }
    if !list(&schema["items"]).is_empty() {
        errors.forbidden(format!("{path}.items"), "items must be a schema object and not an array");
    }
    if inside.meta && schema["x-kubernetes-embedded-resource"] == true {
        errors.forbidden(format!("{path}.x-kubernetes-embedded-resource"), "must not be used inside of resource meta");
    }
}
