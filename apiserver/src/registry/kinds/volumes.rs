//! Persistent volumes and the claims on them.

use crate::registry::behaviour::{AGE, Behaviour, Generation, NAME, Part, Scene, column, wide};
use crate::registry::cells::{age, items, name, quantity};
use crate::registry::warnings;
use serde_json::{Value, json};
use tinyplane_wire::meta::{Meta, map_mut};

/// How classes were named before there was a field for it.
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";
/// The modes of access and their short forms, in the order in which they are told.
const ACCESS_MODES: [(&str, &str); 4] =
    [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];

/// `PersistentVolume`s.
pub(super) static PERSISTENT_VOLUME: Behaviour = Behaviour {
    returns_deleted: true,
    generation: Generation::None,
    prepare: begin_volume,
    warnings: warnings::volume,
    columns: &[
        NAME,
        column("Capacity", "How much it holds."),
        column("Access Modes", "How it may be mounted."),
        column("Reclaim Policy", "What becomes of it when its claim is gone."),
        column("Status", "Whether it is free, bound or released."),
        column("Claim", "The claim that it is bound to."),
        column("StorageClass", "The storage class that it belongs to."),
        column("VolumeAttributesClass", "The class of its attributes."),
        column("Reason", "Why it failed."),
        AGE,
        wide("VolumeMode", "Whether it is a file system or a block device."),
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        vec![
            name(object),
            json!(quantity(&spec["capacity"]["storage"])),
            json!(access_modes(&spec["accessModes"])),
            or(&spec["persistentVolumeReclaimPolicy"], ""),
            phase(object),
            claim(&spec["claimRef"]),
            storage_class(object),
            or(&spec["volumeAttributesClassName"], "<unset>"),
            or(&object["status"]["reason"], ""),
            age(object, now),
            or(&spec["volumeMode"], "<unset>"),
        ]
    },
    ..Behaviour::WITH_STATUS
};

/// `PersistentVolumeClaim`s.
pub(super) static PERSISTENT_VOLUME_CLAIM: Behaviour = Behaviour {
    returns_deleted: true,
    generation: Generation::None,
    prepare: begin_claim,
    warnings: warnings::claim,
    columns: &[
        NAME,
        column("Status", "Whether it is pending, bound or lost."),
        column("Volume", "The volume that it is bound to."),
        column("Capacity", "How much the volume holds."),
        column("Access Modes", "How the volume may be mounted."),
        column("StorageClass", "The storage class that it asks for."),
        column("VolumeAttributesClass", "The class of attributes that it asks for."),
        AGE,
        wide("VolumeMode", "Whether it is a file system or a block device."),
    ],
    cells: |object, now| {
        let (spec, status) = (&object["spec"], &object["status"]);
        let bound = spec["volumeName"].as_str().is_some_and(|volume| !volume.is_empty());
        vec![
            name(object),
            phase(object),
            or(&spec["volumeName"], ""),
            json!(if bound { quantity(&status["capacity"]["storage"]) } else { String::new() }),
            json!(if bound { access_modes(&status["accessModes"]) } else { String::new() }),
            storage_class(object),
            or(&spec["volumeAttributesClassName"], "<unset>"),
            age(object, now),
            or(&spec["volumeMode"], "<unset>"),
        ]
    },
    ..Behaviour::WITH_STATUS
};

/// A new volume is pending from its first moment; a change of phase has its time.
fn begin_volume(new: &mut Value, old: Option<&Value>, scene: &Scene<'_>) {
    match old {
        None => {
            map_mut(new).insert("status".into(), json!({"phase": "Pending", "lastPhaseTransitionTime": scene.now}));
        }
        Some(old) if scene.part == Part::Status => {
            let (was, is) = (&old["status"], &new["status"]);
            let (before, told) = (&was["lastPhaseTransitionTime"], &is["lastPhaseTransitionTime"]);
            if was["phase"] != is["phase"] && (told.is_null() || told == before) {
                new["status"]["lastPhaseTransitionTime"] = json!(scene.now);
            } else if told.is_null() && !before.is_null() {
                new["status"]["lastPhaseTransitionTime"] = before.clone();
            }
        }
        Some(_) => {}
    }
}

/// A new claim is pending. What it is filled from is told by two fields of which either fills in the other.
fn begin_claim(new: &mut Value, old: Option<&Value>, scene: &Scene<'_>) {
    if old.is_none() {
        map_mut(new).insert("status".into(), json!({"phase": "Pending"}));
    }
    if scene.part != Part::Main {
        return;
    }
    let has = |field: &str| old.is_some_and(|old| !old["spec"][field].is_null());
    let source = new["spec"]["dataSource"].clone();
    let mut reference = new["spec"]["dataSourceRef"].clone();
    // Sources in other namespaces are behind a gate that is off: only what a claim has already, it keeps.
    if !has("dataSourceRef")
        && reference["namespace"].as_str().is_some_and(|namespace| !namespace.is_empty())
        && let Some(spec) = new["spec"].as_object_mut()
    {
        spec.remove("dataSourceRef");
        reference = Value::Null;
    }
    let had = has("dataSource") || has("dataSourceRef");
    if !source.is_null() && reference.is_null() && !had && !is_volume_source(&source) {
        // The older field says nothing else, and is forgotten where it does.
        if let Some(spec) = new["spec"].as_object_mut() {
            spec.remove("dataSource");
        }
    } else if !source.is_null() && reference.is_null() {
        new["spec"]["dataSourceRef"] = source;
    } else if source.is_null() && !reference.is_null() && reference["namespace"].as_str().is_none_or(str::is_empty) {
        new["spec"]["dataSource"] = reference;
    }
}

