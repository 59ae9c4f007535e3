//! The group `storage.k8s.io`: classes, drivers, attachments, what nodes have and what there is to have.

use super::field::{Errors, Path, child, index, list, same, text};
use super::volume_sources::check_driver;
use super::{claim, internal, persistent_volume, selector};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tinyplane_wire::meta::{dns_subdomain, qualified_name};

/// Most parameters of a class.
const PARAMETERS_MAX: usize = 512;
/// Most bytes of all its parameters.
const PARAMETERS_BYTES_MAX: usize = 256 << 10;
/// Most bytes of what is told about an attached volume.
const ATTACHED_BYTES_MAX: usize = 256 << 10;
/// Longest message of a volume's failure.
const ERROR_BYTES_MAX: usize = 1_024;
/// Longest name that a driver has for a node.
const NODE_ID_BYTES_MAX: usize = 256;

pub(super) fn check_class(class: &Value, errors: &mut Errors) {
    check_provisioner(text(&class["provisioner"]), "provisioner", errors);
    check_parameters(&class["parameters"], errors);
    if !text(&class["reclaimPolicy"]).is_empty() {
        errors.known("reclaimPolicy", &class["reclaimPolicy"], &["Delete", "Retain"]);
    }
    match &class["volumeBindingMode"] {
        Value::Null => errors.required("volumeBindingMode", ""),
        mode => errors.known("volumeBindingMode", mode, &["Immediate", "WaitForFirstConsumer"]),
    }
    check_topologies(&class["allowedTopologies"], errors);
}

fn check_provisioner(name: &str, path: &str, errors: &mut Errors) {
    if name.is_empty() {
        return errors.required(path, "");
    }
    let lower = name.to_lowercase();
    errors.grammar(path, &lower, qualified_name(&lower));
}

fn check_parameters(parameters: &Value, errors: &mut Errors) {
    let Some(parameters) = parameters.as_object() else { return };
    if parameters.len() > PARAMETERS_MAX {
        return errors.too_long("parameters", PARAMETERS_MAX);
    }
    if parameters.contains_key("") {
        errors.invalid_text("parameters", "", "field can not be empty.");
    }
    let bytes: usize = parameters.iter().map(|(name, value)| name.len() + text(value).len()).sum();
    if bytes > PARAMETERS_BYTES_MAX {
        errors.too_long("parameters", PARAMETERS_BYTES_MAX);
    }
}

fn check_topologies(terms: &Value, errors: &mut Errors) {
    let mut seen: Vec<BTreeMap<&str, BTreeSet<&str>>> = Vec::new();
    for (at, term) in list(terms).iter().enumerate() {
        let path = child(&index("allowedTopologies", at), "matchLabelExpressions");
        let mut wished = BTreeMap::new();
        for (nth, expression) in list(&term["matchLabelExpressions"]).iter().enumerate() {
            let (path, name) = (index(&path, nth), text(&expression["key"]));
            let values = check_topology_values(&expression["values"], &child(&path, "values"), errors);
            errors.grammar(child(&path, "key"), name, qualified_name(name));
            if wished.insert(name, values).is_some() {
                errors.duplicate(child(&path, "key"), &expression["key"]);
            }
        }
        // Upstream compares with as many empty terms as there are terms, too.
        let empty = if wished.is_empty() { list(terms).len() } else { 0 };
        for _ in 0..empty + seen.iter().filter(|other| **other == wished).count() {
            errors.duplicate(&path, &Value::from(""));
        }
        seen.push(wished);
    }
}

fn check_topology_values<'a>(values: &'a Value, path: &str, errors: &mut Errors) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    if list(values).is_empty() {
        errors.required(path, "");
    }
    for (at, value) in list(values).iter().enumerate() {
        if !seen.insert(text(value)) {
            errors.duplicate(index(path, at), value);
        }
    }
    seen
}

pub(super) fn check_class_update(new: &Value, old: &Value, errors: &mut Errors) {
    for field in ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] {
        errors.immutable(field, &new[field], &old[field]);
    }
}

/// A class of attributes that a volume may be changed to.
pub(super) fn check_attributes_class(class: &Value, errors: &mut Errors) {
    check_provisioner(text(&class["driverName"]), "driverName", errors);
    check_parameters(&class["parameters"], errors);
    if class["parameters"].as_object().is_none_or(serde_json::Map::is_empty) {
        errors.required("parameters", "must contain at least one key/value pair");
    }
}

