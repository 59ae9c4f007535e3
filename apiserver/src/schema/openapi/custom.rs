//! The schemas of custom resources: what their authors wrote, with what every object has.

use super::schemas::{described, reference};
use super::texts::Texts;
use super::{Custom, GroupVersion, Resource};
use serde_json::{Map, Value, json};
use tinyplane_wire::meta::map_mut;

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
/// What every object has: the type of its metadata, and the types that say of metadata and of kinds what custom ones say.
struct Common {
    metadata: &'static str,
    of_metadata: &'static str,
    of_kinds: &'static str,
}

const POD: &str = "io.k8s.api.core.v1.Pod";
const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
const OBJECT: Common = Common { metadata: "ObjectMeta", of_metadata: POD, of_kinds: POD };
const LIST: Common = Common { metadata: "ListMeta", of_metadata: STATUS, of_kinds: STATUS };
/// Of the kind of an object within an object upstream has words that no type has.
const WITHIN: Common = Common { of_kinds: "", ..OBJECT };
const PRESERVES: &str = "x-kubernetes-preserve-unknown-fields";
const EMBEDDED: &str = "x-kubernetes-embedded-resource";
const INT_OR_STRING: &str = "x-kubernetes-int-or-string";
const KINDS: &str = "x-kubernetes-group-version-kind";
const SELECTABLE: &str = "x-kubernetes-selectable-fields";

/// The full name of a custom kind: `com.example.shop.v1.Widget`.
pub(super) fn name(group_version: &GroupVersion, kind: &str) -> String {
    let mut parts: Vec<&str> = group_version.group.split('.').collect();
    parts.reverse();
    format!("{}.{}.{kind}", parts.join("."), group_version.version)
}

/// The schema of a full name, where it is one of these custom kinds or the list of one.
pub(super) fn schema(texts: &Texts, group_version: &GroupVersion, wanted: &str) -> Option<Value> {
    group_version.resources.iter().find_map(|resource| {
        let custom = resource.custom.as_ref()?;
        let (one, list) = (name(group_version, &resource.kind), name(group_version, &custom.list_kind));
        let mut schema = match wanted {
            wanted if wanted == one => object(texts, group_version, resource, custom),
            wanted if wanted == list => self::list(texts, group_version, resource, custom, &one),
            _ => return None,
        };
        if !custom.selectable.is_empty() {
            let fields = custom.selectable.iter().map(|path| json!({"fieldPath": path}));
            schema[SELECTABLE] = fields.collect();
        }
        Some(schema)
    })
}

fn kind(group_version: &GroupVersion, kind: &str) -> Value {
    json!([{"group": group_version.group, "version": group_version.version, "kind": kind}])
}

fn object(texts: &Texts, group_version: &GroupVersion, resource: &Resource, custom: &Custom) -> Value {
    let mut schema = json!({"type": "object"});
    if custom.schema.is_object() {
        schema = custom.schema.clone();
        unfold(&mut schema);
        put_meta(&mut schema, texts, &OBJECT);
        embed(&mut schema, texts);
    }
    schema[KINDS] = kind(group_version, &resource.kind);
    schema
}

fn list(texts: &Texts, group_version: &GroupVersion, resource: &Resource, custom: &Custom, name: &str) -> Value {
    let more = "More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md";
    let items = json!({
        "type": "array", "items": reference(name), "description": format!("List of {}. {more}", resource.plural),
    });
    let mut schema = json!({
        "type": "object", "description": format!("{} is a list of {}", custom.list_kind, resource.kind),
        "required": ["items"], "properties": {"items": items},
    });
    put_meta(&mut schema, texts, &LIST);
    schema[KINDS] = kind(group_version, &custom.list_kind);
    schema
}

