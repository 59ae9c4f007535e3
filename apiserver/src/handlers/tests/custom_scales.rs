//! The scale of a custom object, and who comes to manage what by it.

use super::hostile::DEFINITIONS;
use super::*;
use crate::registry::custom::Definitions;

const BARS: &str = "/apis/g.example.com/v1/namespaces/default/bars";
const BARS_V2: &str = "/apis/g.example.com/v2/namespaces/default/bars";
const APPLY: &str = "application/apply-patch+yaml";

async fn with_bars() -> Desk {
    let desk = Desk::new().await;
    let number = json!({"type": "object", "properties": {"replicas": {"type": "integer"}, "a": {"type": "string"}}});
    let schema = json!({"type": "object", "properties": {"spec": number, "status": number}});
    let scale = json!({"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"});
    let version = |name: &str, storage: bool| {
        json!({"name": name, "served": true, "storage": storage,
            "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}, "scale": scale}})
    };
    let names = json!({"plural": "bars", "singular": "bar", "kind": "Bar", "listKind": "BarList"});
    let versions = [version("v1", true), version("v2", false)];
    let spec = json!({"group": "g.example.com", "scope": "Namespaced", "names": names, "versions": versions});
    desk.made(DEFINITIONS, json!({"metadata": {"name": "bars.g.example.com"}, "spec": spec})).await;
    assert!(Definitions::new(desk.handlers.registry.clone()).bring_up_to_date().await.unwrap());
    desk
}

async fn make(desk: &Desk, name: &str, spec: Value) {
    let bar = json!({"apiVersion": "g.example.com/v1", "kind": "Bar", "metadata": {"name": name}, "spec": spec});
    desk.made(BARS, bar).await;
}

/// Manager, operation and version of each who manages the replicas.
async fn managers(desk: &Desk, name: &str) -> Vec<(String, String, String)> {
    let object = desk.get(&format!("{BARS}/{name}")).await.value;
    let entries = object["metadata"]["managedFields"].as_array().unwrap().iter();
    let owners = entries.filter(|entry| !entry["fieldsV1"]["f:spec"]["f:replicas"].is_null());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    owners.map(|entry| (text(&entry["manager"]), text(&entry["operation"]), text(&entry["apiVersion"]))).collect()
}

fn applied(replicas: Option<i64>) -> String {
    let mut scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "b"}});
    if let Some(replicas) = replicas {
        scale["spec"] = json!({"replicas": replicas});
    }
    scale.to_string()
}

#[tokio::test]
async fn who_updates_a_scale_comes_anew_in_the_version_of_each_write() {
    let desk = with_bars().await;
    make(&desk, "b", json!({"replicas": 1})).await;
    let owner = |manager: &str, operation: &str, version: &str| {
        (manager.to_owned(), operation.to_owned(), format!("g.example.com/{version}"))
    };
    let two = r#"{"spec":{"replicas":2}}"#;
    assert_eq!(desk.patch(&format!("{BARS}/b/scale?fieldManager=one"), MERGE, two).await.code, 200);
    assert_eq!(managers(&desk, "b").await, [owner("one", "Update", "v1")]);
    assert_eq!(desk.patch(&format!("{BARS_V2}/b/scale?fieldManager=one"), MERGE, two).await.code, 200);
    assert_eq!(managers(&desk, "b").await, [owner("one", "Update", "v2")], "nothing but the version has changed");
    // An apply of what is there is no change; who applied is found again.
    assert_eq!(desk.patch(&format!("{BARS}/b/scale?fieldManager=two"), APPLY, &applied(Some(2))).await.code, 200);
    assert_eq!(desk.patch(&format!("{BARS_V2}/b/scale?fieldManager=one"), MERGE, two).await.code, 200);
    assert_eq!(managers(&desk, "b").await, [owner("two", "Apply", "v1"), owner("one", "Update", "v2")]);
}

#[tokio::test]
async fn an_apply_to_a_scale_fails_as_upstreams_does_where_it_changes_anything() {
    let desk = with_bars().await;
    make(&desk, "b", json!({"replicas": 1})).await;
    let why = "to proper version: request to convert CR to an invalid group/version: autoscaling/v1";
    let uri = format!("{BARS}/b/scale?fieldManager=one");
    let refused = desk.patch(&uri, APPLY, &applied(Some(2))).await;
    assert_eq!(refused.code, 409, "whose it is is asked first: {}", refused.value);
    let forced = desk.patch(&format!("{uri}&force=true"), APPLY, &applied(Some(2))).await;
    let told = format!("failed to convert new object (/b; autoscaling/v1, Kind=Scale) {why}");
    assert_eq!(forced.told(), (500, &*told));
    assert_eq!(desk.patch(&uri, APPLY, &applied(None)).await.code, 200);
    assert_eq!(desk.get(&format!("{BARS}/b")).await.value["spec"]["replicas"], 1);
    make(&desk, "c", json!({"a": "x"})).await;
    let unmanaged = desk.patch(&format!("{BARS}/c/scale?fieldManager=one"), APPLY, &applied(Some(2))).await;
    let told = format!(
        "failed to create manager for existing fields: failed to convert live object (/; autoscaling/v1, Kind=Scale) {why}"
    );
    assert_eq!(unmanaged.told(), (500, &*told));
}
