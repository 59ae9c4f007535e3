//! Server-side apply and who manages what, as clients meet them.

use super::*;

const APPLY: &str = "application/apply-patch+yaml";

impl Desk {
    async fn apply(&self, uri: &str, manager: &str, object: &Value) -> Answer {
        self.patch(&format!("{uri}?fieldManager={manager}"), APPLY, &object.to_string()).await
    }

    async fn force(&self, uri: &str, manager: &str, object: &Value) -> Answer {
        self.patch(&format!("{uri}?fieldManager={manager}&force=true"), APPLY, &object.to_string()).await
    }
}

/// The fields of a manager, by its name, operation and subresource.
fn owned(object: &Value, manager: &str, operation: &str, subresource: Option<&str>) -> Value {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let mut found = entries.into_iter().filter(|entry| {
        entry["manager"] == manager && entry["operation"] == operation && entry["subresource"].as_str() == subresource
    });
    found.next().map(|entry| entry["fieldsV1"].clone()).unwrap_or_default()
}

fn data(name: &str, data: Value) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    object["data"] = data;
    object
}

#[tokio::test]
async fn an_apply_creates_shares_conflicts_and_removes() {
    let desk = Desk::new().await;
    let uri = format!("{MAPS}/m");
    let made = desk.apply(&uri, "one", &data("m", json!({"a": "1", "b": "1"}))).await;
    assert_eq!(made.code, 201, "{}", made.value);
    assert_eq!(owned(&made.value, "one", "Apply", None), json!({"f:data": {"f:a": {}, "f:b": {}}}));
    let again = desk.apply(&uri, "one", &data("m", json!({"a": "1", "b": "1"}))).await;
    assert_eq!((again.code, &again.value), (200, &made.value), "nothing new makes no new version");
    let shared = desk.apply(&uri, "two", &data("m", json!({"a": "1"}))).await;
    assert_eq!(owned(&shared.value, "two", "Apply", None), json!({"f:data": {"f:a": {}}}));
    let refused = desk.apply(&uri, "two", &data("m", json!({"a": "2"}))).await;
    assert_eq!(refused.told(), (409, "Apply failed with 1 conflict: conflict with \"one\": .data.a"));
    assert_eq!(refused.value["reason"], "Conflict");
    assert_eq!(
        refused.value["details"],
        json!({"causes": [{"reason": "FieldManagerConflict", "message": "conflict with \"one\"", "field": ".data.a"}]})
    );
    let both = desk.apply(&uri, "two", &data("m", json!({"a": "2", "b": "2"}))).await;
    let told = "Apply failed with 2 conflicts: conflicts with \"one\":\n- .data.a\n- .data.b";
    assert_eq!(both.told(), (409, told));
    let forced = desk.force(&uri, "two", &data("m", json!({"a": "2"}))).await.value;
    assert_eq!(forced["data"], json!({"a": "2", "b": "1"}));
    assert_eq!(owned(&forced, "one", "Apply", None), json!({"f:data": {"f:b": {}}}));
    let less = desk.apply(&uri, "one", &data("m", json!({}))).await.value;
    assert_eq!(less["data"], json!({"a": "2"}), "what one applied no more is gone, what two owns is not");
    desk.apply(&uri, "one", &data("m", json!({"a": "2"}))).await;
    let left = desk.apply(&uri, "two", &data("m", json!({}))).await.value;
    assert_eq!(left["data"], json!({"a": "2"}), "what somebody else applied too stays");
}

