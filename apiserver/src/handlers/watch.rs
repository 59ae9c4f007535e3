//! GET with `watch`: frames as they come, a line of JSON each, or a protobuf message after its length.

use super::list::selection;
use super::{Ask, Handlers, options};
use crate::codec::accept::{Accept, Form, META_V1, Media};
use crate::codec::partial;
use crate::codec::protobuf::encode;
use crate::codec::table::{self, Include};
use crate::registry::catalog::Resource;
use crate::registry::watch::{Seen, Told, Watch, all};
use crate::registry::{encoded, encoding};
use crate::schema::fields::{Place, zero};
use crate::store::forms::FormId;
use crate::{respond, schema};
use axum::body::Body;
use bytes::Bytes;
use http::header::TRANSFER_ENCODING;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::status::{self, Status};
use tinyplane_wire::watch::{EventType, INITIAL_EVENTS_END};

impl Handlers {
    pub(super) fn watch(&self, ask: &Ask<'_>) -> status::Result<Response<Body>> {
        let accept = ask.accept()?;
        let include = if accept.form == Form::Table { Include::of(ask.call)? } else { Include::Nothing };
        let watch = self.registry.watch(&ask.resource, selection(ask)?, &options::watch(&ask.call.query)?)?;
        let frames = Frames {
            resource: Arc::clone(&ask.resource),
            accept,
            include,
            heading: true,
            clock: self.registry.clock().clone(),
        };
        let gone = ask.resource.custom.as_ref().map(|custom| custom.gone.clone());
        let gvr = ask.resource.gvr();
        let sent = self.metrics.watchers_of(&gvr.group, &gvr.version, &gvr.resource);
        let stream = futures_util::stream::unfold((watch, frames), move |(mut watch, mut frames): (Watch, Frames)| {
            let (gone, sent) = (gone.clone(), Arc::clone(&sent));
            async move {
                let told = match gone {
                    None => watch.next().await,
                    Some(gone) => tokio::select! {
                        // What has happened is told before the end.
                        biased;
                        told = watch.next() => told,
                        () = gone.cancelled() => None,
                    },
                };
                // What is no list can't be told as one: upstream ends the watch.
                let seen = told.filter(|_| !frames.accept.of_list)?;
                let (many, bytes) = frames.told(seen);
                sent.count(many, bytes.len());
                Some((Ok::<Bytes, Infallible>(bytes), (watch, frames)))
            }
        });
        let mut response = Response::new(Body::from_stream(stream));
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().insert(
            http::header::CONTENT_TYPE,
            match accept.media {
                Media::Protobuf => HeaderValue::from_static(encode::MEDIA_TYPE_WATCH),
                media => media.content_type(),
            },
        );
        response.headers_mut().remove(TRANSFER_ENCODING);
        Ok(response)
    }
}

/// Writes what is seen in the form that the client wants.
struct Frames {
    resource: Arc<Resource>,
    accept: Accept,
    include: Include,
    /// The columns of a Table have not been told yet.
    heading: bool,
    clock: Clock,
}

/// What a frame holds.
enum Payload {
    /// All of it.
    Whole(Bytes),
    /// A protobuf message, which an envelope is put around.
    Message(Bytes),
}

impl Frames {
    /// What is told, as bytes, and how many things that are. What others are told as well is written once for all.
    fn told(&mut self, told: Told) -> (usize, Bytes) {
        match (told, self.form()) {
            (Told::Shared(events), Some(form)) => (events.len(), events.form(form, || self.write(&all(&events)))),
            (told, _) => {
                let seen = told.seen();
                (seen.len(), self.write(&seen))
            }
        }
    }

    /// The number of the encoding, where it is the same for every watch that wants it.
    fn form(&self) -> Option<FormId> {
        match (self.accept.form, self.accept.media) {
            (Form::Object, Media::Json) => encoded::text_form(&self.resource),
            (Form::Object, Media::Protobuf) => encoded::message_form(&self.resource),
            _ => None,
        }
    }

    fn write(&mut self, seen: &[Seen]) -> Bytes {
        let mut out = Vec::new();
        for one in seen {
            let (event, payload) = match self.payload(one) {
                Ok(payload) => (event_of(one), payload),
                Err(status) => (EventType::Error, self.failure(&status)),
            };
            self.frame(&mut out, event, &payload);
        }
        out.into()
    }

