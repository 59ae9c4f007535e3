//! JSON that upstream keeps as it was written: in which letters it comes back, and what counts as a change of it.

use super::*;
use crate::codec::protobuf::encode;
use crate::schema;

const REVISIONS: &str = "/apis/apps/v1/namespaces/default/controllerrevisions";
const CLASSES: &str = "/apis/resource.k8s.io/v1/deviceclasses";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const APPLY: &str = "application/apply-patch+yaml";

fn revision(data: &str) -> String {
    format!(
        r#"{{"apiVersion":"apps/v1","kind":"ControllerRevision","metadata":{{"name":"r"}},"revision":1,"data":{data}}}"#
    )
}

fn class(parameters: &str) -> String {
    format!(
        r#"{{"apiVersion":"resource.k8s.io/v1","kind":"DeviceClass","metadata":{{"name":"c"}},"spec":{{"config":[{{"opaque":{{"driver":"x.io","parameters":{parameters}}}}}]}}}}"#
    )
}

/// The answer as a text, in which the order of fields shows.
async fn text(desk: &Desk, method: &str, uri: &str, kind: &str, body: &str) -> (u16, String) {
    let (code, bytes) = bytes(desk, method, uri, &[("content-type", kind)], body).await;
    (code, String::from_utf8(bytes).unwrap())
}

async fn bytes(
    desk: &Desk,
    method: &str,
    uri: &str,
    headers: &[(&str, &str)],
    body: impl AsRef<[u8]>,
) -> (u16, Vec<u8>) {
    let response = desk.call(method, uri, headers, body).await;
    (response.status().as_u16(), response.into_body().collect().await.unwrap().to_bytes().to_vec())
}

