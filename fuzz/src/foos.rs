//! A custom resource with something of everything in its schema.

use serde_json::{Value, json};

/// All of them.
pub(crate) const ALL: &str = "/apis/g.example.com/v1/namespaces/default/foos";

/// Its definition.
pub(crate) fn definition() -> Value {
    let (text, whole) = (json!({"type": "string"}), json!({"type": "integer"}));
    let spec = json!({"type": "object", "properties": {
        "name": {"type": "string", "maxLength": 8, "pattern": "^[a-z]*$", "default": "a"},
        "size": {"type": "integer", "minimum": 0, "maximum": 9, "default": 3},
        "ratio": {"type": "number", "multipleOf": 0.5},
        "mode": {"type": "string", "enum": ["On", "Off"]},
        "at": {"type": "string", "format": "date-time"},
        "any": {"x-kubernetes-preserve-unknown-fields": true},
        "port": {"x-kubernetes-int-or-string": true},
        "nothing": {"type": "string", "nullable": true, "default": "b"},
        "pod": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
        "labels": {"type": "object", "additionalProperties": text},
        "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": whole},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": text},
        "atomic": {"type": "array", "items": {"type": "array", "items": whole}},
        "map": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["key", "kind"], "items": {
            "type": "object", "required": ["key"], "properties": {
                "key": text, "kind": {"type": "string", "default": "k"}, "value": whole}}},
    }});
    let status = json!({"type": "object", "properties": {"replicas": whole, "selector": text}});
    let schema = json!({"type": "object", "properties": {"spec": spec, "status": status}});
    let columns = json!([
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "First", "type": "string", "jsonPath": ".spec.map[?(@.key==\"a\")].value"},
    ]);
    let version = json!({
        "name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": columns, "selectableFields": [{"jsonPath": ".spec.name"}],
        "subresources": {"status": {}, "scale": {
            "specReplicasPath": ".spec.size", "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector"}},
    });
    let names = json!({"plural": "foos", "singular": "foo", "kind": "Foo", "listKind": "FooList"});
    let spec = json!({"group": "g.example.com", "scope": "Namespaced", "names": names, "versions": [version]});
    json!({"metadata": {"name": "foos.g.example.com"}, "spec": spec})
}

/// The one that there is.
pub(crate) fn one() -> Value {
    json!({"apiVersion": "g.example.com/v1", "kind": "Foo", "metadata": {"name": "a"}, "spec": {
        "set": ["a", "b"], "map": [{"key": "a", "value": 1}, {"key": "b"}], "any": {"a": [1, {"b": null}]},
        "labels": {"a": "b"}, "whole": {"a": 1}, "atomic": [[1], [2, 3]], "port": "http",
        "pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}},
    }})
}