/// Whether the older of the two fields can say what a claim is filled from: a claim or a snapshot.
fn is_volume_source(source: &Value) -> bool {
    matches!(
        (source["apiGroup"].as_str().unwrap_or_default(), source["kind"].as_str().unwrap_or_default()),
        ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot")
    )
}

fn or(value: &Value, missing: &str) -> Value {
    json!(value.as_str().unwrap_or(missing))
}

fn access_modes(modes: &Value) -> String {
    let has = |mode: &str| items(modes).any(|one| one == mode);
    let short: Vec<&str> = ACCESS_MODES.iter().filter(|(mode, _)| has(mode)).map(|(_, short)| *short).collect();
    short.join(",")
}

fn phase(object: &Value) -> Value {
    if Meta::of(object).is_deleting() { json!("Terminating") } else { or(&object["status"]["phase"], "") }
}

fn claim(reference: &Value) -> Value {
    if reference.is_null() {
        return json!("");
    }
    let text = |field: &str| reference[field].as_str().unwrap_or_default();
    json!(format!("{}/{}", text("namespace"), text("name")))
}

fn storage_class(object: &Value) -> Value {
    match Meta::of(object).annotation(CLASS_ANNOTATION) {
        Some(class) => json!(class),
        None => or(&object["spec"]["storageClassName"], ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::kinds::{NOW, at};
    use std::time::SystemTime;

    #[test]
    fn a_claim_is_pending_until_it_is_bound() {
        let mut claim = json!({
            "metadata": {"name": "data"},
            "spec": {"storageClassName": "fast", "dataSource": {"kind": "PersistentVolumeClaim", "name": "x"}},
            "status": {"phase": "Bound"},
        });
        (PERSISTENT_VOLUME_CLAIM.prepare)(&mut claim, None, &at(Part::Main));
        assert_eq!(claim["status"], json!({"phase": "Pending"}));
        assert_eq!(claim["spec"]["dataSourceRef"], claim["spec"]["dataSource"]);
        let shown = (PERSISTENT_VOLUME_CLAIM.cells)(&claim, SystemTime::UNIX_EPOCH);
        assert_eq!(
            shown,
            ["data", "Pending", "", "", "", "fast", "<unset>", "<unknown>", "<unset>"].map(|text| json!(text))
        );
        claim["spec"]["volumeName"] = json!("v");
        claim["status"] = json!({"phase": "Bound", "capacity": {"storage": "1024Mi"}, "accessModes": ["ReadWriteMany", "ReadWriteOnce"]});
        let shown = (PERSISTENT_VOLUME_CLAIM.cells)(&claim, SystemTime::UNIX_EPOCH);
        assert_eq!(shown[1..5], ["Bound", "v", "1Gi", "RWO,RWX"].map(|text| json!(text)));
    }

    #[test]
    fn what_a_claim_is_filled_from_stands_in_both_fields_or_is_forgotten() {
        let prepared = |spec: Value| {
            let mut claim = json!({"spec": spec});
            (PERSISTENT_VOLUME_CLAIM.prepare)(&mut claim, None, &at(Part::Main));
            claim["spec"].clone()
        };
        let other = json!({"apiGroup": "a.b", "kind": "Image", "name": "x"});
        assert_eq!(prepared(json!({"dataSourceRef": other})), json!({"dataSource": other, "dataSourceRef": other}));
        assert_eq!(prepared(json!({"dataSource": other})), json!({}));
        let elsewhere = json!({"apiGroup": "a.b", "kind": "Image", "name": "x", "namespace": "n"});
        assert_eq!(prepared(json!({"dataSourceRef": elsewhere})), json!({}));
        let old = json!({"spec": {"dataSourceRef": other}});
        let mut claim = json!({"spec": {"dataSourceRef": elsewhere}});
        (PERSISTENT_VOLUME_CLAIM.prepare)(&mut claim, Some(&old), &at(Part::Main));
        assert_eq!(claim["spec"], json!({"dataSourceRef": elsewhere}));
    }

    #[test]
    fn a_volume_remembers_since_when_it_has_its_phase() {
        let mut volume = json!({"spec": {}});
        (PERSISTENT_VOLUME.prepare)(&mut volume, None, &at(Part::Main));
        volume["status"]["lastPhaseTransitionTime"] = json!("2020-01-01T00:00:00Z");
        let tell = |status: Value| {
            let mut told = json!({"spec": {}, "status": status});
            (PERSISTENT_VOLUME.prepare)(&mut told, Some(&volume), &at(Part::Status));
            told["status"]["lastPhaseTransitionTime"].clone()
        };
        assert_eq!(tell(json!({"phase": "Pending", "message": "waiting"})), "2020-01-01T00:00:00Z");
        assert_eq!(tell(json!({"phase": "Bound"})), NOW);
        assert_eq!(
            tell(json!({"phase": "Bound", "lastPhaseTransitionTime": "2021-01-01T00:00:00Z"})),
            "2021-01-01T00:00:00Z"
        );
    }
}
