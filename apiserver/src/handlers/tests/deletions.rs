//! Deletions of collections and of single objects: what their options and their lists say.

use super::*;

async fn names(desk: &Desk) -> Vec<String> {
    let list = desk.get(MAPS).await.value;
    let names =
        list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned());
    names.collect()
}

async fn three() -> Desk {
    let desk = Desk::new().await;
    for name in ["a", "b", "c"] {
        desk.made(MAPS, map(name)).await;
    }
    desk
}

#[tokio::test]
async fn a_collection_is_deleted_page_by_page() {
    let desk = three().await;
    let page = desk.ask("DELETE", &format!("{MAPS}?limit=1"), &[], "").await.value;
    assert_eq!(page["metadata"]["remainingItemCount"], 2);
    assert!(page["metadata"]["continue"].is_string());
    assert_eq!(names(&desk).await, ["b", "c"]);
    let rest = desk.ask("DELETE", MAPS, &[], "").await.value;
    assert_eq!(rest["items"].as_array().unwrap().len(), 2);
    assert!(names(&desk).await.is_empty());
}

#[tokio::test]
async fn the_options_of_the_list_are_judged_before_anything_is_deleted() {
    let desk = three().await;
    for (query, code) in [
        ("continue=x", 400),
        ("resourceVersion=x", 400),
        ("resourceVersion=999999", 504),
        ("resourceVersionMatch=Exact", 422),
        ("sendInitialEvents=true", 422),
        ("timeoutSeconds=x", 400),
    ] {
        assert_eq!(desk.ask("DELETE", &format!("{MAPS}?{query}"), &[], "").await.code, code, "{query}");
    }
    assert_eq!(names(&desk).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn options_in_a_body_are_all_that_counts() {
    let desk = three().await;
    let sent = [("content-type", JSON)];
    let dry = desk.ask("DELETE", &format!("{MAPS}?dryRun=Foo"), &sent, r#"{"dryRun":["All"]}"#).await;
    assert_eq!((dry.code, names(&desk).await.len()), (200, 3));
    assert_eq!(desk.ask("DELETE", &format!("{MAPS}/a?dryRun=All"), &sent, "{}").await.code, 200);
    assert_eq!(names(&desk).await, ["b", "c"]);
    let wrong = desk.ask("DELETE", MAPS, &sent, r#"{"dryRun":"All"}"#).await;
    let told = "json: cannot unmarshal string into Go struct field DeleteOptions.dryRun of type []string";
    assert_eq!(wrong.told(), (400, told));
}

#[tokio::test]
async fn a_query_may_name_what_is_to_be_deleted() {
    let desk = three().await;
    let other = desk.ask("DELETE", &format!("{MAPS}/a?resourceVersion=1"), &[], "").await;
    assert_eq!(other.code, 409);
    assert!(other.value["message"].as_str().unwrap().contains("the ResourceVersion in the precondition (1)"));
    assert_eq!(desk.ask("DELETE", &format!("{MAPS}/a?uid=x"), &[], "").await.code, 409);
    assert_eq!(desk.ask("DELETE", &format!("{MAPS}/a?dryRun=Foo"), &[], "").await.code, 422);
    assert_eq!(names(&desk).await.len(), 3);
}

#[tokio::test]
async fn what_can_not_be_answered_is_not_done() {
    let desk = three().await;
    let table = [("accept", "application/json;as=Table;g=none;v=v1"), ("content-type", JSON)];
    assert_eq!(desk.ask("POST", MAPS, &table, map("d").to_string()).await.code, 406);
    assert_eq!(desk.ask("DELETE", &format!("{MAPS}/a"), &table, "").await.code, 406);
    assert_eq!(desk.ask("GET", &format!("{MAPS}/none"), &table, "").await.code, 406);
    assert_eq!(names(&desk).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn kinds_that_are_only_made_have_no_paths_of_one_or_of_all() {
    let desk = Desk::new().await;
    let reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
    for (method, path, code) in [
        ("GET", format!("{reviews}/x"), 404),
        ("GET", reviews.to_owned(), 405),
        ("GET", "/api/v1/bindings".to_owned(), 404),
        ("GET", "/api/v1/namespaces/default/bindings".to_owned(), 405),
        ("POST", "/apis/authorization.k8s.io/v1/localsubjectaccessreviews".to_owned(), 404),
        ("DELETE", "/api/v1/configmaps".to_owned(), 405),
    ] {
        assert_eq!(desk.ask(method, &path, &[("content-type", JSON)], "{}").await.code, code, "{method} {path}");
    }
}

#[tokio::test]
async fn a_precondition_that_says_nothing_is_one() {
    let desk = three().await;
    for field in ["uid", "resourceVersion"] {
        let options = json!({"preconditions": {field: ""}}).to_string();
        let answer = desk.ask("DELETE", &format!("{MAPS}/a"), &[("content-type", JSON)], &options).await;
        assert_eq!(answer.code, 409, "{field}");
    }
    assert_eq!(names(&desk).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn an_event_that_stays_is_named_by_the_group_that_it_is_stored_in() {
    let desk = Desk::new().await;
    let events = "/apis/events.k8s.io/v1/namespaces/default/events";
    let event = json!({
        "metadata": {"name": "e"}, "eventTime": "2020-01-01T00:00:00.000000Z", "reportingController": "x.io/y",
        "reportingInstance": "i", "action": "a", "reason": "r", "type": "Normal",
        "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
    });
    desk.made(events, event).await;
    let options = r#"{"preconditions":{"uid":"x"}}"#;
    let answer = desk.ask("DELETE", &format!("{events}/e"), &[("content-type", JSON)], options).await;
    assert!(
        answer.told().1.starts_with("Operation cannot be fulfilled on Event \"e\": the UID in"),
        "{}",
        answer.value
    );
    // In the other group it is another kind, whose managers nobody can look for.
    let other = "/api/v1/namespaces/default/events/e?fieldManager=core";
    let patched = desk.patch(other, MERGE, r#"{"metadata":{"labels":{"a":"b"}}}"#).await;
    let managers = patched.value["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!((managers.len(), &managers[0]["manager"]), (1, &json!("core")), "{managers:?}");
}
