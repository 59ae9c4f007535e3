//! All authorizers, in upstream's order: those who may do everything, nodes, then roles.

use super::{Attributes, Authorizer, Decision, Held, NodeAuthorizer, Rbac, Rule};
use crate::authn::{Caller, GROUP_MASTERS};
use std::sync::Arc;

/// The authorizers of `--authorization-mode`. Members of `system:masters` may do everything, in every mode.
pub struct Authorizers {
    /// Mode `Node`.
    pub node: Option<NodeAuthorizer>,
    /// Mode `RBAC`.
    pub rbac: Option<Rbac>,
    /// Mode `AlwaysAllow`.
    pub always_allow: bool,
}

impl Authorizer for Authorizers {
    fn authorize(&self, caller: &Caller, question: &Attributes<'_>) -> Decision {
        if self.always_allow || caller.is_in(GROUP_MASTERS) {
            return Decision::Allow;
        }
        let mut reasons = Vec::new();
        let node = self.node.as_ref().map(|node| node.authorize(caller, question));
        let rbac = || self.rbac.as_ref().map(|rbac| rbac.authorize(caller, question));
        for decision in [node].into_iter().chain(std::iter::once_with(rbac)).flatten() {
            match decision {
                Decision::NoOpinion(reason) if reason.is_empty() => {}
                Decision::NoOpinion(reason) => reasons.push(reason),
                settled => return settled,
            }
        }
        Decision::NoOpinion(reasons.join("\n"))
    }

    fn explain(&self, caller: &Caller, question: &Attributes<'_>) -> String {
        let by_node = self.node.as_ref().is_some_and(|node| node.authorize(caller, question).is_allowed());
        if self.always_allow || caller.is_in(GROUP_MASTERS) || by_node {
            return String::new();
        }
        self.rbac.as_ref().map(|rbac| rbac.explain(caller, question)).unwrap_or_default()
    }

    fn held(&self, caller: &Caller, namespace: &str) -> Held {
        let mut held = match &self.rbac {
            Some(rbac) => rbac.held(caller, namespace),
            None => Held::default(),
        };
        // What members of `system:masters` may do beyond their roles is no rule to upstream.
        if self.always_allow {
            held.rules.extend(Rule::everything());
        }
        if self.node.is_some() && caller.node_name().is_some() {
            held.incomplete = true;
            held.errors.insert(0, "node authorizer does not support user rule resolution".into());
        }
        held
    }

    fn role(&self, namespace: Option<&str>, name: &str) -> Option<Arc<[Rule]>> {
        self.rbac.as_ref()?.role(namespace, name)
    }
}
