//! `binding`: gives a pod its node.

use super::super::answer::value;
use super::super::{Ask, Handlers, demand_place};
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
        mut binding: Value,
    ) -> status::Result<Response<Body>> {
        if Meta::of(&binding).name() != pod {
            return Err(Status::bad_request("name in URL does not match name in Binding object"));
        }
        let node = binding["target"]["name"].as_str().unwrap_or_default().to_owned();
        let kind = binding["target"]["kind"].as_str().unwrap_or_default();
        if node.is_empty() || !matches!(kind, "" | "Node") {
            return Err(refused(&node, kind));
        }
        let pods = self.registry.builtin("", "pods");
        demand_place(&pods, ask.namespace, pod)?;
        self.admit_part(ask, pod, &mut binding).await?;
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
        let intent = Intent { manager: None, ..self.intent(ask) };
        let mut change = |old: Option<&Value>| {
            let old = old.ok_or_else(crate::registry::no_such_resource)?;
            ask_same(old, &binding, ask.path.subresource.is_some(), intent.dry_run)?;
            bound(old, &binding, &node, &now)
        };
        self.registry.update(&target, &intent, &mut change).await?;
        let success = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
        value(ask, StatusCode::CREATED, &success)
    }
}

/// Insists that the pod is the one that the binding was made for. The old path for bindings forgets whose UID was meant.
fn ask_same(old: &Value, binding: &Value, by_pod: bool, dry_run: bool) -> status::Result<()> {
    let (there, wanted) = (Meta::of(old), Meta::of(binding));
    let of_uid = ("UID", wanted.uid(), there.uid());
    let of_version = ("ResourceVersion", wanted.resource_version(), there.resource_version());
    let asked = [Some(of_uid).filter(|_| by_pod), Some(of_version)];
    let differs = asked.into_iter().flatten().find(|(_, wanted, there)| !wanted.is_empty() && wanted != there);
    let Some((what, wanted, found)) = differs else { return Ok(()) };
    let root = if dry_run { "" } else { "/registry" };
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: {root}/pods/{}/{}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}",
        there.namespace(),
        there.name()
    );
    Err(Status::conflict("", "pods", there.name(), &why))
}

fn bound(old: &Value, binding: &Value, node: &str, now: &str) -> status::Result<Value> {
    let meta = Meta::of(old);
    let conflict = |why: String| Err(Status::conflict("", "pods/binding", meta.name(), &why));
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
    for field in ["annotations", "labels"] {
        for (key, text) in tinyplane_wire::meta::pairs(&binding["metadata"][field]) {
            let there = metadata_mut(&mut pod).entry(field).or_insert_with(|| json!({}));
            map_mut(there).insert(key.to_owned(), text.into());
        }
    }
    let status = map_mut(map_mut(&mut pod).entry("status").or_insert_with(|| json!({})));
    status.remove("nominatedNodeName");
    let conditions = status.entry("conditions").or_insert_with(|| json!([]));
    if let Some(conditions) = conditions.as_array_mut() {
        let scheduled = json!({
            "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now,
        });
        match conditions.iter_mut().find(|condition| condition["type"] == "PodScheduled") {
            Some(there) => *there = scheduled,
            None => conditions.push(scheduled),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Value {
        let waiting = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable"});
        json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u", "resourceVersion": "7", "labels": {"a": "b"}},
            "spec": {},
            "status": {"nominatedNodeName": "x", "conditions": [waiting, {"type": "Other"}]},
        })
    }

    #[test]
    fn a_binding_hands_its_labels_on_and_ends_the_nomination() {
        let binding = json!({"metadata": {"labels": {"a": "c", "l": "1"}}});
        let bound = bound(&pod(), &binding, "node", "now").unwrap();
        assert_eq!(bound["metadata"]["labels"], json!({"a": "c", "l": "1"}));
        assert_eq!(bound["status"].get("nominatedNodeName"), None);
        assert_eq!(bound["status"]["conditions"][0]["status"], "True");
        assert_eq!(bound["status"]["conditions"][1]["type"], "Other");
    }

    #[test]
    fn a_binding_may_ask_for_the_very_pod() {
        let asked = |field: &str, value: &str, by_pod| {
            let binding = json!({"metadata": {field: value}});
            ask_same(&pod(), &binding, by_pod, false).map_err(|status| status.message)
        };
        assert_eq!(asked("uid", "u", true), Ok(()));
        assert_eq!(asked("uid", "other", false), Ok(()));
        assert!(asked("uid", "other", true).unwrap_err().contains("Key: /registry/pods/n/p, ResourceVersion: 0"));
        assert!(asked("resourceVersion", "6", false).unwrap_err().ends_with("6, ResourceVersion in object meta: 7"));
    }
}
