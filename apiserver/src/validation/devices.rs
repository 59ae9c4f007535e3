//! What is asked of devices, and given: claims, templates of claims, and classes.

use super::field::{Errors, Path, child, index, list, text};
use super::node::is_extended;
use super::volume_sources::check_driver;
use super::{affinity, conditions, device_parts as parts, internal, ip, metadata};
use limits::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tinyplane_wire::meta::{Meta, dns_label, dns_subdomain};

/// The most that there may be of each, and the most bytes.
mod limits {
    pub(super) const REQUESTS_MAX: usize = 32;
    pub(super) const ALTERNATIVES_MAX: usize = 8;
    pub(super) const SELECTORS_MAX: usize = 32;
    pub(super) const CONSTRAINTS_MAX: usize = 32;
    pub(super) const SETTINGS_MAX: usize = 32;
    pub(super) const CONSUMERS_MAX: usize = 256;
    pub(super) const RESULTS_MAX: usize = 32;
    pub(super) const CONDITIONS_MAX: usize = 8;
    pub(super) const ADDRESSES_MAX: usize = 16;
    pub(super) const EXPRESSION_BYTES_MAX: usize = 10 << 10;
    pub(super) const DATA_BYTES_MAX: usize = 10 << 10;
    pub(super) const INTERFACE_BYTES_MAX: usize = 256;
    pub(super) const HARDWARE_BYTES_MAX: usize = 128;
}

/// Names of requests, each with the names of its alternatives.
type Requests<'v> = BTreeMap<&'v str, Option<BTreeSet<&'v str>>>;

pub(super) fn check_claim(claim: &Value, errors: &mut Errors) {
    check_spec(&claim["spec"], "spec", errors);
}

pub(super) fn check_template(template: &Value, errors: &mut Errors) {
    metadata::check_template(&template["spec"]["metadata"], &Path::root("spec.metadata"), errors);
    check_spec(&template["spec"]["spec"], "spec.spec", errors);
}

/// What was asked for stays.
pub(super) fn check_update(kind: &str, new: &Value, old: &Value, errors: &mut Errors) {
    errors.immutable_as("spec", &format!("{kind}Spec"), &new["spec"], &old["spec"]);
}

pub(super) fn check_class(class: &Value, errors: &mut Errors) {
    let spec = &class["spec"];
    check_selectors(&spec["selectors"], "spec.selectors", errors);
    parts::each(&spec["config"], SETTINGS_MAX, "spec.config", errors, check_setting);
    if let Some(name) = spec["extendedResourceName"].as_str().filter(|name| !is_extended(name)) {
        errors.invalid_text("spec.extendedResourceName", name, "must be a valid extended resource name");
    }
}

fn check_spec(spec: &Value, path: &str, errors: &mut Errors) {
    let (devices, path) = (&spec["devices"], child(path, "devices"));
    let names = names(devices);
    let requests = child(&path, "requests");
    if parts::each(&devices["requests"], REQUESTS_MAX, &requests, errors, check_request) {
        parts::unique(&devices["requests"], "name", &requests, errors);
    }
    parts::each(&devices["constraints"], CONSTRAINTS_MAX, &child(&path, "constraints"), errors, |one, path, errors| {
        check_references(&one["requests"], &names, &child(path, "requests"), errors);
        let attribute = ["matchAttribute", "distinctAttribute"].into_iter().find(|field| one[*field].is_string());
        match attribute {
            Some(field) => parts::check_attribute_name(text(&one[field]), &child(path, field), errors),
            None => errors.required(
                path,
                "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are set",
            ),
        }
    });
    parts::each(&devices["config"], SETTINGS_MAX, &child(&path, "config"), errors, |one, path, errors| {
        check_references(&one["requests"], &names, &child(path, "requests"), errors);
        check_setting(one, path, errors);
    });
}

fn names(devices: &Value) -> Requests<'_> {
    let mut names = Requests::new();
    for request in list(&devices["requests"]) {
        let alternatives = list(&request["firstAvailable"]);
        let of = || alternatives.iter().map(|one| text(&one["name"])).collect();
        names.insert(text(&request["name"]), (!alternatives.is_empty()).then(of));
    }
    names
}

