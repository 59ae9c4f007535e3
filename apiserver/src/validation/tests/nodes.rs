//! Mistakes in nodes, roles, requests, endpoints and secrets, and what their authors are told.

use super::super::{create, update, update_part};
use super::told;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tinyplane_wire::identity::pki::Authority;

const NOTHING: [&str; 0] = [];

#[test]
fn a_node_has_whole_amounts_and_ranges_of_its_own() {
    let of = |node: Value| told(&create("", "Node", &node, None));
    assert_eq!(
        of(json!({"spec": {"podCIDRs": ["10.0.0.0/24", "fd00::/64"]}, "status": {"capacity": {"pods": "1"}}})),
        NOTHING
    );
    assert_eq!(
        of(json!({"spec": {"podCIDRs": ["10.0.0.1/24", "10.1.0.0/24"]}, "status": {"allocatable": {"pods": "500m"}}})),
        [
            "status.allocatable.pods: Invalid value: \"500m\": must be an integer",
            "spec.podCIDRs[0]: Invalid value: \"10.0.0.1/24\": must not have bits set beyond the prefix length",
            "spec.podCIDRs: Invalid value: [\"10.0.0.1/24\",\"10.1.0.0/24\"]: may specify no more than one CIDR for each IP family"
        ]
    );
    assert_eq!(
        of(json!({"spec": {"podCIDRs": ["10.0.0.0/24", "x"]}}))[1..],
        [
            "spec.podCIDRs: Internal error: invalid PodCIDRs. failed to check with dual stack with error:invalid CIDR[1]: <nil> (invalid CIDR address: x)",
            "spec.podCIDRs: Invalid value: [\"10.0.0.0/24\",\"x\"]: may specify no more than one CIDR for each IP family"
        ]
    );
    let quota = json!({"spec": {"hard": {"/p": "100m"}}});
    assert_eq!(
        told(&create("", "ResourceQuota", &quota, None)),
        ["spec.hard[/p]: Invalid value: \"/p\": prefix part must be non-empty"]
    );
    let address = json!({"type": "InternalIP", "address": "10.0.0.1"});
    let twice = json!({"spec": {"podCIDRs": ["10.1.0.0/24"]}, "status": {"addresses": [address, address]}});
    assert_eq!(
        told(&update_part("", "Node", "status", &twice, &json!({"spec": {"podCIDRs": ["10.0.0.0/24"]}}))),
        [
            "status.addresses[1]: Duplicate value: {\"Type\":\"InternalIP\",\"Address\":\"10.0.0.1\"}",
            "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid"
        ]
    );
}

#[test]
fn a_namespaces_phase_goes_with_its_deletion() {
    let of = |namespace: Value| told(&update_part("", "Namespace", "status", &namespace, &json!({})));
    assert_eq!(of(json!({"metadata": {}, "status": {"phase": "Active"}})), NOTHING);
    assert_eq!(
        of(json!({"metadata": {}, "status": {"phase": "Terminating"}})),
        ["status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"]
    );
    assert_eq!(
        told(&update_part("", "Namespace", "finalize", &json!({"spec": {"finalizers": ["mine"]}}), &json!({}))),
        [
            "spec.finalizers[0]: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully qualified"
        ]
    );
}

#[test]
fn a_binding_keeps_its_role() {
    const GROUP: &str = "rbac.authorization.k8s.io";
    let binding = |role: &str, account: &str| {
        json!({
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "n"}],
        })
    };
    assert_eq!(told(&create(GROUP, "ClusterRoleBinding", &binding("a", "b"), None)), NOTHING);
    let odd = told(&create(GROUP, "ClusterRoleBinding", &binding("a", "B"), None));
    assert!(odd[0].starts_with("subjects[0].name: Invalid value: \"B\": a lowercase RFC 1123 subdomain"), "{odd:?}");
    assert_eq!(
        told(&update(GROUP, "RoleBinding", &binding("b", "b"), &binding("a", "b"), None)),
        [
            "roleRef: Invalid value: {\"APIGroup\":\"rbac.authorization.k8s.io\",\"Kind\":\"ClusterRole\",\"Name\":\"b\"}: cannot change roleRef"
        ]
    );
    assert_eq!(
        told(&create(GROUP, "ClusterRole", &json!({"aggregationRule": {}}), None)),
        [
            "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil"
        ]
    );
}

