//! What adds APIs: `APIService`s, and what `CustomResourceDefinition`s note down.

use crate::registry::behaviour::{AGE, Behaviour, Generation, Grammar, NAME, Part, Scene, column};
use crate::registry::cells::{age, items, name};
use serde_json::{Value, json};
use tinyplane_wire::meta::map_mut;

/// `APIService`s.
pub(super) static API_SERVICE: Behaviour = Behaviour {
    status_resets: &[&["metadata"]],
    name: Grammar::PathSegment,
    generation: Generation::None,
    unconditional_update: false,
    prepare: |new, old, scene| {
        if old.is_none() {
            begin(new, scene.now);
        }
    },
    columns: &[
        NAME,
        column("Service", "The Service that serves it."),
        column("Available", "Whether it can be reached."),
        AGE,
    ],
    cells: |object, now| vec![name(object), service(object), available(&object["status"]), age(object, now)],
    ..Behaviour::WITH_STATUS
};

/// What this server serves itself is available from the first moment.
fn begin(new: &mut Value, now: &str) {
    let mut status = json!({});
    if new["spec"]["service"].is_null() {
        status["conditions"] = json!([{
            "type": "Available", "status": "True", "lastTransitionTime": now,
            "reason": "Local", "message": "Local APIServices are always available",
        }]);
    }
    map_mut(new).insert("status".into(), status);
}

fn service(object: &Value) -> Value {
    let service = &object["spec"]["service"];
    let text = |field: &str| service[field].as_str().unwrap_or_default();
    if service.is_null() { json!("Local") } else { json!(format!("{}/{}", text("namespace"), text("name"))) }
}

fn available(status: &Value) -> Value {
    let Some(condition) = items(&status["conditions"]).find(|one| one["type"] == "Available") else {
        return json!("Unknown");
    };
    let text = |field: &str| condition[field].as_str().unwrap_or_default();
    if text("status") == "True" { json!("True") } else { json!(format!("{} ({})", text("status"), text("reason"))) }
}

/// Notes in a definition's status in which version its objects are stored from now on. The versions before stay.
pub(super) fn note_stored_version(new: &mut Value, old: Option<&Value>, scene: &Scene<'_>) {
    if scene.part != Part::Main {
        return;
    }
    if old.is_none() {
        let status = json!({"conditions": null, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": []});
        map_mut(new).insert("status".into(), status);
    }
    let Some(stored) = items(&new["spec"]["versions"]).find(|version| version["storage"] == true) else { return };
    let stored = stored["name"].clone();
    let versions = &mut new["status"]["storedVersions"];
    match versions.as_array_mut() {
        Some(known) if known.contains(&stored) => {}
        Some(known) => known.push(stored),
        None => *versions = json!([stored]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::kinds::at;
    use std::time::SystemTime;

    #[test]
    fn a_local_service_is_available_at_once() {
        let mut local = json!({"metadata": {"name": "v1."}, "spec": {"version": "v1"}});
        (API_SERVICE.prepare)(&mut local, None, &at(Part::Main));
        let shown = (API_SERVICE.cells)(&local, SystemTime::UNIX_EPOCH);
        assert_eq!(shown, ["v1.", "Local", "True", "<unknown>"].map(|text| json!(text)));
        let mut far = json!({"metadata": {"name": "v1.g"}, "spec": {"service": {"namespace": "n", "name": "s"}}});
        (API_SERVICE.prepare)(&mut far, None, &at(Part::Main));
        let shown = (API_SERVICE.cells)(&far, SystemTime::UNIX_EPOCH);
        assert_eq!(shown[1..3], ["n/s", "Unknown"].map(|text| json!(text)));
    }

    #[test]
    fn versions_that_were_ever_stored_are_kept() {
        let version = |name: &str, storage: bool| json!({"name": name, "storage": storage});
        let mut made = json!({"spec": {"versions": [version("v1", true)]}, "status": {"storedVersions": ["v9"]}});
        note_stored_version(&mut made, None, &at(Part::Main));
        assert_eq!(made["status"]["storedVersions"], json!(["v1"]));
        let mut changed = made.clone();
        changed["spec"]["versions"] = json!([version("v1", false), version("v2", true)]);
        note_stored_version(&mut changed, Some(&made), &at(Part::Main));
        assert_eq!(changed["status"]["storedVersions"], json!(["v1", "v2"]));
    }
}
