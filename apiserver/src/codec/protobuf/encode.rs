//! Values as `application/vnd.kubernetes.protobuf`, byte for byte as Go's generated code writes them.
//!
//! That code writes fields in the order of their numbers. What Go holds by value is always written, zero or not; a
//! pointer, list, map or byte slice only where there is one. Maps are sorted by key.

use super::MAGIC;
use crate::registry::lone_metadata;
use crate::schema::model::{Field, Model, Scalar, Shape, Slot, TypeId};
use crate::schema::quantity::Quantity;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use std::borrow::Cow;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The content type.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
/// The content type of a watch.
pub const MEDIA_TYPE_WATCH: &str = "application/vnd.kubernetes.protobuf;stream=watch";
/// The envelope behind the object: no content encoding, no content type.
pub const TAIL: &[u8] = &[3 << 3 | 2, 0, 4 << 3 | 2, 0];

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

/// An object, list or `Status` in its envelope; `None` where its kind has no message.
#[must_use]
pub fn encode(model: &Model, value: &Value) -> Option<Vec<u8>> {
    let (version, kind) = (value["apiVersion"].as_str().unwrap_or_default(), value["kind"].as_str()?);
    let raw = match kind {
        "PartialObjectMetadata" => metadata(model, value)?,
        "PartialObjectMetadataList" => {
            let mut raw = list_head(model, &value["metadata"])?;
            for item in value["items"].as_array().into_iter().flatten() {
                let item = metadata(model, item)?;
                raw.extend_from_slice(&item_head(item.len()));
                raw.extend_from_slice(&item);
            }
            raw
        }
        _ => {
            // Documents of discovery say no version where JSON has none either.
            let said = if version.is_empty() { "v1" } else { version };
            let (group, version) = said.split_once('/').unwrap_or(("", said));
            object(model, model.kind(group, version, kind)?, value)
        }
    };
    Some(envelope(version, kind, &raw))
}

/// The message of a type, without an envelope.
#[must_use]
pub fn object(model: &Model, id: TypeId, value: &Value) -> Vec<u8> {
    let mut encoder = Encoder { model, out: Vec::with_capacity(1024) };
    encoder.message(id, value);
    encoder.out
}

/// The message of an object's metadata alone: a `PartialObjectMetadata`.
#[must_use]
pub fn metadata(model: &Model, value: &Value) -> Option<Vec<u8>> {
    let id = model.named(OBJECT_META)?;
    let mut encoder = Encoder { model, out: Vec::with_capacity(512) };
    encoder.nested(1, |encoder| encoder.message(id, &lone_metadata(value)));
    Some(encoder.out)
}

/// A list's message up to its items.
#[must_use]
pub fn list_head(model: &Model, metadata: &Value) -> Option<Vec<u8>> {
    let id = model.named(LIST_META)?;
    let mut encoder = Encoder { model, out: Vec::new() };
    encoder.nested(1, |encoder| encoder.message(id, metadata));
    Some(encoder.out)
}

/// What stands in a list's message before an item of so many bytes.
#[must_use]
pub fn item_head(bytes: usize) -> Vec<u8> {
    let mut out = vec![2 << 3 | 2];
    varint(&mut out, bytes as u64);
    out
}

/// A message in its envelope.
#[must_use]
pub fn envelope(version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let mut out = envelope_head(version, kind, raw.len());
    out.reserve_exact(raw.len() + TAIL.len());
    out.extend_from_slice(raw);
    out.extend_from_slice(TAIL);
    out
}

/// The envelope before a message of so many bytes; [`TAIL`] follows it.
#[must_use]
pub fn envelope_head(version: &str, kind: &str, bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(MAGIC.len() + version.len() + kind.len() + 16);
    out.extend_from_slice(MAGIC);
    nested(&mut out, 1, |out| {
        bytes_field(out, 1, version.as_bytes());
        bytes_field(out, 2, kind.as_bytes());
    });
    tag(&mut out, 2, 2);
    varint(&mut out, bytes as u64);
    out
}

