//! What the real server refuses, kind by kind: pure functions from an object to the causes against it, in upstream's
//! order, paths, reasons and words.

mod admission_policy;
mod affinity;
mod api_service;
mod autoscaling;
mod batch;
mod certificates;
mod claim;
mod cluster;
mod conditions;
mod config;
mod container;
mod cron;
mod definition;
mod device_parts;
mod device_slice;
mod devices;
mod endpoints;
mod environment;
mod event;
pub(crate) mod field;
pub(crate) mod finalizers;
mod flow_control;
mod ingress;
mod internal;
pub(crate) mod ip;
mod job_policy;
mod job_status;
pub mod metadata;
mod network_policy;
mod node;
mod pem;
mod persistent_volume;
mod pod;
mod pod_annotations;
mod pod_parts;
mod pod_profiles;
mod pod_status;
mod pod_update;
mod policy;
pub(crate) mod present;
mod probe;
pub(crate) mod quality;
mod quota;
mod rbac;
mod resources;
mod security;
pub(crate) mod selector;
mod service;
mod share;
mod status;
mod storage;
mod volume;
mod volume_sources;
mod webhook;
mod windows;
mod workload;

pub use field::Errors;
pub(crate) use field::{Path, child, index, same};
pub(crate) use internal::is_empty;
pub(crate) use pod_update::is_same_template;
pub(crate) use service::related_addresses;

use serde_json::Value;
use tinyplane_wire::net::ClusterNet;
use tinyplane_wire::status::Cause;

/// What is wrong with an object of this kind that is about to be created. Metadata is checked elsewhere. Of addresses that
/// mean another machine on every machine, endpoints may have those of this net; all, where none is told.
#[must_use]
pub fn create(group: &str, kind: &str, object: &Value, net: Option<&ClusterNet>) -> Vec<Cause> {
    let mut errors = Errors::default();
    finalizers::check_of_kind(group, kind, object, &mut errors);
    match (group, kind) {
        ("batch", "Job") => {
            let mut found = Errors::default();
            check(group, kind, object, net, &mut found);
            batch::check_whole_job(object, None, found, &mut errors);
        }
        ("apps", "StatefulSet") => workload::check_new_stateful_set(object, &mut errors),
        _ => check(group, kind, object, net, &mut errors),
    }
    match (group, kind) {
        ("", "Pod") => pod::check_create(object, &mut errors),
        ("batch", "CronJob") => batch::check_cron_job(object, None, &mut errors),
        ("networking.k8s.io", "Ingress") => ingress::check_create(object, &mut errors),
        ("networking.k8s.io", "ServiceCIDR") => ingress::check_service_cidr(object, &mut errors),
        ("networking.k8s.io", "IPAddress") => ingress::check_ip_address(object, &mut errors),
        ("" | "events.k8s.io", "Event") => event::check_create(group, object, &mut errors),
        ("scheduling.k8s.io", "PriorityClass") => cluster::check_priority_class(object, &mut errors),
        ("apps", "ControllerRevision") => workload::check_new_revision(object, &mut errors),
        ("resource.k8s.io", "ResourceClaim") => devices::check_claim(object, &mut errors),
        ("resource.k8s.io", "ResourceSlice") => device_slice::check(object, None, &mut errors),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaling::check(object, None, &mut errors),
        _ => {}
    }
    errors.into_causes()
}

/// Metadata as upstream shows it where it complains of it.
#[must_use]
pub fn metadata_as_go(metadata: &Value) -> String {
    internal::shown("ObjectMeta", metadata)
}

/// What is wrong with a change of an object of this kind that was made at a subresource.
#[must_use]
pub fn update_part(group: &str, kind: &str, subresource: &str, new: &Value, old: &Value) -> Vec<Cause> {
    let mut errors = Errors::default();
    match (group, kind, subresource) {
        ("", "Pod", "ephemeralcontainers") => pod_parts::check_ephemeral(new, old, &mut errors),
        ("", "Pod", "resize") => pod_parts::check_resize(new, old, &mut errors),
        ("", "Namespace", "finalize") => cluster::check_finalizers(new, &mut errors),
        ("certificates.k8s.io", "CertificateSigningRequest", _) => {
            certificates::check(new, &mut errors);
            certificates::check_update(subresource, new, old, &mut errors);
        }
        (_, _, "status") => status::check(group, kind, new, old, &mut errors),
        _ => {}
    }
    errors.into_causes()
}

