//! The modes of impersonation, in the order in which they are asked. All but the last are constrained: the caller needs
//! leave for what is done as somebody else as well.

use super::wanted::Wanted;
use crate::authn::{
    ANONYMOUS, Caller, GROUP_ALL_SERVICE_ACCOUNTS, GROUP_AUTHENTICATED, GROUP_MASTERS, GROUP_UNAUTHENTICATED,
    split_account,
};
use crate::authz::{Attributes, Authorizer, Decision};
use crate::metrics::Impersonations;
use crate::request::Call;
use crate::validation::Errors;
use smol_str::SmolStr;
use std::collections::BTreeMap;
use std::time::Instant;
use tinyplane_wire::meta::dns_subdomain;
use tinyplane_wire::status;

const AUTHENTICATION_GROUP: &str = "authentication.k8s.io";
const NODE_PREFIX: &str = "system:node:";
const NODES_GROUP: &str = "system:nodes";
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";
/// What an account's other extra becomes where it asks as the pod of a node: their names.
const ASSOCIATED_NODE_KEYS: &str = "authentication.kubernetes.io/associated-node-keys";
/// From so many on it is asked first whether all may be impersonated.
const MANY: usize = 4;

/// The modes in their order.
pub(super) const MODES: [Mode; 5] =
    [Mode::AssociatedNode, Mode::ArbitraryNode, Mode::ServiceAccount, Mode::UserInfo, Mode::Legacy];

/// A way to be let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The account of a pod as the node on which it runs.
    AssociatedNode,
    /// Any node.
    ArbitraryNode,
    /// A service account.
    ServiceAccount,
    /// Everybody else, with whatever belongs to them.
    UserInfo,
    /// Anybody, for anything.
    Legacy,
}

/// What a mode is asked: who calls, for what, and as whom.
pub(super) struct Question<'a> {
    pub call: &'a Call,
    pub real: &'a Caller,
    pub wanted: &'a Wanted,
    pub authorizer: &'a dyn Authorizer,
    pub counted: &'a Impersonations,
}

