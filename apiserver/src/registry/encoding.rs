//! Objects as stored bytes and back: `kind` and `apiVersion` first, so that a list's items skip them without a look.

use super::catalog::Resource;
use super::managers::folded;
use super::selection;
use crate::schema::fields::is_plain;
use crate::store::contract::Body;
use crate::store::entry::Entry;
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::sync::Arc;
use tinyplane_wire::gvr::Gvk;
use tinyplane_wire::meta::METADATA_ORDER;
use tinyplane_wire::status::{self, Status};

/// Room for the bytes of most objects.
const BYTES_EXPECTED: usize = 4 << 10;

/// With what the bytes of an object of this kind begin.
#[must_use]
pub fn head(gvk: &Gvk) -> Bytes {
    format!("{{\"kind\":\"{}\",\"apiVersion\":\"{}\",", gvk.kind, gvk.api_version()).into()
}

/// An object of the stored version, ready to be committed.
#[must_use]
pub fn body(resource: &Resource, object: &Value) -> Body {
    let (bytes, splice) = write(&resource.head, object, "");
    Body { bytes: bytes.into(), splice: Some(splice), attributes: Arc::new(selection::attributes(resource, object)) }
}

/// An object's bytes with this resource version, and where that stands.
fn write(head: &[u8], object: &Value, resource_version: &str) -> (Vec<u8>, usize) {
    let mut out = Vec::with_capacity(BYTES_EXPECTED);
    out.extend_from_slice(head);
    out.extend_from_slice(b"\"metadata\":{");
    let empty = Map::new();
    let metadata = object["metadata"].as_object().unwrap_or(&empty);
    let mut splice = 0;
    let rest = metadata.keys().map(String::as_str).filter(|name| !METADATA_ORDER.contains(name));
    for name in METADATA_ORDER.into_iter().chain(rest) {
        if name == "resourceVersion" {
            comma(&mut out);
            out.extend_from_slice(b"\"resourceVersion\":\"");
            splice = out.len();
            out.extend_from_slice(resource_version.as_bytes());
            out.push(b'"');
        } else if let Some(value) = metadata.get(name) {
            comma(&mut out);
            if name == "managedFields" {
                out.extend_from_slice(b"\"managedFields\":");
                folded::write(&mut out, value);
            } else {
                pair(&mut out, name, value);
            }
        }
    }
    out.push(b'}');
    for (name, value) in object.as_object().into_iter().flatten() {
        if !matches!(name.as_str(), "kind" | "apiVersion" | "metadata") {
            out.push(b',');
            pair(&mut out, name, value);
        }
    }
    out.push(b'}');
    (out, splice)
}

fn comma(out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
}

fn pair(out: &mut Vec<u8>, name: &str, value: &Value) {
    text(out, name);
    out.push(b':');
    spell(out, value);
}

/// What `serde_json` writes, in half the time: most texts need no look at each of their bytes.
pub(super) fn spell(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::String(string) => text(out, string),
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                spell(out, item);
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            out.push(b'{');
            for (at, (name, value)) in fields.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                pair(out, name, value);
            }
            out.push(b'}');
        }
        scalar => serde_json::to_writer(out, scalar).expect("a scalar is written to memory"),
    }
}

pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    if is_plain(text) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(out, text).expect("a text is written to memory");
    }
}

/// A stored object as a value, its kind and version included.
///
/// # Errors
/// The stored bytes are no JSON: the store was damaged.
pub fn parse(entry: &Entry) -> status::Result<Value> {
    serde_json::from_slice(&entry.bytes())
        .map_err(|error| Status::internal(format!("the stored object {} can't be read: {error}", entry.key)))
}

/// A stored object as it is changed: its managers' sets folded.
///
/// # Errors
/// The stored bytes are no JSON: the store was damaged.
pub fn parse_folded(entry: &Entry) -> status::Result<Value> {
    folded::read(&entry.bytes())
        .map_err(|error| Status::internal(format!("the stored object {} can't be read: {error}", entry.key)))
}

/// A value of the stored version in the version that a row serves.
pub fn serve(resource: &Resource, mut object: Value) -> Value {
    if let Some(conversion) = resource.conversion {
        (conversion.from_stored)(&mut object);
        object["kind"] = resource.gvk.kind.as_str().into();
        object["apiVersion"] = resource.gvk.api_version().into();
    }
    if let Some(custom) = &resource.custom {
        custom.read(&mut object);
    }
    object
}

