//! `ResourceSlice`s: the devices that a driver offers.

use super::device_parts as parts;
use super::field::{Errors, Path, child, index, key, list, same, text};
use super::volume_sources::check_driver;
use super::{affinity, internal};
use crate::schema::quantity::Quantity;
use limits::*;
use serde_json::Value;
use tinyplane_wire::meta::{dns_label, dns_subdomain};

/// The most that there may be of each, and the most bytes.
mod limits {
    pub(super) const DEVICES_MAX: usize = 128;
    /// Devices of a slice in which any has taints, counters or lists.
    pub(super) const RICH_DEVICES_MAX: usize = 64;
    pub(super) const COUNTER_SETS_MAX: usize = 8;
    pub(super) const COUNTERS_MAX: usize = 32;
    pub(super) const CONSUMED_SETS_MAX: usize = 2;
    pub(super) const PROPERTIES_MAX: usize = 32;
    pub(super) const VALUES_MAX: usize = 48;
    pub(super) const VALUE_BYTES_MAX: usize = 64;
    pub(super) const TAINTS_MAX: usize = 16;
    pub(super) const OPTIONS_MAX: usize = 10;
    /// A longer key of a map is told without its middle.
    pub(super) const KEY_BYTES_MAX: usize = 96;
}

const LISTS: [&str; 4] = ["bools", "ints", "strings", "versions"];

pub(super) fn check(slice: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = &slice["spec"];
    check_driver(text(&spec["driver"]), "spec.driver", errors);
    check_resource_pool(&spec["pool"], errors);
    if let Some(old) = old {
        let before = &old["spec"];
        errors.immutable_as("spec.pool.name", "", &spec["pool"]["name"], &before["pool"]["name"]);
        errors.immutable_as("spec.driver", "", &spec["driver"], &before["driver"]);
        errors.immutable("spec.nodeName", &spec["nodeName"], &before["nodeName"]);
    }
    check_nodes(spec, errors);
    if !spec["sharedCounters"].is_null() && !spec["devices"].is_null() {
        errors.invalid_text("spec", "", "only one of `sharedCounters` or `devices` is allowed");
    }
    let devices = &spec["devices"];
    let most = if list(devices).iter().any(is_rich) { RICH_DEVICES_MAX } else { DEVICES_MAX };
    let before = |name: &Value| {
        let devices = old.map(|old| list(&old["spec"]["devices"])).unwrap_or_default();
        devices.iter().find(|device| device["name"] == *name)
    };
    let each_has_nodes = spec["perDeviceNodeSelection"] == true;
    let is_short = parts::each(devices, most, "spec.devices", errors, |device, path, errors| {
        check_device(device, before(&device["name"]), each_has_nodes, path, errors);
    });
    if is_short {
        parts::unique(devices, "name", "spec.devices", errors);
    }
    let sets = &spec["sharedCounters"];
    let is_short = parts::each(sets, COUNTER_SETS_MAX, "spec.sharedCounters", errors, |set, path, errors| {
        check_counters(set, "name", path, errors);
    });
    if is_short {
        parts::unique(sets, "name", "spec.sharedCounters", errors);
    }
}

fn check_resource_pool(pool: &Value, errors: &mut Errors) {
    let number = |field: &str| pool[field].as_i64().unwrap_or_default();
    parts::check_pool(text(&pool["name"]), "spec.pool.name", errors);
    if number("resourceSliceCount") <= 0 {
        let count = Value::from(number("resourceSliceCount"));
        errors.invalid("spec.pool.resourceSliceCount", &count, "must be greater than zero");
    }
    if number("generation") < 0 {
        errors.invalid("spec.pool.generation", &pool["generation"], "must be greater than or equal to zero");
    }
}

/// Exactly one way to say which nodes have the devices.
fn check_nodes(spec: &Value, errors: &mut Errors) {
    const ONE: &str = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    let mut said = Vec::new();
    match spec["nodeName"].as_str() {
        None => {}
        Some("") => errors.invalid_text("spec.nodeName", "", "must be either unset or set to a non-empty string"),
        Some(name) => {
            said.push("`nodeName`");
            errors.grammar("spec.nodeName", name, dns_subdomain(name));
        }
    }
    let selector = &spec["nodeSelector"];
    if selector.is_object() {
        said.push("`nodeSelector`");
        affinity::check_node_selector(selector, &Path::root("spec.nodeSelector"), errors);
        let terms = &selector["nodeSelectorTerms"];
        if list(terms).len() != 1 {
            let shown = internal::shown("[]NodeSelectorTerm", terms);
            errors.invalid_as(
                "spec.nodeSelector.nodeSelectorTerms",
                &shown,
                "must have exactly one node selector term",
            );
        }
    }
    for (field, told) in [("allNodes", "`allNodes`"), ("perDeviceNodeSelection", "`perDeviceNodeSelection`")] {
        check_true(&spec[field], told, &child("spec", field), &mut said, errors);
    }
    match said.as_slice() {
        [] => errors.required("spec", ONE),
        [_] => {}
        several => {
            let shown = format!("{{{}}}", several.join(", "));
            errors.invalid_text("spec", &shown, &format!("{ONE}, but multiple fields are set"));
        }
    }
}

