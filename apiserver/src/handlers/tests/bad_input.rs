//! Bodies, names, selectors, queries and content types that are wrong: the Status that Kubernetes gives.

use super::*;

#[tokio::test]
async fn bodies_that_are_no_such_object_are_refused() {
    let desk = Desk::new().await;
    let table = [
        (
            r#"{"kind":"Pod","apiVersion":"v2"}"#,
            400,
            "Pod in version \"v2\" cannot be handled as a Pod: no kind \"Pod\" is registered for version \"v2\" in scheme \"pkg/api/legacyscheme/scheme.go:30\"",
        ),
        (
            r#"{"kind":"Service","apiVersion":"v1"}"#,
            400,
            "Service in version \"v1\" cannot be handled as a Pod: converting (v1.Service) to (core.Pod): unknown conversion",
        ),
        (
            r#"{"kind":"Pod""#,
            400,
            "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: unexpected end of JSON input ({\"kind\":\"Pod\")",
        ),
        (
            "",
            400,
            "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)",
        ),
        (
            r#"{"metadata":{"name":3}}"#,
            400,
            "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string",
        ),
        (
            r#"{"metadata":{"name":"a","namespace":"b"}}"#,
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            r#"{"metadata":{"name":"a","resourceVersion":"1"},"spec":{"containers":[{"name":"a","image":"b"}]}}"#,
            500,
            "resourceVersion should not be set on objects to be created",
        ),
        (
            r#"{"metadata":{"name":"a","resourceVersion":"1"},"spec":{"containers":[]}}"#,
            422,
            "Pod \"a\" is invalid: spec.containers: Required value",
        ),
    ];
    for (body, code, message) in table {
        let answer = desk.ask("POST", PODS, &[("content-type", JSON)], body).await;
        assert_eq!(answer.told(), (code, message), "{body}");
    }
    let unnamed = desk.post(PODS, &json!({"spec": {"containers": []}})).await;
    assert_eq!(unnamed.code, 422);
    assert!(
        unnamed
            .told()
            .1
            .starts_with("Pod \"\" is invalid: [metadata.name: Required value: name or generateName is required, "),
        "{}",
        unnamed.value
    );
    assert_eq!(unnamed.value["details"]["causes"][0]["reason"], "FieldValueRequired");
    let huge = format!("{{\"data\":{{\"a\":\"{}\"}}}}", "x".repeat(3 << 20));
    let answer = desk.ask("POST", MAPS, &[("content-type", JSON)], &huge).await;
    assert_eq!(answer.told(), (413, "Request entity too large: limit is 3145728"));
    let answer = desk.ask("POST", MAPS, &[("content-type", "text/xml")], "<a/>").await;
    assert_eq!((answer.code, answer.value["reason"].as_str()), (415, Some("UnsupportedMediaType")));
    assert_eq!(desk.get(PODS).await.value["items"], json!([]));
}

#[tokio::test]
async fn bodies_of_other_forms_are_framed_as_those_of_json() {
    let desk = Desk::new().await;
    let of = |form: &'static str, body: &'static str| {
        let desk = &desk;
        async move { desk.ask("POST", PODS, &[("content-type", form)], body).await }
    };
    let what = "the object provided is unrecognized (must be of type Pod):";
    let yaml = of("application/yaml", "a: b: c").await;
    let told = format!("{what} yaml: mapping values are not allowed in this context (613a20623a2063)");
    assert_eq!(yaml.told(), (400, &*told));
    let protobuf = of("application/vnd.kubernetes.protobuf", "abc").await;
    let prefix = "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]";
    assert_eq!(protobuf.told(), (400, &*format!("{what} {prefix} (616263)")));
    let empty = of("application/vnd.kubernetes.protobuf", "").await;
    assert_eq!(empty.told(), (400, &*format!("{what} empty data (<empty>)")));
    let apply = [("content-type", "application/apply-patch+yaml")];
    let patch = desk.ask("PATCH", &format!("{PODS}/p?fieldManager=m"), &apply, "a: b: c").await;
    let told =
        "error decoding YAML: error converting YAML to JSON: yaml: mapping values are not allowed in this context";
    assert_eq!(patch.told(), (400, told));
}