/// The same of a value that is kept: copied only where it is converted.
#[must_use]
pub fn served<'v>(resource: &Resource, object: &'v Value) -> Cow<'v, Value> {
    match resource.conversion {
        None => Cow::Borrowed(object),
        Some(_) => Cow::Owned(serve(resource, object.clone())),
    }
}

/// A value of the version that a row serves in the stored version.
pub fn store(resource: &Resource, mut object: Value) -> Value {
    if let Some(conversion) = resource.conversion {
        (conversion.to_stored)(&mut object);
    }
    object["kind"] = resource.stored.kind.as_str().into();
    object["apiVersion"] = resource.stored.api_version().into();
    object
}

/// A stored object's bytes in the version that a row serves: as they are, or converted once and kept.
///
/// # Errors
/// The stored bytes are no JSON: the store was damaged.
pub fn served_bytes(resource: &Resource, entry: &Entry) -> status::Result<Bytes> {
    match resource.conversion {
        None => Ok(entry.bytes()),
        Some(conversion) => entry.form(conversion.form, |entry| {
            let object = serve(resource, parse(entry)?);
            Ok(value_bytes(&resource.gvk, &object))
        }),
    }
}

/// The bytes of a value of this kind, with the resource version that it has.
#[must_use]
pub fn value_bytes(gvk: &Gvk, object: &Value) -> Bytes {
    let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if version.is_empty() {
        return serde_json::to_vec(object).unwrap_or_default().into();
    }
    write(&head(gvk), object, version).0.into()
}

/// A stored object's bytes with another resource version: what a watcher is told of an object that left its selection.
///
/// # Errors
/// The stored bytes are no JSON: the store was damaged.
pub fn bytes_at(resource: &Resource, entry: &Entry, revision: u64) -> status::Result<Bytes> {
    if resource.conversion.is_some() {
        let mut object = serve(resource, parse(entry)?);
        object["metadata"]["resourceVersion"] = revision.to_string().into();
        return Ok(value_bytes(&resource.gvk, &object));
    }
    let (before, after) = entry.around_revision();
    let mut bytes = BytesMut::with_capacity(before.len() + after.len() + 20);
    bytes.put_slice(&before);
    bytes.put_slice(revision.to_string().as_bytes());
    bytes.put_slice(&after);
    Ok(bytes.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::catalog::Catalog;
    use serde_json::json;
    use tinyplane_wire::gvr::Gvr;

    #[test]
    fn bytes_hold_the_object_and_an_empty_place_for_its_revision() {
        let catalog = Catalog::builtin();
        let maps = catalog.get(&Gvr::new("", "v1", "configmaps")).unwrap();
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b\n"},
            "metadata": {"uid": "u", "name": "m", "labels": {"x": "y"}, "resourceVersion": "7"},
        });
        let body = body(maps, &object);
        let text = std::str::from_utf8(&body.bytes).unwrap();
        assert_eq!(
            text,
            r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"m","uid":"u","resourceVersion":"","labels":{"x":"y"}},"data":{"a":"b\n"}}"#
        );
        assert!(text[..body.splice.unwrap()].ends_with("\"resourceVersion\":\""));
        assert_eq!(body.attributes.label("x"), Some("y"));
    }

    #[test]
    fn what_is_spelled_is_what_serde_writes() {
        let value = json!({
            "plain": "é \u{7f}\u{2028}", "a\"b": "\u{1}\n\\", "n": [null, true, -1, 1.5e300, u64::MAX, [], {}, ""], "": {"x": {"y": "z"}},
        });
        let mut out = Vec::new();
        spell(&mut out, &value);
        assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
    }

    #[test]
    fn versions_convert_there_and_back() {
        let catalog = Catalog::builtin();
        let v1 = catalog.get(&Gvr::new("autoscaling", "v1", "horizontalpodautoscalers")).unwrap();
        let object = json!({
            "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"},
            "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 50},
        });
        let stored = store(v1, object.clone());
        assert_eq!(stored["apiVersion"], "autoscaling/v2");
        assert_eq!(stored["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 50);
        assert_eq!(serve(v1, stored), object);
        let events = catalog.get(&Gvr::new("events.k8s.io", "v1", "events")).unwrap();
        let event = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "note": "n", "regarding": {"name": "p"}});
        let stored = store(events, event.clone());
        assert_eq!((&stored["message"], &stored["apiVersion"]), (&json!("n"), &json!("v1")));
        assert_eq!(serve(events, stored), event);
    }
}
