//! Definitions of custom resources, and what is done to an object of them: `{"spec": …, "object": …, "patch": …}`.

use crate::desk::{Answer, DEFINITIONS, Desk, with};
use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};
use tinyplane_apiserver::schema;
use tinyplane_apiserver::schema::openapi::{Custom, GroupVersion, OpenApi, Resource};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// A definition is taken or refused, and whatever was taken serves its objects.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(mut input) = serde_json::from_slice::<Value>(bytes) else { return };
    if !input.is_object() {
        return;
    }
    let (mut spec, mut object, patch) = (input["spec"].take(), input["object"].take(), input["patch"].take());
    if !spec.is_object() || !object.is_object() {
        return;
    }
    spec["group"] = json!("h.example.com");
    spec["names"] = json!({"plural": "bars", "singular": "bar", "kind": "Bar", "listKind": "BarList"});
    spec["scope"] = json!("Namespaced");
    with(|desk| {
        let definition = json!({"metadata": {"name": "bars.h.example.com"}, "spec": spec});
        let (code, made) = send(desk, &Method::POST, DEFINITIONS, "application/json", &definition);
        if code != 201 {
            return;
        }
        desk.follow();
        document(&made["spec"]);
        for version in spec["versions"].as_array().into_iter().flatten() {
            let version = version["name"].as_str().unwrap_or_default();
            let all = format!("/apis/h.example.com/{version}/namespaces/default/bars");
            object["apiVersion"] = format!("h.example.com/{version}").into();
            object["kind"] = "Bar".into();
            object["metadata"] = json!({"name": "a"});
            let (code, made) = send(desk, &Method::POST, &all, "application/json", &object);
            send(desk, &Method::GET, &all, TABLE, &Value::Null);
            let one = format!("{all}/a");
            if code == 201 {
                let (code, told) = send(desk, &Method::PUT, &one, "application/json", &made);
                assert_eq!(code, 200, "what was made can be sent again: {told}");
            }
            send(desk, &Method::PATCH, &one, "application/merge-patch+json", &patch);
            let mut applied = patch.clone();
            if applied.is_object() {
                applied["apiVersion"] = object["apiVersion"].clone();
                applied["kind"] = "Bar".into();
            }
            send(
                desk,
                &Method::PATCH,
                &format!("{one}?fieldManager=f&force=true"),
                "application/apply-patch+yaml",
                &applied,
            );
            send(desk, &Method::DELETE, &one, "application/json", &Value::Null);
        }
    });
}

/// Whatever was taken has documents in every form.
fn document(spec: &Value) {
    let versions = spec["versions"].as_array().into_iter().flatten();
    let group_versions: Vec<GroupVersion> = versions.map(group_version).collect();
    let paths: Vec<String> = group_versions.iter().map(GroupVersion::path).collect();
    let documents = OpenApi::new(schema::model(), group_versions);
    serde_json::from_slice::<Value>(&documents.v2().bytes).expect("a document is JSON");
    for path in paths {
        let found = documents.v3(&path).expect("its own document");
        serde_json::from_slice::<Value>(&found.bytes).expect("a document is JSON");
        assert!(documents.v3_protobuf(&path).is_some_and(|told| !told.bytes.is_empty()), "{path}");
    }
}

/// A version of a definition in the words of `OpenAPI`.
fn group_version(version: &Value) -> GroupVersion {
    let custom = Custom {
        schema: version["schema"]["openAPIV3Schema"].clone(),
        list_kind: "BarList".to_owned(),
        selectable: Vec::new(),
    };
    let resource = Resource {
        plural: "bars".to_owned(),
        kind: "Bar".to_owned(),
        namespaced: true,
        verbs: ["get", "list", "watch", "create", "update", "patch", "delete"].map(str::to_owned).to_vec(),
        returns_deleted: false,
        subresources: Vec::new(),
        custom: Some(custom),
    };
    GroupVersion {
        group: "h.example.com".to_owned(),
        version: version["name"].as_str().unwrap_or_default().to_owned(),
        resources: vec![resource],
    }
}

/// What is to be sent as this type, or accepted as it where nothing is sent.
fn send(desk: &Desk, method: &Method, path: &str, kind: &str, body: &Value) -> (u16, Value) {
    let request = Request::builder().method(method).uri(path);
    let request = match body {
        Value::Null => request.header("accept", kind).body(Body::empty()),
        body => request.header("content-type", kind).body(Body::from(body.to_string())),
    };
    // A version's name may be no part of a path, and is refused then; so it was no request.
    let Ok(request) = request else { return (0, Value::Null) };
    let answer = desk.ask(request);
    answer.demand(&format!("{method} {path}"));
    match answer {
        Answer::Whole(code, bytes) => (code, serde_json::from_slice(&bytes).unwrap_or_default()),
        Answer::Refused(status) => (status.code, json!(status.to_string())),
        Answer::Stream => (0, Value::Null),
    }
}
