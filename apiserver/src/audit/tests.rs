//! The policy against calls, and lines in files.

use super::*;
use crate::authn::{GROUP_MASTERS, Peer};
use crate::codec::accept;
use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::path::Path;

const POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
metadata: {name: test}
omitStages: [RequestReceived]
rules:
- level: None
  users: [quiet]
- level: None
  nonResourceURLs: ["/healthz*", "/version"]
- level: RequestResponse
  omitManagedFields: true
  verbs: [create, patch]
  resources:
  - group: ""
    resources: [configmaps, pods/*]
- level: Metadata
  namespaces: [kube-system]
- level: Request
  userGroups: ["system:masters"]
  resources:
  - group: apps
"#;

fn call(method: &str, uri: &str) -> (Call, Uri) {
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .header("user-agent", "test/1")
        .header("content-type", "application/json")
        .body(())
        .unwrap();
    (Call::parse(&request, Peer::nobody(), Ticket::new(None)).unwrap(), request.uri().clone())
}

fn jane() -> Caller {
    Caller::new("jane", ["system:authenticated"])
}

fn config(folder: &Path, mode: Mode) -> Config {
    let policy_file = folder.join("policy.yaml");
    std::fs::write(&policy_file, POLICY).unwrap();
    Config {
        policy_file,
        log_path: folder.join("logs/audit.log"),
        size_mebibytes_max: 1,
        backups_max: 2,
        age_days_max: 0,
        format: Format::Json,
        mode,
        buffer_max: 100,
    }
}

fn open(config: &Config) -> Arc<AuditLog> {
    Arc::new(AuditLog::open(config, Clock::system(), Arc::default()).unwrap())
}

fn lines(config: &Config) -> Vec<Value> {
    let text = std::fs::read_to_string(&config.log_path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_first_rule_that_matches_counts() {
    let policy = Policy::parse(POLICY).unwrap();
    let admin = || Caller::new("admin", [GROUP_MASTERS]);
    for (caller, method, uri, level) in [
        (Caller::new("quiet", [GROUP_MASTERS]), "POST", "/api/v1/namespaces/a/configmaps", Level::None),
        (jane(), "GET", "/healthz/ping", Level::None),
        (jane(), "POST", "/api/v1/namespaces/a/configmaps", Level::RequestResponse),
        (jane(), "POST", "/api/v1/namespaces/a/pods/p/eviction", Level::RequestResponse),
        (jane(), "POST", "/api/v1/namespaces/a/pods", Level::None),
        (jane(), "GET", "/api/v1/namespaces/kube-system/pods", Level::Metadata),
        (jane(), "GET", "/apis/apps/v1/deployments", Level::None),
        (admin(), "GET", "/apis/apps/v1/deployments", Level::Request),
        (admin(), "GET", "/api", Level::None),
    ] {
        let (call, _) = call(method, uri);
        let judged = policy.judge(&call, &caller);
        assert_eq!(judged.level, level, "{} {method} {uri}", caller.name);
        assert_eq!(judged.omit_stages, [Stage::RequestReceived]);
    }
}

#[test]
fn what_is_no_policy_is_refused() {
    for wrong in [
        "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: []\n",
        "apiVersion: audit.k8s.io/v1beta1\nkind: Policy\nrules: [{level: None}]\n",
        "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Everything}]\n",
        "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None, user: [a]}]\n",
        "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None, namespaces: [a], nonResourceURLs: [/x]}]\n",
        "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None, nonResourceURLs: [/a/*/b]}]\n",
    ] {
        assert!(Policy::parse(wrong).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn an_event_tells_what_was_sent_and_answered() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), Mode::Blocking);
    let log = open(&config);
    let (call, uri) = call("POST", "/api/v1/namespaces/a/configmaps?fieldManager=x");
    let mut pending = log.begin(&call, &uri, &jane()).unwrap().unwrap();
    pending.impersonates(&Caller::new("joe", []), "impersonate:user-info");
    pending.decided(true, "because".into());
    let sent = json!({"metadata": {"name": "m", "managedFields": [{"manager": "x"}]}, "data": {"a": "1"}});
    let heard = pending.listen(Body::from(sent.to_string()));
    heard.collect().await.unwrap();
    let answered = json!({"kind": "ConfigMap", "metadata": {"name": "m", "managedFields": []}}).to_string();
    let response = Response::builder().status(201).header("content-type", "application/json");
    let passed = pending.finish(response.body(Body::from(answered.clone())).unwrap(), false).await;
    assert_eq!(passed.into_body().collect().await.unwrap().to_bytes(), answered);
    let events = lines(&config);
    assert_eq!(events.len(), 1, "the stage RequestReceived is omitted");
    let event = &events[0];
    for (place, value) in [
        ("/kind", json!("Event")),
        ("/apiVersion", json!("audit.k8s.io/v1")),
        ("/level", json!("RequestResponse")),
        ("/stage", json!("ResponseComplete")),
        ("/auditID", json!(call.ticket.as_str())),
        ("/requestURI", json!("/api/v1/namespaces/a/configmaps?fieldManager=x")),
        ("/verb", json!("create")),
        ("/user", json!({"username": "jane", "groups": ["system:authenticated"]})),
        ("/impersonatedUser/username", json!("joe")),
        ("/authenticationMetadata/impersonationConstraint", json!("impersonate:user-info")),
        ("/userAgent", json!("test/1")),
        ("/objectRef", json!({"resource": "configmaps", "namespace": "a", "name": "m", "apiVersion": "v1"})),
        ("/responseStatus", json!({"metadata": {}, "code": 201})),
        ("/requestObject", json!({"metadata": {"name": "m"}, "data": {"a": "1"}})),
        ("/responseObject", json!({"kind": "ConfigMap", "metadata": {"name": "m"}})),
        ("/annotations/authorization.k8s.io~1decision", json!("allow")),
        ("/annotations/authorization.k8s.io~1reason", json!("because")),
    ] {
        assert_eq!(event.pointer(place), Some(&value), "{place} of {event}");
    }
}

