//! What the real server refuses, kind by kind: pure functions from an object to the causes against it, in upstream's
//! order, paths, reasons and words.

mod batch;
mod config;
mod container;
mod field;
mod pod;
mod pod_update;
mod rbac;
mod service;
mod volume;
mod workload;

pub use field::Errors;

use serde_json::Value;
use tinyplane_wire::status::Cause;

/// What is wrong with an object of this kind that is about to be created. Metadata is checked elsewhere.
#[must_use]
pub fn create(group: &str, kind: &str, object: &Value) -> Vec<Cause> {
    let mut errors = Errors::default();
    check(group, kind, object, &mut errors);
    errors.into_causes()
}

/// What is wrong with a change of an object of this kind.
#[must_use]
pub fn update(group: &str, kind: &str, new: &Value, old: &Value) -> Vec<Cause> {
    let mut errors = Errors::default();
    check(group, kind, new, &mut errors);
    match (group, kind) {
        ("", "Pod") => pod_update::check(new, old, &mut errors),
        ("", "Service") => service::check_update(new, old, &mut errors),
        ("", "ConfigMap" | "Secret") => config::check_update(new, old, &mut errors),
        ("apps", "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet") => {
            workload::check_update(kind, new, old, &mut errors);
        }
        ("batch", "Job") => batch::check_job_update(new, old, &mut errors),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            rbac::check_update(new, old, &mut errors);
        }
        _ => {}
    }
    errors.into_causes()
}

fn check(group: &str, kind: &str, object: &Value, errors: &mut Errors) {
    match (group, kind) {
        ("", "Pod") => pod::check(object, errors),
        ("", "PodTemplate") => pod::check_template(&object["template"], "template", errors),
        ("", "Service") => service::check(object, errors),
        ("", "ConfigMap") => config::check_config_map(object, errors),
        ("", "Secret") => config::check_secret(object, errors),
        ("", "ReplicationController") => workload::check_replication_controller(object, errors),
        ("apps", "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet") => workload::check(kind, object, errors),
        ("batch", "Job") => batch::check_job(object, errors),
        ("batch", "CronJob") => batch::check_cron_job(object, errors),
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => rbac::check_role(kind, object, errors),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            rbac::check_binding(kind, object, errors);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
