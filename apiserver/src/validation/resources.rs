//! What a container asks for and may use: names of resources, amounts, requests against limits.

use super::field::{Errors, Path, list, text};
use crate::schema::default::special::together;
use crate::schema::quantity::Quantity;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tinyplane_wire::meta::{dns_label, qualified_name};

const OF_CONTAINERS: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
const OF_QUOTAS: [&str; 10] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "storage",
    "services.nodeports",
    "services.loadbalancers",
];

/// What is before a resource's name in a quota of requests.
const OF_REQUESTS: &str = "requests.";
/// What is before the size in the names of huge pages.
const HUGE: &str = "hugepages-";
/// Longest domain of a resource.
const DOMAIN_BYTES_MAX: usize = 253;

const NOT_STANDARD: &str = "must be a standard resource type or fully qualified";

pub(super) fn check(resources: &Value, path: &Path<'_>, errors: &mut Errors) {
    check_with(resources, path, check_name, errors);
}

/// What a pod asks for as a whole.
pub(super) fn check_of_pod(spec: &Value, claims: &BTreeSet<&str>, path: &Path<'_>, errors: &mut Errors) {
    let resources = &spec["resources"];
    if spec["os"]["name"] == "windows" {
        return errors.forbidden(path, "may not be set for a windows pod");
    }
    if resources["claims"].is_array() {
        errors.forbidden(path.child("claims"), "claims may not be set for Resources at pod-level");
    }
    check_with(resources, path, check_name_of_pod, errors);
    check_claims(&resources["claims"], claims, &path.child("claims"), errors);
    check_together(spec, path, errors);
}

/// A pod has what its containers need together, and none of them more than the pod.
fn check_together(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let Some(fields) = spec.as_object() else { return };
    let resources = &spec["resources"];
    let (limits, requests) = (amounts(&resources["limits"]), amounts(&resources["requests"]));
    for (which, of_pod) in [("requests", &requests), ("limits", &limits)] {
        // Of limits only what can't be had twice is held against their sum.
        let counted = of_pod.iter().filter(|(name, _)| which == "requests" || name.starts_with(HUGE));
        let sums = if of_pod.is_empty() { BTreeMap::new() } else { together(fields, which) };
        for (name, (amount, shown)) in counted {
            if let Some(sum) = sums.get(name).filter(|sum| *sum > amount) {
                let told = format!("must be greater than or equal to aggregate container {which} of {sum}");
                errors.invalid_text(path.child(which).key(name), shown, &told);
            }
        }
    }
    for (at, container) in list(&spec["containers"]).iter().enumerate() {
        for (name, (amount, shown)) in amounts(&container["resources"]["limits"]) {
            if let Some((_, told)) = limits.get(name).filter(|(limit, _)| amount > *limit) {
                let path = path.item("containers", at);
                let told = format!("must be less than or equal to pod limits of {told}");
                errors.invalid_text(path.key(name).child("limits"), &shown, &told);
            }
        }
    }
}

/// Devices, out of the pod's claims, of which `known` are the names.
pub(super) fn check_claims(claims: &Value, known: &BTreeSet<&str>, path: &Path<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (at, claim) in list(claims).iter().enumerate() {
        let (path, name, request) = (path.index(at), text(&claim["name"]), text(&claim["request"]));
        if name.is_empty() {
            errors.required(path, "");
            continue;
        }
        if seen.contains(&(name, "")) {
            errors.duplicate(path, &claim["name"]);
        } else {
            if !request.is_empty() {
                errors.grammar(path.child("request"), request, dns_label(request));
            }
            if seen.contains(&(name, request)) {
                errors.duplicate(path, &Value::from(format!("{name}/{request}")));
            } else if request.is_empty() {
                for _ in seen.range((name, "")..).take_while(|(one, _)| *one == name) {
                    errors.duplicate(path, &claim["name"]);
                }
            }
            seen.insert((name, request));
        }
        if !known.contains(name) && !errors.is_full() {
            let told = "must be one of the names in pod.spec.resourceClaims";
            let told = if known.is_empty() {
                format!("{told} which is empty")
            } else {
                format!("{told}: {}", known.iter().copied().collect::<Vec<_>>().join(", "))
            };
            errors.not_found_as(path, name, &told);
        }
    }
}