/// A truth that is said or left out.
fn check_true<'w>(value: &Value, told: &'w str, path: &str, said: &mut Vec<&'w str>, errors: &mut Errors) {
    match value.as_bool() {
        None => {}
        Some(true) => said.push(told),
        Some(false) => errors.invalid(path, value, "must be either unset or set to true"),
    }
}

fn is_rich(device: &Value) -> bool {
    let mut attributes = device["attributes"].as_object().into_iter().flat_map(|all| all.values());
    !list(&device["taints"]).is_empty()
        || !list(&device["consumesCounters"]).is_empty()
        || attributes.any(|attribute| LISTS.iter().any(|field| !attribute[*field].is_null()))
}

fn check_device(device: &Value, old: Option<&Value>, has_nodes: bool, path: &str, errors: &mut Errors) {
    errors.grammar(child(path, "name"), text(&device["name"]), dns_label(text(&device["name"])));
    let size = |field: &str| device[field].as_object().map_or(0, serde_json::Map::len);
    let properties = size("attributes") + size("capacity");
    if properties > PROPERTIES_MAX {
        let told = format!("the total number of attributes and capacities must not exceed {PROPERTIES_MAX}");
        errors.invalid(path, &Value::from(properties), &told);
    }
    let values = |attribute: &Value| LISTS.iter().map(|field| list(&attribute[*field]).len()).sum::<usize>().max(1);
    let values: usize = device["attributes"].as_object().into_iter().flatten().map(|(_, one)| values(one)).sum();
    if values > VALUES_MAX {
        let told = format!("the total number of attribute values must not exceed {VALUES_MAX}");
        errors.invalid(path, &Value::from(values), &told);
    }
    let at = child(path, "attributes");
    for (name, attribute) in device["attributes"].as_object().into_iter().flatten() {
        parts::check_name(name, &at, errors);
        check_attribute(attribute, &key(&at, &shortened(name, KEY_BYTES_MAX)), errors);
    }
    let at = child(path, "capacity");
    for (name, capacity) in device["capacity"].as_object().into_iter().flatten() {
        parts::check_name(name, &at, errors);
        let (policy, at) = (&capacity["requestPolicy"], key(&at, &shortened(name, KEY_BYTES_MAX)));
        if policy.is_object() && device["allowMultipleAllocations"] != true {
            errors.forbidden(child(&at, "requestPolicy"), "allowMultipleAllocations must be true");
        } else if policy.is_object() {
            check_policy(&capacity["value"], policy, &child(&at, "requestPolicy"), errors);
        }
    }
    if old.is_none_or(|old| !same(&old["taints"], &device["taints"])) {
        parts::each(&device["taints"], TAINTS_MAX, &child(path, "taints"), errors, parts::check_taint);
    }
    let (consumed, at) = (&device["consumesCounters"], child(path, "consumesCounters"));
    let is_short = parts::each(consumed, CONSUMED_SETS_MAX, &at, errors, |set, path, errors| {
        check_counters(set, "counterSet", path, errors);
    });
    if is_short {
        parts::unique(consumed, "counterSet", &at, errors);
    }
    check_own_nodes(device, has_nodes, path, errors);
    parts::check_binding(device, path, errors);
    check_mappings(device, &child(path, "nodeAllocatableResourceMappings"), errors);
}

/// Which nodes have this device, if each of a slice says so.
fn check_own_nodes(device: &Value, has_nodes: bool, path: &str, errors: &mut Errors) {
    const FIELDS: [&str; 3] = ["nodeName", "nodeSelector", "allNodes"];
    const ONE: &str = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
    if !has_nodes {
        if FIELDS.iter().any(|field| !device[*field].is_null()) {
            errors.invalid(path, &Value::Null, "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec");
        }
        return;
    }
    let mut said = Vec::new();
    match device["nodeName"].as_str() {
        None => {}
        Some("") => errors.invalid_text(child(path, "nodeName"), "", "must not be empty"),
        Some(name) => {
            said.push("`nodeName`");
            errors.grammar(child(path, "nodeName"), name, dns_subdomain(name));
        }
    }
    if device["nodeSelector"].is_object() {
        said.push("`nodeSelector`");
        affinity::check_node_selector(&device["nodeSelector"], &Path::root(path).child("nodeSelector"), errors);
    }
    check_true(&device["allNodes"], "`allNodes`", &child(path, "allNodes"), &mut said, errors);
    match said.as_slice() {
        [] => errors.required(path, ONE),
        [_] => {}
        several => errors.invalid_text(path, &format!("{{{}}}", several.join(", ")), ONE),
    }
}

