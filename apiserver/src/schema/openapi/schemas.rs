//! The component schemas of a document: every type that its operations lead to.

use super::published::{self, Among};
use super::texts::Texts;
use super::{GroupVersion, Resource, custom};
use crate::schema::model::{Field, ListType, MapType, Model, Scalar, Shape, Type, TypeId};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const PREFIX: &str = "#/components/schemas/";
const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
const EXTENSIONS: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1";

/// A reference to a type's schema.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("{PREFIX}{name}") })
}

/// The schemas of everything that `paths` refer to, and of what those refer to.
pub(super) fn reachable(model: &Model, texts: &Texts, group_version: &GroupVersion, paths: &Value) -> Value {
    let mut schemas = Map::new();
    let mut open = BTreeSet::new();
    references(paths, &mut open);
    let watched = |resource: &Resource| resource.custom.is_none() && resource.verbs.iter().any(|verb| verb == "watch");
    if group_version.resources.iter().any(watched) {
        open.insert(format!("{META}.WatchEvent"));
    }
    while let Some(name) = open.pop_first() {
        if schemas.contains_key(&name) {
            continue;
        }
        let schema = match (model.named(&name), custom::schema(texts, group_version, &name)) {
            (Some(id), _) => object(model, texts, model.get(id), group_version),
            (None, Some(schema)) => schema,
            (None, None) => described(scalar_definition(&name), texts.of(&name)),
        };
        references(&schema, &mut open);
        schemas.insert(name, schema);
    }
    Value::Object(schemas)
}

fn references(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                match value.as_str().filter(|_| name == "$ref").and_then(|value| value.strip_prefix(PREFIX)) {
                    Some(target) => drop(into.insert(target.to_owned())),
                    None => references(value, into),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, into)),
        _ => {}
    }
}

/// A schema with what is said of it.
pub(super) fn described(mut schema: Value, text: Option<Value>) -> Value {
    if let Some(text) = text {
        put(&mut schema, "description", text);
    }
    schema
}

fn object(model: &Model, texts: &Texts, one: &Type, group_version: &GroupVersion) -> Value {
    let mut schema = described(json!({"type": "object"}), texts.of(&one.name));
    if !one.fields.is_empty() {
        schema["properties"] = one
            .fields
            .iter()
            .map(|field| {
                let text = texts.of_field(&one.name, &field.name);
                (field.name.to_string(), described(property(model, one, field), text))
            })
            .collect::<Map<_, _>>()
            .into();
    }
    let mut required: Vec<&Field> = one.fields.iter().filter(|field| field.required).collect();
    required.sort_by_key(|field| field.place);
    let required: Vec<&str> = required.iter().map(|field| field.name.as_str()).collect();
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    if one.atomic {
        schema["x-kubernetes-map-type"] = "atomic".into();
    }
    if let Some(union) = published::union(&one.name, one.fields.iter().map(|field| field.name.as_str())) {
        schema["x-kubernetes-unions"] = union;
    }
    let kinds = kinds(one, group_version);
    if kinds.as_array().is_some_and(|kinds| !kinds.is_empty()) {
        schema["x-kubernetes-group-version-kind"] = kinds;
    }
    schema
}

/// The kinds that a type is. What every group version knows appears as the core group's, and as the document's own; where the
/// document is of custom resources, as of all that clients know.
fn kinds(one: &Type, group_version: &GroupVersion) -> Value {
    let name = one.short_name();
    let everywhere = published::OF_ALL.contains(&name);
    if everywhere && group_version.is_custom() {
        return published::everywhere(name, Among::Clients);
    }
    let own = one.kind.iter().map(|gvk| (gvk.group.as_str(), gvk.version.as_str()));
    let core = [("", "v1")].into_iter().filter(|_| everywhere && one.kind.is_none());
    let here = [(group_version.group.as_str(), group_version.version.as_str())];
    let here = here.into_iter().filter(|(group, _)| everywhere && !group.is_empty());
    let all = own.chain(core).chain(here);
    all.map(|(group, version)| json!({"group": group, "version": version, "kind": name})).collect()
}

