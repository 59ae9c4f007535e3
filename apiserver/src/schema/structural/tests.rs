//! Schemas against objects.

use super::Structural;
use crate::schema::fields::{Place, check, collect};
use crate::validation::Errors;
use serde_json::{Value, json};

fn schema() -> Value {
    json!({"type": "object", "required": ["spec"], "properties": {
        "spec": {"type": "object", "required": ["size"], "properties": {
            "size": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 9},
            "color": {"type": "string", "enum": ["red", "green"], "default": "red"},
            "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5, "minLength": 2},
            "when": {"type": "string", "format": "date-time"},
            "port": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            "items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["key"], "maxItems": 3,
                "items": {"type": "object", "required": ["key"], "properties": {
                    "key": {"type": "string"}, "value": {"type": "string", "default": "v"}, "odd": {"type": "integer", "multipleOf": 2}}}},
            "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {
                "known": {"type": "object", "properties": {"a": {"type": "string"}}}}},
            "maybe": {"type": "string", "nullable": true},
            "either": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
            "template": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
        }},
        "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
    }})
}

fn told(check: impl FnOnce(&Structural, &mut Errors)) -> Vec<(String, String, String)> {
    let mut errors = Errors::default();
    check(&Structural::compile(Some(&schema())), &mut errors);
    errors.into_causes().into_iter().map(|cause| (cause.reason, cause.field, cause.message)).collect()
}

fn wrong(spec: &Value) -> Vec<(String, String, String)> {
    told(|structural, errors| structural.check(&json!({"spec": spec}), errors))
}

fn cause(reason: &str, field: &str, message: &str) -> (String, String, String) {
    (reason.into(), field.into(), message.into())
}

#[test]
fn objects_within_an_object_say_what_they_are_and_their_metadata_are_read() {
    let structural = Structural::compile(Some(&schema()));
    let read = |template: Value| {
        let mut object = json!({"metadata": {"name": 5}, "spec": {"template": template}});
        let mut metadata = |metadata: &mut Value| match metadata["name"].as_i64() {
            Some(_) => Err("no".to_owned()),
            None => {
                metadata["read"] = true.into();
                Ok(())
            }
        };
        structural.read_embedded(&mut object, &mut metadata).map(|()| object["spec"]["template"].take())
    };
    assert_eq!(read(json!({"kind": "A", "metadata": {}})), Ok(json!({"kind": "A", "metadata": {"read": true}})));
    let odd = "spec.template.metadata: Invalid value: {\"name\":5}: no";
    assert_eq!(read(json!({"metadata": {"name": 5}})), Err(odd.to_owned()));
    assert_eq!(read(json!({"kind": 5})), Err("spec.template.kind: Invalid value: 5: must be a string".to_owned()));
}

#[test]
fn unknown_fields_go_and_are_told_of() {
    let mut object = json!({"apiVersion": "a/v1", "kind": "A", "metadata": {"x": 1}, "more": 1, "spec": {
        "size": 1, "nope": {"a": 1}, "items": [{"key": "a", "other": 1}], "labels": {"a": "b"},
        "free": {"any": {"thing": [1]}, "known": {"a": "x", "b": "y"}}, "template": {"kind": "B", "spec": {"c": 1}},
    }});
    let gone = Structural::compile(Some(&schema())).prune(&mut object);
    assert_eq!(
        gone,
        [
            r#"unknown field "more""#,
            r#"unknown field "spec.free.known.b""#,
            r#"unknown field "spec.items[0].other""#,
            r#"unknown field "spec.nope""#,
        ]
    );
    assert_eq!(
        object,
        json!({"apiVersion": "a/v1", "kind": "A", "metadata": {"x": 1}, "spec": {
            "size": 1, "items": [{"key": "a"}], "labels": {"a": "b"}, "free": {"any": {"thing": [1]}, "known": {"a": "x"}},
            "template": {"kind": "B", "spec": {"c": 1}},
        }})
    );
    let mut anything = json!({"spec": {"a": [1, {"b": 2}]}});
    assert!(Structural::compile(None).prune(&mut anything).is_empty());
}

#[test]
fn defaults_are_written_where_nothing_stands_or_a_null_that_may_not_be() {
    let mut object = json!({"spec": {"size": null, "color": null, "items": [{"key": "a"}, {"key": "b", "value": "w"}], "maybe": null}});
    Structural::compile(Some(&schema())).default(&mut object);
    assert_eq!(
        object,
        json!({"spec": {"color": "red", "items": [{"key": "a", "value": "v"}, {"key": "b", "value": "w"}], "maybe": null}})
    );
}