/// A set of counters, under the field that names it.
fn check_counters(set: &Value, field: &str, path: &str, errors: &mut Errors) {
    match text(&set[field]) {
        "" => errors.required(child(path, field), ""),
        name => errors.grammar(child(path, field), name, dns_label(name)),
    }
    let (path, counters) = (child(path, "counters"), set["counters"].as_object());
    match counters.filter(|counters| !counters.is_empty()) {
        None => errors.required(path, ""),
        Some(counters) if counters.len() > COUNTERS_MAX => errors.too_many(path, counters.len(), COUNTERS_MAX),
        Some(counters) => counters.keys().for_each(|name| errors.grammar(&path, name, dns_label(name))),
    }
}

fn check_attribute(attribute: &Value, path: &str, errors: &mut Errors) {
    const ONE: &str = "exactly one value must be specified";
    if let Some(value) = attribute["string"].as_str() {
        check_value(value, false, &child(path, "string"), errors);
    }
    if let Some(value) = attribute["version"].as_str() {
        check_value(value, true, &child(path, "version"), errors);
    }
    for field in LISTS.into_iter().filter(|field| !attribute[*field].is_null()) {
        let (values, path) = (list(&attribute[field]), child(path, field));
        if values.is_empty() {
            errors.invalid(&path, &attribute[field], "must not be empty if specified");
        }
        for (at, value) in values.iter().enumerate().filter(|_| ["strings", "versions"].contains(&field)) {
            check_value(text(value), field == "versions", &index(&path, at), errors);
        }
    }
    let given = ["bool", "int", "string", "version"].iter().chain(&LISTS).filter(|field| !attribute[**field].is_null());
    match given.count() {
        0 => errors.invalid_text(path, "", ONE),
        1 => {}
        _ => errors.invalid_as(path, &internal::shown("DeviceAttribute", attribute), ONE),
    }
}

/// A text, or one that has to be a version.
fn check_value(value: &str, is_version: bool, path: &str, errors: &mut Errors) {
    if is_version && !is_version_text(value) {
        errors.invalid_text(path, value, "must be a string compatible with semver.org spec 2.0.0");
    }
    if value.len() > VALUE_BYTES_MAX {
        errors.too_long(path, VALUE_BYTES_MAX);
    }
}

/// A version as semver.org has it.
fn is_version_text(text: &str) -> bool {
    let is_number = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        digits && (part == "0" || !part.starts_with('0'))
    };
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_mark = |part: &str| is_number(part) || (is_word(part) && !part.bytes().all(|b| b.is_ascii_digit()));
    let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
    let (text, marks) = text.split_once('-').map_or((text, None), |(text, marks)| (text, Some(marks)));
    text.split('.').count() == 3
        && text.split('.').all(is_number)
        && marks.is_none_or(|marks| marks.split('.').all(is_mark))
        && build.is_none_or(|build| build.split('.').all(is_word))
}

/// How much of a capacity may be asked for.
fn check_policy(capacity: &Value, policy: &Value, path: &str, errors: &mut Errors) {
    let (values, range) = (list(&policy["validValues"]), &policy["validRange"]);
    if !values.is_empty() && range.is_object() {
        let told =
            "exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the same time";
        return errors.forbidden(path, told);
    }
    let field = match () {
        () if !values.is_empty() => "validValues",
        () if range.is_object() => "validRange",
        () => return,
    };
    if policy["default"].is_null() {
        return errors.required(child(path, "default"), &format!("required when {field} is defined"));
    }
    let path = child(path, field);
    match field {
        "validValues" => check_options(&policy["default"], capacity, values, &path, errors),
        _ => check_bounds(&policy["default"], capacity, range, &path, errors),
    }
}

fn amount(value: &Value) -> i128 {
    value.as_str().and_then(|text| Quantity::parse(text).ok()).map_or(0, Quantity::nanos)
}

