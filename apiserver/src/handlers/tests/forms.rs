//! The forms of answers: lists, Tables, metadata alone, watch frames; and the three kinds of patches.

use super::*;
use futures_util::StreamExt;
use http_body_util::BodyStream;

const TABLE: (&str, &str) = ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json");

#[tokio::test]
async fn items_of_a_list_say_nothing_of_their_kind() {
    let desk = Desk::new().await;
    for name in ["a", "b", "c"] {
        desk.made(MAPS, map(name)).await;
    }
    let list = desk.get(&format!("{MAPS}?limit=2")).await.value;
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("ConfigMapList"), &json!("v1")));
    assert_eq!(list["metadata"]["remainingItemCount"], 1);
    let mut one = desk.get(&format!("{MAPS}/a")).await.value;
    one.as_object_mut().unwrap().retain(|field, _| field != "kind" && field != "apiVersion");
    assert_eq!(list["items"][0], one);
    let token = list["metadata"]["continue"].as_str().unwrap();
    let rest = desk.get(&format!("{MAPS}?limit=2&continue={token}")).await.value;
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["metadata"]["continue"]), (1, &Value::Null));
    assert_eq!(rest["metadata"]["resourceVersion"], list["metadata"]["resourceVersion"]);
    let pretty = desk.get(&format!("{MAPS}?pretty=1")).await.value;
    assert_eq!(pretty["items"][0], one);
    let selected = desk.get(&format!("{MAPS}?fieldSelector=metadata.name%3Db")).await.value;
    assert_eq!(selected["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn tables_and_metadata_are_made_of_the_same_objects() {
    let desk = Desk::new().await;
    desk.made(PODS, pod("web")).await;
    let table = desk.ask("GET", PODS, &[TABLE], "").await.value;
    assert_eq!((&table["kind"], &table["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
    assert_eq!(table["columnDefinitions"][0]["format"], "name");
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    assert_eq!(cells[..3], [json!("web"), json!("0/1"), json!("Pending")]);
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let whole = desk.ask("GET", &format!("{PODS}?includeObject=Object"), &[TABLE], "").await.value;
    assert_eq!(whole["rows"][0]["object"], desk.get(&format!("{PODS}/web")).await.value);
    let accept = ("accept", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io");
    let partial = desk.ask("GET", PODS, &[accept], "").await.value;
    assert_eq!(partial["items"][0]["metadata"]["name"], "web");
    assert_eq!(partial["items"][0]["spec"], Value::Null);
    assert_eq!(desk.ask("GET", PODS, &[("accept", "text/html")], "").await.code, 406);
    let one = ("accept", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io");
    let told = "you requested PartialObjectMetadata, but the requested object is a list (*core.PodList)";
    assert_eq!(desk.ask("GET", PODS, &[one], "").await.told(), (406, told));
    let told = "you requested PartialObjectMetadataList, but the requested object is not a list (*core.Pod)";
    assert_eq!(desk.ask("GET", &format!("{PODS}/web"), &[accept], "").await.told(), (406, told));
    assert_eq!(desk.ask("GET", &format!("{PODS}/nope"), &[("accept", "application/json;as=x")], "").await.code, 406);
    let named = desk.get(&format!("{PODS}/a%25b")).await;
    assert_eq!(named.told(), (400, r#"Name parameter invalid: "a%b": may not contain '%'"#));
    let binding = json!({"metadata": {"name": "a/b"}, "target": {"name": "n"}});
    let bound = desk.post("/api/v1/namespaces/default/bindings", &binding).await;
    assert_eq!(bound.told(), (400, r#"Name parameter invalid: "a/b": may not contain '/'"#));
    let only = ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
    let missing = desk.call("GET", &format!("{PODS}/nope"), &[only], "").await;
    let text = missing.into_body().collect().await.unwrap().to_bytes();
    assert!(text.starts_with(b"{\n  \"kind\": \"Status\",") && text.ends_with(b"}"), "{text:?}");
}

#[tokio::test]
async fn a_watch_writes_one_frame_a_line() {
    let desk = Desk::new().await;
    let made = desk.made(MAPS, map("a")).await;
    let uri =
        format!("{MAPS}?watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan");
    let mut body = BodyStream::new(desk.call("GET", &uri, &[], "").await.into_body());
    let tables = format!("{MAPS}?watch=1&resourceVersion={}", made["metadata"]["resourceVersion"].as_str().unwrap());
    let mut rows = BodyStream::new(desk.call("GET", &tables, &[TABLE], "").await.into_body());
    desk.patch(&format!("{MAPS}/a"), MERGE, r#"{"data":{"a":"2"}}"#).await;
    desk.ask("DELETE", &format!("{MAPS}/a"), &[], "").await;
    let read = async |body: &mut BodyStream<Body>, count: usize| {
        let mut text = String::new();
        while text.lines().count() < count {
            let next = tokio::time::timeout(Duration::from_secs(5), body.next()).await.expect("frames come in time");
            text.push_str(std::str::from_utf8(&next.unwrap().unwrap().into_data().unwrap()).unwrap());
        }
        assert!(text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    let frames = read(&mut body, 4).await;
    let types: Vec<_> = frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["ADDED", "BOOKMARK", "MODIFIED", "DELETED"]);
    assert_eq!(frames[0]["object"], made);
    assert_eq!(frames[1]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert_eq!(frames[3]["object"]["data"]["a"], "2");
    let initial = uri.replacen(MAPS, PODS, 1);
    let mut pods = BodyStream::new(desk.call("GET", &initial, &[], "").await.into_body());
    let bookmark = read(&mut pods, 1).await.remove(0)["object"].take();
    assert_eq!((&bookmark["spec"], &bookmark["status"]), (&json!({"containers": null}), &json!({})));
    assert_ne!(frames[3]["object"]["metadata"]["resourceVersion"], frames[2]["object"]["metadata"]["resourceVersion"]);
    let frames = read(&mut rows, 2).await;
    assert_eq!(frames[0]["object"]["columnDefinitions"][0]["name"], "Name");
    assert_eq!((&frames[1]["type"], &frames[1]["object"]["columnDefinitions"]), (&json!("DELETED"), &Value::Null));
}

#[tokio::test]
async fn each_kind_of_patch_changes_what_it_says() {
    let desk = Desk::new().await;
    desk.made(DEPLOYMENTS, deployment("d")).await;
    let uri = format!("{DEPLOYMENTS}/d");
    let env = r#"{"spec":{"template":{"spec":{"containers":[{"name":"c","env":[{"name":"B","value":"2"}]}]}}}}"#;
    let merged = desk.patch(&uri, STRATEGIC, env).await.value;
    let container = &merged["spec"]["template"]["spec"]["containers"][0];
    assert_eq!((&container["image"], container["env"].as_array().unwrap().len()), (&json!("nginx"), 2));
    let scaled = desk.patch(&uri, MERGE, r#"{"spec":{"replicas":null},"metadata":{"labels":{"a":"b"}}}"#).await.value;
    assert_eq!((&scaled["spec"]["replicas"], &scaled["metadata"]["labels"]["a"]), (&json!(1), &json!("b")));
    let replaced = desk.patch(&uri, JSON_PATCH, r#"[{"op":"replace","path":"/spec/replicas","value":5}]"#).await.value;
    assert_eq!((&replaced["spec"]["replicas"], &replaced["metadata"]["generation"]), (&json!(5), &json!(4)));
    let dry = desk.patch(&format!("{uri}?dryRun=All"), MERGE, r#"{"spec":{"replicas":9}}"#).await.value;
    assert_eq!(dry["spec"]["replicas"], 9);
    assert_eq!(desk.get(&uri).await.value, replaced);
}

#[tokio::test]
async fn yaml_comes_in_and_goes_out() {
    let desk = Desk::new().await;
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: plain\ndata:\n  a: \"1\"\n";
    let made = desk.ask("POST", MAPS, &[("content-type", "application/yaml")], yaml).await;
    assert_eq!((made.code, &made.value["data"]["a"]), (201, &json!("1")), "{}", made.value);
    let response = desk.call("GET", &format!("{MAPS}/plain"), &[("accept", "application/yaml")], "").await;
    assert_eq!(response.headers()["content-type"], "application/yaml");
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(crate::codec::yaml::read(&bytes).unwrap().value, made.value);
}

#[tokio::test]
async fn both_versions_of_a_kind_are_served_from_one_object() {
    let desk = Desk::new().await;
    let (core, other) = ("/api/v1/namespaces/default/events", "/apis/events.k8s.io/v1/namespaces/default/events");
    let about = json!({"kind": "Pod", "name": "p", "namespace": "default"});
    desk.made(core, json!({"metadata": {"name": "e"}, "involvedObject": about, "message": "hello"})).await;
    let seen = desk.get(&format!("{other}/e")).await.value;
    assert_eq!((&seen["apiVersion"], &seen["note"]), (&json!("events.k8s.io/v1"), &json!("hello")));
    let list = desk.get(&format!("{other}?fieldSelector=regarding.name%3Dp")).await.value;
    let by = |field: &str| format!("{other}?fieldSelector={field}%3Da");
    assert_eq!(desk.get(&by("reportingController")).await.value["items"], json!([]));
    let told = "field label not supported: reportingComponent";
    assert_eq!(desk.get(&by("reportingComponent")).await.told(), (400, told));
    assert_eq!((&list["items"][0]["regarding"]["name"], list["items"].as_array().unwrap().len()), (&json!("p"), 1));
    let patched = desk.patch(&format!("{core}/e"), MERGE, r#"{"message":"bye"}"#).await.value;
    assert_eq!(patched["message"], "bye");
    assert_eq!(desk.get(&format!("{other}/e")).await.value["note"], "bye");
    let refused = desk.patch(&format!("{other}/e"), MERGE, r#"{"note":"once more"}"#).await;
    let told = "Event \"e\" is invalid: message: Invalid value: \"once more\": field is immutable";
    assert_eq!((refused.code, &refused.value["message"]), (422, &json!(told)));
}
