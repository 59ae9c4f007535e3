//! GET of a collection: slices of stored bytes, joined.

use super::answer::write;
use super::{Ask, Handlers, options};
use crate::codec::accept::{self, Form, Media};
use crate::codec::partial;
use crate::codec::table::{self, Include};
use crate::registry::list::Page;
use crate::registry::selection::Selection;
use crate::registry::{create::Object, encoding};
use crate::respond;
use axum::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};
use tinyplane_wire::status::{self, Status};

impl Handlers {
    pub(super) fn list(&self, ask: &Ask<'_>) -> status::Result<Response<Body>> {
        let accept = accept::of(ask.call)?;
        let page = self.registry.list(&ask.resource, &selection(ask)?, &options::list(&ask.call.query)?)?;
        let metadata = metadata(&page);
        let pretty = respond::wants_pretty(&ask.call.query, &ask.call.headers);
        if accept.form == Form::Object && accept.media == Media::Json && !pretty {
            return Ok(respond::bytes_of(StatusCode::OK, respond::JSON, joined(ask, &page, &metadata)?));
        }
        let objects: Vec<Value> = page.entries.iter().map(|entry| encoding::parse(entry)).collect::<Result<_, _>>()?;
        let value = match accept.form {
            Form::Table => {
                let now = self.registry.clock().now();
                table::of(&ask.resource, &metadata, &objects, Include::of(ask.call)?, true, now)
            }
            Form::Metadata => partial::list(&metadata, &objects.iter().map(partial::of).collect::<Vec<_>>()),
            Form::Object => whole(ask, &metadata, objects),
        };
        write(ask, StatusCode::OK, accept.media, &value)
    }

    /// What a deletion of a collection answers.
    pub(super) fn list_of(&self, ask: &Ask<'_>, objects: &[Object]) -> status::Result<Response<Body>> {
        let metadata = json!({"resourceVersion": self.registry.revision().to_string()});
        let objects: Vec<Value> = objects.iter().map(Object::value).collect::<Result<_, _>>()?;
        write(ask, StatusCode::OK, accept::of(ask.call)?.media, &whole(ask, &metadata, objects))
    }
}

/// What a call selects.
pub(super) fn selection(ask: &Ask<'_>) -> status::Result<Selection> {
    let query = &ask.call.query;
    let (labels, fields) = (query.text("labelSelector"), query.text("fieldSelector"));
    if ask.name.is_empty() {
        return Selection::parse(&ask.resource, ask.namespace, labels, fields);
    }
    // The old paths below /watch/ may name an object.
    let named = format!("metadata.name={}", ask.name);
    let selection =
        Selection::parse(&ask.resource, ask.namespace, labels, if fields.is_empty() { &named } else { fields })?;
    if selection.fields.required("metadata.name") != Some(ask.name) {
        return Err(Status::bad_request("fieldSelector metadata.name doesn't match requested name"));
    }
    Ok(selection)
}

fn metadata(page: &Page) -> Value {
    let mut metadata = Map::new();
    metadata.insert("resourceVersion".into(), page.revision.0.to_string().into());
    if let Some(token) = &page.token {
        metadata.insert("continue".into(), token.as_str().into());
    }
    if let Some(remaining) = page.remaining {
        metadata.insert("remainingItemCount".into(), remaining.into());
    }
    Value::Object(metadata)
}

/// The list as bytes: what every item would say of its kind is said once.
fn joined(ask: &Ask<'_>, page: &Page, metadata: &Value) -> status::Result<Bytes> {
    let gvk = &ask.resource.gvk;
    let skipped = encoding::head(gvk).len();
    let size: usize = page.entries.iter().map(|entry| entry.bytes.len() + 1).sum();
    let mut out = BytesMut::with_capacity(size + 256);
    let head = format!(
        "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"items\":[",
        gvk.kind,
        gvk.api_version()
    );
    out.put_slice(head.as_bytes());
    for (at, entry) in page.entries.iter().enumerate() {
        if at > 0 {
            out.put_u8(b',');
        }
        let bytes = encoding::served_bytes(&ask.resource, entry)?;
        out.put_u8(b'{');
        out.put_slice(&bytes[skipped..]);
    }
    out.put_slice(b"]}\n");
    Ok(out.freeze())
}

fn whole(ask: &Ask<'_>, metadata: &Value, objects: Vec<Value>) -> Value {
    let item = |object: Value| {
        let mut object = encoding::serve(&ask.resource, object);
        if let Some(fields) = object.as_object_mut() {
            fields.remove("kind");
            fields.remove("apiVersion");
        }
        object
    };
    let items: Vec<Value> = objects.into_iter().map(item).collect();
    let gvk = &ask.resource.gvk;
    json!({"kind": format!("{}List", gvk.kind), "apiVersion": gvk.api_version(), "metadata": metadata, "items": items})
}
