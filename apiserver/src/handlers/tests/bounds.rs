//! Bodies that would cost more than they weigh: large, nested, repeated. Each gets a Status, soon.

use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

#[tokio::test]
async fn a_body_is_taken_for_what_it_is_whatever_is_said_of_its_packing() {
    let desk = Desk::new().await;
    let said = |encoding| [("content-type", JSON), ("content-encoding", encoding)];
    for (name, encoding) in [("packed", "gzip"), ("unknown", "x")] {
        assert_eq!(desk.ask("POST", MAPS, &said(encoding), map(name).to_string()).await.code, 201);
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(map("real").to_string().as_bytes()).unwrap();
    let refused = desk.ask("POST", MAPS, &said("gzip"), encoder.finish().unwrap()).await;
    let told = refused.told();
    assert!(told.0 == 400 && told.1.contains("json parse error: invalid character '\\x1f' looking for"), "{told:?}");
}

#[tokio::test]
async fn letters_that_nothing_is_read_from_are_refused_before_the_body_is_read() {
    let desk = Desk::new().await;
    let large = "x".repeat(4 << 20);
    for (kind, code) in [(JSON, 413), ("application/json; a", 415), ("text/plain", 415)] {
        assert_eq!(desk.ask("POST", MAPS, &[("content-type", kind)], large.clone()).await.code, code, "{kind}");
    }
    desk.made(MAPS, map("patched")).await;
    let put = desk.ask("PUT", &format!("{MAPS}/patched"), &[("content-type", "text/plain")], large).await;
    assert_eq!(put.code, 413, "what replaces an object is read first");
    let told = "the body of the request was in an unknown format";
    for (kind, wanted) in [("text/plain", "415: Unsupported"), ("application/merge-patch+json, text/plain", told)] {
        let answer = desk.ask("PATCH", &format!("{MAPS}/patched"), &[("content-type", kind)], "{}").await;
        assert!(answer.code == 415 && answer.told().1.starts_with(wanted), "{kind}: {}", answer.value);
    }
    for (body, code) in [("{}", 415), ("", 200)] {
        let uri = format!("{MAPS}/patched?dryRun=All");
        assert_eq!(desk.ask("DELETE", &uri, &[("content-type", "text/plain")], body).await.code, code);
    }
}

#[tokio::test]
async fn nests_and_anchors_and_numbers_are_bounded() {
    let desk = Desk::new().await;
    let nested = format!("{{\"metadata\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(desk.ask("POST", MAPS, &[("content-type", JSON)], nested).await.code, 400);
    let nested = format!("a: {}", "[".repeat(100_000));
    let yaml = [("content-type", "application/yaml")];
    assert_eq!(desk.ask("POST", MAPS, &yaml, nested).await.code, 400);
    let mut laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for at in 1..12 {
        let one = format!("*a{}", at - 1);
        laughs.push_str(&format!("a{at}: &a{at} [{}]\n", [one.as_str(); 10].join(",")));
    }
    assert_eq!(desk.ask("POST", MAPS, &yaml, laughs).await.code, 400);
    for number in ["1e999999999", "9".repeat(100_000).as_str()] {
        let sent = format!("{{\"metadata\":{{\"name\":\"n\",\"generation\":{number}}}}}");
        assert_eq!(desk.ask("POST", MAPS, &[("content-type", JSON)], sent).await.code, 400);
    }
}

#[tokio::test]
async fn ten_thousand_requirements_are_judged_like_one() {
    let desk = Desk::new().await;
    desk.made(MAPS, json!({"metadata": {"name": "labelled", "labels": {"a": "b"}}})).await;
    let same = ["a%3Db"; 10_000].join(",");
    let found = desk.get(&format!("{MAPS}?labelSelector={same}")).await;
    assert_eq!((found.code, found.value["items"].as_array().map(Vec::len)), (200, Some(1)));
    let none = desk.get(&format!("{MAPS}?labelSelector={same},a%3Dc")).await;
    assert_eq!(none.value["items"], json!([]));
    let open = ["a%20in%20("; 6_000].join("");
    assert_eq!(desk.get(&format!("{MAPS}?labelSelector={open}")).await.code, 400);
    let one = json!({"key": "a", "operator": "In", "values": ["b"]});
    let policy =
        json!({"metadata": {"name": "many"}, "spec": {"podSelector": {"matchExpressions": vec![one; 10_000]}}});
    let made = desk.post("/apis/networking.k8s.io/v1/namespaces/default/networkpolicies", &policy).await;
    assert_eq!(made.code, 201, "{}", made.value["message"]);
}

#[tokio::test]
async fn what_is_stored_can_be_read_however_deep_it_is() {
    let desk = Desk::new().await;
    let revisions = "/apis/apps/v1/namespaces/default/controllerrevisions";
    let nest = |depth: usize| (0..depth).fold(json!({}), |inner, _| json!({"a": inner}));
    let mut codes = Vec::new();
    for depth in [60, 110, 114, 116, 118, 120, 122, 124, 126] {
        let revision = json!({"metadata": {"name": format!("r{depth}")}, "revision": 1, "data": nest(depth)});
        let uri = format!("{revisions}/r{depth}");
        codes.push(desk.post(revisions, &revision).await.code);
        if codes.last() != Some(&201) {
            continue;
        }
        assert_eq!(desk.patch(&uri, MERGE, r#"{"metadata":{"labels":{"a":"b"}}}"#).await.code, 200, "{depth}");
        assert_eq!(desk.get(revisions).await.value["items"].as_array().map(Vec::len), Some(1), "{depth}");
        assert_eq!(desk.ask("DELETE", &uri, &[], "").await.code, 200, "{depth}");
    }
    assert!(codes[..2] == [201, 201] && codes[6..] == [400, 400, 400], "{codes:?}");
}

#[tokio::test]
async fn a_grace_without_end_ends_nothing() {
    let desk = Desk::new().await;
    let container = json!({"name": "c", "image": "i"});
    let pod = json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n", "containers": [container]}});
    desk.made(PODS, pod).await;
    for seconds in [i64::MAX, i64::MAX - 1, 1_000_000_000_000, 30] {
        let gone = desk.ask("DELETE", &format!("{PODS}/p?gracePeriodSeconds={seconds}"), &[], "").await;
        assert_eq!((gone.code, &gone.value["metadata"]["deletionGracePeriodSeconds"]), (200, &json!(seconds)));
    }
}

/// Upstream takes sets of any depth up to 10,000; what could not be read again is refused here before it is kept.
#[tokio::test]
async fn a_set_of_managers_is_no_deeper_than_an_object() {
    let desk = Desk::new().await;
    desk.made(MAPS, map("m")).await;
    let (path, set) =
        (format!("{MAPS}/m"), |levels: usize| (0..levels).fold(json!({}), |below, _| json!({"f:a": below})));
    let managers = |levels| json!([{"manager": "x", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": set(levels)}]);
    for (levels, code) in [(60, 200), (121, 400)] {
        let sent = json!({"metadata": {"name": "m", "managedFields": managers(levels)}});
        for kind in [MERGE, STRATEGIC] {
            assert_eq!(desk.patch(&path, kind, &sent.to_string()).await.code, code, "{kind}, {levels}");
        }
        let put = desk.ask("PUT", &path, &[("content-type", JSON)], sent.to_string()).await;
        assert_eq!(put.code, code, "{levels}: {}", put.value);
        let patch = json!([{"op": "add", "path": "/metadata/managedFields", "value": managers(levels)}]);
        let patched = desk.patch(&path, JSON_PATCH, &patch.to_string()).await.code;
        assert_eq!(patched == 200, code == 200, "{levels}: {patched}");
    }
    assert_eq!(desk.get(&path).await.code, 200);
}

/// What each has to be held against all others takes no more than a look at some of them.
#[tokio::test]
async fn what_is_told_of_a_pod_that_repeats_itself_is_bounded() {
    let desk = Desk::new().await;
    let mut pod = pod("repeats");
    pod["spec"]["containers"][0]["ports"] = vec![json!({"containerPort": 1}); 50_000].into();
    assert_eq!(desk.post(&format!("{PODS}?dryRun=All"), &pod).await.code, 201);
    assert!(desk.warnings().len() <= 64, "{:?}", desk.warnings());
    pod["spec"]["containers"][0]["ports"] = json!([]);
    let files: Vec<_> = (0..50_000).map(|at| json!({"key": "a", "path": format!("f{at}")})).collect();
    pod["spec"]["volumes"] = json!([{"name": "v", "configMap": {"name": "m", "items": files}}]);
    assert_eq!(desk.post(&format!("{PODS}?dryRun=All"), &pod).await.code, 201);
    let owner = |at| json!({"apiVersion": "v1", "kind": "Pod", "name": "o", "uid": format!("{at}")});
    let owners: Vec<_> = (0..30_000).map(owner).collect();
    let owned = json!({"metadata": {"name": "owned", "ownerReferences": owners}});
    assert_eq!(desk.post(&format!("{MAPS}?dryRun=All"), &owned).await.code, 201);
}

/// Nobody manages a template: what it says of managers is data, and comes back as it went in.
#[tokio::test]
async fn managers_of_a_template_are_kept_as_they_are() {
    let desk = Desk::new().await;
    let mut sent = deployment("d");
    let managers = json!([{"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:a": {}}}]);
    sent["spec"]["template"]["metadata"]["managedFields"] = managers.clone();
    let made = desk.made(DEPLOYMENTS, sent).await;
    assert_eq!(made.pointer("/spec/template/metadata/managedFields"), Some(&managers));
    let path = format!("{DEPLOYMENTS}/d");
    let put = desk.ask("PUT", &path, &[("content-type", JSON)], desk.get(&path).await.value.to_string()).await.value;
    assert_eq!(put.pointer("/spec/template/metadata/managedFields"), Some(&managers));
    assert_eq!(put["metadata"]["generation"], 1);
}
