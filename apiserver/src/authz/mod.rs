//! Who may do what: the only maker of `Permitted<Call>`, and the `Authorizer` of whom further questions are asked.

mod attributes;
mod permitted;

pub use attributes::{Attributes, On};
pub use permitted::{Permitted, permit};

use crate::authn::Caller;

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

    /// The rules that apply to a caller in a namespace, for `kubectl auth can-i --list`: resource rules and
    /// non-resource rules in the shape of SubjectRulesReview, and whether they may be incomplete.
    fn rules(&self, caller: &Caller, namespace: &str) -> Rules {
        let _ = (caller, namespace);
        Rules { incomplete: true, ..Rules::default() }
    }
}

/// The rules that apply to somebody: what a SelfSubjectRulesReview tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Of resources: `{verbs, apiGroups, resources, resourceNames}`.
    pub resources: Vec<serde_json::Value>,
    /// Of paths: `{verbs, nonResourceURLs}`.
    pub paths: Vec<serde_json::Value>,
    /// True when an authorizer can't enumerate its rules.
    pub incomplete: bool,
    /// Why, if something went wrong.
    pub error: String,
}
