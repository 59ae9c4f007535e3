//! `scale`: how many replicas of whatever has replicas, as `autoscaling/v1` `Scale`.

use super::super::answer::write;
use super::super::write::{Other, View};
use super::super::{Ask, Handlers};
use crate::codec::accept::Form;
use crate::codec::partial;
use crate::codec::table::{self, Include};
use crate::registry::behaviour::Part;
use crate::registry::custom::Scale;
use crate::registry::encoding;
use crate::registry::managers::{self, Versions};
use crate::request::Verb;
use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use smol_str::SmolStr;
use tinyplane_wire::gvr::Gvk;
use tinyplane_wire::meta::{Meta, metadata_mut};
use tinyplane_wire::selector::LabelSelector;
use tinyplane_wire::status::{self, Cause, Status};

impl Handlers {
    pub(super) async fn scale(&self, ask: &Ask<'_>, body: Body) -> status::Result<Response<Body>> {
        if ask.call.verb == Verb::Get {
            ask.demand_place()?;
            let entry = self.registry.get(&ask.resource, ask.namespace, ask.name)?;
            let object = encoding::serve(&ask.resource, encoding::parse(&entry)?);
            let catalog = self.registry.catalog();
            return self.scale_of(ask, StatusCode::OK, &shown(&object, &Versions::of(&catalog, &ask.resource)));
        }
        let gvk = Gvk::new("autoscaling", "v1", "Scale");
        let other = Some(Other { show: of, answer: shown, put });
        self.write(ask, body, &View { subresource: "scale", part: Part::Other, gvk: &gvk, other, take: None }).await
    }

    /// A scale in the form that the client wants.
    pub(in crate::handlers) fn scale_of(
        &self,
        ask: &Ask<'_>,
        code: StatusCode,
        scale: &Value,
    ) -> status::Result<Response<Body>> {
        let accept = ask.accept()?;
        let package = if ask.resource.custom.is_some() { "v1" } else { "autoscaling" };
        accept.demand_shape(false, || format!("{package}.Scale"))?;
        match accept.form {
            Form::Table => {
                let now = (accept.meta, self.registry.clock().now());
                let table = table::of_scale(&ask.resource, scale, Include::of(ask.call)?, now);
                write(ask, code, accept.media, &table)
            }
            Form::Metadata => write(ask, code, accept.media, &partial::of(accept.meta, scale)),
            Form::Object => write(ask, code, accept.media, scale),
        }
    }
}

/// Where built-in kinds have their replicas.
const SPEC: [SmolStr; 2] = [SmolStr::new_static("spec"), SmolStr::new_static("replicas")];
const STATUS: [SmolStr; 2] = [SmolStr::new_static("status"), SmolStr::new_static("replicas")];

/// The old object with the replicas, the resource version and the managers of its new scale.
fn put(old: &Value, scale: &Value, versions: &Versions<'_>) -> status::Result<Value> {
    let replicas = scale["spec"]["replicas"].as_i64().unwrap_or_default();
    // A custom resource's own schema says what its replicas may be.
    if replicas < 0 && versions.scale().is_none() {
        let cause = Cause {
            reason: "FieldValueInvalid".into(),
            message: format!("Invalid value: {replicas}: must be greater than or equal to 0"),
            field: "spec.replicas".into(),
        };
        return Err(Status::invalid("autoscaling", "Scale", Meta::of(old).name(), vec![cause]));
    }
    let mut object = old.clone();
    match versions.scale() {
        Some(scale) => Scale::write(&scale.replicas, &mut object, replicas.into()),
        None => object["spec"]["replicas"] = replicas.into(),
    }
    metadata_mut(&mut object).insert("resourceVersion".into(), scale["metadata"]["resourceVersion"].clone());
    if !Meta::of(scale).uid().is_empty() {
        metadata_mut(&mut object).insert("uid".into(), scale["metadata"]["uid"].clone());
    }
    managers::of_scale(old, versions, &scale["metadata"]["managedFields"]).write_into(&mut object);
    Ok(object)
}

/// The scale of an object as it is answered: without the managers that a change of it asks for.
fn shown(object: &Value, versions: &Versions<'_>) -> Value {
    let mut scale = of(object, versions);
    metadata_mut(&mut scale).remove("managedFields");
    scale
}

/// The scale of an object.
fn of(object: &Value, versions: &Versions<'_>) -> Value {
    let meta = Meta::of(object);
    let selector = &object["spec"]["selector"];
    let custom = versions.scale();
    let number = |path: &[SmolStr]| Scale::read(path, object).as_i64().unwrap_or_default();
    let (wished, there) = match custom {
        Some(scale) => (number(&scale.replicas), number(&scale.status)),
        None => (number(&SPEC), number(&STATUS)),
    };
    // A ReplicationController's selector is a plain map of labels; a custom resource has it as text.
    let selector = if let Some(scale) = custom {
        let found = scale.selector.as_ref().map(|path| Scale::read(path, object));
        found.and_then(Value::as_str).unwrap_or_default().to_owned()
    } else if object["kind"] == "ReplicationController" {
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
    if let Some(managers) = managers::of_parent(object, versions).write() {
        metadata["managedFields"] = managers;
    }
    let mut scale = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": {},
        "status": {"replicas": there},
    });
    if wished != 0 {
        scale["spec"]["replicas"] = wished.into();
    }
    if !selector.is_empty() {
        scale["status"]["selector"] = selector.into();
    }
    managers::folded::unfold(&mut scale);
    scale
}
