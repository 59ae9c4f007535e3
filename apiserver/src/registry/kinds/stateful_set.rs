//! `StatefulSet`s and the revisions that they and `DaemonSet`s keep.

use super::template::{CONTAINERS, IMAGES, containers};
use super::workload::no_replicas;
use crate::registry::behaviour::{AGE, Behaviour, Grammar, NAME, Scene, column};
use crate::registry::cells::{age, name, number};
use crate::registry::warnings;
use serde_json::{Value, json};
use tinyplane_wire::meta::Meta;

/// `StatefulSet`s.
pub(super) static STATEFUL_SET: Behaviour = Behaviour {
    blank: no_replicas,
    name: Grammar::Label,
    warnings: warnings::stateful_set,
    prepare: forget_gated,
    columns: &[NAME, column("Ready", "How many pods are ready, of how many."), AGE, CONTAINERS, IMAGES],
    cells: |object, now| {
        let ready = number(&object["status"]["readyReplicas"]);
        let [names, images] = containers(&object["spec"]["template"]);
        let desired = number(&object["spec"]["replicas"]);
        vec![name(object), json!(format!("{ready}/{desired}")), age(object, now), names, images]
    },
    ..Behaviour::WITH_STATUS
};

/// How many pods may be away at once is behind a gate that is off: it is forgotten, unless it is there.
fn forget_gated(set: &mut Value, old: Option<&Value>, _: &Scene<'_>) {
    const AWAY: &str = "/spec/updateStrategy/rollingUpdate/maxUnavailable";
    if old.is_some_and(|old| old.pointer(AWAY).is_some_and(|away| !away.is_null())) {
        return;
    }
    if let Some(update) = set.pointer_mut("/spec/updateStrategy/rollingUpdate").and_then(Value::as_object_mut) {
        update.remove("maxUnavailable");
    }
}

/// `ControllerRevision`s.
pub(super) static CONTROLLER_REVISION: Behaviour = Behaviour {
    columns: &[
        NAME,
        column("Controller", "Whose revision it is."),
        column("Revision", "The revision's number: later ones are greater."),
        AGE,
    ],
    cells: |object, now| vec![name(object), controller(object), json!(number(&object["revision"])), age(object, now)],
    ..Behaviour::PLAIN
};

/// `statefulset.apps/web`.
fn controller(object: &Value) -> Value {
    let Some(owner) = Meta::of(object).controller() else { return json!("<none>") };
    let text = |field: &str| owner[field].as_str().unwrap_or_default();
    let kind = match text("apiVersion").split_once('/') {
        Some((group, _)) => format!("{}.{group}", text("kind")),
        None => text("kind").to_owned(),
    };
    json!(format!("{}/{}", kind.to_lowercase(), text("name")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn a_revision_names_its_controller() {
        let owner = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "controller": true});
        let object = json!({"metadata": {"name": "web-1", "ownerReferences": [owner]}, "revision": 3});
        let shown = (CONTROLLER_REVISION.cells)(&object, SystemTime::UNIX_EPOCH);
        assert_eq!(shown, [json!("web-1"), json!("statefulset.apps/web"), json!(3), json!("<unknown>")]);
    }
}
