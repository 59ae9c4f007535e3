//! Pods and pod templates.

use super::container;
use super::field::{Errors, child, index, key, list, text};
use super::volume;
use serde_json::Value;
use std::collections::BTreeSet;
use tinyplane_wire::meta::{dns_label, dns_subdomain, label_value, pairs, qualified_name};

pub(super) fn check(pod: &Value, errors: &mut Errors) {
    check_spec(&pod["spec"], "spec", errors);
}

/// A template: its labels and annotations, and its spec.
pub(super) fn check_template(template: &Value, path: &str, errors: &mut Errors) {
    let metadata = child(path, "metadata");
    check_labels(&template["metadata"]["labels"], &child(&metadata, "labels"), errors);
    for (name, _) in pairs(&template["metadata"]["annotations"]) {
        errors.grammar(&child(&metadata, "annotations"), name, qualified_name(&name.to_ascii_lowercase()));
    }
    check_spec(&template["spec"], &child(path, "spec"), errors);
    let ephemeral = &template["spec"]["ephemeralContainers"];
    if !list(ephemeral).is_empty() {
        errors.forbidden(child(path, "spec.ephemeralContainers"), "ephemeral containers not allowed in pod template");
    }
}

/// Labels: keys and values by their grammar.
pub(super) fn check_labels(labels: &Value, path: &str, errors: &mut Errors) {
    for (name, value) in pairs(labels) {
        errors.grammar(path, name, qualified_name(name));
        errors.grammar(path, value, label_value(value));
    }
}

fn check_spec(spec: &Value, path: &str, errors: &mut Errors) {
    let volumes = volume::check(&spec["volumes"], &child(path, "volumes"), errors);
    container::check_all(spec, path, &volumes, errors);
    errors.one_of(&child(path, "restartPolicy"), &spec["restartPolicy"], &["Always", "OnFailure", "Never"]);
    errors.one_of(
        &child(path, "dnsPolicy"),
        &spec["dnsPolicy"],
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
    );
    check_label_map(&spec["nodeSelector"], &child(path, "nodeSelector"), errors);
    check_host_network(spec, path, errors);
    for (at, secret) in list(&spec["imagePullSecrets"]).iter().enumerate() {
        if text(&secret["name"]).is_empty() {
            errors.required(child(&index(&child(path, "imagePullSecrets"), at), "name"), "");
        }
    }
    name(spec, "serviceAccountName", path, dns_subdomain, errors);
    name(spec, "nodeName", path, dns_subdomain, errors);
    if let Some(seconds) = spec["activeDeadlineSeconds"].as_i64()
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        let told = "must be between 1 and 2147483647, inclusive";
        errors.invalid(child(path, "activeDeadlineSeconds"), &spec["activeDeadlineSeconds"], told);
    }
    name(spec, "hostname", path, dns_label, errors);
    name(spec, "subdomain", path, dns_label, errors);
    check_tolerations(&spec["tolerations"], &child(path, "tolerations"), errors);
    errors.non_negative(child(path, "terminationGracePeriodSeconds"), &spec["terminationGracePeriodSeconds"]);
    name(spec, "priorityClassName", path, dns_subdomain, errors);
    name(spec, "runtimeClassName", path, dns_subdomain, errors);
    check_affinity(&spec["affinity"], &child(path, "affinity"), errors);
    check_spread(&spec["topologySpreadConstraints"], &child(path, "topologySpreadConstraints"), errors);
}

fn name(spec: &Value, field: &str, path: &str, grammar: fn(&str) -> Vec<String>, errors: &mut Errors) {
    let value = text(&spec[field]);
    if !value.is_empty() {
        errors.grammar(&child(path, field), value, grammar(value));
    }
}

fn check_label_map(map: &Value, path: &str, errors: &mut Errors) {
    check_labels(map, path, errors);
}

/// With the host's network, a container port is the host's port.
fn check_host_network(spec: &Value, path: &str, errors: &mut Errors) {
    if spec["hostNetwork"].as_bool() != Some(true) {
        return;
    }
    for (at, container) in list(&spec["containers"]).iter().enumerate() {
        for (nth, port) in list(&container["ports"]).iter().enumerate() {
            let host = &port["hostPort"];
            if host.as_i64().is_some_and(|p| p != 0) && *host != port["containerPort"] {
                let at = index(&child(&index(&child(path, "containers"), at), "ports"), nth);
                errors.invalid(
                    child(&at, "containerPort"),
                    &port["containerPort"],
                    "must match `hostPort` when `hostNetwork` is true",
                );
            }
        }
    }
}

