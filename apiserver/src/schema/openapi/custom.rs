//! The schemas of custom resources: what their authors wrote, with what every object has.

use super::schemas::reference;
use super::{GroupVersion, Resource};
use serde_json::{Map, Value, json};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// The full name of a custom kind: `com.example.shop.v1.Widget`.
pub(super) fn name(group_version: &GroupVersion, kind: &str) -> String {
    let mut parts: Vec<&str> = group_version.group.split('.').collect();
    parts.reverse();
    format!("{}.{}.{kind}", parts.join("."), group_version.version)
}

/// The schema of a full name, where it is one of these custom kinds or the list of one.
pub(super) fn schema(group_version: &GroupVersion, wanted: &str) -> Option<Value> {
    group_version.resources.iter().find_map(|resource| {
        let (custom, name) = (resource.custom.as_ref()?, name(group_version, &resource.kind));
        match wanted.strip_prefix(&name)? {
            "" => Some(object(group_version, resource, custom)),
            "List" => Some(list(group_version, resource, &name)),
            _ => None,
        }
    })
}

fn kind(group_version: &GroupVersion, kind: &str) -> Value {
    json!([{"group": group_version.group, "version": group_version.version, "kind": kind}])
}

fn object(group_version: &GroupVersion, resource: &Resource, custom: &Value) -> Value {
    let mut schema = match custom {
        Value::Object(_) => custom.clone(),
        _ => json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
    };
    put_meta(&mut schema, "ObjectMeta");
    schema["x-kubernetes-group-version-kind"] = kind(group_version, &resource.kind);
    schema
}

fn list(group_version: &GroupVersion, resource: &Resource, name: &str) -> Value {
    let mut schema = json!({
        "type": "object", "description": format!("{}List is a list of {}", resource.kind, resource.kind), "required": ["items"],
        "properties": {"items": {"type": "array", "items": reference(name)}},
    });
    put_meta(&mut schema, "ListMeta");
    schema["x-kubernetes-group-version-kind"] = kind(group_version, &format!("{}List", resource.kind));
    schema
}

/// What every object says of itself, whatever its schema says of that.
fn put_meta(schema: &mut Value, metadata: &str) {
    let properties = tinyplane_wire::meta::map_mut(schema).entry("properties").or_insert_with(|| json!({}));
    let properties: &mut Map<String, Value> = tinyplane_wire::meta::map_mut(properties);
    for name in ["apiVersion", "kind"] {
        properties.insert(name.into(), json!({"type": "string"}));
    }
    properties.insert("metadata".into(), json!({"allOf": [reference(&format!("{META}.{metadata}"))]}));
}

/// A custom schema as `OpenAPI` v2 can say it: upstream leaves out what older clients stumble over.
pub(super) fn for_v2(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    for name in ["anyOf", "oneOf", "not", "default", "nullable", "example"] {
        let value = fields.remove(name);
        if name == "nullable" && value == Some(Value::Bool(true)) {
            ["type", "format", "items", "properties", "additionalProperties"]
                .iter()
                .for_each(|name| drop(fields.remove(*name)));
        }
    }
    if fields.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true)) {
        fields.remove("items");
        fields.remove("properties");
    }
    if fields.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        fields.remove("type");
    }
    let is_reference = |all: &Value| all.as_array().is_some_and(|all| all.iter().all(|one| one.get("$ref").is_some()));
    if fields.get("allOf").is_some_and(|all| !is_reference(all)) {
        fields.remove("allOf");
    }
    for name in ["items", "additionalProperties"] {
        fields.get_mut(name).into_iter().for_each(for_v2);
    }
    let properties = fields.get_mut("properties").and_then(Value::as_object_mut);
    properties.into_iter().flat_map(|properties| properties.values_mut()).for_each(for_v2);
}
