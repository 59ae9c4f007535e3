//! `NamespaceLifecycle`: nothing is made in a namespace that is missing or being emptied, and three stay for good.

use super::{Plugin, forbidden, is};
use crate::registry::admit::{Operation, Question};
use async_trait::async_trait;
use serde_json::Value;
use tinyplane_wire::status::{self, Cause};

/// Namespaces that may not be deleted.
const FOR_GOOD: [&str; 3] = ["default", "kube-system", "kube-public"];

pub(super) struct NamespaceLifecycle;

#[async_trait]
impl Plugin for NamespaceLifecycle {
    fn name(&self) -> &'static str {
        "NamespaceLifecycle"
    }

    fn concerns(&self, question: &Question<'_>) -> bool {
        match question.operation {
            // Reviews are answered even for a namespace that is not there.
            Operation::Create => {
                question.resource.namespaced
                    && !question.namespace.is_empty()
                    && question.resource.gvk.group != "authorization.k8s.io"
            }
            Operation::Delete => is(question, "", "namespaces"),
            Operation::Update | Operation::Connect => false,
        }
    }

    async fn mutate(&self, question: &Question<'_>, _object: &mut Value) -> status::Result<()> {
        if question.operation != Operation::Create {
            return Ok(());
        }
        if phase(question)? != "Terminating" {
            return Ok(());
        }
        let why =
            format!("unable to create new content in namespace {} because it is being terminated", question.namespace);
        let mut status = forbidden(question, &why);
        if let Some(details) = &mut status.details {
            details.causes.push(Cause {
                reason: "NamespaceTerminating".into(),
                message: format!("namespace {} is being terminated", question.namespace),
                field: "metadata.namespace".into(),
            });
        }
        Err(status)
    }

    async fn validate(&self, question: &Question<'_>, _object: &Value) -> status::Result<()> {
        let deletes = question.operation == Operation::Delete && is(question, "", "namespaces");
        if deletes && FOR_GOOD.contains(&question.name) {
            return Err(forbidden(question, "this namespace may not be deleted"));
        }
        Ok(())
    }
}

/// `NamespaceExists`: nothing at all is done in a namespace that is missing. Off by default.
pub(super) struct NamespaceExists;

#[async_trait]
impl Plugin for NamespaceExists {
    fn name(&self) -> &'static str {
        "NamespaceExists"
    }

    fn concerns(&self, question: &Question<'_>) -> bool {
        question.resource.namespaced && !question.namespace.is_empty()
    }

    async fn validate(&self, question: &Question<'_>, _object: &Value) -> status::Result<()> {
        phase(question).map(|_| ())
    }
}

/// The phase of the question's namespace.
fn phase(question: &Question<'_>) -> status::Result<String> {
    question.registry.field_of("", "namespaces", "", question.namespace, "status.phase")
}
