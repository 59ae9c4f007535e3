//! Objects as stored bytes and back: `kind` and `apiVersion` first, so that a list's items skip them without a look.

use super::catalog::Resource;
use super::kinds::lone_metadata;
use super::managers::folded;
use super::selection;
use crate::schema::spelling::{self, Speller};
use crate::schema::{self, Shape, TypeId, is_hollow};
use crate::store::contract::Body;
use crate::store::entry::Entry;
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use tinyplane_wire::gvr::Gvk;
use tinyplane_wire::meta::METADATA_ORDER;
use tinyplane_wire::status::{self, Reason, Status};

/// Room for the bytes of most objects.
const BYTES_EXPECTED: usize = 4 << 10;

/// With what the bytes of an object of this kind begin.
#[must_use]
pub fn head(gvk: &Gvk) -> Bytes {
    format!("{{\"kind\":\"{}\",\"apiVersion\":\"{}\",", gvk.kind, gvk.api_version()).into()
}

/// Groups whose objects upstream stores as JSON, in which an empty list is one.
const STORED_AS_JSON: [&str; 2] = ["apiextensions.k8s.io", "apiregistration.k8s.io"];

/// Whether upstream stores the objects of a resource in protobuf.
fn forgets_empty(resource: &Resource) -> bool {
    !STORED_AS_JSON.contains(&resource.stored.group.as_str())
}

/// Completes an object of the stored version once all checks are done, as upstream does when it reads it back.
///
/// # Errors
/// The stored version of a custom object knows of an object within it, and that one's metadata are none: 500, as upstream has it.
pub fn read_back(resource: &Resource, object: &mut Value) -> status::Result<()> {
    (resource.behaviour.read_back)(object);
    if let Some(custom) = &resource.custom {
        // Its own version has read it already.
        if resource.gvk != resource.stored {
            custom.read_embedded(object).map_err(|why| Status::failure(Reason::Unknown, why))?;
        }
        custom.settle(object);
    }
    Ok(())
}

/// Takes for absent what upstream's store forgets, in an object that does not go there: [`body`] does so of one that does.
pub fn settle(resource: &Resource, object: &mut Value) {
    let Some(id) = resource.stored_type_id else { return };
    schema::default::leave_out(schema::model(), id, object);
    if forgets_empty(resource) {
        schema::default::forget_empty(schema::model(), id, object);
    }
}

/// An object of the stored version, ready to be committed.
#[must_use]
pub fn body(resource: &Resource, object: &Value) -> Body {
    let model = schema::model();
    let speller = if forgets_empty(resource) { Speller::as_stored(model) } else { Speller::new(model) };
    let (bytes, splice) = write(speller, &resource.stored, resource.stored_type_id, object, "");
    Body { bytes: bytes.into(), splice: Some(splice), attributes: Arc::new(selection::attributes(resource, object)) }
}

/// An object's bytes with this resource version, and where that stands. Upstream holds a built-in object in a struct, and a
/// custom one in a map, whose names it sorts.
fn write(
    speller: Speller<'_>,
    gvk: &Gvk,
    id: Option<TypeId>,
    object: &Value,
    resource_version: &str,
) -> (Vec<u8>, usize) {
    let mut out = Vec::with_capacity(BYTES_EXPECTED);
    let empty = Map::new();
    let fields = object.as_object().unwrap_or(&empty);
    let mut splice = 0;
    match id {
        Some(id) => {
            out.extend_from_slice(&head(gvk));
            splice = metadata(&mut out, true, &object["metadata"], resource_version);
            spelling::in_order(schema::model(), id, fields, |name, value, field| {
                if !matches!(name, "kind" | "apiVersion" | "metadata") {
                    comma(&mut out);
                    spelling::label(name, field, &mut out);
                    speller.field(field, value, &mut out);
                }
            });
        }
        None => {
            out.push(b'{');
            let version = Value::from(gvk.api_version());
            let kind = Value::from(gvk.kind.as_str());
            let mut said: BTreeMap<_, _> = fields.iter().map(|(name, value)| (name.as_str(), value)).collect();
            said.extend([("apiVersion", &version), ("kind", &kind)]);
            said.entry("metadata").or_insert(&Value::Null);
            for (name, value) in said {
                if name == "metadata" {
                    comma(&mut out);
                    splice = metadata(&mut out, false, value, resource_version);
                } else {
                    label(&mut out, name);
                    spelling::free(value, &mut out);
                }
            }
        }
    }
    out.push(b'}');
    (out, splice)
}