#[tokio::test]
async fn a_failure_and_a_long_answer_are_logged_when_they_end() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), Mode::Batch);
    let log = open(&config);
    let (get, uri) = call("GET", "/api/v1/namespaces/kube-system/pods?watch=1");
    let pending = log.begin(&get, &uri, &jane()).unwrap().unwrap();
    let watch = pending.finish(Response::new(Body::from("frames")), true).await;
    let (gone, uri) = call("GET", "/api/v1/namespaces/kube-system/pods/p");
    let pending = log.begin(&gone, &uri, &jane()).unwrap().unwrap();
    let response = crate::respond::failure(&Status::not_found("", "pods", "p"), accept::of_failure(None), false);
    pending.finish(response, false).await;
    drop(watch);
    drop(log);
    let told: Vec<(String, Value)> = lines(&config)
        .iter()
        .map(|e| (e["stage"].as_str().unwrap().to_owned(), e["responseStatus"]["reason"].clone()))
        .collect();
    assert_eq!(
        told,
        [
            ("ResponseStarted".to_owned(), Value::Null),
            ("ResponseComplete".to_owned(), json!("NotFound")),
            ("ResponseComplete".to_owned(), Value::Null),
        ]
    );
}

#[tokio::test]
async fn a_file_that_has_grown_is_put_aside_and_old_ones_go() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), Mode::Blocking);
    let log = open(&config);
    for _ in 0..10 {
        assert!(log.write("x".repeat(600 << 10)));
    }
    let mut sizes: Vec<u64> = std::fs::read_dir(folder.path().join("logs"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes.len(), 3, "the file and two old ones: {sizes:?}");
    assert!(sizes.iter().all(|size| *size <= 1 << 20));
}
