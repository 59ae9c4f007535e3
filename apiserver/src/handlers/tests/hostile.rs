//! Custom resources under requests that are made to hurt: they copy, they nest, they make no object of one.

use super::*;
use crate::registry::custom::Definitions;

pub(super) const FOOS: &str = "/apis/g.example.com/v1/namespaces/default/foos";
pub(super) const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const APPLY: &str = "application/apply-patch+yaml";
const REJECTED: &str = "the server rejected our request due to an error in our request";

/// A desk that serves one resource, whose objects may hold anything.
pub(super) async fn with_foos() -> Desk {
    let desk = Desk::new().await;
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let version = json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}});
    let names = json!({"plural": "foos", "singular": "foo", "kind": "Foo", "listKind": "FooList"});
    let spec = json!({"group": "g.example.com", "scope": "Namespaced", "names": names, "versions": [version]});
    desk.made(DEFINITIONS, json!({"metadata": {"name": "foos.g.example.com"}, "spec": spec})).await;
    assert!(Definitions::new(desk.handlers.registry.clone()).bring_up_to_date().await.unwrap());
    desk
}

pub(super) fn foo(spec: &Value) -> Value {
    json!({"apiVersion": "g.example.com/v1", "kind": "Foo", "metadata": {"name": "f"}, "spec": spec})
}

fn nest(depth: usize) -> Value {
    (0..depth).fold(json!({}), |inner, _| json!({"a": inner}))
}

#[tokio::test]
async fn copies_of_copies_are_counted() {
    let desk = with_foos().await;
    desk.made(FOOS, foo(&json!({"a": "x".repeat(1000)}))).await;
    let copies = |count: usize| {
        let one = |at| json!({"op": "copy", "from": "/spec", "path": format!("/spec/c{at}")});
        Value::Array((0..count).map(one).collect()).to_string()
    };
    let uri = format!("{FOOS}/f?dryRun=All");
    assert_eq!(desk.patch(&uri, JSON_PATCH, &copies(18)).await.told(), (422, REJECTED));
    assert_eq!(desk.patch(&uri, JSON_PATCH, &copies(4)).await.code, 200);
}

