//! Small kinds that a cluster is run with: leases and candidates for them, priority and runtime classes, namespaces.

use super::field::{Errors, Path, child, index, list, text};
use super::{internal, pod, resources};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tinyplane_wire::meta::{Meta, dns_label, qualified_name};

/// The greatest priority that is not the system's.
const USER_PRIORITY_MAX: i64 = 1_000_000_000;
/// The priority classes whose names begin with `system-`.
const SYSTEM_CLASSES: [(&str, i64); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];
/// The way of choosing among candidates that has no domain in its name.
const OLDEST: &str = "OldestEmulationVersion";

pub(super) fn check_lease(lease: &Value, errors: &mut Errors) {
    let spec = &lease["spec"];
    if spec["leaseDurationSeconds"].as_i64().is_some_and(|seconds| seconds <= 0) {
        errors.invalid("spec.leaseDurationSeconds", &spec["leaseDurationSeconds"], "must be greater than 0");
    }
    errors.non_negative("spec.leaseTransitions", &spec["leaseTransitions"]);
    if let Some(strategy) = spec["strategy"].as_str() {
        check_strategy(strategy, errors);
    }
    if !text(&spec["preferredHolder"]).is_empty() && text(&spec["strategy"]).is_empty() {
        errors.forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined");
    }
}

/// How a holder is chosen; upstream says the field's name twice in the path.
fn check_strategy(strategy: &str, errors: &mut Errors) {
    let path = "spec.strategy.strategy";
    if strategy.contains('/') {
        errors.grammar(path, strategy, qualified_name(strategy));
    } else if strategy != OLDEST {
        errors.unsupported(path, strategy, &[OLDEST]);
    }
}

pub(super) fn check_priority_class(class: &Value, errors: &mut Errors) {
    let (name, value) = (Meta::of(class).name(), class["value"].as_i64().unwrap_or_default());
    if name.starts_with("system-") {
        let wrong = match SYSTEM_CLASSES.iter().find(|(known, _)| *known == name) {
            None => Some(format!("{name} is not a known system priority class")),
            Some((_, right)) if *right != value => Some(format!("value of {name} PriorityClass must be {right}")),
            Some(_) if class["globalDefault"] == true => {
                Some(format!("globalDefault of {name} PriorityClass must be false"))
            }
            Some(_) => None,
        };
        if let Some(wrong) = wrong {
            let told =
                format!("priority class names with 'system-' prefix are reserved for system use only. error: {wrong}");
            errors.forbidden("metadata.name", &told);
        }
    } else if value > USER_PRIORITY_MAX {
        let told = format!("maximum allowed value of a user defined priority is {USER_PRIORITY_MAX}");
        errors.forbidden("value", &told);
    }
    match &class["preemptionPolicy"] {
        Value::String(policy) if policy.is_empty() => errors.required("preemptionPolicy", ""),
        policy => errors.known("preemptionPolicy", policy, &["PreemptLowerPriority", "Never"]),
    }
}

pub(super) fn check_priority_class_update(new: &Value, old: &Value, errors: &mut Errors) {
    let value = |class: &Value| class["value"].as_i64().unwrap_or_default();
    if value(new) != value(old) {
        errors.forbidden("value", "may not be changed in an update.");
    }
    errors.immutable("preemptionPolicy", &new["preemptionPolicy"], &old["preemptionPolicy"]);
}

pub(super) fn check_runtime_class(class: &Value, errors: &mut Errors) {
    match text(&class["handler"]) {
        "" => errors.required("handler", ""),
        handler => errors.grammar("handler", handler, dns_label(handler)),
    }
    if class["overhead"].is_object() {
        resources::check(&json!({"limits": class["overhead"]["podFixed"]}), &Path::root("overhead"), errors);
    }
    let scheduling = &class["scheduling"];
    pod::check_labels(&scheduling["nodeSelector"], &Path::root("scheduling.nodeSelector"), errors);
    pod::check_tolerations(&scheduling["tolerations"], &Path::root("scheduling.tolerations"), errors);
    let mut seen = BTreeSet::new();
    for (at, toleration) in list(&scheduling["tolerations"]).iter().enumerate() {
        let fields = ["key", "operator", "value", "effect"].map(|field| text(&toleration[field]));
        if !seen.insert(fields) {
            let shown = internal::shown("Toleration", toleration);
            errors.duplicate_as(index("scheduling.tolerations", at), &shown, "");
        }
    }
}

/// The finalizers of a namespace, as it is created.
pub(super) fn check_namespace(namespace: &Value, errors: &mut Errors) {
    for finalizer in list(&namespace["spec"]["finalizers"]) {
        check_finalizer(text(finalizer), "spec.finalizers", errors);
    }
}

fn check_finalizer(name: &str, path: &str, errors: &mut Errors) {
    errors.grammar(path, name, qualified_name(name));
    super::finalizers::check_name(&Path::root(path), name, errors);
}

pub(super) fn check_finalizers(namespace: &Value, errors: &mut Errors) {
    for (at, finalizer) in list(&namespace["spec"]["finalizers"]).iter().enumerate() {
        check_finalizer(text(finalizer), &index("spec.finalizers", at), errors);
    }
}

pub(super) fn check_namespace_status(namespace: &Value, errors: &mut Errors) {
    let phase = text(&namespace["status"]["phase"]);
    let (right, when) = match Meta::of(namespace).is_deleting() {
        false => ("Active", "empty"),
        true => ("Terminating", "not empty"),
    };
    if phase != right {
        let told = format!("may only be '{right}' if `deletionTimestamp` is {when}");
        errors.invalid_text(child("status", "Phase"), phase, &told);
    }
}
