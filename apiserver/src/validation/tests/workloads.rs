//! Mistakes in workloads and in what they count, and what their authors are told.

use super::super::{create, update, update_part};
use super::{container, told};
use serde_json::{Value, json};

const NOTHING: [&str; 0] = [];

fn template(fields: &Value) -> Value {
    let mut spec = json!({"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "containers": [container("main")]});
    for (field, value) in fields.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    json!({"metadata": {"labels": {"app": "web"}}, "spec": spec})
}

fn with(mut object: Value, fields: &Value) -> Value {
    for (field, value) in fields.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    object
}

fn workload(strategy: &str, fields: &Value) -> Value {
    let selector = json!({"matchLabels": {"app": "web"}});
    let mut object = json!({"spec": {"replicas": 1, "selector": selector, "template": template(&json!({}))}});
    let rolling = json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}});
    object["spec"][strategy] = rolling;
    with(object, fields)
}

fn set(fields: &Value) -> Value {
    let object = workload("unused", &json!({"podManagementPolicy": "OrderedReady", "serviceName": "web"}));
    let mut object = with(object, &json!({"updateStrategy": {"type": "RollingUpdate"}}));
    object["spec"].as_object_mut().unwrap().remove("unused");
    with(object, fields)
}

fn deployment(fields: &Value) -> Vec<String> {
    told(&create("apps", "Deployment", &workload("strategy", fields), None))
}

#[test]
fn a_selector_is_there_is_right_and_selects_the_template() {
    let template =
        "spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`";
    assert_eq!(deployment(&json!({"selector": null})), ["spec.selector: Required value", template]);
    assert_eq!(deployment(&json!({"selector": {"matchLabels": {"app": "db"}}})), [template]);
    let odd =
        json!({"selector": {"matchExpressions": [{"key": "app", "operator": "Like"}], "matchLabels": {"a": "b"}}});
    assert_eq!(
        deployment(&odd),
        [
            "spec.selector.matchExpressions[0].operator: Invalid value: \"Like\": not a valid selector operator",
            "spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\"},\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"Like\"}]}: invalid label selector",
        ]
    );
}

#[test]
fn a_deployment_rolls_within_bounds() {
    let rolling = |unavailable: Value, surge: Value| json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": unavailable, "maxSurge": surge}}});
    assert_eq!(deployment(&json!({})), NOTHING);
    assert_eq!(deployment(&rolling(json!("25%"), json!("200%"))), NOTHING);
    assert_eq!(
        deployment(&rolling(json!("0%"), json!(0))),
        ["spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0"]
    );
    assert_eq!(
        deployment(&rolling(json!("101%"), json!(-1))),
        [
            "spec.strategy.rollingUpdate.maxSurge: Invalid value: -1: must be greater than or equal to 0",
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%"
        ]
    );
    assert_eq!(
        deployment(&json!({"strategy": {"type": "Sometimes"}})),
        [
            "spec.strategy: Unsupported value: {\"Type\":\"Sometimes\",\"RollingUpdate\":null}: supported values: \"Recreate\", \"RollingUpdate\""
        ]
    );
    assert_eq!(
        deployment(&json!({"selector": {}, "progressDeadlineSeconds": 5, "minReadySeconds": 5})),
        [
            "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
            "spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds"
        ]
    );
    assert_eq!(
        deployment(&json!({"template": template(&json!({"restartPolicy": "Never", "activeDeadlineSeconds": 5}))})),
        [
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
            "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported"
        ]
    );
    let odd = json!({"selector": {"matchExpressions": [{"key": "app", "operator": "Like"}]}});
    let causes = deployment(&odd);
    assert!(causes[0].ends_with("not a valid selector operator"), "{causes:?}");
    assert!(causes[1].starts_with("spec.selector: ") && causes[1].ends_with(": invalid label selector"), "{causes:?}");
}

#[test]
fn a_daemon_set_has_either_surge_or_absence() {
    let of = |fields: &Value| told(&create("apps", "DaemonSet", &workload("updateStrategy", fields), None));
    let rolling = |unavailable: Value, surge: Value| json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": unavailable, "maxSurge": surge}}});
    assert_eq!(of(&json!({})), NOTHING);
    assert_eq!(
        of(&rolling(json!(1), json!("10%"))),
        [
            "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: \"10%\": may not be set when maxUnavailable is non-zero"
        ]
    );
    assert_eq!(
        of(&rolling(json!(0), json!("0%"))),
        ["spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"]
    );
    assert_eq!(
        of(&json!({"selector": null})),
        [
            "spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`"
        ]
    );
}

