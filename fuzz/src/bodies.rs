//! Bodies in JSON, YAML and protobuf: a byte for the form, one for the kind, the body.

use bytes::Bytes;
use serde_json::Value;
use tinyplane_apiserver::codec::body::{Sent, Validation, as_json, decode};
use tinyplane_apiserver::codec::protobuf::{self, encode};
use tinyplane_apiserver::request::Warnings;
use tinyplane_apiserver::schema;
use tinyplane_wire::gvr::Gvk;

const FORMS: [&str; 3] = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
const KINDS: [(&str, &str); 6] = [
    ("v1", "Pod"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("apps/v1", "Deployment"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
];

/// What was decoded is decoded from its own JSON again, and is the same.
pub(crate) fn run(bytes: &[u8]) {
    let [form, kind, body @ ..] = bytes else { return };
    let (api_version, kind) = KINDS[usize::from(*kind) % KINDS.len()];
    let gvk = Gvk::parse(api_version, kind);
    let form = FORMS[usize::from(*form) % FORMS.len()];
    let Ok(sent) = as_json(form, Bytes::copy_from_slice(body), Some(&gvk)) else { return };
    let warnings = Warnings::default();
    let Ok(object) = decode(&gvk, None, &sent, Validation::Warn, &warnings) else { return };
    assert!(object.is_object(), "{object}");
    let text = object.to_string();
    let again = decode(&gvk, None, &Sent::json(text.into()), Validation::Strict, &Warnings::default());
    assert_eq!(again.expect("what was taken once is taken again"), object);
    // Through protobuf nothing changes any more once what Go holds by value stands there.
    let through = |object: &Value| {
        let written = encode::encode(schema::model(), object).expect("every kind has a message");
        protobuf::decode(schema::model(), &written).expect("what we write can be read")
    };
    let once = through(&object);
    assert_eq!(through(&once), once);
}
