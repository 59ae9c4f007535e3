//! Deletions, and the parts of objects that have paths of their own.

use super::*;

async fn bind(desk: &Desk, pod: &str, node: &str) -> Answer {
    let binding = json!({"metadata": {"name": pod}, "target": {"kind": "Node", "name": node}});
    desk.post(&format!("{PODS}/{pod}/binding"), &binding).await
}

#[tokio::test]
async fn a_deletion_answers_a_status_or_the_object() {
    let desk = Desk::new().await;
    let made = desk.made(MAPS, map("a")).await;
    let gone = desk.ask("DELETE", &format!("{MAPS}/a"), &[], "").await;
    let details = json!({"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]});
    let success =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
    assert_eq!((gone.code, gone.value), (200, success));
    desk.made(PODS, pod("p")).await;
    let gone = desk.ask("DELETE", &format!("{PODS}/p"), &[], "").await;
    assert_eq!((gone.code, &gone.value["kind"]), (200, &json!("Pod")));
    desk.made(MAPS, map("b")).await;
    let wrong = r#"{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"other"}}"#;
    let refused = desk.ask("DELETE", &format!("{MAPS}/b"), &[("content-type", JSON)], wrong).await;
    assert_eq!(refused.code, 409);
    let foreground = desk.ask("DELETE", &format!("{MAPS}/b?propagationPolicy=Foreground"), &[], "").await;
    assert_eq!(foreground.value["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    let unknown = desk.ask("DELETE", &format!("{MAPS}/b?propagationPolicy=Up"), &[], "").await;
    assert_eq!(unknown.code, 422);
    for name in ["default", "kube-system"] {
        let kept = desk.ask("DELETE", &format!("/api/v1/namespaces/{name}"), &[], "").await;
        let told = format!("namespaces \"{name}\" is forbidden: this namespace may not be deleted");
        assert_eq!(kept.told(), (403, &*told));
    }
}

#[tokio::test]
async fn a_job_leaves_its_pods_behind_and_warns_of_it_unless_something_is_said() {
    let desk = Desk::new().await;
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}});
    let jobs = "/apis/batch/v1/namespaces/default/jobs";
    for name in ["a", "b"] {
        desk.made(jobs, json!({"metadata": {"name": name}, "spec": {"template": template}})).await;
    }
    let kept = desk.ask("DELETE", &format!("{jobs}/a"), &[], "").await;
    assert_eq!(kept.value["metadata"]["finalizers"], json!(["orphan"]));
    let gone = desk.ask("DELETE", &format!("{jobs}/b?propagationPolicy=Background"), &[], "").await;
    assert_eq!((gone.code, &gone.value["status"]), (200, &json!("Success")));
    assert_eq!(desk.warnings().len(), 1);
}

#[tokio::test]
async fn options_of_another_kind_are_refused() {
    let desk = Desk::new().await;
    desk.made(MAPS, map("a")).await;
    let body = r#"{"kind":"Pod","apiVersion":"v1"}"#;
    let refused = desk.ask("DELETE", &format!("{MAPS}/a"), &[("content-type", JSON)], body).await;
    assert_eq!(
        refused.told(),
        (
            400,
            "no kind \"Pod\" is registered for version \"v1\" in scheme \"pkg/apis/meta/internalversion/scheme/register.go:27\""
        )
    );
}

#[tokio::test]
async fn annotations_of_a_deployment_count_for_its_generation() {
    let desk = Desk::new().await;
    let labels = json!({"a": "b"});
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let path = "/apis/apps/v1/namespaces/default/deployments";
    let spec = json!({"selector": {"matchLabels": labels}, "template": template});
    desk.made(path, json!({"metadata": {"name": "d"}, "spec": spec})).await;
    let merge = [("content-type", "application/merge-patch+json")];
    for (field, generation) in [("labels", 1), ("annotations", 2)] {
        let patch = json!({"metadata": {field: {"x": "y"}}}).to_string();
        let changed = desk.ask("PATCH", &format!("{path}/d"), &merge, &patch).await;
        assert_eq!(changed.value["metadata"]["generation"], generation, "{field}");
    }
}

#[tokio::test]
async fn a_collection_is_deleted_as_far_as_it_is_selected() {
    let desk = Desk::new().await;
    for name in ["a", "b"] {
        let mut map = map(name);
        map["metadata"]["labels"] = json!({"n": name});
        desk.made(MAPS, map).await;
    }
    let gone = desk.ask("DELETE", &format!("{MAPS}?labelSelector=n%3Da"), &[], "").await;
    assert_eq!((gone.code, &gone.value["kind"]), (200, &json!("ConfigMapList")));
    let left = desk.get(MAPS).await.value;
    assert_eq!((left["items"].as_array().unwrap().len(), &left["items"][0]["metadata"]["name"]), (1, &json!("b")));
}

#[tokio::test]
async fn a_pod_gets_its_account_and_its_node_once() {
    let desk = Desk::new().await;
    let made = desk.made(PODS, pod("web")).await;
    let spec = &made["spec"];
    assert_eq!((&spec["serviceAccountName"], &spec["priority"]), (&json!("default"), &json!(0)));
    assert!(!made.to_string().contains("null"), "nothing is written that says nothing: {made}");
    let volume = &spec["volumes"][0]["name"];
    assert!(volume.as_str().unwrap().starts_with("kube-api-access-"));
    assert_eq!(&spec["containers"][0]["volumeMounts"][0]["name"], volume);
    assert_eq!(spec["tolerations"].as_array().unwrap().len(), 2);
    assert_eq!(bind(&desk, "web", "n1").await.code, 201);
    let bound = desk.get(&format!("{PODS}?fieldSelector=spec.nodeName%3Dn1")).await.value;
    assert_eq!(bound["items"][0]["status"]["conditions"][0]["type"], "PodScheduled");
    let again = bind(&desk, "web", "n2").await;
    let told = "Operation cannot be fulfilled on pods/binding \"web\": pod web is already assigned to node \"n1\"";
    assert_eq!(again.told(), (409, told));
    let told = "[target.kind: Unsupported value: \"Pod\": supported values: \"Node\", \"<empty>\", target.name: Required value]";
    let odd = json!({"metadata": {"name": "web"}, "target": {"kind": "Pod"}});
    assert_eq!(desk.post(&format!("{PODS}/web/binding"), &odd).await.told(), (500, told));
    let elsewhere = json!({"metadata": {"name": "web", "namespace": "b"}, "target": {"name": "n1"}});
    assert_eq!(desk.post(&format!("{PODS}/web/binding"), &elsewhere).await.code, 400);
}

#[tokio::test]
async fn a_scale_is_read_written_and_checked() {
    let desk = Desk::new().await;
    desk.made(DEPLOYMENTS, deployment("d")).await;
    let uri = format!("{DEPLOYMENTS}/d/scale");
    let mut scale = desk.get(&uri).await.value;
    assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!(2)));
    assert_eq!(scale["status"]["selector"], "app=d");
    let table = ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
    let table = desk.ask("GET", &uri, &[table], "").await.value;
    let names: Vec<_> = table["columnDefinitions"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["Name", "Desired", "Available", "Age"]);
    assert_eq!(table["rows"][0]["cells"].as_array().unwrap()[..3], [json!("d"), json!(2), json!(0)]);
    scale["spec"]["replicas"] = json!(4);
    let put = desk.ask("PUT", &uri, &[("content-type", JSON)], &scale.to_string()).await;
    assert_eq!((put.code, &put.value["spec"]["replicas"]), (200, &json!(4)));
    let stale = desk.ask("PUT", &uri, &[("content-type", JSON)], &scale.to_string()).await;
    assert_eq!(stale.code, 409);
    for (patch, code) in [
        (r#"{"spec":{"replicas":"x"}}"#, 422),
        (r#"{"spec":{"replicas":-1}}"#, 422),
        (r#"{"spec":{"replicas":3}}"#, 200),
    ] {
        assert_eq!(desk.patch(&uri, MERGE, patch).await.code, code, "{patch}");
    }
    assert_eq!(desk.get(&format!("{DEPLOYMENTS}/d")).await.value["spec"]["replicas"], 3);
    let none = desk.patch(&uri, MERGE, r#"{"spec":{"replicas":0}}"#).await.value;
    assert_eq!(none["spec"], json!({}));
    let other = json!({"metadata": {"name": "d", "uid": "other"}, "spec": {"replicas": 5}}).to_string();
    let other = desk.ask("PUT", &uri, &[("content-type", JSON)], &other).await;
    assert_eq!(other.code, 409, "{}", other.value);
}

#[tokio::test]
async fn a_status_is_written_apart_from_its_spec() {
    let desk = Desk::new().await;
    desk.made(PODS, pod("web")).await;
    let uri = format!("{PODS}/web");
    let patch = r#"{"status":{"phase":"Running"},"spec":{"nodeName":"n9"}}"#;
    let changed = desk.patch(&format!("{uri}/status"), STRATEGIC, patch).await.value;
    assert_eq!((&changed["status"]["phase"], &changed["spec"]["nodeName"]), (&json!("Running"), &Value::Null));
    let main =
        desk.patch(&uri, STRATEGIC, r#"{"status":{"phase":"Failed"},"metadata":{"labels":{"x":"y"}}}"#).await.value;
    assert_eq!(
        (&main["status"]["phase"], &main["metadata"]["labels"]["x"]),
        (&json!("Running"), &json!("y")),
        "{main}"
    );
    assert_eq!(desk.get(&format!("{uri}/status")).await.value, main);
}

#[tokio::test]
async fn an_eviction_asks_the_budget() {
    let desk = Desk::new().await;
    for name in ["a", "b"] {
        let mut pod = pod(name);
        pod["metadata"]["labels"] = json!({"app": "web"});
        desk.made(PODS, pod).await;
        bind(&desk, name, "n1").await;
        let ready = r#"{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}"#;
        assert_eq!(desk.patch(&format!("{PODS}/{name}/status"), STRATEGIC, ready).await.code, 200);
    }
    let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    let spec = json!({"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}});
    desk.made(budgets, json!({"metadata": {"name": "keep"}, "spec": spec})).await;
    let evict =
        async |pod: &str| desk.post(&format!("{PODS}/{pod}/eviction"), &json!({"metadata": {"name": pod}})).await;
    let early = evict("a").await;
    assert_eq!(early.told(), (429, "Cannot evict pod as it would violate the pod's disruption budget."));
    assert_eq!(early.value["details"]["retryAfterSeconds"], 10);
    let counted = r#"{"status":{"observedGeneration":1,"disruptionsAllowed":1,"currentHealthy":2,"desiredHealthy":1,"expectedPods":2}}"#;
    assert_eq!(desk.patch(&format!("{budgets}/keep/status"), MERGE, counted).await.code, 200);
    let retired = json!({"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": "a"}});
    assert_eq!(desk.post(&format!("{PODS}/a/eviction"), &retired).await.code, 201);
    let leaving = desk.get(&format!("{PODS}/a")).await.value;
    assert!(leaving["metadata"]["deletionTimestamp"].is_string());
    let conditions = leaving["status"]["conditions"].as_array().unwrap();
    assert!(conditions.iter().any(|one| one["type"] == "DisruptionTarget"), "{leaving}");
    let refused = evict("b").await;
    assert_eq!(refused.code, 429);
    let cause = &refused.value["details"]["causes"][0]["message"];
    assert_eq!(cause, "The disruption budget keep does not allow evicting pods currently");
    assert!(desk.get(&format!("{PODS}/b")).await.value["metadata"]["deletionTimestamp"].is_null());
}

#[tokio::test]
async fn a_request_for_a_certificate_says_who_asks_and_is_approved_apart() {
    let desk = Desk::new().await;
    let requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    let pem = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        tinyplane_wire::identity::pki::request("u", None).unwrap().certificate_pem,
    );
    let spec = json!({"request": pem, "signerName": "example.com/x", "usages": ["client auth"], "username": "other"});
    let made = desk.post(requests, &json!({"metadata": {"name": "r"}, "spec": spec})).await;
    assert_eq!((made.code, &made.value["spec"]["username"]), (201, &json!("admin")), "{}", made.value);
    let verdict = r#"{"status":{"conditions":[{"type":"Approved","status":"True","reason":"r"}]}}"#;
    let ignored = desk.patch(&format!("{requests}/r/status"), MERGE, verdict).await.value;
    assert_eq!(ignored["status"]["conditions"], Value::Null);
    let approved = desk.patch(&format!("{requests}/r/approval"), MERGE, verdict).await.value;
    assert_eq!(approved["status"]["conditions"][0]["type"], "Approved");
    assert!(approved["status"]["conditions"][0]["lastUpdateTime"].is_string());
    let labelled =
        desk.patch(&format!("{requests}/r/approval"), MERGE, r#"{"metadata":{"labels":{"a":"b"}}}"#).await.value;
    assert_eq!(labelled["metadata"]["labels"]["a"], "b");
    let taken_back = desk.patch(&format!("{requests}/r/approval"), MERGE, r#"{"status":{"conditions":[]}}"#).await;
    assert_eq!(taken_back.code, 422, "{}", taken_back.value);
}

#[tokio::test]
async fn a_review_is_answered_and_not_stored() {
    let desk = Desk::new().await;
    let uri = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let spec = json!({"resourceAttributes": {"verb": "get", "resource": "pods"}});
    let answer = desk.post(uri, &json!({"spec": spec})).await;
    assert_eq!((answer.code, &answer.value["status"]["allowed"]), (201, &json!(true)));
    assert!(answer.value["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"].is_object(), "{}", answer.value);
}

#[tokio::test]
async fn a_token_says_who_asked_for_it_by_which_name() {
    let desk = Desk::new().await;
    let path = "/api/v1/namespaces/default/serviceaccounts/default/token?fieldManager=me";
    let asked = r#"{"spec":{"audiences":["api"]}}"#;
    let issued = desk.ask("POST", path, &[("content-type", JSON)], asked).await;
    let manager = &issued.value["metadata"]["managedFields"][0];
    assert_eq!((issued.code, &manager["manager"]), (201, &json!("me")), "{}", issued.value);
    assert_eq!((&manager["subresource"], &manager["operation"]), (&json!("token"), &json!("Update")));
    assert!(manager["fieldsV1"]["f:spec"]["f:audiences"].is_object(), "{manager}");
}

#[tokio::test]
async fn an_empty_policy_of_deletion_is_none_that_is_known() {
    let desk = Desk::new().await;
    desk.made(MAPS, map("b")).await;
    let refused = desk.ask("DELETE", &format!("{MAPS}/b?propagationPolicy="), &[], "").await;
    assert_eq!(refused.code, 422, "{}", refused.value);
}

#[tokio::test]
async fn a_service_that_changes_its_type_loses_what_the_old_one_gave_it() {
    let desk = Desk::new().await;
    let services = "/api/v1/namespaces/default/services";
    let patched = async |patch: Value| {
        let merge = [("content-type", "application/merge-patch+json")];
        let changed = desk.ask("PATCH", &format!("{services}/s"), &merge, &patch.to_string()).await;
        assert_eq!(changed.code, 200, "{}", changed.value);
        changed.value["spec"].clone()
    };
    let ports = json!([{"name": "a", "port": 80}, {"name": "b", "port": 81}]);
    let spec = json!({"type": "NodePort", "ports": ports});
    desk.made(services, json!({"metadata": {"name": "s"}, "spec": spec})).await;
    let plain = patched(json!({"spec": {"type": "ClusterIP"}})).await;
    assert!(plain["ports"].as_array().unwrap().iter().all(|port| port["nodePort"].is_null()), "{plain}");
    assert_eq!(plain["externalTrafficPolicy"], Value::Null);
    let external = patched(json!({"spec": {"type": "ExternalName", "externalName": "a.example.com"}})).await;
    for gone in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
        assert_eq!(external[gone], Value::Null, "{gone}");
    }
    let back = patched(json!({"spec": {"type": "ClusterIP", "externalName": null}})).await;
    assert_eq!((&back["internalTrafficPolicy"], back["clusterIP"].is_string()), (&json!("Cluster"), true));
}

#[tokio::test]
async fn the_status_of_a_range_of_services_changes_nothing_of_its_metadata() {
    let desk = Desk::new().await;
    let ranges = "/apis/networking.k8s.io/v1/servicecidrs";
    desk.made(ranges, json!({"metadata": {"name": "r", "labels": {"a": "b"}}, "spec": {"cidrs": ["10.200.0.0/24"]}}))
        .await;
    let patch = r#"{"metadata":{"labels":{"x":"y"},"annotations":{"x":"y"},"finalizers":["x.io/y"]},"status":{"conditions":[{"type":"Ready","status":"True","reason":"r","message":"m","lastTransitionTime":"2020-01-01T00:00:00Z"}]}}"#;
    let patched = desk.patch(&format!("{ranges}/r/status?fieldManager=m"), MERGE, patch).await;
    let metadata = &patched.value["metadata"];
    assert_eq!((&metadata["labels"], &metadata["annotations"]), (&json!({"a": "b"}), &Value::Null), "{metadata}");
    assert_eq!(metadata["finalizers"], Value::Null);
    let owned = &metadata["managedFields"].as_array().unwrap().iter().find(|entry| entry["manager"] == "m").unwrap()["fieldsV1"];
    assert_eq!(owned.as_object().unwrap().keys().collect::<Vec<_>>(), ["f:status"]);
}

#[tokio::test]
async fn a_list_with_nothing_in_it_is_no_change_that_is_counted() {
    let desk = Desk::new().await;
    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
    let slice = json!({"metadata": {"name": "s"}, "addressType": "IPv4", "endpoints": []});
    desk.made(slices, slice.clone()).await;
    let put = desk.ask("PUT", &format!("{slices}/s"), &[("content-type", JSON)], slice.to_string()).await;
    assert_eq!((put.code, &put.value["metadata"]["generation"]), (200, &json!(1)), "{}", put.value);
}
