//! `ResourceQuota`s.

use super::field::{Errors, child, key, list, text};
use super::internal;
use super::node::check_amount;
use serde_json::Value;
use std::collections::BTreeSet;
use tinyplane_wire::meta::qualified_name;

/// What a quota may limit without a group before its name, beside hugepages.
const RESOURCES: [&str; 19] = [
    "configmaps",
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
    "requests.storage",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];
const SCOPES: [&str; 7] = [
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
];
/// What of a pod is counted under a scope.
const OF_PODS: [&str; 7] = ["pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
/// Scopes that no one thing is in both of.
const CONFLICTING: [[&str; 2]; 2] = [["BestEffort", "NotBestEffort"], ["NotTerminating", "Terminating"]];

pub(super) fn check(quota: &Value, errors: &mut Errors) {
    let spec = &quota["spec"];
    check_amounts(&spec["hard"], "spec.hard", errors);
    check_scopes(spec, errors);
    check_selector(spec, errors);
}

fn check_amounts(amounts: &Value, path: &str, errors: &mut Errors) {
    for (name, value) in amounts.as_object().into_iter().flatten() {
        let path = key(path, name);
        check_name(name, &path, errors);
        check_amount(name, value, &path, errors);
    }
}

/// Whether a name has Kubernetes' own meaning for quotas.
fn is_standard(name: &str) -> bool {
    RESOURCES.contains(&name) || name.starts_with("hugepages-") || name.starts_with("requests.hugepages-")
}

fn check_name(name: &str, path: &str, errors: &mut Errors) {
    let complaints = qualified_name(name);
    if !complaints.is_empty() {
        errors.grammar(path, name, complaints);
    } else if name == "storage" {
        errors.invalid_text(path, name, "must be a standard resource for quota");
    } else if !name.contains('/') && !is_standard(name) {
        errors.invalid_text(path, name, "must be a standard resource type or fully qualified");
    }
    if !name.contains('/') && !is_standard(name) && name != "storage" {
        errors.invalid_text(path, name, "must be a standard resource for quota");
    }
}

/// Whether something that a quota limits is counted under a scope.
fn is_counted(name: &str, scope: &str) -> bool {
    match scope {
        "BestEffort" => name == "pods",
        "VolumeAttributesClass" => ["persistentvolumeclaims", "requests.storage"].contains(&name),
        scope if SCOPES.contains(&scope) => OF_PODS.contains(&name),
        _ => true,
    }
}

/// The limited things to which a scope does not apply.
fn misapplied(spec: &Value, scope: &str) -> usize {
    let names = spec["hard"].as_object().into_iter().flat_map(|hard| hard.keys());
    names.filter(|name| is_standard(name) && !is_counted(name, scope)).count()
}

fn conflicts(scopes: &BTreeSet<&str>) -> usize {
    CONFLICTING.iter().filter(|pair| pair.iter().all(|scope| scopes.contains(scope))).count()
}

fn check_scopes(spec: &Value, errors: &mut Errors) {
    let (scopes, path, mut seen) = (&spec["scopes"], "spec.scopes", BTreeSet::new());
    for scope in list(scopes).iter().map(text) {
        if !SCOPES.contains(&scope) {
            errors.invalid(path, scopes, "unsupported scope");
        }
        for _ in 0..misapplied(spec, scope) {
            errors.invalid(path, scopes, "unsupported scope applied to resource");
        }
        seen.insert(scope);
    }
    for _ in 0..conflicts(&seen) {
        errors.invalid(path, scopes, "conflicting scopes");
    }
}

fn check_selector(spec: &Value, errors: &mut Errors) {
    let (path, mut seen) = ("spec.scopeSelector.matchExpressions", BTreeSet::new());
    for expression in list(&spec["scopeSelector"]["matchExpressions"]) {
        let (scope, operator) = (text(&expression["scopeName"]), text(&expression["operator"]));
        if !SCOPES.contains(&scope) {
            errors.invalid_text(child(path, "scopeName"), scope, "unsupported scope");
        }
        for _ in 0..misapplied(spec, scope) {
            errors.invalid_as(
                path,
                &internal::shown("ScopeSelector", &spec["scopeSelector"]),
                "unsupported scope applied to resource",
            );
        }
        let by_value = ["PriorityClass", "VolumeAttributesClass"].contains(&scope);
        if SCOPES.contains(&scope) && !by_value && operator != "Exists" {
            let told = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
            errors.invalid_text(child(path, "operator"), operator, told);
        }
        let none = list(&expression["values"]).is_empty();
        match operator {
            "In" | "NotIn" if none => {
                let told = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
                errors.required(child(path, "values"), told);
            }
            "Exists" | "DoesNotExist" if !none => {
                let told = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
                errors.invalid(child(path, "values"), &expression["values"], told);
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => errors.invalid_text(child(path, "operator"), other, "not a valid selector operator"),
        }
        seen.insert(scope);
    }
    for _ in 0..conflicts(&seen) {
        errors.invalid(path, &spec["scopes"], "conflicting scopes");
    }
}

pub(super) fn check_update(new: &Value, old: &Value, errors: &mut Errors) {
    let scopes = |quota: &Value| {
        list(&quota["spec"]["scopes"]).iter().map(|scope| text(scope).to_owned()).collect::<BTreeSet<_>>()
    };
    if scopes(new) != scopes(old) {
        errors.invalid("spec.scopes", &new["spec"]["scopes"], "field is immutable");
    }
}

pub(super) fn check_status(quota: &Value, errors: &mut Errors) {
    for field in ["hard", "used"] {
        check_amounts(&quota["status"][field], &child("status", field), errors);
    }
}
