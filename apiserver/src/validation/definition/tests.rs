//! Definitions that are refused, and in which words.

use super::{check, check_changed, check_update};
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

#[test]
fn what_may_not_change_is_told_before_what_was_stored() {
    let (old, mut new) = (definition(), definition());
    new["spec"]["group"] = "h.example.com".into();
    new["status"]["storedVersions"] = json!(["v9", "v1"]);
    new["spec"]["preserveUnknownFields"] = json!(true);
    let mut errors = Errors::default();
    check_changed(&new, &old, &mut errors);
    let fields: Vec<_> = errors.into_causes().into_iter().map(|cause| cause.field).collect();
    assert_eq!(fields, ["spec.group", "status.storedVersions[0]", "spec.preserveUnknownFields"]);
}

/// A second version with the schema of the first, changed.
fn of_second(change: impl FnOnce(&mut Value)) -> Vec<String> {
    told(|one| {
        let mut second = one["spec"]["versions"][0].clone();
        second["name"] = "v2".into();
        second["storage"] = false.into();
        change(&mut second);
        one["spec"]["versions"].as_array_mut().unwrap().push(second);
    })
}

#[test]
fn what_hangs_on_a_version_is_judged_though_its_schema_is_that_of_all() {
    let column = of_second(|second| {
        second["additionalPrinterColumns"] = json!([{"name": "A", "type": "text", "jsonPath": ".a"}]);
    });
    assert_eq!(column.len(), 1);
    assert!(column[0].starts_with("spec.versions[1].additionalPrinterColumns[0].type: Invalid"), "{column:?}");
    let scale = of_second(|second| {
        second["subresources"] = json!({"scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ""}});
    });
    assert_eq!(scale, ["spec.versions[1].subresources.scale.statusReplicasPath: Required value"]);
    let fields = of_second(|second| second["selectableFields"] = json!([{"jsonPath": ".spec.size"}]));
    let why = "may only be set when `version.schema.openAPIV3Schema` is not included";
    assert_eq!(fields, [format!("spec.versions[1].selectableFields: Invalid value: \"\": {why}")]);
}

#[test]
fn a_selectable_field_is_told_of_for_all_that_is_wrong_with_it() {
    let of = |paths: &[&str]| {
        told(|one| {
            let fields: Vec<_> = paths.iter().map(|path| json!({"jsonPath": path})).collect();
            one["spec"]["versions"][0]["selectableFields"] = fields.into();
        })
    };
    let told = of(&[".spec", ".spec"]);
    assert_eq!(told.len(), 3);
    assert_eq!(told[2], "spec.selectableFields[1].jsonPath: Duplicate value: \".spec\"");
    assert_eq!(of(&[".spec.size"; 10]).len(), 9);
}

#[test]
fn two_versions_of_one_name_find_what_is_stored_once() {
    let twice = told(|one| {
        let first = one["spec"]["versions"][0].clone();
        one["spec"]["versions"].as_array_mut().unwrap().push(first);
    });
    let last = twice.last().unwrap();
    assert_eq!(last, "status.storedVersions: Invalid value: [\"v1\"]: must have the storage version v1");
}

#[test]
fn the_default_of_a_root_says_what_it_is() {
    let of = |default: Value| of_schema(json!({"type": "object", "default": default}));
    assert_eq!(
        of(json!({})),
        [
            "spec.validation.openAPIV3Schema.default.apiVersion: Required value",
            "spec.validation.openAPIV3Schema.default.kind: Required value",
        ]
    );
    assert_eq!(of(json!({"apiVersion": "v1", "kind": "Foo"})), [] as [String; 0]);
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
    let twice = told(|one| one["status"]["storedVersions"] = json!(["v9", "v1", "v9"]));
    assert_eq!(twice.len(), 1);
    assert!(twice[0].starts_with("status.storedVersions[2]: Invalid value: \"v9\": missing from spec.versions"));
    assert_eq!(
        told(|one| one["status"]["storedVersions"] = json!([])),
        ["status.storedVersions: Invalid value: null: must have at least one stored version"]
    );
    let gone = told(|one| one["status"]["storedVersions"] = json!(["v2"]));
    assert_eq!(gone[0], "status.storedVersions: Invalid value: [\"v2\"]: must have the storage version v1");
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
    let both = told(|one| {
        one["spec"]["names"]["listKind"] = "Foo".into();
        one["spec"]["names"]["categories"] = json!([""]);
    });
    assert!(both[0].starts_with("spec.names.listKind") && both[1].starts_with("spec.names.categories"), "{both:?}");
    let empty = told(|one| {
        one["spec"]["names"]["shortNames"] = json!([""]);
        one["spec"]["names"]["categories"] = json!([""]);
    });
    assert!(empty[0].starts_with("spec.names.shortNames[0]: Invalid value: \"\""), "{empty:?}");
    assert!(empty[1].starts_with("spec.names.categories[0]: Invalid value: \"\""), "{empty:?}");
    let version = told(|one| one["spec"]["versions"][0]["name"] = "V1".into());
    assert!(version.iter().any(|told| told.starts_with("spec.version: Invalid value: \"V1\"")), "{version:?}");
    let itself = told(|one| {
        one["spec"]["group"] = "k8s.io".into();
        one["metadata"]["name"] = "foos.k8s.io".into();
    });
    assert!(itself[0].starts_with("spec.group: ") || itself[0].starts_with("metadata.annotations["), "{itself:?}");
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
            json!({"type": "object", "properties": {"a": {"x-kubernetes-preserve-unknown-fields": false}}}),
            vec![
                ".properties[a].x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined",
            ],
        ),
        (
            json!({"type": "object", "properties": {"list": {"type": "array"}}}),
            vec![".properties[list].items: Required value: must be specified"],
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "string"}}),
            vec![
                ".additionalProperties: Forbidden: must not be used at the root",
                ".additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
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
            json!({"type": "object", "properties": {"a": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "object"}}}}),
            vec![
                ".properties[a].items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set",
            ],
        ),
        (
            json!({"type": "object", "allOf": [{"properties": {"a": {"minimum": 1}}, "x-kubernetes-validations": [{"rule": "true"}]}]}),
            vec![
                ".allOf[0].x-kubernetes-validations: Forbidden: must be empty to be structural",
                ".properties[a]: Required value: because it is defined in spec.validation.openAPIV3Schema.allOf[0].properties[a]",
            ],
        ),
        (
            json!({"type": "object", "properties": {"metadata": {"type": "object", "properties": {"name": {"type": "string", "default": "a"}}}}}),
            vec![".properties[metadata].properties[name].default: Forbidden: must not be set in top-level metadata"],
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
            format!("{at}[list].items.default: Invalid value: 0:  in body should be greater than or equal to 1"),
            format!("{at}[size].default: Invalid value: \"string\":  in body must be of type integer: \"string\""),
        ]
    );
    assert_eq!(
        with(json!({"deep": {"type": "object", "properties": {"a": {"type": "string"}}, "default": {"b": "c"}}})),
        [format!("{at}[deep].default: Invalid value: {{\"b\":\"c\"}}: must not have unknown fields")]
    );
}

