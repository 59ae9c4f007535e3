//! Mistakes in the addresses of Services, and in what of them may not change.

use super::super::{create, update};
use super::told;
use serde_json::{Value, json};

fn service(fields: &Value) -> Value {
    let mut service = json!({
        "spec": {"type": "ClusterIP", "sessionAffinity": "None", "ports": [{"port": 80, "protocol": "TCP"}]},
    });
    for (field, value) in fields.as_object().into_iter().flatten() {
        service["spec"][field] = value.clone();
    }
    service
}

#[test]
fn addresses_of_a_service_go_with_each_other_and_with_its_families() {
    let of = |fields: Value| told(&create("", "Service", &service(&fields), None));
    for (fields, expected) in [
        (json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4"]}), &[][..]),
        (json!({"clusterIP": "10.0.0.1"}), &["spec.clusterIPs: Required value"]),
        (
            json!({"clusterIPs": ["10.0.0.1"]}),
            &["spec.clusterIPs: Invalid value: [\"10.0.0.1\"]: must be empty when `clusterIP` is not specified"],
        ),
        (
            json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.2", "10.0.0.3"]}),
            &[
                "spec.clusterIPs: Invalid value: [\"10.0.0.2\",\"10.0.0.3\"]: first value must match `clusterIP`",
                "spec.clusterIPs: Invalid value: [\"10.0.0.2\",\"10.0.0.3\"]: may specify no more than one IP for each IP family",
            ],
        ),
        (
            json!({"clusterIP": "None", "clusterIPs": ["None", "x"]}),
            &[
                "spec.clusterIPs: Invalid value: [\"None\",\"x\"]: 'None' must be the first and only value",
                "spec.clusterIPs[1]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            ],
        ),
        (
            json!({"clusterIP": "fd00::1", "clusterIPs": ["fd00::1"], "ipFamilies": ["IPv4", "IPv4"]}),
            &[
                "spec.ipFamilies[1]: Duplicate value: \"IPv4\"",
                "spec.clusterIPs[0]: Invalid value: \"fd00::1\": expected an IPv4 value as indicated by `ipFamilies[0]`",
            ],
        ),
    ] {
        assert_eq!(of(fields.clone()), expected, "{fields}");
    }
    let mut annotated = service(&json!({}));
    annotated["metadata"]["annotations"] =
        json!({"service.beta.kubernetes.io/load-balancer-source-ranges": "10.0.0.0/8, x"});
    let path = "metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]";
    assert_eq!(
        told(&create("", "Service", &annotated, None)),
        [
            format!("{path}: Forbidden: may only be used when `type` is 'LoadBalancer'"),
            format!("{path}: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"),
        ]
    );
}

#[test]
fn what_a_service_was_given_stays() {
    let one = |address: &str, family: &str| {
        service(&json!({"clusterIP": address, "clusterIPs": [address], "ipFamilies": [family]}))
    };
    let old = one("10.0.0.1", "IPv4");
    let of = |new: &Value, old: &Value| told(&update("", "Service", new, old, None));
    assert_eq!(of(&old, &old), [""; 0]);
    assert_eq!(
        of(&one("fd00::1", "IPv6"), &old),
        [
            "spec.clusterIPs[0]: Invalid value: [\"fd00::1\"]: may not change once set",
            "spec.ipFamilies[0]: Invalid value: [\"IPv6\"]: may not change once set",
        ]
    );
    assert_eq!(
        of(&one("None", "IPv4"), &old),
        ["spec.clusterIPs[0]: Invalid value: [\"None\"]: may not change once set"]
    );
    let mut both = old.clone();
    both["spec"]["clusterIPs"] = json!(["10.0.0.1", "fd00::1"]);
    both["spec"]["ipFamilies"] = json!(["IPv4", "IPv6"]);
    let told = "spec.ipFamilyPolicy: Invalid value: null: must be set to 'SingleStack' when releasing the secondary";
    assert_eq!(of(&old, &both), [format!("{told} clusterIP"), format!("{told} ipFamily")]);
}
