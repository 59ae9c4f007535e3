//! Configurations of admission webhooks.

use super::field::{Errors, Path, child, index, list, text};
use super::metadata::label_1035;
use super::selector;
use serde_json::Value;
use std::collections::BTreeSet;
use tinyplane_wire::meta::{dns_subdomain, qualified_name};

const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
/// Most conditions of one webhook or policy.
const CONDITIONS_MAX: usize = 64;
const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

pub(super) fn check(configuration: &Value, errors: &mut Errors) {
    let mut names = BTreeSet::new();
    for (at, hook) in list(&configuration["webhooks"]).iter().enumerate() {
        let path = index("webhooks", at);
        check_hook(hook, &path, errors);
        let name = text(&hook["name"]);
        if !name.is_empty() && !names.insert(name) {
            errors.duplicate(child(&path, "name"), &hook["name"]);
        }
    }
}

fn check_hook(hook: &Value, path: &str, errors: &mut Errors) {
    check_name(text(&hook["name"]), &child(path, "name"), errors);
    for (at, rule) in list(&hook["rules"]).iter().enumerate() {
        check_rule(rule, &index(&child(path, "rules"), at), errors);
    }
    errors.known(child(path, "failurePolicy"), &hook["failurePolicy"], &["Fail", "Ignore"]);
    errors.known(child(path, "matchPolicy"), &hook["matchPolicy"], &["Equivalent", "Exact"]);
    errors.known(child(path, "reinvocationPolicy"), &hook["reinvocationPolicy"], &["IfNeeded", "Never"]);
    if hook["sideEffects"].is_null() {
        errors.required(child(path, "sideEffects"), "must specify one of None, NoneOnDryRun");
    }
    errors.known(child(path, "sideEffects"), &hook["sideEffects"], &["None", "NoneOnDryRun"]);
    if hook["timeoutSeconds"].as_i64().is_some_and(|seconds| !(1..=30).contains(&seconds)) {
        let told = "the timeout value must be between 1 and 30 seconds";
        errors.invalid(child(path, "timeoutSeconds"), &hook["timeoutSeconds"], told);
    }
    for field in ["namespaceSelector", "objectSelector"] {
        selector::check(&hook[field], &Path::root(path).child(field), errors);
    }
    check_client(&hook["clientConfig"], &child(path, "clientConfig"), errors);
    check_conditions(&hook["matchConditions"], &child(path, "matchConditions"), errors);
    check_reviews(&hook["admissionReviewVersions"], &child(path, "admissionReviewVersions"), errors);
}

/// On which conditions a webhook or a policy is asked; their expressions are not read.
pub(super) fn check_conditions(conditions: &Value, path: &str, errors: &mut Errors) {
    let all = list(conditions);
    if all.len() > CONDITIONS_MAX {
        errors.too_many(path, all.len(), CONDITIONS_MAX);
    }
    let mut names = BTreeSet::new();
    for (at, condition) in all.iter().enumerate() {
        let (path, name) = (index(path, at), text(&condition["name"]));
        if text(&condition["expression"]).trim().is_empty() {
            errors.required(child(&path, "expression"), "");
        }
        if name.is_empty() {
            errors.required(child(&path, "name"), "");
            continue;
        }
        errors.grammar(child(&path, "name"), name, qualified_name(name));
        if !names.insert(name) {
            errors.duplicate(child(&path, "name"), &condition["name"]);
        }
    }
}

/// The versions of reviews that a webhook knows: one of them is the server's.
pub(super) fn check_reviews(reviews: &Value, path: &str, errors: &mut Errors) {
    let versions = list(reviews);
    if versions.is_empty() {
        return errors.required(path, "must specify one of v1, v1beta1");
    }
    for (at, version) in versions.iter().enumerate() {
        if versions[..at].contains(version) {
            errors.invalid(index(path, at), version, "duplicate version");
        } else {
            errors.grammar(index(path, at), text(version), label_1035(text(version)));
        }
    }
    if !versions.iter().any(|version| VERSIONS.contains(&text(version))) {
        errors.invalid(path, reviews, "must include at least one of v1, v1beta1");
    }
}

fn check_name(name: &str, path: &str, errors: &mut Errors) {
    let complaints = dns_subdomain(name);
    if name.is_empty() {
        errors.required(path, "");
    } else if !complaints.is_empty() {
        errors.grammar(path, name, complaints);
    } else if name.split('.').count() < 3 {
        errors.invalid_text(path, name, "should be a domain with at least three segments separated by dots");
    }
}

