//! Roles and bindings.

use super::field::{Errors, Path, child, index, list, text};
use super::{internal, selector};
use serde_json::Value;
use tinyplane_wire::meta::{dns_subdomain, path_segment};
use tinyplane_wire::selector::LabelSelector;

pub(super) fn check_role(kind: &str, role: &Value, errors: &mut Errors) {
    for (at, rule) in list(&role["rules"]).iter().enumerate() {
        let path = index("rules", at);
        if list(&rule["verbs"]).is_empty() {
            errors.required(child(&path, "verbs"), "verbs must contain at least one value");
        }
        if !list(&rule["nonResourceURLs"]).is_empty() {
            if kind == "Role" {
                let told = "namespaced rules cannot apply to non-resource URLs";
                errors.invalid(child(&path, "nonResourceURLs"), &rule["nonResourceURLs"], told);
            }
            let resources = ["apiGroups", "resources", "resourceNames"].iter().any(|f| !list(&rule[*f]).is_empty());
            if resources {
                let told = "rules cannot apply to both regular resources and non-resource URLs";
                errors.invalid(child(&path, "nonResourceURLs"), &rule["nonResourceURLs"], told);
            }
            continue;
        }
        if list(&rule["apiGroups"]).is_empty() {
            errors.required(child(&path, "apiGroups"), "resource rules must supply at least one api group");
        }
        if list(&rule["resources"]).is_empty() {
            errors.required(child(&path, "resources"), "resource rules must supply at least one resource");
        }
    }
}

/// The roles whose rules a cluster role takes together.
pub(super) fn check_aggregation(role: &Value, errors: &mut Errors) {
    let (rule, path) = (&role["aggregationRule"], "aggregationRule.clusterRoleSelectors");
    if !rule.is_object() {
        return;
    }
    let selectors = list(&rule["clusterRoleSelectors"]);
    if selectors.is_empty() {
        let told = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        errors.required(path, told);
    }
    for (at, wished) in selectors.iter().enumerate() {
        let mut own = Errors::default();
        selector::check(wished, &Path::root(&index(path, at)), &mut own);
        let is_odd = !own.is_empty() || LabelSelector::from_object(wished).is_err();
        errors.append(own);
        if is_odd {
            errors.invalid_as(index(path, at), "null", "invalid label selector.");
        }
    }
}

pub(super) fn check_binding(kind: &str, binding: &Value, errors: &mut Errors) {
    let role = &binding["roleRef"];
    let group = text(&role["apiGroup"]);
    if group != "rbac.authorization.k8s.io" {
        errors.unsupported("roleRef.apiGroup", group, &["rbac.authorization.k8s.io"]);
    }
    let known: &[&str] = if kind == "RoleBinding" { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !known.contains(&text(&role["kind"])) {
        errors.unsupported("roleRef.kind", text(&role["kind"]), known);
    }
    let name = text(&role["name"]);
    if name.is_empty() {
        errors.required("roleRef.name", "");
    } else {
        errors.grammar("roleRef.name", name, path_segment(name));
    }
    for (at, subject) in list(&binding["subjects"]).iter().enumerate() {
        check_subject(kind, subject, &index("subjects", at), errors);
    }
}

fn check_subject(kind: &str, subject: &Value, path: &str, errors: &mut Errors) {
    let name = text(&subject["name"]);
    errors.needed(child(path, "name"), &subject["name"], "");
    let group = text(&subject["apiGroup"]);
    match text(&subject["kind"]) {
        "ServiceAccount" => {
            if !name.is_empty() {
                errors.grammar(child(path, "name"), name, dns_subdomain(name));
            }
            if !group.is_empty() {
                errors.unsupported(child(path, "apiGroup"), group, &[""]);
            }
            // In a RoleBinding an account's namespace may be left out: it is the binding's own.
            if text(&subject["namespace"]).is_empty() && kind == "ClusterRoleBinding" {
                errors.required(child(path, "namespace"), "");
            }
        }
        "User" | "Group" => {
            if group != "rbac.authorization.k8s.io" {
                errors.unsupported(child(path, "apiGroup"), group, &["rbac.authorization.k8s.io"]);
            }
        }
        other => errors.unsupported(child(path, "kind"), other, &["ServiceAccount", "User", "Group"]),
    }
}

pub(super) fn check_update(new: &Value, old: &Value, errors: &mut Errors) {
    if new["roleRef"] != old["roleRef"] {
        errors.invalid_as("roleRef", &internal::shown("RoleRef", &new["roleRef"]), "cannot change roleRef");
    }
}