/// What every object says of itself, whatever its schema says of that.
fn put_meta(schema: &mut Value, texts: &Texts, common: &Common) {
    let properties = map_mut(schema).entry("properties").or_insert_with(|| json!({}));
    let properties: &mut Map<String, Value> = map_mut(properties);
    let Common { metadata, of_metadata, of_kinds } = *common;
    let mut put = |name: &str, schema: Value, alike: &str| {
        properties.insert(name.into(), described(schema, texts.of_field(alike, name)));
    };
    put("apiVersion", json!({"type": "string"}), of_kinds);
    put("kind", json!({"type": "string"}), of_kinds);
    put("metadata", json!({"allOf": [reference(&format!("{META}.{metadata}"))]}), of_metadata);
}

fn says(fields: &Map<String, Value>, name: &str) -> bool {
    fields.get(name) == Some(&Value::Bool(true))
}

/// The schemas directly below one.
fn below(fields: &mut Map<String, Value>, mut visit: impl FnMut(&mut Value)) {
    for name in ["items", "additionalProperties"] {
        fields.get_mut(name).into_iter().for_each(&mut visit);
    }
    let properties = fields.get_mut("properties").and_then(Value::as_object_mut);
    properties.into_iter().flat_map(|properties| properties.values_mut()).for_each(visit);
}

/// Says of numbers that may be texts what they may be, where their author has not.
fn unfold(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    if says(fields, INT_OR_STRING) {
        let either = json!([{"type": "integer"}, {"type": "string"}]);
        let said = fields.get("allOf").and_then(|all| all[0].get("anyOf")) == Some(&either);
        match fields.get("anyOf") {
            Some(own) if *own == either => {}
            _ if said => {}
            None => drop(fields.insert("anyOf".into(), either)),
            Some(_) => {
                let all = fields.entry("allOf").or_insert_with(|| json!([]));
                all.as_array_mut().into_iter().for_each(|all| all.insert(0, json!({"anyOf": either})));
            }
        }
    }
    below(fields, unfold);
}

/// Gives objects within an object what every object says of itself.
fn embed(schema: &mut Value, texts: &Texts) {
    let Some(fields) = schema.as_object_mut() else { return };
    below(fields, |schema| embed(schema, texts));
    if !says(fields, EMBEDDED) {
        return;
    }
    let required = fields.entry("required").or_insert_with(|| json!([]));
    for name in ["kind", "apiVersion"] {
        required.as_array_mut().into_iter().filter(|known| !known.contains(&json!(name))).for_each(|known| {
            known.push(name.into());
        });
    }
    put_meta(schema, texts, &WITHIN);
}

/// A custom schema as `OpenAPI` v2 can say it: upstream leaves out what older clients stumble over.
pub(super) fn for_v2(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    if says(fields, PRESERVES) {
        // Whoever finds properties refuses all others.
        fields.retain(|name, _| [KINDS, SELECTABLE].contains(&name.as_str()));
        fields.insert("type".into(), "object".into());
        return;
    }
    let meta: Vec<(&str, Option<Value>)> = ["apiVersion", "kind", "metadata"]
        .map(|name| (name, fields.get("properties").and_then(|properties| properties.get(name)).cloned()))
        .into();
    simplify(schema);
    let properties = map_mut(schema).entry("properties").or_insert_with(|| json!({}));
    for (name, value) in meta {
        value.into_iter().for_each(|value| drop(map_mut(properties).insert(name.into(), value)));
    }
}

