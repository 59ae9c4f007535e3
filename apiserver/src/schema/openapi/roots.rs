//! What is served beside the resources: the groups and versions that there are, the server's own version, the keys of tokens.

use super::GroupVersion;
use super::names::{group_name, group_tag};
use super::operations::{Gives, lone};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// A path that has a document of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// `/api`: the versions of the core group.
    Core,
    /// `/apis`: all other groups.
    Groups,
    /// A group of these.
    Group(String),
    /// `/version`
    Version,
    /// What an issuer of tokens says of itself.
    Issuer,
    /// The keys with which its tokens can be verified.
    Keys,
}

/// All of a server that serves these. Upstream has no document of a group of custom resources.
pub(super) fn all(group_versions: &[GroupVersion]) -> Vec<Root> {
    let served = group_versions.iter().filter(|served| !served.group.is_empty() && !served.is_custom());
    let groups: BTreeSet<&str> = served.map(|served| served.group.as_str()).collect();
    let groups = groups.into_iter().map(|group| Root::Group(group.to_owned()));
    [Root::Issuer, Root::Core, Root::Groups, Root::Keys, Root::Version].into_iter().chain(groups).collect()
}

impl Root {
    /// Where it is served, without slashes at the ends.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Core => "api".to_owned(),
            Self::Groups => "apis".to_owned(),
            Self::Group(group) => format!("apis/{group}"),
            Self::Version => "version".to_owned(),
            Self::Issuer => ".well-known/openid-configuration".to_owned(),
            Self::Keys => "openid/v1/jwks".to_owned(),
        }
    }

    /// The one path of its document.
    pub(super) fn paths(&self) -> Value {
        let meta = |name: &str| Gives::Object(format!("{META}.{name}"));
        let operation = match self {
            Self::Core => lone("core", "getCoreAPIVersions", &meta("APIVersions")),
            Self::Groups => lone("apis", "getAPIVersions", &meta("APIGroupList")),
            Self::Group(group) => {
                lone(&group_tag(group), &format!("get{}APIGroup", group_name(group)), &meta("APIGroup"))
            }
            Self::Version => {
                let info = "io.k8s.apimachinery.pkg.version.Info";
                lone("version", "getCodeVersion", &Gives::Json(info.to_owned()))
            }
            Self::Issuer => {
                lone("WellKnown", "getServiceAccountIssuerOpenIDConfiguration", &Gives::Text("application/json"))
            }
            Self::Keys => {
                lone("openid", "getServiceAccountIssuerOpenIDKeyset", &Gives::Text("application/jwk-set+json"))
            }
        };
        json!({format!("/{}/", self.path()): {"get": operation}})
    }
}
