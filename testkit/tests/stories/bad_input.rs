//! What is wrong in a request over a real connection: the Status of Kubernetes, and nothing half-written.

use crate::scene::{end, wishes};
use http::Method;
use serde_json::{Value, json};
use tinyplane::Cluster;

const JSON: &str = "application/json";
const JSON_PATCH: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";
const KEPT: &str = "/api/v1/namespaces/default/configmaps/kept";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
    and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const SCHEME: &str = "in scheme \"pkg/api/legacyscheme/scheme.go:30\"";

/// A request, and the code, reason and message of its answer.
type Case = (Method, String, &'static str, String, (u16, &'static str, String));

fn case(method: Method, path: &str, kind: &'static str, body: &str, told: (u16, &'static str, &str)) -> Case {
    (method, path.to_owned(), kind, body.to_owned(), (told.0, told.1, told.2.to_owned()))
}

/// Sends a request, and gives the code, the content type and the body of its answer.
async fn ask(cluster: &Cluster, method: &Method, path: &str, kind: &str, body: &str) -> (u16, String, String) {
    let request = cluster.admin().client().connection().request(method.clone(), path).expect("a path");
    let request = if kind.is_empty() { request } else { request.header("content-type", kind) };
    let answer = request.body(body.to_owned()).send().await.unwrap_or_else(|e| panic!("{method} {path}: {e:?}"));
    let (code, headers) = (answer.status().as_u16(), answer.headers().clone());
    let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    (code, kind, answer.text().await.unwrap_or_else(|e| panic!("{method} {path}: {e:?}")))
}

