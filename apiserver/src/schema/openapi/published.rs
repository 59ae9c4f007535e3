//! What `OpenAPI` alone tells of upstream's types: it stands beside the model, which need not carry it about.

use super::names::capital;
use serde_json::{Value, json};

/// Texts of which upstream counts all values up, by Go's name of their type. All of these types are of a version `v1`.
const ENUMS: &[(&str, &str)] = &[
    ("AddressType", "FQDN|IPv4|IPv6"),
    ("AllocationConfigSource", "FromClaim|FromClass"),
    ("AppArmorProfileType", "Localhost|RuntimeDefault|Unconfined"),
    ("AzureDataDiskCachingMode", "None|ReadOnly|ReadWrite"),
    ("AzureDataDiskKind", "Dedicated|Managed|Shared"),
    (
        "ClaimResourceStatus",
        "ControllerResizeInProgress|ControllerResizeInfeasible|NodeResizeInProgress|NodeResizeInfeasible|\
         NodeResizePending",
    ),
    ("CompletionMode", "Indexed|NonIndexed"),
    ("ConcurrencyPolicy", "Allow|Forbid|Replace"),
    ("DNSPolicy", "ClusterFirst|ClusterFirstWithHostNet|Default|None"),
    ("DaemonSetUpdateStrategyType", "OnDelete|RollingUpdate"),
    ("DeploymentStrategyType", "Recreate|RollingUpdate"),
    ("DeviceAllocationMode", "All|ExactCount"),
    ("DeviceTaintEffect", "NoExecute|NoSchedule|None"),
    ("DeviceTolerationOperator", "Equal|Exists"),
    ("FailurePolicyType", "Fail|Ignore"),
    ("FieldValueErrorReason", "FieldValueDuplicate|FieldValueForbidden|FieldValueInvalid|FieldValueRequired"),
    ("HostPathType", "|BlockDevice|CharDevice|Directory|DirectoryOrCreate|File|FileOrCreate|Socket"),
    ("IPFamily", "|IPv4|IPv6"),
    ("IPFamilyPolicy", "PreferDualStack|RequireDualStack|SingleStack"),
    (
        "KeyUsage",
        "any|cert sign|client auth|code signing|content commitment|crl sign|data encipherment|decipher only|\
         digital signature|email protection|encipher only|ipsec end system|ipsec tunnel|ipsec user|key agreement|\
         key encipherment|microsoft sgc|netscape sgc|ocsp signing|s/mime|server auth|signing|timestamping",
    ),
    ("MatchPolicyType", "Equivalent|Exact"),
    ("MountPropagationMode", "Bidirectional|HostToContainer|None"),
    ("NamespacePhase", "Active|Terminating"),
    ("NodeInclusionPolicy", "Honor|Ignore"),
    ("NodePhase", "Pending|Running|Terminated"),
    ("NodeSelectorOperator", "DoesNotExist|Exists|Gt|In|Lt|NotIn"),
    ("OperationType", "*|CONNECT|CREATE|DELETE|UPDATE"),
    ("PatchType", "ApplyConfiguration|JSONPatch"),
    ("PathType", "Exact|ImplementationSpecific|Prefix"),
    ("PersistentVolumeAccessMode", "ReadOnlyMany|ReadWriteMany|ReadWriteOnce|ReadWriteOncePod"),
    ("PersistentVolumeClaimModifyVolumeStatus", "InProgress|Infeasible|Pending"),
    ("PersistentVolumeClaimPhase", "Bound|Lost|Pending"),
    ("PersistentVolumeMode", "Block|Filesystem"),
    ("PersistentVolumePhase", "Available|Bound|Failed|Pending|Released"),
    ("PersistentVolumeReclaimPolicy", "Delete|Recycle|Retain"),
    ("PodFSGroupChangePolicy", "Always|OnRootMismatch"),
    ("PodFailurePolicyAction", "Count|FailIndex|FailJob|Ignore"),
    ("PodFailurePolicyOnExitCodesOperator", "In|NotIn"),
    ("PodManagementPolicyType", "OrderedReady|Parallel"),
    ("PodPhase", "Failed|Pending|Running|Succeeded|Unknown"),
    ("PodQOSClass", "BestEffort|Burstable|Guaranteed"),
    ("PodReplacementPolicy", "Failed|TerminatingOrFailed"),
    ("PolicyType", "Egress|Ingress"),
    ("PreemptionPolicy", "Never|PreemptLowerPriority"),
    ("ProcMountType", "Default|Unmasked"),
    ("Protocol", "SCTP|TCP|UDP"),
    ("PullPolicy", "Always|IfNotPresent|Never"),
    ("ReinvocationPolicyType", "IfNeeded|Never"),
    (
        "ResourceQuotaScope",
        "BestEffort|CrossNamespacePodAffinity|NotBestEffort|NotTerminating|PriorityClass|Terminating|\
         VolumeAttributesClass",
    ),
    ("RestartPolicy", "Always|Never|OnFailure"),
    ("ScopeSelectorOperator", "DoesNotExist|Exists|In|NotIn"),
    ("ScopeType", "*|Cluster|Namespaced"),
    ("SeccompProfileType", "Localhost|RuntimeDefault|Unconfined"),
    ("ServiceAffinity", "ClientIP|None"),
    ("ServiceExternalTrafficPolicy", "Cluster|Local"),
    ("ServiceInternalTrafficPolicy", "Cluster|Local"),
    ("ServiceType", "ClusterIP|ExternalName|LoadBalancer|NodePort"),
    ("SideEffectClass", "None|NoneOnDryRun|Some|Unknown"),
    (
        "Signal",
        "SIGABRT|SIGALRM|SIGBUS|SIGCHLD|SIGCLD|SIGCONT|SIGFPE|SIGHUP|SIGILL|SIGINT|SIGIO|SIGIOT|SIGKILL|SIGPIPE|\
         SIGPOLL|SIGPROF|SIGPWR|SIGQUIT|SIGRTMAX|SIGRTMAX-1|SIGRTMAX-10|SIGRTMAX-11|SIGRTMAX-12|SIGRTMAX-13|\
         SIGRTMAX-14|SIGRTMAX-2|SIGRTMAX-3|SIGRTMAX-4|SIGRTMAX-5|SIGRTMAX-6|SIGRTMAX-7|SIGRTMAX-8|SIGRTMAX-9|\
         SIGRTMIN|SIGRTMIN+1|SIGRTMIN+10|SIGRTMIN+11|SIGRTMIN+12|SIGRTMIN+13|SIGRTMIN+14|SIGRTMIN+15|SIGRTMIN+2|\
         SIGRTMIN+3|SIGRTMIN+4|SIGRTMIN+5|SIGRTMIN+6|SIGRTMIN+7|SIGRTMIN+8|SIGRTMIN+9|SIGSEGV|SIGSTKFLT|SIGSTOP|\
         SIGSYS|SIGTERM|SIGTRAP|SIGTSTP|SIGTTIN|SIGTTOU|SIGURG|SIGUSR1|SIGUSR2|SIGVTALRM|SIGWINCH|SIGXCPU|\
         SIGXFSZ",
    ),
    ("StatefulSetUpdateStrategyType", "OnDelete|RollingUpdate"),
    ("SupplementalGroupsPolicy", "Merge|Strict"),
    ("TaintEffect", "NoExecute|NoSchedule|PreferNoSchedule"),
    ("TerminationMessagePolicy", "FallbackToLogsOnError|File"),
    ("TolerationOperator", "Equal|Exists|Gt|Lt"),
    ("URIScheme", "HTTP|HTTPS"),
    ("UnhealthyPodEvictionPolicyType", "AlwaysAllow|IfHealthyBudget"),
    ("UnsatisfiableConstraintAction", "DoNotSchedule|ScheduleAnyway"),
    ("ValidationAction", "Audit|Deny|Warn"),
    ("VolumeBindingMode", "Immediate|WaitForFirstConsumer"),
];

