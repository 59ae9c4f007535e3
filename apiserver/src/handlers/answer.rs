//! Objects as answers, in the form that the client wants.

use super::{Ask, Handlers};
use crate::codec::accept::{Form, Media};
use crate::codec::partial;
use crate::codec::pieces::Pieces;
use crate::codec::protobuf::encode;
use crate::codec::table::{self, Include};
use crate::registry::create::Object;
use crate::registry::{encoded, encoding};
use crate::respond;
use axum::body::Body;
use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::Value;
use tinyplane_wire::status;

impl Handlers {
    /// An object as an answer.
    pub(super) fn answer(&self, ask: &Ask<'_>, code: StatusCode, object: &Object) -> status::Result<Response<Body>> {
        let accept = ask.accept()?;
        accept.demand_shape(false, || ask.go_type(""))?;
        let pretty = ask.wants_pretty()?;
        match accept.form {
            Form::Object => {}
            Form::Table => {
                let value = object.value()?;
                let metadata = table::metadata_of(&value);
                let now = (accept.meta, self.registry.clock().now());
                let table = table::of(&ask.resource, &metadata, &[value], Include::of(ask.call)?, true, now);
                return write(ask, code, accept.media, &table);
            }
            Form::Metadata if accept.media == Media::Json => {
                return Ok(respond::spelled_json(code, encoding::partial(accept.meta, &object.value()?), pretty));
            }
            Form::Metadata => return write(ask, code, accept.media, &partial::of(accept.meta, &object.value()?)),
        }
        match (object, accept.media) {
            (Object::Stored(entry), Media::Json) if !pretty => {
                let mut pieces = Pieces::with_capacity(2);
                pieces.push(encoding::served_bytes(&ask.resource, entry)?);
                pieces.push(Bytes::from_static(b"\n"));
                Ok(respond::body_of(code, respond::JSON, Body::new(pieces)))
            }
            (Object::Stored(entry), Media::Protobuf) => {
                let (gvk, message) = (&ask.resource.gvk, encoded::message(&ask.resource, entry)?);
                let bytes = encode::envelope(&gvk.api_version(), &gvk.kind, &message);
                Ok(respond::bytes_of(code, Media::Protobuf.content_type(), bytes))
            }
            (object, media) => write(ask, code, media, &encoding::serve(&ask.resource, object.value()?)),
        }
    }
}

/// A value as an answer.
pub(super) fn write(ask: &Ask<'_>, code: StatusCode, media: Media, value: &Value) -> status::Result<Response<Body>> {
    respond::value(code, value, media, ask.wants_pretty()?)
}

/// What is no object of the row's own, as an answer in the form that the client wants.
pub(super) fn value(ask: &Ask<'_>, code: StatusCode, value: &Value) -> status::Result<Response<Body>> {
    let accept = ask.accept()?;
    if accept.form != Form::Metadata || value["kind"] == "Status" {
        return write(ask, code, accept.media, value);
    }
    let group = value["apiVersion"].as_str().and_then(|version| version.split(['.', '/']).next()).unwrap_or_default();
    accept.demand_shape(false, || format!("{group}.{}", value["kind"].as_str().unwrap_or_default()))?;
    write(ask, code, accept.media, &partial::of(accept.meta, value))
}
