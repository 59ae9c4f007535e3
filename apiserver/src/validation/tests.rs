//! Objects as users get them wrong, and what they are told.

mod batch;
mod cluster_kinds;
mod devices;
mod nodes;
mod pod_rarities;
mod pod_statuses;
mod pods;
mod services;
mod volumes;
mod workloads;

use super::{create, update};
use serde_json::{Value, json};

/// A request for a certificate, by a key that nobody has any more.
const SIGNING_REQUEST: &str = "MIGLMD8CAQAwDDEKMAgGA1UEAwwBYTAqMAUGAytlcAMhAHp1/d2URQdPrV6AwNWjriATnGWGYpKVVRPaoVpf9HgtoAAwBQYDK2VwA0EAuILRvGDgaI2rWBAPBrkvnrphT8UpmwZboMe1keuFGZRgliHM2zDvBB3GiFAXGPqVP5R+zXw14+5da+3bFxPxBA==";

#[test]
fn lists_are_shown_as_go_writes_json() {
    assert_eq!(super::field::shown(&json!(["a\u{2028}<"])), r#"["a\u2028\u003c"]"#);
}

fn told(causes: &[tinyplane_wire::status::Cause]) -> Vec<String> {
    causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect()
}

fn container(name: &str) -> Value {
    json!({"name": name, "image": "nginx", "imagePullPolicy": "Always", "terminationMessagePolicy": "File", "resources": {}})
}

/// Causes as `field | reason | message`.
fn causes(kind: &str, object: &Value) -> Vec<String> {
    create("", kind, object, None).iter().map(|c| format!("{} | {} | {}", c.field, c.reason, c.message)).collect()
}

/// A container with these fields as well.
fn with(fields: &Value) -> Value {
    let mut one = container("a");
    for (field, value) in fields.as_object().unwrap() {
        one[field] = value.clone();
    }
    one
}

fn pod(spec: &Value) -> Value {
    let mut pod =
        json!({"spec": {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "containers": [container("a")]}});
    for (field, value) in spec.as_object().into_iter().flatten() {
        pod["spec"][field] = value.clone();
    }
    pod
}

#[test]
fn a_pod_that_is_right_has_no_cause_against_it() {
    assert_eq!(told(&create("", "Pod", &pod(&json!({})), None)), [] as [String; 0]);
}

#[test]
fn a_pod_without_containers_or_with_two_of_one_name_is_refused() {
    assert_eq!(told(&create("", "Pod", &pod(&json!({"containers": []})), None)), ["spec.containers: Required value"]);
    let twice = pod(&json!({"containers": [container("a"), container("a")]}));
    assert_eq!(told(&create("", "Pod", &twice, None)), ["spec.containers[1].name: Duplicate value: \"a\""]);
    let odd = pod(&json!({"restartPolicy": "Sometimes"}));
    assert_eq!(
        told(&create("", "Pod", &odd, None)),
        [
            "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\""
        ]
    );
}

#[test]
fn a_mount_needs_its_volume() {
    let mut one = container("a");
    one["volumeMounts"] = json!([{"name": "gone", "mountPath": "/x"}]);
    assert_eq!(
        told(&create("", "Pod", &pod(&json!({"containers": [one]})), None)),
        ["spec.containers[0].volumeMounts[0].name: Not found: \"gone\""]
    );
}

#[test]
fn of_a_pod_little_more_than_its_images_may_change() {
    let old = pod(&json!({"nodeName": "n"}));
    let mut new = old.clone();
    new["spec"]["containers"][0]["image"] = "nginx:2".into();
    new["spec"]["tolerations"] = json!([{"key": "a", "operator": "Exists"}]);
    assert_eq!(told(&update("", "Pod", &new, &old, None)), [] as [String; 0]);
    new["spec"]["hostNetwork"] = true.into();
    let causes = update("", "Pod", &new, &old, None);
    assert_eq!((causes.len(), causes[0].field.as_str(), causes[0].reason.as_str()), (1, "spec", "FieldValueForbidden"));
}

#[test]
fn a_selector_has_to_match_its_template_and_stays() {
    let deployment = |selector: &str, label: &str| {
        let mut template = pod(&json!({}));
        template["metadata"] = json!({"labels": {"app": label}});
        json!({"spec": {"selector": {"matchLabels": {"app": selector}}, "template": template, "strategy": {"type": "Recreate"}}})
    };
    assert_eq!(
        told(&create("apps", "Deployment", &deployment("web", "api"), None)),
        [
            "spec.template.metadata.labels: Invalid value: {\"app\":\"api\"}: `selector` does not match template `labels`"
        ]
    );
    let changed = update("apps", "Deployment", &deployment("api", "api"), &deployment("web", "web"), None);
    assert_eq!(
        told(&changed),
        ["spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"api\"}}: field is immutable"]
    );
}

#[test]
fn keys_of_config_maps_follow_their_grammar_and_immutable_ones_stay() {
    let causes = create("", "ConfigMap", &json!({"data": {"a b": "x", "..": "y"}}), None);
    assert_eq!(causes.len(), 2, "{causes:?}");
    let old = json!({"immutable": true, "data": {"a": "b"}});
    let causes = update("", "ConfigMap", &json!({"immutable": true, "data": {"a": "c"}}), &old, None);
    assert_eq!(told(&causes), ["data: Forbidden: field is immutable when `immutable` is set"]);
}

#[test]
fn a_service_needs_ports_with_names_and_keeps_its_address() {
    let service = |ports: Value| json!({"spec": {"type": "ClusterIP", "sessionAffinity": "None", "ports": ports}});
    assert_eq!(told(&create("", "Service", &service(json!([])), None)), ["spec.ports: Required value"]);
    let two = service(json!([{"port": 80, "protocol": "TCP"}, {"port": 70_000, "protocol": "TCP", "name": "b"}]));
    assert_eq!(
        told(&create("", "Service", &two, None)),
        [
            "spec.ports[0].name: Required value",
            "spec.ports[1].port: Invalid value: 70000: must be between 1 and 65535, inclusive"
        ]
    );
}
