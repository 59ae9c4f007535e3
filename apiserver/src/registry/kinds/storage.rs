//! The group `storage.k8s.io`: classes, drivers, attachments.

use super::created;
use crate::registry::behaviour::{AGE, Behaviour, Column, Generation, NAME, Scene, column, count};
use crate::registry::cells::{age, items, joined, name, size};
use crate::registry::warnings;
use serde_json::{Value, json};
use tinyplane_wire::meta::Meta;

/// The annotations by which a storage class becomes the default one.
const DEFAULT_CLASS: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
/// The annotation by which a class of volume attributes becomes the default one.
const DEFAULT_ATTRIBUTES: [&str; 1] = ["volumeattributesclass.alpha.kubernetes.io/is-default-class"];

const fn flag(name: &'static str, description: &'static str) -> Column {
    Column { kind: "boolean", ..column(name, description) }
}

/// `StorageClass`es.
pub(super) static STORAGE_CLASS: Behaviour = Behaviour {
    warnings: warnings::storage_class,
    returns_deleted: true,
    columns: &[
        NAME,
        column("Provisioner", "Who makes its volumes."),
        column("ReclaimPolicy", "What becomes of its volumes when their claims are gone."),
        column("VolumeBindingMode", "When its volumes are made and bound."),
        column("AllowVolumeExpansion", "Whether its volumes may grow."),
        AGE,
    ],
    cells: |object, now| {
        vec![
            named(object, &DEFAULT_CLASS),
            json!(text(&object["provisioner"])),
            json!(object["reclaimPolicy"].as_str().unwrap_or("Delete")),
            json!(object["volumeBindingMode"].as_str().unwrap_or("Immediate")),
            yes(&object["allowVolumeExpansion"]),
            age(object, now),
        ]
    },
    ..Behaviour::PLAIN
};

/// `VolumeAttributesClass`es.
pub(super) static VOLUME_ATTRIBUTES_CLASS: Behaviour = Behaviour {
    returns_deleted: true,
    columns: &[NAME, column("DriverName", "The driver that it is for."), AGE],
    cells: |object, now| vec![named(object, &DEFAULT_ATTRIBUTES), json!(text(&object["driverName"])), age(object, now)],
    ..Behaviour::PLAIN
};

/// `VolumeAttachment`s.
pub(super) static VOLUME_ATTACHMENT: Behaviour = Behaviour {
    status_resets: &[&["metadata"]],
    returns_deleted: true,
    generation: Generation::None,
    unconditional_update: false,
    columns: &[
        NAME,
        Column { format: "name", ..column("Attacher", "The driver that attaches it.") },
        column("PV", "The volume."),
        column("Node", "The node that it is attached to."),
        flag("Attached", "Whether it is attached."),
        AGE,
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        vec![
            name(object),
            json!(text(&spec["attacher"])),
            json!(text(&spec["source"]["persistentVolumeName"])),
            json!(text(&spec["nodeName"])),
            yes(&object["status"]["attached"]),
            age(object, now),
        ]
    },
    ..Behaviour::WITH_STATUS
};

/// `CSINode`s.
pub(super) static CSI_NODE: Behaviour = Behaviour {
    returns_deleted: true,
    unconditional_update: false,
    columns: &[NAME, count("Drivers", "How many drivers are on the node."), AGE],
    cells: |object, now| vec![name(object), json!(size(&object["spec"]["drivers"])), age(object, now)],
    ..Behaviour::PLAIN
};

/// Whether pods wait for a driver is behind a gate that is off: it is forgotten, unless it is there.
fn forget_gated(driver: &mut Value, old: Option<&Value>, _: &Scene<'_>) {
    const FIELD: &str = "preventPodSchedulingIfMissing";
    if old.is_none_or(|old| old["spec"][FIELD].is_null())
        && let Some(spec) = driver.get_mut("spec").and_then(Value::as_object_mut)
    {
        spec.remove(FIELD);
    }
}

/// `CSIDriver`s.
pub(super) static CSI_DRIVER: Behaviour = Behaviour {
    warnings: warnings::driver,
    prepare: forget_gated,
    generation: Generation::Changes,
    returns_deleted: true,
    unconditional_update: false,
    columns: &[
        NAME,
        flag("AttachRequired", "Whether its volumes have to be attached first."),
        flag("PodInfoOnMount", "Whether it is told of the pod when it mounts."),
        flag("StorageCapacity", "Whether it tells how much room there is."),
        column("TokenRequests", "For whom it wants tokens of the pod's account."),
        flag("RequiresRepublish", "Whether it wants to publish again and again."),
        column("Modes", "Which volumes it serves."),
        AGE,
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        let audiences: Vec<&str> = items(&spec["tokenRequests"]).map(|one| text(&one["audience"])).collect();
        vec![
            name(object),
            json!(spec["attachRequired"].as_bool().unwrap_or(true)),
            yes(&spec["podInfoOnMount"]),
            yes(&spec["storageCapacity"]),
            if spec["tokenRequests"].is_null() { json!("<unset>") } else { json!(audiences.join(",")) },
            yes(&spec["requiresRepublish"]),
            joined(items(&spec["volumeLifecycleModes"]).filter_map(Value::as_str)),
            age(object, now),
        ]
    },
    ..Behaviour::PLAIN
};

/// `CSIStorageCapacity` objects.
pub(super) static CSI_STORAGE_CAPACITY: Behaviour = Behaviour {
    warnings: warnings::storage_capacity,
    unconditional_update: false,
    columns: created::COLUMNS,
    cells: created::cells,
    ..Behaviour::PLAIN
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn yes(value: &Value) -> Value {
    json!(value.as_bool().unwrap_or_default())
}

fn named(object: &Value, default_annotations: &[&str]) -> Value {
    let meta = Meta::of(object);
    let default = default_annotations.iter().any(|annotation| meta.annotation(annotation) == Some("true"));
    if default { json!(format!("{} (default)", meta.name())) } else { json!(meta.name()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn the_default_class_says_so() {
        let object = json!({
            "metadata": {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            "provisioner": "p",
        });
        let shown = (STORAGE_CLASS.cells)(&object, SystemTime::UNIX_EPOCH);
        assert_eq!(
            shown,
            [
                json!("fast (default)"),
                json!("p"),
                json!("Delete"),
                json!("Immediate"),
                json!(false),
                json!("<unknown>")
            ]
        );
    }

    #[test]
    fn what_is_behind_a_gate_is_forgotten_where_it_was_not() {
        let scene = crate::registry::kinds::at(crate::registry::behaviour::Part::Main);
        let driver = json!({"spec": {"preventPodSchedulingIfMissing": true}});
        let mut new = driver.clone();
        (CSI_DRIVER.prepare)(&mut new, Some(&driver), &scene);
        assert_eq!(new, driver);
        (CSI_DRIVER.prepare)(&mut new, None, &scene);
        assert_eq!(new, json!({"spec": {}}));
    }
}