    fn frame(&self, out: &mut Vec<u8>, event: EventType, payload: &Payload) {
        let name = name(event);
        match (self.accept.media, payload) {
            (Media::Protobuf, Payload::Whole(bytes)) => encode::frame(out, name, &[bytes]),
            (Media::Protobuf, Payload::Message(message)) => {
                let gvk = &self.resource.gvk;
                let head = match self.accept.form {
                    Form::Metadata => encode::envelope_head(self.accept.meta, "PartialObjectMetadata", message.len()),
                    _ => encode::envelope_head(&gvk.api_version(), &gvk.kind, message.len()),
                };
                encode::frame(out, name, &[&head, message, encode::TAIL]);
            }
            (_, Payload::Whole(bytes) | Payload::Message(bytes)) => {
                out.reserve(bytes.len() + 40);
                out.extend_from_slice(b"{\"type\":\"");
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b"\",\"object\":");
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"}\n");
            }
        }
    }

    fn payload(&mut self, seen: &Seen) -> status::Result<Payload> {
        let resource = &self.resource;
        match seen {
            Seen::Object { entry, at, .. } => match (self.accept.form, self.accept.media, at) {
                (Form::Object, Media::Json, None) => Ok(Payload::Whole(encoding::served_bytes(resource, entry)?)),
                (Form::Object, Media::Json, Some(at)) => Ok(Payload::Whole(encoding::bytes_at(resource, entry, at.0)?)),
                (Form::Object, _, None) => Ok(Payload::Message(encoded::message(resource, entry)?)),
                (Form::Metadata, Media::Protobuf, None) => Ok(Payload::Message(encoded::metadata_message(entry)?)),
                (Form::Metadata, Media::Json, None) if self.accept.meta == META_V1 => {
                    Ok(Payload::Whole(encoded::metadata_json(entry)?))
                }
                (_, _, at) => {
                    let mut object = encoding::parse(entry)?;
                    if let Some(at) = at {
                        object["metadata"]["resourceVersion"] = at.0.to_string().into();
                    }
                    Ok(self.shaped(object))
                }
            },
            Seen::Bookmark { revision, ends_initial } => {
                let mut metadata = json!({"resourceVersion": revision.0.to_string()});
                if *ends_initial {
                    metadata["annotations"] = json!({INITIAL_EVENTS_END: "true"});
                }
                let (kind, version) = (resource.stored.kind.as_str(), resource.stored.api_version());
                // Go holds an object of the kind of which nothing else is said, and writes what it writes in any case.
                let mut object = zero(Place::root(schema::model(), resource.stored_type_id));
                object["kind"] = kind.into();
                object["apiVersion"] = version.into();
                object["metadata"] = metadata;
                (resource.behaviour.blank)(&mut object);
                Ok(self.shaped(object))
            }
            Seen::Failed(status) => Ok(self.failure(status)),
        }
    }

    /// An object of the stored version as the client wants it.
    fn shaped(&mut self, object: Value) -> Payload {
        let value = match self.accept.form {
            Form::Object => encoding::serve(&self.resource, object),
            Form::Metadata => partial::of(self.accept.meta, &object),
            Form::Table => {
                let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
                let heading = std::mem::replace(&mut self.heading, false);
                let now = (self.accept.meta, self.clock.now());
                table::of(&self.resource, &metadata, &[object], self.include, heading, now)
            }
        };
        self.written(&value)
    }

    fn failure(&self, status: &Status) -> Payload {
        self.written(&serde_json::to_value(status).unwrap_or_default())
    }

    fn written(&self, value: &Value) -> Payload {
        Payload::Whole(match self.accept.media {
            Media::Protobuf => encode::encode(schema::model(), value).unwrap_or_default().into(),
            _ => respond::spelled(value).into(),
        })
    }
}

fn event_of(seen: &Seen) -> EventType {
    match seen {
        Seen::Object { event, .. } => *event,
        Seen::Bookmark { .. } => EventType::Bookmark,
        Seen::Failed(_) => EventType::Error,
    }
}

fn name(event: EventType) -> &'static str {
    match event {
        EventType::Added => "ADDED",
        EventType::Modified => "MODIFIED",
        EventType::Deleted => "DELETED",
        EventType::Bookmark => "BOOKMARK",
        EventType::Error => "ERROR",
    }
}
