//! Claims on persistent volumes, alone and as templates of them.

use super::field::{Errors, Path, child, key, list, same, text};
use super::{internal, selector};
use crate::schema::quantity::Quantity;
use serde_json::Value;
use tinyplane_wire::meta::{Meta, dns_label, dns_subdomain, qualified_name};

/// How classes were named before there was a field for it.
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";
const ACCESS_MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const RESIZING: [&str; 5] = [
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
];

pub(super) fn check(claim: &Value, errors: &mut Errors) {
    check_spec(&claim["spec"], "spec", errors);
}

/// What is asked for, wherever it stands.
pub(super) fn check_spec(spec: &Value, path: &str, errors: &mut Errors) {
    if list(&spec["accessModes"]).is_empty() {
        errors.required(child(path, "accessModes"), "at least 1 access mode is required");
    }
    selector::check(&spec["selector"], &Path::root(path).child("selector"), errors);
    check_access_modes(&spec["accessModes"], &child(path, "accessModes"), errors);
    let storage = key(&child(path, "resources"), "storage");
    match &spec["resources"]["requests"]["storage"] {
        Value::Null => errors.required(storage, ""),
        wished => check_positive(&storage, wished, errors),
    }
    check_class_name(spec, "storageClassName", path, errors);
    errors.known(child(path, "volumeMode"), &spec["volumeMode"], &["Block", "Filesystem"]);
    let (source, reference) = (&spec["dataSource"], &spec["dataSourceRef"]);
    check_source(source, &child(path, "dataSource"), errors);
    check_source(reference, &child(path, "dataSourceRef"), errors);
    let elsewhere = text(&reference["namespace"]);
    if reference.is_object() && !elsewhere.is_empty() {
        errors.grammar(child(path, "dataSourceRef.namespace"), elsewhere, dns_label(elsewhere));
        if source.is_object() {
            errors.invalid_as(path, "{}", "may not be specified when dataSourceRef.namespace is specified");
        }
    } else if source.is_object() && reference.is_object() {
        let differs = |field: &str| source[field] != reference[field];
        if ["apiGroup", "kind", "name"].into_iter().any(differs) {
            errors.invalid_as(path, "{}", "must match dataSourceRef");
        }
    }
    check_class_name(spec, "volumeAttributesClassName", path, errors);
}

/// Ways of access: known ones, and the exclusive one alone. That there are any is told elsewhere.
pub(super) fn check_access_modes(modes: &Value, path: &str, errors: &mut Errors) {
    let exclusive = "ReadWriteOncePod";
    for mode in list(modes) {
        errors.known(path, mode, &ACCESS_MODES);
    }
    let shared = |mode: &Value| mode != exclusive && ACCESS_MODES.contains(&text(mode));
    if list(modes).iter().any(|mode| mode == exclusive) && list(modes).iter().any(shared) {
        errors.forbidden(path, "may not use ReadWriteOncePod with other access modes");
    }
}

/// The amount, where one can be read.
pub(super) fn amount(value: &Value) -> Option<Quantity> {
    value.as_str().and_then(|text| Quantity::parse(text).ok())
}

/// An amount of more than nothing.
pub(super) fn check_positive(path: &str, value: &Value, errors: &mut Errors) {
    if amount(value).is_some_and(|amount| amount.signum() <= 0) {
        errors.invalid(path, value, "must be greater than zero");
    }
}

/// The name of a class, which may be missing or empty.
pub(super) fn check_class_name(spec: &Value, field: &str, path: &str, errors: &mut Errors) {
    let class = text(&spec[field]);
    if !class.is_empty() {
        errors.grammar(child(path, field), class, dns_subdomain(class));
    }
}