pub(super) fn check_attributes_class_update(new: &Value, old: &Value, errors: &mut Errors) {
    for field in ["driverName", "parameters"].into_iter().filter(|field| !same(&new[*field], &old[*field])) {
        errors.forbidden(field, &format!("updates to {field} are forbidden."));
    }
}

pub(super) fn check_attachment(attachment: &Value, errors: &mut Errors) {
    const ONE: &str = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    let (spec, path) = (&attachment["spec"], "spec.source");
    let (inline, named) = (&spec["source"]["inlineVolumeSpec"], spec["source"]["persistentVolumeName"].as_str());
    check_driver(text(&spec["attacher"]), "spec.attacher", errors);
    match (inline.is_object(), named) {
        (false, None) => errors.required(path, ONE),
        (true, Some(_)) => errors.forbidden(path, ONE),
        (false, Some("")) => {
            errors.required(child(path, "persistentVolumeName"), "must specify non empty persistentVolumeName");
        }
        (false, Some(_)) => {}
        (true, None) => persistent_volume::check_inline(inline, &child(path, "inlineVolumeSpec"), errors),
    }
    let node = text(&spec["nodeName"]);
    errors.grammar("spec.nodeName", node, dns_subdomain(node));
    check_attachment_status(attachment, errors);
    if let Some(name) = named {
        errors.grammar("spec.source.persistentVolumeName", name, dns_subdomain(name));
    }
}

pub(super) fn check_attachment_update(new: &Value, old: &Value, errors: &mut Errors) {
    let inline = |attachment: &Value| attachment["spec"]["source"]["inlineVolumeSpec"].is_null();
    // A volume of which nothing is said is not none.
    if inline(new) != inline(old) || !same(&new["spec"], &old["spec"]) {
        let shown = internal::shown("VolumeAttachmentSpec", &new["spec"]);
        errors.invalid_as("spec", &shown, "field is immutable");
    }
}

pub(super) fn check_attachment_status(attachment: &Value, errors: &mut Errors) {
    let status = &attachment["status"];
    let told = status["attachmentMetadata"].as_object().into_iter().flatten();
    if told.map(|(name, value)| name.len() + text(value).len()).sum::<usize>() > ATTACHED_BYTES_MAX {
        errors.too_long("status.attachmentMetadata", ATTACHED_BYTES_MAX);
    }
    for field in ["attachError", "detachError"] {
        let (error, path) = (&status[field], child("status", field));
        if text(&error["message"]).len() > ERROR_BYTES_MAX {
            errors.too_long(child(&path, "message"), ATTACHED_BYTES_MAX);
        }
        if error["errorCode"].as_i64().is_some_and(|code| code < 0) {
            let told = "must be between 0 and 2147483647, inclusive";
            errors.invalid(child(&path, "errorCode"), &error["errorCode"], told);
        }
    }
}

pub(super) fn check_driver_object(driver: &Value, errors: &mut Errors) {
    let spec = &driver["spec"];
    let said = [("attachRequired", "attachedRequired"), ("podInfoOnMount", ""), ("storageCapacity", "")];
    for (field, told_as) in said.into_iter().filter(|(field, _)| spec[*field].is_null()) {
        errors.required(child("spec", if told_as.is_empty() { field } else { told_as }), "");
    }
    let policies = ["File", "None", "ReadWriteOnceWithFSType"];
    errors.known("spec.fsGroupPolicy", &spec["fsGroupPolicy"], &policies);
    check_tokens(&spec["tokenRequests"], errors);
    for mode in list(&spec["volumeLifecycleModes"]) {
        errors.known("spec.volumeLifecycleModes", mode, &["Persistent", "Ephemeral"]);
    }
    if spec["seLinuxMount"].is_null() {
        errors.required("spec.seLinuxMount", "");
    }
    let period = &spec["nodeAllocatableUpdatePeriodSeconds"];
    if period.as_i64().is_some_and(|seconds| seconds < 10) {
        let told = "must be greater than or equal to 10 seconds";
        errors.invalid("spec.nodeAllocatableUpdatePeriodSeconds", period, told);
    }
    let secrets = &spec["serviceAccountTokenInSecrets"];
    if !secrets.is_null() && list(&spec["tokenRequests"]).is_empty() {
        let told = "serviceAccountTokenInSecrets is set but no tokenRequests are specified";
        errors.invalid("spec.serviceAccountTokenInSecrets", secrets, told);
    }
}

