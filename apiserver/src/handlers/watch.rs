//! GET with `watch`: frames as they come, one JSON object a line.

use super::list::selection;
use super::{Ask, Handlers, options};
use crate::codec::accept::{self, Form};
use crate::codec::partial;
use crate::codec::table::{self, Include};
use crate::registry::catalog::Resource;
use crate::registry::encoding;
use crate::registry::watch::{Seen, Watch};
use crate::respond;
use axum::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::TRANSFER_ENCODING;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::status::{self, Status};
use tinyplane_wire::watch::{EventType, INITIAL_EVENTS_END};

impl Handlers {
    pub(super) fn watch(&self, ask: &Ask<'_>) -> status::Result<Response<Body>> {
        let accept = accept::of(ask.call)?;
        let watch = self.registry.watch(&ask.resource, selection(ask)?, &options::watch(&ask.call.query)?)?;
        let frames = Frames {
            resource: Arc::clone(&ask.resource),
            form: accept.form,
            include: Include::of(ask.call)?,
            heading: true,
            clock: self.registry.clock().clone(),
        };
        let shutdown = self.shutdown.clone();
        let gvr = ask.resource.gvr();
        let sent = self.metrics.watchers_of(&gvr.group, &gvr.version, &gvr.resource);
        let stream = futures_util::stream::unfold((watch, frames), move |(mut watch, mut frames): (Watch, Frames)| {
            let (shutdown, sent) = (shutdown.clone(), Arc::clone(&sent));
            async move {
                let seen = tokio::select! {
                    seen = watch.next() => seen?,
                    () = shutdown.cancelled() => return None,
                };
                let bytes = frames.write(&seen);
                sent.count(bytes.len());
                Some((Ok::<Bytes, Infallible>(bytes), (watch, frames)))
            }
        });
        let mut response = Response::new(Body::from_stream(stream));
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().insert(http::header::CONTENT_TYPE, respond::JSON);
        response.headers_mut().remove(TRANSFER_ENCODING);
        Ok(response)
    }
}

/// Writes what is seen in the form that the client wants.
struct Frames {
    resource: Arc<Resource>,
    form: Form,
    include: Include,
    /// The columns of a Table have not been told yet.
    heading: bool,
    clock: Clock,
}

impl Frames {
    fn write(&mut self, seen: &[Seen]) -> Bytes {
        let mut out = BytesMut::new();
        for one in seen {
            let (event, object) = self.frame(one).unwrap_or_else(|status| (EventType::Error, failure(&status)));
            out.put_slice(match event {
                EventType::Added => b"{\"type\":\"ADDED\",\"object\":",
                EventType::Modified => b"{\"type\":\"MODIFIED\",\"object\":",
                EventType::Deleted => b"{\"type\":\"DELETED\",\"object\":",
                EventType::Bookmark => b"{\"type\":\"BOOKMARK\",\"object\":",
                EventType::Error => b"{\"type\":\"ERROR\",\"object\":",
            });
            out.put_slice(&object);
            out.put_slice(b"}\n");
        }
        out.freeze()
    }

    fn frame(&mut self, seen: &Seen) -> status::Result<(EventType, Bytes)> {
        match seen {
            Seen::Object { event, entry, at } => {
                let bytes = match at {
                    Some(revision) => encoding::bytes_at(&self.resource, entry, revision.0)?,
                    None => encoding::served_bytes(&self.resource, entry)?,
                };
                if self.form == Form::Object {
                    return Ok((*event, bytes));
                }
                let object = serde_json::from_slice(&bytes).map_err(Status::internal)?;
                Ok((*event, self.shaped(object)))
            }
            Seen::Bookmark { revision, ends_initial } => {
                let mut metadata = json!({"resourceVersion": revision.0.to_string(), "creationTimestamp": null});
                if *ends_initial {
                    metadata["annotations"] = json!({INITIAL_EVENTS_END: "true"});
                }
                let gvk = &self.resource.gvk;
                let object = json!({"kind": gvk.kind.as_str(), "apiVersion": gvk.api_version(), "metadata": metadata});
                let bytes = match self.form {
                    Form::Object => object.to_string().into(),
                    Form::Metadata => partial::of(&object).to_string().into(),
                    Form::Table => {
                        let metadata = json!({"resourceVersion": revision.0.to_string()});
                        let now = self.clock.now();
                        table::of(&self.resource, &metadata, &[], self.include, false, now).to_string().into()
                    }
                };
                Ok((EventType::Bookmark, bytes))
            }
            Seen::Failed(status) => Ok((EventType::Error, failure(status))),
        }
    }

    fn shaped(&mut self, object: Value) -> Bytes {
        if self.form == Form::Metadata {
            return partial::of(&object).to_string().into();
        }
        let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
        let heading = std::mem::replace(&mut self.heading, false);
        table::of(&self.resource, &metadata, &[object], self.include, heading, self.clock.now()).to_string().into()
    }
}

fn failure(status: &Status) -> Bytes {
    serde_json::to_vec(status).unwrap_or_default().into()
}