#[tokio::test]
async fn who_empties_a_list_changes_it() {
    let desk = Desk::new().await;
    let uri = "/apis/apps/v1/namespaces/default/deployments/d";
    let with = |fields: Value| {
        let mut container = json!({"name": "c", "image": "i"});
        container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}});
        let spec = json!({"selector": {"matchLabels": {"a": "b"}}, "template": template});
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec})
    };
    let made = desk.apply(uri, "one", &with(json!({"command": ["x"], "args": ["y"]}))).await;
    assert_eq!(made.code, 201, "{}", made.value);
    let refused = desk.apply(uri, "two", &with(json!({"command": []}))).await;
    let conflict = "conflict with \"one\": .spec.template.spec.containers[name=\"c\"].command";
    assert_eq!(refused.told(), (409, &*format!("Apply failed with 1 conflict: {conflict}")));
    let forced = desk.force(uri, "two", &with(json!({"command": []}))).await.value;
    let own = |manager| {
        owned(&forced, manager, "Apply", None)["f:spec"]["f:template"]["f:spec"]["f:containers"]["k:{\"name\":\"c\"}"]
            .clone()
    };
    assert_eq!(own("one"), json!({".": {}, "f:args": {}, "f:image": {}, "f:name": {}}));
    assert_eq!(own("two"), json!({".": {}, "f:command": {}, "f:image": {}, "f:name": {}}));
}

#[tokio::test]
async fn every_write_says_who_manages_what() {
    let desk = Desk::new().await;
    let uri = format!("{MAPS}/m");
    let agent = ("user-agent", "tool/1.0 (linux)");
    let post = [("content-type", JSON), agent];
    let made = desk.ask("POST", MAPS, &post, &data("m", json!({"a": "1"})).to_string()).await.value;
    assert_eq!(owned(&made, "tool", "Update", None), json!({"f:data": {".": {}, "f:a": {}}}));
    let entry = &made["metadata"]["managedFields"][0];
    assert_eq!((&entry["fieldsType"], &entry["apiVersion"]), (&json!("FieldsV1"), &json!("v1")));
    assert!(entry["time"].is_string());
    let patch = r#"{"data":{"b":"1"},"metadata":{"labels":{"x":"y"}}}"#;
    let patched = desk.patch(&format!("{uri}?fieldManager=other"), MERGE, patch).await.value;
    let fields = json!({"f:data": {"f:b": {}}, "f:metadata": {"f:labels": {".": {}, "f:x": {}}}});
    assert_eq!(owned(&patched, "other", "Update", None), fields);
    let same = desk.patch(&format!("{uri}?fieldManager=third"), MERGE, patch).await.value;
    assert_eq!(same, patched, "who changes nothing manages nothing");
    let gone = desk.patch(&format!("{uri}?fieldManager=third"), MERGE, r#"{"data":{"a":null}}"#).await.value;
    assert_eq!(owned(&gone, "tool", "Update", None), json!({"f:data": {}}));
    assert_eq!(owned(&gone, "third", "Update", None), Value::Null);
    let told = desk.apply(&uri, "applier", &data("m", json!({"b": "2"}))).await;
    assert_eq!(told.told(), (409, "Apply failed with 1 conflict: conflict with \"other\" using v1: .data.b"));
    let dry = desk.patch(&format!("{uri}?fieldManager=dry&dryRun=All"), MERGE, r#"{"data":{"c":"1"}}"#).await.value;
    assert_eq!(owned(&dry, "dry", "Update", None), json!({"f:data": {"f:c": {}}}));
    assert_eq!(desk.get(&uri).await.value, gone);
    for reset in ["[{}]", "[]"] {
        let patch = format!(r#"{{"metadata":{{"managedFields":{reset}}}}}"#);
        let wiped = desk.patch(&uri, MERGE, &patch).await.value;
        assert_eq!(wiped["metadata"]["managedFields"], Value::Null, "{reset}");
        let untracked = desk.patch(&uri, MERGE, r#"{"data":{"z":"1"}}"#).await.value;
        assert_eq!(untracked["metadata"]["managedFields"], Value::Null, "nobody is tracked before an apply");
        let tracked = desk.apply(&uri, "new", &data("m", json!({"n": "1"}))).await.value;
        let before = owned(&tracked, "before-first-apply", "Update", None);
        assert_eq!(before["f:data"]["f:z"], json!({}), "{tracked}");
    }
}

#[tokio::test]
async fn lists_are_merged_by_their_keys() {
    let desk = Desk::new().await;
    let uri = format!("{DEPLOYMENTS}/d");
    let mut one = deployment("d");
    desk.apply(&uri, "one", &one).await;
    let sidecar = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "finalizers": ["x.io/y"]},
        "spec": {"template": {"spec": {"containers": [
            {"name": "side", "image": "s", "ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}]},
        ]}}},
    });
    let both = desk.apply(&uri, "two", &sidecar).await.value;
    let names = |object: &Value| {
        let containers = object["spec"]["template"]["spec"]["containers"].as_array().unwrap().iter();
        containers.map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&both), ["c", "side"], "{both}");
    let item = &owned(&both, "two", "Apply", None)["f:spec"]["f:template"]["f:spec"]["f:containers"];
    assert_eq!(
        item["k:{\"name\":\"side\"}"]["f:ports"]["k:{\"containerPort\":80,\"protocol\":\"TCP\"}"],
        json!({".": {}, "f:containerPort": {}})
    );
    assert_eq!(owned(&both, "two", "Apply", None)["f:metadata"], json!({"f:finalizers": {"v:\"x.io/y\"": {}}}));
    one["spec"]["template"]["spec"]["containers"] = json!([{"name": "d", "image": "i"}]);
    assert_eq!(names(&desk.apply(&uri, "one", &one).await.value), ["side", "d"]);
    let conflict = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"app": "x"}}, "template": {"spec": {"containers": [{"name": "side", "image": "t"}]}}},
    });
    let told = desk.apply(&uri, "three", &conflict).await;
    let fields: Vec<_> =
        told.value["details"]["causes"].as_array().unwrap().iter().map(|cause| cause["field"].clone()).collect();
    assert_eq!(fields, [".spec.selector", ".spec.template.spec.containers[name=\"side\"].image"]);
}