fn check_request(request: &Value, path: &str, errors: &mut Errors) {
    const ONE: &str = "exactly one of `exactly` or `firstAvailable` is required";
    errors.grammar(child(path, "name"), text(&request["name"]), dns_label(text(&request["name"])));
    let (exactly, alternatives) = (&request["exactly"], &request["firstAvailable"]);
    match (exactly.is_object(), !list(alternatives).is_empty()) {
        (false, false) => errors.required(path, ONE),
        (true, true) => {
            errors.invalid(path, &Value::Null, &format!("{ONE}, but multiple fields are set"));
        }
        (true, false) => check_wish(exactly, &child(path, "exactly"), errors),
        (false, true) => {
            let path = child(path, "firstAvailable");
            let is_short = parts::each(alternatives, ALTERNATIVES_MAX, &path, errors, |one, path, errors| {
                errors.grammar(child(path, "name"), text(&one["name"]), dns_label(text(&one["name"])));
                check_wish(one, path, errors);
            });
            if is_short {
                parts::unique(alternatives, "name", &path, errors);
            }
        }
    }
}

/// Which devices are wished for, and how many.
fn check_wish(wish: &Value, path: &str, errors: &mut Errors) {
    match text(&wish["deviceClassName"]) {
        "" => errors.required(child(path, "deviceClassName"), ""),
        class => errors.grammar(child(path, "deviceClassName"), class, dns_subdomain(class)),
    }
    check_selectors(&wish["selectors"], &child(path, "selectors"), errors);
    let count = wish["count"].as_i64().unwrap_or_default();
    let wrong = match text(&wish["allocationMode"]) {
        "All" if count != 0 => Some("must not be specified when allocationMode is 'All'"),
        "ExactCount" if count <= 0 => Some("must be greater than zero"),
        "All" | "ExactCount" => None,
        mode => {
            errors.unsupported(child(path, "allocationMode"), mode, &["All", "ExactCount"]);
            None
        }
    };
    if let Some(told) = wrong {
        errors.invalid(child(path, "count"), &Value::from(count), told);
    }
    for (at, toleration) in list(&wish["tolerations"]).iter().enumerate() {
        parts::check_toleration(toleration, &index(&child(path, "tolerations"), at), errors);
    }
}

/// Selectors, whose expressions are not read.
fn check_selectors(selectors: &Value, path: &str, errors: &mut Errors) {
    parts::each(selectors, SELECTORS_MAX, path, errors, |selector, path, errors| {
        if !selector["cel"].is_object() {
            errors.required(child(path, "cel"), "");
        } else if text(&selector["cel"]["expression"]).len() > EXPRESSION_BYTES_MAX {
            errors.too_long(child(path, "cel.expression"), EXPRESSION_BYTES_MAX);
        }
    });
}

/// What is told a driver.
fn check_setting(setting: &Value, path: &str, errors: &mut Errors) {
    let (opaque, path) = (&setting["opaque"], child(path, "opaque"));
    if !opaque.is_object() {
        return errors.required(path, "");
    }
    check_driver(text(&opaque["driver"]), &child(&path, "driver"), errors);
    check_data(&opaque["parameters"], &child(&path, "parameters"), errors);
}

/// An object of any kind, which has to be there.
fn check_data(data: &Value, path: &str, errors: &mut Errors) {
    match data {
        Value::Null => errors.required(path, ""),
        Value::String(text) if text.len() > DATA_BYTES_MAX => errors.too_long(path, DATA_BYTES_MAX),
        Value::String(text) if text.trim_start().starts_with('{') => {}
        _ => errors.invalid_text(path, "<value omitted>", "must be a valid JSON object"),
    }
}

/// Names of requests of the same claim.
fn check_references(references: &Value, names: &Requests<'_>, path: &str, errors: &mut Errors) {
    let is_short = parts::each(references, REQUESTS_MAX, path, errors, |one, path, errors| {
        check_reference(text(one), names, path, errors);
    });
    if is_short {
        parts::unique(references, "", path, errors);
    }
}

fn check_reference(reference: &str, names: &Requests<'_>, path: &str, errors: &mut Errors) {
    const TOLD: &str =
        "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";
    let parts: Vec<&str> = reference.split('/').collect();
    let known = match parts.as_slice() {
        [request] => names.contains_key(request),
        [request, alternative] => {
            names.get(request).is_some_and(|of| of.as_ref().is_some_and(|of| of.contains(alternative)))
        }
        _ => return errors.invalid_text(path, reference, TOLD),
    };
    for part in parts {
        errors.grammar(path, part, dns_label(part));
    }
    if !known {
        errors.invalid_text(path, reference, TOLD);
    }
}

