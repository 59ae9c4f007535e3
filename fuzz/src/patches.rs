//! Patches of a Deployment, a ConfigMap and a Service: a byte for the type, one for the object, the patch.

use crate::desk::{Answer, ask};
use axum::body::Body;
use http::Request;
use serde_json::Value;
use tinyplane_wire::status::Reason;

const TYPES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];
const OBJECTS: [&str; 3] = [
    "/apis/apps/v1/namespaces/default/deployments/a",
    "/api/v1/namespaces/default/configmaps/a",
    "/api/v1/namespaces/default/services/a",
];

/// A patch makes an object of the same name, or is refused by who wrote it.
pub(crate) fn run(bytes: &[u8]) {
    let [kind, object, patch @ ..] = bytes else { return };
    let path = OBJECTS[usize::from(*object) % OBJECTS.len()];
    let kind = TYPES[usize::from(*kind) % TYPES.len()];
    // Only what is applied may be forced.
    let force = if kind.contains("apply") { "&force=true" } else { "" };
    let request = Request::patch(format!("{path}?dryRun=All&fieldManager=fuzz{force}"))
        .header("content-type", kind)
        .body(Body::from(patch.to_vec()))
        .expect("a request");
    match ask(request) {
        Answer::Whole(code, body) if code < 300 => {
            let object: Value = serde_json::from_slice(&body).expect("an object");
            assert_eq!(object["metadata"]["name"], "a", "{object}");
        }
        Answer::Whole(code, _) => assert!(code < 500, "{code}"),
        // A patch that can't be laid over gets upstream's 500, which has no reason.
        Answer::Refused(status) => assert!(status.reason != Reason::InternalError, "{status}"),
        Answer::Stream => panic!("a patch is no stream"),
    }
}
