//! The resources that the controllers work with.

use tinyplane_wire::gvr::Gvr;

macro_rules! kinds {
    ($($name:ident = $group:literal $version:literal $resource:literal;)*) => {
        $(pub(crate) fn $name() -> Gvr {
            Gvr::new($group, $version, $resource)
        })*
    };
}

kinds! {
    pods = "" "v1" "pods";
    nodes = "" "v1" "nodes";
    services = "" "v1" "services";
    endpoints = "" "v1" "endpoints";
    namespaces = "" "v1" "namespaces";
    service_accounts = "" "v1" "serviceaccounts";
    config_maps = "" "v1" "configmaps";
    events = "" "v1" "events";
    endpoint_slices = "discovery.k8s.io" "v1" "endpointslices";
    replica_sets = "apps" "v1" "replicasets";
    deployments = "apps" "v1" "deployments";
    replication_controllers = "" "v1" "replicationcontrollers";
    daemon_sets = "apps" "v1" "daemonsets";
    stateful_sets = "apps" "v1" "statefulsets";
    controller_revisions = "apps" "v1" "controllerrevisions";
    claims = "" "v1" "persistentvolumeclaims";
    jobs = "batch" "v1" "jobs";
    cron_jobs = "batch" "v1" "cronjobs";
    budgets = "policy" "v1" "poddisruptionbudgets";
    quotas = "" "v1" "resourcequotas";
    cluster_roles = "rbac.authorization.k8s.io" "v1" "clusterroles";
    signing_requests = "certificates.k8s.io" "v1" "certificatesigningrequests";
    custom_resource_definitions = "apiextensions.k8s.io" "v1" "customresourcedefinitions";
    leases = "coordination.k8s.io" "v1" "leases";
}