#[test]
fn nulls_that_are_applied_stay_where_there_is_no_default() {
    let mut object = json!({"spec": {"size": null, "color": null}});
    Structural::compile(Some(&schema())).default_applied(&mut object);
    assert_eq!(object, json!({"spec": {"size": null, "color": "red"}}));
}

#[test]
fn mistakes_are_told_in_upstreams_words() {
    assert_eq!(
        wrong(&json!({"size": 3, "color": "red", "port": "http", "maybe": null, "when": "2026-11-23T05:00:00Z"})),
        []
    );
    assert_eq!(wrong(&json!({})), [cause("FieldValueRequired", "spec.size", "Required value")]);
    assert_eq!(
        wrong(&json!({"size": "3"})),
        [cause(
            "FieldValueTypeInvalid",
            "spec.size",
            "Invalid value: \"string\": spec.size in body must be of type integer: \"string\"",
        )]
    );
    assert_eq!(
        wrong(&json!({"size": 10})),
        [cause(
            "FieldValueInvalid",
            "spec.size",
            "Invalid value: 10: spec.size in body should be less than or equal to 9",
        )]
    );
    assert_eq!(
        wrong(&json!({"size": 1, "color": "blue"})),
        [cause(
            "FieldValueNotSupported",
            "spec.color",
            "Unsupported value: \"blue\": supported values: \"red\", \"green\"",
        )]
    );
    assert_eq!(
        wrong(&json!({"size": 1, "name": "abcdef"})),
        [cause("FieldValueTooLong", "spec.name", "Too long: may not be more than 5 bytes",)]
    );
    assert_eq!(
        wrong(&json!({"size": 1, "name": "AB"})),
        [cause("FieldValueInvalid", "spec.name", "Invalid value: \"AB\": spec.name in body should match '^[a-z]+$'",)]
    );
    assert_eq!(
        wrong(&json!({"size": 1, "when": "now"})),
        [cause(
            "FieldValueTypeInvalid",
            "spec.when",
            "Invalid value: \"now\": spec.when in body must be of type date-time: \"now\"",
        )]
    );
    assert_eq!(
        wrong(&json!({"size": 1, "items": [{"key": "a"}, {"key": "a", "odd": 3}]})),
        [
            cause(
                "FieldValueInvalid",
                "spec.items[1].odd",
                "Invalid value: 3: spec.items[1].odd in body should be a multiple of 2"
            ),
            cause("FieldValueDuplicate", "spec.items[1]", "Duplicate value: {\"key\":\"a\"}"),
        ]
    );
    assert_eq!(
        wrong(&json!({"size": 1, "items": [{"key": "a"}, {"key": "b"}, {"key": "c"}, {"key": "d"}]})),
        [cause("FieldValueTooMany", "spec.items", "Too many: 4: must have at most 3 items",)]
    );
    assert_eq!(
        wrong(&json!({"size": 1, "tags": ["a", "b", "a", "a"]})),
        [cause("FieldValueDuplicate", "spec.tags[2]", "Duplicate value: \"a\"",)]
    );
    assert_eq!(
        wrong(&json!({"size": 1, "either": {"a": "", "b": ""}})),
        [cause(
            "FieldValueInvalid",
            "<nil>",
            "Invalid value: \"\": \"spec.either\" must validate one and only one schema (oneOf). Found 2 valid alternatives",
        )]
    );
    assert_eq!(
        wrong(&json!({"size": 1, "template": {"kind": "A"}})),
        [cause("FieldValueRequired", "spec.template.apiVersion", "Required value")]
    );
}

#[test]
fn an_update_may_leave_what_was_wrong_before() {
    let old = json!({"spec": {"size": 99, "name": "X", "items": [{"key": "a", "odd": 1}, {"key": "b", "odd": 2}]}});
    let mut new = old.clone();
    new["spec"]["color"] = "green".into();
    new["spec"]["items"][1]["odd"] = 3.into();
    let told = told(|structural, errors| structural.check_update(&new, &old, errors));
    let fields: Vec<_> = told.iter().map(|(_, field, _)| field.as_str()).collect();
    assert_eq!(fields, ["spec.items[1].odd"]);
}

