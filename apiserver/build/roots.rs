//! The types that the served group versions are made of, collected from k8s-openapi into one set of definitions. The schema
//! generator has its names and types from here, and the build script its texts.

use k8s_openapi::schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use k8s_openapi::serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How a root is served: the group, version and kind, and whether a list of it has a kind of its own.
pub(crate) struct Kind {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) listed: bool,
}

/// Every definition by its full name, and the kinds among them.
pub(crate) struct Roots {
    pub(crate) definitions: Map<String, Value>,
    pub(crate) kinds: BTreeMap<String, Kind>,
}

struct Collector {
    generator: SchemaGenerator,
    kinds: BTreeMap<String, Kind>,
}

impl Collector {
    fn kind<T: JsonSchema + k8s_openapi::Resource>(&mut self, listed: bool) {
        self.plain::<T>();
        self.kinds.insert(T::schema_name().into_owned(), Kind { group: T::GROUP, version: T::VERSION, listed });
    }

    fn plain<T: JsonSchema>(&mut self) {
        self.generator.subschema_for::<T>();
    }
}

macro_rules! roots {
    ($into:ident, $($package:path => listed { $($listed:ident)* } single { $($single:ident)* })*) => {
        $({
            use $package as package;
            $($into.kind::<package::$listed>(true);)*
            $($into.kind::<package::$single>(false);)*
        })*
    };
}

/// Collects all roots and what they lead to.
pub(crate) fn collect() -> Roots {
    use k8s_openapi::apimachinery::pkg::{apis::meta::v1 as meta, version};
    let mut into = Collector { generator: SchemaSettings::draft2020_12().into_generator(), kinds: BTreeMap::new() };
    roots! { into,
        k8s_openapi::api::admissionregistration::v1 => listed {
            MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration
            ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration
        } single {}
        k8s_openapi::api::apps::v1 => listed { ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet } single {}
        k8s_openapi::api::authentication::v1 => listed {} single { SelfSubjectReview TokenRequest TokenReview }
        k8s_openapi::api::authorization::v1 => listed {} single {
            LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview
        }
        k8s_openapi::api::autoscaling::v1 => listed { HorizontalPodAutoscaler } single { Scale }
        k8s_openapi::api::autoscaling::v2 => listed { HorizontalPodAutoscaler } single {}
        k8s_openapi::api::batch::v1 => listed { CronJob Job } single {}
        k8s_openapi::api::certificates::v1 => listed { CertificateSigningRequest } single {}
        k8s_openapi::api::coordination::v1 => listed { Lease } single {}
        k8s_openapi::api::core::v1 => listed {
            ComponentStatus ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume PersistentVolumeClaim
            Pod PodTemplate ReplicationController ResourceQuota Secret Service ServiceAccount
        } single { Binding }
        k8s_openapi::api::discovery::v1 => listed { EndpointSlice } single {}
        k8s_openapi::api::events::v1 => listed { Event } single {}
        k8s_openapi::api::flowcontrol::v1 => listed { FlowSchema PriorityLevelConfiguration } single {}
        k8s_openapi::api::networking::v1 => listed {
            IPAddress Ingress IngressClass NetworkPolicy ServiceCIDR
        } single {}
        k8s_openapi::api::node::v1 => listed { RuntimeClass } single {}
        k8s_openapi::api::policy::v1 => listed { PodDisruptionBudget } single { Eviction }
        k8s_openapi::api::rbac::v1 => listed { ClusterRole ClusterRoleBinding Role RoleBinding } single {}
        k8s_openapi::api::resource::v1 => listed {
            DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice
        } single {}
        k8s_openapi::api::scheduling::v1 => listed { PriorityClass } single {}
        k8s_openapi::api::storage::v1 => listed {
            CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment VolumeAttributesClass
        } single {}
        k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 => listed {
            CustomResourceDefinition
        } single {}
        k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 => listed { APIService } single {}
        k8s_openapi::apimachinery::pkg::apis::meta::v1 => listed {} single {
            APIGroup APIGroupList APIResourceList APIVersions Status
        }
    }
    into.plain::<meta::DeleteOptions>();
    into.plain::<meta::Patch>();
    into.plain::<version::Info>();
    into.plain::<meta::ListMeta>();
    // What discovery answers in one document: k8s-openapi has no schema of it, so that the supplement is all of it.
    let aggregated = Kind { group: "apidiscovery.k8s.io", version: "v2", listed: true };
    into.kinds.insert("io.k8s.api.apidiscovery.v2.APIGroupDiscovery".to_owned(), aggregated);
    Roots { definitions: into.generator.take_definitions(true), kinds: into.kinds }
}
