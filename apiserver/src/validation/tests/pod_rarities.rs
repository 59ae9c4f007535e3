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

#[test]
fn what_goes_with_a_system_a_namespace_or_the_rest_of_a_pod_is_told() {
    let told = |spec: Value| causes("Pod", &pod(&spec));
    let forbidden = |path: &str, why: &str| format!("spec.{path} | FieldValueForbidden | Forbidden: {why}");
    assert_eq!(
        told(json!({"os": {"name": "linux"}, "securityContext": {"windowsOptions": {}}})),
        [forbidden("securityContext.windowsOptions", "windows options cannot be set for a linux pod")]
    );
    assert_eq!(
        told(json!({"os": {"name": "windows"}, "hostIPC": true, "securityContext": {"runAsUser": 1, "sysctls": []}})),
        ["hostIPC", "securityContext.runAsUser"].map(|path| forbidden(path, "cannot be set for a windows pod"))
    );
    assert_eq!(told(json!({"hostUsers": false, "hostPID": true})), [forbidden("HostPID", "when `hostUsers` is false")]);
    let sysctls = |name: &str| json!({"hostIPC": true, "hostNetwork": true, "securityContext": {"sysctls": [{"name": name, "value": "1"}]}});
    for (name, field) in [("kernel.shmmax", "hostIPC"), ("net/ipv4/conf/eth0.1/x", "hostNetwork")] {
        assert_eq!(
            told(sysctls(name)),
            [format!(
                "spec.securityContext.sysctls[0].name | FieldValueInvalid | Invalid value: \"{name}\": may not be specified when '{field}' is true"
            )]
        );
    }
    assert_eq!(told(sysctls("kernel.semx")), [""; 0]);
}

#[test]
fn keys_of_a_pods_own_labels_narrow_a_selector_once() {
    let spread = |selector: Value| {
        let constraint = json!({
            "maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "matchLabelKeys": ["a"],
            "labelSelector": selector,
        });
        causes("Pod", &pod(&json!({"topologySpreadConstraints": [constraint]})))
    };
    let one = json!([{"key": "a", "operator": "In", "values": ["b"]}]);
    assert_eq!(spread(json!({"matchExpressions": one})), [""; 0]);
    assert_eq!(
        spread(json!({"matchLabels": {"a": "b"}, "matchExpressions": one})),
        [
            "spec.topologySpreadConstraints[0][0] | FieldValueInvalid | Invalid value: \"a\": exists in both matchLabelKeys and labelSelector"
        ]
    );
    let term = json!({"topologyKey": "z", "labelSelector": {}, "matchLabelKeys": ["a"], "mismatchLabelKeys": ["a"]});
    let of_pods = json!({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}});
    assert_eq!(
        causes("Pod", &pod(&of_pods)),
        [
            "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].matchLabelKeys[0] | FieldValueInvalid | Invalid value: \"a\": exists in both matchLabelKeys and mismatchLabelKeys"
        ]
    );
}

#[test]
fn a_pod_has_what_its_containers_need_together() {
    let of = |pod_has: Value, container_has: Value| {
        let container = |name: &str| {
            json!({
                "name": name, "image": "i", "imagePullPolicy": "Always", "terminationMessagePolicy": "File",
                "resources": container_has,
            })
        };
        causes("Pod", &pod(&json!({"resources": pod_has, "containers": [container("a"), container("b")]})))
    };
    let one = json!({"requests": {"cpu": "1"}, "limits": {"cpu": "1"}});
    assert_eq!(of(json!({"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}), one.clone()), [""; 0]);
    let above = "Invalid value: \"1\": must be less than or equal to pod limits of 500m";
    assert_eq!(
        of(json!({"requests": {"cpu": "500m"}, "limits": {"cpu": "500m"}}), one),
        [
            "spec.resources.requests[cpu] | FieldValueInvalid | Invalid value: \"500m\": must be greater than or equal to aggregate container requests of 2".to_owned(),
            format!("spec.resources.containers[0][cpu].limits | FieldValueInvalid | {above}"),
            format!("spec.resources.containers[1][cpu].limits | FieldValueInvalid | {above}"),
        ]
    );
    let huge = |more: Value| {
        let mut limits = json!({"hugepages-2Mi": "2Mi"});
        limits.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        json!({"requests": limits, "limits": limits})
    };
    let whole =
        json!({"requests": {"cpu": "2", "hugepages-2Mi": "4Mi"}, "limits": {"cpu": "2", "hugepages-2Mi": "4Mi"}});
    assert_eq!(of(whole.clone(), huge(json!({"memory": "1"}))), [""; 0]);
    assert_eq!(
        of(whole, huge(json!({}))),
        [0, 1].map(|at| {
            format!(
                "spec.containers[{at}].resources | FieldValueForbidden | Forbidden: HugePages require cpu or memory"
            )
        })
    );
}

#[test]
fn a_resource_is_told_in_steps_of_its_own_and_a_device_is_claimed() {
    let steps = |resource: &str, divisor: &str| {
        let item =
            json!({"path": "p", "resourceFieldRef": {"containerName": "c", "resource": resource, "divisor": divisor}});
        causes("Pod", &pod(&json!({"volumes": [{"name": "v", "downwardAPI": {"items": [item]}}]})))
    };
    for (resource, divisor) in
        [("limits.cpu", "1m"), ("limits.memory", "1Mi"), ("requests.memory", "1Ki"), ("limits.cpu", "0")]
    {
        assert_eq!(steps(resource, divisor), [""; 0], "{resource} {divisor}");
    }
    let causes_of_odd = steps("limits.cpu", "100m");
    let told = "Invalid value: \"limits.cpu\": only divisor's values 1m and 1 are supported with the cpu resource";
    assert!(causes_of_odd.len() == 1 && causes_of_odd[0].ends_with(told), "{causes_of_odd:?}");
    let container = json!({
        "name": "c", "image": "i", "imagePullPolicy": "Always", "terminationMessagePolicy": "File",
        "volumeDevices": [{"name": "v", "devicePath": "/d"}],
    });
    let device = |volume: Value| causes("Pod", &pod(&json!({"containers": [container], "volumes": [volume]})));
    assert_eq!(device(json!({"name": "v", "persistentVolumeClaim": {"claimName": "c"}})), [""; 0]);
    assert_eq!(
        device(json!({"name": "v", "emptyDir": {}})),
        [
            "spec.containers[0].volumeDevices[0].name | FieldValueInvalid | Invalid value: \"v\": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
        ]
    );
}