#[test]
fn the_model_tells_how_lists_and_maps_merge() {
    let modelled = Structural::compile(Some(&schema())).model();
    let object = json!({"metadata": {"labels": {"a": "b"}}, "spec": {
        "size": 1, "items": [{"key": "a", "value": "v"}], "tags": ["x"], "labels": {"l": "m"}, "free": {"any": 1},
    }});
    let set = collect(Place::root(&modelled.model, Some(modelled.root)), &object);
    assert_eq!(
        set.to_value(),
        json!({
            "f:metadata": {"f:labels": {"f:a": {}}},
            "f:spec": {
                "f:free": {"f:any": {}}, "f:items": {"k:{\"key\":\"a\"}": {".": {}, "f:key": {}, "f:value": {}}},
                "f:labels": {"f:l": {}}, "f:size": {}, "f:tags": {"v:\"x\"": {}},
            },
        })
    );
}

#[test]
fn an_object_that_may_hold_anything_is_a_map_all_the_same() {
    let free = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let modelled = Structural::compile(Some(&json!({"type": "object", "properties": {"free": free}}))).model();
    let wrong = |value: Value| check(Place::root(&modelled.model, Some(modelled.root)), &json!({"free": value}));
    assert_eq!(wrong(json!([])).as_deref(), Some(".free: expected map, got &{[]}"));
    assert_eq!(wrong(json!({"a": [1, {"b": "c"}], "d": {}})), None);
}

#[test]
fn nothing_makes_the_walks_panic() {
    let mut state = 7_u64;
    let mut next = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    fn any(next: &mut impl FnMut(u64) -> u64, depth: u64) -> Value {
        const WORDS: [&str; 12] = [
            "type",
            "object",
            "array",
            "properties",
            "items",
            "string",
            "enum",
            "default",
            "spec",
            "x-kubernetes-list-type",
            "map",
            "required",
        ];
        let word = |n: u64| WORDS[usize::try_from(n).unwrap()];
        match next(if depth == 0 { 5 } else { 8 }) {
            0 => Value::Null,
            1 => json!(next(3) == 0),
            2 => json!(next(1000)),
            3 => json!(-1.5e300),
            4 => json!(word(next(12))),
            5 => (0..next(4)).map(|_| any(next, depth - 1)).collect(),
            _ => Value::Object((0..next(5)).map(|_| (word(next(12)).to_owned(), any(next, depth - 1))).collect()),
        }
    }
    for _ in 0..2_000 {
        let structural = Structural::compile(Some(&any(&mut next, 6)));
        let (mut object, old) = (any(&mut next, 5), any(&mut next, 5));
        structural.prune(&mut object);
        structural.default(&mut object);
        structural.check_update(&object, &old, &mut Errors::default());
        let modelled = structural.model();
        drop(collect(Place::root(&modelled.model, Some(modelled.root)), &object));
    }
}

#[test]
fn an_item_that_can_not_be_told_from_the_others_is_judged_again() {
    let with = |items: Value| json!({"spec": {"size": 1, "items": items}});
    let judged = |items: Value| {
        let told = told(|structural, errors| structural.check_update(&with(items.clone()), &with(items), errors));
        told.into_iter().map(|(_, field, _)| field).collect::<Vec<_>>()
    };
    assert_eq!(judged(json!([{"key": "a", "odd": 3}])), [""; 0]);
    assert_eq!(judged(json!([{"key": "a", "odd": 3}, {"value": "x"}])), ["spec.items[1].key"]);
}

#[test]
fn a_whole_object_is_judged_again_and_a_status_as_something_of_its_own() {
    let bare = json!({"kind": "K"});
    let of = |check: fn(&Structural, &Value, &Value, &mut Errors), new: &Value, old: &Value| {
        told(|structural, errors| check(structural, new, old, errors))
    };
    let required = [("FieldValueRequired".to_owned(), "spec".to_owned(), "Required value".to_owned())];
    assert_eq!(of(Structural::check_update, &bare, &bare), required);
    assert_eq!(of(Structural::check_status, &bare, &bare), []);
    let wrong = json!({"status": {"phase": 1}});
    let [(_, field, message)] = &of(Structural::check_status, &wrong, &bare)[..] else { panic!("one cause") };
    assert_eq!(field, "status.phase");
    assert!(message.ends_with(": phase in body must be of type string: \"integer\""), "{message}");
    assert_eq!(of(Structural::check_status, &wrong, &wrong), []);
    let [(_, field, message)] = &of(Structural::check_status, &json!({"status": 1}), &bare)[..] else { panic!("one") };
    assert_eq!(field, "status");
    assert!(message.ends_with(":  in body must be of type object: \"integer\""), "{message}");
}