#[test]
fn verdicts_on_a_request_come_at_their_own_place() {
    let body = super::SIGNING_REQUEST;
    let pem =
        STANDARD.encode(format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n"));
    let request = |conditions: Value, certificate: &str| {
        json!({
            "spec": {"request": pem, "usages": ["any"], "signerName": "example.com/x"},
            "status": {"conditions": conditions, "certificate": certificate},
        })
    };
    let changed = |subresource: &str, new: &Value, old: &Value| {
        told(&update_part("certificates.k8s.io", "CertificateSigningRequest", subresource, new, old))
    };
    let approved = json!([{"type": "Approved", "status": "True"}]);
    let (old, new) = (request(json!([]), ""), request(approved, ""));
    assert_eq!(changed("approval", &new, &old), NOTHING);
    assert_eq!(
        changed("status", &new, &old),
        ["status.conditions: Forbidden: updates may not add a condition of type \"Approved\""]
    );
    assert_eq!(
        changed("approval", &old, &new),
        ["status.conditions: Forbidden: updates may not remove a condition of type \"Approved\""]
    );
    let both = json!([{"type": "Approved", "status": "True"}, {"type": "Denied", "status": "False"}]);
    assert_eq!(
        changed("approval", &request(both, ""), &old),
        [
            "status.conditions[1].status: Unsupported value: \"False\": supported values: \"True\"",
            "status.conditions: Invalid value: \"Denied\": Approved and Denied conditions are mutually exclusive"
        ]
    );
    let authority = Authority::create("x", std::time::SystemTime::UNIX_EPOCH).unwrap();
    let certificate = authority.certificate_pem().to_owned();
    let signed = |pem: &str| request(json!([]), &STANDARD.encode(pem));
    let (first, second) = (signed(&certificate), signed(&authority.key_pem()));
    assert_eq!(changed("status", &first, &old), NOTHING);
    assert_eq!(
        changed("status", &second, &first),
        [
            "status.certificate: Invalid value: \"<certificate data>\": only CERTIFICATE PEM blocks are allowed, found \"PRIVATE KEY\"",
            "status.certificate: Forbidden: updates may not modify existing certificate content"
        ]
    );
    let frame = |body: &str| format!("-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n");
    for (pem, why) in [
        (certificate.clone() + &frame("AAAA\n"), "x509: malformed certificate"),
        (frame(""), "found CERTIFICATE PEM block containing 0 certificates"),
        (frame("A: b\n\nAAAA\n"), "no PEM block headers are permitted"),
        (frame("AAA*\n"), "must contain at least one CERTIFICATE PEM block"),
    ] {
        let expected = format!("status.certificate: Invalid value: \"<certificate data>\": {why}");
        assert_eq!(changed("status", &signed(&pem), &old), [expected]);
    }
}

#[test]
fn hints_and_names_of_endpoints_follow_their_grammars() {
    let of = |kind: &str, endpoint: Value| {
        told(&create("discovery.k8s.io", "EndpointSlice", &json!({"addressType": kind, "endpoints": [endpoint]}), None))
    };
    assert_eq!(of("FQDN", json!({"addresses": ["a.example.com."]})), NOTHING);
    assert_eq!(
        of("FQDN", json!({"addresses": ["a"], "nodeName": "N", "hints": {"forZones": [{"name": "z"}, {"name": "z"}]}}))
            .len(),
        3
    );
    assert_eq!(
        of("IPv6", json!({"addresses": ["FD00::1"]})),
        ["endpoints[0].addresses[0]: Invalid value: \"FD00::1\": must be in canonical form (\"fd00::1\")"]
    );
}

#[test]
fn secrets_of_known_kinds_hold_what_they_need() {
    let of = |kind: &str, data: Value| told(&create("", "Secret", &json!({"type": kind, "data": data}), None));
    assert_eq!(of("kubernetes.io/basic-auth", json!({"username": ""})), NOTHING);
    assert_eq!(of("kubernetes.io/basic-auth", json!({})).len(), 2);
    assert_eq!(of("kubernetes.io/ssh-auth", json!({"ssh-privatekey": ""})), ["data[ssh-privatekey]: Required value"]);
    assert_eq!(of("kubernetes.io/dockerconfigjson", json!({".dockerconfigjson": STANDARD.encode("{}")})), NOTHING);
    assert_eq!(
        of("kubernetes.io/dockercfg", json!({".dockercfg": STANDARD.encode("[]")})),
        [
            "data[.dockercfg]: Invalid value: \"<secret contents redacted>\": json: cannot unmarshal array into Go value of type map[string]interface {}"
        ]
    );
}

#[test]
fn runtime_classes_and_leases_are_whole() {
    let toleration = json!({"key": "a", "operator": "Exists"});
    let class = json!({"handler": "", "scheduling": {"tolerations": [toleration, toleration]}});
    let causes = told(&create("node.k8s.io", "RuntimeClass", &class, None));
    assert_eq!(causes[0], "handler: Required value");
    assert!(causes[1].starts_with("scheduling.tolerations[1]: Duplicate value: {\"Key\":\"a\""), "{causes:?}");
    assert_eq!(
        told(&create("coordination.k8s.io", "Lease", &json!({"spec": {"strategy": "Mine"}}), None)),
        ["spec.strategy.strategy: Unsupported value: \"Mine\": supported values: \"OldestEmulationVersion\""]
    );
}
