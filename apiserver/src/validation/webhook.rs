//! Configurations of admission webhooks.

use super::field::{Errors, child, index, list, text};
use super::selector;
use serde_json::Value;
use std::collections::BTreeSet;
use tinyplane_wire::meta::dns_subdomain;

const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

pub(super) fn check(configuration: &Value, errors: &mut Errors) {
    let mut names = BTreeSet::new();
    for (at, hook) in list(&configuration["webhooks"]).iter().enumerate() {
        let path = index("webhooks", at);
        check_hook(hook, &path, errors);
        if !names.insert(text(&hook["name"])) {
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
        selector::check(&hook[field], &child(path, field), errors);
    }
    check_client(&hook["clientConfig"], &child(path, "clientConfig"), errors);
    let (versions, versions_path) = (&hook["admissionReviewVersions"], child(path, "admissionReviewVersions"));
    if list(versions).is_empty() {
        errors.required(versions_path, "must specify one of v1, v1beta1");
    } else if !list(versions).iter().any(|version| VERSIONS.contains(&text(version))) {
        errors.invalid(versions_path, versions, "must include at least one of v1, v1beta1");
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

fn check_rule(rule: &Value, path: &str, errors: &mut Errors) {
    let fields =
        [("operations", "operations"), ("apiGroups", "API groups"), ("apiVersions", "API versions"), ("resources", "")];
    for (field, words) in fields {
        let all = list(&rule[field]);
        if all.is_empty() {
            errors.required(child(path, field), "");
        } else if all.len() > 1 && !words.is_empty() && all.iter().any(|one| one == "*") {
            let told = format!("if '*' is present, must not specify other {words}");
            errors.invalid(child(path, field), &rule[field], &told);
        }
    }
    for (at, operation) in list(&rule["operations"]).iter().enumerate() {
        errors.known(index(&child(path, "operations"), at), operation, &OPERATIONS);
    }
    errors.known(child(path, "scope"), &rule["scope"], &["*", "Cluster", "Namespaced"]);
}

fn check_client(client: &Value, path: &str, errors: &mut Errors) {
    let (address, service) = (text(&client["url"]), &client["service"]);
    match (address.is_empty(), service.is_object()) {
        (true, false) | (false, true) => errors.required(path, "exactly one of url or service is required"),
        (false, false) => {
            if !address.starts_with("https://") {
                let told = "'https' is the only allowed URL scheme; desired format: https://host[/path]";
                errors.invalid_text(child(path, "url"), address.split("://").next().unwrap_or_default(), told);
            }
        }
        (true, true) => {
            let path = child(path, "service");
            errors.needed(child(&path, "name"), &service["name"], "service name is required");
            errors.needed(child(&path, "namespace"), &service["namespace"], "service namespace is required");
            errors.port(child(&path, "port"), &service["port"]);
            if service["path"].as_str().is_some_and(|path| !path.starts_with('/')) {
                errors.invalid(child(&path, "path"), &service["path"], "must start with a '/'");
            }
        }
    }
}
