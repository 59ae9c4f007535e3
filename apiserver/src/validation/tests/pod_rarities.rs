//! Parts of pods that few say: volumes of old plugins, rules of restarts, Windows, gates.

use super::*;

#[test]
fn volumes_of_pods_say_what_their_plugins_need() {
    let told = |volume: Value| {
        let mut volume = volume;
        volume["name"] = "v".into();
        let causes = causes("Pod", &pod(&json!({"volumes": [volume]})));
        causes.into_iter().map(|cause| cause.replace("spec.volumes[0].", "")).collect::<Vec<_>>()
    };
    let table: [(Value, &[&str]); 10] = [
        (
            json!({"gcePersistentDisk": {"pdName": "a", "partition": 300}}),
            &[
                "persistentDisk.partition | FieldValueInvalid | Invalid value: 300: must be between 1 and 255, inclusive",
            ],
        ),
        (
            json!({"gitRepo": {"directory": "../a"}}),
            &[
                "gitRepo.repository | FieldValueRequired | Required value",
                "gitRepo.directory | FieldValueInvalid | Invalid value: \"../a\": must not contain '..'",
            ],
        ),
        (
            json!({"iscsi": {"targetPortal": "a", "iqn": "x", "secretRef": {}}}),
            &[
                "iscsi.iqn | FieldValueInvalid | Invalid value: \"x\": must be valid format starting with iqn, eui, or naa",
            ],
        ),
        (
            json!({"cinder": {"volumeID": "a", "secretRef": {}}}),
            &["cinder.secretRef.name | FieldValueRequired | Required value"],
        ),
        (json!({"azureFile": {"shareName": "a"}}), &["azureFile.secretName | FieldValueRequired | Required value"]),
        (
            json!({"quobyte": {"registry": "a:1,b", "volume": "v"}}),
            &[
                "quobyte.registry | FieldValueInvalid | Invalid value: \"a:1,b\": must be a host:port pair or multiple pairs separated by commas",
            ],
        ),
        (
            json!({"csi": {"driver": "x.io", "nodePublishSecretRef": {}}}),
            &["csi.nodePublishSecretRef.name | FieldValueRequired | Required value"],
        ),
        (json!({"image": {}}), &["image.reference | FieldValueRequired | Required value"]),
        (
            json!({"emptyDir": {}, "cephfs": {}, "downwardAPI": {}}),
            &[
                "cephFS | FieldValueForbidden | Forbidden: may not specify more than 1 volume type",
                "downwarAPI | FieldValueForbidden | Forbidden: may not specify more than 1 volume type",
            ],
        ),
        (
            json!({"projected": {"sources": [
                {"serviceAccountToken": {"expirationSeconds": 600}},
                {"configMap": {"name": "a", "items": [{"key": "k", "path": "p"}]}, "secret": {"name": "b", "items": [{"key": "k", "path": "p"}]}},
            ]}}),
            &[
                "projected.path | FieldValueRequired | Required value",
                "projected | FieldValueInvalid | Invalid value: \"a\": conflicting duplicate paths",
                "projected.sources[1] | FieldValueForbidden | Forbidden: may not specify more than 1 volume type per source",
                "projected.sources[0].serviceAccountToken | FieldValueForbidden | Forbidden: must not be specified when serviceAccountName is not set",
            ],
        ),
    ];
    for (volume, expected) in table {
        assert_eq!(told(volume.clone()), expected, "{volume}");
    }
    let template = json!({"template": {"spec": pod(&json!({"volumes": [{"name": "v", "image": {}}]}))["spec"]}});
    assert_eq!(causes("PodTemplate", &template), [""; 0]);
}

#[test]
fn what_pods_say_of_restarts_files_claims_and_windows_is_looked_at() {
    let told = |spec: Value| {
        let causes = causes("Pod", &pod(&spec));
        causes.into_iter().map(|cause| cause.replace("spec.", "")).collect::<Vec<_>>()
    };
    let of = |fields: Value| told(json!({"containers": [with(&fields)]}));
    assert_eq!(
        of(json!({"restartPolicyRules": [{"action": "Stop"}]})),
        [
            "containers[0].restartPolicy | FieldValueRequired | Required value: must specify restartPolicy when restart rules are used",
            "containers[0].restartPolicyRules[0].action | FieldValueNotSupported | Unsupported value: \"Stop\": supported values: \"Restart\", \"RestartAllContainers\"",
            "containers[0].restartPolicyRules[0].exitCodes | FieldValueRequired | Required value: must be specified",
        ]
    );
    let file = json!({"key": "K", "volumeName": "v", "path": "../a"});
    assert_eq!(
        of(json!({"env": [{"name": "A", "valueFrom": {"fileKeyRef": file}}]})),
        [
            "containers[0].env[0].valueFrom.fileKeyRef.path | FieldValueInvalid | Invalid value: \"../a\": must not contain '..'",
            "containers[0].env[0].valueFrom.fileKeyRef.volumeName | FieldValueNotFound | Not found: \"v\"",
        ]
    );
    assert_eq!(
        of(json!({"resources": {"claims": [{"name": "a"}, {}]}})),
        [
            "containers[0].resources.claims[0] | FieldValueNotFound | Not found: \"a\": must be one of the names in pod.resourceClaims which is empty",
            "containers[0].resources.claims[1] | FieldValueRequired | Required value",
        ]
    );
    assert_eq!(
        of(json!({"securityContext": {"windowsOptions": {"hostProcess": true, "runAsUserName": "a\\b\\c"}}})),
        [
            "containers[0].securityContext.windowsOptions.runAsUserName | FieldValueInvalid | Invalid value: \"a\\\\b\\\\c\": runAsUserName cannot contain more than one backslash",
            "hostNetwork | FieldValueInvalid | Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers",
        ]
    );
    assert_eq!(
        told(json!({"hostnameOverride": "A", "setHostnameAsFQDN": true, "overhead": {"k": "1"}}))[0],
        "hostnameOverride | FieldValueForbidden | Forbidden: may not be specified when setHostnameAsFQDN is true"
    );
}

#[test]
fn a_pod_that_waits_at_a_gate_may_go_to_fewer_places() {
    let gated = |fields: Value| {
        let mut spec = json!({"schedulingGates": [{"name": "a"}], "nodeSelector": {"x": "1"}});
        for (field, value) in fields.as_object().into_iter().flatten() {
            spec[field] = value.clone();
        }
        pod(&spec)
    };
    let of = |new: Value, old: Value| told(&update("", "Pod", &gated(new), &gated(old), None));
    assert_eq!(of(json!({"nodeSelector": {"x": "1", "y": "2"}}), json!({})), [""; 0]);
    assert_eq!(
        of(json!({"nodeSelector": {"y": "2"}}), json!({})),
        [
            "spec.nodeSelector: Invalid value: {\"y\":\"2\"}: only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        ]
    );
    let near = |key: &str| {
        let term = json!({"matchExpressions": [{"key": key, "operator": "Exists"}]});
        let required = json!({"nodeSelectorTerms": [term]});
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}})
    };
    assert_eq!(of(near("a"), json!({})), [""; 0]);
    assert_eq!(
        of(near("b"), near("a")),
        [
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]: Invalid value: {\"MatchExpressions\":[{\"Key\":\"b\",\"Operator\":\"Exists\",\"Values\":null}],\"MatchFields\":null}: only additions are allowed (no mutations or deletions)"
        ]
    );
}
