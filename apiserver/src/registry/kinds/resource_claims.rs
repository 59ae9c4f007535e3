//! The group `resource.k8s.io`: classes of devices, claims on them, what nodes offer.

use crate::registry::behaviour::{AGE, Behaviour, FieldLabel, Generation, Grammar, NAME, Scene, column};
use crate::registry::cells::{age, name, size};
use serde_json::{Value, json};
use tinyplane_wire::meta::Meta;

/// `DeviceClass`es.
pub(super) static DEVICE_CLASS: Behaviour = Behaviour {
    name: Grammar::LongName,
    generation: Generation::Everything,
    returns_deleted: true,
    ..Behaviour::PLAIN
};

/// `ResourceClaimTemplate`s.
pub(super) static RESOURCE_CLAIM_TEMPLATE: Behaviour = Behaviour { returns_deleted: true, ..Behaviour::PLAIN };

/// `ResourceClaim`s.
pub(super) static RESOURCE_CLAIM: Behaviour = Behaviour {
    status_resets: &[&["metadata"]],
    returns_deleted: true,
    generation: Generation::None,
    columns: &[NAME, column("State", "Whether it is allocated and reserved."), AGE],
    cells: |object, now| vec![name(object), json!(state(object)), age(object, now)],
    ..Behaviour::WITH_STATUS
};

fn state(claim: &Value) -> String {
    let (status, deleting) = (&claim["status"], Meta::of(claim).is_deleting());
    let allocated = !status["allocation"].is_null();
    let states = [
        (deleting, "deleted"),
        (!deleting && !allocated, "pending"),
        (allocated, "allocated"),
        (allocated && size(&status["reservedFor"]) > 0, "reserved"),
    ];
    states.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect::<Vec<_>>().join(",")
}

/// A taint is there from the moment at which it is told first.
fn begin_taints(slice: &mut Value, _: Option<&Value>, scene: &Scene<'_>) {
    let devices = slice.pointer_mut("/spec/devices").and_then(Value::as_array_mut).into_iter().flatten();
    for taint in devices.filter_map(|device| device.get_mut("taints")?.as_array_mut()).flatten() {
        if taint.is_object() && taint["timeAdded"].is_null() {
            taint["timeAdded"] = scene.now.into();
        }
    }
}

/// `ResourceSlice`s.
pub(super) static RESOURCE_SLICE: Behaviour = Behaviour {
    returns_deleted: true,
    prepare: begin_taints,
    fields: &[FieldLabel::Path("spec.driver"), FieldLabel::Path("spec.nodeName")],
    generation: Generation::Everything,
    warnings: |new, _| {
        let driver = new["spec"]["driver"].as_str().unwrap_or_default();
        if driver == driver.to_lowercase() {
            return Vec::new();
        }
        vec![format!("spec.driver: driver names should be lowercase; {driver:?} contains uppercase characters")]
    },
    columns: &[
        NAME,
        column("Node", "The node whose devices they are."),
        column("Driver", "The driver that offers them."),
        column("Pool", "The pool that they belong to."),
        AGE,
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        let text = |value: &Value| json!(value.as_str().unwrap_or_default());
        vec![
            name(object),
            text(&spec["nodeName"]),
            text(&spec["driver"]),
            text(&spec["pool"]["name"]),
            age(object, now),
        ]
    },
    ..Behaviour::PLAIN
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_says_how_far_it_is() {
        assert_eq!(state(&json!({})), "pending");
        assert_eq!(state(&json!({"status": {"allocation": {}, "reservedFor": [{}]}})), "allocated,reserved");
        let deleted = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
        assert_eq!(state(&deleted), "deleted");
    }
}
