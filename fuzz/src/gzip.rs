//! Packed bodies: what a client sends as gzip.

use crate::desk::{Answer, with};
use axum::body::Body;
use flate2::read::MultiGzDecoder;
use http::Request;
use std::io::Read;

const MAPS: &str = "/api/v1/namespaces/default/configmaps?dryRun=All";
/// Most bytes of a body, packed or not.
const BODY_BYTES_MAX: u64 = 3 << 20;

/// A packed body is answered as if it were not packed, and one that is none is refused.
pub(crate) fn run(bytes: &[u8]) {
    let mut plain = Vec::new();
    let read = MultiGzDecoder::new(bytes).take(BODY_BYTES_MAX + 1).read_to_end(&mut plain);
    let answer = post(bytes.to_vec(), true);
    match read {
        Err(_) => assert_eq!(answer, 400, "no gzip"),
        Ok(_) if plain.len() as u64 > BODY_BYTES_MAX => assert_eq!(answer, 413, "{} bytes", bytes.len()),
        Ok(_) => assert_eq!(answer, post(plain, false)),
    }
}

fn post(body: Vec<u8>, packed: bool) -> u16 {
    let mut request = Request::post(MAPS).header("content-type", "application/json");
    if packed {
        request = request.header("content-encoding", "gzip");
    }
    match with(|desk| desk.ask(request.body(Body::from(body)).expect("a request"))) {
        Answer::Whole(code, _) => code,
        Answer::Refused(status) => status.code,
        Answer::Stream => panic!("a map is no stream"),
    }
}