/// Types of which one field at most is to be said, with the field that tells which, where there is one.
const UNIONS: &[(&str, Option<&str>)] = &[
    ("io.k8s.api.core.v1.AppArmorProfile", Some("type")),
    ("io.k8s.api.core.v1.PodSchedulingGroup", None),
    ("io.k8s.api.core.v1.SeccompProfile", Some("type")),
    ("io.k8s.api.flowcontrol.v1.LimitResponse", Some("type")),
    ("io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationSpec", Some("type")),
    ("io.k8s.api.flowcontrol.v1.Subject", Some("kind")),
];

/// Fields of a type of their own that upstream says nothing about: beside a reference a word needs a frame, and only there.
const UNDESCRIBED: &[(&str, &[&str])] = &[
    ("io.k8s.api.networking.v1.IngressRule", &["http"]),
    (
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps",
        &["additionalItems", "additionalProperties", "example", "externalDocs", "items", "not"],
    ),
];

/// Kinds that are answered to who deletes them, of which upstream's storage does not say so.
const UNSAID: &[&str] = &["io.k8s.api.core.v1.Namespace"];

/// Types that every group version knows.
pub(super) const OF_ALL: [&str; 2] = ["DeleteOptions", "WatchEvent"];

/// Group versions of which upstream has types, beside the core group's, and whether its clients have them, too.
const EVERYWHERE: &[(&str, &str, bool)] = &[
    ("admission.k8s.io", "v1 v1beta1", false),
    ("admissionregistration.k8s.io", "v1 v1alpha1 v1beta1", true),
    ("apiextensions.k8s.io", "v1 v1beta1", false),
    ("apiregistration.k8s.io", "v1 v1beta1", false),
    ("apps", "v1 v1beta1 v1beta2", true),
    ("authentication.k8s.io", "v1 v1alpha1 v1beta1", true),
    ("authorization.k8s.io", "v1 v1beta1", true),
    ("autoscaling", "v1 v2", true),
    ("batch", "v1 v1beta1", true),
    ("certificates.k8s.io", "v1 v1alpha1 v1beta1", true),
    ("coordination.k8s.io", "v1 v1alpha2 v1beta1", true),
    ("discovery.k8s.io", "v1 v1beta1", true),
    ("events.k8s.io", "v1 v1beta1", true),
    ("extensions", "v1beta1", true),
    ("flowcontrol.apiserver.k8s.io", "v1 v1beta1 v1beta2 v1beta3", true),
    ("imagepolicy.k8s.io", "v1alpha1", false),
    ("internal.apiserver.k8s.io", "v1alpha1", true),
    ("networking.k8s.io", "v1 v1beta1", true),
    ("node.k8s.io", "v1 v1alpha1 v1beta1", true),
    ("policy", "v1 v1beta1", true),
    ("rbac.authorization.k8s.io", "v1 v1alpha1 v1beta1", true),
    ("resource.k8s.io", "v1 v1alpha3 v1beta1 v1beta2", true),
    ("scheduling.k8s.io", "v1 v1alpha2 v1beta1", true),
    ("storage.k8s.io", "v1 v1alpha1 v1beta1", true),
    ("storagemigration.k8s.io", "v1beta1", true),
];