/// Whole units of an amount, rounded up, as upstream counts them.
fn units(value: &Value) -> i128 {
    amount(value).div_euclid(1_000_000_000) + i128::from(amount(value).rem_euclid(1_000_000_000) > 0)
}

fn check_options(default: &Value, capacity: &Value, values: &[Value], path: &str, errors: &mut Errors) {
    for (at, pair) in values.windows(2).enumerate().filter(|(_, pair)| amount(&pair[0]) > amount(&pair[1])) {
        errors.invalid(index(path, at + 1), &pair[1], "values must be sorted in ascending order");
    }
    if values.len() > OPTIONS_MAX {
        errors.too_many(path, values.len(), OPTIONS_MAX);
    } else {
        for (at, value) in values.iter().enumerate().filter(|(_, value)| amount(value) > amount(capacity)) {
            let told = format!("option is larger than capacity value: {}", text(capacity));
            errors.invalid(index(path, at), value, &told);
        }
        for (at, value) in values.iter().enumerate() {
            if values[..at].iter().any(|one| units(one) == units(value)) {
                errors.duplicate(index(path, at), &Value::from(units(value).to_string()));
            }
        }
    }
    if values.len() > OPTIONS_MAX || !values.iter().any(|value| amount(value) == amount(default)) {
        errors.invalid(path, default, "default value is not valid according to the requestPolicy");
    }
}

fn check_bounds(default: &Value, capacity: &Value, range: &Value, path: &str, errors: &mut Errors) {
    let (least, most, step) = (&range["min"], &range["max"], &range["step"]);
    let mut complain = |field: &str, value: &Value, is_wrong: bool, told: &str, other: &Value| {
        if is_wrong {
            errors.invalid(child(path, field), value, &format!("{told}: {}", text(other)));
        }
    };
    if least.is_null() {
        return errors.required(child(path, "min"), "required when validRange is defined");
    }
    complain("min", least, amount(least) > amount(capacity), "min is larger than capacity value", capacity);
    complain("min", default, amount(default) < amount(least), "default is less than min", least);
    if !most.is_null() {
        complain("max", least, amount(least) > amount(most), "min is larger than max", most);
        complain("max", most, amount(most) > amount(capacity), "max is larger than capacity value", capacity);
        complain("max", default, amount(default) > amount(most), "default is more than max", most);
    }
    if step.is_null() {
        return;
    }
    if amount(least) + amount(step) > amount(capacity) {
        let sum = text(least).parse::<i128>().ok().zip(text(step).parse::<i128>().ok());
        let sum = sum.map_or_else(|| units(least) + units(step), |(least, step)| least + step);
        let told = format!("one step {sum} is larger than capacity value: {}", text(capacity));
        errors.invalid(child(path, "step"), step, &told);
    }
    for value in [Some(default), Some(most).filter(|most| !most.is_null())].into_iter().flatten() {
        if units(step) != 0 && (units(value) - units(least)) % units(step) != 0 {
            let told = format!("value is not a multiple of a given step ({}) from ({})", text(step), text(least));
            errors.invalid(child(path, "step"), value, &told);
        }
    }
}

/// What of a node a device takes.
fn check_mappings(device: &Value, path: &str, errors: &mut Errors) {
    for (name, mapping) in device["nodeAllocatableResourceMappings"].as_object().into_iter().flatten() {
        let path = key(path, name);
        if name.contains('/') && !name.contains("kubernetes.io/") {
            errors.invalid_text(&path, name, "must be a node allocatable resource name");
        }
        let (multiplier, capacity) = (&mapping["allocationMultiplier"], &mapping["capacityKey"]);
        if multiplier.is_null() && capacity.is_null() {
            errors.invalid_text(&path, "", "at least one of allocationMultiplier or capacityKey must be set");
        }
        if !multiplier.is_null() && amount(multiplier) <= 0 {
            errors.invalid(child(&path, "allocationMultiplier"), multiplier, "must be positive");
        }
        match capacity.as_str() {
            None => {}
            Some("") => {
                errors.invalid_text(child(&path, "capacityKey"), "", "capacityKey must not be an empty string");
            }
            Some(name) if device["capacity"][name].is_null() => errors.not_found(child(&path, "capacityKey"), name),
            Some(_) => {}
        }
    }
}

/// A key that is not too long for a path, or its ends.
fn shortened(name: &str, most: usize) -> String {
    if name.len() <= most {
        return name.to_owned();
    }
    let kept = most - 3;
    let (begin, end) = (kept.div_ceil(2), name.len() - kept / 2);
    let ends = name.get(..begin).zip(name.get(end..));
    ends.map_or_else(|| name.to_owned(), |(begin, end)| format!("{begin}...{end}"))
}