fn check_tokens(requests: &Value, errors: &mut Errors) {
    let mut audiences = BTreeSet::new();
    for (at, request) in list(requests).iter().enumerate() {
        let path = index("spec.tokenRequests", at);
        if !audiences.insert(text(&request["audience"])) {
            errors.duplicate(child(&path, "audience"), &Value::from(text(&request["audience"])));
            continue;
        }
        let (seconds, path) = (&request["expirationSeconds"], child(&path, "expirationSeconds"));
        match seconds.as_i64() {
            Some(..600) => errors.invalid(path, seconds, "may not specify a duration less than 10 minutes"),
            Some(0x1_0000_0001..) => {
                errors.invalid(path, seconds, "may not specify a duration larger than 2^32 seconds");
            }
            _ => {}
        }
    }
}

pub(super) fn check_driver_update(new: &Value, old: &Value, errors: &mut Errors) {
    for (field, path) in [("attachRequired", "attachedRequired"), ("volumeLifecycleModes", "volumeLifecycleModes")] {
        errors.immutable(child("spec", path), &new["spec"][field], &old["spec"][field]);
    }
}

pub(super) fn check_node(node: &Value, errors: &mut Errors) {
    let mut names = BTreeSet::new();
    for (at, driver) in list(&node["spec"]["drivers"]).iter().enumerate() {
        let (path, name, id) = (index("spec.drivers", at), text(&driver["name"]), text(&driver["nodeID"]));
        check_driver(name, &child(&path, "name"), errors);
        errors.needed(child(&path, "nodeID"), &driver["nodeID"], "");
        if id.len() > NODE_ID_BYTES_MAX {
            let told = format!("must be {NODE_ID_BYTES_MAX} characters or less");
            errors.invalid_text(child(&path, "nodeID"), id, &told);
        }
        errors.non_negative(child(&path, "allocatable.count"), &driver["allocatable"]["count"]);
        if !names.insert(name) {
            errors.duplicate(child(&path, "name"), &driver["name"]);
        }
        let mut keys = BTreeSet::new();
        for topology in list(&driver["topologyKeys"]) {
            errors.needed(&path, topology, "");
            if !keys.insert(text(topology)) {
                errors.duplicate(&path, topology);
            }
            errors.grammar(&path, text(topology), qualified_name(text(topology)));
        }
    }
}

/// What a driver said of itself on a node stays, but for how many volumes it takes.
pub(super) fn check_node_update(new: &Value, old: &Value, errors: &mut Errors) {
    let uncounted = |driver: &Value| {
        let mut driver = driver.clone();
        driver.as_object_mut().map(|fields| fields.remove("allocatable"));
        driver
    };
    for before in list(&old["spec"]["drivers"]) {
        for now in list(&new["spec"]["drivers"]).iter().filter(|now| now["name"] == before["name"]) {
            if !same(&uncounted(now), &uncounted(before)) {
                let shown = internal::shown("CSINodeDriver", &uncounted(now));
                errors.invalid_as("spec.drivers", &shown, "field is immutable");
            }
        }
    }
}

pub(super) fn check_storage_capacity(capacity: &Value, errors: &mut Errors) {
    selector::check(&capacity["nodeTopology"], &Path::root("nodeTopology"), errors);
    let class = text(&capacity["storageClassName"]);
    errors.grammar("storageClassName", class, dns_subdomain(class));
    if claim::amount(&capacity["capacity"]).is_some_and(|amount| amount.signum() < 0) {
        errors.invalid("capacity", &capacity["capacity"], "must be greater than or equal to 0");
    }
}

pub(super) fn check_storage_capacity_update(new: &Value, old: &Value, errors: &mut Errors) {
    for (field, kind) in [("nodeTopology", "*LabelSelector"), ("storageClassName", "")] {
        errors.immutable_as(field, kind, &new[field], &old[field]);
    }
}
