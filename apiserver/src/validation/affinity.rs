//! Where a pod may run: affinity to nodes and to pods, and how pods are spread.

use super::field::{Errors, Path, list, text};
use super::selector;
use serde_json::Value;
use std::collections::BTreeSet;
use tinyplane_wire::meta::{dns_label, dns_subdomain, label_value, qualified_name};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub(super) fn check(affinity: &Value, path: &Path<'_>, errors: &mut Errors) {
    let (node, at) = (&affinity["nodeAffinity"], path.child("nodeAffinity"));
    if node[REQUIRED].is_object() {
        check_node_selector(&node[REQUIRED], &at.child(REQUIRED), errors);
    }
    for (nth, term) in list(&node[PREFERRED]).iter().enumerate() {
        let path = at.item(PREFERRED, nth);
        check_weight(term, &path, errors);
        check_term(&term["preference"], true, &path.child("preference"), errors);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let (pods, at) = (&affinity[kind], path.child(kind));
        for (nth, term) in list(&pods[REQUIRED]).iter().enumerate() {
            check_pod_term(term, &at.item(REQUIRED, nth), errors);
        }
        for (nth, term) in list(&pods[PREFERRED]).iter().enumerate() {
            let path = at.item(PREFERRED, nth);
            check_weight(term, &path, errors);
            check_pod_term(&term["podAffinityTerm"], &path.child("podAffinityTerm"), errors);
        }
    }
}

fn check_weight(term: &Value, path: &Path<'_>, errors: &mut Errors) {
    let weight = term["weight"].as_i64().unwrap_or_default();
    if !(1..=100).contains(&weight) {
        errors.invalid(path.child("weight"), &Value::from(weight), "must be in the range 1-100");
    }
}

/// A selector of nodes, which needs a term.
pub(super) fn check_node_selector(selector: &Value, path: &Path<'_>, errors: &mut Errors) {
    let path = path.child("nodeSelectorTerms");
    let terms = list(&selector["nodeSelectorTerms"]);
    if terms.is_empty() {
        errors.required(path, "must have at least one node selector term");
    }
    for (at, term) in terms.iter().enumerate() {
        check_term(term, false, &path.index(at), errors);
    }
}

fn check_term(term: &Value, any_value: bool, path: &Path<'_>, errors: &mut Errors) {
    for (at, expression) in list(&term["matchExpressions"]).iter().enumerate() {
        check_expression(expression, any_value, &path.item("matchExpressions", at), errors);
    }
    for (at, expression) in list(&term["matchFields"]).iter().enumerate() {
        check_field(expression, &path.item("matchFields", at), errors);
    }
}

