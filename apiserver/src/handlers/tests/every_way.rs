//! The same bad bodies by every way in, to a built-in and to a custom resource: each gets a Status, soon.

use super::hostile::{DEFINITIONS, FOOS, foo, with_foos};
use super::*;
use std::time::Instant;

/// No answer may take longer, in a build that is not optimised and on a machine that does other things too.
const LONGEST: Duration = Duration::from_secs(20);

fn laughs() -> String {
    let one = |at: usize| format!("a{at}: &a{at} [{}]\n", vec![format!("*a{}", at - 1); 10].join(","));
    (1..12).fold("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned(), |all, at| all + &one(at))
}

/// What is sent.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let deep = |open: &str, close: &str, levels: usize| {
        format!("{{\"metadata\":{{\"name\":\"a\"}},\"spec\":{}1{}}}", open.repeat(levels), close.repeat(levels))
    };
    let doubles = format!("{{\"spec\":{{{}}}}}", vec!["\"a\":1"; 200_000].join(","));
    vec![
        ("deep lists", deep("[", "]", 200_000).into()),
        ("deep objects", deep("{\"a\":", "}", 200_000).into()),
        ("deeper than we take", deep("[", "]", 125).into()),
        ("an endless number", b"{\"spec\":1e999999999}".to_vec()),
        ("a long number", format!("{{\"spec\":{}}}", "9".repeat(1_000_000)).into()),
        ("a long fraction", format!("{{\"spec\":0.{}}}", "3".repeat(1_000_000)).into()),
        ("keys that stand twice", doubles.into()),
        ("no UTF-8", b"{\"metadata\":{\"name\":\"\xff\xfe\"},\"spec\":\"\xc3\"}".to_vec()),
        ("an escape that breaks off", b"{\"spec\":\"\\ud80\"}".to_vec()),
        ("laughs", laughs().into()),
        ("a merge of itself", b"a: &a {<<: *a}\n".to_vec()),
        ("open brackets", format!("a: {}", "[".repeat(100_000)).into()),
        ("open quotes", format!("a: \"{}", "\\".repeat(100_000)).into()),
        ("tags", format!("a: {}x", "!!binary ".repeat(10_000)).into()),
        ("dashes", "- ".repeat(100_000).into()),
        ("anchors", "a: &a b\n".repeat(100_000).into()),
        ("nothing", Vec::new()),
        ("a zero", vec![0]),
    ]
}

#[tokio::test]
async fn a_bad_body_is_refused_by_every_way_in() {
    let desk = with_foos().await;
    desk.made(MAPS, map("a")).await;
    desk.made(FOOS, foo(&json!({"a": 1}))).await;
    let kinds = [JSON, "application/yaml", "application/vnd.kubernetes.protobuf", JSON_PATCH, MERGE, STRATEGIC];
    for (told, body) in bodies() {
        for (all, one) in [(MAPS, format!("{MAPS}/a")), (FOOS, format!("{FOOS}/f"))] {
            for kind in kinds.into_iter().chain(["application/apply-patch+yaml"]) {
                let ways = if kind.contains("patch") {
                    vec![("PATCH", one.as_str())]
                } else {
                    vec![("POST", all), ("PUT", &one)]
                };
                for (method, uri) in ways {
                    let uri = format!("{uri}?dryRun=All&fieldManager=a&fieldValidation=Strict");
                    let began = Instant::now();
                    let answer = desk.ask(method, &uri, &[("content-type", kind)], &body).await;
                    let shown =
                        format!("{told} as {kind} by {method} {uri}: {} {}", answer.code, answer.value["message"]);
                    let refused = (400..500).contains(&answer.code) && answer.value["kind"] == "Status";
                    // A number may have as many digits as it likes behind its point.
                    assert!(refused || (told == "a long fraction" && kind == MERGE && answer.code == 200), "{shown}");
                    assert!(began.elapsed() < LONGEST, "{shown}: {:?}", began.elapsed());
                    assert!(answer.value.to_string().len() < 8 << 20, "{shown}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_too_deep_is_told_in_upstreams_words() {
    let desk = with_foos().await;
    desk.made(FOOS, foo(&json!({"a": 1}))).await;
    let head = "\"kind\":\"Foo\",\"apiVersion\":\"g.example.com/v1\"";
    let deep = format!("{{{head},\"spec\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let uri = format!("{FOOS}/f");
    for (method, uri, kind) in [("POST", FOOS, JSON), ("PUT", uri.as_str(), JSON), ("PATCH", &uri, MERGE)] {
        let answer = desk.ask(method, uri, &[("content-type", kind)], &deep).await;
        assert!(answer.code == 400 && answer.told().1.contains("exceeded max depth"), "{}", answer.value);
    }
}

#[tokio::test]
async fn a_definition_of_a_hundred_thousand_versions_or_patterns_is_judged_soon() {
    let desk = Desk::new().await;
    let define = |versions: Value| {
        let names = json!({"plural": "bars", "singular": "bar", "kind": "Bar", "listKind": "BarList"});
        let spec = json!({"group": "g.example.com", "scope": "Namespaced", "names": names, "versions": versions});
        json!({"metadata": {"name": "bars.g.example.com"}, "spec": spec})
    };
    let versions = (0..100_000).map(|at| json!({"name": format!("v{at}")})).collect();
    let patterns: serde_json::Map<String, Value> = (0..10_000)
        .map(|at| (format!("f{at}"), json!({"type": "string", "pattern": format!("\\pL{{9}}{at}")})))
        .collect();
    let spec = json!({"type": "object", "properties": patterns});
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}});
    let one = json!([{"name": "v1", "served": true, "storage": true, "schema": schema}]);
    for (versions, told) in [(versions, "Required value"), (one, "take too much memory")] {
        let began = Instant::now();
        let answer = desk.post(DEFINITIONS, &define(versions)).await;
        assert!(answer.code == 422 && answer.told().1.contains(told), "{told}: {}", answer.code);
        assert!(began.elapsed() < LONGEST, "{told}: {:?}", began.elapsed());
    }
}
