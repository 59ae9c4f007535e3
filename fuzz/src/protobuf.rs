//! Objects in Kubernetes' protobuf.

use serde_json::Value;
use tinyplane_apiserver::codec::protobuf::{decode, encode};
use tinyplane_apiserver::schema;

/// What was decoded is encoded, and decoded again the same.
pub(crate) fn run(bytes: &[u8]) {
    let model = schema::model();
    let Ok(value) = decode(model, bytes) else { return };
    let Some(written) = encode::encode(model, &value) else { return };
    // What Go holds by value is written whether it is there or not: once through, nothing changes any more.
    let once = decode(model, &written).expect("what we write can be read");
    let again = encode::encode(model, &once).expect("it was written before");
    assert_eq!(decode(model, &again).expect("what we write can be read"), once);
    let name = |value: &Value| value["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    assert_eq!(name(&once), name(&value));
}
