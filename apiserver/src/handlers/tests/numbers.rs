//! Numbers of which the text says more than our parser keeps, and what custom objects say to be.

use super::hostile::{FOOS, foo, with_foos};
use super::*;

const QUOTAS: &str = "/api/v1/namespaces/default/resourcequotas";

/// A quota's amount, and another field that a patch may leave alone.
fn quota(amount: &str) -> String {
    format!(
        r#"{{"apiVersion":"v1","kind":"ResourceQuota","metadata":{{"name":"q"}},"spec":{{"hard":{{"pods":"1","requests.cpu":{amount}}}}}}}"#
    )
}

#[tokio::test]
async fn a_quantity_that_is_a_number_keeps_how_it_is_written_where_go_reads_its_text() {
    let desk = Desk::new().await;
    desk.made(QUOTAS, serde_json::from_str(&quota("1")).unwrap()).await;
    let one = format!("{QUOTAS}/q?dryRun=All&fieldManager=m");
    for (number, by_text, by_value) in [
        ("1e3", "1e3", "1k"),
        ("1E3", "1E3", "1k"),
        ("0.5", "500m", "500m"),
        ("1.0", "1", "1"),
        ("-0", "0", "0"),
        ("12345678901234567890123", "12345678901234567890123", "1.2345678901234568e+22"),
        ("9223372036854775808", "9223372036854775808", "9223372036854776k"),
    ] {
        let merge = format!(r#"{{"spec":{{"hard":{{"requests.cpu":{number}}}}}}}"#);
        let json = format!(r#"[{{"op":"replace","path":"/spec/hard/requests.cpu","value":{number}}}]"#);
        let whole = quota(number);
        for (method, kind, body, kept) in [
            ("PUT", JSON, &whole, by_text),
            ("PATCH", MERGE, &merge, by_text),
            ("PATCH", JSON_PATCH, &json, by_text),
            ("PATCH", STRATEGIC, &merge, by_value),
            ("PATCH", "application/apply-patch+yaml", &whole, by_value),
        ] {
            let uri = if kind.contains("apply") { format!("{one}&force=true") } else { one.clone() };
            let answer = desk.ask(method, &uri, &[("content-type", kind)], body).await;
            assert_eq!(answer.code, 200, "{number} as {kind}: {}", answer.value);
            let hard = &answer.value["spec"]["hard"];
            assert_eq!(*hard, json!({"pods": "1", "requests.cpu": kept}), "{number} as {kind}");
        }
    }
}

#[tokio::test]
async fn a_whole_number_is_refused_by_its_text() {
    let desk = Desk::new().await;
    let classes = "/apis/scheduling.k8s.io/v1/priorityclasses";
    for number in ["1e3", "-0.0", "1.0", "1e400", "12345678901234567890123"] {
        let body = format!(r#"{{"metadata":{{"name":"a"}},"value":{number}}}"#);
        let answer = desk.ask("POST", classes, &[("content-type", JSON)], &body).await;
        let told = format!(
            "PriorityClass in version \"v1\" cannot be handled as a PriorityClass: json: cannot unmarshal number {number} into Go struct field PriorityClass.value of type int32"
        );
        assert_eq!(answer.told(), (400, &*told));
    }
    let zero = desk.ask("POST", classes, &[("content-type", JSON)], r#"{"metadata":{"name":"a"},"value":-0}"#).await;
    assert_eq!((zero.code, &zero.value["value"]), (201, &json!(0)));
}

#[tokio::test]
async fn a_custom_object_holds_what_no_int64_does_as_a_double() {
    let desk = with_foos().await;
    let one = format!("{FOOS}/f");
    let made = desk.made(FOOS, foo(&json!({"a": 9_223_372_036_854_775_808_u64}))).await;
    assert_eq!(made["spec"]["a"].to_string(), "9223372036854776000");
    let merge = r#"{"spec":{"a":9223372036854775809}}"#;
    let json = r#"[{"op":"replace","path":"/spec/a","value":9223372036854775808}]"#;
    for (kind, body) in [(MERGE, merge), (JSON_PATCH, json)] {
        let answer = desk.ask("PATCH", &one, &[("content-type", kind)], body).await;
        assert_eq!((answer.code, &answer.value["metadata"]["generation"]), (200, &json!(1)), "{kind}");
        assert_eq!(answer.value["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"], "{kind}");
    }
    let apply = "kind: Foo\napiVersion: g.example.com/v1\nmetadata: {name: f}\nspec: {a: 9223372036854775807}\n";
    let head = [("content-type", "application/apply-patch+yaml")];
    let answer = desk.ask("PATCH", &format!("{one}?fieldManager=m&force=true"), &head, apply).await;
    assert_eq!(answer.value["spec"]["a"], json!(i64::MAX), "{}", answer.value);
}

#[tokio::test]
async fn what_a_custom_object_says_to_be_is_judged_behind_its_metadata_and_its_place() {
    let desk = with_foos().await;
    let (one, absent) = (format!("{FOOS}/f"), format!("{FOOS}/g"));
    let made = desk.made(FOOS, foo(&json!({"a": 1}))).await;
    let other = |name: &str, metadata: Value| {
        let mut object = json!({"kind": "Other", "apiVersion": "g.example.com/v1", "metadata": metadata});
        object["metadata"]["name"] = name.into();
        object.to_string()
    };
    let version = &made["metadata"]["resourceVersion"];
    let must = "kind: Invalid value: \"Other\": must be Foo";
    let labels = "Other in version \"v1\" cannot be handled as a Foo: json: cannot unmarshal number into Go struct field ObjectMeta.labels of type map[string]string";
    for (method, uri, body, told) in [
        ("POST", FOOS, other("g", json!({"labels": 1})), (400, labels.to_owned())),
        ("POST", FOOS, other("g", json!({})), (422, format!("Other.g.example.com \"g\" is invalid: {must}"))),
        ("PUT", &one, other("f", json!({"labels": 1})), (400, labels.to_owned())),
        ("PUT", &absent, other("g", json!({})), (404, "foos.g.example.com \"g\" not found".to_owned())),
        (
            "PUT",
            &one,
            other("f", json!({"resourceVersion": version})),
            (422, format!("Other.g.example.com \"f\" is invalid: {must}")),
        ),
    ] {
        let answer = desk.ask(method, uri, &[("content-type", JSON)], &body).await;
        assert_eq!(answer.told(), (told.0, &*told.1), "{method} {uri} {body}");
    }
    let answer = desk.ask("PATCH", &one, &[("content-type", MERGE)], r#"{"kind":null}"#).await;
    assert!(answer.code == 422 && answer.told().1.contains("Object 'Kind' is missing in '{"), "{}", answer.value);
    let missing = "Internal error occurred: Object 'apiVersion' is missing in 'object has no apiVersion field'";
    for patch in [r#"{"apiVersion":null}"#, r#"{"apiVersion":""}"#] {
        assert_eq!(desk.patch(&one, MERGE, patch).await.told(), (500, missing), "{patch}");
    }
    let null = r#"[{"op":"replace","path":"/apiVersion","value":null}]"#;
    let told = ": .apiVersion accessor error: <nil> is of the type <nil>, expected string";
    assert!(desk.patch(&one, JSON_PATCH, null).await.told().1.ends_with(told));
    // Another uid is told of before the version that is not sent.
    let answer = desk
        .ask(
            "PUT",
            &one,
            &[("content-type", JSON)],
            r#"{"kind":"Foo","apiVersion":"g.example.com/v1","metadata":{"name":"f","uid":"x"}}"#,
        )
        .await;
    assert!(answer.code == 409 && answer.told().1.contains("UID in precondition: x"), "{}", answer.value);
    let answer = desk.ask("PATCH", &one, &[("content-type", MERGE)], r#"{"apiVersion":"a/b/c"}"#).await;
    assert!(answer.told().1.ends_with(": unexpected GroupVersion string: a/b/c"), "{}", answer.value);
    assert_eq!(desk.get(&one).await.value["kind"], "Foo");
}

#[tokio::test]
async fn a_json_patch_tests_for_the_text_of_a_number() {
    let desk = with_foos().await;
    desk.made(FOOS, foo(&json!({"a": 1, "f": 1.5, "s": "<"}))).await;
    let one = format!("{FOOS}/f?dryRun=All");
    let code = async |path: &str, value: &str| {
        let patch = format!(r#"[{{"op":"test","path":"/spec/{path}","value":{value}}}]"#);
        desk.patch(&one, JSON_PATCH, &patch).await.code
    };
    for (path, value, wanted) in [
        ("a", "1", 200),
        ("a", "1.0", 422),
        ("f", "1.5", 200),
        ("f", "1.50", 422),
        ("f", "15e-1", 422),
        ("s", r#""<""#, 422),
        ("s", r#""\u003c""#, 200),
        ("none", "1.0", 422),
        ("none", "null", 200),
    ] {
        assert_eq!(code(path, value).await, wanted, "{path} {value}");
    }
}
