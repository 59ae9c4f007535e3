//! `application/vnd.kubernetes.protobuf` bodies as values, by the field numbers of the schema.

pub mod encode;
#[cfg(test)]
mod tests;

use crate::schema::model::{Field, Model, Scalar, Shape, Slot, TypeId};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::macros::format_description;
use tinyplane_wire::gvr::Gvk;

/// With what every such body begins.
const MAGIC: &[u8] = b"k8s\0";
/// Messages in messages that are followed.
const DEPTH_MAX: usize = 100;
/// The options of a deletion, which clients send in whatever group they delete in.
const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";

/// A body that is no such object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// It does not begin as it should.
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    Magic,
    /// It breaks off.
    #[error("unexpected EOF")]
    Short,
    /// A number has too many bytes.
    #[error("proto: integer overflow")]
    Overflow,
    /// A field has another wire type than its number says.
    #[error("proto: wrong wireType = {found} for field {name}")]
    WireType {
        /// What was found.
        found: u64,
        /// The field.
        name: String,
    },
    /// A text is none.
    #[error("proto: field {0} contains invalid UTF-8")]
    Text(String),
    /// Too deep.
    #[error("exceeded max depth")]
    Depth,
    /// Nothing of this name is known.
    #[error("no kind {kind:?} is registered for version {version:?}")]
    Kind {
        /// The kind.
        kind: String,
        /// Its group and version.
        version: String,
    },
}

/// Decodes a body: the envelope, then the object in it. Kind and version are written in.
///
/// # Errors
/// When the bytes are no such object.
pub fn decode(model: &Model, bytes: &[u8]) -> Result<Value, ProtobufError> {
    let envelope = bytes.strip_prefix(MAGIC).ok_or(ProtobufError::Magic)?;
    let (mut version, mut kind, mut raw): (String, String, &[u8]) = (String::new(), String::new(), &[]);
    let mut reader = Reader(envelope);
    while let Some((number, wire)) = reader.tag()? {
        match (number, reader.value(wire)?) {
            (1, Wire::Bytes(meta)) => {
                let mut reader = Reader(meta);
                while let Some((number, wire)) = reader.tag()? {
                    match (number, reader.value(wire)?) {
                        (1, Wire::Bytes(text)) => version = String::from_utf8_lossy(text).into_owned(),
                        (2, Wire::Bytes(text)) => kind = String::from_utf8_lossy(text).into_owned(),
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(object)) => raw = object,
            _ => {}
        }
    }
    let gvk = Gvk::parse(&version, &kind);
    let known = match kind.as_str() {
        "DeleteOptions" => model.named(DELETE_OPTIONS),
        _ => model.kind(&gvk.group, &gvk.version, &gvk.kind),
    };
    let id = known.ok_or(ProtobufError::Kind { kind: kind.clone(), version: version.clone() })?;
    let mut object = Map::new();
    Decoder { model }.message(id, raw, &mut object, 0)?;
    object.insert("kind".into(), kind.into());
    object.insert("apiVersion".into(), version.into());
    Ok(Value::Object(object))
}

enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn tag(&mut self) -> Result<Option<(u32, u64)>, ProtobufError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| ProtobufError::Overflow)?;
        Ok(Some((number, tag & 7)))
    }

    fn value(&mut self, wire: u64) -> Result<Wire<'a>, ProtobufError> {
        match wire {
            0 => self.varint().map(Wire::Varint),
            1 => {
                let bytes = self.take(8)?;
                Ok(Wire::Fixed64(bytes.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte))))
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| ProtobufError::Overflow)?;
                self.take(length).map(Wire::Bytes)
            }
            5 => self.take(4).map(|_| Wire::Fixed32),
            found => Err(ProtobufError::WireType { found, name: String::new() }),
        }
    }

    fn varint(&mut self) -> Result<u64, ProtobufError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(ProtobufError::Short)?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(ProtobufError::Overflow)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ProtobufError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(ProtobufError::Short)?;
        self.0 = rest;
        Ok(taken)
    }
}

struct Decoder<'m> {
    model: &'m Model,
}