#[tokio::test]
async fn a_subresource_has_managers_of_its_own() {
    let desk = Desk::new().await;
    let uri = format!("{DEPLOYMENTS}/d");
    desk.apply(&uri, "one", &deployment("d")).await;
    let status = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "labels": {"no": "no"}},
        "spec": {"replicas": 9}, "status": {"replicas": 2}});
    let written = desk.force(&format!("{uri}/status"), "controller", &status).await;
    assert_eq!((written.code, &written.value["spec"]["replicas"]), (200, &json!(2)), "{}", written.value);
    let fields = json!({"f:status": {"f:replicas": {}}});
    assert_eq!(owned(&written.value, "controller", "Apply", Some("status")), fields);
    assert_eq!(written.value["metadata"]["labels"], Value::Null);
    let patched = desk.patch(&format!("{uri}/status?fieldManager=k"), STRATEGIC, r#"{"status":{"replicas":3}}"#).await;
    assert_eq!(owned(&patched.value, "k", "Update", Some("status")), fields);
    assert_eq!(owned(&patched.value, "controller", "Apply", Some("status")), Value::Null);

    let scale = desk.get(&format!("{uri}/scale")).await.value;
    assert_eq!(scale["metadata"]["managedFields"], Value::Null, "as a real server answers it");
    let scaled = desk.patch(&format!("{uri}/scale?fieldManager=hpa"), MERGE, r#"{"spec":{"replicas":5}}"#).await.value;
    assert_eq!(scaled["metadata"]["managedFields"], Value::Null);
    let object = desk.get(&uri).await.value;
    assert_eq!(owned(&object, "hpa", "Update", Some("scale")), json!({"f:spec": {"f:replicas": {}}}));
    assert_eq!(owned(&object, "one", "Apply", None)["f:spec"]["f:replicas"], Value::Null);
    let told = desk.apply(&uri, "one", &deployment("d")).await;
    let conflict = "conflict with \"hpa\" with subresource \"scale\" using apps/v1: .spec.replicas";
    assert_eq!(told.told(), (409, &*format!("Apply failed with 1 conflict: {conflict}")));
    let wished =
        json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d"}, "spec": {"replicas": 6}});
    let refused = desk.apply(&format!("{uri}/scale"), "me", &wished).await;
    let conflict = "conflict with \"hpa\" with subresource \"scale\" using autoscaling/v1: .spec.replicas";
    assert_eq!(refused.told(), (409, &*format!("Apply failed with 1 conflict: {conflict}")));
    let forced = desk.force(&format!("{uri}/scale"), "me", &wished).await.value;
    assert_eq!((&forced["kind"], &forced["spec"]["replicas"]), (&json!("Scale"), &json!(6)));
    let object = desk.get(&uri).await.value;
    assert_eq!(owned(&object, "me", "Apply", Some("scale")), json!({"f:spec": {"f:replicas": {}}}));
    assert_eq!(owned(&object, "hpa", "Update", Some("scale")), Value::Null);
}

#[tokio::test]
async fn an_apply_that_is_wrong_is_refused_in_upstreams_words() {
    let desk = Desk::new().await;
    let uri = format!("{MAPS}/m");
    let map = data("m", json!({"a": "1"}));
    let nobody = desk.patch(&uri, APPLY, &map.to_string()).await;
    let told = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
    assert_eq!(nobody.told(), (422, told));
    let long = desk.apply(&uri, &"x".repeat(129), &map).await;
    let told = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Too long: may not be more than 128 bytes";
    assert_eq!(long.told(), (422, told));
    let odd = desk.apply(&uri, "a%0A", &map).await;
    let told = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Invalid value: \"a\\n\": invalid character U+000A (at position 1)";
    assert_eq!(odd.told(), (422, told));
    let forced = desk.patch(&format!("{uri}?force=true"), MERGE, "{}").await;
    let told = "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch";
    assert_eq!(forced.told(), (422, told));
    let mut managed = map.clone();
    managed["metadata"]["managedFields"] = json!([]);
    assert_eq!(desk.apply(&uri, "m", &managed).await.told(), (400, "metadata.managedFields must be nil"));
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "m"}});
    assert_eq!(desk.apply(&uri, "m", &secret).await.told(), (400, "invalid object type: /v1, Kind=Secret"));
    assert_eq!(desk.apply(&uri, "m", &Value::Null).await.told(), (400, "invalid object type: /, Kind="));
    let told = "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type map[string]interface {}";
    assert_eq!(desk.apply(&uri, "m", &json!([])).await.told(), (400, told));
    let unknown = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "foo": 1});
    let told = "failed to create typed patch object (/m; /v1, Kind=ConfigMap): .foo: field not declared in schema";
    assert_eq!(desk.apply(&uri, "m", &unknown).await.told(), (500, told));
    let nameless = json!({"apiVersion": "v1", "kind": "ConfigMap"});
    let told = "the name of the object (m based on URL) was undeterminable: name must be provided";
    assert_eq!(desk.apply(&uri, "m", &nameless).await.told(), (400, told));
    let mut with_uid = map.clone();
    with_uid["metadata"]["uid"] = json!("u");
    let told = "Operation cannot be fulfilled on configmaps \"m\": uid mismatch: the provided object specified uid u, and no existing object was found";
    assert_eq!(desk.apply(&uri, "m", &with_uid).await.told(), (409, told));
    let status = desk.apply(&format!("{DEPLOYMENTS}/none/status"), "m", &deployment("none")).await;
    assert_eq!(status.code, 404);
    let double = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {a: one}\ndata: {b: two}\n";
    let strict = desk.patch(&format!("{uri}?fieldManager=m&fieldValidation=Strict"), APPLY, double).await;
    assert_eq!(strict.code, 400, "{}", strict.value);
    assert!(strict.told().1.starts_with("error strict decoding YAML: error converting YAML to JSON: yaml: "));
    let ignored = desk.patch(&format!("{uri}?fieldManager=m&fieldValidation=Ignore"), APPLY, double).await;
    assert_eq!((ignored.code, &ignored.value["data"]), (201, &json!({"b": "two"})));
    assert!(desk.warnings().is_empty());
    desk.patch(&format!("{uri}?fieldManager=m"), APPLY, double).await;
    assert_eq!(desk.warnings(), [r#"299 - "line 5: key \"data\" already set in map""#]);
    let mut stale = map.clone();
    stale["metadata"]["resourceVersion"] = json!("1");
    assert_eq!(desk.apply(&uri, "m", &stale).await.code, 409);
    assert_eq!(desk.patch(&format!("{uri}?fieldManager=m"), "application/apply-patch+cbor", "{}").await.code, 415);
    assert_eq!(desk.patch(&format!("{uri}?fieldManager=m"), APPLY, "[1]").await.code, 400);
    assert_eq!(desk.patch(&format!("{uri}?fieldManager=m"), APPLY, "{a: [").await.code, 400);
}

#[tokio::test]
async fn double_keys_of_patches_are_told_or_refused() {
    let desk = Desk::new().await;
    desk.made(MAPS, map("m")).await;
    let uri = format!("{MAPS}/m");
    for (kind, patch, told) in [
        (MERGE, r#"{"data":{"a":"1","a":"2"}}"#, "duplicate field \"data.a\""),
        (STRATEGIC, r#"{"data":{"a":"1","a":"2"}}"#, "duplicate field \"data.a\""),
        (JSON_PATCH, r#"[{"op":"add","path":"/data/b","value":"1","foo":1}]"#, "json patch unknown field \"[0].foo\""),
    ] {
        let strict = desk.patch(&format!("{uri}?fieldValidation=Strict"), kind, patch).await;
        assert_eq!(strict.code, 422);
        assert!(strict.told().1.ends_with(&format!("strict decoding error: {told}")), "{}", strict.value);
        assert_eq!(desk.patch(&format!("{uri}?fieldValidation=Ignore"), kind, patch).await.code, 200);
        assert_eq!(desk.patch(&uri, kind, patch).await.code, 200);
        assert!(desk.warnings().contains(&format!("299 - \"{}\"", told.replace('"', "\\\""))), "{:?}", desk.warnings());
    }
}

#[tokio::test]
async fn what_kubectl_applied_from_its_side_it_takes_over() {
    let desk = Desk::new().await;
    let uri = format!("{MAPS}/m");
    let mut applied = data("m", json!({"a": "1", "b": "1"}));
    let note = format!("{applied}\n");
    applied["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": note});
    let query = format!("{MAPS}?fieldManager=kubectl-client-side-apply");
    desk.made(&query, applied).await;
    let next = data("m", json!({"a": "2", "b": "1"}));
    let other = desk.apply(&uri, "other", &next).await;
    let told = "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using v1: .data.a";
    assert_eq!(other.told(), (409, told));
    let taken = desk.apply(&uri, "kubectl", &next).await;
    assert_eq!((taken.code, &taken.value["data"]["a"]), (200, &json!("2")), "{}", taken.value);
    let noted = taken.value["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"].as_str();
    assert_eq!(noted, Some(&*format!("{next}\n")));
    let edited = desk.patch(&format!("{uri}?fieldManager=hand"), MERGE, r#"{"data":{"a":"9"}}"#).await;
    assert_eq!(edited.code, 200);
    let told = "Apply failed with 1 conflict: conflict with \"hand\" using v1: .data.a";
    assert_eq!(
        desk.apply(&uri, "kubectl", &next).await.told(),
        (409, told),
        "what others changed since is no longer its own"
    );
}

#[tokio::test]
async fn the_server_and_bindings_leave_managers_alone() {
    let desk = Desk::new().await;
    let mut sized = pod("p");
    sized["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "2"}});
    desk.apply(&format!("{PODS}/p"), "m", &sized).await;
    let before = desk.get(&format!("{PODS}/p")).await.value;
    assert_eq!(
        owned(&before, "m", "Apply", None)["f:spec"]["f:containers"]["k:{\"name\":\"c\"}"]["f:image"],
        json!({})
    );
    assert_eq!(owned(&before, "m", "Apply", None)["f:spec"]["f:serviceAccountName"], Value::Null, "{before}");
    let binding = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}});
    desk.post(&format!("{PODS}/p/binding"), &binding).await;
    let bound = desk.get(&format!("{PODS}/p")).await.value;
    assert_eq!(bound["metadata"]["managedFields"], before["metadata"]["managedFields"]);
    let resize = r#"{"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"1"}}}]}}"#;
    let resized = desk.patch(&format!("{PODS}/p/resize?fieldManager=r"), STRATEGIC, resize).await;
    assert_eq!(resized.code, 200, "{}", resized.value);
    let fields = &owned(&resized.value, "r", "Update", Some("resize"))["f:spec"]["f:containers"]["k:{\"name\":\"c\"}"];
    assert_eq!(fields["f:resources"]["f:requests"], json!({"f:cpu": {}}), "{}", resized.value);
    // Who changes more than the part owns it, although it is not taken.
    let more = r#"{"metadata":{"labels":{"a":"b"}},"spec":{"ephemeralContainers":[{"name":"e","image":"i"}]}}"#;
    let held = desk.patch(&format!("{PODS}/p/ephemeralcontainers?fieldManager=e"), STRATEGIC, more).await;
    let fields = owned(&held.value, "e", "Update", Some("ephemeralcontainers"));
    assert_eq!(fields["f:metadata"]["f:labels"]["f:a"], json!({}), "{}", held.value);
    let container = &fields["f:spec"]["f:ephemeralContainers"]["k:{\"name\":\"e\"}"];
    assert_eq!(container["f:imagePullPolicy"], json!({}), "what is completed is owned as well");
    assert_eq!(held.value["metadata"]["labels"], bound["metadata"]["labels"]);
    let foreign = r#"{"metadata":{"uid":"u"}}"#;
    let told = desk.patch(&format!("{PODS}/p/ephemeralcontainers"), STRATEGIC, foreign).await;
    assert_eq!(told.told().1, r#"Pod "p" is invalid: metadata.uid: Invalid value: "u": field is immutable"#);
}

#[tokio::test]
async fn managers_are_trees_to_whoever_reads_or_patches_them() {
    let desk = Desk::new().await;
    desk.made(MAPS, map("m")).await;
    let path = format!("{MAPS}/m");
    let place = "/metadata/managedFields/0/fieldsV1";
    let set = desk.get(&path).await.value.pointer(place).cloned().unwrap();
    assert_eq!(set, json!({"f:data": {".": {}, "f:a": {}}}));
    let dry = desk.patch(&format!("{path}?dryRun=All"), MERGE, r#"{"data":{"b":"2"}}"#).await.value;
    assert_eq!(dry.pointer(place), Some(&json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}})));
    let test = json!([
        {"op": "test", "path": place, "value": set},
        {"op": "remove", "path": format!("{place}/f:data/f:a")},
    ]);
    let patched = desk.patch(&path, JSON_PATCH, &test.to_string()).await;
    assert_eq!(patched.value.pointer(place), Some(&json!({"f:data": {}})), "{}", patched.value);
    // A string in the place of a set is none, whatever it says: the managers stay.
    let entry = json!({"manager": "x", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
        "fieldsV1": r#"{"f:data":{"f:z":{}}}"#});
    for kind in [MERGE, STRATEGIC] {
        let sent = json!({"metadata": {"managedFields": [entry]}}).to_string();
        let patched = desk.patch(&path, kind, &sent).await;
        assert_eq!(patched.value.pointer(place), Some(&json!({"f:data": {}})), "{}", patched.value);
    }
}

#[tokio::test]
async fn who_sends_what_a_gate_drops_manages_it() {
    let desk = Desk::new().await;
    let lease =
        json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "a", "preferredHolder": "b", "strategy": "c"}});
    let made = desk.made("/apis/coordination.k8s.io/v1/namespaces/default/leases", lease).await;
    assert_eq!(made["spec"], json!({"holderIdentity": "a"}));
    let fields = &made["metadata"]["managedFields"][0]["fieldsV1"];
    assert_eq!(fields, &json!({"f:spec": {"f:holderIdentity": {}, "f:preferredHolder": {}, "f:strategy": {}}}));
}