/// Writes a frame of a watch: its length in four bytes, then a `WatchEvent` whose object is in an envelope.
pub fn frame(out: &mut Vec<u8>, event: &str, object: &[&[u8]]) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    bytes_field(out, 1, event.as_bytes());
    let bytes: usize = object.iter().map(|piece| piece.len()).sum();
    let mut inner = vec![1 << 3 | 2];
    varint(&mut inner, bytes as u64);
    tag(out, 2, 2);
    varint(out, (inner.len() + bytes) as u64);
    out.extend_from_slice(&inner);
    for piece in object {
        out.extend_from_slice(piece);
    }
    let length = u32::try_from(out.len() - start - 4).expect("an object is smaller than 4 GiB: the store limits it");
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

struct Encoder<'m> {
    model: &'m Model,
    out: Vec<u8>,
}

impl Encoder<'_> {
    fn message(&mut self, id: TypeId, value: &Value) {
        let model = self.model;
        let ty = model.get(id);
        for (number, slot) in model.message(id) {
            match slot {
                Slot::Embed(inner) => self.nested(*number, |encoder| encoder.message(*inner, value)),
                Slot::Field(index) => {
                    let field = &ty.fields[usize::from(*index)];
                    self.field(*number, field, value.get(field.name.as_str()).unwrap_or(&Value::Null));
                }
            }
        }
    }

    fn nested(&mut self, number: u32, write: impl FnOnce(&mut Self)) {
        tag(&mut self.out, number, 2);
        let start = open(&mut self.out);
        write(self);
        close(&mut self.out, start);
    }

    fn field(&mut self, number: u32, field: &Field, value: &Value) {
        match &field.shape {
            Shape::List(item) => {
                let Some(items) = value.as_array() else { return };
                if field.boxed {
                    self.nested(number, |encoder| encoder.items(1, item, items));
                } else {
                    self.items(number, item, items);
                }
            }
            Shape::Map(element) => {
                if let Some(map) = value.as_object() {
                    self.map(number, element, map);
                }
            }
            Shape::Scalar(Scalar::Bytes) if value.is_null() => {}
            _ if value.is_null() && field.pointer => {}
            shape => self.value(number, shape, value),
        }
    }

    fn items(&mut self, number: u32, item: &Shape, items: &[Value]) {
        for value in items {
            self.value(number, item, value);
        }
    }

    fn map(&mut self, number: u32, element: &Shape, map: &Map<String, Value>) {
        let mut entries: Vec<(&String, &Value)> = map.iter().collect();
        entries.sort_by_key(|(key, _)| *key);
        for (key, value) in entries {
            self.nested(number, |encoder| {
                bytes_field(&mut encoder.out, 1, key.as_bytes());
                if !(value.is_null() && *element == Shape::Scalar(Scalar::Bytes)) {
                    encoder.value(2, element, value);
                }
            });
        }
    }

    /// A value with its tag; zero for null.
    fn value(&mut self, number: u32, shape: &Shape, value: &Value) {
        match shape {
            Shape::Scalar(scalar) => self.scalar(number, *scalar, value),
            Shape::Object(id) => self.nested(number, |encoder| encoder.message(*id, value)),
            // A named list, such as the values of an `extra`, is a message with its items in field 1.
            Shape::List(item) => {
                let items = value.as_array().map_or(&[][..], |items| items);
                self.nested(number, |encoder| encoder.items(1, item, items));
            }
            // No type has a map of maps.
            Shape::Map(_) => {}
            Shape::SchemaOrArray(id) => self.nested(number, |encoder| match value {
                Value::Array(schemas) => encoder.items(2, &Shape::Object(*id), schemas),
                schema => encoder.value(1, &Shape::Object(*id), schema),
            }),
            Shape::SchemaOrStrings(id) => self.nested(number, |encoder| match value {
                Value::Array(strings) => encoder.items(2, &Shape::Scalar(Scalar::String), strings),
                schema => encoder.value(1, &Shape::Object(*id), schema),
            }),
            Shape::SchemaOrBool(id) => self.nested(number, |encoder| {
                let allows = value.as_bool().unwrap_or(value.is_object());
                number_field(&mut encoder.out, 1, u64::from(allows));
                if value.is_object() {
                    encoder.value(2, &Shape::Object(*id), value);
                }
            }),
        }
    }

    fn scalar(&mut self, number: u32, scalar: Scalar, value: &Value) {
        let out = &mut self.out;
        match scalar {
            Scalar::String => bytes_field(out, number, value.as_str().unwrap_or_default().as_bytes()),
            Scalar::Bool => number_field(out, number, u64::from(value.as_bool().unwrap_or_default())),
            Scalar::Int32 | Scalar::Int64 => number_field(out, number, integer(value)),
            Scalar::Double => {
                tag(out, number, 1);
                out.extend_from_slice(&value.as_f64().unwrap_or_default().to_le_bytes());
            }
            Scalar::Bytes => {
                let bytes = STANDARD.decode(value.as_str().unwrap_or_default()).unwrap_or_default();
                bytes_field(out, number, &bytes);
            }
            Scalar::Quantity => nested(out, number, |out| bytes_field(out, 1, quantity(value).as_bytes())),
            Scalar::Time | Scalar::MicroTime => nested(out, number, |out| moment(out, scalar, value)),
            Scalar::IntOrString => nested(out, number, |out| {
                number_field(out, 1, u64::from(value.is_string()));
                number_field(out, 2, integer(value));
                bytes_field(out, 3, value.as_str().unwrap_or_default().as_bytes());
            }),
            Scalar::Raw if value.is_string() => nested(out, number, |out| {
                bytes_field(out, 1, value.as_str().unwrap_or_default().as_bytes());
            }),
            Scalar::Fields | Scalar::Raw | Scalar::Json => nested(out, number, |out| {
                if !value.is_null() {
                    bytes_field(out, 1, value.to_string().as_bytes());
                }
            }),
            Scalar::Patch => nested(out, number, |_| {}),
        }
    }
}