pub(super) fn check_tolerations(tolerations: &Value, path: &str, errors: &mut Errors) {
    for (at, toleration) in list(tolerations).iter().enumerate() {
        let path = index(path, at);
        let (name, operator, value) =
            (text(&toleration["key"]), text(&toleration["operator"]), text(&toleration["value"]));
        if !name.is_empty() {
            errors.grammar(&child(&path, "key"), name, qualified_name(name));
        }
        if name.is_empty() && operator != "Exists" {
            let told = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.invalid_text(child(&path, "operator"), operator, told);
        }
        if toleration["tolerationSeconds"].is_number() && toleration["effect"] != "NoExecute" {
            let told = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.invalid_text(child(&path, "effect"), text(&toleration["effect"]), told);
        }
        match operator {
            "" | "Equal" => errors.grammar(&child(&path, "operator"), value, label_value(value)),
            "Exists" if !value.is_empty() => {
                errors.invalid(child(&path, "operator"), toleration, "value must be empty when `operator` is 'Exists'");
            }
            "Exists" => {}
            other => errors.unsupported(child(&path, "operator"), other, &["Equal", "Exists"]),
        }
        let effect = text(&toleration["effect"]);
        if !effect.is_empty() && !["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect) {
            errors.unsupported(child(&path, "effect"), effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
        }
    }
}

fn check_affinity(affinity: &Value, path: &str, errors: &mut Errors) {
    let node = &affinity["nodeAffinity"];
    let required = &node["requiredDuringSchedulingIgnoredDuringExecution"];
    if required.is_object() {
        let path =
            child(&child(path, "nodeAffinity"), "requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms");
        let terms = list(&required["nodeSelectorTerms"]);
        if terms.is_empty() {
            errors.required(&path, "must have at least one node selector term");
        }
        for (at, term) in terms.iter().enumerate() {
            check_expressions(&term["matchExpressions"], &child(&index(&path, at), "matchExpressions"), errors);
        }
    }
}

fn check_expressions(expressions: &Value, path: &str, errors: &mut Errors) {
    for (at, expression) in list(expressions).iter().enumerate() {
        let path = index(path, at);
        let values = list(&expression["values"]).len();
        match text(&expression["operator"]) {
            "In" | "NotIn" if values == 0 => {
                errors.required(child(&path, "values"), "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "Exists" | "DoesNotExist" if values > 0 => {
                errors.forbidden(
                    child(&path, "values"),
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                );
            }
            "Gt" | "Lt" if values != 1 => {
                errors
                    .required(child(&path, "values"), "must be specified single value when `operator` is 'Lt' or 'Gt'");
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            other => errors.invalid_text(child(&path, "operator"), other, "not a valid selector operator"),
        }
        let name = text(&expression["key"]);
        errors.grammar(&child(&path, "key"), name, qualified_name(name));
    }
}

fn check_spread(constraints: &Value, path: &str, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (at, constraint) in list(constraints).iter().enumerate() {
        let path = index(path, at);
        if constraint["maxSkew"].as_i64().unwrap_or_default() <= 0 {
            errors.invalid(child(&path, "maxSkew"), &constraint["maxSkew"], "must be greater than 0");
        }
        let (topology, unsatisfiable) = (text(&constraint["topologyKey"]), text(&constraint["whenUnsatisfiable"]));
        if topology.is_empty() {
            errors.required(child(&path, "topologyKey"), "can not be empty");
        }
        if !["DoNotSchedule", "ScheduleAnyway"].contains(&unsatisfiable) {
            errors.unsupported(child(&path, "whenUnsatisfiable"), unsatisfiable, &["DoNotSchedule", "ScheduleAnyway"]);
        }
        if !seen.insert((topology, unsatisfiable)) {
            let told = format!("{{{topology}, {unsatisfiable}}}");
            errors.duplicate(key(&path, "{topologyKey, whenUnsatisfiable}"), &Value::from(told));
        }
    }
}