#[test]
fn rules_are_judged_as_far_as_their_expressions_are_not_read() {
    let at = "spec.validation.openAPIV3Schema.x-kubernetes-validations[0]";
    let with = |rule: Value| {
        of_schema(json!({
            "type": "object", "properties": {"spec": {"type": "object", "properties": {"a": {"type": "string"}}}},
            "x-kubernetes-validations": [rule],
        }))
    };
    assert_eq!(
        with(json!({"rule": "true", "message": "no", "fieldPath": ".spec.a", "reason": "FieldValueInvalid"})),
        [] as [String; 0]
    );
    for (rule, told) in [
        (json!({"rule": " "}), ".rule: Required value: rule is not specified"),
        (json!({"rule": "true", "message": " "}), ".message: Invalid value: \" \": must be non-empty if specified"),
        (
            json!({"rule": "true", "message": "a\nb"}),
            ".message: Invalid value: \"a\\nb\": must not contain line breaks",
        ),
        (
            json!({"rule": "true ||\nfalse"}),
            ".message: Required value: message must be specified if rule contains line breaks",
        ),
        (
            json!({"rule": "true", "messageExpression": " "}),
            ".messageExpression: Required value: messageExpression must be non-empty if specified",
        ),
        (
            json!({"rule": "true", "reason": "Because"}),
            ".reason: Unsupported value: \"Because\": supported values: \"FieldValueDuplicate\", \"FieldValueForbidden\", \"FieldValueInvalid\", \"FieldValueRequired\"",
        ),
        (json!({"rule": "true", "fieldPath": ".b"}), ".fieldPath: Invalid value: \".b\": must be a valid path"),
    ] {
        assert_eq!(with(rule.clone()), [format!("{at}{told}")], "{rule}");
    }
}

#[test]
fn conversions_and_deprecations_are_judged() {
    let webhook =
        |webhook: Value| told(|one| one["spec"]["conversion"] = json!({"strategy": "Webhook", "webhook": webhook}));
    let at = "spec.conversion";
    let client = json!({"url": "https://a.example.com/x"});
    assert_eq!(webhook(json!({"clientConfig": client, "conversionReviewVersions": ["v1"]})), [] as [String; 0]);
    assert_eq!(
        webhook(json!({"clientConfig": {"url": "http://a.example.com"}, "conversionReviewVersions": ["v2", "v2"]})),
        [
            format!(
                "{at}.webhookClientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]"
            ),
            format!("{at}.conversionReviewVersions[1]: Invalid value: \"v2\": duplicate version"),
            format!(
                "{at}.conversionReviewVersions: Invalid value: [\"v2\",\"v2\"]: must include at least one of v1, v1beta1"
            ),
        ]
    );
    assert_eq!(
        webhook(json!({"clientConfig": {"service": {"name": "s", "namespace": "n", "port": 0, "path": "/a//b"}}})),
        [
            format!(
                "{at}.webhookClientConfig.service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive"
            ),
            format!("{at}.webhookClientConfig.service.path: Invalid value: \"/a//b\": segment[1] may not be empty"),
            format!("{at}.conversionReviewVersions: Required value"),
        ]
    );
    let idle = told(|one| {
        one["spec"]["conversion"] =
            json!({"strategy": "None", "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1"]}});
    });
    let why = "Forbidden: should not be set when strategy is not set to Webhook";
    assert_eq!(idle, [format!("{at}.webhookClientConfig: {why}"), format!("{at}.conversionReviewVersions: {why}")]);
    let warned = told(|one| {
        one["spec"]["versions"][0]["deprecated"] = true.into();
        one["spec"]["versions"][0]["deprecationWarning"] = "a\nb".into();
    });
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].ends_with("non-printable character found at index 1"), "{warned:?}");
}

#[test]
fn with_a_status_of_its_own_the_root_says_little() {
    let found = told(|one| {
        one["spec"]["versions"][0]["subresources"] = json!({"status": {}});
        one["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["maxProperties"] = 3.into();
    });
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("only [Description Type Format Title"), "{found:?}");
}
