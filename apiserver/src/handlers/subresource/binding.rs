//! `binding`: gives a pod its node.

use super::super::answer::value;
use super::super::{Ask, Handlers};
use crate::registry::admit::Intent;
use crate::registry::behaviour::Part;
use crate::registry::update::Target;
use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use tinyplane_wire::meta::{Meta, map_mut, metadata_mut};
use tinyplane_wire::status::{self, Reason, Status};

const NO_NODE: &str = "target.name: Required value";

impl Handlers {
    /// Binds a pod as a `Binding` says.
    pub(in crate::handlers) async fn bind(
        &self,
        ask: &Ask<'_>,
        pod: &str,
        binding: &Value,
    ) -> status::Result<Response<Body>> {
        if Meta::of(binding).name() != pod {
            return Err(Status::bad_request("name in URL does not match name in Binding object"));
        }
        let node = binding["target"]["name"].as_str().unwrap_or_default().to_owned();
        let kind = binding["target"]["kind"].as_str().unwrap_or_default();
        if node.is_empty() || !matches!(kind, "" | "Node") {
            return Err(refused(&node, kind));
        }
        let pods = self.registry.builtin("", "pods");
        let target = Target {
            resource: &pods,
            namespace: ask.namespace,
            name: pod,
            subresource: "binding",
            part: Part::Other,
            replaces: false,
            creates: false,
            manages: false,
        };
        let now = self.registry.clock().timestamp();
        let mut change = |old: Option<&Value>| {
            let old = old.ok_or_else(crate::registry::no_such_resource)?;
            bound(old, binding, &node, &now)
        };
        let intent = Intent { manager: None, ..self.intent(ask) };
        self.registry.update(&target, &intent, &mut change).await?;
        let success = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
        value(ask, StatusCode::CREATED, &success)
    }
}

fn bound(old: &Value, binding: &Value, node: &str, now: &str) -> status::Result<Value> {
    let meta = Meta::of(old);
    let conflict = |why: String| Err(Status::conflict("", "pods/binding", meta.name(), &why));
    let wanted = Meta::of(binding).uid();
    if !wanted.is_empty() && wanted != meta.uid() {
        return conflict(format!(
            "Precondition failed: UID in precondition: {wanted}, UID in object meta: {}",
            meta.uid()
        ));
    }
    if meta.is_deleting() {
        return conflict(format!("pod {} is being deleted, cannot be assigned to a host", meta.name()));
    }
    if let Some(there) = old["spec"]["nodeName"].as_str().filter(|n| !n.is_empty()) {
        return conflict(format!("pod {} is already assigned to node {there:?}", meta.name()));
    }
    if old["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
        return conflict(format!("pod {} has non-empty .spec.schedulingGates", meta.name()));
    }
    let mut pod = old.clone();
    pod["spec"]["nodeName"] = node.into();
    for (key, note) in tinyplane_wire::meta::pairs(&binding["metadata"]["annotations"]) {
        let annotations = metadata_mut(&mut pod).entry("annotations").or_insert_with(|| json!({}));
        map_mut(annotations).insert(key.to_owned(), note.into());
    }
    let conditions = map_mut(map_mut(&mut pod).entry("status").or_insert_with(|| json!({})))
        .entry("conditions")
        .or_insert_with(|| json!([]));
    if let Some(conditions) = conditions.as_array_mut() {
        conditions.retain(|condition| condition["type"] != "PodScheduled");
        conditions.push(json!({
            "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now,
        }));
    }
    Ok(pod)
}

/// Upstream hands on what is wrong with a binding as it is, which makes it a failure without a reason.
fn refused(node: &str, kind: &str) -> Box<Status> {
    let not_supported = format!("target.kind: Unsupported value: {kind:?}: supported values: \"Node\", \"<empty>\"");
    let why = match (kind, node) {
        ("" | "Node", _) => NO_NODE.to_owned(),
        (_, "") => format!("[{not_supported}, {NO_NODE}]"),
        _ => not_supported,
    };
    Status::failure(Reason::Unknown, why)
}
