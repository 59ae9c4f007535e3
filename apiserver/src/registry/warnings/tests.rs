//! What authors are told, in upstream's words.

use super::*;
use serde_json::json;

fn of_pod(spec: &Value) -> Vec<String> {
    pod(&json!({"metadata": {"name": "p"}, "spec": spec}), None)
}

#[test]
fn a_new_pod_is_told_of_what_is_deprecated_and_what_was_hardly_meant() {
    let table = [
        (
            json!({"volumes": [{"name": "v", "cephfs": {}}]}),
            "spec.volumes[0].cephfs: deprecated in v1.28, non-functional in v1.31+",
        ),
        (
            json!({"volumes": [{"name": "v", "storageos": {}}]}),
            "spec.volumes[0].storageOS: deprecated in v1.22, non-functional in v1.25+",
        ),
        (
            json!({"volumes": [{"name": "v", "projected": {"sources": [{}]}}]}),
            "volume \"v\" (Projected) has no sources provided",
        ),
        (
            json!({"volumes": [{"name": "v", "configMap": {"name": "c", "items": [{"path": "a"}, {"path": "a/b"}]}}]}),
            "volume \"v\" (ConfigMap \"c\"): overlapping paths: \"a/b\" with \"a\"",
        ),
        (
            json!({"nodeSelector": {"beta.kubernetes.io/os": "linux"}}),
            "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead",
        ),
        (json!({"imagePullSecrets": [{}]}), "spec.imagePullSecrets[0].name: invalid empty name \"\""),
        (
            json!({"hostAliases": [{"ip": "1.2.3.4"}, {"ip": "1.2.3.4"}]}),
            "spec.hostAliases[1].ip: duplicate ip \"1.2.3.4\"",
        ),
        (
            json!({"containers": [{"ports": [{"name": "h", "containerPort": 80, "protocol": "TCP", "hostIP": "0.0.0.0"}]}]}),
            "spec.containers[0].ports[0]: hostIP set without hostPort: {Name:h HostPort:0 ContainerPort:80 Protocol:TCP HostIP:0.0.0.0}",
        ),
        (
            json!({"containers": [{"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}]}),
            "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply",
        ),
        (
            json!({"containers": [{"resources": {"limits": {"memory": "100m"}}}]}),
            "spec.containers[0].resources.limits[memory]: fractional byte value \"100m\" is invalid, must be an integer",
        ),
        (
            json!({"containers": [{"ports": [{"containerPort": 1}]}, {"ports": [{"containerPort": 1}]}]}),
            "spec.containers[1].ports[0]: duplicate port definition with spec.containers[0].ports[0]",
        ),
        (
            json!({"topologySpreadConstraints": [{"topologyKey": "zone"}]}),
            "spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
        ),
        (
            json!({"dnsConfig": {"nameservers": ["2001:DB8::1"]}}),
            "spec.dnsConfig.nameservers[0]: IPv6 address \"2001:DB8::1\" should be in RFC 5952 canonical format (\"2001:db8::1\")",
        ),
    ];
    for (spec, told) in table {
        assert_eq!(of_pod(&spec), [told], "{spec}");
    }
    let appended = json!({"containers": [{"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}]}]});
    assert_eq!(of_pod(&appended), [""; 0]);
}

#[test]
fn only_new_pods_are_told_anything_and_templates_when_they_change() {
    let spec = json!({"volumes": [{"name": "v", "rbd": {}}]});
    let object = json!({"metadata": {"name": "a.b", "generation": 1}, "spec": spec});
    let told = pod(&object, None);
    assert!(told[0].starts_with("metadata.name: this is used in the Pod's hostname"), "{told:?}");
    assert_eq!(pod(&object, Some(&object)), [""; 0]);
    let of = |generation: i64| json!({"metadata": {"name": "d", "generation": generation}, "spec": {"template": {"spec": spec}}});
    let about = "spec.template.spec.volumes[0].rbd: deprecated in v1.28, non-functional in v1.31+";
    assert_eq!(replicated(&of(1), None), [about]);
    assert_eq!(replicated(&of(1), Some(&of(1))), [""; 0]);
    assert_eq!(replicated(&of(2), Some(&of(1))), [about]);
    // Of a changed controller upstream looks at what it was.
    let plain = json!({"metadata": {"name": "d", "generation": 2}, "spec": {"template": {"spec": {}}}});
    assert_eq!(replication_controller(&plain, Some(&of(1))), [about]);
    let of_plain = json!({"metadata": {"name": "d", "generation": 1}, "spec": {"template": {"spec": {}}}});
    assert_eq!(replication_controller(&of(2), Some(&of_plain)), [""; 0]);
}

#[test]
fn services_and_ranges_are_told_what_is_ignored_or_ambiguous() {
    let of = |spec: Value| service(&json!({"metadata": {"name": "s"}, "spec": spec}), None);
    assert_eq!(
        of(json!({"type": "ClusterIP", "externalIPs": ["1.2.3.4"]})),
        ["spec.externalIPs is deprecated and may no longer be implemented in some clusters"]
    );
    assert_eq!(
        of(json!({"type": "ClusterIP", "clusterIP": "None", "sessionAffinity": "ClientIP"})),
        ["spec.SessionAffinity is ignored for headless services"]
    );
    assert_eq!(
        of(json!({"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.1.2.3/8"]})),
        [
            "spec.loadBalancerSourceRanges[0]: CIDR value \"10.1.2.3/8\" is ambiguous in this context (should be \"10.0.0.0/8\" or \"10.1.2.3/32\"?)"
        ]
    );
}

#[test]
fn a_certificate_that_is_none_is_told() {
    let of = |certificate: &str, key: &str| {
        let data = json!({"tls.crt": certificate, "tls.key": key});
        secret(&json!({"type": "kubernetes.io/tls", "data": data}), None)
    };
    assert_eq!(of("YQ==", "YQ=="), ["tls: failed to find any PEM data in certificate input"]);
    let pem = "LS0tLS1CRUdJTiBYLS0tLS0KLS0tLS1FTkQgWC0tLS0tCg==";
    assert_eq!(of(pem, "YQ=="), ["tls: failed to find any PEM data in key input"]);
    assert_eq!(of(pem, pem), [""; 0]);
}