/// What a webhook or a policy is asked about.
pub(super) fn check_rule(rule: &Value, path: &str, errors: &mut Errors) {
    let many = |field: &str, words: &str, errors: &mut Errors| {
        let (all, path) = (list(&rule[field]), child(path, field));
        if all.is_empty() {
            errors.required(path, "");
        } else if all.len() > 1 && all.iter().any(|one| one == "*") {
            errors.invalid(path, &rule[field], &format!("if '*' is present, must not specify other {words}"));
        }
    };
    many("operations", "operations", errors);
    for (at, operation) in list(&rule["operations"]).iter().enumerate() {
        errors.known(index(&child(path, "operations"), at), operation, &OPERATIONS);
    }
    many("apiGroups", "API groups", errors);
    many("apiVersions", "API versions", errors);
    for (at, version) in list(&rule["apiVersions"]).iter().enumerate() {
        errors.needed(index(&child(path, "apiVersions"), at), version, "");
    }
    check_resources(&rule["resources"], &child(path, "resources"), errors);
    errors.known(child(path, "scope"), &rule["scope"], &["*", "Cluster", "Namespaced"]);
}

/// Resources and parts of them, where `*` is any: nothing is named beside what means it already.
fn check_resources(resources: &Value, path: &str, errors: &mut Errors) {
    let all: Vec<&str> = list(resources).iter().map(text).collect();
    if all.is_empty() {
        errors.required(path, "");
    }
    let (mut whole, mut everywhere, mut plain) = (BTreeSet::new(), BTreeSet::new(), false);
    for (at, one) in all.iter().enumerate() {
        let path = index(path, at);
        let Some((resource, part)) = one.split_once('/') else {
            match *one {
                "" => errors.required(path, ""),
                // Upstream asks the last one that has no part.
                one => plain = one != "*",
            }
            continue;
        };
        if whole.contains(resource) {
            errors.invalid_text(&path, one, &format!("if '{resource}/*' is present, must not specify {one}"));
        }
        if everywhere.contains(part) {
            errors.invalid_text(&path, one, &format!("if '*/{part}' is present, must not specify {one}"));
        }
        if part == "*" {
            whole.insert(resource);
        }
        if resource == "*" {
            everywhere.insert(part);
        }
    }
    if all.len() > 1 && all.contains(&"*/*") {
        errors.invalid(path, resources, "if '*/*' is present, must not specify other resources");
    }
    if all.contains(&"*") && plain {
        let why = "if '*' is present, must not specify other resources without subresources";
        errors.invalid(path, resources, why);
    }
}

fn check_client(client: &Value, path: &str, errors: &mut Errors) {
    let (address, service) = (&client["url"], &client["service"]);
    if address.is_null() == service.is_null() {
        errors.required(path, "exactly one of url or service is required");
    } else if service.is_null() {
        check_url(text(address), &child(path, "url"), errors);
    } else {
        check_service(service, &child(path, "service"), errors);
    }
}

/// What is wrong with the address of a webhook.
pub(super) fn check_url(address: &str, path: &str, errors: &mut Errors) {
    const FORM: &str = "; desired format: https://host[/path]";
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    if scheme != "https" {
        errors.invalid_text(path, scheme, &format!("'https' is the only allowed URL scheme{FORM}"));
    }
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let host = if scheme.is_empty() { "" } else { rest.split('/').next().unwrap_or_default() };
    let (user, host) = host.rsplit_once('@').map_or((None, host), |(user, host)| (Some(user), host));
    if host.is_empty() {
        errors.invalid_text(path, "", &format!("host must be specified{FORM}"));
    }
    if let Some(user) = user {
        errors.invalid_text(path, user, "user information is not permitted in the URL");
    }
    if !fragment.is_empty() {
        errors.invalid_text(path, fragment, "fragments are not permitted in the URL");
    }
    if !query.is_empty() {
        errors.invalid_text(path, query, "query parameters are not permitted in the URL");
    }
}

/// What is wrong with the Service of a webhook. Upstream takes its name for its namespace, and the other way round, when it
/// tells which of them is missing.
pub(super) fn check_service(service: &Value, path: &str, errors: &mut Errors) {
    errors.needed(child(path, "name"), &service["namespace"], "");
    errors.needed(child(path, "namespace"), &service["name"], "");
    if service["port"].as_i64().is_some_and(|port| !(1..=65_535).contains(&port)) {
        let why = "port is not valid: must be between 1 and 65535, inclusive";
        errors.invalid(child(path, "port"), &service["port"], why);
    }
    let (given, path) = (text(&service["path"]), child(path, "path"));
    match given {
        "" | "/" => return,
        "//" => return errors.invalid_text(path, given, "segment[0] may not be empty"),
        _ if !given.starts_with('/') => errors.invalid_text(&path, given, "must start with a '/'"),
        _ => {}
    }
    // The first sign is left out whatever it is.
    let steps: String = given.chars().skip(1).collect();
    for (at, step) in steps.strip_suffix('/').unwrap_or(&steps).split('/').enumerate() {
        if step.is_empty() {
            errors.invalid_text(&path, given, &format!("segment[{at}] may not be empty"));
            continue;
        }
        for complaint in dns_subdomain(step) {
            errors.invalid_text(&path, given, &format!("segment[{at}]: {complaint}"));
        }
    }
}
