//! Quotas against a registry in memory, one writer and many at once.

use super::super::tests::{Place, pod};
use serde_json::{Value, json};
use std::sync::Arc;

/// A quota as the controller of quotas leaves it: with its limits and its usage in the status.
async fn limit(place: &Place, hard: Value, used: Value, spec: Value) {
    let mut quota = json!({"metadata": {"name": "q"}, "spec": spec});
    quota["spec"]["hard"] = hard.clone();
    place.make("", "resourcequotas", quota).await.unwrap();
    let status = json!({"hard": hard, "used": used});
    place.change(("", "resourcequotas", "q"), "status", |quota| quota["status"] = status.clone()).await.unwrap();
}

fn used(place: &Place) -> Value {
    place.world.registry.find("", "resourcequotas", "default", "q").unwrap().unwrap()["status"]["used"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_writers_at_once_exactly_as_many_get_through_as_there_is_room_for() {
    let place = Arc::new(Place::with(&[]).await);
    limit(&place, json!({"pods": "20", "count/pods": "100"}), json!({"pods": "0", "count/pods": "0"}), json!({})).await;
    let writers = (0..64).map(|at| {
        let place = Arc::clone(&place);
        tokio::spawn(async move { place.make("", "pods", pod(&format!("p{at}"))).await })
    });
    let (mut made, mut refused) = (0, Vec::new());
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.unwrap() {
            Ok(_) => made += 1,
            Err(status) => refused.push(status.message.clone()),
        }
    }
    assert_eq!((made, refused.len()), (20, 44), "{refused:?}");
    let told = "is forbidden: exceeded quota: q, requested: pods=1, used: pods=20, limited: pods=20";
    assert!(refused.iter().all(|message| message.ends_with(told)), "{refused:?}");
    assert_eq!(used(&place), json!({"pods": "20", "count/pods": "20"}));
    assert_eq!(place.world.registry.find_all("", "pods", "default").unwrap().len(), 20);
}

#[tokio::test]
async fn what_a_pod_asks_for_is_charged_and_must_be_said() {
    let place = Place::with(&[]).await;
    let hard = json!({"requests.cpu": "1", "limits.memory": "1Gi"});
    limit(&place, hard, json!({"requests.cpu": "0", "limits.memory": "0"}), json!({})).await;
    let silent = place.make("", "pods", pod("silent")).await.unwrap_err();
    assert_eq!(
        silent.message,
        "pods \"silent\" is forbidden: failed quota: q: must specify limits.memory for: c; requests.cpu for: c"
    );
    let asking = |name: &str, cpu: &str| {
        let mut pod = pod(name);
        pod["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": cpu}, "limits": {"memory": "256Mi"}});
        pod
    };
    place.make("", "pods", asking("a", "600m")).await.unwrap();
    assert_eq!(used(&place), json!({"requests.cpu": "600m", "limits.memory": "256Mi"}));
    let refused = place.make("", "pods", asking("b", "600m")).await.unwrap_err();
    assert_eq!(
        refused.message,
        "pods \"b\" is forbidden: exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1"
    );
    let taken = place.make("", "pods", asking("a", "100m")).await.unwrap_err();
    assert_eq!(taken.message, "pods \"a\" already exists");
    assert_eq!(used(&place)["requests.cpu"], "600m", "a name that is taken is not charged");
}

#[tokio::test]
async fn services_claims_and_counted_kinds_are_charged_and_changes_by_their_difference() {
    let place = Place::with(&[]).await;
    let hard = json!({"services.nodeports": "2", "configmaps": "1", "count/deployments.apps": "0"});
    let none = json!({"services.nodeports": "0", "configmaps": "0", "count/deployments.apps": "0"});
    limit(&place, hard, none, json!({})).await;
    let ports = |count: u16| (0..count).map(|at| json!({"name": format!("p{at}"), "port": 80 + at})).collect::<Value>();
    let service = json!({"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": ports(1)}});
    place.make("", "services", service).await.unwrap();
    assert_eq!(used(&place)["services.nodeports"], "1");
    let id = ("", "services", "s");
    place.change(id, "", |service| service["spec"]["ports"] = ports(2)).await.unwrap();
    assert_eq!(used(&place)["services.nodeports"], "2");
    let third = place.change(id, "", |service| service["spec"]["ports"] = ports(3)).await.unwrap_err();
    assert_eq!(
        third.message,
        "services \"s\" is forbidden: exceeded quota: q, requested: services.nodeports=1, used: services.nodeports=2, limited: services.nodeports=2"
    );
    place.make("", "configmaps", json!({"metadata": {"name": "a"}})).await.unwrap();
    assert!(place.make("", "configmaps", json!({"metadata": {"name": "b"}})).await.is_err());
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}});
    let spec = json!({"selector": {"matchLabels": {"a": "b"}}, "template": template});
    let refused =
        place.make("apps", "deployments", json!({"metadata": {"name": "d"}, "spec": spec})).await.unwrap_err();
    assert_eq!(
        refused.message,
        "deployments.apps \"d\" is forbidden: exceeded quota: q, requested: count/deployments.apps=1, used: count/deployments.apps=0, limited: count/deployments.apps=0"
    );
}

#[tokio::test]
async fn a_quota_speaks_of_what_its_scopes_match_and_only_once_it_was_counted() {
    let place = Place::with(&[]).await;
    limit(&place, json!({"pods": "0"}), json!({"pods": "0"}), json!({"scopes": ["NotBestEffort"]})).await;
    place.make("", "pods", pod("effortless")).await.unwrap();
    let mut asking = pod("asking");
    asking["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1"}});
    assert!(place.make("", "pods", asking.clone()).await.unwrap_err().message.contains("exceeded quota: q"));
    let uncounted = json!({"hard": {"pods": "5"}});
    place.change(("", "resourcequotas", "q"), "status", |quota| quota["status"] = uncounted.clone()).await.unwrap();
    assert_eq!(
        place.make("", "pods", asking).await.unwrap_err().message,
        "pods \"asking\" is forbidden: status unknown for quota: q, resources: pods"
    );
}
