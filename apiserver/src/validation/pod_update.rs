//! What of a pod may change: images, deadlines that get shorter, tolerations that are added, a grace period, and, while
//! it is not to be scheduled yet, where it may go.

use super::field::{Errors, Path, child, index, list, same, text};
use super::{internal, pod};
use crate::schema::{self, default};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Upstream's sentence for everything else.
const MAY_CHANGE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

pub(super) fn check(new: &Value, old: &Value, errors: &mut Errors) {
    let (now, before) = (&new["spec"], &old["spec"]);
    for field in ["containers", "initContainers"] {
        if list(&now[field]).len() != list(&before[field]).len() {
            errors.forbidden(child("spec", field), "pod updates may not add or remove containers");
            return;
        }
        check_images(&now[field], &child("spec", field), errors);
    }
    if !check_deadline(now, before, errors) {
        return;
    }
    check_tolerations(&now["tolerations"], &before["tolerations"], errors);
    check_gates(&now["schedulingGates"], &before["schedulingGates"], errors);
    // What may change is put back: what differs then is what may not.
    let mut wished = now.clone();
    for field in ["containers", "initContainers"] {
        for (at, container) in list(&before[field]).iter().enumerate() {
            put(&mut wished[field][at], "image", &container["image"]);
        }
    }
    for field in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        put(&mut wished, field, &before[field]);
    }
    let grace = "terminationGracePeriodSeconds";
    if before[grace].as_i64().is_some_and(|seconds| seconds < 0) && now[grace] == 1 {
        put(&mut wished, grace, &before[grace]);
    }
    if !list(&before["schedulingGates"]).is_empty() {
        narrow(&mut wished, before, errors);
    }
    if !is_same(&wished, before) {
        errors.forbidden("spec", &format!("{MAY_CHANGE}\n{}", internal::diff("PodSpec", before, &wished)));
    }
}

/// Whether upstream holds the same of two specs: a struct with nothing in it is more than none.
pub(super) fn is_same(now: &Value, before: &Value) -> bool {
    is_held_the_same(("Pod", "spec"), now, before)
}

/// The same of two templates.
pub(crate) fn is_same_template(now: &Value, before: &Value) -> bool {
    is_held_the_same(("PodTemplate", "template"), now, before)
}

fn is_held_the_same((kind, field): (&str, &str), now: &Value, before: &Value) -> bool {
    let model = schema::model();
    let held = |part: &Value| {
        let object = json!({field: part});
        model.kind("", "v1", kind).map(|id| default::held(model, id, &object))
    };
    now == before || held(now) == held(before)
}

/// Images, which upstream looks at once more in a pod that changes.
fn check_images(containers: &Value, path: &str, errors: &mut Errors) {
    for (at, container) in list(containers).iter().enumerate() {
        let image = text(&container["image"]);
        if image.is_empty() {
            errors.required(child(&index(path, at), "image"), "");
        }
        if image.trim() != image {
            let told = "must not have leading or trailing whitespace";
            errors.invalid_text(child(&index(path, at), "image"), image, told);
        }
    }
}

/// Puts a field back as it was.
fn put(of: &mut Value, field: &str, before: &Value) {
    match (of.as_object_mut(), before) {
        (Some(fields), Value::Null) => drop(fields.remove(field)),
        (Some(fields), before) => drop(fields.insert(field.to_owned(), before.clone())),
        (None, _) => {}
    }
}

/// All that a toleration says, but for how long.
fn timeless(toleration: &Value) -> [&str; 4] {
    ["key", "operator", "value", "effect"].map(|field| text(&toleration[field]))
}

/// Tolerations may be added, and of those that are there the seconds may change.
fn check_tolerations(now: &Value, before: &Value, errors: &mut Errors) {
    let all: BTreeSet<[&str; 4]> = list(now).iter().map(timeless).collect();
    if list(before).iter().all(|toleration| all.contains(&timeless(toleration))) {
        pod::check_tolerations(now, &Path::root("spec.tolerations"), errors);
    } else {
        errors.forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds");
    }
}

