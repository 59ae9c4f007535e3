//! What managers make of a custom object that says what another version of it does not know.

use super::hostile::DEFINITIONS;
use super::*;
use crate::registry::custom::Definitions;

const V1: &str = "/apis/v.example.com/v1/namespaces/default/bars/b";
const V2: &str = "/apis/v.example.com/v2/namespaces/default/bars/b";
const APPLY: &str = "application/apply-patch+yaml";

async fn with_bars() -> Desk {
    let text = json!({"type": "string"});
    let map = json!({"type": "object", "additionalProperties": text});
    let version = |name: &str, storage: bool| {
        let mut spec = json!({"type": "object", "properties": {
            "map": map, "set": {"type": "array", "items": text, "x-kubernetes-list-type": "set"},
            "said": {"type": "string", "default": "unsaid"},
        }});
        spec["properties"][format!("only{name}")] = text.clone();
        let schema = json!({"type": "object", "properties": {"spec": spec, "status": map}});
        json!({"name": name, "served": true, "storage": storage,
            "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}}})
    };
    defined([version("v1", true), version("v2", false)]).await
}

/// A desk that serves bars in these versions.
async fn defined(versions: [Value; 2]) -> Desk {
    let desk = Desk::new().await;
    let names = json!({"plural": "bars", "singular": "bar", "kind": "Bar", "listKind": "BarList"});
    let spec = json!({"group": "v.example.com", "scope": "Namespaced", "names": names, "versions": versions});
    desk.made(DEFINITIONS, json!({"metadata": {"name": "bars.v.example.com"}, "spec": spec})).await;
    assert!(Definitions::new(desk.handlers.registry.clone()).bring_up_to_date().await.unwrap());
    desk
}

async fn apply(desk: &Desk, manager: &str, version: &str, spec: Value) -> Answer {
    let bar = json!({"apiVersion": format!("v.example.com/{version}"), "kind": "Bar", "metadata": {"name": "b"}, "spec": spec});
    let uri = if version == "v1" { V1 } else { V2 };
    desk.patch(&format!("{uri}?fieldManager={manager}"), APPLY, &bar.to_string()).await
}

#[tokio::test]
async fn what_an_applier_applies_no_more_leaves_the_map_around_it_that_is_applied() {
    let desk = with_bars().await;
    assert_eq!(apply(&desk, "one", "v1", json!({"map": {"a": "b"}, "set": ["a"]})).await.code, 201);
    let less = apply(&desk, "one", "v1", json!({"map": {}, "set": []})).await;
    assert_eq!((less.code, &less.value["spec"]["map"], &less.value["spec"]["set"]), (200, &json!({}), &Value::Null));
}

#[tokio::test]
async fn an_apply_in_another_version_takes_away_what_that_one_has_no_default_for_alone() {
    let desk = with_bars().await;
    assert_eq!(apply(&desk, "one", "v2", json!({"said": "x", "map": {"a": "b"}})).await.code, 201);
    let other = apply(&desk, "one", "v1", json!({"map": {"a": "b"}})).await;
    assert_eq!((other.code, &other.value["spec"]), (200, &json!({"map": {"a": "b"}, "said": "unsaid"})));
}

#[tokio::test]
async fn an_object_that_another_managers_version_does_not_know_is_not_applied_and_loses_its_managers_by_an_update() {
    let desk = with_bars().await;
    assert_eq!(apply(&desk, "one", "v1", json!({"map": {"a": "b"}})).await.code, 201);
    let refused = apply(&desk, "two", "v2", json!({"onlyv2": "x"})).await;
    assert_eq!(refused.told(), (500, "failed to convert new object: .spec.onlyv2: field not declared in schema"));
    let merged = desk.patch(V2, MERGE, r#"{"spec":{"onlyv2":"x"}}"#).await;
    assert_eq!((merged.code, &merged.value["metadata"]["managedFields"]), (200, &Value::Null));
}

#[tokio::test]
async fn a_status_that_is_written_in_another_version_counts_for_no_generation() {
    let desk = with_bars().await;
    assert_eq!(apply(&desk, "one", "v1", json!({"onlyv1": "x"})).await.code, 201);
    let written = desk.patch(&format!("{V2}/status"), MERGE, r#"{"status":{"a":"b"}}"#).await;
    assert_eq!((written.code, &written.value["metadata"]["generation"]), (200, &json!(1)));
    assert_eq!(desk.get(V1).await.value["spec"], json!({"said": "unsaid"}), "what that version does not know is gone");
}

#[tokio::test]
async fn what_a_patch_of_a_status_says_the_object_to_be_does_not_count() {
    let desk = with_bars().await;
    assert_eq!(apply(&desk, "one", "v1", json!({"map": {"a": "b"}})).await.code, 201);
    let other = json!({"kind": "Other", "status": {"seen": "yes"}}).to_string();
    let merge = "application/merge-patch+json";
    let patched = desk.patch(&format!("{V1}/status"), merge, &other).await;
    assert_eq!(
        (patched.code, &patched.value["kind"], &patched.value["status"]["seen"]),
        (200, &json!("Bar"), &json!("yes"))
    );
    assert_eq!(desk.patch(V1, merge, &other).await.code, 422);
}

/// A kind of two versions, each with a field of its own that has a default.
async fn with_defaults() -> Desk {
    let version = |name: &str, storage: bool| {
        let mut spec = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
        spec["properties"][format!("of{name}")] = json!({"type": "string", "default": name});
        spec["properties"][format!("only{name}")] = json!({"type": "string"});
        let schema = json!({"type": "object", "properties": {"spec": spec}});
        json!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": schema}})
    };
    defined([version("v1", true), version("v2", false)]).await
}

#[tokio::test]
async fn an_apply_that_changes_nothing_does_not_complete_an_object_in_another_version() {
    let desk = with_defaults().await;
    assert_eq!(apply(&desk, "one", "v1", json!({"a": 1, "onlyv1": "x"})).await.value["spec"]["ofv1"], "v1");
    for _ in 0..2 {
        let same = apply(&desk, "two", "v2", json!({"a": 1})).await;
        assert_eq!((same.code, &same.value["metadata"]["generation"]), (200, &json!(1)), "{}", same.value);
        assert_eq!(same.value["spec"], json!({"a": 1}));
    }
    let other = desk.patch(&format!("{V2}?fieldManager=two"), MERGE, r#"{"metadata":{"labels":{"a":"b"}}}"#).await;
    assert_eq!(other.value["metadata"]["generation"], 2);
}

#[tokio::test]
async fn an_object_that_ends_in_another_version_is_answered_as_it_was_written() {
    let desk = with_defaults().await;
    let bar = json!({
        "apiVersion": "v.example.com/v1", "kind": "Bar", "metadata": {"name": "b", "finalizers": ["x.io/y"]},
        "spec": {"a": 1, "onlyv1": "x"},
    });
    desk.made(V1.trim_end_matches("/b"), bar).await;
    assert_eq!(desk.ask("DELETE", V1, &[], "").await.code, 200);
    let last = r#"{"metadata":{"finalizers":null},"spec":{"onlyv2":"y"}}"#;
    for uri in [&format!("{V2}?dryRun=All"), V2] {
        let gone = desk.patch(uri, MERGE, last).await;
        assert_eq!((gone.code, &gone.value["apiVersion"]), (200, &json!("v.example.com/v2")), "{}", gone.value);
        assert_eq!(gone.value["spec"], json!({"a": 1, "onlyv2": "y", "ofv2": "v2"}));
    }
    assert_eq!(desk.get(V1).await.code, 404);
}

#[tokio::test]
async fn a_patch_makes_no_version_of_two_slashes() {
    let desk = with_defaults().await;
    let bar = json!({"apiVersion": "v.example.com/v1", "kind": "Bar", "metadata": {"name": "b"}, "spec": {"a": 1}});
    desk.made(V1.trim_end_matches("/b"), bar).await;
    let refused = desk.patch(V1, MERGE, r#"{"apiVersion":"/v.example.com/v1"}"#).await;
    assert_eq!(refused.code, 422, "{}", refused.value);
    assert!(refused.value["message"].as_str().unwrap().ends_with("unexpected GroupVersion string: /v.example.com/v1"));
}