/// Every case gets a Status of its code, reason and message, and what was there is as it was.
async fn all_are_refused(cases: Vec<Case>) {
    let cluster = wishes().nodes(0).controllers(false).start().await.expect("it starts");
    let kept = json!({"kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"a": "b"}});
    cluster.admin().create(kept).await.expect("it is created");
    let state = async || {
        let (_, _, maps) = ask(&cluster, &Method::GET, "/api/v1/configmaps", "", "").await;
        let (_, _, pods) = ask(&cluster, &Method::GET, "/api/v1/pods", "", "").await;
        let items = |text: &str| serde_json::from_str::<Value>(text).expect("a list")["items"].clone();
        (items(&maps), items(&pods))
    };
    let before = state().await;
    let mut wrong = Vec::new();
    for (method, path, kind, body, (code, reason, message)) in cases {
        let (answered, _, text) = ask(&cluster, &method, &path, kind, &body).await;
        let status: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{method} {path}: {e}: {text}"));
        let wished = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason});
        let mut shown = json!({"kind": status["kind"], "apiVersion": status["apiVersion"], "status": status["status"]});
        shown["code"] = answered.into();
        shown["reason"] = status["reason"].clone();
        if shown != wished || status["code"] != code || status["message"] != message.as_str() {
            wrong.push(format!("{method} {path} {body}\n  wished {code} {reason} {message}\n  was {text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(state().await, before, "a request that was refused has left something");
    end(cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_wrong_are_refused() {
    let unrecognized =
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error:";
    let bad = |body: &str, message: &str| case(Method::POST, MAPS, JSON, body, (400, "BadRequest", message));
    let named = format!("ConfigMap \"Bad_Name\" is invalid: metadata.name: Invalid value: \"Bad_Name\": {SUBDOMAIN}");
    let formats = "the body of the request was in an unknown format - accepted media types include: application/json, \
        application/yaml, application/vnd.kubernetes.protobuf";
    let cases = vec![
        bad("", &format!("{unrecognized} unexpected end of JSON input (<empty>)")),
        bad("{\"kind\":", &format!("{unrecognized} unexpected end of JSON input ({{\"kind\":)")),
        bad(
            "nonsense",
            &format!("{unrecognized} invalid character 'o' in literal null (expecting 'u') (6e6f6e73656e7365)"),
        ),
        bad(
            "[]",
            &format!(
                "{unrecognized} json: cannot unmarshal array into Go value of type struct {{ APIVersion string \
                 \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }} (5b5d)"
            ),
        ),
        bad(
            r#"{"kind":3}"#,
            &format!(
                "{unrecognized} json: cannot unmarshal number into Go struct field .kind of type string ({{\"kind\":3}})"
            ),
        ),
        bad(
            r#"{"apiVersion":"v2","kind":"ConfigMap"}"#,
            &format!(
                "ConfigMap in version \"v2\" cannot be handled as a ConfigMap: no kind \"ConfigMap\" is registered for version \"v2\" {SCHEME}"
            ),
        ),
        bad(
            r#"{"apiVersion":"v1","kind":"Nonsense"}"#,
            &format!(
                "Nonsense in version \"v1\" cannot be handled as a ConfigMap: no kind \"Nonsense\" is registered for version \"v1\" {SCHEME}"
            ),
        ),
        bad(
            r#"{"apiVersion":"apps/v1","kind":"Deployment"}"#,
            "Deployment in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Deployment) to (core.ConfigMap): unknown conversion",
        ),
        bad(
            r#"{"data":{"a":1}}"#,
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
        ),
        bad(
            r#"{"metadata":{"name":"a","namespace":"other"}}"#,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        case(Method::POST, MAPS, "text/plain", "{}", (415, "UnsupportedMediaType", formats)),
        case(Method::POST, MAPS, JSON, r#"{"metadata":{"name":"Bad_Name"}}"#, (422, "Invalid", &named)),
        case(
            Method::POST,
            MAPS,
            JSON,
            r#"{"metadata":{"name":"kept"}}"#,
            (409, "AlreadyExists", "configmaps \"kept\" already exists"),
        ),
        case(
            Method::POST,
            "/api/v1/namespaces/none/configmaps",
            JSON,
            r#"{"metadata":{"name":"a"}}"#,
            (404, "NotFound", "namespaces \"none\" not found"),
        ),
        case(
            Method::PUT,
            KEPT,
            JSON,
            r#"{"metadata":{"name":"other"}}"#,
            (400, "BadRequest", "the name of the object (other) does not match the name on the URL (kept)"),
        ),
        case(
            Method::PUT,
            KEPT,
            JSON,
            r#"{"metadata":{"name":"kept","resourceVersion":"1"}}"#,
            (
                409,
                "Conflict",
                "Operation cannot be fulfilled on configmaps \"kept\": the object has been modified; please apply your changes to the latest version and try again",
            ),
        ),
    ];
    all_are_refused(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_that_are_wrong_are_refused() {
    let rejected = "the server rejected our request due to an error in our request";
    let accepted = "415: Unsupported Media Type";
    let patch = |kind, body: &str, told: (u16, &'static str, &str)| case(Method::PATCH, KEPT, kind, body, told);
    let cases = vec![
        patch(JSON_PATCH, r#"[{"op":"remove","path":"/data/none"}]"#, (422, "Invalid", rejected)),
        patch(JSON_PATCH, r#"[{"op":"test","path":"/data/a","value":"x"}]"#, (422, "Invalid", rejected)),
        patch(
            JSON_PATCH,
            "{}",
            (
                400,
                "BadRequest",
                "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
            ),
        ),
        patch(
            MERGE,
            r#"{"metadata":{"name":"other"}}"#,
            (400, "BadRequest", "the name of the object (other) does not match the name on the URL (kept)"),
        ),
        patch(
            STRATEGIC,
            r#"{"data":{"a":1}}"#,
            (
                422,
                "Invalid",
                " \"\" is invalid: patch: Invalid value: \"map[data:map[a:1]]\": cannot convert int64 to string",
            ),
        ),
        case(Method::PATCH, &format!("{MAPS}/none"), MERGE, "{}", (404, "NotFound", "configmaps \"none\" not found")),
    ];
    all_are_refused(cases).await;
    let cluster = wishes().nodes(0).controllers(false).start().await.expect("it starts");
    let maps = json!({"kind": "ConfigMap", "metadata": {"name": "kept"}});
    cluster.admin().create(maps).await.expect("it is created");
    let (code, _, text) = ask(&cluster, &Method::PATCH, KEPT, "text/plain", "{}").await;
    let status: Value = serde_json::from_str(&text).expect("a Status");
    assert_eq!((code, status["reason"].as_str()), (415, Some("UnsupportedMediaType")), "{text}");
    let message = status["message"].as_str().expect("a message");
    assert_eq!(message, accepted);
    end(cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn selectors_queries_and_methods_that_are_wrong_are_refused() {
    let get = |path: &str, message: &str| case(Method::GET, path, "", "", (400, "BadRequest", message));
    let nothing = (404, "NotFound", "the server could not find the requested resource");
    let not_allowed = (405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
    let known = "\"spec.x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"";
    let cases = vec![
        get(
            &format!("{MAPS}?labelSelector=a+b"),
            "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
        ),
        get(&format!("{PODS}?fieldSelector=spec.x%3Dy"), "field label not supported: spec.x"),
        get(&format!("{MAPS}?fieldSelector=spec.x%3Dy"), known),
        get(&format!("{MAPS}?fieldSelector=nonsense"), "invalid selector: 'nonsense'; can't understand 'nonsense'"),
        get(&format!("{MAPS}?limit=x"), "strconv.ParseInt: parsing \"x\": invalid syntax"),
        get(
            &format!("{MAPS}?continue=e30"),
            "invalid continue token: continue key is not valid: server does not recognize this encoded version ",
        ),
        case(Method::GET, &format!("{MAPS}/none"), "", "", (404, "NotFound", "configmaps \"none\" not found")),
        case(Method::DELETE, &format!("{MAPS}/none"), "", "", (404, "NotFound", "configmaps \"none\" not found")),
        // A group and version that are served, and nothing of that name in them.
        case(Method::GET, "/api/v1/foos", "", "", nothing),
        case(Method::GET, "/apis/apps/v1/namespaces/default/foos", "", "", nothing),
        case(Method::GET, &format!("{KEPT}/nonsense"), "", "", nothing),
        // A group that is served, in no such version.
        case(Method::GET, "/api/v2/pods", "", "", nothing),
        case(Method::GET, "/apis/apps/v2/deployments", "", "", nothing),
        case(Method::DELETE, "/api/v1/namespaces", "", "", not_allowed),
        case(Method::PUT, MAPS, JSON, "{}", not_allowed),
    ];
    all_are_refused(cases).await;
    let cluster = wishes().nodes(0).controllers(false).start().await.expect("it starts");
    for path in ["/nonsense", "/apis/own.example", "/apis/own.example/v1/things"] {
        let (code, kind, text) = ask(&cluster, &Method::GET, path, "", "").await;
        assert_eq!((code, text.as_str()), (404, "404 page not found\n"), "{path}");
        assert!(kind.starts_with("text/plain"), "{path}: {kind}");
    }
    end(cluster).await;
}
