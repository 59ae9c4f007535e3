//! GET of a collection: slices of stored bytes, one after the other.

use super::answer::write;
use super::{Ask, Handlers, options};
use crate::codec::accept::{Accept, Form, META_V1, Media};
use crate::codec::partial;
use crate::codec::pieces::Pieces;
use crate::codec::protobuf::encode;
use crate::codec::table::{self, Include};
use crate::registry::list::Page;
use crate::registry::selection::Selection;
use crate::registry::{encoded, encoding};
use crate::store::entry::Entry;
use crate::{respond, schema};
use axum::body::Body;
use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};
use tinyplane_wire::status::{self, Status};

impl Handlers {
    pub(super) fn list(&self, ask: &Ask<'_>) -> status::Result<Response<Body>> {
        let accept = ask.accept()?;
        accept.demand_shape(true, || ask.go_type("List"))?;
        let page = self.registry.list(&ask.resource, &selection(ask)?, &options::list(&ask.call.query)?)?;
        self.page(ask, accept, &page)
    }

    /// A page as an answer.
    pub(super) fn page(&self, ask: &Ask<'_>, accept: Accept, page: &Page) -> status::Result<Response<Body>> {
        let gvk = &ask.resource.gvk;
        self.metrics.lists.count(&gvk.group, &ask.resource.plural, page.entries.len());
        let metadata = metadata(ask, page);
        let pretty = ask.wants_pretty()?;
        let pieces = match (accept.form, accept.media) {
            (Form::Object, Media::Json) if !pretty => Some(objects(ask, page, &metadata)?),
            (Form::Metadata, Media::Json) if !pretty && accept.meta == META_V1 => Some(partials(page, &metadata)?),
            (Form::Object | Form::Metadata, Media::Protobuf) => Some(messages(ask, page, &metadata, accept)?),
            _ => None,
        };
        if let Some(pieces) = pieces {
            return Ok(respond::body_of(StatusCode::OK, accept.media.content_type(), Body::new(pieces)));
        }
        let objects = page.entries.iter().map(|entry| encoding::parse(entry)).collect::<Result<_, _>>()?;
        self.listed(ask, accept, &metadata, objects)
    }

