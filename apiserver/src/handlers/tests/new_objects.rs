//! What becomes of new objects: dry runs, what their authors can't say, what nobody asked for, and what the store keeps.

use super::*;

#[tokio::test]
async fn a_dry_run_knows_which_names_are_taken() {
    let desk = Desk::new().await;
    let uri = format!("{MAPS}?dryRun=All");
    assert_eq!(desk.post(&uri, &map("a")).await.code, 201);
    desk.made(MAPS, map("a")).await;
    assert_eq!(desk.post(&uri, &map("a")).await.told(), (409, "configmaps \"a\" already exists"));
    let mut versioned = map("b");
    versioned["metadata"]["resourceVersion"] = json!("5");
    assert_eq!(desk.post(&uri, &versioned).await.code, 201);
    let told = "resourceVersion should not be set on objects to be created";
    assert_eq!(desk.post(MAPS, &versioned).await.told(), (500, told));
}

#[tokio::test]
async fn a_name_that_is_taken_beside_a_prefix_may_be_tried_again() {
    let desk = Desk::new().await;
    desk.made(MAPS, map("a")).await;
    let mut wished = map("a");
    wished["metadata"]["generateName"] = json!("a");
    let answer = desk.post(MAPS, &wished).await;
    let told = "configmaps \"a\" already exists, the server was not able to generate a unique name for the object";
    assert_eq!(answer.told(), (409, told));
    assert_eq!(answer.value["details"]["retryAfterSeconds"], 1);
}

#[tokio::test]
async fn of_its_system_fields_an_author_says_the_generation_alone() {
    let desk = Desk::new().await;
    let mut wished = map("a");
    wished["metadata"]["generation"] = json!(7);
    wished["metadata"]["deletionTimestamp"] = json!("2020-01-01T00:00:00Z");
    wished["metadata"]["deletionGracePeriodSeconds"] = json!(5);
    let made = desk.made(MAPS, wished).await;
    assert_eq!((&made["metadata"]["generation"], &made["metadata"]["deletionTimestamp"]), (&json!(7), &Value::Null));
    assert_eq!(made["metadata"]["managedFields"][0]["fieldsV1"]["f:metadata"], Value::Null);
    let mut negative = map("b");
    negative["metadata"]["generation"] = json!(-1);
    let told = "ConfigMap \"b\" is invalid: metadata.generation: Invalid value: -1: must be greater than or equal to 0";
    assert_eq!(desk.post(MAPS, &negative).await.told(), (422, told));
}

#[tokio::test]
async fn free_objects_are_applied_as_wholes() {
    let desk = Desk::new().await;
    let uri = "/apis/apps/v1/namespaces/default/controllerrevisions/a?fieldManager=m";
    let wished = json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": "a"}, "revision": 1,
        "data": {"spec": {"list": [1, {"a": 2}]}},
    });
    let applied = desk.patch(uri, "application/apply-patch+yaml", &wished.to_string()).await;
    assert_eq!((applied.code, &applied.value["data"]), (201, &wished["data"]), "{}", applied.value);
    let owned = &applied.value["metadata"]["managedFields"][0]["fieldsV1"];
    assert_eq!(owned, &json!({"f:data": {}, "f:revision": {}}));
}

#[tokio::test]
async fn an_empty_list_that_is_always_written_comes_back_as_null() {
    let desk = Desk::new().await;
    let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    let wished = |name: &str| json!({"metadata": {"name": name}, "rules": []});
    let made = desk.made(roles, wished("a")).await;
    assert!(made.as_object().unwrap().contains_key("rules") && made["rules"].is_null(), "{made}");
    assert_eq!(desk.get(&format!("{roles}/a")).await.value, made);
    let dry = desk.post(&format!("{roles}?dryRun=All"), &wished("b")).await.value;
    assert!(dry["rules"].is_null(), "{dry}");
    assert_eq!(desk.get(&format!("{MAPS}?pretty=1")).await.value["items"], json!([]));
}

#[tokio::test]
async fn limits_need_no_name_and_events_are_judged_before_theirs() {
    let desk = Desk::new().await;
    let limits = desk.made("/api/v1/namespaces/default/limitranges", json!({"spec": {"limits": []}})).await;
    assert_eq!(limits["metadata"]["name"].as_str().map(str::len), Some(36));
    let events = "/api/v1/namespaces/default/events";
    let elsewhere = json!({"involvedObject": {"namespace": "b"}});
    let told = "Event \"\" is invalid: involvedObject.namespace: Invalid value: \"b\": does not match event.namespace";
    assert_eq!(desk.post(events, &elsewhere).await.told(), (422, told));
    let named = json!({"involvedObject": {"namespace": "default"}});
    let told = "Event \"\" is invalid: metadata.name: Required value: name or generateName is required";
    assert_eq!(desk.post(events, &named).await.told(), (422, told));
}

#[tokio::test]
async fn an_event_owns_nothing_and_goes_at_once() {
    let desk = Desk::new().await;
    let events = "/api/v1/namespaces/default/events";
    desk.made(events, json!({"metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}})).await;
    let gone = desk.ask("DELETE", &format!("{events}/e?propagationPolicy=Foreground"), &[], "").await;
    assert_eq!((gone.code, &gone.value["status"]), (200, &json!("Success")));
}

#[tokio::test]
async fn preconditions_of_a_namespace_are_told_in_words_of_its_own() {
    let desk = Desk::new().await;
    let options = json!({"preconditions": {"uid": "other"}}).to_string();
    let headers = [("content-type", JSON)];
    let refused = desk.ask("DELETE", "/api/v1/namespaces/default", &headers, options).await;
    let told = "Operation cannot be fulfilled on namespaces \"default\": Precondition failed: UID in precondition: other, UID in object meta: ";
    assert!(refused.code == 409 && refused.told().1.starts_with(told), "{}", refused.value);
}

#[tokio::test]
async fn a_collection_that_is_deleted_is_answered_as_it_was() {
    let desk = Desk::new().await;
    let mut held = map("a");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    let made = desk.made(MAPS, held).await;
    let answer = desk.ask("DELETE", MAPS, &[], "").await.value;
    assert_eq!(answer["items"][0]["metadata"], made["metadata"]);
    assert!(desk.get(&format!("{MAPS}/a")).await.value["metadata"]["deletionTimestamp"].is_string());
}

#[tokio::test]
async fn a_link_to_itself_is_never_stored() {
    let desk = Desk::new().await;
    let uri = format!("{MAPS}/linked");
    let made = desk.post(MAPS, &json!({"metadata": {"name": "linked"}})).await;
    let mut linked = made.value.clone();
    linked["metadata"]["selfLink"] = "/somewhere".into();
    let put = desk.ask("PUT", &uri, &[("content-type", JSON)], linked.to_string()).await;
    assert_eq!((put.code, &put.value["metadata"]), (200, &made.value["metadata"]), "nothing that is kept was changed");
}

#[tokio::test]
async fn the_name_of_a_request_for_a_certificate_is_judged_once_nothing_else_is_wrong() {
    let desk = Desk::new().await;
    let requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    let wrong = json!({"metadata": {"name": "a/b", "labels": {"a": "-"}}, "spec": {"signerName": "a.b/c"}});
    let answer = desk.post(requests, &wrong).await;
    let causes = answer.value["details"]["causes"].as_array().unwrap();
    let fields: Vec<_> = causes.iter().map(|cause| cause["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["metadata.labels", "spec.request", "spec.usages"]);
}