fn check_expression(expression: &Value, any_value: bool, path: &Path<'_>, errors: &mut Errors) {
    let values = list(&expression["values"]);
    let at = path.child("values");
    match text(&expression["operator"]) {
        "In" | "NotIn" if values.is_empty() => {
            errors.required(at, "must be specified when `operator` is 'In' or 'NotIn'");
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            errors.forbidden(at, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        }
        "Gt" | "Lt" if values.len() != 1 => {
            errors.required(at, "must be specified single value when `operator` is 'Lt' or 'Gt'");
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        other => errors.invalid_text(path.child("operator"), other, "not a valid selector operator"),
    }
    let name = text(&expression["key"]);
    errors.grammar(path.child("key"), name, qualified_name(name));
    for (nth, value) in values.iter().enumerate().filter(|_| !any_value) {
        errors.grammar(at.index(nth), text(value), label_value(text(value)));
    }
}

fn check_field(expression: &Value, path: &Path<'_>, errors: &mut Errors) {
    let values = list(&expression["values"]);
    let at = path.child("values");
    match text(&expression["operator"]) {
        "In" | "NotIn" if values.len() != 1 => {
            errors.required(at, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
        }
        "In" | "NotIn" => {}
        other => errors.invalid_text(path.child("operator"), other, "not a valid selector operator"),
    }
    let name = text(&expression["key"]);
    if name != "metadata.name" {
        return errors.invalid_text(path.child("key"), name, "not a valid field selector key");
    }
    for (nth, value) in values.iter().enumerate() {
        errors.grammar(at.index(nth), text(value), dns_subdomain(text(value)));
    }
}

fn check_pod_term(term: &Value, path: &Path<'_>, errors: &mut Errors) {
    selector::check(&term["labelSelector"], &path.child("labelSelector"), errors);
    selector::check(&term["namespaceSelector"], &path.child("namespaceSelector"), errors);
    for namespace in list(&term["namespaces"]) {
        errors.grammar(path.child("namespace"), text(namespace), dns_label(text(namespace)));
    }
    check_keys(term, path, errors);
    let (topology, at) = (text(&term["topologyKey"]), path.child("topologyKey"));
    if topology.is_empty() {
        errors.required(at, "can not be empty");
    }
    errors.grammar(at, topology, qualified_name(topology));
}

/// What sets one constraint apart from the others.
fn spread_of(constraint: &Value) -> (&str, &str) {
    (text(&constraint["topologyKey"]), text(&constraint["whenUnsatisfiable"]))
}

pub(super) fn check_spread(constraints: &Value, path: &Path<'_>, errors: &mut Errors) {
    // Upstream tells the one before of one that is the same.
    let mut behind = BTreeSet::new();
    let mut repeated: Vec<bool> = list(constraints).iter().rev().map(|one| !behind.insert(spread_of(one))).collect();
    repeated.reverse();
    for (nth, (constraint, is_repeated)) in list(constraints).iter().zip(repeated).enumerate() {
        let path = path.index(nth);
        let skew = constraint["maxSkew"].as_i64().unwrap_or_default();
        if skew <= 0 {
            errors.invalid(path.child("maxSkew"), &Value::from(skew), "must be greater than zero");
        }
        let (topology, unsatisfiable) = spread_of(constraint);
        if topology.is_empty() {
            errors.required(path.child("topologyKey"), "can not be empty");
        }
        if !["DoNotSchedule", "ScheduleAnyway"].contains(&unsatisfiable) {
            errors.unsupported(path.child("whenUnsatisfiable"), unsatisfiable, &["DoNotSchedule", "ScheduleAnyway"]);
        }
        if is_repeated {
            let told = format!("{{{topology}, {unsatisfiable}}}");
            errors.duplicate(path.child("{topologyKey, whenUnsatisfiable}"), &Value::from(told));
        }
        let (domains, at) = (&constraint["minDomains"], path.child("minDomains"));
        if domains.as_i64().is_some_and(|n| n <= 0) {
            errors.invalid(at, domains, "must be greater than zero");
        }
        if domains.is_number() && unsatisfiable != "DoNotSchedule" {
            let told = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {unsatisfiable}");
            errors.invalid(at, domains, &told);
        }
        for field in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            errors.known(path.child(field), &constraint[field], &["Honor", "Ignore"]);
        }
        check_keys(constraint, &path, errors);
        selector::check(&constraint["labelSelector"], &path.child("labelSelector"), errors);
    }
}

/// Keys of labels whose values a pod's own stand for: they narrow a selector, which has to be there.
fn check_keys(holder: &Value, path: &Path<'_>, errors: &mut Errors) {
    for field in ["matchLabelKeys", "mismatchLabelKeys"] {
        let (keys, path) = (list(&holder[field]), path.child(field));
        if !keys.is_empty() && !holder["labelSelector"].is_object() {
            errors.forbidden(path, "must not be specified when labelSelector is not set");
            continue;
        }
        for (at, name) in keys.iter().enumerate() {
            errors.grammar(path.index(at), text(name), qualified_name(text(name)));
        }
    }
    let own = list(&holder["matchLabelKeys"]);
    if !own.is_empty() {
        check_own_keys(own, holder, path, errors);
    }
}

/// What is narrowed by a pod's own value is narrowed by no other, and not widened again.
fn check_own_keys(own: &[Value], holder: &Value, path: &Path<'_>, errors: &mut Errors) {
    let selector = &holder["labelSelector"];
    let labels = selector["matchLabels"].as_object();
    let mut seen: BTreeSet<&str> = labels.into_iter().flat_map(|labels| labels.keys().map(String::as_str)).collect();
    for expression in list(&selector["matchExpressions"]) {
        let name = text(&expression["key"]);
        // One expression of the key is what the pod's own value was made into.
        if !seen.insert(name)
            && let Some(at) = own.iter().rposition(|key| text(key) == name)
        {
            errors.invalid_text(path.index(at), name, "exists in both matchLabelKeys and labelSelector");
        }
    }
    for (at, name) in own.iter().enumerate().filter(|(_, name)| list(&holder["mismatchLabelKeys"]).contains(name)) {
        let told = "exists in both matchLabelKeys and mismatchLabelKeys";
        errors.invalid(path.item("matchLabelKeys", at), name, told);
    }
}