/// The bytes of an object's `PartialObjectMetadata`, which has a type whatever the object is.
#[must_use]
pub fn partial(meta: &str, object: &Value) -> Vec<u8> {
    let mut out = format!("{{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"{meta}\",").into_bytes();
    let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    metadata(&mut out, true, &lone_metadata(object), version);
    out.push(b'}');
    out
}

/// Writes metadata, and tells where its resource version stands.
fn metadata(out: &mut Vec<u8>, typed: bool, metadata: &Value, resource_version: &str) -> usize {
    let empty = Map::new();
    let metadata = metadata.as_object().unwrap_or(&empty);
    let said = metadata.iter().filter(|(name, value)| *name != "resourceVersion" && !is_hollow(value));
    let mut names: Vec<&str> = said.map(|(name, _)| name.as_str()).collect();
    names.push("resourceVersion");
    if typed {
        names.sort_by_key(|name| METADATA_ORDER.iter().position(|known| known == name).unwrap_or(usize::MAX));
    } else {
        names.sort_unstable();
    }
    out.extend_from_slice(b"\"metadata\":{");
    let mut splice = 0;
    for name in names {
        label(out, name);
        match name {
            "resourceVersion" => {
                out.push(b'"');
                splice = out.len();
                out.extend_from_slice(resource_version.as_bytes());
                out.push(b'"');
            }
            "managedFields" => folded::write(out, typed, &metadata[name]),
            "ownerReferences" if typed => owners(out, &metadata[name]),
            _ => spelling::free(&metadata[name], out),
        }
    }
    out.push(b'}');
    splice
}

/// Writes what an object belongs to.
fn owners(out: &mut Vec<u8>, owners: &Value) {
    let model = schema::model();
    match model.named(OWNER_REFERENCE) {
        Some(id) => Speller::new(model).shape(&Shape::List(Box::new(Shape::Object(id))), owners, out),
        None => spelling::free(owners, out),
    }
}

const OWNER_REFERENCE: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference";

fn comma(out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
}

/// Writes the name of a field, and what parts it from the one before and from its value.
fn label(out: &mut Vec<u8>, name: &str) {
    comma(out);
    spelling::text(name, out);
    out.push(b':');
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
    let is_other = resource.custom.is_some() && object["apiVersion"] != resource.gvk.api_version();
    if let Some(custom) = &resource.custom {
        custom.read(&mut object);
    }
    if let Some(conversion) = resource.conversion {
        (conversion.from_stored)(&mut object);
        object["kind"] = resource.gvk.kind.as_str().into();
        object["apiVersion"] = resource.gvk.api_version().into();
    }
    if let Some(custom) = resource.custom.as_ref().filter(|_| is_other) {
        // What another version has been completed by, or held, this one may not know.
        custom.settle(&mut object);
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
            Ok(value_bytes(resource, &object))
        }),
    }
}

/// The bytes of a value of the version that a row serves, with the resource version that it has.
#[must_use]
pub fn value_bytes(resource: &Resource, object: &Value) -> Bytes {
    let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if version.is_empty() {
        return serde_json::to_vec(object).unwrap_or_default().into();
    }
    write(Speller::new(schema::model()), &resource.gvk, resource.type_id, object, version).0.into()
}

/// A stored object's bytes with another resource version: what a watcher is told of an object that left its selection.
///
/// # Errors
/// The stored bytes are no JSON: the store was damaged.
pub fn bytes_at(resource: &Resource, entry: &Entry, revision: u64) -> status::Result<Bytes> {
    if resource.conversion.is_some() {
        let mut object = serve(resource, parse(entry)?);
        object["metadata"]["resourceVersion"] = revision.to_string().into();
        return Ok(value_bytes(resource, &object));
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
        assert_eq!(stored["reportingComponent"], "");
        assert_eq!(serve(events, stored), event);
    }
}
