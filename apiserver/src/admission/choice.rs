//! Which plugins are on: upstream's list, its order, its defaults, and what the two flags make of them.

use std::collections::BTreeSet;

/// How a plugin of upstream's stands here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It is here, and on unless it is turned off.
    On,
    /// It is here, and off unless it is turned on.
    Off,
    /// It is not here; why.
    Absent(&'static str),
}
use Standing::{Absent, Off, On};

const LATER: &str = "webhooks and policies have an issue of their own";
const GATED: &str = "its feature gate is off by default in 1.36, and its kinds are not served";
const BETA: &str = "the kind it guards is not served: it is no GA version";
const CONFIGURED: &str = "it does nothing without a configuration file of its own, which is not read here";
const RARE: &str = "it is off by default, and nobody asked for it yet";

/// Upstream's plugins in upstream's order.
const ORDER: [(&str, Standing); 41] = [
    ("AlwaysAdmit", Off),
    ("NamespaceAutoProvision", Absent(RARE)),
    ("NamespaceLifecycle", On),
    ("NamespaceExists", Off),
    ("LimitPodHardAntiAffinityTopology", Off),
    ("LimitRanger", On),
    ("ServiceAccount", On),
    ("NodeRestriction", Off),
    ("TaintNodesByCondition", On),
    ("AlwaysPullImages", Off),
    ("ImagePolicyWebhook", Absent(CONFIGURED)),
    ("PodSecurity", On),
    ("PodNodeSelector", Absent(RARE)),
    ("Priority", On),
    ("DefaultTolerationSeconds", On),
    ("PodTolerationRestriction", Absent(RARE)),
    ("EventRateLimit", Absent(CONFIGURED)),
    ("ExtendedResourceToleration", Off),
    ("DefaultStorageClass", On),
    ("StorageObjectInUseProtection", On),
    ("PodGroupProtection", Absent(GATED)),
    ("OwnerReferencesPermissionEnforcement", Absent(RARE)),
    ("PersistentVolumeClaimResize", On),
    ("RuntimeClass", On),
    ("CertificateApproval", On),
    ("CertificateSigning", On),
    ("ClusterTrustBundleAttest", Absent(BETA)),
    ("CertificateSubjectRestriction", On),
    ("DefaultIngressClass", On),
    ("DenyServiceExternalIPs", Off),
    ("PodTopologyLabels", On),
    ("PodGroupWorkloadExists", Absent(GATED)),
    ("NodeDeclaredFeatureValidator", Absent(GATED)),
    ("JobValidation", Absent(GATED)),
    ("PodResizeValidator", Absent(GATED)),
    ("MutatingAdmissionPolicy", Absent(LATER)),
    ("MutatingAdmissionWebhook", Absent(LATER)),
    ("ValidatingAdmissionPolicy", Absent(LATER)),
    ("ValidatingAdmissionWebhook", Absent(LATER)),
    ("ResourceQuota", On),
    ("AlwaysDeny", Off),
];

/// What Tinyplane's own clusters turn on: it goes with the authorizer of nodes.
pub const OWN_ENABLED: &str = "NodeRestriction";
/// What they turn off: its finalizers are taken away by controllers of volumes, which are not here yet.
pub const OWN_DISABLED: &str = "StorageObjectInUseProtection";

/// What the flags say about plugins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    enabled: BTreeSet<String>,
    disabled: BTreeSet<String>,
}

impl Choice {
    /// Reads the two lists of names.
    ///
    /// # Errors
    /// In upstream's words for a name that is not known or stands in both lists; in our own for one that is not here.
    pub fn new(
        enabled: impl IntoIterator<Item = String>,
        disabled: impl IntoIterator<Item = String>,
    ) -> Result<Self, String> {
        let choice = Self { enabled: enabled.into_iter().collect(), disabled: disabled.into_iter().collect() };
        for (flag, names) in
            [("enable-admission-plugins", &choice.enabled), ("disable-admission-plugins", &choice.disabled)]
        {
            if let Some(name) = names.iter().find(|name| standing(name).is_none()) {
                return Err(format!("{flag} plugin {name:?} is unknown"));
            }
        }
        let both: Vec<&str> = choice.enabled.intersection(&choice.disabled).map(String::as_str).collect();
        if !both.is_empty() {
            return Err(format!(
                "[{}] in enable-admission-plugins and disable-admission-plugins overlapped",
                both.join(" ")
            ));
        }
        for name in &choice.enabled {
            if let Some(Absent(why)) = standing(name) {
                return Err(format!("enable-admission-plugins plugin {name:?} is not part of Tinyplane: {why}"));
            }
        }
        Ok(choice)
    }

    /// The choice of Tinyplane's own clusters: see [`OWN_ENABLED`] and [`OWN_DISABLED`].
    #[must_use]
    pub fn own() -> Self {
        Self { enabled: BTreeSet::from([OWN_ENABLED.to_owned()]), disabled: BTreeSet::from([OWN_DISABLED.to_owned()]) }
    }

    /// The names that were turned on and off, as they were given.
    pub(crate) fn told(&self) -> (impl Iterator<Item = &str>, impl Iterator<Item = &str>) {
        (self.enabled.iter().map(String::as_str), self.disabled.iter().map(String::as_str))
    }

    /// The names of those that are on, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        ORDER.iter().filter_map(|(name, standing)| {
            let on = match standing {
                On => !self.disabled.contains(*name),
                Off => self.enabled.contains(*name),
                Absent(_) => false,
            };
            on.then_some(*name)
        })
    }
}

fn standing(name: &str) -> Option<Standing> {
    ORDER.iter().find(|(known, _)| *known == name).map(|(_, standing)| *standing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(enabled: &[&str], disabled: &[&str]) -> Result<Vec<&'static str>, String> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        Choice::new(owned(enabled), owned(disabled)).map(|choice| choice.names().collect())
    }

    #[test]
    fn the_flags_turn_plugins_on_and_off_and_keep_the_order() {
        let default = choice(&[], &[]).unwrap();
        assert_eq!((default[0], default[default.len() - 1]), ("NamespaceLifecycle", "ResourceQuota"));
        assert!(!default.contains(&"NodeRestriction"));
        let chosen = choice(&["NodeRestriction"], &["LimitRanger", "ValidatingAdmissionWebhook"]).unwrap();
        assert_eq!(chosen[..4], ["NamespaceLifecycle", "ServiceAccount", "NodeRestriction", "TaintNodesByCondition"]);
    }

    #[test]
    fn a_name_that_is_none_is_refused_in_upstreams_words() {
        assert_eq!(choice(&["Foo"], &[]).unwrap_err(), "enable-admission-plugins plugin \"Foo\" is unknown");
        assert_eq!(choice(&[], &["Foo"]).unwrap_err(), "disable-admission-plugins plugin \"Foo\" is unknown");
        let both = choice(&["Priority"], &["Priority"]).unwrap_err();
        assert_eq!(both, "[Priority] in enable-admission-plugins and disable-admission-plugins overlapped");
        assert!(choice(&["MutatingAdmissionWebhook"], &[]).unwrap_err().contains("not part of Tinyplane"));
    }
}
