//! The same objects in protobuf: alone, in lists, in watches, and as failures.

use super::*;
use crate::codec::protobuf::decode;
use crate::schema;
use futures_util::StreamExt;
use http_body_util::BodyStream;

const PROTOBUF: (&str, &str) = ("accept", "application/vnd.kubernetes.protobuf,application/json");

async fn read(response: Response<Body>) -> (String, Vec<u8>) {
    let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (content_type, bytes.to_vec())
}

/// A body as a value, without the zeros that Go writes.
fn value(bytes: &[u8]) -> Value {
    fn pruned(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.values_mut().for_each(pruned);
                fields.retain(|_, value| *value != json!("") && *value != json!(0) && !value.is_null());
            }
            Value::Array(items) => items.iter_mut().for_each(pruned),
            _ => {}
        }
    }
    let mut value = decode(schema::model(), bytes).unwrap();
    pruned(&mut value);
    value
}

#[tokio::test]
async fn objects_lists_and_failures_are_written_in_protobuf() {
    let desk = Desk::new().await;
    for name in ["a", "b"] {
        desk.made(MAPS, map(name)).await;
    }
    let (content_type, bytes) = read(desk.call("GET", &format!("{MAPS}/a"), &[PROTOBUF], "").await).await;
    assert_eq!(content_type, "application/vnd.kubernetes.protobuf");
    assert_eq!(value(&bytes), desk.get(&format!("{MAPS}/a")).await.value);
    for _ in 0..2 {
        let (_, bytes) = read(desk.call("GET", MAPS, &[PROTOBUF], "").await).await;
        assert_eq!(value(&bytes), desk.get(MAPS).await.value);
    }
    let (content_type, bytes) = read(desk.call("GET", &format!("{MAPS}/none"), &[PROTOBUF], "").await).await;
    assert_eq!(content_type, "application/vnd.kubernetes.protobuf");
    let failure = value(&bytes);
    assert_eq!((&failure["kind"], &failure["code"]), (&json!("Status"), &json!(404)));
    let (_, bytes) = read(desk.call("DELETE", &format!("{MAPS}/a"), &[PROTOBUF], "").await).await;
    assert_eq!(value(&bytes)["status"], "Success");
    let metadata = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let (_, bytes) = read(desk.call("GET", MAPS, &[("accept", metadata)], "").await).await;
    assert!(bytes.windows(25).any(|part| part == b"PartialObjectMetadataList"));
    assert!(!bytes.windows(6).any(|part| part == b"\x0a\x01a\x12\x011"), "no data");
}

#[tokio::test]
async fn a_watch_in_protobuf_frames_each_event_by_its_length() {
    let desk = Desk::new().await;
    let made = desk.made(MAPS, map("a")).await;
    let uri = format!("{MAPS}?watch=1&resourceVersion=0");
    let response = desk.call("GET", &uri, &[("accept", "application/vnd.kubernetes.protobuf;stream=watch")], "").await;
    assert_eq!(response.headers()["content-type"], "application/vnd.kubernetes.protobuf;stream=watch");
    let mut body = BodyStream::new(response.into_body());
    let next = tokio::time::timeout(Duration::from_secs(5), body.next()).await.expect("frames come in time");
    let frame = next.unwrap().unwrap().into_data().unwrap();
    let length = u32::from_be_bytes(frame[..4].try_into().unwrap()) as usize;
    assert!(frame.len() >= 4 + length && frame[4..].starts_with(b"\x0a\x05ADDED\x12"));
    let object = frame[..4 + length].windows(4).position(|part| part == b"k8s\0").unwrap();
    assert_eq!(value(&frame[object..4 + length]), made);
    assert_eq!(desk.ask("GET", &uri, &[("accept", "application/yaml")], "").await.code, 406);
}

#[tokio::test]
async fn cbor_is_neither_written_nor_read() {
    let desk = Desk::new().await;
    assert_eq!(desk.ask("GET", MAPS, &[("accept", "application/cbor")], "").await.code, 406);
    assert_eq!(desk.ask("POST", MAPS, &[("content-type", "application/cbor")], "").await.code, 415);
}

#[tokio::test]
async fn long_lists_are_compressed_for_those_who_accept_it() {
    let desk = Desk::new().await;
    for at in 0..3 {
        let mut object = map(&format!("long-{at}"));
        object["data"]["a"] = "x".repeat(60_000).into();
        desk.made(MAPS, object).await;
    }
    let gzip = ("accept-encoding", "gzip");
    let response = desk.call("GET", MAPS, &[gzip], "").await;
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let (_, bytes) = read(response).await;
    let list: Value = serde_json::from_reader(flate2::read::GzDecoder::new(&bytes[..])).unwrap();
    assert_eq!(list, desk.get(MAPS).await.value);
    let short = desk.call("GET", &format!("{MAPS}/long-1"), &[gzip], "").await;
    assert!(!short.headers().contains_key("content-encoding"));
}
