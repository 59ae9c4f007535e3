//! Small kinds that a cluster is run with: leases, priority and runtime classes, nodes, namespaces, events.

use super::field::{Errors, child, index, list, text};
use super::pod;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tinyplane_wire::meta::{Meta, dns_label, label_value, qualified_name};

/// The greatest priority that is not the system's.
const USER_PRIORITY_MAX: i64 = 1_000_000_000;
/// The priority classes whose names begin with `system-`.
const SYSTEM_CLASSES: [(&str, i64); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

pub(super) fn check_lease(lease: &Value, errors: &mut Errors) {
    let spec = &lease["spec"];
    if spec["leaseDurationSeconds"].as_i64().is_some_and(|seconds| seconds <= 0) {
        errors.invalid("spec.leaseDurationSeconds", &spec["leaseDurationSeconds"], "must be greater than 0");
    }
    errors.non_negative("spec.leaseTransitions", &spec["leaseTransitions"]);
    if !text(&spec["preferredHolder"]).is_empty() && text(&spec["strategy"]).is_empty() {
        errors.forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined");
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
    errors.known("preemptionPolicy", &class["preemptionPolicy"], &["Never", "PreemptLowerPriority"]);
}

pub(super) fn check_priority_class_update(new: &Value, old: &Value, errors: &mut Errors) {
    let value = |class: &Value| class["value"].as_i64().unwrap_or_default();
    if value(new) != value(old) {
        errors.forbidden("value", "may not be changed in an update.");
    }
    errors.immutable("preemptionPolicy", &new["preemptionPolicy"], &old["preemptionPolicy"]);
}

pub(super) fn check_runtime_class(class: &Value, errors: &mut Errors) {
    let handler = text(&class["handler"]);
    errors.grammar("handler", handler, dns_label(handler));
    let scheduling = &class["scheduling"];
    pod::check_labels(&scheduling["nodeSelector"], "scheduling.nodeSelector", errors);
    pod::check_tolerations(&scheduling["tolerations"], "scheduling.tolerations", errors);
}

pub(super) fn check_node(node: &Value, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (at, taint) in list(&node["spec"]["taints"]).iter().enumerate() {
        let path = index("spec.taints", at);
        let (taint_key, value, effect) = (text(&taint["key"]), text(&taint["value"]), text(&taint["effect"]));
        errors.grammar(&child(&path, "key"), taint_key, qualified_name(taint_key));
        let complaints = label_value(value);
        if !complaints.is_empty() {
            errors.invalid_text(child(&path, "value"), value, &complaints.join(";"));
        }
        errors.one_of(&child(&path, "effect"), &taint["effect"], &["NoExecute", "NoSchedule", "PreferNoSchedule"]);
        if !seen.insert((taint_key, effect)) {
            // Go's internal type has no names for JSON.
            let shown = json!({"Key": taint_key, "Value": value, "Effect": effect, "TimeAdded": taint["timeAdded"]});
            errors.duplicate_because(&path, &shown, "taints must be unique by key and effect pair");
        }
    }
}

/// What a node is called by its cloud and which addresses its pods have is said once.
pub(super) fn check_node_update(new: &Value, old: &Value, errors: &mut Errors) {
    let (now, before) = (&new["spec"], &old["spec"]);
    if !list(&before["podCIDRs"]).is_empty() && now["podCIDRs"] != before["podCIDRs"] {
        let told = "node updates may not change podCIDR except from \"\" to valid";
        errors.forbidden("spec.podCIDRs", told);
    }
    if !text(&before["providerID"]).is_empty() && now["providerID"] != before["providerID"] {
        errors.forbidden("spec.providerID", "node updates may not change providerID except from \"\" to valid");
    }
}

pub(super) fn check_namespace(namespace: &Value, errors: &mut Errors) {
    for (at, finalizer) in list(&namespace["spec"]["finalizers"]).iter().enumerate() {
        let (path, name) = (index("spec.finalizers", at), text(finalizer));
        let complaints = qualified_name(name);
        if complaints.is_empty()
            && !name.contains('/')
            && !["kubernetes", "orphan", "foregroundDeletion"].contains(&name)
        {
            errors.invalid_text(&path, name, "name is neither a standard finalizer name nor is it fully qualified");
        }
        errors.grammar(&path, name, complaints);
    }
}

/// An event is where its object is; those about objects without a namespace are in `default`.
pub(super) fn check_event(event: &Value, errors: &mut Errors) {
    let (own, object) = (Meta::of(event).namespace(), text(&event["involvedObject"]["namespace"]));
    let fits = if object.is_empty() { matches!(own, "" | "default") } else { own == object };
    if !fits {
        errors.invalid_text("involvedObject.namespace", object, "does not match event.namespace");
    }
}