/// What is wrong with a change of an object of this kind. For the net see [`create`].
#[must_use]
pub fn update(group: &str, kind: &str, new: &Value, old: &Value, net: Option<&ClusterNet>) -> Vec<Cause> {
    let mut errors = Errors::default();
    if (group, kind) == ("", "Pod") && pod_update::is_same(&new["spec"], &old["spec"]) {
        // The spec was looked at when it came in, and may stay as it is.
        pod_annotations::check(new, &mut errors);
        pod_annotations::check_update(new, old, &mut errors);
        return errors.into_causes();
    }
    match (group, kind) {
        ("", "Service" | "ConfigMap" | "Secret")
        | ("apps", "DaemonSet")
        | ("networking.k8s.io", "IngressClass")
        | ("storage.k8s.io", "VolumeAttributesClass") => {
            check_change(group, kind, new, old, &mut errors);
            check(group, kind, new, net, &mut errors);
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition::check_changed(new, old, &mut errors),
        _ => {
            let mut found = Errors::default();
            check(group, kind, new, net, &mut found);
            // Upstream looks at these as at new ones, and again at what changes.
            match (group, kind) {
                ("", "PersistentVolume") => errors.append(found.clone()),
                ("batch", "Job") => batch::check_whole_job(new, Some(old), found.clone(), &mut errors),
                _ => {}
            }
            errors.append(found);
            check_change(group, kind, new, old, &mut errors);
        }
    }
    errors.into_causes()
}

/// What of an object changed though it may not.
fn check_change(group: &str, kind: &str, new: &Value, old: &Value, errors: &mut Errors) {
    match (group, kind) {
        ("", "Pod") => {
            pod_annotations::check_update(new, old, errors);
            pod_update::check(new, old, errors);
        }
        ("", "Service") => service::check_update(new, old, errors),
        ("", "ConfigMap" | "Secret") => config::check_update(kind, new, old, errors),
        ("apps", "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet") => {
            workload::check_update(kind, new, old, errors);
        }
        ("apps", "ControllerRevision") => errors.immutable_as("data", "json", &new["data"], &old["data"]),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaling::check(new, Some(old), errors),
        ("batch", "Job") => batch::check_job_update(new, old, errors),
        ("batch", "CronJob") => batch::check_cron_job(new, Some(old), errors),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            rbac::check_update(new, old, errors);
        }
        ("", "Node") => node::check_update(new, old, errors),
        ("" | "events.k8s.io", "Event") => event::check_update(group, new, old, errors),
        ("certificates.k8s.io", "CertificateSigningRequest") => {
            certificates::check_update("", new, old, errors);
        }
        ("", "PersistentVolume") => persistent_volume::check_update(new, old, errors),
        ("", "PersistentVolumeClaim") => claim::check_update(new, old, errors),
        ("", "ResourceQuota") => quota::check_update(new, old, errors),
        ("discovery.k8s.io", "EndpointSlice") => endpoints::check_slice_update(new, old, errors),
        ("networking.k8s.io", "IngressClass") => {
            let controller = |class: &Value| class["spec"]["controller"].clone();
            errors.immutable_as("spec.controller", "", &controller(new), &controller(old));
        }
        ("networking.k8s.io", "IPAddress") => {
            let parent = |address: &Value| address["spec"]["parentRef"].clone();
            ingress::check_ip_address(new, errors);
            errors.immutable_as("spec.parentRef", "*ParentReference", &parent(new), &parent(old));
        }
        ("networking.k8s.io", "ServiceCIDR") => ingress::check_service_cidr_update(new, old, errors),
        ("node.k8s.io", "RuntimeClass") => errors.immutable_as("handler", "", &new["handler"], &old["handler"]),
        ("scheduling.k8s.io", "PriorityClass") => cluster::check_priority_class_update(new, old, errors),
        ("resource.k8s.io", "ResourceClaim" | "ResourceClaimTemplate") => {
            devices::check_update(kind, new, old, errors);
        }
        ("resource.k8s.io", "ResourceSlice") => device_slice::check(new, Some(old), errors),
        ("storage.k8s.io", _) => storage_update(kind, new, old, errors),
        _ => {}
    }
}