impl Mode {
    /// Who is let through; `None` where the mode is not for such a wish.
    pub(super) fn ask(self, question: &Question<'_>) -> Option<status::Result<Caller>> {
        if !self.is_for(question) {
            return None;
        }
        // The keys of its cache let upstream ask this mode without the caller's extra.
        let real = if self == Self::AssociatedNode { without_extra(question.real) } else { question.real.clone() };
        let demand = |attributes: Attributes<'_>| {
            let asked = Instant::now();
            let decision = question.authorizer.authorize(&real, &attributes);
            question.counted.asked(self.name(), decision.is_allowed(), asked.elapsed());
            match decision {
                Decision::Allow => Ok(()),
                Decision::Deny(reason) | Decision::NoOpinion(reason) => Err(attributes.forbidden(&real, &reason)),
            }
        };
        let on = self.prefix().map(|prefix| format!("{prefix}{}", question.call.verb.as_str()));
        if let Some(verb) = on {
            let attributes = Attributes { verb: &verb, ..question.call.attributes() };
            if let Err(refused) = demand(attributes) {
                return Some(Err(refused));
            }
        }
        Some(self.judge(&real, question.wanted, &demand))
    }

    /// The verb that is written down; empty for the mode that has no constraint.
    pub(super) fn constraint(self) -> &'static str {
        if self == Self::Legacy { "" } else { self.verb() }
    }

    /// How metrics call it.
    pub(super) fn name(self) -> &'static str {
        self.verb().strip_prefix("impersonate:").unwrap_or("legacy")
    }

    fn verb(self) -> &'static str {
        match self {
            Self::AssociatedNode => "impersonate:associated-node",
            Self::ArbitraryNode => "impersonate:arbitrary-node",
            Self::ServiceAccount => "impersonate:serviceaccount",
            Self::UserInfo => "impersonate:user-info",
            Self::Legacy => "impersonate",
        }
    }

    /// What stands before the verb of the call itself.
    fn prefix(self) -> Option<&'static str> {
        match self {
            Self::AssociatedNode => Some("impersonate-on:associated-node:"),
            Self::ArbitraryNode => Some("impersonate-on:arbitrary-node:"),
            Self::ServiceAccount => Some("impersonate-on:serviceaccount:"),
            Self::UserInfo => Some("impersonate-on:user-info:"),
            Self::Legacy => None,
        }
    }

    fn is_for(self, Question { real, wanted, .. }: &Question<'_>) -> bool {
        let (alone, node) = (wanted.is_name_alone(), node_of(&wanted.user));
        let account = split_account(&wanted.user).is_some();
        match self {
            Self::AssociatedNode => {
                let own = real.extra.get(NODE_NAME).map(Vec::as_slice);
                let is_own = node.is_some_and(|node| own.is_some_and(|own| *own == [node.to_owned()]));
                alone && is_own && real.service_account().is_some()
            }
            Self::ArbitraryNode => alone && node.is_some(),
            Self::ServiceAccount => alone && account,
            Self::UserInfo => node.is_none() && !account,
            Self::Legacy => true,
        }
    }

    /// Asks for everything that is wanted: the name, the uid, the groups, the extra.
    fn judge(
        self,
        real: &Caller,
        wanted: &Wanted,
        demand: &dyn Fn(Attributes<'_>) -> status::Result<()>,
    ) -> status::Result<Caller> {
        let constrained = self != Self::Legacy;
        let about = |resource| match constrained {
            true => Attributes::resource(self.verb(), AUTHENTICATION_GROUP, resource).version("v1"),
            false => Attributes::resource(self.verb(), "", resource).version("v1"),
        };
        let always = |resource| Attributes::resource(self.verb(), AUTHENTICATION_GROUP, resource).version("v1");
        let mut groups: Vec<SmolStr> = wanted.groups.iter().map(SmolStr::from).collect();
        let node = node_of(&wanted.user).filter(|_| constrained);
        let account = split_account(&wanted.user);
        if node.is_some() {
            groups = vec![NODES_GROUP.into()];
        }
        if let Some((namespace, _)) = account.filter(|_| wanted.groups.is_empty()) {
            groups =
                vec![GROUP_ALL_SERVICE_ACCOUNTS.into(), format!("{GROUP_ALL_SERVICE_ACCOUNTS}:{namespace}").into()];
        }
        demand(match (account, node) {
            (Some((namespace, name)), _) => about("serviceaccounts").namespace(namespace).name(name),
            // One answer holds for all nodes of the account's pods.
            (None, Some(_)) if self == Self::AssociatedNode => about("nodes").name("*"),
            (None, Some(name)) => about("nodes").name(name),
            (None, None) => about("users").name(&wanted.user),
        })?;
        if !wanted.uid.is_empty() {
            demand(always("uids").name(&wanted.uid))?;
        }
        self.judge_groups(real, &wanted.groups, about("groups"), demand)?;
        self.judge_extra(real, &wanted.extra, always("userextras"), demand)?;
        settle(&wanted.user, &mut groups);
        Ok(Caller {
            name: wanted.user.as_str().into(),
            uid: wanted.uid.as_str().into(),
            groups,
            extra: wanted.extra.clone(),
        })
    }

    fn judge_groups<'a>(
        self,
        real: &Caller,
        groups: &'a [String],
        about: Attributes<'a>,
        demand: &dyn Fn(Attributes<'_>) -> status::Result<()>,
    ) -> status::Result<()> {
        let named = |name: &str| groups.iter().any(|group| group == name);
        if self != Self::Legacy {
            if named("") {
                return Err(about.forbidden(real, "impersonating the empty string group is not allowed"));
            }
            if named(GROUP_MASTERS) {
                let told = "impersonating the system:masters group is not allowed";
                return Err(about.name(GROUP_MASTERS).forbidden(real, told));
            }
            if groups.len() >= MANY && demand(about.name("*")).is_ok() {
                return Ok(());
            }
        }
        groups.iter().try_for_each(|group| demand(about.name(group)))
    }

    fn judge_extra<'a>(
        self,
        real: &Caller,
        extra: &'a BTreeMap<String, Vec<String>>,
        about: Attributes<'a>,
        demand: &dyn Fn(Attributes<'_>) -> status::Result<()>,
    ) -> status::Result<()> {
        if self != Self::Legacy {
            if let Some(wrong) = extra.iter().find_map(|(key, values)| wrong_extra(key, values)) {
                return Err(about.forbidden(real, &wrong));
            }
            let many = extra.len() >= MANY || extra.values().map(Vec::len).sum::<usize>() >= MANY;
            if many && demand(about.subresource("*").name("*")).is_ok() {
                return Ok(());
            }
        }
        for (key, values) in extra {
            values.iter().try_for_each(|value| demand(about.subresource(key).name(value)))?;
        }
        Ok(())
    }
}

/// Why an extra may not be impersonated under a constraint, whoever asks.
fn wrong_extra(key: &str, values: &[String]) -> Option<String> {
    if key.is_empty() {
        return Some("impersonating the empty string key in extra is not allowed".into());
    }
    let mut errors = Errors::default();
    errors.domain_path("extra.key", key);
    let told: Vec<String> = errors.into_causes().iter().map(|one| format!("{}: {}", one.field, one.message)).collect();
    match &told[..] {
        [] => {}
        [one] => return Some(format!("impersonating an invalid key in extra is not allowed: {one}")),
        several => {
            return Some(format!("impersonating an invalid key in extra is not allowed: [{}]", several.join(", ")));
        }
    }
    if key.chars().any(char::is_uppercase) {
        return Some(format!("impersonating a non-lowercase key in extra is not allowed: {key:?}"));
    }
    let empty = values.iter().any(String::is_empty);
    empty.then(|| "impersonating the empty string value in extra is not allowed".into())
}

/// Adds the group that says whether somebody is known at all.
fn settle(user: &str, groups: &mut Vec<SmolStr>) {
    let has = |name: &str| groups.iter().any(|group| group == name);
    let wanted = if user == ANONYMOUS { GROUP_UNAUTHENTICATED } else { GROUP_AUTHENTICATED };
    if !has(GROUP_UNAUTHENTICATED) && !has(wanted) {
        groups.push(wanted.into());
    }
}

/// The node that a name stands for.
fn node_of(user: &str) -> Option<&str> {
    user.strip_prefix(NODE_PREFIX).filter(|name| dns_subdomain(name).is_empty())
}

fn without_extra(real: &Caller) -> Caller {
    let keys = real.extra.keys().cloned().collect();
    Caller { extra: BTreeMap::from([(ASSOCIATED_NODE_KEYS.to_owned(), keys)]), ..real.clone() }
}