#[tokio::test]
async fn unknown_fields_are_refused_told_or_ignored_as_the_client_wants() {
    let desk = Desk::new().await;
    let odd = |name: &str| json!({"metadata": {"name": name}, "dato": {}});
    let strict = desk.post(&format!("{MAPS}?fieldValidation=Strict"), &odd("a")).await;
    let told =
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \"dato\"";
    assert_eq!(strict.told(), (400, told));
    assert_eq!(desk.post(&format!("{MAPS}?fieldValidation=Ignore"), &odd("b")).await.code, 201);
    assert!(desk.warnings().is_empty());
    assert_eq!(desk.post(MAPS, &odd("c")).await.code, 201);
    assert_eq!(desk.warnings(), ["299 - \"unknown field \\\"dato\\\"\""]);
    assert_eq!(desk.post(&format!("{MAPS}?fieldValidation=Maybe"), &odd("d")).await.code, 422);
    assert_eq!(desk.post(&format!("{MAPS}?dryRun=Some"), &odd("d")).await.code, 422);
}

#[tokio::test]
async fn who_asks_for_a_deprecated_kind_is_told() {
    let desk = Desk::new().await;
    assert_eq!(desk.get(PODS).await.code, 200);
    assert!(desk.warnings().is_empty());
    assert_eq!(desk.get("/api/v1/namespaces/default/endpoints").await.code, 200);
    let told = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";
    assert_eq!(desk.warnings(), [format!("299 - \"{told}\"")]);
    // Whoever is refused by a handler is told too, and nobody who gets no further than the path.
    for (method, uri, kind, warned) in [
        ("POST", "/api/v1/namespaces/default/endpoints?dryRun=Some", JSON, true),
        ("PUT", "/api/v1/namespaces/default/endpoints", JSON, false),
        ("PATCH", "/api/v1/namespaces/default/endpoints/a", JSON, false),
    ] {
        let desk = Desk::new().await;
        assert!(desk.ask(method, uri, &[("content-type", kind)], "{}").await.code > 400);
        assert_eq!(!desk.warnings().is_empty(), warned, "{method}");
    }
    assert_eq!(desk.ask("HEAD", PODS, &[], "").await.code, 405);
}