#[tokio::test]
async fn what_is_stored_can_be_read_however_it_was_nested() {
    let desk = with_foos().await;
    let uri = format!("{FOOS}/f");
    let mut codes = Vec::new();
    for depth in [60, 110, 114, 116, 118, 120, 122, 124, 126] {
        codes.push(desk.post(FOOS, &foo(&nest(depth))).await.code);
        if codes.last() == Some(&201) {
            assert_eq!(desk.patch(&uri, MERGE, r#"{"metadata":{"labels":{"a":"b"}}}"#).await.code, 200, "{depth}");
            assert_eq!(desk.ask("DELETE", &uri, &[], "").await.code, 200, "{depth}");
        }
    }
    assert!(codes[..2] == [201, 201] && codes[6..] == [400, 400, 400], "{codes:?}");
    // One patch after the other, each below what the last one added.
    desk.made(FOOS, foo(&json!({"x": {}}))).await;
    codes.clear();
    for at in 0..4 {
        let path = format!("/spec/x{}", "/a".repeat(40 * at + 1));
        let add = json!([{"op": "add", "path": path, "value": nest(39)}]);
        codes.push(desk.patch(&uri, JSON_PATCH, &add.to_string()).await.code);
        assert_eq!(desk.patch(&uri, MERGE, r#"{"metadata":{"labels":{"a":"b"}}}"#).await.code, 200, "{codes:?}");
    }
    assert_eq!(codes, [200, 200, 422, 422]);
}

#[tokio::test]
async fn what_is_no_object_is_no_custom_resource() {
    let desk = with_foos().await;
    desk.made(FOOS, foo(&json!({"a": 1}))).await;
    let odd_fields =
        json!([{"manager": "a", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": [1]}}]);
    for (path, value) in [
        ("", json!([1])),
        ("", json!("a")),
        ("", json!(null)),
        ("", json!({})),
        ("/metadata", json!([])),
        ("/metadata", json!(null)),
        ("/metadata", json!("a")),
        ("/metadata", json!({})),
        ("/kind", json!({})),
        ("/apiVersion", json!(null)),
        ("/metadata/managedFields", json!("a")),
        ("/metadata/managedFields", json!([1])),
        ("/metadata/managedFields", odd_fields),
        ("/metadata/managedFields", json!([{"fieldsV1": {"k:{": {}, "v:": {}, "i:9999999999999999999": {}}}])),
    ] {
        for operation in ["replace", "add"] {
            let patch = json!([{"op": operation, "path": path, "value": value}]).to_string();
            let answer = desk.patch(&format!("{FOOS}/f?dryRun=All"), JSON_PATCH, &patch).await;
            let kept = answer.code == 200 && answer.value["metadata"]["name"] == "f";
            assert!(kept || (400..500).contains(&answer.code), "{patch}: {} {}", answer.code, answer.value);
        }
    }
    for body in ["null", "[]", "1", "\"a\"", "{\"metadata\":null}", "{\"metadata\":[]}"] {
        let answer = desk.ask("POST", FOOS, &[("content-type", JSON)], body).await;
        assert!((400..500).contains(&answer.code), "{body}: {}", answer.value);
    }
}

/// A name of a megabyte above a hundred thousand fields that stand there twice: each would be told with its path.
#[tokio::test]
async fn what_is_told_of_a_body_is_bounded() {
    let desk = with_foos().await;
    let long = "p".repeat(1 << 20);
    let doubles = ["\"z\":1"; 100_000].join(",");
    let json = [("content-type", JSON)];
    for (uri, rest) in [
        (DEFINITIONS, "\"versions\":[{\"schema\":{\"openAPIV3Schema\":{\"properties\":"),
        (FOOS, "\"a\":[{\"b\":{\"c\":"),
    ] {
        let body = format!("{{\"metadata\":{{\"name\":\"d\"}},\"spec\":{{{rest}{{\"{long}\":{{{doubles}}}}}}}}}]}}}}");
        let answer = desk.call("POST", &format!("{uri}?fieldValidation=Warn"), &json, body).await;
        assert!(answer.headers().len() < 1_000, "{}", answer.headers().len());
        assert!(answer.into_body().collect().await.unwrap().to_bytes().len() < 8 << 20);
    }
    let labels: serde_json::Map<String, Value> = (0..200_000).map(|at| (format!("{at}!"), "".into())).collect();
    let answer = desk.post(MAPS, &json!({"metadata": {"name": "m", "labels": labels}})).await;
    assert_eq!(answer.code, 422);
    assert!(answer.value.to_string().len() < 16 << 20);
}

/// Makes another schema that of the one resource.
async fn tighten(desk: &Desk, spec: &Value) {
    let definition = format!("{DEFINITIONS}/foos.g.example.com");
    let schema = json!({"type": "object", "properties": {"spec": spec}});
    let patch = json!([{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": schema}]);
    assert_eq!(desk.patch(&definition, JSON_PATCH, &patch.to_string()).await.code, 200);
    assert!(Definitions::new(desk.handlers.registry.clone()).bring_up_to_date().await.unwrap());
}

#[tokio::test]
async fn what_fits_its_schema_no_more_has_no_managers_and_nothing_is_applied_to_it() {
    let desk = with_foos().await;
    let made = desk.made(FOOS, foo(&json!({"a": "text", "s": ["x", "x"]}))).await;
    assert!(made["metadata"]["managedFields"].is_array());
    let (uri, label) = (format!("{FOOS}/f?dryRun=All"), r#"{"metadata":{"labels":{"a":"b"}}}"#);
    let texts = json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}});
    let spec = |a: &str| json!({"type": "object", "properties": {"a": {"type": a}, "s": texts}});
    tighten(&desk, &spec("string")).await;
    let patched = desk.patch(&uri, MERGE, label).await;
    assert!(patched.value["metadata"]["managedFields"].is_array(), "what stands twice may stay: {}", patched.value);
    tighten(&desk, &spec("integer")).await;
    let patched = desk.patch(&uri, MERGE, label).await;
    assert_eq!((patched.code, &patched.value["metadata"]["managedFields"]), (200, &Value::Null));
    let config = json!({"apiVersion": "g.example.com/v1", "kind": "Foo", "metadata": {"name": "f"}});
    let applied = format!("{FOOS}/f?fieldManager=m");
    let told = "failed to create typed live object (default/f; g.example.com/v1, Kind=Foo): .spec.a: expected numeric (int or float), got string";
    assert_eq!(desk.patch(&applied, APPLY, &config.to_string()).await.told(), (500, told));
}

#[tokio::test]
async fn what_a_schema_takes_from_an_object_nobody_has_changed() {
    let desk = with_foos().await;
    let made = desk.made(FOOS, foo(&json!({"a": {"b": "c"}}))).await;
    tighten(&desk, &json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}}))
        .await;
    let patched = desk.patch(&format!("{FOOS}/f"), MERGE, r#"{"metadata":{"labels":{"a":"b"}}}"#).await;
    assert_eq!(patched.code, 200, "it is as wrong as it was: {}", patched.value);
    assert_eq!(patched.value["metadata"]["generation"], made["metadata"]["generation"]);
}

#[tokio::test]
async fn an_integer_or_text_is_applied_as_whatever_it_is_and_judged_by_its_schema() {
    let desk = with_foos().await;
    let either = json!({"x-kubernetes-int-or-string": true});
    tighten(&desk, &json!({"type": "object", "properties": {"a": either}})).await;
    let applied = format!("{FOOS}/f?fieldManager=m");
    let refused = desk.patch(&applied, APPLY, &foo(&json!({"a": {}})).to_string()).await;
    assert_eq!((refused.code, &refused.value["details"]["causes"][0]["field"]), (422, &json!("spec.a")));
}
