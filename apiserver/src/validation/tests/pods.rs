//! Pods, Services and schedules as users get them wrong: each bad input with its field, reason and message.

use super::*;
use crate::validation::update_part;

#[test]
fn what_is_wrong_with_a_container_is_told_by_field_reason_and_message() {
    let table: [(Value, &[&str]); 26] = [
        (
            json!({"ports": [{"containerPort": 0, "protocol": "TCP"}]}),
            &["ports[0].containerPort | FieldValueRequired | Required value"],
        ),
        (
            json!({"ports": [{"containerPort": 70_000, "protocol": "X"}]}),
            &[
                "ports[0].containerPort | FieldValueInvalid | Invalid value: 70000: must be between 1 and 65535, inclusive",
                "ports[0].protocol | FieldValueNotSupported | Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            ],
        ),
        (
            json!({"env": [{"name": "a=b"}]}),
            &[
                "env[0].name | FieldValueInvalid | Invalid value: \"a=b\": a valid environment variable name must consist only of printable ASCII characters other than '='",
            ],
        ),
        (
            json!({"env": [{"name": "a", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.phase"}}}]}),
            &[
                "env[0].valueFrom.fieldRef.fieldPath | FieldValueNotSupported | Unsupported value: \"status.phase\": supported values: \"metadata.name\", \"metadata.namespace\", \"metadata.uid\", \"spec.nodeName\", \"spec.serviceAccountName\", \"status.hostIP\", \"status.hostIPs\", \"status.podIP\", \"status.podIPs\"",
            ],
        ),
        (
            json!({"env": [{"name": "a", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.x"}}}]}),
            &[
                "env[0].valueFrom.fieldRef.fieldPath | FieldValueInvalid | Invalid value: \"spec.x\": error converting fieldPath: field label not supported: spec.x",
            ],
        ),
        (
            json!({"env": [{"name": "a", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.host"}}}]}),
            &[],
        ),
        (
            json!({"env": [{"name": "a", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.nominatedNodeName"}}}]}),
            &[
                "env[0].valueFrom.fieldRef.fieldPath | FieldValueInvalid | Invalid value: \"status.nominatedNodeName\": error converting fieldPath: field label not supported: status.nominatedNodeName",
            ],
        ),
        (
            json!({"env": [{"name": "a", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name['x']"}}}]}),
            &[
                "env[0].valueFrom.fieldRef.fieldPath | FieldValueInvalid | Invalid value: \"metadata.name['x']\": error converting fieldPath: field label does not support subscript: metadata.name['x']",
            ],
        ),
        (
            json!({"env": [{"name": "a", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}}]}),
            &[
                "env[0].valueFrom | FieldValueInvalid | Invalid value: \"\": may not be specified when `value` is not empty",
            ],
        ),
        (
            json!({"env": [{"name": "a", "valueFrom": {"resourceFieldRef": {"resource": "limits.gpu"}}}]}),
            &[
                "env[0].valueFrom.resourceFieldRef.resource | FieldValueNotSupported | Unsupported value: \"limits.gpu\": supported values: \"limits.cpu\", \"limits.ephemeral-storage\", \"limits.memory\", \"requests.cpu\", \"requests.ephemeral-storage\", \"requests.memory\"",
            ],
        ),
        (
            json!({"env": [{"name": "a", "valueFrom": {"secretKeyRef": {"name": "s"}}}]}),
            &["env[0].valueFrom.secretKeyRef.key | FieldValueRequired | Required value"],
        ),
        (
            json!({"envFrom": [{"prefix": "p"}]}),
            &["envFrom | FieldValueInvalid | Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`"],
        ),
        (
            json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}),
            &[
                "resources.requests | FieldValueInvalid | Invalid value: \"2\": must be less than or equal to cpu limit of 1",
            ],
        ),
        (
            json!({"resources": {"limits": {"memory": "-1"}}}),
            &[
                "resources.limits[memory] | FieldValueInvalid | Invalid value: \"-1\": must be greater than or equal to 0",
            ],
        ),
        (
            json!({"resources": {"limits": {"gpu": "1"}}}),
            &[
                "resources.limits[gpu] | FieldValueInvalid | Invalid value: \"gpu\": must be a standard resource type or fully qualified",
                "resources.limits[gpu] | FieldValueInvalid | Invalid value: \"gpu\": must be a standard resource for containers",
            ],
        ),
        (
            json!({"resources": {"requests": {"a.b/gpu": "1"}}}),
            &[
                "resources.limits | FieldValueRequired | Required value: Limit must be set for non overcommitable resources",
            ],
        ),
        (
            json!({"resources": {"requests": {"a.b/gpu": "1"}, "limits": {"a.b/gpu": "2"}}}),
            &["resources.requests | FieldValueInvalid | Invalid value: \"1\": must be equal to a.b/gpu limit of 2"],
        ),
        (
            json!({"resources": {"requests": {"a.b/gpu": "500m"}, "limits": {"a.b/gpu": "500m"}}}),
            &[
                "resources.limits[a.b/gpu] | FieldValueInvalid | Invalid value: \"500m\": must be an integer",
                "resources.requests[a.b/gpu] | FieldValueInvalid | Invalid value: \"500m\": must be an integer",
            ],
        ),
        (
            json!({"livenessProbe": {}}),
            &["livenessProbe | FieldValueRequired | Required value: must specify a handler type"],
        ),
        (
            json!({"livenessProbe": {"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}, "successThreshold": 2}}),
            &[
                "livenessProbe.tcpSocket | FieldValueForbidden | Forbidden: may not specify more than 1 handler type",
                "livenessProbe.successThreshold | FieldValueInvalid | Invalid value: 2: must be 1",
            ],
        ),
        (
            json!({"readinessProbe": {"httpGet": {"path": "/", "port": 0, "scheme": "FTP"}, "terminationGracePeriodSeconds": 5}}),
            &[
                "readinessProbe.httpGet.port | FieldValueInvalid | Invalid value: 0: must be between 1 and 65535, inclusive",
                "readinessProbe.httpGet.scheme | FieldValueNotSupported | Unsupported value: \"FTP\": supported values: \"HTTP\", \"HTTPS\"",
                "readinessProbe.terminationGracePeriodSeconds | FieldValueInvalid | Invalid value: 5: must not be set for readinessProbes",
            ],
        ),
        (
            json!({"lifecycle": {"preStop": {"exec": {}}}}),
            &["lifecycle.preStop.exec.command | FieldValueRequired | Required value"],
        ),
        (
            json!({"securityContext": {"runAsUser": -1, "procMount": "Open"}}),
            &[
                "securityContext.runAsUser | FieldValueInvalid | Invalid value: -1: must be between 0 and 2147483647, inclusive",
                "securityContext.procMount | FieldValueNotSupported | Unsupported value: \"Open\": supported values: \"Default\", \"Unmasked\"",
            ],
        ),
        (
            json!({"securityContext": {"seccompProfile": {"type": "Localhost"}}}),
            &[
                "securityContext.seccompProfile.localhostProfile | FieldValueRequired | Required value: must be set when seccomp type is Localhost",
            ],
        ),
        (
            json!({"image": " nginx"}),
            &["image | FieldValueInvalid | Invalid value: \" nginx\": must not have leading or trailing whitespace"],
        ),
        (
            json!({"resizePolicy": [{"resourceName": "disk", "restartPolicy": "NotRequired"}]}),
            &[
                "resizePolicy | FieldValueNotSupported | Unsupported value: \"disk\": supported values: \"cpu\", \"memory\"",
            ],
        ),
    ];
    for (fields, expected) in table {
        let told = causes("Pod", &pod(&json!({"containers": [with(&fields)]})));
        let expected: Vec<String> = expected.iter().map(|cause| format!("spec.containers[0].{cause}")).collect();
        assert_eq!(told, expected, "{fields}");
    }
}

#[test]
fn what_is_wrong_with_a_pods_spec_is_told_by_field_reason_and_message() {
    let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    let table: [(Value, &[&str]); 17] = [
        (
            json!({"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}, {"name": "v", "secret": {}}]}),
            &[
                "volumes[0].hostPath | FieldValueForbidden | Forbidden: may not specify more than 1 volume type",
                "volumes[1].secret.secretName | FieldValueRequired | Required value",
            ],
        ),
        (
            json!({"volumes": [{"name": "v"}]}),
            &["volumes[0] | FieldValueRequired | Required value: must specify a volume type"],
        ),
        (
            json!({"volumes": [{"name": "v", "configMap": {"name": "m", "defaultMode": 1_000, "items": [{"key": "k", "path": "../x"}]}}]}),
            &[
                "volumes[0].configMap.defaultMode | FieldValueInvalid | Invalid value: 1000: must be a number between 0 and 0777 (octal), both inclusive",
                "volumes[0].configMap.items[0].path | FieldValueInvalid | Invalid value: \"../x\": must not contain '..'",
            ],
        ),
        (
            json!({"volumes": [{"name": "v", "hostPath": {"path": "/a/../b"}}]}),
            &["volumes[0].hostPath.path | FieldValueInvalid | Invalid value: \"/a/../b\": must not contain '..'"],
        ),
        (
            json!({"hostNetwork": true, "containers": [with(&json!({"ports": [{"containerPort": 80, "protocol": "TCP"}]}))]}),
            &[
                "containers[0].ports[0].hostPort | FieldValueInvalid | Invalid value: 0: must match `containerPort` when `hostNetwork` is true",
            ],
        ),
        (
            json!({"dnsPolicy": "None"}),
            &["dnsConfig | FieldValueRequired | Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
        ),
        (
            json!({"dnsPolicy": "Some"}),
            &[
                "dnsPolicy | FieldValueNotSupported | Unsupported value: \"Some\": supported values: \"ClusterFirstWithHostNet\", \"ClusterFirst\", \"Default\", \"None\"",
            ],
        ),
        (
            json!({"securityContext": {"fsGroup": -1, "sysctls": [{"name": "A"}]}}),
            &[
                "securityContext.fsGroup | FieldValueInvalid | Invalid value: -1: must be between 0 and 2147483647, inclusive",
                "securityContext.sysctls[0].name | FieldValueInvalid | Invalid value: \"A\": must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
            ],
        ),
        (
            json!({"affinity": {"podAffinity": {preferred: [{"weight": 0, "podAffinityTerm": {"topologyKey": "a"}}]}}}),
            &[
                "affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight | FieldValueInvalid | Invalid value: 0: must be in the range 1-100",
            ],
        ),
        (
            json!({"affinity": {"nodeAffinity": {preferred: [{"weight": 1, "preference": {"matchExpressions": [{"key": "a", "operator": "Gt"}]}}]}}}),
            &[
                "affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].values | FieldValueRequired | Required value: must be specified single value when `operator` is 'Lt' or 'Gt'",
            ],
        ),
        (
            json!({"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "a", "whenUnsatisfiable": "ScheduleAnyway", "minDomains": 2}]}),
            &[
                "topologySpreadConstraints[0].maxSkew | FieldValueInvalid | Invalid value: 0: must be greater than zero",
                "topologySpreadConstraints[0].minDomains | FieldValueInvalid | Invalid value: 2: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway",
            ],
        ),
        (
            json!({"tolerations": [{"operator": "Equal"}, {"key": "a", "operator": "Exists", "value": "b"}]}),
            &[
                "tolerations[0].operator | FieldValueInvalid | Invalid value: \"Equal\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
                "tolerations[1].operator | FieldValueInvalid | Invalid value: \"b\": value must be empty when `operator` is 'Exists'",
            ],
        ),
        (
            json!({"hostAliases": [{"ip": "x", "hostnames": ["a"]}]}),
            &[
                "hostAliases[0].ip | FieldValueInvalid | Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            ],
        ),
        (
            json!({"ephemeralContainers": [with(&json!({"name": "a"}))]}),
            &[
                "ephemeralContainers[0].name | FieldValueDuplicate | Duplicate value: \"a\"",
                "ephemeralContainers | FieldValueForbidden | Forbidden: cannot be set on create",
            ],
        ),
        (
            json!({"ephemeralContainers": [with(&json!({"name": "e", "lifecycle": {}, "resizePolicy": [], "resources": {}}))]}),
            &[
                "ephemeralContainers[0].resizePolicy | FieldValueForbidden | Forbidden: cannot be set for an Ephemeral Container",
                "ephemeralContainers[0].lifecycle | FieldValueForbidden | Forbidden: cannot be set for an Ephemeral Container",
                "ephemeralContainers | FieldValueForbidden | Forbidden: cannot be set on create",
            ],
        ),
        (
            json!({"initContainers": [with(&json!({"name": ""})), with(&json!({"name": ""}))]}),
            &[
                "initContainers[0].name | FieldValueRequired | Required value",
                "initContainers[1].name | FieldValueRequired | Required value",
            ],
        ),
        (
            json!({"nodeName": "n", "schedulingGates": [{"name": "g"}, {"name": "g"}]}),
            &[
                "schedulingGates[1] | FieldValueDuplicate | Duplicate value: \"g\"",
                "nodeName | FieldValueForbidden | Forbidden: cannot be set until all schedulingGates have been cleared",
            ],
        ),
    ];
    for (spec, expected) in table {
        let expected: Vec<String> = expected.iter().map(|cause| format!("spec.{cause}")).collect();
        assert_eq!(causes("Pod", &pod(&spec)), expected, "{spec}");
    }
}

#[test]
fn a_services_fields_go_with_its_type() {
    let port = || json!([{"port": 80, "protocol": "TCP"}]);
    let table: [(Value, &[&str]); 8] = [
        (
            json!({"type": "NodePort", "clusterIP": "None", "clusterIPs": ["None"]}),
            &[
                "clusterIPs[0] | FieldValueInvalid | Invalid value: \"None\": may not be set to 'None' for NodePort services",
            ],
        ),
        (
            json!({"type": "ExternalName", "externalName": "a.b.", "clusterIP": "10.0.0.9", "ipFamilyPolicy": "SingleStack"}),
            &[
                "clusterIPs | FieldValueForbidden | Forbidden: may not be set for ExternalName services",
                "ipFamilyPolicy | FieldValueForbidden | Forbidden: may not be set for ExternalName services",
            ],
        ),
        (
            json!({"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 1}}}),
            &["sessionAffinityConfig | FieldValueForbidden | Forbidden: must not be set when session affinity is None"],
        ),
        (
            json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}}}),
            &[
                "sessionAffinityConfig.clientIP.timeoutSeconds | FieldValueInvalid | Invalid value: 0: must be greater than 0 and less than 86400",
            ],
        ),
        (
            json!({"externalTrafficPolicy": "Local"}),
            &[
                "externalTrafficPolicy | FieldValueInvalid | Invalid value: \"Local\": may only be set for externally-accessible services",
            ],
        ),
        (
            json!({"healthCheckNodePort": 30_000}),
            &[
                "healthCheckNodePort | FieldValueInvalid | Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
            ],
        ),
        (
            json!({"loadBalancerSourceRanges": ["x"]}),
            &[
                "LoadBalancerSourceRanges | FieldValueForbidden | Forbidden: may only be used when `type` is 'LoadBalancer'",
                "LoadBalancerSourceRanges[0] | FieldValueInvalid | Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
            ],
        ),
        (
            json!({"ports": [{"port": 1, "name": "a", "protocol": "TCP"}, {"port": 1, "name": "b", "protocol": "TCP"}]}),
            &[
                "ports[1] | FieldValueDuplicate | Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,\"Port\":1,\"TargetPort\":0,\"NodePort\":0}",
            ],
        ),
    ];
    for (fields, expected) in table {
        let mut service = json!({"spec": {"type": "ClusterIP", "sessionAffinity": "None", "ports": port()}});
        for (field, value) in fields.as_object().unwrap() {
            service["spec"][field] = value.clone();
        }
        let expected: Vec<String> = expected.iter().map(|cause| format!("spec.{cause}")).collect();
        assert_eq!(causes("Service", &service), expected, "{fields}");
    }
}

#[test]
fn schedules_are_read_as_upstreams_parser_reads_them() {
    use crate::validation::cron::complaint;
    for right in
        ["*/5 * * * *", "0 0 1 jan SUN", "1-10/2,30 0-23 ? * MON-FRI", "@daily", "@every 1h30m", "TZ=UTC 0 * * * *"]
    {
        assert_eq!(complaint(right), None, "{right}");
    }
    let wrong = [
        ("* * *", "expected exactly 5 fields, found 3: [* * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("@often", "unrecognized descriptor: @often"),
        ("@every soon", "failed to parse duration @every soon: time: invalid duration \"soon\""),
    ];
    for (schedule, told) in wrong {
        assert_eq!(complaint(schedule).as_deref(), Some(told), "{schedule}");
    }
}

#[test]
fn tolerations_of_a_pod_may_be_added_and_gates_taken_away() {
    let old = pod(&json!({"tolerations": [{"key": "a", "operator": "Exists"}], "schedulingGates": [{"name": "g"}]}));
    let mut new = old.clone();
    new["spec"]["tolerations"] = json!([]);
    new["spec"]["schedulingGates"] = json!([{"name": "h"}]);
    assert_eq!(
        told(&update("", "Pod", &new, &old, None)),
        [
            "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds",
            "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'h'",
        ]
    );
}

#[test]
fn a_static_pod_is_neither_resized_nor_joined() {
    let old = json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}, "spec": {"containers": [container("a")]}});
    for (subresource, told) in [
        ("ephemeralcontainers", "Forbidden: static pods do not support ephemeral containers"),
        ("resize", "Forbidden: static pods cannot be resized"),
    ] {
        let causes = update_part("", "Pod", subresource, &old, &old);
        assert_eq!(causes.iter().map(|c| (c.field.as_str(), c.message.as_str())).collect::<Vec<_>>(), [("[]", told)]);
    }
}

#[test]
fn what_was_sent_empty_is_no_change_of_a_pod() {
    let (mut old, mut new) = (pod(&json!({})), pod(&json!({"tolerations": [], "nodeSelector": {}, "volumes": []})));
    for pod in [&mut old, &mut new] {
        pod["metadata"] = json!({"name": "a", "namespace": "d", "resourceVersion": "1"});
    }
    new["spec"]["containers"][0]["args"] = json!([]);
    assert_eq!(told(&update("", "Pod", &new, &old, None)), [] as [String; 0]);
    new["spec"]["containers"][0]["args"] = json!(["x"]);
    assert!(told(&update("", "Pod", &new, &old, None))[0].starts_with("spec: Forbidden: pod updates may not change"));
}
