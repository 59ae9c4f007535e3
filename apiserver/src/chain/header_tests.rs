//! The headers of answers, held against those of a real server.

use super::tests::chain;
use super::*;
use crate::flow_control::Limits;
use crate::registry::tests::World;
use std::collections::BTreeSet;
use std::path::Path;

/// Headers that a real server sends and this one does not, or the other way round, and why.
const EXCEPTIONS: [(&str, &str); 6] = [
    ("date", "it is added where connections are served"),
    ("content-length", "it is added where connections are served"),
    ("accept-ranges", "documents are sent as wholes"),
    ("last-modified", "documents are known by their ETags"),
    ("etag", "the index of OpenAPI has one here, which spares clients a body"),
    ("vary", "the index of OpenAPI may be compressed here"),
];
/// Headers whose values are those of one run.
const OF_THE_RUN: [&str; 4] =
    ["audit-id", "etag", "x-kubernetes-pf-flowschema-uid", "x-kubernetes-pf-prioritylevel-uid"];

struct Told<'a> {
    path: &'a str,
    accept: Option<&'a str>,
    code: u16,
    headers: BTreeSet<(String, String)>,
}

/// One answer of the file: the request, the line with the code, the headers.
fn read(block: &str) -> Option<Told<'_>> {
    let mut lines = block.trim().lines();
    let (path, accept) = lines.next()?.strip_prefix("GET ")?.split_once("  Accept: ")?;
    let code = lines.next()?.split_whitespace().nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| comparable(name, value)).collect();
    Some(Told { path, accept: Some(accept).filter(|accept| *accept != "None"), code, headers })
}

fn comparable(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), if OF_THE_RUN.contains(&name) { String::new() } else { value.trim().to_owned() })
}

#[tokio::test]
async fn headers_are_those_of_a_real_server_but_for_those_that_are_named() {
    let shared = option_env!("TINYPLANE_SHARED").unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared"));
    let file = Path::new(shared).join("kubernetes-1.36/fresh-cluster/headers.txt");
    let Ok(text) = std::fs::read_to_string(&file) else {
        eprintln!("PASSED OVER: {} is not there, so headers are compared with nothing", file.display());
        return;
    };
    let world = World::new().await;
    let chain = Chain { flow_control: Arc::new(FlowControl::new(&world.registry, Limits::default())), ..chain() };
    let mut compared = 0;
    // Resources are served elsewhere.
    for told in text.split("\n\n").filter_map(read).filter(|told| !told.path.starts_with("/api/v1/")) {
        let mut request = Request::builder().uri(told.path).header("authorization", "Bearer admin");
        if let Some(accept) = told.accept {
            request = request.header(ACCEPT, accept);
        }
        let response = chain.answer(request.body(Body::empty()).unwrap(), Peer::nobody()).await;
        assert_eq!(response.status().as_u16(), told.code, "{}", told.path);
        let ours: BTreeSet<_> =
            response.headers().iter().map(|(name, value)| comparable(name.as_str(), value.to_str().unwrap())).collect();
        let differing: Vec<_> = ours
            .symmetric_difference(&told.headers)
            .filter(|(name, _)| !EXCEPTIONS.iter().any(|(known, _)| known == name))
            .collect();
        assert!(differing.is_empty(), "{} {:?}: {differing:?}", told.path, told.accept);
        compared += 1;
    }
    assert!(compared >= 8, "{compared}");
}
