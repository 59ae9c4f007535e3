//! What is refused in a status: counts below nothing or above their whole, and whatever else a kind says.

use super::field::{Errors, child};
use super::{
    claim, cluster, conditions, devices, ingress, job_status, node, pod_annotations, pod_status, quota, service,
    storage,
};
use serde_json::Value;

/// The counts of a status that may not be negative, in upstream's order; those of them that are parts of all replicas;
/// and how upstream calls the ready ones, above which no available ones may be.
struct Counts {
    all: &'static [&'static str],
    parts: &'static [&'static str],
    ready: &'static str,
}

const DEPLOYMENT: Counts = Counts {
    all: &[
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
    ],
    parts: &["updatedReplicas", "readyReplicas", "availableReplicas"],
    ready: "readyReplicas",
};
const REPLICA_SET: Counts = Counts {
    all: &[
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "observedGeneration",
        "terminatingReplicas",
    ],
    parts: &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"],
    ready: "readyReplicas",
};
const STATEFUL_SET: Counts = Counts {
    all: &[
        "replicas",
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
        "observedGeneration",
        "collisionCount",
    ],
    parts: &["readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"],
    ready: "status.readyReplicas",
};
const DAEMON_SET: Counts = Counts {
    all: &[
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "collisionCount",
    ],
    parts: &[],
    ready: "",
};
const AUTOSCALER: Counts = Counts { all: &["currentReplicas", "desiredReplicas"], parts: &[], ready: "" };
const BUDGET: Counts =
    Counts { all: &["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"], parts: &[], ready: "" };

pub(super) fn check(group: &str, kind: &str, new: &Value, old: &Value, errors: &mut Errors) {
    match (group, kind) {
        ("apps", "Deployment") => check_counts(&DEPLOYMENT, new, old, errors),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => check_counts(&REPLICA_SET, new, old, errors),
        ("apps", "StatefulSet") => check_counts(&STATEFUL_SET, new, old, errors),
        ("apps", "DaemonSet") => check_counts(&DAEMON_SET, new, old, errors),
        ("autoscaling", "HorizontalPodAutoscaler") => check_counts(&AUTOSCALER, new, old, errors),
        ("batch", "Job") => job_status::check(new, old, errors),
        ("flowcontrol.apiserver.k8s.io", _) => {
            conditions::check_types(&new["status"]["conditions"], "status.conditions", errors);
        }
        ("policy", "PodDisruptionBudget") => {
            conditions::check(&new["status"]["conditions"], "status.conditions", errors);
            check_counts(&BUDGET, new, old, errors);
        }
        ("", "Pod") => {
            pod_annotations::check_update(new, old, errors);
            pod_status::check(new, old, errors);
        }
        ("", "Namespace") => cluster::check_namespace_status(new, errors),
        ("", "Node") => node::check_update(new, old, errors),
        ("resource.k8s.io", "ResourceClaim") => devices::check_status(new, old, errors),
        ("", "ResourceQuota") => quota::check_status(new, errors),
        ("", "PersistentVolumeClaim") => claim::check_status(new, errors),
        ("storage.k8s.io", "VolumeAttachment") => storage::check_attachment_status(new, errors),
        ("", "Service") => service::check_status(new, errors),
        ("networking.k8s.io", "Ingress") => ingress::check_status(new, errors),
        _ => {}
    }
}

fn check_counts(counts: &Counts, new: &Value, old: &Value, errors: &mut Errors) {
    let status = &new["status"];
    let number = |field: &str| status[field].as_i64().unwrap_or_default();
    for field in counts.all {
        errors.non_negative(child("status", field), &status[*field]);
    }
    for field in counts.parts.iter().filter(|field| number(field) > number("replicas")) {
        errors.invalid(child("status", field), &Value::from(number(field)), "cannot be greater than status.replicas");
    }
    if !counts.ready.is_empty() && number("availableReplicas") > number("readyReplicas") {
        let told = format!("cannot be greater than {}", counts.ready);
        errors.invalid("status.availableReplicas", &Value::from(number("availableReplicas")), &told);
    }
    let collisions = |object: &Value| object["status"]["collisionCount"].as_i64();
    let now = collisions(new);
    if counts.all.contains(&"collisionCount") && collisions(old).is_some_and(|old| now.is_none_or(|now| now < old)) {
        errors.invalid("status.collisionCount", &Value::from(now.unwrap_or_default()), "cannot be decremented");
    }
}