impl Decoder<'_> {
    fn message(
        &self,
        id: TypeId,
        bytes: &[u8],
        out: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), ProtobufError> {
        if depth > DEPTH_MAX {
            return Err(ProtobufError::Depth);
        }
        let (ty, slots) = (self.model.get(id), self.model.message(id));
        let mut reader = Reader(bytes);
        while let Some((number, wire)) = reader.tag()? {
            let value = reader.value(wire)?;
            // What is not known is skipped, as Go's decoder does.
            let Ok(at) = slots.binary_search_by_key(&number, |(number, _)| *number) else { continue };
            match (slots[at].1, value) {
                (Slot::Embed(inner), Wire::Bytes(bytes)) => self.message(inner, bytes, out, depth + 1)?,
                (Slot::Embed(_), _) => {}
                (Slot::Field(index), value) => self.field(&ty.fields[usize::from(index)], &value, wire, out, depth)?,
            }
        }
        Ok(())
    }

    fn field(
        &self,
        field: &Field,
        value: &Wire<'_>,
        wire: u64,
        out: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), ProtobufError> {
        let name = field.name.as_str();
        match &field.shape {
            Shape::List(item) => {
                let list = out.entry(name).or_insert_with(|| json!([]));
                let Some(list) = list.as_array_mut() else { return Ok(()) };
                match (&**item, value) {
                    (_, Wire::Bytes(bytes)) if field.boxed => {
                        if let Value::Array(items) = self.repeated(1, item, bytes, name, depth + 1)? {
                            list.extend(items);
                        }
                    }
                    (Shape::Scalar(Scalar::Int32 | Scalar::Int64), Wire::Bytes(packed)) => {
                        let mut reader = Reader(packed);
                        while !reader.0.is_empty() {
                            list.push(signed(reader.varint()?));
                        }
                    }
                    _ => list.push(self.value(item, value, wire, name, depth)?),
                }
            }
            Shape::Map(element) => {
                let Wire::Bytes(entry) = value else { return Err(wrong(wire, name)) };
                let (key, value) = self.entry(element, entry, name, depth)?;
                if let Some(map) = out.entry(name).or_insert_with(|| json!({})).as_object_mut() {
                    map.insert(key, value);
                }
            }
            shape => {
                let value = self.value(shape, value, wire, name, depth)?;
                out.insert(name.to_owned(), value);
            }
        }
        Ok(())
    }

    fn entry(&self, element: &Shape, bytes: &[u8], name: &str, depth: usize) -> Result<(String, Value), ProtobufError> {
        let (mut key, mut found) = (String::new(), None);
        let mut reader = Reader(bytes);
        while let Some((number, wire)) = reader.tag()? {
            let value = reader.value(wire)?;
            match (number, value) {
                (1, Wire::Bytes(bytes)) => key = text(bytes, name)?,
                (2, value) => found = Some(self.value(element, &value, wire, name, depth + 1)?),
                _ => {}
            }
        }
        let empty = || match element {
            Shape::Scalar(Scalar::String | Scalar::Bytes) => json!(""),
            _ => Value::Null,
        };
        Ok((key, found.unwrap_or_else(empty)))
    }

    fn value(
        &self,
        shape: &Shape,
        value: &Wire<'_>,
        wire: u64,
        name: &str,
        depth: usize,
    ) -> Result<Value, ProtobufError> {
        match (shape, value) {
            (Shape::Scalar(scalar), value) => scalar_value(*scalar, value, wire, name),
            (Shape::Object(id), Wire::Bytes(bytes)) => {
                let mut object = Map::new();
                self.message(*id, bytes, &mut object, depth + 1)?;
                Ok(Value::Object(object))
            }
            // A named list, such as the values of an `extra`, is a message with its items in field 1.
            (Shape::List(item), Wire::Bytes(bytes)) => self.repeated(1, item, bytes, name, depth + 1),
            (Shape::SchemaOrArray(id), Wire::Bytes(bytes)) => {
                let one = self.optional(1, &Shape::Object(*id), bytes, name, depth + 1)?;
                match one {
                    Some(schema) => Ok(schema),
                    None => self.repeated(2, &Shape::Object(*id), bytes, name, depth + 1),
                }
            }
            (Shape::SchemaOrBool(id), Wire::Bytes(bytes)) => {
                match self.optional(2, &Shape::Object(*id), bytes, name, depth + 1)? {
                    Some(schema) => Ok(schema),
                    None => {
                        let allows = self.optional(1, &Shape::Scalar(Scalar::Bool), bytes, name, depth + 1)?;
                        Ok(allows.unwrap_or(Value::Bool(false)))
                    }
                }
            }
            (Shape::SchemaOrStrings(id), Wire::Bytes(bytes)) => {
                match self.optional(1, &Shape::Object(*id), bytes, name, depth + 1)? {
                    Some(schema) => Ok(schema),
                    None => self.repeated(2, &Shape::Scalar(Scalar::String), bytes, name, depth + 1),
                }
            }
            _ => Err(wrong(wire, name)),
        }
    }

    fn optional(
        &self,
        number: u32,
        shape: &Shape,
        bytes: &[u8],
        name: &str,
        depth: usize,
    ) -> Result<Option<Value>, ProtobufError> {
        let (mut reader, mut found) = (Reader(bytes), None);
        while let Some((at, wire)) = reader.tag()? {
            let value = reader.value(wire)?;
            if at == number {
                found = Some(self.value(shape, &value, wire, name, depth)?);
            }
        }
        Ok(found)
    }

    fn repeated(
        &self,
        number: u32,
        shape: &Shape,
        bytes: &[u8],
        name: &str,
        depth: usize,
    ) -> Result<Value, ProtobufError> {
        let (mut reader, mut items) = (Reader(bytes), Vec::new());
        while let Some((at, wire)) = reader.tag()? {
            let value = reader.value(wire)?;
            if at == number {
                items.push(self.value(shape, &value, wire, name, depth)?);
            }
        }
        Ok(Value::Array(items))
    }
}

