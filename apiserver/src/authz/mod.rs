//! Who may do what: the only maker of `Permitted<Call>`, and the `Authorizer` of whom further questions are asked.

mod attributes;
pub mod defaults;
pub mod escalation;
mod feed;
mod node;
mod permitted;
mod rbac;
mod union;

pub use attributes::{Attributes, On};
pub use feed::{Change, Feed, Kept};
pub use node::{NodeAuthorizer, Object as NodeObject};
pub use permitted::{Permitted, permit};
pub use rbac::{Object as RbacObject, Rbac, Rule};
pub use union::Authorizers;

use crate::authn::Caller;
use std::sync::Arc;

/// What an authorizer says to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allow,
    /// No, whatever others say. The text says why, and may be empty.
    Deny(String),
    /// Not from this one. The text says why, and may be empty.
    NoOpinion(String),
}

impl Decision {
    /// True for a yes.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow)
    }
}

/// Answers who may do what. It is handed to whoever has further questions than the one of the path: create on apply,
/// escalate, bind, impersonate, reviews.
pub trait Authorizer: Send + Sync + 'static {
    /// Whether this caller may do this. Nothing is looked up outside of memory.
    fn authorize(&self, caller: &Caller, question: &Attributes<'_>) -> Decision;

    /// Why this caller may do this, in upstream's words for the audit log; empty where there is no more to say.
    fn explain(&self, caller: &Caller, question: &Attributes<'_>) -> String {
        let _ = (caller, question);
        String::new()
    }

    /// The rules that a caller holds in a namespace, as far as they can be told.
    fn held(&self, caller: &Caller, namespace: &str) -> Held {
        let _ = (caller, namespace);
        Held { incomplete: true, ..Held::default() }
    }

    /// The rules of a role: a ClusterRole, or the Role of a namespace. `None` where there is no such role.
    fn role(&self, namespace: Option<&str>, name: &str) -> Option<Arc<[Rule]>> {
        let _ = (namespace, name);
        None
    }
}

/// The rules that somebody holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The rules, in the order of bindings.
    pub rules: Vec<Rule>,
    /// True when an authorizer can't tell its rules.
    pub incomplete: bool,
    /// What went wrong, such as a binding to a role that is not there.
    pub errors: Vec<String>,
}

#[cfg(test)]
mod tests;