/// The values that a text of this type may have, by Go's name of it; `None` where all are allowed.
pub(super) fn values(go_name: &str) -> Option<Value> {
    let name = go_name.strip_prefix("v1.")?;
    let at = ENUMS.binary_search_by_key(&name, |(known, _)| known).ok()?;
    Some(ENUMS[at].1.split('|').collect())
}

/// What says of a type with these fields that it is a union.
pub(super) fn union<'f>(name: &str, fields: impl Iterator<Item = &'f str>) -> Option<Value> {
    let (_, discriminator) = UNIONS.iter().find(|(known, _)| *known == name)?;
    let members = fields.filter(|field| Some(*field) != *discriminator);
    let members: Value = members.map(|field| (field.to_owned(), Value::from(capital(field)))).collect();
    let mut union = json!({"fields-to-discriminateBy": members});
    if let Some(discriminator) = discriminator {
        union["discriminator"] = (*discriminator).into();
    }
    Some(json!([union]))
}

/// Whether upstream says what a field is for.
pub(super) fn is_described(name: &str, field: &str) -> bool {
    !UNDESCRIBED.iter().any(|(known, fields)| *known == name && fields.contains(&field))
}

/// Whether it is told that who deletes one is answered it, where that is so.
pub(super) fn tells_deleted(name: &str) -> bool {
    !UNSAID.contains(&name)
}

/// What is served, in whose words a type is told that every group version knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Among {
    /// All that upstream's server knows.
    Everything,
    /// All that its clients know.
    Clients,
}

/// The kinds that a type of every group version is.
pub(super) fn everywhere(kind: &str, among: Among) -> Value {
    let known = EVERYWHERE.iter().filter(|(_, _, of_clients)| *of_clients || among == Among::Everything);
    let versions = known.flat_map(|(group, versions, _)| versions.split(' ').map(move |version| (*group, version)));
    let all = std::iter::once(("", "v1")).chain(versions);
    all.map(|(group, version)| json!({"group": group, "version": version, "kind": kind})).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::model;

    #[test]
    fn everything_that_is_said_is_said_of_something() {
        let fields = || model().types().flat_map(|(_, one)| one.fields.iter());
        for (name, _) in ENUMS {
            let name = format!("v1.{name}");
            assert!(fields().any(|field| field.element_name.as_deref() == Some(&name)), "{name}");
        }
        assert!(ENUMS.is_sorted_by_key(|(name, _)| name));
        for (name, discriminator) in UNIONS {
            let one = model().get(model().named(name).unwrap());
            assert!(discriminator.is_none_or(|field| one.field(field).is_some()), "{name}");
        }
        for (name, fields) in UNDESCRIBED {
            let one = model().get(model().named(name).unwrap());
            assert!(fields.iter().all(|field| one.field(field).is_some()), "{name}");
        }
        assert!(UNSAID.iter().all(|name| model().named(name).is_some()));
    }

    #[test]
    fn values_and_members_are_told() {
        assert_eq!(values("v1.RestartPolicy"), Some(json!(["Always", "Never", "OnFailure"])));
        assert_eq!(values("v1.IPFamily"), Some(json!(["", "IPv4", "IPv6"])));
        assert_eq!((values("v1.ConditionStatus"), values("string")), (None, None));
        let union = union("io.k8s.api.core.v1.SeccompProfile", ["localhostProfile", "type"].into_iter());
        let members = json!({"localhostProfile": "LocalhostProfile"});
        assert_eq!(union, Some(json!([{"discriminator": "type", "fields-to-discriminateBy": members}])));
        let (all, some) = (everywhere("A", Among::Everything), everywhere("A", Among::Clients));
        assert_eq!(all[0], json!({"group": "", "version": "v1", "kind": "A"}));
        assert!(all.as_array().map(Vec::len) > some.as_array().map(Vec::len));
    }
}