/// Gates may be taken away.
fn check_gates(now: &Value, before: &Value, errors: &mut Errors) {
    let known: BTreeSet<&str> = list(before).iter().map(|gate| text(&gate["name"])).collect();
    let is_new = |gate: &Value| !known.contains(text(&gate["name"]));
    for (at, gate) in list(now).iter().enumerate().filter(|(_, gate)| is_new(gate)) {
        let told = format!("only deletion is allowed, but found new scheduling gate '{}'", text(&gate["name"]));
        errors.forbidden(format!("spec.schedulingGates[{at}].name"), &told);
    }
}

/// The places where a pod may go may become fewer before it is scheduled; how, is put back.
fn narrow(wished: &mut Value, before: &Value, errors: &mut Errors) {
    let pairs = |spec: &Value| spec["nodeSelector"].as_object().cloned().unwrap_or_default();
    let (now, then) = (pairs(wished), pairs(before));
    if then.iter().any(|(name, value)| now.get(name) != Some(value)) {
        let told = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        errors.invalid("spec.nodeSelector", &wished["nodeSelector"], told);
    }
    put(wished, "nodeSelector", &before["nodeSelector"]);
    let affinity = before["affinity"]["nodeAffinity"].clone();
    if same(&wished["affinity"]["nodeAffinity"], &affinity) {
        return;
    }
    check_affinity(&wished["affinity"]["nodeAffinity"], &affinity, errors);
    if !wished["affinity"].is_object() {
        wished["affinity"] = Value::Object(Map::new());
    }
    put(&mut wished["affinity"], "nodeAffinity", &affinity);
    if before["affinity"].is_null() && wished["affinity"].as_object().is_some_and(Map::is_empty) {
        put(wished, "affinity", &Value::Null);
    }
}

/// Terms of nodes may say more, and neither less nor something else.
fn check_affinity(now: &Value, before: &Value, errors: &mut Errors) {
    let terms = |affinity: &Value| list(&affinity[REQUIRED]["nodeSelectorTerms"]).to_vec();
    let is_sent = now[REQUIRED]["nodeSelectorTerms"].is_array();
    let (now, before) = (terms(now), terms(before));
    let path = format!("spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms");
    if !before.is_empty() && before.len() != now.len() {
        let told = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        let shown: Vec<String> = now.iter().map(|term| internal::shown("NodeSelectorTerm", term)).collect();
        let shown = if is_sent { format!("[{}]", shown.join(",")) } else { "null".to_owned() };
        errors.invalid_as(path, &shown, told);
        return;
    }
    for (at, (now, before)) in now.iter().zip(&before).enumerate() {
        let parts = ["matchExpressions", "matchFields"].map(|field| (list(&now[field]), list(&before[field])));
        let was_empty = parts.iter().all(|(_, before)| before.is_empty());
        let begins = |(now, before): &(&[Value], &[Value])| now.starts_with(before);
        if !parts.iter().all(begins) || was_empty && parts.iter().any(|(now, _)| !now.is_empty()) {
            let told = "only additions are allowed (no mutations or deletions)";
            errors.invalid_as(index(&path, at), &internal::shown("NodeSelectorTerm", now), told);
        }
    }
}

/// Whether a deadline is one that may be looked at further.
fn check_deadline(now: &Value, before: &Value, errors: &mut Errors) -> bool {
    let (path, now, before) =
        ("spec.activeDeadlineSeconds", &now["activeDeadlineSeconds"], &before["activeDeadlineSeconds"]);
    match (now.as_i64(), before.as_i64()) {
        (Some(seconds), _) if !(0..=i64::from(i32::MAX)).contains(&seconds) => {
            errors.invalid(path, now, "must be between 0 and 2147483647, inclusive");
            return false;
        }
        (Some(seconds), Some(then)) if seconds > then => {
            errors.invalid(path, now, "must be less than or equal to previous value");
            return false;
        }
        (None, Some(_)) => errors.invalid(path, now, "must not update from a positive integer to nil value"),
        _ => {}
    }
    true
}
