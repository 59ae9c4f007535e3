//! Parts that are sent as the whole object and of which only some fields are taken: `finalize`, `approval`,
//! `ephemeralcontainers`, `resize`.

use super::super::patch::Patch;
use super::super::{Ask, Handlers};
use crate::codec::body::Validation;
use crate::registry::behaviour::Part;
use crate::registry::update::Target;
use crate::request::Verb;
use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::Value;
use tinyplane_wire::meta::metadata_mut;
use tinyplane_wire::status;

impl Handlers {
    pub(super) async fn change_part(
        &self,
        ask: &Ask<'_>,
        subresource: &str,
        body: Body,
    ) -> status::Result<Response<Body>> {
        let replaces = ask.call.verb == Verb::Update;
        let target = Target {
            resource: &ask.resource,
            namespace: ask.namespace,
            name: ask.name,
            subresource,
            part: Part::Other,
            replaces,
        };
        let validation = Validation::of(ask.call, "UpdateOptions")?;
        let sent = if replaces {
            let mut object = ask.object(body, "UpdateOptions").await?;
            ask.place(&mut object)?;
            ask.named(&mut object)?;
            Sent::Object(object)
        } else {
            Sent::Patch(Patch::read(ask, body).await?)
        };
        let mut change = |old: Option<&Value>| {
            let old = old.ok_or_else(crate::registry::no_such_resource)?;
            let new = match &sent {
                Sent::Object(object) => object.clone(),
                Sent::Patch(patch) => {
                    let gvk = &ask.resource.gvk;
                    patch.decoded(gvk, patch.apply(gvk, old.clone())?, validation, &ask.call.warnings)?
                }
            };
            Ok(taken(subresource, old, &new))
        };
        let intent = self.intent(ask)?;
        let updated = self.registry.update(&target, &intent, &mut change).await?;
        self.answer(ask, StatusCode::OK, &updated.object)
    }
}

enum Sent {
    Object(Value),
    Patch(Patch),
}

/// The old object with what the subresource may change taken from the new one.
fn taken(subresource: &str, old: &Value, new: &Value) -> Value {
    let mut object = old.clone();
    let version = new["metadata"]["resourceVersion"].clone();
    match subresource {
        "finalize" => put(&mut object["spec"], "finalizers", &new["spec"]["finalizers"]),
        "approval" => put(&mut object["status"], "conditions", &new["status"]["conditions"]),
        "ephemeralcontainers" => put(&mut object["spec"], "ephemeralContainers", &new["spec"]["ephemeralContainers"]),
        "resize" => {
            for field in ["containers", "initContainers"] {
                let sent = new["spec"][field].as_array().cloned().unwrap_or_default();
                for (container, sent) in
                    object["spec"].get_mut(field).and_then(Value::as_array_mut).into_iter().flatten().zip(sent)
                {
                    put(container, "resources", &sent["resources"]);
                    put(container, "resizePolicy", &sent["resizePolicy"]);
                }
            }
        }
        _ => {}
    }
    metadata_mut(&mut object).insert("resourceVersion".into(), version);
    object
}

fn put(into: &mut Value, field: &str, value: &Value) {
    let fields = tinyplane_wire::meta::map_mut(into);
    match value {
        Value::Null => drop(fields.remove(field)),
        value => drop(fields.insert(field.to_owned(), value.clone())),
    }
}
