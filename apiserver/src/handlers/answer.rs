//! Objects as answers, in the form that the client wants.

use super::{Ask, Handlers};
use crate::codec::accept::{self, Form, Media};
use crate::codec::partial;
use crate::codec::table::{self, Include};
use crate::registry::create::Object;
use crate::registry::encoding;
use crate::respond;
use axum::body::Body;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use tinyplane_wire::status::{self, Status};

const YAML: HeaderValue = HeaderValue::from_static("application/yaml");

impl Handlers {
    /// An object as an answer.
    pub(super) fn answer(&self, ask: &Ask<'_>, code: StatusCode, object: &Object) -> status::Result<Response<Body>> {
        let accept = accept::of(ask.call)?;
        match accept.form {
            Form::Object => {}
            Form::Table => {
                let value = object.value()?;
                let metadata = json!({"resourceVersion": value["metadata"]["resourceVersion"]});
                let now = self.registry.clock().now();
                let table = table::of(&ask.resource, &metadata, &[value], Include::of(ask.call)?, true, now);
                return write(ask, code, accept.media, &table);
            }
            Form::Metadata => return write(ask, code, accept.media, &partial::of(&object.value()?)),
        }
        let plain = accept.media == Media::Json && !respond::wants_pretty(&ask.call.query, &ask.call.headers);
        match object {
            Object::Stored(entry) if plain => {
                Ok(respond::bytes_of(code, respond::JSON, encoding::served_bytes(&ask.resource, entry)?))
            }
            object => write(ask, code, accept.media, &encoding::serve(&ask.resource, object.value()?)),
        }
    }
}

/// A value as an answer.
pub(super) fn write(ask: &Ask<'_>, code: StatusCode, media: Media, value: &Value) -> status::Result<Response<Body>> {
    match media {
        Media::Json => Ok(respond::json(code, value, respond::wants_pretty(&ask.call.query, &ask.call.headers))),
        Media::Yaml => {
            let text = serde_saphyr::to_string(value).map_err(Status::internal)?;
            Ok(respond::bytes_of(code, YAML, text))
        }
    }
}

/// A value as an answer in the letters that the client wants.
pub(super) fn value(ask: &Ask<'_>, code: StatusCode, value: &Value) -> status::Result<Response<Body>> {
    write(ask, code, accept::of(ask.call)?.media, value)
}