/// What a new volume is filled from.
fn check_source(source: &Value, path: &str, errors: &mut Errors) {
    if !source.is_object() {
        return;
    }
    errors.needed(child(path, "name"), &source["name"], "");
    errors.needed(child(path, "kind"), &source["kind"], "");
    let (group, kind) = (text(&source["apiGroup"]), text(&source["kind"]));
    if group.is_empty() && kind != "PersistentVolumeClaim" {
        errors.invalid_text(path, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
    }
    if !group.is_empty() {
        errors.grammar(child(path, "apiGroup"), group, dns_subdomain(group));
    }
}

/// Of a claim little may change: the volume it is bound to, once; a class, where it had none; and, once it is bound,
/// how much it asks for and the class of attributes.
pub(super) fn check_update(new: &Value, old: &Value, errors: &mut Errors) {
    let (mut now, mut before) = (new["spec"].clone(), old["spec"].clone());
    if text(&before["volumeName"]).is_empty() {
        take(&mut before, &now, "volumeName");
    }
    let (annotation, old_annotation) =
        (Meta::of(new).annotation(CLASS_ANNOTATION), Meta::of(old).annotation(CLASS_ANNOTATION));
    let named_now = before["storageClassName"].is_null() && now["storageClassName"].is_string();
    let as_annotated = old_annotation.is_some_and(|class| now["storageClassName"] == class);
    if named_now && as_annotated && annotation.is_none_or(|class| Some(class) == old_annotation) {
        take(&mut now, &before, "storageClassName");
    } else {
        if annotation.unwrap_or_default() != old_annotation.unwrap_or_default() {
            let path = format!("metadata.annotations.{CLASS_ANNOTATION}");
            errors.invalid_text(path, annotation.unwrap_or_default(), "field is immutable");
        }
        if named_now && (old_annotation.is_none() || as_annotated) {
            take(&mut now, &before, "storageClassName");
        }
    }
    let storage = |claim: &Value| claim["spec"]["resources"]["requests"]["storage"].clone();
    let (asked, had) = (storage(new), storage(old));
    if new["status"]["phase"] == "Bound" {
        if let Some(requests) = now.pointer_mut("/resources/requests").and_then(Value::as_object_mut) {
            requests.insert("storage".into(), had.clone());
        }
        take(&mut now, &before, "volumeAttributesClassName");
    }
    if !same(&now, &before) {
        let told = format!(
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n{}",
            internal::diff("PersistentVolumeClaimSpec", &before, &now)
        );
        errors.forbidden("spec", &told);
    }
    // What is not said counts as nothing.
    let size = |value: &Value| amount(value).unwrap_or(Quantity::of(0));
    let (size_now, capacity) = (size(&asked), size(&old["status"]["capacity"]["storage"]));
    if size_now < size(&had) && size_now <= capacity {
        errors.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity");
    }
    errors.immutable("volumeMode", &new["spec"]["volumeMode"], &old["spec"]["volumeMode"]);
    check_attributes_class(new, old, errors);
}

/// Once a class of attributes is applied, there has to be one.
fn check_attributes_class(new: &Value, old: &Value, errors: &mut Errors) {
    let class = |claim: &Value| claim["spec"]["volumeAttributesClassName"].clone();
    let applied = "when status.currentVolumeAttributesClassName is not nil";
    if class(new) == class(old) || old["status"]["currentVolumeAttributesClassName"].is_null() {
        return;
    }
    match class(new).as_str() {
        None => errors.forbidden("spec.volumeAttributesClassName", &format!("update to nil is forbidden {applied}")),
        Some("") => {
            let told = format!("update to empty string is forbidden {applied}");
            errors.forbidden("spec.volumeAttributesClassName", &told);
        }
        Some(_) => {}
    }
}

/// Puts one's field in the place of another's.
fn take(of: &mut Value, from: &Value, field: &str) {
    if let Some(fields) = of.as_object_mut() {
        match from.get(field) {
            Some(value) => drop(fields.insert(field.to_owned(), value.clone())),
            None => drop(fields.remove(field)),
        }
    }
}

pub(super) fn check_status(claim: &Value, errors: &mut Errors) {
    let status = &claim["status"];
    for (name, value) in status["capacity"].as_object().into_iter().flatten() {
        check_basic(&key("status.capacity", name), value, errors);
    }
    let path = "status.allocatedResourceStatuses";
    for (name, state) in status["allocatedResourceStatuses"].as_object().into_iter().flatten() {
        check_resource(name, path, errors);
        if !RESIZING.contains(&text(state)) {
            errors.unsupported(path, name, &RESIZING);
        }
    }
    let path = "status.allocatedResources";
    for (name, value) in status["allocatedResources"].as_object().into_iter().flatten() {
        if check_resource(name, path, errors) {
            check_basic(&key(path, name), value, errors);
        }
    }
}

/// An amount that is not negative.
pub(super) fn check_basic(path: &str, value: &Value, errors: &mut Errors) {
    if let Some(amount) = amount(value).filter(|amount| amount.units() < 0) {
        errors.invalid(path, &Value::from(amount.units()), "must be a valid resource quantity");
    }
}

/// Whether something is what claims may have: storage, or what is not Kubernetes' own.
fn check_resource(name: &str, path: &str, errors: &mut Errors) -> bool {
    let complaints = qualified_name(name);
    let native = !name.contains('/') || name.contains("kubernetes.io/");
    let fits = complaints.is_empty() && (!native || name == "storage");
    if complaints.is_empty() && !fits {
        errors.unsupported(path, name, &["storage"]);
    }
    errors.grammar(path, name, complaints);
    fits
}