#[tokio::test]
async fn queries_that_are_wrong_are_bad_requests() {
    let desk = Desk::new().await;
    let table = [
        ("labelSelector=a+b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("fieldSelector=spec.foo%3Da", "field label not supported: spec.foo"),
        ("fieldSelector=spec.foo%3Da,spec.bar%3Db", "field label not supported: spec.bar"),
        ("limit=x", "strconv.ParseInt: parsing \"x\": invalid syntax"),
        (
            "continue=e30",
            "invalid continue token: continue key is not valid: server does not recognize this encoded version ",
        ),
    ];
    for (query, message) in table {
        assert_eq!(desk.get(&format!("{PODS}?{query}")).await.told(), (400, message), "{query}");
    }
    let unmatched = desk.get(&format!("{PODS}?resourceVersionMatch=Exact")).await;
    assert_eq!(unmatched.code, 422);
    let ahead = desk.get(&format!("{PODS}?resourceVersion=99999&resourceVersionMatch=NotOlderThan")).await;
    assert_eq!((ahead.code, ahead.value["reason"].as_str()), (504, Some("Timeout")));
    assert_eq!(ahead.value["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
}

#[tokio::test]
async fn paths_and_methods_that_are_not_served_are_told_so() {
    let desk = Desk::new().await;
    let not_found = (404, "the server could not find the requested resource");
    let not_allowed = (405, "the server does not allow this method on the requested resource");
    for uri in [
        "/api/v1/foos",
        "/api/v1/pods/a",
        "/api/v1/namespaces/default/nodes",
        "/api/v1/namespaces/default/pods/a/foo",
        // What is asked of a namespace is allowed or not within it: another one is not reached by way of it.
        "/api/v1/namespaces/default/namespaces",
        "/api/v1/namespaces/default/namespaces/kube-system",
        "/api/v1/namespaces/default/namespaces/kube-system/status",
        "/api/v1/watch/namespaces/default/namespaces/kube-system",
        "/api/v1/namespaces/default/nodes/a/proxy/healthz",
        "/api/v1/pods/a/log",
    ] {
        assert_eq!(desk.get(uri).await.told(), not_found, "{uri}");
    }
    // Below the old watch whatever the method is allowed as a watch: no way to a pod or a node begins there.
    for method in ["GET", "POST", "PUT", "DELETE"] {
        for way in
            ["pods/a/exec?command=id", "pods/a/attach", "pods/a/portforward", "pods/a/proxy/", "services/a/proxy/"]
        {
            let uri = format!("/api/v1/watch/namespaces/default/{way}");
            assert_eq!(desk.ask(method, &uri, &[], "").await.told(), not_found, "{method} {uri}");
        }
        assert_eq!(desk.ask(method, "/api/v1/watch/nodes/a/proxy/run", &[], "").await.told(), not_found, "{method}");
    }
    assert_eq!(desk.ask("DELETE", "/api/v1/namespaces", &[], "").await.told(), not_allowed);
    desk.made(MAPS, map("kept")).await;
    assert_eq!(desk.ask("DELETE", "/api/v1/configmaps", &[], "").await.told(), not_allowed);
    assert_eq!(desk.get(&format!("{MAPS}/kept")).await.code, 200);
    let unnamed = desk.ask("PUT", &format!("{MAPS}/kept"), &[("content-type", JSON)], "{}").await;
    let told = "the name of the object (kept based on URL) was undeterminable: name must be provided";
    assert_eq!(unnamed.told(), (400, told));
    desk.made(DEPLOYMENTS, deployment("deep")).await;
    assert_eq!(desk.get(&format!("{DEPLOYMENTS}/deep/scale/x")).await.told(), not_found);
    assert_eq!(desk.post("/api/v1/pods", &pod("a")).await.told(), not_allowed);
    assert_eq!(desk.ask("PUT", PODS, &[("content-type", JSON)], "{}").await.told(), not_allowed);
    assert_eq!(desk.patch(PODS, MERGE, "{}").await.told(), not_allowed);
    assert_eq!(desk.get("/api/v1/namespaces/default/bindings").await.told(), not_allowed);
    assert_eq!(desk.get(&format!("{PODS}/none")).await.told(), (404, "pods \"none\" not found"));
    let nowhere = desk.post("/api/v1/namespaces/nowhere/configmaps", &map("a")).await;
    assert_eq!(nowhere.told(), (404, "namespaces \"nowhere\" not found"));
}

#[tokio::test]
async fn a_path_whose_namespace_is_empty_leads_to_no_object() {
    let desk = Desk::new().await;
    desk.made(MAPS, map("kept")).await;
    let unsaid = (400, "Namespace parameter required.");
    let maps = "/api/v1/namespaces//configmaps";
    let one = format!("{maps}/kept");
    assert_eq!(desk.get(&one).await.told(), unsaid);
    let nameless = "the name of the object (kept based on URL) was undeterminable: name must be provided";
    assert_eq!(desk.ask("PUT", &one, &[("content-type", JSON)], "{}").await.told(), (400, nameless));
    assert_eq!(desk.ask("PUT", &one, &[("content-type", JSON)], &map("kept").to_string()).await.told(), unsaid);
    assert_eq!(desk.patch(&one, MERGE, "{}").await.told(), unsaid);
    assert_eq!(desk.ask("PATCH", &one, &[("content-type", JSON)], "{}").await.code, 415);
    assert_eq!(desk.ask("DELETE", &one, &[], "").await.told(), unsaid);
    assert_eq!(desk.ask("DELETE", maps, &[], "").await.told(), unsaid);
    let none = desk.ask("DELETE", &format!("{maps}?labelSelector=a%3Db"), &[], "").await;
    assert_eq!((none.code, none.value["items"].as_array().map(Vec::len)), (200, Some(0)));
    assert_eq!(desk.get("/api/v1/namespaces//pods/a/log").await.told(), unsaid);
    assert_eq!(desk.post(&one, &map("kept")).await.code, 405);
    let made = desk.post(maps, &map("new")).await;
    assert_eq!(made.told(), (422, "ConfigMap \"new\" is invalid: metadata.namespace: Required value"));
    let mut placed = map("new");
    placed["metadata"]["namespace"] = json!("default");
    assert_eq!(desk.post(maps, &placed).await.told(), made.told());
    let binding = json!({"metadata": {"name": "a"}, "target": {"name": "n"}});
    assert_eq!(desk.post("/api/v1/namespaces//bindings", &binding).await.told(), unsaid);
    assert_eq!(desk.post("/api/v1/namespaces//pods/a/log", &binding).await.code, 405);
    assert_eq!(desk.get("/apis//v1/pods").await.code, 404);
    let nameless = (400, "name must be provided");
    assert_eq!(desk.get(&format!("{PODS}//status")).await.told(), nameless);
    assert_eq!(desk.get(&format!("{PODS}//log")).await.told(), nameless);
    assert_eq!(desk.get(maps).await.value["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn patches_that_are_wrong_are_refused_and_change_nothing() {
    let desk = Desk::new().await;
    let before = desk.made(DEPLOYMENTS, deployment("d")).await;
    let uri = format!("{DEPLOYMENTS}/d");
    let rejected = "the server rejected our request due to an error in our request";
    let test = desk.patch(&uri, JSON_PATCH, r#"[{"op":"test","path":"/spec/replicas","value":9}]"#).await;
    assert_eq!(test.told(), (422, rejected));
    assert_eq!(desk.patch(&uri, JSON_PATCH, "{}").await.code, 400);
    assert_eq!(desk.patch(&uri, MERGE, "[]").await.code, 400);
    let typed = desk.patch(&uri, STRATEGIC, r#"{"spec":{"replicas":"x"}}"#).await;
    assert_eq!(
        typed.told(),
        (422, " \"\" is invalid: patch: Invalid value: \"map[spec:map[replicas:x]]\": unrecognized type: int32")
    );
    let fraction = desk.patch(&uri, STRATEGIC, r#"{"spec":{"replicas":2.50}}"#).await;
    let told =
        " \"\" is invalid: patch: Invalid value: \"map[spec:map[replicas:2.5]]\": cannot convert float64 to int32";
    assert_eq!(fraction.told(), (422, told));
    let whole = desk.patch(&format!("{uri}?dryRun=All"), STRATEGIC, r#"{"spec":{"replicas":30e-1}}"#).await;
    assert_eq!((whole.code, &whole.value["spec"]["replicas"]), (200, &json!(3)), "it is laid over the type");
    assert_eq!(desk.patch(&uri, MERGE, r#"{"spec":{"replicas":3.0}}"#).await.code, 422);
    let large = desk.patch(&uri, STRATEGIC, r#"{"spec":{"replicas":1e400}}"#).await;
    assert_eq!(large.told(), (400, "json: cannot unmarshal number 1e400 into Go value of type float64"));
    let told = "the server does not allow this method on the requested resource";
    assert_eq!(desk.post(&uri, &deployment("d")).await.told(), (405, told));
    let kind = desk.patch(&uri, "application/apply-patch+cbor", "{}").await;
    assert_eq!(kind.told(), (415, "415: Unsupported Media Type"));
    let scheme = "in scheme \"pkg/api/legacyscheme/scheme.go:30\"";
    for (patch, why) in [
        (r#"{"kind":"Pod"}"#, format!("no kind \"Pod\" is registered for version \"apps/v1\" {scheme}")),
        (r#"{"kind":"ReplicaSet"}"#, "converting (v1.ReplicaSet) to (apps.Deployment): unknown conversion".to_owned()),
    ] {
        let other = desk.patch(&uri, MERGE, patch).await;
        assert!(other.code == 422 && other.told().1.ends_with(&why), "{}", other.value["message"]);
    }
    let bare = desk.patch(&uri, MERGE, r#"{"metadata":{"finalizers":["bad"]}}"#).await;
    let why = "metadata.finalizers[0]: Invalid value: \"bad\": name is neither a standard finalizer name nor is it fully qualified";
    assert!(bare.code == 422 && bare.told().1.ends_with(why), "{}", bare.value["message"]);
    let stale = desk.patch(&uri, MERGE, r#"{"metadata":{"resourceVersion":"1"}}"#).await;
    assert_eq!(stale.code, 409);
    let named = desk.patch(&uri, MERGE, r#"{"metadata":{"name":"e"}}"#).await;
    assert_eq!(named.told(), (400, "the name of the object (e) does not match the name on the URL (d)"));
    assert_eq!(desk.patch(&format!("{DEPLOYMENTS}/none"), MERGE, "{}").await.code, 404);
    assert_eq!(desk.get(&uri).await.value, before);
}
