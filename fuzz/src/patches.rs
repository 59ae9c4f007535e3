//! Patches and replacements of a Deployment, a ConfigMap, a Service and a custom object: steps, each a byte for the type, one
//! for the object and the body, with a line of three dashes between them.

use crate::desk::{Answer, Desk, with};
use axum::body::Body;
use http::{Method, Request};
use serde_json::Value;

const TYPES: [&str; 6] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
    "application/json",
    "application/yaml",
];
const OBJECTS: [&str; 6] = [
    "/apis/apps/v1/namespaces/default/deployments/a",
    "/api/v1/namespaces/default/configmaps/a",
    "/api/v1/namespaces/default/services/a",
    "/apis/g.example.com/v1/namespaces/default/foos/a",
    "/apis/g.example.com/v1/namespaces/default/foos/a/status",
    "/apis/g.example.com/v1/namespaces/default/foos/a/scale",
];
const BETWEEN: &[u8] = b"\n---\n";
/// Most steps of one input.
const STEPS_MAX: usize = 4;

/// What a step makes is an object of the same name that could be sent again, or it is refused by who wrote it. Only where
/// another step follows is anything written.
pub(crate) fn run(bytes: &[u8]) {
    with(|desk| {
        let mut rest = Some(bytes);
        for step in 0..STEPS_MAX {
            let Some(left) = rest else { return };
            let end = left.windows(BETWEEN.len()).position(|window| window == BETWEEN);
            rest = end.map(|end| &left[end + BETWEEN.len()..]).filter(|_| step + 1 < STEPS_MAX);
            take(desk, &left[..end.unwrap_or(left.len())], rest.is_none());
        }
    });
}

fn take(desk: &Desk, step: &[u8], dry: bool) {
    let [kind, object, body @ ..] = step else { return };
    let path = OBJECTS[usize::from(*object) % OBJECTS.len()];
    let kind = TYPES[usize::from(*kind) % TYPES.len()];
    let Answer::Whole(code, made) = send(desk, kind, path, body.to_vec(), dry) else { return };
    if code >= 300 {
        return;
    }
    let object: Value = serde_json::from_slice(&made).expect("an object");
    assert_eq!(object["metadata"]["name"], "a", "{object}");
    let again = send(desk, "application/json", path, made, true);
    let told = if let Answer::Refused(status) = &again { status.to_string() } else { String::new() };
    assert_eq!(again.code(), Some(200), "{told}: {object}");
}

fn send(desk: &Desk, kind: &str, path: &str, body: Vec<u8>, dry: bool) -> Answer {
    // Only what is applied may be forced.
    let force = if kind.contains("apply") { "&force=true" } else { "" };
    let dry = if dry { "&dryRun=All" } else { "" };
    let method = if kind.contains("patch") { Method::PATCH } else { Method::PUT };
    let request = Request::builder().method(method).uri(format!("{path}?fieldManager=fuzz{dry}{force}"));
    let request = request.header("content-type", kind).body(Body::from(body)).expect("a request");
    let answer = desk.ask(request);
    assert!(!matches!(answer, Answer::Stream), "an object is no stream");
    answer.demand(path);
    answer
}
