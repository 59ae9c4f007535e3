//! A caller whose identity is known: name, groups, and what else its credential says.

use serde_json::{Value, json};
use smol_str::SmolStr;
use std::collections::BTreeMap;

/// The name of a caller without credentials.
pub const ANONYMOUS: &str = "system:anonymous";
/// The group of callers without credentials.
pub const GROUP_UNAUTHENTICATED: &str = "system:unauthenticated";
/// The group of everybody with a good credential.
pub const GROUP_AUTHENTICATED: &str = "system:authenticated";
/// The group that may do everything.
pub const GROUP_MASTERS: &str = "system:masters";
/// The group of all service accounts.
pub const GROUP_ALL_SERVICE_ACCOUNTS: &str = "system:serviceaccounts";

const ACCOUNT_PREFIX: &str = "system:serviceaccount:";

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Caller {
    /// The user's name.
    pub name: SmolStr,
    /// The user's unique id; empty where the credential has none.
    pub uid: SmolStr,
    /// The groups, in the order in which they were found.
    pub groups: Vec<SmolStr>,
    /// What else the credential says, such as the pod that a token is bound to.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl Caller {
    /// A user in groups.
    #[must_use]
    pub fn new<'a>(name: &str, groups: impl IntoIterator<Item = &'a str>) -> Self {
        Self { name: name.into(), groups: groups.into_iter().map(SmolStr::from).collect(), ..Self::default() }
    }

    /// The caller without credentials.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::new(ANONYMOUS, [GROUP_UNAUTHENTICATED])
    }

    /// True for a member of the group.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }

    /// The node that the caller is, by upstream's rule: `system:node:NAME` in group `system:nodes`.
    #[must_use]
    pub fn node_name(&self) -> Option<&str> {
        self.name.strip_prefix("system:node:").filter(|name| !name.is_empty() && self.is_in("system:nodes"))
    }

    /// Namespace and name of the service account that the caller's name stands for.
    #[must_use]
    pub fn service_account(&self) -> Option<(&str, &str)> {
        split_account(&self.name)
    }

    /// The caller as `authentication.k8s.io/v1 UserInfo`.
    #[must_use]
    pub fn user_info(&self) -> Value {
        let mut info = json!({"username": self.name.as_str()});
        if !self.uid.is_empty() {
            info["uid"] = json!(self.uid.as_str());
        }
        if !self.groups.is_empty() {
            info["groups"] = json!(self.groups.iter().map(SmolStr::as_str).collect::<Vec<_>>());
        }
        if !self.extra.is_empty() {
            info["extra"] = json!(self.extra);
        }
        info
    }
}

/// Namespace and name in `system:serviceaccount:NAMESPACE:NAME`.
pub(crate) fn split_account(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix(ACCOUNT_PREFIX)?.split_once(':')?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains(':')).then_some((namespace, name))
}
