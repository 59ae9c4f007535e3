//! Stored objects in other letters than their own: made at first use, kept with the object, shared by all readers.

use super::catalog::Resource;
use super::encoding;
use crate::codec::accept::META_V1;
use crate::codec::protobuf::encode;
use crate::schema;
use crate::store::entry::Entry;
use crate::store::forms::FormId;
use bytes::Bytes;
use serde_json::Value;
use tinyplane_wire::status::{self, Status};

/// Added to the number of a conversion, or to 0 where there is none: the protobuf message of that version.
const MESSAGE: u32 = 0x100;
/// `PartialObjectMetadata` as JSON, of [`META_V1`]. Metadata is the same in every version of a kind.
const METADATA_JSON: FormId = FormId(0x200);
/// `PartialObjectMetadata` as a protobuf message.
const METADATA_MESSAGE: FormId = FormId(0x201);

/// The number of the conversion that a row's objects go through; 0 where there is none.
fn converted(resource: &Resource) -> u32 {
    resource.conversion.map_or(0, |conversion| conversion.form.0)
}

/// The number of a row's JSON, among all encodings of the objects in its folder.
#[must_use]
pub fn text_form(resource: &Resource) -> Option<FormId> {
    let named = resource.conversion.is_some() || resource.gvk == resource.stored;
    named.then(|| FormId(converted(resource)))
}

/// The number of a row's messages, likewise.
#[must_use]
pub fn message_form(resource: &Resource) -> Option<FormId> {
    text_form(resource).map(|text| FormId(MESSAGE | text.0))
}

/// Whether the objects of a row have a protobuf message: those of built-in kinds.
#[must_use]
pub fn has_message(resource: &Resource) -> bool {
    resource.type_id.is_some()
}

/// The message of an object in the version that its row serves, without an envelope.
///
/// # Errors
/// The stored bytes can't be read, or the kind has no message.
pub fn message(resource: &Resource, entry: &Entry) -> status::Result<Bytes> {
    let form = FormId(MESSAGE | converted(resource));
    entry.form(form, |entry| message_of(resource, &encoding::serve(resource, encoding::parse(entry)?)))
}

/// The same of a value in the version that its row serves.
///
/// # Errors
/// The kind has no message.
pub fn message_of(resource: &Resource, served: &Value) -> status::Result<Bytes> {
    let id = resource.type_id.ok_or_else(|| Status::internal(format!("{} has no message", resource.gvk.kind)))?;
    Ok(encode::object(schema::model(), id, served).into())
}

/// `PartialObjectMetadata` of an object as JSON, in [`META_V1`].
///
/// # Errors
/// The stored bytes can't be read.
pub fn metadata_json(entry: &Entry) -> status::Result<Bytes> {
    entry.form(METADATA_JSON, |entry| Ok(encoding::partial(META_V1, &encoding::parse(entry)?).into()))
}

/// `PartialObjectMetadata` of an object as a protobuf message, without an envelope.
///
/// # Errors
/// The stored bytes can't be read.
pub fn metadata_message(entry: &Entry) -> status::Result<Bytes> {
    entry.form(METADATA_MESSAGE, |entry| {
        let message = encode::metadata(schema::model(), &encoding::parse(entry)?);
        message.map(Bytes::from).ok_or_else(|| Status::internal("metadata has no message"))
    })
}