/// A number as the varint that stands for it; 0 for what is none.
fn integer(value: &Value) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "whole numbers that were written with a fraction of zero")]
    let number = value.as_i64().or_else(|| value.as_f64().map(|number| number as i64));
    number.unwrap_or_default().cast_unsigned()
}

fn quantity(value: &Value) -> String {
    match value {
        Value::Null => "0".to_owned(),
        Value::String(text) => Quantity::written(text).map_or_else(|_| text.clone(), Cow::into_owned),
        other => Quantity::written(&other.to_string()).map_or_else(|_| other.to_string(), Cow::into_owned),
    }
}

/// Seconds and nanoseconds; nothing for what is no time, which stands for the zero time.
fn moment(out: &mut Vec<u8>, scalar: Scalar, value: &Value) {
    let Some(at) = value.as_str().and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok()) else { return };
    number_field(out, 1, at.unix_timestamp().cast_unsigned());
    let nanos = if scalar == Scalar::Time { 0 } else { at.microsecond() * 1000 };
    number_field(out, 2, u64::from(nanos));
}

fn tag(out: &mut Vec<u8>, number: u32, wire: u32) {
    varint(out, u64::from(number << 3 | wire));
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn number_field(out: &mut Vec<u8>, number: u32, value: u64) {
    tag(out, number, 0);
    varint(out, value);
}

fn bytes_field(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    tag(out, number, 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn nested(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    tag(out, number, 2);
    let start = open(out);
    write(out);
    close(out, start);
}

/// Leaves room for a length of one byte, which is enough for most messages.
fn open(out: &mut Vec<u8>) -> usize {
    out.push(0);
    out.len()
}

/// Writes the length of what stands behind `start` before it, and moves that where the length is longer.
fn close(out: &mut Vec<u8>, start: usize) {
    let length = out.len() - start;
    if let Ok(short @ 0..0x80) = u8::try_from(length) {
        out[start - 1] = short;
        return;
    }
    let mut digits = Vec::with_capacity(10);
    varint(&mut digits, length as u64);
    out.splice(start - 1..start, digits);
}
