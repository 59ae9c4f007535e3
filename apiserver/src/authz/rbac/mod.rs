//! Role-based access control over the live roles and bindings (mode `RBAC`).

mod index;
mod policy;
mod rule;

pub use policy::Object;
pub use rule::Rule;

use super::{Attributes, Authorizer, Decision, Feed, Held, On};
use crate::authn::Caller;
use arc_swap::ArcSwap;
use index::{Grant, Index};
use policy::Policy;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

/// Decides by roles and bindings. A decision takes no lock that a reader holds, and looks only at bindings of the
/// caller and its groups.
pub struct Rbac {
    source: Mutex<Source>,
    index: ArcSwap<Index>,
}

struct Source {
    feed: Box<dyn Feed<Object>>,
    policy: Policy,
}

impl Rbac {
    /// Goes by the objects that a feed tells of.
    #[must_use]
    pub fn new(feed: Box<dyn Feed<Object>>) -> Self {
        Self { source: Mutex::new(Source { feed, policy: Policy::default() }), index: ArcSwap::default() }
    }

    /// The index, brought up to date.
    fn current(&self) -> arc_swap::Guard<Arc<Index>> {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = source.feed.pull();
        if !changes.is_empty() {
            changes.into_iter().for_each(|change| source.policy.apply(change));
            self.index.store(Arc::new(Index::build(&source.policy)));
        }
        drop(source);
        self.index.load()
    }
}

impl Authorizer for Rbac {
    fn authorize(&self, caller: &Caller, question: &Attributes<'_>) -> Decision {
        let namespace = match question.on {
            On::Resource { namespace, .. } => namespace,
            On::Path(_) => "",
        };
        let mut missing = Vec::new();
        let index = self.current();
        let found = index.visit(caller, namespace, |grant: &Grant| match &grant.rules {
            Some(rules) if rules.iter().any(|rule| rule.allows(question)) => ControlFlow::Break(()),
            Some(_) => ControlFlow::Continue(()),
            None => {
                missing.push(grant.not_found());
                ControlFlow::Continue(())
            }
        });
        match (found, missing.as_slice()) {
            (ControlFlow::Break(()), _) => Decision::Allow,
            (_, []) => Decision::NoOpinion(String::new()),
            (_, [one]) => Decision::NoOpinion(format!("RBAC: {one}")),
            (_, many) => Decision::NoOpinion(format!("RBAC: [{}]", many.join(", "))),
        }
    }

    fn explain(&self, caller: &Caller, question: &Attributes<'_>) -> String {
        let namespace = match question.on {
            On::Resource { namespace, .. } => namespace,
            On::Path(_) => "",
        };
        let found = self.current().visit(caller, namespace, |grant: &Grant| match &grant.rules {
            Some(rules) if rules.iter().any(|rule| rule.allows(question)) => ControlFlow::Break(grant.told(caller)),
            _ => ControlFlow::Continue(()),
        });
        match found {
            ControlFlow::Break(told) => format!("RBAC: allowed by {told}"),
            ControlFlow::Continue(()) => String::new(),
        }
    }

    fn held(&self, caller: &Caller, namespace: &str) -> Held {
        let mut held = Held::default();
        let ControlFlow::Continue(()) = self.current().visit(caller, namespace, |grant| {
            match &grant.rules {
                Some(rules) => held.rules.extend(rules.iter().cloned()),
                None => held.errors.push(grant.not_found()),
            }
            ControlFlow::<std::convert::Infallible>::Continue(())
        });
        held
    }

    fn role(&self, namespace: Option<&str>, name: &str) -> Option<Arc<[Rule]>> {
        self.current().role(namespace.unwrap_or_default(), name)
    }
}
