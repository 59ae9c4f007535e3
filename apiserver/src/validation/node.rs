//! Nodes.

use super::config::key_complaints;
use super::field::{Errors, child, index, list, text};
use super::{internal, ip};
use crate::schema::quantity::Quantity;
use serde_json::Value;
use std::collections::BTreeSet;
use tinyplane_wire::meta::{dns_label, dns_subdomain, label_value, qualified_name};

/// Longest name of a feature that a node declares, in bytes.
const FEATURE_BYTES_MAX: usize = 253;

pub(super) fn check(node: &Value, errors: &mut Errors) {
    check_taints(&node["spec"]["taints"], errors);
    check_amounts(node, errors);
    let swap = &node["status"]["nodeInfo"]["swap"]["capacity"];
    if swap.as_i64().is_some_and(|bytes| bytes <= 0) {
        errors.invalid("metadata.nodeSwapStatus.capacity", swap, "must be greater than zero");
    }
    check_features(node, errors);
    check_ranges(&node["spec"]["podCIDRs"], errors);
}

/// Taints, of which upstream tells as if they were metadata.
fn check_taints(taints: &Value, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (at, taint) in list(taints).iter().enumerate() {
        let path = index("metadata.taints", at);
        let (name, value, effect) = (text(&taint["key"]), text(&taint["value"]), text(&taint["effect"]));
        errors.grammar(child(&path, "key"), name, qualified_name(name));
        let complaints = label_value(value);
        if !complaints.is_empty() {
            errors.invalid_text(child(&path, "value"), value, &complaints.join(";"));
        }
        errors.one_of(child(&path, "effect"), &taint["effect"], &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
        if !seen.insert((name, effect)) {
            errors.duplicate_as(
                &path,
                &internal::shown("Taint", taint),
                "taints must be unique by key and effect pair",
            );
        }
    }
}

/// What a node has and gives.
fn check_amounts(node: &Value, errors: &mut Errors) {
    for field in ["capacity", "allocatable"] {
        for (name, value) in node["status"][field].as_object().into_iter().flatten() {
            check_amount(name, value, &child(&child("status", field), name), errors);
        }
    }
}

/// An amount of something: not negative, and whole where it is counted.
pub(super) fn check_amount(name: &str, value: &Value, path: &str, errors: &mut Errors) {
    let amount = match value {
        Value::String(text) => Quantity::parse(text).ok(),
        Value::Number(number) => Quantity::parse(&number.to_string()).ok(),
        _ => None,
    };
    let Some(amount) = amount else { return };
    if amount.signum() < 0 {
        errors.invalid(path, value, "must be greater than or equal to 0");
    }
    if is_counted(name) && amount.milli() % 1_000 != 0 {
        errors.invalid(path, value, "must be an integer");
    }
}

/// Whether upstream counts it in whole numbers.
fn is_counted(name: &str) -> bool {
    const COUNTED: [&str; 9] = [
        "pods",
        "services",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    ];
    COUNTED.contains(&name) || is_extended(name)
}

/// Whether it is a resource of somebody else's, which a quota could limit by its name.
pub(super) fn is_extended(name: &str) -> bool {
    let is_native = !name.contains('/') || name.contains("kubernetes.io/");
    !is_native && !name.starts_with("requests.") && qualified_name(&format!("requests.{name}")).is_empty()
}

fn check_features(node: &Value, errors: &mut Errors) {
    let features = list(&node["status"]["declaredFeatures"]);
    for (at, feature) in features.iter().enumerate() {
        let path = |at| index("status.declaredFeatures", at);
        let name = text(feature);
        if name.len() > FEATURE_BYTES_MAX {
            let told = format!("invalid feature name {name:?}: must be no more than {FEATURE_BYTES_MAX} characters");
            errors.invalid_text(path(at), name, &told);
        } else if !is_feature(name) {
            let told = format!(
                "invalid feature name {name:?}: must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes"
            );
            errors.invalid_text(path(at), name, &told);
        }
        match features.get(at + 1) {
            Some(next) if next == feature => errors.duplicate(path(at + 1), next),
            Some(next) if text(next) < name => {
                errors.invalid(path(at + 1), next, "list must be sorted alphabetically");
            }
            _ => {}
        }
    }
}

fn is_feature(name: &str) -> bool {
    let spoken = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.split('/').all(spoken)
}

fn check_ranges(ranges: &Value, errors: &mut Errors) {
    let path = "spec.podCIDRs";
    let all = list(ranges);
    for (at, range) in all.iter().enumerate() {
        ip::check_range(&index(path, at), text(range), errors);
    }
    if all.len() > 1 {
        if let Some(at) = all.iter().position(|range| ip::read_range(text(range)).is_none()) {
            let why = format!("invalid CIDR[{at}]: <nil> (invalid CIDR address: {})", text(&all[at]));
            errors.internal(path, &format!("invalid PodCIDRs. failed to check with dual stack with error:{why}"));
        }
        let families: BTreeSet<bool> =
            all.iter().filter_map(|range| ip::read_range(text(range))).map(|range| range.addr().is_ipv4()).collect();
        if families.len() < 2 || all.len() > 2 {
            errors.invalid(path, ranges, "may specify no more than one CIDR for each IP family");
        }
    }
}

/// What may not change, and what of a status is looked at.
pub(super) fn check_update(new: &Value, old: &Value, errors: &mut Errors) {
    check_amounts(new, errors);
    check_features(new, errors);
    let mut addresses = BTreeSet::new();
    for (at, address) in list(&new["status"]["addresses"]).iter().enumerate() {
        let (kind, value) = (text(&address["type"]), text(&address["address"]));
        if !addresses.insert((kind, value)) {
            errors.duplicate_as(index("status.addresses", at), &internal::shown("NodeAddress", address), "");
        }
    }
    let (now, before) = (&new["spec"], &old["spec"]);
    let (ranges, had) = (list(&now["podCIDRs"]), list(&before["podCIDRs"]));
    let changed = match had.len() {
        0 => 0,
        count if count != ranges.len() => 1,
        _ => ranges.iter().zip(had).filter(|(now, before)| now != before).count(),
    };
    for _ in 0..changed {
        errors.forbidden("spec.podCIDRs", "node updates may not change podCIDR except from \"\" to valid");
    }
    if !text(&before["providerID"]).is_empty() && now["providerID"] != before["providerID"] {
        errors.forbidden("spec.providerID", "node updates may not change providerID except from \"\" to valid");
    }
    check_source(&now["configSource"], errors);
    check_taints(&now["taints"], errors);
    if text(&now["externalID"]) != text(&before["externalID"]) {
        errors.forbidden("spec.externalID", "may not be updated");
    }
}

/// Where a kubelet once took its configuration from.
fn check_source(source: &Value, errors: &mut Errors) {
    let (map, path) = (&source["configMap"], "spec.configSource.configMap");
    if !source.is_object() {
        return;
    }
    if !map.is_object() {
        let told = "exactly one reference subfield must be non-nil";
        return errors.invalid_as("spec.configSource", "{\"ConfigMap\":null}", told);
    }
    for field in ["uid", "resourceVersion"].into_iter().filter(|field| !text(&map[*field]).is_empty()) {
        errors.forbidden(child(path, field), &format!("{field} must not be set in spec"));
    }
    check_named(&map["namespace"], &child(path, "namespace"), dns_label, errors);
    check_named(&map["name"], &child(path, "name"), dns_subdomain, errors);
    check_named(&map["kubeletConfigKey"], &child(path, "kubeletConfigKey"), key_complaints, errors);
}

fn check_named(value: &Value, path: &str, grammar: fn(&str) -> Vec<String>, errors: &mut Errors) {
    match text(value) {
        "" => errors.required(path, ""),
        name => errors.grammar(path, name, grammar(name)),
    }
}
