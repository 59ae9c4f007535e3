//! Whole requests: a byte each for the method, the content type and what is accepted, a line with path and query, the body.

use crate::desk::ask;
use axum::body::Body;
use http::Request;

const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const TYPES: [&str; 8] = [
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
    "text/plain",
];
const ACCEPTED: [&str; 4] = [
    "application/json",
    "application/vnd.kubernetes.protobuf",
    "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
];

/// Whatever is asked, it is answered: never by a failure of the server's own.
pub(crate) fn run(bytes: &[u8]) {
    let [method, kind, accepted, rest @ ..] = bytes else { return };
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (line, body) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());
    let pick = |words: &[&'static str], byte: u8| words[usize::from(byte) % words.len()];
    let request = Request::builder()
        .method(pick(&METHODS, *method))
        .uri(line)
        .header("content-type", pick(&TYPES, *kind))
        .header("accept", pick(&ACCEPTED, *accepted))
        .body(Body::from(body.to_vec()));
    // What is no request never gets past HTTP.
    let Ok(request) = request else { return };
    let told = format!("{} {}", request.method(), request.uri());
    ask(request).demand(&told);
}
