//! Reviews: kinds that are answered and never stored. Who am I, who is that, may they, may I; and tokens on request.

mod access;
mod identity;
mod rules;
mod token_request;

pub use token_request::TokenIssuer;

use crate::authn::{Authenticator, Caller};
use crate::authz::Authorizer;
use serde_json::{Value, json};
use std::sync::Arc;
use tinyplane_wire::status::{self, Cause, Status};

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

/// Answers reviews.
pub struct Reviews {
    /// Knows tokens.
    pub authenticator: Arc<Authenticator>,
    /// Knows who may what.
    pub authorizer: Arc<dyn Authorizer>,
}

impl Reviews {
    /// True for a resource that is answered here, and of which nothing is stored.
    #[must_use]
    pub fn answers(group: &str, resource: &str) -> bool {
        match group {
            AUTHENTICATION => matches!(resource, "selfsubjectreviews" | "tokenreviews"),
            AUTHORIZATION => matches!(
                resource,
                "subjectaccessreviews"
                    | "selfsubjectaccessreviews"
                    | "localsubjectaccessreviews"
                    | "selfsubjectrulesreviews"
            ),
            _ => false,
        }
    }

    /// Answers a review: the body with its status. The body was decoded and has the resource's kind.
    ///
    /// # Errors
    /// A 422 or 400, in upstream's words, for a review that can't be answered; a 404 for a resource of another room.
    pub fn create(&self, caller: &Caller, resource: &str, namespace: &str, mut body: Value) -> status::Result<Value> {
        body["status"] = match resource {
            "selfsubjectreviews" => identity::of_self(caller, &mut body, &self.authenticator.clock),
            "tokenreviews" => identity::of_token(&self.authenticator, &body)?,
            "subjectaccessreviews" => access::of_subject(&*self.authorizer, &body)?,
            "localsubjectaccessreviews" => access::in_namespace(&*self.authorizer, namespace, &body)?,
            "selfsubjectaccessreviews" => access::of_self(&*self.authorizer, caller, &body)?,
            "selfsubjectrulesreviews" => rules::of_self(&*self.authorizer, caller, &body)?,
            other => return Err(Status::not_found("", other, "")),
        };
        if resource == "selfsubjectrulesreviews" {
            // Upstream answers without the question.
            body["metadata"] = json!({});
            body["spec"] = json!({});
        }
        Ok(body)
    }
}

/// The 422 for one field.
fn invalid(group: &str, kind: &str, field: &str, value: &Value, detail: &str) -> Box<Status> {
    let message = format!("Invalid value: {value}: {detail}");
    let cause = Cause { reason: "FieldValueInvalid".into(), message, field: field.into() };
    Status::invalid(group, kind, "", vec![cause])
}

#[cfg(test)]
mod tests;
