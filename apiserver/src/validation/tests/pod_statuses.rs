//! What kubelets tell of pods, and annotations that mean something.

use super::*;
use crate::validation::update_part;

fn status(new: &Value, old: &Value) -> Vec<String> {
    let mut pod = pod(&json!({"restartPolicy": "Never", "resourceClaims": [{"name": "r"}]}));
    let mut before = pod.clone();
    (pod["status"], before["status"]) = (new.clone(), old.clone());
    told(&update_part("", "Pod", "status", &pod, &before))
}

#[test]
fn a_status_keeps_its_class_and_names_conditions_by_their_grammar() {
    assert_eq!(status(&json!({"conditions": [{"type": "Ready"}, {"type": "x.io/y"}]}), &json!({})), [""; 0]);
    let causes = status(
        &json!({"qosClass": "Burstable", "conditions": [{"type": "a b", "observedGeneration": -1}]}),
        &json!({"qosClass": "BestEffort"}),
    );
    assert_eq!(causes[0], "status.conditions[0].observedGeneration: Invalid value: -1: must be a non-negative integer");
    assert!(causes[1].starts_with("status.conditions[0].Type: Invalid value: \"a b\": name part must consist"));
    assert_eq!(causes[2], "status.qosClass: Invalid value: \"Burstable\": field is immutable");
}

#[test]
fn what_ended_stays_so_unless_it_is_started_again() {
    let ended = |code: i64| json!({"containerStatuses": [{"name": "a", "state": {"terminated": {"exitCode": code}}}]});
    let runs = json!({"containerStatuses": [{"name": "a", "state": {"running": {}}}]});
    assert_eq!(
        status(&runs, &ended(1)),
        ["status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"]
    );
    let of = |policy: Value, rules: Value, code: i64| {
        let mut container = container("a");
        (container["restartPolicy"], container["restartPolicyRules"]) = (policy, rules);
        let mut old = pod(&json!({"restartPolicy": "Never", "containers": [container]}));
        let mut new = old.clone();
        (old["status"], new["status"]) = (ended(code), runs.clone());
        update_part("", "Pod", "status", &new, &old).len()
    };
    assert_eq!(of("OnFailure".into(), json!([]), 1), 0);
    assert_eq!(of("OnFailure".into(), json!([]), 0), 1);
    let rule = json!([{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]);
    assert_eq!(of("Never".into(), rule.clone(), 42), 0);
    assert_eq!(of("Never".into(), rule, 43), 1);
}

#[test]
fn addresses_are_one_of_each_family_and_claims_those_of_the_spec() {
    assert_eq!(
        status(
            &json!({
                "podIPs": [{"ip": "1.2.3.4"}, {"ip": "1.2.3.5"}],
                "hostIP": "10.0.0.1", "hostIPs": [{"ip": "10.0.0.2"}],
                "resourceClaimStatuses": [{"name": "r"}, {"name": "s"}],
            }),
            &json!({})
        ),
        [
            "status.resourceClaimStatuses[1].name: Invalid value: \"s\": must match the name of an entry in `spec.resourceClaims`",
            "status.podIPs: Invalid value: [{\"IP\":\"1.2.3.4\"},{\"IP\":\"1.2.3.5\"}]: may specify no more than one IP for each IP family",
            "status.hostIPs[0].ip: Invalid value: \"10.0.0.2\": must be equal to `hostIP`",
        ]
    );
}

#[test]
fn annotations_of_static_pods_and_profiles_are_looked_at_and_stay() {
    let annotated = |name: &str, value: &str| {
        let mut pod = pod(&json!({}));
        pod["metadata"]["annotations"][name] = value.into();
        pod
    };
    let mirror = "kubernetes.io/config.mirror";
    assert_eq!(
        told(&create("", "Pod", &annotated(mirror, "x"), None)),
        [
            "metadata.annotations[kubernetes.io/config.mirror]: Invalid value: \"x\": must set spec.nodeName if mirror pod annotation is set"
        ]
    );
    assert_eq!(
        told(&create("", "Pod", &annotated("controller.kubernetes.io/pod-deletion-cost", "+1"), None)),
        [
            "metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: \"+1\": must be a 32bit integer"
        ]
    );
    let profile = "container.apparmor.security.beta.kubernetes.io/b";
    assert_eq!(
        told(&update("", "Pod", &annotated(profile, "odd"), &pod(&json!({})), None)),
        [
            "metadata.annotations[container.apparmor.security.beta.kubernetes.io/b]: Invalid value: \"b\": container not found",
            "metadata.annotations[container.apparmor.security.beta.kubernetes.io/b]: Invalid value: \"odd\": invalid AppArmor profile name: \"odd\"",
            "metadata.annotations[container.apparmor.security.beta.kubernetes.io/b]: Forbidden: may not add AppArmor annotations",
            "metadata.annotations[container.apparmor.security.beta.kubernetes.io/b]: Invalid value: \"b\": container not found",
            "metadata.annotations[container.apparmor.security.beta.kubernetes.io/b]: Invalid value: \"odd\": invalid AppArmor profile name: \"odd\"",
        ]
    );
}