fn simplify(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    for name in ["anyOf", "oneOf", "not", "default"] {
        fields.remove(name);
    }
    let is_reference = |all: &Value| all.as_array().is_some_and(|all| all.iter().all(|one| one.get("$ref").is_some()));
    if fields.get("allOf").is_some_and(|all| !is_reference(all)) {
        fields.remove("allOf");
    }
    let (nullable, preserves) = (says(fields, "nullable"), says(fields, PRESERVES));
    fields.remove("nullable");
    let is_nullable = |schema: &Value| schema["nullable"] == true;
    if fields.get("additionalProperties").is_some_and(is_nullable) {
        fields.remove("required");
    }
    if let Some(properties) = fields.get("properties") {
        let gone: Vec<String> = properties
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, one)| is_nullable(one))
            .map(|(name, _)| name.clone())
            .collect();
        let required = fields.get_mut("required").and_then(Value::as_array_mut);
        required.into_iter().for_each(|known| known.retain(|name| !gone.iter().any(|gone| *name == **gone)));
    }
    if nullable || preserves {
        fields.remove("items");
        fields.remove("properties");
    }
    if preserves && says(fields, EMBEDDED) {
        // It has none of what every object says, and need not say it.
        let required = fields.get_mut("required").and_then(Value::as_array_mut);
        required.into_iter().for_each(|known| known.retain(|name| name != "kind" && name != "apiVersion"));
    }
    let is = |kind: &str| fields.get("type").is_some_and(|one| one == kind);
    let untyped = nullable || (is("array") && !fields.contains_key("items")) || (preserves && is("object"));
    if untyped {
        fields.remove("type");
    }
    if fields.get("required").is_some_and(|required| *required == json!([])) {
        fields.remove("required");
    }
    below(fields, simplify);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(schema: Value) -> (Value, Value) {
        let custom = Custom { schema, list_kind: "Shelf".into(), selectable: vec!["spec.color".into()] };
        let resource = Resource {
            plural: "books".into(),
            kind: "Book".into(),
            namespaced: true,
            verbs: Vec::new(),
            returns_deleted: false,
            subresources: Vec::new(),
            custom: Some(custom),
        };
        let group_version =
            GroupVersion { group: "example.com".into(), version: "v1".into(), resources: vec![resource] };
        let one = self::schema(&Texts::unpack(), &group_version, "com.example.v1.Book").unwrap();
        (one, self::schema(&Texts::unpack(), &group_version, "com.example.v1.Shelf").unwrap())
    }

    #[test]
    fn an_object_within_an_object_says_what_it_is() {
        let (one, list) = of(json!({"type": "object", "properties": {
            "inner": {"type": "object", "x-kubernetes-embedded-resource": true},
            "port": {"x-kubernetes-int-or-string": true},
        }}));
        let inner = &one["properties"]["inner"];
        assert_eq!(inner["required"], json!(["kind", "apiVersion"]));
        assert!(inner["properties"]["metadata"]["allOf"].is_array());
        assert_eq!(inner["properties"]["kind"], json!({"type": "string"}));
        assert_eq!(one["properties"]["port"]["anyOf"], json!([{"type": "integer"}, {"type": "string"}]));
        assert_eq!(one[SELECTABLE], json!([{"fieldPath": "spec.color"}]));
        assert_eq!(list[KINDS][0]["kind"], "Shelf");
        assert_eq!(list["description"], "Shelf is a list of Book");
    }

    #[test]
    fn what_older_clients_stumble_over_is_left_out() {
        let (mut one, _) = of(json!({"type": "object", "required": ["a", "b"], "properties": {
            "a": {"type": "object", "nullable": true, "properties": {"x": {"type": "string"}}},
            "b": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"x": {}}},
            "c": {"type": "array", "x-kubernetes-preserve-unknown-fields": true},
            "d": {"x-kubernetes-int-or-string": true},
        }}));
        for_v2(&mut one);
        assert_eq!(one["required"], json!(["b"]));
        assert_eq!(one["properties"]["a"], json!({}));
        assert_eq!(one["properties"]["b"], json!({"x-kubernetes-preserve-unknown-fields": true}));
        assert_eq!(one["properties"]["c"], json!({"x-kubernetes-preserve-unknown-fields": true}));
        assert_eq!(one["properties"]["d"], json!({"x-kubernetes-int-or-string": true}));
        assert!(one["properties"]["metadata"].is_object());
        let (mut free, _) = of(json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}));
        assert!(free["properties"]["metadata"].is_object());
        for_v2(&mut free);
        assert_eq!(free.get("properties"), None);
    }
}
