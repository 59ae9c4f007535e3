//! How the server's components are told of.

use super::*;

const COMPONENTS: &str = "/api/v1/componentstatuses";

#[tokio::test]
async fn components_are_asked_when_they_are_looked_at() {
    let desk = Desk::new().await;
    let refused = "Get \"https://127.0.0.1:1/healthz\": dial tcp 127.0.0.1:1: connect: connection refused";
    let unwell = json!([{"type": "Healthy", "status": "False", "message": refused}]);
    let answer = desk.get(&format!("{COMPONENTS}/scheduler")).await;
    assert_eq!(answer.value["conditions"], unwell);
    assert_eq!((&answer.value["kind"], &answer.value["apiVersion"]), (&json!("ComponentStatus"), &json!("v1")));
    assert_eq!(answer.value["metadata"], json!({"name": "scheduler"}), "nothing of it is stored");
    let list = desk.get(COMPONENTS).await.value;
    assert_eq!(list["metadata"], json!({}));
    let names: Vec<_> = list["items"].as_array().unwrap().iter().map(|one| &one["metadata"]["name"]).collect();
    assert_eq!(names, ["controller-manager", "scheduler", "etcd-0"]);
    let well = json!([{"type": "Healthy", "status": "True", "message": "ok"}]);
    assert_eq!(list["items"][2]["conditions"], well);
}

#[tokio::test]
async fn components_are_selected_by_name_alone_and_neither_watched_nor_written() {
    let desk = Desk::new().await;
    let selected = async |query: &str| {
        let answer = desk.get(&format!("{COMPONENTS}?{query}")).await;
        assert_eq!(answer.code, 200, "{query}: {}", answer.value);
        answer.value["items"].as_array().unwrap().len()
    };
    assert_eq!(selected("fieldSelector=metadata.name%3Detcd-0").await, 1);
    assert_eq!(selected("fieldSelector=metadata.namespace%3Da").await, 0);
    assert_eq!(selected("labelSelector=a").await, 0);
    assert_eq!(selected("limit=1&continue=abc&resourceVersion=9999999").await, 3, "neither pages nor moments");
    let missing = desk.get(&format!("{COMPONENTS}/etcd-1")).await;
    assert_eq!(missing.told(), (404, "componentstatus \"etcd-1\" not found"));
    let watched = desk.get(&format!("{COMPONENTS}?watch=1")).await;
    assert_eq!(watched.told(), (405, "watch is not supported on resources of kind \"componentstatuses\""));
    assert_eq!(desk.get("/api/v1/watch/componentstatuses").await.code, 404);
    assert_eq!(desk.post(COMPONENTS, &json!({"metadata": {"name": "a"}})).await.code, 405);
}