fn wrong(found: u64, name: &str) -> ProtobufError {
    ProtobufError::WireType { found, name: name.to_owned() }
}

fn text(bytes: &[u8], name: &str) -> Result<String, ProtobufError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| ProtobufError::Text(name.to_owned()))
}

/// A varint as the signed number that it stands for.
fn signed(number: u64) -> Value {
    number.cast_signed().into()
}

fn scalar_value(scalar: Scalar, value: &Wire<'_>, wire: u64, name: &str) -> Result<Value, ProtobufError> {
    Ok(match (scalar, value) {
        (Scalar::String, Wire::Bytes(bytes)) => text(bytes, name)?.into(),
        (Scalar::Bytes, Wire::Bytes(bytes)) => STANDARD.encode(bytes).into(),
        (Scalar::Bool, Wire::Varint(n)) => (*n != 0).into(),
        (Scalar::Int32 | Scalar::Int64, Wire::Varint(n)) => signed(*n),
        (Scalar::Double, Wire::Fixed64(bits)) => f64::from_bits(*bits).into(),
        (Scalar::Quantity, Wire::Bytes(bytes)) => text(sub(bytes, 1)?, name)?.into(),
        (Scalar::Time | Scalar::MicroTime, Wire::Bytes(bytes)) => moment(scalar, bytes)?,
        (Scalar::IntOrString, Wire::Bytes(bytes)) => match number(bytes, 1)? {
            Some(1) => text(sub(bytes, 3)?, name)?.into(),
            _ => number(bytes, 2)?.unwrap_or_default().into(),
        },
        (Scalar::Fields | Scalar::Json, Wire::Bytes(bytes)) => {
            serde_json::from_slice(sub(bytes, 1)?).unwrap_or(Value::Null)
        }
        (Scalar::Raw, Wire::Bytes(bytes)) => raw(sub(bytes, 1)?),
        (Scalar::Patch, Wire::Bytes(_)) => json!({}),
        _ => return Err(wrong(wire, name)),
    })
}

/// Raw JSON as the text of it.
fn raw(bytes: &[u8]) -> Value {
    let is_something = serde_json::from_slice::<Value>(bytes).is_ok_and(|value| !value.is_null());
    std::str::from_utf8(bytes).ok().filter(|_| is_something).map_or(Value::Null, Value::from)
}

/// The bytes of a message's field; empty where it has none.
fn sub(bytes: &[u8], wanted: u32) -> Result<&[u8], ProtobufError> {
    let (mut reader, mut found): (Reader<'_>, &[u8]) = (Reader(bytes), &[]);
    while let Some((number, wire)) = reader.tag()? {
        if let (true, Wire::Bytes(bytes)) = (number == wanted, reader.value(wire)?) {
            found = bytes;
        }
    }
    Ok(found)
}

fn number(bytes: &[u8], wanted: u32) -> Result<Option<i64>, ProtobufError> {
    let (mut reader, mut found) = (Reader(bytes), None);
    while let Some((number, wire)) = reader.tag()? {
        if let (true, Wire::Varint(n)) = (number == wanted, reader.value(wire)?) {
            found = Some(n.cast_signed());
        }
    }
    Ok(found)
}

/// Seconds and nanoseconds as text; nothing for the zero time, which an empty message means.
fn moment(scalar: Scalar, bytes: &[u8]) -> Result<Value, ProtobufError> {
    let (seconds, nanos) = (number(bytes, 1)?, number(bytes, 2)?.unwrap_or_default());
    if seconds.is_none() && nanos == 0 {
        return Ok(Value::Null);
    }
    let Ok(at) = OffsetDateTime::from_unix_timestamp(seconds.unwrap_or_default()) else { return Ok(Value::Null) };
    let at = u32::try_from(nanos).ok().and_then(|nanos| at.replace_nanosecond(nanos).ok()).unwrap_or(at);
    let written = match scalar {
        Scalar::Time => at.format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z")),
        _ => at.format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z")),
    };
    Ok(written.unwrap_or_default().into())
}
