//! Storage classes, persistent volumes and the claims on them.

use super::field::{Errors, child, list, text};
use super::selector;
use crate::schema::quantity::Quantity;
use serde_json::Value;
use tinyplane_wire::meta::{dns_subdomain, qualified_name};

const ACCESS_MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
/// The fields of a volume's spec that do not say where it lies; the one beside them does.
const OTHER_FIELDS: [&str; 9] = [
    "capacity",
    "accessModes",
    "claimRef",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "mountOptions",
    "volumeMode",
    "nodeAffinity",
    "volumeAttributesClassName",
];
/// Most parameters of a storage class.
const PARAMETERS_MAX: usize = 512;
/// Most bytes of all its parameters.
const PARAMETERS_BYTES_MAX: usize = 256 << 10;

pub(super) fn check_class(class: &Value, errors: &mut Errors) {
    let provisioner = text(&class["provisioner"]);
    if provisioner.is_empty() {
        errors.required("provisioner", "");
    } else {
        errors.grammar("provisioner", provisioner, qualified_name(&provisioner.to_lowercase()));
    }
    if let Some(parameters) = class["parameters"].as_object() {
        let bytes: usize = parameters.iter().map(|(name, value)| name.len() + text(value).len()).sum();
        if parameters.len() > PARAMETERS_MAX {
            errors.too_long("parameters", PARAMETERS_MAX);
        } else if bytes > PARAMETERS_BYTES_MAX {
            errors.too_long("parameters", PARAMETERS_BYTES_MAX);
        }
        if parameters.contains_key("") {
            errors.invalid_text("parameters", "", "field can not be empty.");
        }
    }
    errors.known("reclaimPolicy", &class["reclaimPolicy"], &["Delete", "Retain"]);
    errors.one_of("volumeBindingMode", &class["volumeBindingMode"], &["Immediate", "WaitForFirstConsumer"]);
}

pub(super) fn check_class_update(new: &Value, old: &Value, errors: &mut Errors) {
    for field in ["parameters", "provisioner", "reclaimPolicy"] {
        if new[field] != old[field] {
            errors.forbidden(field, &format!("updates to {field} are forbidden."));
        }
    }
    errors.immutable("volumeBindingMode", &new["volumeBindingMode"], &old["volumeBindingMode"]);
}

fn check_access_modes(modes: &Value, missing: &str, errors: &mut Errors) {
    let all = list(modes);
    if all.is_empty() {
        errors.required("spec.accessModes", missing);
    }
    for mode in all {
        errors.known("spec.accessModes", mode, &ACCESS_MODES);
    }
    if all.len() > 1 && all.iter().any(|mode| mode == "ReadWriteOncePod") {
        errors.forbidden("spec.accessModes", "may not use ReadWriteOncePod with other access modes");
    }
}

fn amount(value: &Value) -> Option<Quantity> {
    value.as_str().and_then(|text| Quantity::parse(text).ok())
}

fn check_positive(path: &str, value: &Value, errors: &mut Errors) {
    if amount(value).is_some_and(|amount| amount.nanos() <= 0) {
        errors.invalid(path, value, "must be greater than zero");
    }
}

fn sources(spec: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let fields = spec.as_object().into_iter().flatten();
    fields.filter(|(field, value)| !OTHER_FIELDS.contains(&field.as_str()) && !value.is_null())
}

pub(super) fn check_volume(volume: &Value, errors: &mut Errors) {
    let spec = &volume["spec"];
    check_access_modes(&spec["accessModes"], "", errors);
    match spec["capacity"].as_object() {
        None => errors.required("spec.capacity", ""),
        Some(capacity) if capacity.is_empty() => errors.required("spec.capacity", ""),
        Some(capacity) => {
            for (name, value) in capacity {
                if name != "storage" {
                    errors.unsupported("spec.capacity", name, &["storage"]);
                }
                check_positive(&format!("spec.capacity[{name}]"), value, errors);
            }
        }
    }
    errors.known(
        "spec.persistentVolumeReclaimPolicy",
        &spec["persistentVolumeReclaimPolicy"],
        &["Delete", "Recycle", "Retain"],
    );
    let mut found = sources(spec);
    if found.next().is_none() {
        errors.required("spec", "must specify a volume type");
    }
    for (source, _) in found {
        errors.forbidden(child("spec", source), "may not specify more than 1 volume type");
    }
    if spec["persistentVolumeReclaimPolicy"] == "Recycle" && spec["hostPath"]["path"] == "/" {
        errors.forbidden("spec.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'");
    }
    check_class_name(spec, errors);
    errors.known("spec.volumeMode", &spec["volumeMode"], &["Block", "Filesystem"]);
}

pub(super) fn check_volume_update(new: &Value, old: &Value, errors: &mut Errors) {
    let (now, before) = (&new["spec"], &old["spec"]);
    if !sources(now).eq(sources(before)) {
        errors.forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation");
    }
    errors.immutable("spec.volumeMode", &now["volumeMode"], &before["volumeMode"]);
    if !before["nodeAffinity"].is_null() {
        errors.immutable("spec.nodeAffinity", &now["nodeAffinity"], &before["nodeAffinity"]);
    }
}

fn check_class_name(spec: &Value, errors: &mut Errors) {
    let class = text(&spec["storageClassName"]);
    if !class.is_empty() {
        errors.grammar("spec.storageClassName", class, dns_subdomain(class));
    }
}

pub(super) fn check_claim(claim: &Value, errors: &mut Errors) {
    let spec = &claim["spec"];
    selector::check(&spec["selector"], "spec.selector", errors);
    check_access_modes(&spec["accessModes"], "at least 1 access mode is required", errors);
    match &spec["resources"]["requests"]["storage"] {
        Value::Null => errors.required("spec.resources[storage]", ""),
        storage => check_positive("spec.resources[storage]", storage, errors),
    }
    check_class_name(spec, errors);
    errors.known("spec.volumeMode", &spec["volumeMode"], &["Block", "Filesystem"]);
}

/// Of a claim little may change: the volume it is bound to, once; a class, where it had none; and, once it is bound,
/// how much it asks for.
pub(super) fn check_claim_update(new: &Value, old: &Value, errors: &mut Errors) {
    let (mut now, before) = (new["spec"].clone(), &old["spec"]);
    for field in ["volumeName", "storageClassName"] {
        if text(&before[field]).is_empty() && before[field] != "" {
            now[field] = before[field].clone();
        }
    }
    now["volumeAttributesClassName"] = before["volumeAttributesClassName"].clone();
    let storage = |spec: &Value| spec["resources"]["requests"]["storage"].clone();
    let (asked, had) = (storage(&new["spec"]), storage(before));
    if new["status"]["phase"] == "Bound" && now["resources"]["requests"].is_object() {
        now["resources"]["requests"]["storage"] = had.clone();
    }
    if without_nulls(&now) != without_nulls(before) {
        errors.forbidden(
            "spec",
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
        );
    }
    let smaller = amount(&asked).zip(amount(&had)).is_some_and(|(asked, had)| asked < had);
    let capacity = amount(&old["status"]["capacity"]["storage"]);
    if smaller && amount(&asked).zip(capacity).is_none_or(|(asked, capacity)| asked <= capacity) {
        errors.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity");
    }
    errors.immutable("volumeMode", &new["spec"]["volumeMode"], &before["volumeMode"]);
}

/// The fields that are there.
fn without_nulls(spec: &Value) -> Vec<(&String, &Value)> {
    spec.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()).collect()
}