#[tokio::test]
async fn a_selector_with_nothing_in_it_is_nobodys() {
    let desk = Desk::new().await;
    let policy = |selector: Value| json!({"metadata": {"name": "p"}, "spec": {"podSelector": selector, "policyTypes": ["Egress"]}});
    let uri = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies";
    let made = desk.made(uri, policy(json!({"matchLabels": {}}))).await;
    let managers = &made["metadata"]["managedFields"];
    assert_eq!(managers[0]["fieldsV1"], json!({"f:spec": {"f:policyTypes": {}}}));
    let patch = r#"{"spec":{"podSelector":{"matchExpressions":[]}}}"#;
    let same = desk.patch(&format!("{uri}/p?fieldManager=two"), MERGE, patch).await;
    assert_eq!(&same.value["metadata"]["managedFields"], managers);
}

#[tokio::test]
async fn an_object_whose_items_cant_be_told_apart_has_no_managers() {
    let desk = Desk::new().await;
    let uri = "/api/v1/namespaces/default/serviceaccounts";
    let made = desk.made(uri, json!({"metadata": {"name": "a"}, "secrets": [{}]})).await;
    assert_eq!(made["metadata"]["managedFields"], Value::Null);
    let known = desk.made(uri, json!({"metadata": {"name": "b"}, "secrets": [{"name": "s"}]})).await;
    assert_ne!(known["metadata"]["managedFields"], Value::Null);
    let lost = desk.patch(&format!("{uri}/b"), MERGE, r#"{"secrets":[{"name":"s"},{}]}"#).await;
    assert_eq!((lost.code, &lost.value["metadata"]["managedFields"]), (200, &Value::Null));
}

#[tokio::test]
async fn a_status_creates_what_an_update_creates() {
    let desk = Desk::new().await;
    let service =
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}});
    let uri = "/api/v1/namespaces/default/services/s/status";
    assert_eq!(desk.apply(uri, "one", &service).await.code, 201);
    assert_eq!(desk.apply(&format!("{PODS}/p/status"), "one", &pod("p")).await.code, 404);
    let bound = json!({"metadata": {"name": "m", "resourceVersion": "1"}, "apiVersion": "v1", "kind": "ConfigMap"});
    assert_eq!(
        desk.apply(&format!("{MAPS}/m"), "one", &bound).await.code,
        201,
        "no version is minded of what is not there"
    );
}

#[tokio::test]
async fn what_is_applied_says_what_it_is() {
    let desk = Desk::new().await;
    let apply = async |version: &str| {
        let body = json!({"apiVersion": version, "kind": "ConfigMap", "metadata": {"name": "m"}});
        let uri = format!("{MAPS}/m?fieldManager=m");
        desk.patch(&uri, "application/apply-patch+yaml", &body.to_string()).await
    };
    assert_eq!(apply("a/b/c").await.told(), (400, "invalid object type: /, Kind="));
    assert_eq!(apply("a/v1").await.told(), (400, "invalid object type: a/v1, Kind=ConfigMap"));
    assert_eq!(apply("/v1").await.code, 201);
    let answer = desk.patch(&format!("{MAPS}/m"), MERGE, r#"{"apiVersion":"a/b/c"}"#).await;
    assert!(answer.told().1.ends_with(": unexpected GroupVersion string: a/b/c"), "{}", answer.value);
    let answer = desk.patch(&format!("{MAPS}/m"), MERGE, r#"{"kind":1}"#).await;
    assert!(answer.told().1.ends_with("into Go struct field .kind of type string"), "{}", answer.value);
}
