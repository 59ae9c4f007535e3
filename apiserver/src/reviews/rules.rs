//! What the caller may do in a namespace, as far as it can be told: SelfSubjectRulesReview.

use crate::authn::Caller;
use crate::authz::{Authorizer, Rule};
use serde_json::{Value, json};
use tinyplane_wire::status::{self, Status};

pub(super) fn of_self(authorizer: &dyn Authorizer, caller: &Caller, body: &Value) -> status::Result<Value> {
    let namespace = body["spec"]["namespace"].as_str().unwrap_or_default();
    if namespace.is_empty() {
        return Err(Status::bad_request("no namespace on request"));
    }
    let held = authorizer.held(caller, namespace);
    let (mut resources, mut paths) = (Vec::new(), Vec::new());
    for rule in held.rules {
        if !rule.paths.is_empty() {
            let of_paths = Rule { verbs: rule.verbs.clone(), paths: rule.paths.clone(), ..Rule::default() };
            paths.push(of_paths.to_value());
        }
        if !rule.resources.is_empty() {
            resources.push(Rule { paths: Vec::new(), ..rule }.to_value());
        }
    }
    let mut status = json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": held.incomplete});
    let mut errors: Vec<&str> = Vec::new();
    for error in &held.errors {
        if !errors.contains(&error.as_str()) {
            errors.push(error);
        }
    }
    match errors[..] {
        [] => {}
        [one] => status["evaluationError"] = one.into(),
        // As Go prints several errors in one.
        _ => status["evaluationError"] = format!("[{}]", errors.join(", ")).into(),
    }
    Ok(status)
}
