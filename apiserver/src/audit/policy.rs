//! `audit.k8s.io/v1 Policy`: which requests are logged, and how much of each. The first rule that matches counts.

use crate::authn::Caller;
use crate::request::{Call, Target};
use serde::{Deserialize, Serialize};
use tinyplane_wire::yaml::{self, YamlError};

/// How much of a request is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// Nothing.
    None,
    /// Who asked for what, and how it went.
    Metadata,
    /// What was sent, too.
    Request,
    /// What was answered, too.
    RequestResponse,
}

/// A moment in the life of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// It came.
    RequestReceived,
    /// The answer to a long-running request began.
    ResponseStarted,
    /// The answer is complete.
    ResponseComplete,
    /// Serving it panicked.
    Panic,
}

/// Why a text is no policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// It can't be read.
    #[error("{0}")]
    Syntax(YamlError),
    /// It is of another kind or version.
    #[error("{found} is not audit.k8s.io/v1, Kind=Policy")]
    Kind {
        /// What it says it is.
        found: String,
    },
    /// It has no rules.
    #[error("a policy needs rules")]
    NoRules,
    /// A rule speaks of resources and of other paths at once.
    #[error("rules[{at}]: a rule cannot apply to both regular resources and non-resource URLs")]
    Both {
        /// Which.
        at: usize,
    },
    /// Namespaces are named where no resource can be.
    #[error("rules[{at}].nonResourceURLs: {url:?} must begin with a slash, and end with the only asterisk")]
    Url {
        /// Which rule.
        at: usize,
        /// Which text.
        url: String,
    },
}

/// The policy.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    api_version: String,
    kind: String,
    #[serde(default)]
    #[expect(dead_code, reason = "a policy may carry metadata, and it means nothing")]
    metadata: serde::de::IgnoredAny,
    #[serde(default)]
    rules: Vec<Rule>,
    #[serde(default)]
    omit_stages: Vec<Stage>,
    #[serde(default)]
    omit_managed_fields: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    level: Level,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    user_groups: Vec<String>,
    #[serde(default)]
    verbs: Vec<String>,
    #[serde(default)]
    resources: Vec<GroupResources>,
    #[serde(default)]
    namespaces: Vec<String>,
    #[serde(default, rename = "nonResourceURLs")]
    urls: Vec<String>,
    #[serde(default)]
    omit_stages: Vec<Stage>,
    #[serde(default)]
    omit_managed_fields: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GroupResources {
    #[serde(default)]
    group: String,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
}

/// What the policy says of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) level: Level,
    pub(super) omit_stages: Vec<Stage>,
    pub(super) omit_managed_fields: bool,
}

impl Policy {
    /// Reads YAML or JSON.
    ///
    /// # Errors
    /// It is no policy.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let policy: Self = yaml::read(text.as_bytes()).map_err(PolicyError::Syntax)?;
        if policy.api_version != "audit.k8s.io/v1" || policy.kind != "Policy" {
            return Err(PolicyError::Kind { found: format!("{}, Kind={}", policy.api_version, policy.kind) });
        }
        if policy.rules.is_empty() {
            return Err(PolicyError::NoRules);
        }
        for (at, rule) in policy.rules.iter().enumerate() {
            let of_resources = !rule.resources.is_empty() || !rule.namespaces.is_empty();
            if of_resources && !rule.urls.is_empty() {
                return Err(PolicyError::Both { at });
            }
            let is_url =
                |url: &str| url == "*" || (url.starts_with('/') && !url.strip_suffix('*').unwrap_or(url).contains('*'));
            if let Some(url) = rule.urls.iter().find(|url| !is_url(url)) {
                return Err(PolicyError::Url { at, url: url.clone() });
            }
        }
        Ok(policy)
    }

    /// What the first rule that matches says; nothing is logged where none does.
    pub(super) fn judge(&self, call: &Call, caller: &Caller) -> Judged {
        let found = self.rules.iter().find(|rule| rule.matches(call, caller));
        let mut omit_stages = self.omit_stages.clone();
        omit_stages.extend(found.map(|rule| rule.omit_stages.iter().copied()).into_iter().flatten());
        Judged {
            level: found.map_or(Level::None, |rule| rule.level),
            omit_stages,
            omit_managed_fields: found.and_then(|rule| rule.omit_managed_fields).unwrap_or(self.omit_managed_fields),
        }
    }
}

fn has(list: &[String], word: &str) -> bool {
    list.iter().any(|known| known == word)
}

impl Rule {
    fn matches(&self, call: &Call, caller: &Caller) -> bool {
        if !self.users.is_empty() && !has(&self.users, &caller.name) {
            return false;
        }
        if !self.user_groups.is_empty() && !self.user_groups.iter().any(|group| caller.is_in(group)) {
            return false;
        }
        if !self.verbs.is_empty() && !has(&self.verbs, call.verb.as_str()) {
            return false;
        }
        if !self.namespaces.is_empty() || !self.resources.is_empty() {
            return self.matches_resource(call);
        }
        self.urls.is_empty() || (matches!(call.target, Target::Path) && self.matches_url(&call.path))
    }

    fn matches_resource(&self, call: &Call) -> bool {
        let Target::Resource(path) = &call.target else { return false };
        let namespace = path.namespace.as_deref().unwrap_or_default();
        if !self.namespaces.is_empty() && !has(&self.namespaces, namespace) {
            return false;
        }
        let name = path.name.as_deref().unwrap_or_default();
        let one = |of: &GroupResources| {
            if of.group != path.group {
                return false;
            }
            let named = of.resource_names.is_empty() || has(&of.resource_names, name);
            of.resources.is_empty()
                || (named
                    && of.resources.iter().any(|known| covers(known, &path.resource, path.subresource.as_deref())))
        };
        self.resources.is_empty() || self.resources.iter().any(one)
    }

    fn matches_url(&self, path: &str) -> bool {
        self.urls.iter().any(|url| match url.strip_suffix('*') {
            Some(beginning) => path.starts_with(beginning),
            None => path == url,
        })
    }
}

/// `*`, `pods`, `pods/log`, `pods/*` or `*/log` against a resource and its part.
fn covers(known: &str, resource: &str, subresource: Option<&str>) -> bool {
    match (known.split_once('/'), subresource) {
        (None, _) if known == "*" => true,
        (None, None) => known == resource,
        (Some((plural, part)), Some(subresource)) => {
            (plural == "*" || plural == resource) && (part == "*" || part == subresource)
        }
        _ => false,
    }
}
