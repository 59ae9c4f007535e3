//! Mistakes in volumes, claims and what serves them, and what their authors are told.

use super::super::{create, update, update_part};
use super::told;
use serde_json::{Value, json};

const NOTHING: [&str; 0] = [];

fn volume(fields: &Value) -> Value {
    let mut volume = json!({"metadata": {"name": "v"}, "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "volumeMode": "Filesystem"}});
    for (field, value) in fields.as_object().into_iter().flatten() {
        volume["spec"][field] = value.clone();
    }
    volume
}

fn created(fields: &Value) -> Vec<String> {
    told(&create("", "PersistentVolume", &volume(fields), None))
}

#[test]
fn a_volume_lies_in_one_place() {
    assert_eq!(created(&json!({"hostPath": {"path": "/a"}})), NOTHING);
    assert_eq!(created(&json!({})), ["spec: Required value: must specify a volume type"]);
    assert_eq!(
        created(&json!({"hostPath": {"path": "/a/../b"}, "cephfs": {"monitors": ["a"]}})),
        [
            "spec.hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
            "spec.cephFS: Forbidden: may not specify more than 1 volume type"
        ]
    );
    assert_eq!(
        created(&json!({"local": {"path": "/a"}})),
        ["spec.nodeAffinity: Required value: Local volume requires node affinity"]
    );
    assert_eq!(
        created(
            &json!({"csi": {"driver": "d.example.com", "nodeStageSecretRef": {}, "nodePublishSecretRef": {"name": "a"}}})
        ),
        ["spec.csi.volumeHandle: Required value", "spec.csi.nodePublishSecretRef.namespace: Required value"]
    );
    let iscsi = |iqn: &str| json!({"iscsi": {"targetPortal": "10.0.0.1", "iqn": iqn, "lun": 0}});
    assert_eq!(created(&iscsi("iqn.2003-01.org.linux-iscsi:sn")), NOTHING);
    assert_eq!(
        created(&iscsi("iqn.2003-1.org")),
        ["spec.iscsi.iqn: Invalid value: \"iqn.2003-1.org\": must be valid format"]
    );
    assert_eq!(
        created(&json!({"nfs": {"server": "s", "path": "a"}, "capacity": {"memory": "0"}})),
        [
            "spec.capacity: Unsupported value: {\"memory\":\"0\"}: supported values: \"storage\"",
            "spec.capacity[memory]: Invalid value: \"0\": must be greater than zero",
            "spec.nfs.path: Invalid value: \"a\": must be an absolute path"
        ]
    );
}

#[test]
fn where_a_volume_lies_stays() {
    let old = volume(&json!({"csi": {"driver": "d", "volumeHandle": "h"}}));
    let secret = json!({"name": "s", "namespace": "n"});
    let new = volume(&json!({"csi": {"driver": "d", "volumeHandle": "h", "controllerExpandSecretRef": secret}}));
    assert_eq!(told(&update("", "PersistentVolume", &new, &old, None)), NOTHING);
    let new = volume(&json!({"csi": {"driver": "d", "volumeHandle": "i"}, "volumeMode": "Block"}));
    let causes = told(&update("", "PersistentVolume", &new, &old, None));
    assert_eq!(
        causes[0],
        concat!(
            "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n",
            "@@ -22,7 +22,7 @@\n  \"StorageOS\": null,\n  \"CSI\": {\n   \"Driver\": \"d\",\n",
            "-  \"VolumeHandle\": \"h\",\n+  \"VolumeHandle\": \"i\",\n",
            "   \"ReadOnly\": false,\n   \"FSType\": \"\",\n   \"VolumeAttributes\": null,\n"
        )
    );
    assert_eq!(causes[1], "volumeMode: Invalid value: \"Block\": field is immutable");
}

fn claim(fields: &Value) -> Value {
    let mut claim = json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    for (field, value) in fields.as_object().into_iter().flatten() {
        claim["spec"][field] = value.clone();
    }
    claim
}

#[test]
fn what_a_claim_is_filled_from_is_said_once() {
    let of = |fields: &Value| told(&create("", "PersistentVolumeClaim", &claim(fields), None));
    let source = json!({"kind": "PersistentVolumeClaim", "name": "a"});
    assert_eq!(of(&json!({"dataSource": source, "dataSourceRef": source})), NOTHING);
    assert_eq!(
        of(&json!({"dataSource": source, "dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "b"}})),
        ["spec: Invalid value: {}: must match dataSourceRef"]
    );
    assert_eq!(
        of(&json!({"dataSource": {"kind": "Pod"}, "accessModes": ["ReadWriteOncePod", "ReadWriteOnce"]})),
        [
            "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
            "spec.dataSource.name: Required value",
            "spec.dataSource: Invalid value: \"Pod\": must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        ]
    );
}

#[test]
fn an_unbound_claim_keeps_its_class_of_attributes() {
    let (old, new) = (claim(&json!({})), claim(&json!({"volumeAttributesClassName": "gold"})));
    assert_eq!(told(&update("", "PersistentVolumeClaim", &new, &old, None)).len(), 1);
    let bound = |mut claim: Value| {
        claim["status"] = json!({"phase": "Bound", "currentVolumeAttributesClassName": "silver"});
        claim
    };
    assert_eq!(told(&update("", "PersistentVolumeClaim", &bound(new.clone()), &bound(old.clone()), None)), NOTHING);
    assert_eq!(
        told(&update("", "PersistentVolumeClaim", &bound(old.clone()), &bound(new), None)),
        [
            "spec.volumeAttributesClassName: Forbidden: update to nil is forbidden when status.currentVolumeAttributesClassName is not nil"
        ]
    );
    let status = json!({"status": {"capacity": {"storage": "-1"}, "allocatedResources": {"cpu": "1"}}});
    assert_eq!(
        told(&update_part("", "PersistentVolumeClaim", "status", &status, &old)),
        [
            "status.capacity[storage]: Invalid value: -1: must be a valid resource quantity",
            "status.allocatedResources: Unsupported value: \"cpu\": supported values: \"storage\""
        ]
    );
}

#[test]
fn drivers_say_what_they_can_and_keep_to_it() {
    let of = |kind: &str, object: &Value| told(&create("storage.k8s.io", kind, object, None));
    let spec =
        json!({"attachRequired": true, "podInfoOnMount": false, "storageCapacity": false, "seLinuxMount": false});
    let driver = json!({"spec": spec});
    assert_eq!(of("CSIDriver", &driver), NOTHING);
    assert_eq!(of("CSIDriver", &json!({"spec": {}})).len(), 4);
    let mut changed = driver.clone();
    changed["spec"]["attachRequired"] = json!(false);
    changed["spec"]["tokenRequests"] = json!([{"audience": ""}, {"audience": "", "expirationSeconds": 1}]);
    assert_eq!(
        told(&update("storage.k8s.io", "CSIDriver", &changed, &driver, None)),
        [
            "spec.tokenRequests[1].audience: Duplicate value: \"\"",
            "spec.attachedRequired: Invalid value: false: field is immutable"
        ]
    );
    let node = |id: &str, count: i64| json!({"spec": {"drivers": [{"name": "d", "nodeID": id, "allocatable": {"count": count}}]}});
    assert_eq!(told(&update("storage.k8s.io", "CSINode", &node("a", 2), &node("a", 1), None)), NOTHING);
    assert_eq!(
        told(&update("storage.k8s.io", "CSINode", &node("b", -1), &node("a", 1), None)),
        [
            "spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to 0",
            "spec.drivers: Invalid value: {\"Name\":\"d\",\"NodeID\":\"b\",\"TopologyKeys\":null,\"Allocatable\":null}: field is immutable"
        ]
    );
    let attachment = json!({"spec": {"attacher": "d", "nodeName": "n", "source": {}}});
    assert_eq!(
        of("VolumeAttachment", &attachment),
        ["spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName"]
    );
    assert_eq!(
        of("VolumeAttributesClass", &json!({"driverName": "d"})),
        ["parameters: Required value: must contain at least one key/value pair"]
    );
}

#[test]
fn topologies_of_a_class_differ() {
    let term = |values: Value| json!({"matchLabelExpressions": [{"key": "zone", "values": values}]});
    let class = json!({"provisioner": "a/b", "volumeBindingMode": "Immediate", "allowedTopologies": [term(json!(["a", "b"])), term(json!(["b", "a"])), term(json!([]))]});
    assert_eq!(
        told(&create("storage.k8s.io", "StorageClass", &class, None)),
        [
            "allowedTopologies[1].matchLabelExpressions: Duplicate value: \"\"",
            "allowedTopologies[2].matchLabelExpressions[0].values: Required value"
        ]
    );
}

#[test]
fn what_of_volumes_stays_is_shown_as_upstream_holds_it() {
    let terms = |key: &str| json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": key, "operator": "Exists"}]}]}});
    let volume = |affinity: Value| {
        let spec = json!({
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/a"},
            "nodeAffinity": affinity,
        });
        json!({"metadata": {"name": "v"}, "spec": spec})
    };
    let told = |group: &str, kind: &str, new: &Value, old: &Value| {
        let causes = update(group, kind, new, old, None);
        causes.into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect::<Vec<_>>()
    };
    assert_eq!(
        told("", "PersistentVolume", &volume(terms("b")), &volume(terms("a"))),
        [
            "nodeAffinity: Invalid value: {\"Required\":{\"NodeSelectorTerms\":[{\"MatchExpressions\":[{\"Key\":\"b\",\"Operator\":\"Exists\",\"Values\":null}],\"MatchFields\":null}]}}: field is immutable, except for updating from beta label to GA"
        ]
    );
    let capacity =
        |topology: Value| json!({"metadata": {"name": "c"}, "storageClassName": "s", "nodeTopology": topology});
    let topology = json!({"matchExpressions": [{"key": "a", "operator": "Exists"}], "matchLabels": {"a": "b"}});
    assert_eq!(
        told("storage.k8s.io", "CSIStorageCapacity", &capacity(topology), &capacity(json!({}))),
        [
            "nodeTopology: Invalid value: {\"matchLabels\":{\"a\":\"b\"},\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Exists\"}]}: field is immutable"
        ]
    );
    let attachment = |source: Value| json!({"metadata": {"name": "a"}, "spec": {"attacher": "a.b", "nodeName": "n", "source": source}});
    let both = json!({"persistentVolumeName": "p", "inlineVolumeSpec": {}});
    let causes = told(
        "storage.k8s.io",
        "VolumeAttachment",
        &attachment(both),
        &attachment(json!({"persistentVolumeName": "p"})),
    );
    assert!(causes.len() == 2 && causes[1].ends_with(": field is immutable"), "{causes:?}");
}
