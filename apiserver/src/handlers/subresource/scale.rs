//! `scale`: how many replicas of whatever has replicas, as `autoscaling/v1` `Scale`.

use super::super::answer::value;
use super::super::patch::Patch;
use super::super::{Ask, Handlers};
use crate::codec::body::{self, Validation};
use crate::registry::behaviour::Part;
use crate::registry::encoding;
use crate::registry::update::Target;
use crate::request::Verb;
use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use tinyplane_wire::gvr::Gvk;
use tinyplane_wire::meta::{Meta, metadata_mut};
use tinyplane_wire::selector::LabelSelector;
use tinyplane_wire::status::{self, Cause, Status};

impl Handlers {
    pub(super) async fn scale(&self, ask: &Ask<'_>, body: Body) -> status::Result<Response<Body>> {
        if ask.call.verb == Verb::Get {
            let entry = self.registry.get(&ask.resource, ask.namespace, ask.name)?;
            return value(ask, StatusCode::OK, &of(&encoding::parse(&entry)?));
        }
        let gvk = Gvk::new("autoscaling", "v1", "Scale");
        let validation = Validation::of(ask.call, "UpdateOptions")?;
        let sent = if ask.call.verb == Verb::Update {
            let json = ask.json(body).await?;
            let mut scale = body::decode(&gvk, &json, validation, &ask.call.warnings)?;
            ask.place(&mut scale)?;
            ask.named(&mut scale)?;
            Sent::Scale(scale)
        } else {
            Sent::Patch(Patch::read(ask, body).await?)
        };
        let target = Target {
            resource: &ask.resource,
            namespace: ask.namespace,
            name: ask.name,
            subresource: "scale",
            part: Part::Other,
            replaces: matches!(sent, Sent::Scale(_)),
        };
        let mut change = |old: Option<&Value>| {
            let old = old.ok_or_else(crate::registry::no_such_resource)?;
            let wished = match &sent {
                Sent::Scale(scale) => scale.clone(),
                Sent::Patch(patch) => {
                    patch.decoded(&gvk, patch.apply(&gvk, of(old))?, validation, &ask.call.warnings)?
                }
            };
            let replicas = wished["spec"]["replicas"].as_i64().unwrap_or_default();
            if replicas < 0 {
                let cause = Cause {
                    reason: "FieldValueInvalid".into(),
                    message: format!("Invalid value: {replicas}: must be greater than or equal to 0"),
                    field: "spec.replicas".into(),
                };
                return Err(Status::invalid("autoscaling", "Scale", ask.name, vec![cause]));
            }
            let mut object = old.clone();
            object["spec"]["replicas"] = replicas.into();
            metadata_mut(&mut object).insert("resourceVersion".into(), wished["metadata"]["resourceVersion"].clone());
            Ok(object)
        };
        let intent = self.intent(ask)?;
        let updated = self.registry.update(&target, &intent, &mut change).await?;
        value(ask, StatusCode::OK, &of(&updated.object.value()?))
    }
}

enum Sent {
    Scale(Value),
    Patch(Patch),
}

/// The scale of an object.
fn of(object: &Value) -> Value {
    let meta = Meta::of(object);
    let selector = &object["spec"]["selector"];
    // A ReplicationController's selector is a plain map of labels.
    let selector = if object["kind"] == "ReplicationController" {
        LabelSelector::from_map(selector).to_string()
    } else {
        LabelSelector::from_object(selector).ok().flatten().map(|s| s.to_string()).unwrap_or_default()
    };
    let mut metadata = json!({
        "name": meta.name(), "namespace": meta.namespace(), "uid": meta.uid(),
        "resourceVersion": meta.resource_version(), "creationTimestamp": object["metadata"]["creationTimestamp"],
    });
    if meta.namespace().is_empty() {
        metadata.as_object_mut().map(|m| m.remove("namespace"));
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": {"replicas": object["spec"]["replicas"].as_i64().unwrap_or_default()},
        "status": {"replicas": object["status"]["replicas"].as_i64().unwrap_or_default(), "selector": selector},
    })
}