/// What a claim was given, by whom it is used, and what became of the devices.
pub(super) fn check_status(new: &Value, old: &Value, errors: &mut Errors) {
    let (status, before) = (&new["status"], &old["status"]);
    let consumers = &status["reservedFor"];
    let is_short = parts::each(consumers, CONSUMERS_MAX, "status.reservedFor", errors, |one, path, errors| {
        for field in ["resource", "name", "uid"] {
            errors.needed(child(path, field), &one[field], "");
        }
    });
    if is_short {
        parts::unique(consumers, "uid", "status.reservedFor", errors);
    }
    let given = list(&status["allocation"]["devices"]["results"]).iter().map(device_id).collect::<BTreeSet<_>>();
    let mut seen = BTreeSet::new();
    for (at, device) in list(&status["devices"]).iter().enumerate() {
        check_device(device, &given, &index("status.devices", at), errors);
    }
    for (at, device) in list(&status["devices"]).iter().enumerate() {
        if !seen.insert(device_id(device)) {
            errors.duplicate_as(index("status.devices", at), &shown_id(device), "");
        }
    }
    if !list(consumers).is_empty() {
        if status["allocation"].is_null() {
            errors.forbidden("status.reservedFor", "may not be specified when `allocated` is not set");
        } else if Meta::of(new).is_deleting()
            && list(consumers).iter().any(|one| !list(&before["reservedFor"]).contains(one))
        {
            let told = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set";
            errors.forbidden("status.reservedFor", told);
        }
    }
    let (now, then) = (&status["allocation"], &before["allocation"]);
    if now.is_object() && then.is_object() {
        errors.immutable_as("status.allocation", "AllocationResult", now, then);
    } else if now.is_object() {
        check_allocation(now, &names(&new["spec"]["devices"]), errors);
    }
}

fn check_allocation(allocation: &Value, names: &Requests<'_>, errors: &mut Errors) {
    let (devices, path) = (&allocation["devices"], "status.allocation.devices");
    parts::each(&devices["results"], RESULTS_MAX, &child(path, "results"), errors, |result, path, errors| {
        check_reference(text(&result["request"]), names, &child(path, "request"), errors);
        parts::check_device_id(result, path, errors);
        parts::check_binding(result, path, errors);
        check_share(result, path, errors);
    });
    parts::each(&devices["config"], 2 * SETTINGS_MAX, &child(path, "config"), errors, |one, path, errors| {
        errors.one_of(child(path, "source"), &one["source"], &["FromClaim", "FromClass"]);
        check_references(&one["requests"], names, &child(path, "requests"), errors);
        check_setting(one, path, errors);
    });
    if allocation["nodeSelector"].is_object() {
        affinity::check_node_selector(
            &allocation["nodeSelector"],
            &Path::root("status.allocation.nodeSelector"),
            errors,
        );
    }
}

fn device_id(device: &Value) -> [&str; 4] {
    ["driver", "pool", "device", "shareID"].map(|field| text(&device[field]))
}

/// A device as Go shows it.
fn shown_id(device: &Value) -> String {
    internal::shown("SharedDeviceID", device)
}

/// What became of a device that was given.
fn check_device(device: &Value, given: &BTreeSet<[&str; 4]>, path: &str, errors: &mut Errors) {
    parts::check_device_id(device, path, errors);
    check_share(device, path, errors);
    if !given.contains(&device_id(device)) {
        errors.invalid_as(path, &shown_id(device), "must be an allocated device in the claim");
    }
    let of = list(&device["conditions"]).len();
    if of > CONDITIONS_MAX {
        errors.too_many(child(path, "conditions"), of, CONDITIONS_MAX);
    }
    conditions::check(&device["conditions"], &child(path, "conditions"), errors);
    if !device["data"].is_null() {
        check_data(&device["data"], &child(path, "data"), errors);
    }
    let (network, path) = (&device["networkData"], child(path, "networkData"));
    for (field, most) in [("interfaceName", INTERFACE_BYTES_MAX), ("hardwareAddress", HARDWARE_BYTES_MAX)] {
        if text(&network[field]).len() > most {
            errors.too_long(child(&path, field), most);
        }
    }
    let ips = child(&path, "ips");
    let is_short = parts::each(&network["ips"], ADDRESSES_MAX, &ips, errors, |one, path, errors| {
        ip::check_interface(text(one), path, errors);
    });
    if is_short {
        parts::unique(&network["ips"], "", &ips, errors);
    }
}

fn check_share(device: &Value, path: &str, errors: &mut Errors) {
    if let Some(id) = device["shareID"].as_str() {
        parts::check_uuid(id, &child(path, "shareID"), errors);
    }
}