fn check(group: &str, kind: &str, object: &Value, net: Option<&ClusterNet>, errors: &mut Errors) {
    match (group, kind) {
        ("", "Pod") => pod::check(object, errors),
        ("", "PodTemplate") => pod::check_template(&object["template"], &Path::root("template"), errors),
        ("", "Service") => service::check(object, net, errors),
        ("", "ConfigMap") => config::check_config_map(object, errors),
        ("", "Secret") => config::check_secret(object, errors),
        ("", "ReplicationController") => workload::check_replication_controller(object, errors),
        ("apps", "ControllerRevision") => workload::check_revision(object, errors),
        ("apps", "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet") => workload::check(kind, object, errors),
        ("batch", "Job") => batch::check_job(object, errors),
        ("rbac.authorization.k8s.io", "Role") => rbac::check_role(kind, object, errors),
        ("rbac.authorization.k8s.io", "ClusterRole") => {
            rbac::check_role(kind, object, errors);
            rbac::check_aggregation(object, errors);
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            rbac::check_binding(kind, object, errors);
        }
        ("", "Endpoints") => endpoints::check(object, net, errors),
        ("" | "events.k8s.io", "Event") => event::check(group, object, errors),
        ("", "LimitRange") => policy::check_limit_range(object, errors),
        ("", "Namespace") => cluster::check_namespace(object, errors),
        ("", "Node") => node::check(object, errors),
        ("", "PersistentVolume") => persistent_volume::check(object, errors),
        ("", "PersistentVolumeClaim") => claim::check(object, errors),
        ("", "ResourceQuota") => quota::check(object, errors),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration") => {
            webhook::check(object, errors);
        }
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => {
            admission_policy::check_validating(object, errors);
        }
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy") => admission_policy::check_mutating(object, errors),
        ("admissionregistration.k8s.io", _) => admission_policy::check_binding(kind, object, errors),
        ("certificates.k8s.io", "CertificateSigningRequest") => certificates::check(object, errors),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition::check(object, errors),
        ("coordination.k8s.io", "Lease") => cluster::check_lease(object, errors),
        ("discovery.k8s.io", "EndpointSlice") => endpoints::check_slice(object, net, errors),
        ("apiregistration.k8s.io", "APIService") => api_service::check(object, errors),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => flow_control::check_schema(object, errors),
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration") => flow_control::check_level(object, errors),
        ("networking.k8s.io", "Ingress") => ingress::check(object, errors),
        ("networking.k8s.io", "IngressClass") => ingress::check_class(object, errors),
        ("networking.k8s.io", "NetworkPolicy") => network_policy::check(object, errors),
        ("node.k8s.io", "RuntimeClass") => cluster::check_runtime_class(object, errors),
        ("policy", "PodDisruptionBudget") => policy::check_budget(object, errors),
        ("resource.k8s.io", "DeviceClass") => devices::check_class(object, errors),
        ("resource.k8s.io", "ResourceClaimTemplate") => devices::check_template(object, errors),
        ("storage.k8s.io", "StorageClass") => storage::check_class(object, errors),
        ("storage.k8s.io", "VolumeAttributesClass") => storage::check_attributes_class(object, errors),
        ("storage.k8s.io", "VolumeAttachment") => storage::check_attachment(object, errors),
        ("storage.k8s.io", "CSIDriver") => storage::check_driver_object(object, errors),
        ("storage.k8s.io", "CSINode") => storage::check_node(object, errors),
        ("storage.k8s.io", "CSIStorageCapacity") => storage::check_storage_capacity(object, errors),
        _ => {}
    }
}

fn storage_update(kind: &str, new: &Value, old: &Value, errors: &mut Errors) {
    match kind {
        "StorageClass" => storage::check_class_update(new, old, errors),
        "VolumeAttributesClass" => storage::check_attributes_class_update(new, old, errors),
        "VolumeAttachment" => {
            storage::check_attachment_update(new, old, errors);
        }
        "CSIDriver" => storage::check_driver_update(new, old, errors),
        "CSINode" => storage::check_node_update(new, old, errors),
        "CSIStorageCapacity" => storage::check_storage_capacity_update(new, old, errors),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
