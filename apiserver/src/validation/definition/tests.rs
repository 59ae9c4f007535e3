//! Definitions that are refused, and in which words.

use super::{check, check_update};
use crate::validation::Errors;
use serde_json::{Value, json};

fn definition() -> Value {
    json!({
        "metadata": {"name": "foos.g.example.com"},
        "spec": {
            "group": "g.example.com", "scope": "Namespaced",
            "names": {"plural": "foos", "singular": "foo", "kind": "Foo", "listKind": "FooList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}},
            }}}],
        },
        "status": {"storedVersions": ["v1"]},
    })
}

fn told(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut changed = definition();
    change(&mut changed);
    let mut errors = Errors::default();
    check(&changed, &mut errors);
    errors.into_causes().into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
}

fn of_schema(schema: Value) -> Vec<String> {
    told(|definition| definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema)
}

#[test]
fn a_sound_definition_is_taken() {
    assert_eq!(told(|_| {}), [] as [String; 0]);
}

#[test]
fn names_groups_and_versions_are_judged() {
    assert_eq!(
        told(|one| one["metadata"]["name"] = "foo.g.example.com".into()),
        ["metadata.name: Invalid value: \"foo.g.example.com\": must be spec.names.plural+\".\"+spec.group"]
    );
    assert_eq!(
        told(|one| one["spec"]["scope"] = "Everywhere".into()),
        ["spec.scope: Unsupported value: \"Everywhere\": supported values: \"Cluster\", \"Namespaced\"",]
    );
    let same = told(|one| one["spec"]["names"]["listKind"] = "Foo".into());
    assert_eq!(same, ["spec.names.listKind: Invalid value: \"Foo\": kind and listKind may not be the same"]);
    let none = told(|one| one["spec"]["versions"][0]["storage"] = false.into());
    assert!(none[0].ends_with("must have exactly one version marked as storage version"), "{none:?}");
    let gone = told(|one| one["status"]["storedVersions"] = json!(["v1alpha1", "v1"]));
    assert!(gone[0].starts_with("status.storedVersions[0]: Invalid value: \"v1alpha1\": missing from spec.versions"));
    let column = told(|one| {
        one["spec"]["versions"][0]["additionalPrinterColumns"] =
            json!([{"name": "A", "type": "text", "jsonPath": ".a"}]);
    });
    assert_eq!(
        column,
        [
            "spec.additionalPrinterColumns[0].type: Invalid value: \"text\": must be one of boolean,date,integer,number,string",
        ]
    );
    let scale = told(|one| {
        one["spec"]["versions"][0]["subresources"] =
            json!({"scale": {"specReplicasPath": ".status.size", "statusReplicasPath": ".status.size"}});
    });
    assert_eq!(
        scale,
        [
            "spec.subresources.scale.specReplicasPath: Invalid value: \".status.size\": should be a json path under .spec"
        ]
    );
    let field = told(|one| {
        one["spec"]["versions"][0]["selectableFields"] = json!([{"jsonPath": ".spec.size"}, {"jsonPath": ".spec"}]);
    });
    assert_eq!(field.len(), 1, "{field:?}");
    let guarded = told(|one| {
        one["spec"]["group"] = "g.k8s.io".into();
        one["metadata"]["name"] = "foos.g.k8s.io".into();
    });
    assert!(
        guarded[0].starts_with("metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups")
    );
}

#[test]
fn schemas_have_to_be_structural() {
    let at = "spec.validation.openAPIV3Schema";
    for (schema, wanted) in [
        (json!({"properties": {}}), vec![".type: Required value: must not be empty at the root"]),
        (
            json!({"type": "object", "properties": {"spec": {"properties": {}}}}),
            vec![".properties[spec].type: Required value: must not be empty for specified object fields"],
        ),
        (
            json!({"type": "object", "properties": {"list": {"type": "array"}}}),
            vec![".properties[list].items: Required value: must be specified"],
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "string"}}),
            vec![
                ".additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
                ".additionalProperties: Forbidden: must not be used at the root",
            ],
        ),
        (
            json!({"type": "object", "anyOf": [{"type": "object"}]}),
            vec![".anyOf[0].type: Forbidden: must be empty to be structural"],
        ),
        (
            json!({"type": "object", "properties": {"a": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]}}}),
            vec![],
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "array", "x-kubernetes-list-type": "map", "items": {"type": "object"}}}}),
            vec![
                ".properties[a].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map",
            ],
        ),
        (
            json!({"type": "object", "properties": {"a": {"$ref": "#/b", "type": "string"}}}),
            vec![".properties[a].$ref: Forbidden: $ref is not supported"],
        ),
    ] {
        let wanted: Vec<_> = wanted.iter().map(|rest| format!("{at}{rest}")).collect();
        assert_eq!(of_schema(schema.clone()), wanted, "{schema}");
    }
}

#[test]
fn what_stored_objects_depend_on_does_not_change() {
    let mut old = definition();
    old["status"]["conditions"] = json!([{"type": "Established", "status": "True"}]);
    let mut new = old.clone();
    new["spec"]["scope"] = "Cluster".into();
    new["spec"]["names"]["kind"] = "Bar".into();
    let mut errors = Errors::default();
    check_update(&new, &old, &mut errors);
    let fields: Vec<_> = errors.into_causes().into_iter().map(|cause| cause.field).collect();
    assert_eq!(fields, ["spec.scope", "spec.names.kind"]);
}

#[test]
fn defaults_have_to_fit_their_schemas() {
    let with = |properties: Value| {
        of_schema(json!({"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}))
    };
    assert_eq!(with(json!({"size": {"type": "integer", "minimum": 1, "default": 1}})), [] as [String; 0]);
    let at = "spec.validation.openAPIV3Schema.properties[spec].properties";
    assert_eq!(
        with(
            json!({"size": {"type": "integer", "default": "x"}, "list": {"type": "array", "items": {"type": "integer", "minimum": 1, "default": 0}}})
        ),
        [
            format!(
                "{at}[list].items.default: Invalid value: 0: {at}[list].items.default in body should be greater than or equal to 1"
            ),
            format!(
                "{at}[size].default: Invalid value: \"string\": {at}[size].default in body must be of type integer: \"string\""
            ),
        ]
    );
    assert_eq!(
        with(json!({"deep": {"type": "object", "properties": {"a": {"type": "string"}}, "default": {"b": "c"}}})),
        [format!("{at}[deep].default: Invalid value: {{\"b\":\"c\"}}: must not have unknown fields")]
    );
}