    /// Objects as a list, in the form that the client wants.
    pub(super) fn listed(
        &self,
        ask: &Ask<'_>,
        accept: Accept,
        metadata: &Value,
        mut objects: Vec<Value>,
    ) -> status::Result<Response<Body>> {
        if let Some(rank) = ask.resource.behaviour.rank.filter(|_| accept.form == Form::Table) {
            objects.sort_by_key(rank);
        }
        let value = match accept.form {
            Form::Table => {
                let now = (accept.meta, self.registry.clock().now());
                table::of(&ask.resource, metadata, &objects, Include::of(ask.call)?, true, now)
            }
            Form::Metadata => {
                let items: Vec<Value> = objects.iter().map(|object| partial::of(accept.meta, object)).collect();
                partial::list(accept.meta, metadata, &items)
            }
            Form::Object => whole(ask, metadata, objects),
        };
        write(ask, StatusCode::OK, accept.media, &value)
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

fn metadata(ask: &Ask<'_>, page: &Page) -> Value {
    let mut metadata = Map::new();
    metadata.insert("resourceVersion".into(), page.revision.0.to_string().into());
    if let Some(token) = &page.token {
        metadata.insert("continue".into(), token.as_str().into());
    } else if ask.resource.custom.is_some() && ask.accept().is_ok_and(|accept| accept.form == Form::Object) {
        metadata.insert("continue".into(), "".into());
    }
    if let Some(remaining) = page.remaining {
        metadata.insert("remainingItemCount".into(), remaining.into());
    }
    Value::Object(metadata)
}

/// The list as slices of stored bytes: what every item would say of its kind is said once.
fn objects(ask: &Ask<'_>, page: &Page, metadata: &Value) -> status::Result<Pieces> {
    let gvk = &ask.resource.gvk;
    // Items of custom resources say what they are, each of them: upstream keeps them as they came.
    let custom = ask.resource.custom.is_some();
    let (opening, skipped) = if custom { ("", 0) } else { ("{", encoding::head(gvk).len()) };
    json_list(&ask.resource.list_kind(), &gvk.api_version(), metadata, page, custom, |entry| {
        Ok((opening, encoding::served_bytes(&ask.resource, entry)?.slice(skipped..)))
    })
}

fn partials(page: &Page, metadata: &Value) -> status::Result<Pieces> {
    if page.entries.is_empty() {
        let mut pieces = Pieces::with_capacity(1);
        let metadata = spelled(metadata, false);
        let kind = "PartialObjectMetadataList";
        pieces.push(format!(
            "{{\"kind\":\"{kind}\",\"apiVersion\":\"{META_V1}\",\"metadata\":{metadata},\"items\":null}}\n"
        ));
        return Ok(pieces);
    }
    json_list("PartialObjectMetadataList", META_V1, metadata, page, false, |entry| {
        Ok(("", encoded::metadata_json(entry)?))
    })
}

/// Each item is a text, which is always the same, and bytes. Upstream holds a list of custom resources in a map, whose names
/// it sorts.
fn json_list(
    kind: &str,
    version: &str,
    metadata: &Value,
    page: &Page,
    sorted: bool,
    item: impl Fn(&Entry) -> status::Result<(&'static str, Bytes)>,
) -> status::Result<Pieces> {
    let mut pieces = Pieces::with_capacity(page.entries.len() * 3 + 2);
    let metadata = spelled(metadata, sorted);
    let (head, tail) = if sorted {
        (
            format!("{{\"apiVersion\":\"{version}\",\"items\":["),
            format!("],\"kind\":\"{kind}\",\"metadata\":{metadata}}}\n"),
        )
    } else {
        let head = format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{version}\",\"metadata\":{metadata},\"items\":[");
        (head, "]}\n".to_owned())
    };
    pieces.push(head);
    for (at, entry) in page.entries.iter().enumerate() {
        if at > 0 {
            pieces.push(Bytes::from_static(b","));
        }
        let (opening, bytes) = item(entry)?;
        if !opening.is_empty() {
            pieces.push(Bytes::from_static(opening.as_bytes()));
        }
        pieces.push(bytes);
    }
    pieces.push(tail);
    Ok(pieces)
}

/// The metadata of a list, in Go's order or sorted.
fn spelled(metadata: &Value, sorted: bool) -> String {
    let model = schema::model();
    let mut out = Vec::new();
    match model.named(LIST_META).filter(|_| !sorted) {
        Some(id) => schema::spelling::Speller::new(model).object(id, metadata, &mut out),
        None => schema::spelling::free(metadata, &mut out),
    }
    String::from_utf8(out).unwrap_or_default()
}

const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

/// The list as protobuf: an envelope around the items' messages.
fn messages(ask: &Ask<'_>, page: &Page, metadata: &Value, accept: Accept) -> status::Result<Pieces> {
    let gvk = &ask.resource.gvk;
    let (kind, version) = match accept.form {
        Form::Metadata => ("PartialObjectMetadataList".to_owned(), accept.meta.to_owned()),
        _ => (ask.resource.list_kind(), gvk.api_version()),
    };
    let head = encode::list_head(schema::model(), metadata)
        .ok_or_else(|| Status::internal("the metadata of lists has no message"))?;
    let mut items = Pieces::with_capacity(page.entries.len() * 2 + 3);
    items.push(head);
    for entry in &page.entries {
        let message = match accept.form {
            Form::Metadata => encoded::metadata_message(entry)?,
            _ => encoded::message(&ask.resource, entry)?,
        };
        items.push(encode::item_head(message.len()));
        items.push(message);
    }
    let bytes = usize::try_from(items.bytes()).map_err(Status::internal)?;
    let mut pieces = Pieces::default();
    pieces.push(encode::envelope_head(&version, &kind, bytes));
    pieces.append(items);
    pieces.push(Bytes::from_static(encode::TAIL));
    Ok(pieces)
}

fn whole(ask: &Ask<'_>, metadata: &Value, objects: Vec<Value>) -> Value {
    let item = |object: Value| {
        let mut object = encoding::serve(&ask.resource, object);
        if let Some(fields) = object.as_object_mut().filter(|_| ask.resource.custom.is_none()) {
            fields.remove("kind");
            fields.remove("apiVersion");
        }
        object
    };
    let items: Vec<Value> = objects.into_iter().map(item).collect();
    let (kind, version) = (ask.resource.list_kind(), ask.resource.gvk.api_version());
    json!({"kind": kind, "apiVersion": version, "metadata": metadata, "items": items})
}
