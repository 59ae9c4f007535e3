//! What of a pod may change: images, deadlines that get shorter, tolerations that are added, a grace period.

use super::field::{Errors, list, text};
use serde_json::Value;

/// Upstream's sentence for everything else.
const MAY_CHANGE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

pub(super) fn check(new: &Value, old: &Value, errors: &mut Errors) {
    for field in ["containers", "initContainers"] {
        if list(&new["spec"][field]).len() != list(&old["spec"][field]).len() {
            errors.forbidden(format!("spec.{field}"), "pod updates may not add or remove containers");
            return;
        }
    }
    check_deadline(new, old, errors);
    let mut allowed = old["spec"].clone();
    for field in ["containers", "initContainers"] {
        for (at, container) in list(&new["spec"][field]).iter().enumerate() {
            allowed[field][at]["image"] = container["image"].clone();
        }
    }
    let mut wished = new["spec"].clone();
    same(&mut wished, &mut allowed, "activeDeadlineSeconds");
    let grace = |pod: &Value| pod["spec"]["terminationGracePeriodSeconds"].as_i64();
    if grace(old).is_some_and(|seconds| seconds < 0) && grace(new) == Some(1) {
        same(&mut wished, &mut allowed, "terminationGracePeriodSeconds");
    }
    same(&mut wished, &mut allowed, "tolerations");
    check_added(new, old, errors);
    // Gates may be taken away, and while there are any, node selection may become narrower.
    let gates = list(&old["spec"]["schedulingGates"]);
    same(&mut wished, &mut allowed, "schedulingGates");
    for (at, gate) in list(&new["spec"]["schedulingGates"]).iter().enumerate().filter(|(_, gate)| !gates.contains(gate))
    {
        let told = format!("only deletion is allowed, but found new scheduling gate '{}'", text(&gate["name"]));
        errors.forbidden(format!("spec.schedulingGates[{at}].name"), &told);
    }
    if !gates.is_empty() {
        same(&mut wished, &mut allowed, "nodeSelector");
        same(&mut wished, &mut allowed, "affinity");
    }
    if wished != allowed {
        errors.forbidden("spec", MAY_CHANGE);
    }
}

/// Tolerations may be added, and of those that are there the seconds may change.
fn check_added(new: &Value, old: &Value, errors: &mut Errors) {
    let timeless = |toleration: &Value| {
        let mut fields = toleration.as_object().cloned().unwrap_or_default();
        fields.remove("tolerationSeconds");
        fields
    };
    let now = list(&new["spec"]["tolerations"]);
    let before = list(&old["spec"]["tolerations"]);
    if !before.iter().all(|one| now.iter().any(|other| timeless(one) == timeless(other))) {
        let told = "existing toleration can not be modified except its tolerationSeconds";
        errors.forbidden("spec.tolerations", told);
    }
}

/// Takes a field out of a comparison.
fn same(wished: &mut Value, allowed: &mut Value, field: &str) {
    for spec in [wished, allowed] {
        if let Some(spec) = spec.as_object_mut() {
            spec.remove(field);
        }
    }
}

fn check_deadline(new: &Value, old: &Value, errors: &mut Errors) {
    let path = "spec.activeDeadlineSeconds";
    let (now, before) = (&new["spec"]["activeDeadlineSeconds"], &old["spec"]["activeDeadlineSeconds"]);
    match (now.as_i64(), before.as_i64()) {
        (Some(now_seconds), Some(seconds)) if now_seconds > seconds => {
            errors.invalid(path, now, "must be less than or equal to previous value");
        }
        (None, Some(_)) => errors.invalid(path, now, "must not update from a positive integer to nil value"),
        _ => {}
    }
}