type CheckName = fn(name: &str, path: &Path<'_>, errors: &mut Errors);

fn check_with(resources: &Value, path: &Path<'_>, names: CheckName, errors: &mut Errors) {
    let (limits_path, requests_path) = (path.child("limits"), path.child("requests"));
    let (limits, requests) = (amounts(&resources["limits"]), amounts(&resources["requests"]));
    for (name, (amount, shown)) in &limits {
        check_amount((name, names), *amount, shown, &limits_path.key(name), errors);
    }
    for (name, (amount, shown)) in &requests {
        check_amount((name, names), *amount, shown, &requests_path.key(name), errors);
        let shared = is_native(name) && !name.starts_with(HUGE);
        match limits.get(name) {
            Some((limit, told)) if amount != limit && !shared => {
                errors.invalid_text(requests_path, shown, &format!("must be equal to {name} limit of {told}"));
            }
            Some((limit, told)) if amount > limit => {
                let told = format!("must be less than or equal to {name} limit of {told}");
                errors.invalid_text(requests_path, shown, &told);
            }
            None if !shared => {
                errors.required(limits_path, "Limit must be set for non overcommitable resources");
            }
            _ => {}
        }
    }
    let mut all = limits.keys().chain(requests.keys());
    let is_huge = all.clone().any(|name| name.starts_with(HUGE));
    if is_huge && !all.any(|name| ["cpu", "memory"].contains(name)) {
        errors.forbidden(path, "HugePages require cpu or memory");
    }
}

/// The readable amounts of a map, and how they are written.
fn amounts(map: &Value) -> BTreeMap<&str, (Quantity, String)> {
    let one = |(name, value): (&'_ String, &Value)| {
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Quantity::parse(&shown).ok().map(|amount| (name.len(), amount, shown))
    };
    let fields = map.as_object().into_iter().flatten();
    fields
        .filter_map(|(name, value)| one((name, value)).map(|(_, amount, shown)| (name.as_str(), (amount, shown))))
        .collect()
}

fn check_amount((name, names): (&str, CheckName), amount: Quantity, shown: &str, path: &Path<'_>, errors: &mut Errors) {
    names(name, path, errors);
    if amount.signum() < 0 {
        errors.invalid_text(path, shown, "must be greater than or equal to 0");
    }
    if !is_native(name) && amount.milli() % 1_000 != 0 {
        errors.invalid_text(path, shown, "must be an integer");
    }
}

/// What is wrong with the name of something that containers use.
pub(super) fn check_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    let complaints = qualified_name(name);
    let fits = complaints.is_empty();
    errors.grammar(path, name, complaints);
    if name.contains('/') {
        if !(is_native(name) || fits && may_be_in_a_quota(name)) {
            errors.invalid_text(path, name, "doesn't follow extended resource name standard");
        }
        return;
    }
    if !is_of_containers(name) {
        if fits && !is_standard(name) {
            errors.invalid_text(path, name, NOT_STANDARD);
        }
        errors.invalid_text(path, name, "must be a standard resource for containers");
    }
}

/// Whether a name with a domain is one still, and of another resource, with the prefix of quotas before it.
fn may_be_in_a_quota(name: &str) -> bool {
    let domain = name.split('/').next().unwrap_or_default();
    !name.starts_with(OF_REQUESTS) && domain.len() + OF_REQUESTS.len() <= DOMAIN_BYTES_MAX
}

fn is_of_containers(name: &str) -> bool {
    OF_CONTAINERS.contains(&name) || name.starts_with(HUGE)
}

fn is_standard(name: &str) -> bool {
    let of_quotas = OF_QUOTAS.contains(&name) || name.starts_with("requests.") || name.starts_with("limits.");
    of_quotas || is_of_containers(name)
}

/// What is wrong with the name of something that pods use as wholes.
fn check_name_of_pod(name: &str, path: &Path<'_>, errors: &mut Errors) {
    let complaints = qualified_name(name);
    if !complaints.is_empty() {
        errors.grammar(path, name, complaints);
    } else if !name.contains('/') && !is_standard(name) {
        errors.invalid_text(path, name, NOT_STANDARD);
    } else if !["cpu", "memory"].contains(&name) && !name.starts_with(HUGE) {
        errors.unsupported(path, name, &["cpu", "hugepages-", "memory"]);
    }
}

/// Kubernetes' own resources have no domain, or its domain.
fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}