#[test]
fn a_stateful_sets_claims_are_volumes_of_its_pods() {
    let mut main = container("main");
    main["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    let mounted = json!({
        "template": template(&json!({"containers": [main]})),
        "volumeClaimTemplates": [{
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }],
    });
    let of = |fields: &Value| told(&create("apps", "StatefulSet", &set(fields), None));
    assert_eq!(of(&mounted), NOTHING);
    let mut odd = mounted.clone();
    odd["volumeClaimTemplates"][0]["spec"] = json!({});
    assert_eq!(
        of(&odd),
        [
            "spec.volumeClaimTemplates[0].spec.accessModes: Required value: at least 1 access mode is required",
            "spec.volumeClaimTemplates[0].spec.resources[storage]: Required value"
        ]
    );
    assert_eq!(told(&update("apps", "StatefulSet", &set(&odd), &set(&odd), None)), NOTHING);
    odd["volumeClaimTemplates"][0]["metadata"]["name"] = json!("Data");
    assert!(of(&odd)[0].starts_with("spec.volumeClaimTemplates[0].spec.accessModes:"), "claims come before the pods");
    assert_eq!(
        of(&json!({"updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}}, "serviceName": "A"}))
            .len(),
        2
    );
    let zero =
        json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": -1, "maxUnavailable": 0}}});
    assert_eq!(
        of(&zero),
        [
            "spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0",
            "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0"
        ]
    );
}

#[test]
fn of_a_stateful_set_names_and_claims_stay() {
    let old = set(&json!({}));
    let grown = set(&json!({"replicas": 3, "minReadySeconds": 1, "volumeClaimTemplates": []}));
    assert_eq!(told(&update("apps", "StatefulSet", &grown, &old, None)), NOTHING);
    let renamed = update("apps", "StatefulSet", &set(&json!({"serviceName": "other"})), &old, None);
    assert!(told(&renamed)[0].starts_with("spec: Forbidden: updates to statefulset spec"), "{renamed:?}");
}

#[test]
fn a_replication_controller_is_checked_as_its_followers_are() {
    let of = |fields: &Value| {
        let object = json!({"spec": {"replicas": 1, "selector": {"app": "web"}, "template": template(&json!({}))}});
        told(&create("", "ReplicationController", &with(object, fields), None))
    };
    assert_eq!(of(&json!({})), NOTHING);
    assert_eq!(of(&json!({"selector": {}, "replicas": null})).len(), 2);
    assert_eq!(
        of(&json!({"template": template(&json!({"activeDeadlineSeconds": 1}))})),
        [
            "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicationController is not Supported"
        ]
    );
}

#[test]
fn revisions_keep_their_data() {
    let of = |object: Value| told(&create("apps", "ControllerRevision", &object, None));
    assert_eq!(of(json!({"revision": 1, "data": "{\"spec\":{}}"})), NOTHING);
    assert_eq!(of(json!({"revision": 1})), ["data: Required value: data is mandatory"]);
    assert_eq!(of(json!({"revision": 1, "data": "[1]"})), ["data: Required value: data must be a valid JSON object"]);
    let (old, new) = (json!({"data": "{\"b\":1,\"a\":1}"}), json!({"data": "{ \"b\": 1.0, \"a\": \"<\" }"}));
    let changed = told(&update("apps", "ControllerRevision", &new, &old, None));
    assert_eq!(changed, ["data: Invalid value: {\"b\":1.0,\"a\":\"\\u003c\"}: field is immutable"]);
}

#[test]
fn no_part_is_greater_than_its_whole() {
    let of = |kind: &str, status: Value, old: Value| {
        told(&update_part("apps", kind, "status", &json!({"status": status}), &json!({"status": old})))
    };
    let fine = json!({"replicas": 3, "readyReplicas": 2, "availableReplicas": 1, "collisionCount": 1});
    assert_eq!(of("Deployment", fine.clone(), json!({"collisionCount": 1})), NOTHING);
    assert_eq!(
        of("Deployment", json!({"replicas": 1, "availableReplicas": 2}), fine.clone()),
        [
            "status.availableReplicas: Invalid value: 2: cannot be greater than status.replicas",
            "status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas",
            "status.collisionCount: Invalid value: 0: cannot be decremented"
        ]
    );
    assert_eq!(
        of("StatefulSet", json!({"currentReplicas": -1, "readyReplicas": 1}), json!({})),
        [
            "status.currentReplicas: Invalid value: -1: must be greater than or equal to 0",
            "status.readyReplicas: Invalid value: 1: cannot be greater than status.replicas"
        ]
    );
    let budget = json!({"status": {"disruptionsAllowed": -1, "conditions": [{"type": "A", "status": "Maybe"}]}});
    assert_eq!(
        told(&update_part("policy", "PodDisruptionBudget", "status", &budget, &json!({}))),
        [
            "status.conditions[0].status: Unsupported value: \"Maybe\": supported values: \"False\", \"True\", \"Unknown\"",
            "status.conditions[0].lastTransitionTime: Required value",
            "status.conditions[0].reason: Required value",
            "status.disruptionsAllowed: Invalid value: -1: must be greater than or equal to 0"
        ]
    );
}