#[tokio::test]
async fn raw_json_is_answered_as_it_came_and_a_change_of_its_letters_is_one() {
    let desk = Desk::new().await;
    let one = format!("{REVISIONS}/r");
    let (code, made) = text(&desk, "POST", REVISIONS, JSON, &revision(r#"{"b": 1.0,"a":{},"a":"<"}"#)).await;
    let data = r#""data":{"b":1.0,"a":{},"a":"\u003c"},"revision":1}"#;
    assert!(code == 201 && made.trim_end().ends_with(data), "{made}");
    for uri in [&one, &format!("{one}?pretty=0")] {
        assert!(text(&desk, "GET", uri, JSON, "").await.1.trim_end().ends_with(data));
    }
    let list = text(&desk, "GET", REVISIONS, JSON, "").await.1;
    assert!(list.trim_end().ends_with(&format!("{data}]}}")), "{list}");
    let same = text(&desk, "PUT", &one, JSON, &revision(r#"{"b": 1.0,"a":{},"a":"<"}"#)).await;
    assert_eq!(same, (200, made));
    for (other, told) in [
        (r#"{"b":1.0,"a":{},"a":"<"}"#, r#"{"b":1.0,"a":{},"a":"\u003c"}"#),
        (r#"{"b": 1,"a":{},"a":"<"}"#, r#"{"b":1,"a":{},"a":"\u003c"}"#),
    ] {
        let answer = desk.ask("PUT", &one, &[("content-type", JSON)], &revision(other)).await;
        let told = format!("ControllerRevision.apps \"r\" is invalid: data: Invalid value: {told}: field is immutable");
        assert_eq!(answer.told(), (422, &*told));
    }
}

#[tokio::test]
async fn a_patch_lays_texts_over_texts_or_sorted_values() {
    let desk = Desk::new().await;
    let one = format!("{REVISIONS}/r");
    text(&desk, "POST", REVISIONS, JSON, &revision(r#"{"b":1.0,"a":2}"#)).await;
    let labels = r#"{"metadata":{"labels":{"x":"y"}}}"#;
    let (code, answer) = text(&desk, "PATCH", &one, MERGE, labels).await;
    assert!(code == 200 && answer.contains(r#""data":{"b":1.0,"a":2}"#), "{answer}");
    let test = r#"[{"op":"test","path":"/data/b","value":1.0},{"op":"replace","path":"/revision","value":2}]"#;
    let (code, answer) = text(&desk, "PATCH", &one, JSON_PATCH, test).await;
    assert!(code == 422 && answer.contains(r#"{\"a\":2,\"b\":1.0}: field is immutable"#), "{answer}");
    for (kind, patch) in [(STRATEGIC, r#"{"revision":3}"#), (MERGE, r#"{"data":{"b":1}}"#)] {
        let answer = text(&desk, "PATCH", &one, kind, patch).await;
        assert!(
            answer.0 == 422 && answer.1.contains(r#"{\"a\":2,\"b\":1}: field is immutable"#),
            "{kind}: {}",
            answer.1
        );
    }
    let version = |answer: &str| serde_json::from_str::<Value>(answer).unwrap()["metadata"]["resourceVersion"].clone();
    let before = version(&text(&desk, "GET", &one, JSON, "").await.1);
    let uri = format!("{one}?fieldManager=m&force=true");
    let (code, answer) = text(&desk, "PATCH", &uri, APPLY, &revision(r#"{"a":2,"b":1}"#)).await;
    assert!(code == 200 && answer.contains(r#""data":{"b":1.0,"a":2}"#), "{answer}");
    assert_ne!(version(&answer), before);
    let apply = revision("{}").replace(r#""data":{}"#, r#""metadata":{"name":"r","labels":{"z":"w"}}"#);
    let (code, answer) = text(&desk, "PATCH", &uri.replace("=m", "=n"), APPLY, &apply).await;
    assert!(code == 422 && answer.contains(r#"{\"a\":2,\"b\":1}: field is immutable"#), "{answer}");
}

#[tokio::test]
async fn another_text_of_what_may_change_is_a_change_that_nobody_comes_to_own() {
    let desk = Desk::new().await;
    let one = format!("{CLASSES}/c");
    let put = async |parameters: &str| {
        let uri = format!("{one}?fieldManager=other");
        let (code, answer) = text(&desk, "PUT", &uri, JSON, &class(parameters)).await;
        assert_eq!(code, 200, "{answer}");
        let value: Value = serde_json::from_str(&answer).unwrap();
        let is_owned = value["metadata"]["managedFields"][0]["manager"].as_str().unwrap() == "other";
        (value["metadata"]["generation"].as_u64().unwrap(), is_owned, answer)
    };
    text(&desk, "POST", CLASSES, JSON, &class(r#"{"b":1,"a":[2.0]}"#)).await;
    assert!(matches!(put(r#"{"b":1,"a":[2.0]}"#).await, (1, false, _)));
    let (generation, is_owned, answer) = put(r#"{"a":[2],"b":1}"#).await;
    assert!((generation, is_owned) == (2, false) && answer.contains(r#""parameters":{"a":[2],"b":1}"#), "{answer}");
    assert!(matches!(put(r#"{"a":[2], "b":1}"#).await, (3, false, _)));
    assert!(matches!(put(r#"{"a":[3],"b":1}"#).await, (4, true, _)));
    let yaml = bytes(&desk, "GET", &one, &[("accept", "application/yaml")], "").await.1;
    assert!(std::str::from_utf8(&yaml).unwrap().contains("      parameters:\n        a:\n        - 3\n"));
}

#[tokio::test]
async fn raw_json_of_a_message_is_kept_letter_by_letter() {
    let desk = Desk::new().await;
    let sent = r#"{ "b":1.0 , "a":"<"}"#;
    let object = json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": "r"}, "revision": 1, "data": sent,
    });
    let message = encode::encode(schema::model(), &object).unwrap();
    let is_there = |message: &[u8]| message.windows(sent.len()).any(|window| window == sent.as_bytes());
    let head = [("content-type", PROTOBUF), ("accept", PROTOBUF)];
    let (code, made) = bytes(&desk, "POST", REVISIONS, &head, message).await;
    assert!(code == 201 && is_there(&made), "{code}");
    for uri in [REVISIONS, &format!("{REVISIONS}/r")] {
        assert!(is_there(&bytes(&desk, "GET", uri, &head, "").await.1));
    }
    let answer = text(&desk, "GET", &format!("{REVISIONS}/r"), JSON, "").await.1;
    assert!(answer.contains(r#""data":{"b":1.0,"a":"\u003c"}"#), "{answer}");
}
