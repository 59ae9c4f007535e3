//! The behaviours of the built-in kinds: one file for each family that has more than the plain one.

mod admission_registration;
pub(super) mod app_armor;
mod autoscaling;
mod batch;
mod certificates;
mod component_status;
mod config;
mod coordination;
mod created;
mod cron_job;
pub(super) mod daemon_set;
mod endpoints;
mod event;
mod extensions;
mod flowcontrol;
mod label_keys;
mod namespace;
mod networking;
mod node;
mod pod;
mod pod_table;
mod policy;
mod quota;
mod rbac;
mod replication_controller;
mod resource_claims;
mod scheduling;
mod service;
mod stateful_set;
mod storage;
mod template;
mod volumes;
mod workload;

use super::behaviour::Behaviour;
pub(crate) use daemon_set::lone_metadata;

/// How a built-in resource behaves. The only place, declared subresources aside, that compares resources' names.
pub(super) fn behaviour(group: &str, plural: &str) -> &'static Behaviour {
    match (group, plural) {
        ("", "pods") => &pod::POD,
        ("", "nodes") => &node::NODE,
        ("", "namespaces") => &namespace::NAMESPACE,
        ("", "services") => &service::SERVICE,
        ("", "endpoints") => &endpoints::ENDPOINTS,
        ("discovery.k8s.io", "endpointslices") => &endpoints::SLICE,
        ("", "events") => &event::EVENT,
        ("", "configmaps") => &config::CONFIG_MAP,
        ("", "secrets") => &config::SECRET,
        ("", "serviceaccounts") => &config::SERVICE_ACCOUNT,
        ("apps", "replicasets") => &workload::REPLICA_SET,
        ("apps", "deployments") => &workload::DEPLOYMENT,
        ("batch", "jobs") => &batch::JOB,
        ("certificates.k8s.io", "certificatesigningrequests") => &certificates::REQUEST,
        ("", "componentstatuses") => &component_status::COMPONENT_STATUS,
        ("", "limitranges") => &created::LIMIT_RANGE,
        ("", "persistentvolumeclaims") => &volumes::PERSISTENT_VOLUME_CLAIM,
        ("", "persistentvolumes") => &volumes::PERSISTENT_VOLUME,
        ("", "podtemplates") => &template::POD_TEMPLATE,
        ("", "replicationcontrollers") => &replication_controller::REPLICATION_CONTROLLER,
        ("", "resourcequotas") => &quota::RESOURCE_QUOTA,
        ("admissionregistration.k8s.io", "mutatingadmissionpolicies") => {
            &admission_registration::MUTATING_ADMISSION_POLICY
        }
        ("admissionregistration.k8s.io", "validatingadmissionpolicies") => {
            &admission_registration::VALIDATING_ADMISSION_POLICY
        }
        ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings" | "validatingadmissionpolicybindings") => {
            &admission_registration::ADMISSION_POLICY_BINDING
        }
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations" | "validatingwebhookconfigurations") => {
            &admission_registration::WEBHOOK_CONFIGURATION
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => &created::CUSTOM_RESOURCE_DEFINITION,
        ("apiregistration.k8s.io", "apiservices") => &extensions::API_SERVICE,
        ("apps", "controllerrevisions") => &stateful_set::CONTROLLER_REVISION,
        ("apps", "daemonsets") => &daemon_set::DAEMON_SET,
        ("apps", "statefulsets") => &stateful_set::STATEFUL_SET,
        ("autoscaling", "horizontalpodautoscalers") => &autoscaling::HORIZONTAL_POD_AUTOSCALER,
        ("batch", "cronjobs") => &cron_job::CRON_JOB,
        ("coordination.k8s.io", "leases") => &coordination::LEASE,
        ("flowcontrol.apiserver.k8s.io", "flowschemas") => &flowcontrol::FLOW_SCHEMA,
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations") => &flowcontrol::PRIORITY_LEVEL_CONFIGURATION,
        ("networking.k8s.io", "ingressclasses") => &networking::INGRESS_CLASS,
        ("networking.k8s.io", "ingresses") => &networking::INGRESS,
        ("networking.k8s.io", "ipaddresses") => &networking::IP_ADDRESS,
        ("networking.k8s.io", "networkpolicies") => &networking::NETWORK_POLICY,
        ("networking.k8s.io", "servicecidrs") => &networking::SERVICE_CIDR,
        ("node.k8s.io", "runtimeclasses") => &scheduling::RUNTIME_CLASS,
        ("policy", "poddisruptionbudgets") => &policy::POD_DISRUPTION_BUDGET,
        ("rbac.authorization.k8s.io", "clusterrolebindings" | "rolebindings") => &rbac::ROLE_BINDING,
        ("rbac.authorization.k8s.io", "clusterroles" | "roles") => &created::ROLE,
        ("resource.k8s.io", "deviceclasses") => &resource_claims::DEVICE_CLASS,
        ("resource.k8s.io", "resourceclaims") => &resource_claims::RESOURCE_CLAIM,
        ("resource.k8s.io", "resourceclaimtemplates") => &resource_claims::RESOURCE_CLAIM_TEMPLATE,
        ("resource.k8s.io", "resourceslices") => &resource_claims::RESOURCE_SLICE,
        ("scheduling.k8s.io", "priorityclasses") => &scheduling::PRIORITY_CLASS,
        ("storage.k8s.io", "csidrivers") => &storage::CSI_DRIVER,
        ("storage.k8s.io", "csinodes") => &storage::CSI_NODE,
        ("storage.k8s.io", "csistoragecapacities") => &storage::CSI_STORAGE_CAPACITY,
        ("storage.k8s.io", "storageclasses") => &storage::STORAGE_CLASS,
        ("storage.k8s.io", "volumeattachments") => &storage::VOLUME_ATTACHMENT,
        ("storage.k8s.io", "volumeattributesclasses") => &storage::VOLUME_ATTRIBUTES_CLASS,
        _ => &Behaviour::PLAIN,
    }
}

/// When things happen in the tests of kinds.
#[cfg(test)]
pub(super) const NOW: &str = "2026-01-01T00:00:00Z";

/// A write of a part at that time.
#[cfg(test)]
pub(super) fn at(part: super::behaviour::Part) -> super::behaviour::Scene<'static> {
    static CALLER: std::sync::LazyLock<crate::authn::Caller> =
        std::sync::LazyLock::new(crate::authn::Caller::anonymous);
    // Each test looks at warnings of its own.
    let warnings = Box::leak(Box::default());
    super::behaviour::Scene { part, subresource: "", caller: &CALLER, now: NOW, warnings }
}

#[cfg(test)]
mod tests {
    use crate::registry::catalog::Catalog;
    use serde_json::json;
    use std::time::SystemTime;

    #[test]
    fn every_kind_fills_all_its_columns_even_for_an_empty_object() {
        for row in Catalog::builtin().rows() {
            let behaviour = row.behaviour;
            let cells = (behaviour.cells)(&json!({"metadata": {"name": "x"}}), SystemTime::UNIX_EPOCH);
            assert_eq!(cells.len(), behaviour.columns.len(), "{}", row.plural);
            assert!(behaviour.columns.iter().any(|column| column.format == "name"), "{}", row.plural);
        }
    }

    #[test]
    fn what_has_the_status_subresource_has_a_status_of_its_own() {
        for row in Catalog::builtin().rows().filter(|row| row.behaviour.has_status) {
            assert!(row.subresource("status").is_some(), "{}", row.plural);
        }
    }
}