fn property(model: &Model, one: &Type, field: &Field) -> Value {
    let mut schema = shape(model, &field.shape);
    if let Some(values) = field.element_name.as_deref().and_then(published::values) {
        innermost(&mut schema)["enum"] = values;
    }
    // Upstream describes nearly all of its fields, and beside a reference nothing may stand.
    if schema.get("$ref").is_some() && published::is_described(&one.name, &field.name) {
        schema = json!({"allOf": [schema]});
    }
    if let Some(default) = &field.default {
        put(&mut schema, "default", default.clone());
    } else if let Some(zero) = zero(&field.shape).filter(|_| !field.pointer) {
        let is_struct = matches!(field.shape, Shape::Object(_));
        if is_struct || field.written {
            put(&mut schema, "default", zero);
        }
    }
    match &field.list_type {
        ListType::Unset => {}
        ListType::Atomic => put(&mut schema, "x-kubernetes-list-type", "atomic".into()),
        ListType::Set => put(&mut schema, "x-kubernetes-list-type", "set".into()),
        ListType::Map(keys) => {
            put(&mut schema, "x-kubernetes-list-type", "map".into());
            let keys: Vec<&str> = keys.iter().map(smol_str::SmolStr::as_str).collect();
            put(&mut schema, "x-kubernetes-list-map-keys", keys.into());
        }
    }
    match field.map_type {
        MapType::Unset => {}
        MapType::Atomic => put(&mut schema, "x-kubernetes-map-type", "atomic".into()),
        MapType::Granular => put(&mut schema, "x-kubernetes-map-type", "granular".into()),
    }
    let strategy = &field.strategy;
    let strategies: Vec<&str> =
        [(strategy.merge, "merge"), (strategy.replace, "replace"), (strategy.retain_keys, "retainKeys")]
            .into_iter()
            .filter_map(|(said, name)| said.then_some(name))
            .collect();
    if !strategies.is_empty() {
        put(&mut schema, "x-kubernetes-patch-strategy", strategies.join(",").into());
    }
    if let Some(key) = &strategy.key {
        put(&mut schema, "x-kubernetes-patch-merge-key", key.as_str().into());
    }
    schema
}

/// The schema of what a list or a map holds in the end, or the schema itself.
fn innermost(schema: &mut Value) -> &mut Value {
    match ["items", "additionalProperties"].into_iter().find(|name| schema.get(*name).is_some()) {
        Some(name) => innermost(&mut schema[name]),
        None => schema,
    }
}

/// Adds a word to a schema; beside a reference nothing may stand, so that goes into an `allOf`.
fn put(schema: &mut Value, name: &str, value: Value) {
    if schema.get("$ref").is_some() {
        *schema = json!({"allOf": [schema.take()]});
    }
    schema[name] = value;
}

fn shape(model: &Model, shape: &Shape) -> Value {
    match shape {
        Shape::Scalar(scalar) => self::scalar(*scalar),
        Shape::Object(id) => reference(&name(model, *id)),
        Shape::List(item) => json!({"type": "array", "items": item_of(model, item)}),
        Shape::Map(value) => json!({"type": "object", "additionalProperties": item_of(model, value)}),
        Shape::SchemaOrArray(_) => reference(&format!("{EXTENSIONS}.JSONSchemaPropsOrArray")),
        Shape::SchemaOrBool(_) => reference(&format!("{EXTENSIONS}.JSONSchemaPropsOrBool")),
        Shape::SchemaOrStrings(_) => reference(&format!("{EXTENSIONS}.JSONSchemaPropsOrStringArray")),
    }
}

/// What a list or a map holds: Go holds it by value, so that something stands there where nothing is said.
fn item_of(model: &Model, item: &Shape) -> Value {
    let mut schema = shape(model, item);
    if let Some(zero) = zero(item) {
        put(&mut schema, "default", zero);
    }
    schema
}

fn name(model: &Model, id: TypeId) -> String {
    model.get(id).name.to_string()
}

fn scalar(scalar: Scalar) -> Value {
    match scalar {
        Scalar::String => json!({"type": "string"}),
        Scalar::Bool => json!({"type": "boolean"}),
        Scalar::Int32 => json!({"type": "integer", "format": "int32"}),
        Scalar::Int64 => json!({"type": "integer", "format": "int64"}),
        Scalar::Double => json!({"type": "number", "format": "double"}),
        Scalar::Bytes => json!({"type": "string", "format": "byte"}),
        Scalar::Quantity => reference("io.k8s.apimachinery.pkg.api.resource.Quantity"),
        Scalar::Time => reference(&format!("{META}.Time")),
        Scalar::MicroTime => reference(&format!("{META}.MicroTime")),
        Scalar::IntOrString => reference("io.k8s.apimachinery.pkg.util.intstr.IntOrString"),
        Scalar::Fields => reference(&format!("{META}.FieldsV1")),
        Scalar::Patch => reference(&format!("{META}.Patch")),
        Scalar::Raw => reference("io.k8s.apimachinery.pkg.runtime.RawExtension"),
        Scalar::Json => reference(&format!("{EXTENSIONS}.JSON")),
    }
}

/// The definition of a value without fields, by its full name.
fn scalar_definition(name: &str) -> Value {
    match name.rsplit('.').next().unwrap_or(name) {
        "Quantity" => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        "IntOrString" => json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}),
        "Time" | "MicroTime" => json!({"type": "string", "format": "date-time"}),
        "FieldsV1" | "RawExtension" | "Patch" => json!({"type": "object"}),
        _ => json!({}),
    }
}

/// The value that Go gives what is not said, where it is no nil.
fn zero(shape: &Shape) -> Option<Value> {
    match shape {
        Shape::Object(_) => Some(json!({})),
        Shape::Scalar(Scalar::String) => Some("".into()),
        Shape::Scalar(Scalar::Bool) => Some(false.into()),
        Shape::Scalar(Scalar::Int32 | Scalar::Int64 | Scalar::Double) => Some(0.into()),
        _ => None,
    }
}
