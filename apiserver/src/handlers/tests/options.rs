//! Lists and watches in every combination of their options: codes, causes and words.

use super::*;
use tinyplane_wire::watch::INITIAL_EVENTS_END;

/// What a list with this query answers: its code and message, or its names.
async fn listed(desk: &Desk, query: &str) -> (u16, String) {
    let answer = desk.get(&format!("{MAPS}?{query}")).await;
    let names = answer.value["items"]
        .as_array()
        .map(|items| items.iter().filter_map(|item| item["metadata"]["name"].as_str()).collect::<Vec<_>>().join(","));
    (answer.code, names.unwrap_or_else(|| answer.value["message"].as_str().unwrap_or_default().to_owned()))
}

/// The frames of a watch that ends by itself at once.
async fn watched(desk: &Desk, path: &str) -> Vec<Value> {
    let response = desk.call("GET", path, &[], "").await;
    let read = tokio::time::timeout(Duration::from_secs(10), response.into_body().collect()).await;
    let bytes = read.expect("the watch ends in time").unwrap().to_bytes();
    bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

fn types(frames: &[Value]) -> Vec<&str> {
    frames.iter().filter_map(|frame| frame["type"].as_str()).collect()
}

/// A desk with three maps, and the resource versions after the first and after the last.
async fn three() -> (Desk, u64, u64) {
    let desk = Desk::new().await;
    let mut versions = Vec::new();
    for name in ["a", "b", "c"] {
        let made = desk.made(MAPS, map(name)).await;
        versions.push(made["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap());
    }
    (desk, versions[0], versions[2])
}

#[tokio::test]
async fn a_list_is_of_the_moment_that_its_versions_ask_for() {
    let (desk, first, last) = three().await;
    let future = last + 100;
    let cases = [
        (String::new(), 200, "a,b,c".to_owned()),
        ("resourceVersion=0".into(), 200, "a,b,c".into()),
        (format!("resourceVersion={first}"), 200, "a,b,c".into()),
        (format!("resourceVersion={first}&resourceVersionMatch=NotOlderThan"), 200, "a,b,c".into()),
        (format!("resourceVersion={first}&resourceVersionMatch=Exact"), 200, "a".into()),
        (format!("resourceVersion={first}&limit=5"), 200, "a".into()),
        (format!("resourceVersion={first}&limit=5&resourceVersionMatch=NotOlderThan"), 200, "a,b,c".into()),
        ("resourceVersion=0&limit=2".into(), 200, "a,b,c".into()),
        ("resourceVersion=0&resourceVersionMatch=NotOlderThan".into(), 200, "a,b,c".into()),
        (format!("resourceVersion={first}&limit=5&fieldSelector=metadata.name=c"), 200, "c".into()),
        ("limit=-1".into(), 200, "a,b,c".into()),
        (
            format!("resourceVersion={future}"),
            504,
            format!("Timeout: Too large resource version: {future}, current: {last}"),
        ),
        (
            "resourceVersion=x".into(),
            400,
            "invalid resource version: resourceVersion: Invalid value: \"x\": strconv.ParseUint: parsing \"x\": invalid syntax".into(),
        ),
        ("limit=x".into(), 400, "strconv.ParseInt: parsing \"x\": invalid syntax".into()),
        ("timeoutSeconds=x".into(), 400, "strconv.ParseInt: parsing \"x\": invalid syntax".into()),
        ("timeoutSeconds=5".into(), 200, "a,b,c".into()),
    ];
    for (query, code, told) in cases {
        assert_eq!(listed(&desk, &query).await, (code, told), "{query}");
    }
    let late = desk.get(&format!("{MAPS}?resourceVersion={future}")).await.value;
    let details = json!({
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    });
    assert_eq!((&late["reason"], &late["details"]), (&json!("Timeout"), &details));
}

#[tokio::test]
async fn options_that_contradict_each_other_are_told_one_by_one() {
    let desk = Desk::new().await;
    let unless =
        "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided";
    let paged = "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided";
    let word = "resourceVersionMatch: Unsupported value: \"Old\": supported values: \"Exact\", \"NotOlderThan\", \"\"";
    let watched = "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
    let needs =
        "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
    let only = "resourceVersionMatch: Unsupported value: \"Exact\": supported values: \"NotOlderThan\"";
    let zero = "resourceVersionMatch: Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
    let cases: [(&str, &[&str]); 10] = [
        ("resourceVersionMatch=Exact", &[unless]),
        ("resourceVersionMatch=NotOlderThan&continue=x", &[unless, paged]),
        ("resourceVersionMatch=Old&resourceVersion=1", &[word]),
        ("resourceVersionMatch=Exact&resourceVersion=0", &[zero]),
        ("sendInitialEvents=false", &["sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"]),
        ("watch=1&resourceVersionMatch=NotOlderThan", &[watched]),
        ("watch=1&sendInitialEvents=true", &[needs]),
        ("watch=1&continue=x", &[paged]),
        ("watch=1&sendInitialEvents=true&resourceVersionMatch=Exact", &[needs, only]),
        ("watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&continue=x", &[paged]),
    ];
    for (query, causes) in cases {
        let answer = desk.get(&format!("{MAPS}?{query}")).await;
        let told: Vec<String> = answer.value["details"]["causes"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|cause| format!("{}: {}", cause["field"].as_str().unwrap(), cause["message"].as_str().unwrap()))
            .collect();
        assert_eq!(
            (answer.code, told.as_slice()),
            (422, causes.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>().as_slice()),
            "{query}"
        );
        assert_eq!(answer.value["details"]["kind"], "ListOptions");
    }
}

#[tokio::test]
async fn a_list_goes_on_by_its_token_and_even_after_its_moment_is_gone() {
    let (desk, _, _) = three().await;
    let first = desk.get(&format!("{MAPS}?limit=1")).await.value;
    assert_eq!(first["metadata"]["remainingItemCount"], 2);
    let token = first["metadata"]["continue"].as_str().unwrap();
    let selected = desk.get(&format!("{MAPS}?limit=1&labelSelector=!x")).await.value;
    assert!(selected["metadata"]["continue"].is_string() && selected["metadata"]["remainingItemCount"].is_null());
    let bound = listed(&desk, &format!("resourceVersion=1&continue={token}")).await;
    assert_eq!(bound, (400, "specifying resource version is not allowed when using continue".into()));
    assert_eq!(listed(&desk, &format!("resourceVersion=0&continue={token}")).await, (200, "b,c".into()));
    let wrong = [
        ("***", ": illegal base64 data at input byte 0"),
        ("e30=", ": illegal base64 data at input byte 3"),
        ("abc", ": invalid character 'i' looking for beginning of value"),
        ("bnVsbA", ": server does not recognize this encoded version "),
        ("W10", ": json: cannot unmarshal array into Go value of type storage.continueToken"),
        ("eyJ2IjoxfQ", ": json: cannot unmarshal number into Go struct field continueToken.v of type string"),
        ("eyJ2IjoieCIsInJ2IjoxLCJzdGFydCI6ImEifQ", ": server does not recognize this encoded version x"),
        (
            "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MCwic3RhcnQiOiJhIn0",
            ": incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
        ),
        (
            "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIifQ",
            ": encoded start key empty (version meta.k8s.io/v1)",
        ),
        ("eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIuLi9hIn0", ": ../a"),
        ("bnVsbA", ": server does not recognize this encoded version "),
        ("W10", ": json: cannot unmarshal array into Go value of type storage.continueToken"),
        ("eyJydiI6IjkifQ", ": json: cannot unmarshal string into Go struct field continueToken.rv of type int64"),
        ("eyJ2Ijox", ": unexpected end of JSON input"),
    ];
    for (token, why) in wrong {
        let told = format!("invalid continue token: continue key is not valid{why}");
        assert_eq!(listed(&desk, &format!("continue={token}")).await, (400, told));
    }
    desk.made(MAPS, map("d")).await;
    let store = desk.handlers.registry.store();
    store.compact(store.revision()).await.unwrap();
    let gone = desk.get(&format!("{MAPS}?limit=1&continue={token}")).await;
    assert_eq!((gone.code, &gone.value["reason"]), (410, &json!("Expired")));
    let fresh = gone.value["metadata"]["continue"].as_str().unwrap();
    assert_eq!(listed(&desk, &format!("continue={fresh}")).await, (200, "b,c,d".into()));
    let old = desk.get(&format!("{MAPS}?resourceVersion=2&resourceVersionMatch=Exact")).await;
    assert_eq!(old.told(), (410, "The resourceVersion for the provided list is too old."));
}

#[tokio::test]
async fn a_watch_begins_where_its_options_say() {
    let (desk, first, last) = three().await;
    let future = last + 100;
    let added = ["ADDED", "ADDED", "ADDED"];
    let marked = ["ADDED", "ADDED", "ADDED", "BOOKMARK"];
    let cases: [(String, &[&str]); 10] = [
        (String::new(), &added),
        ("resourceVersion=00".into(), &added),
        ("allowWatchBookmarks=true".into(), &marked),
        (format!("resourceVersion={first}"), &["ADDED", "ADDED"]),
        (format!("resourceVersion={last}&allowWatchBookmarks=true"), &[]),
        ("sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true".into(), &marked),
        (format!("sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion={first}"), &added),
        ("sendInitialEvents=false&resourceVersionMatch=NotOlderThan".into(), &[]),
        (format!("sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion={future}"), &["ERROR"]),
        ("fieldSelector=metadata.name=b".into(), &["ADDED"]),
    ];
    for (query, expected) in cases {
        let frames = watched(&desk, &format!("{MAPS}?watch=1&timeoutSeconds=-1&{query}")).await;
        assert_eq!(types(&frames), expected, "{query}");
        let ends =
            frames.iter().filter(|frame| frame["object"]["metadata"]["annotations"][INITIAL_EVENTS_END] == "true");
        assert_eq!(ends.count(), usize::from(expected == marked), "{query}");
    }
    let store = desk.handlers.registry.store();
    store.compact(store.revision()).await.unwrap();
    let gone = watched(&desk, &format!("{MAPS}?watch=1&timeoutSeconds=5&resourceVersion=1")).await;
    assert_eq!((types(&gone), &gone[0]["object"]["code"]), (vec!["ERROR"], &json!(410)));
}

#[tokio::test]
async fn the_old_paths_of_watches_are_served() {
    let (desk, _, _) = three().await;
    let old = "/api/v1/watch/namespaces/default/configmaps";
    assert_eq!(types(&watched(&desk, &format!("{old}?timeoutSeconds=-1")).await), ["ADDED", "ADDED", "ADDED"]);
    let one = watched(&desk, &format!("{old}/b?timeoutSeconds=-1&allowWatchBookmarks=1")).await;
    assert_eq!((types(&one), &one[0]["object"]["metadata"]["name"]), (vec!["ADDED"], &json!("b")));
    let other = desk.get(&format!("{old}/b?fieldSelector=metadata.name=c")).await;
    assert_eq!(other.told(), (400, "fieldSelector metadata.name doesn't match requested name"));
    let listed = desk.get(&format!("{old}?sendInitialEvents=true")).await;
    assert_eq!(listed.code, 422, "{}", listed.value);
    assert_eq!(desk.ask("POST", old, &[("content-type", JSON)], "{}").await.code, 405);
}

#[tokio::test]
async fn a_version_is_a_number_without_a_sign_and_0_is_any_however_it_is_written() {
    let desk = Desk::new().await;
    desk.made(MAPS, map("a")).await;
    for query in ["resourceVersion=00&limit=5", "resourceVersion=000&resourceVersionMatch=Exact"] {
        assert_eq!(listed(&desk, query).await, (200, "a".to_owned()), "{query}");
    }
    let told = "resourceVersion: Invalid value: \"+1\": strconv.ParseUint: parsing \"+1\": invalid syntax";
    assert_eq!(listed(&desk, "resourceVersion=%2B1").await, (400, format!("invalid resource version: {told}")));
    assert_eq!(desk.get(&format!("{MAPS}/a?resourceVersion=%2B1")).await.told(), (500, told));
    let mut versioned = map("b");
    versioned["metadata"]["resourceVersion"] = json!("none");
    assert_eq!(desk.post(MAPS, &versioned).await.code, 201, "what is no version is passed over");
}

#[tokio::test]
async fn a_token_is_read_as_go_reads_it() {
    let desk = Desk::new().await;
    let told = async |token: &str| {
        use base64::Engine;
        let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token);
        let answer = listed(&desk, &format!("continue={token}")).await;
        answer.1.trim_start_matches("invalid continue token: continue key is not valid: ").to_owned()
    };
    let number = "json: cannot unmarshal number 1.5 into Go struct field continueToken.rv of type int64";
    assert_eq!(told(r#"{"v":"meta.k8s.io/v1","rv":1.5,"start":"a"}"#).await, number);
    let nowhere = "incorrect encoded start resourceVersion (version meta.k8s.io/v1)";
    assert_eq!(told(r#"{"V":"meta.k8s.io/v1","RV":0,"START":"a"}"#).await, nowhere);
}
