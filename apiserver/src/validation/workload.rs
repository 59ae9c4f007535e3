//! Deployments, ReplicaSets, DaemonSets, StatefulSets, ReplicationControllers.

use super::field::{Errors, child, text};
use super::pod;
use serde_json::Value;
use tinyplane_wire::selector::LabelSelector;

pub(super) fn check(kind: &str, object: &Value, errors: &mut Errors) {
    let spec = &object["spec"];
    errors.non_negative("spec.replicas", &spec["replicas"]);
    if check_selector(&spec["selector"], "spec.selector", errors) {
        check_template(spec, errors);
    }
    errors.non_negative("spec.minReadySeconds", &spec["minReadySeconds"]);
    errors.non_negative("spec.revisionHistoryLimit", &spec["revisionHistoryLimit"]);
    match kind {
        "Deployment" => check_strategy(spec, errors),
        "DaemonSet" | "StatefulSet" => {
            let known: &[&str] = &["RollingUpdate", "OnDelete"];
            let strategy = text(&spec["updateStrategy"]["type"]);
            if !known.contains(&strategy) && !strategy.is_empty() {
                errors.unsupported("spec.updateStrategy.type", strategy, known);
            }
        }
        _ => {}
    }
}

/// A selector has to be there and to select something; says whether the template can be held against it.
fn check_selector(selector: &Value, path: &str, errors: &mut Errors) -> bool {
    match LabelSelector::from_object(selector) {
        Ok(None) => {
            errors.required(path, "");
            false
        }
        Ok(Some(read)) if read.is_empty() => {
            errors.invalid(path, selector, "empty selector is invalid for deployment");
            false
        }
        Ok(Some(_)) => {
            pod::check_labels(&selector["matchLabels"], &child(path, "matchLabels"), errors);
            true
        }
        Err(error) => {
            errors.invalid(path, selector, &error.to_string());
            false
        }
    }
}

fn check_template(spec: &Value, errors: &mut Errors) {
    let template = &spec["template"];
    if let Ok(Some(selector)) = LabelSelector::from_object(&spec["selector"])
        && !selector.selects(template)
    {
        let labels = &template["metadata"]["labels"];
        let labels = if labels.is_null() { &Value::Null } else { labels };
        errors.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`");
    }
    pod::check_template(template, "spec.template", errors);
    let restart = text(&template["spec"]["restartPolicy"]);
    if !restart.is_empty() && restart != "Always" {
        errors.unsupported("spec.template.spec.restartPolicy", restart, &["Always"]);
    }
    if template["spec"]["activeDeadlineSeconds"].is_number() {
        errors.forbidden(
            "spec.template.spec.activeDeadlineSeconds",
            "activeDeadlineSeconds in ReplicaSet is not Supported",
        );
    }
}

fn check_strategy(spec: &Value, errors: &mut Errors) {
    let strategy = &spec["strategy"];
    let rolling = &strategy["rollingUpdate"];
    match text(&strategy["type"]) {
        "Recreate" if rolling.is_object() => {
            errors.forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'");
        }
        "RollingUpdate" => {
            for field in ["maxUnavailable", "maxSurge"] {
                check_share(&rolling[field], &format!("spec.strategy.rollingUpdate.{field}"), errors);
            }
            let nothing = |value: &Value| value.as_i64() == Some(0) || value.as_str() == Some("0%");
            if nothing(&rolling["maxUnavailable"]) && nothing(&rolling["maxSurge"]) {
                let told = "may not be 0 when `maxSurge` is 0";
                errors.invalid("spec.strategy.rollingUpdate.maxUnavailable", &rolling["maxUnavailable"], told);
            }
        }
        "Recreate" | "" => {}
        other => errors.unsupported("spec.strategy.type", other, &["Recreate", "RollingUpdate"]),
    }
    if let Some(deadline) = spec["progressDeadlineSeconds"].as_i64() {
        errors.non_negative("spec.progressDeadlineSeconds", &spec["progressDeadlineSeconds"]);
        if deadline <= spec["minReadySeconds"].as_i64().unwrap_or_default() {
            let told = "must be greater than minReadySeconds";
            errors.invalid("spec.progressDeadlineSeconds", &spec["progressDeadlineSeconds"], told);
        }
    }
}

/// A number, or a percentage.
pub(super) fn check_share(value: &Value, path: &str, errors: &mut Errors) {
    match value {
        Value::Number(_) => errors.non_negative(path, value),
        Value::String(text) => {
            let percent = text.strip_suffix('%').and_then(|n| n.parse::<u32>().ok());
            match percent {
                None => errors.invalid(path, value, "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"),
                Some(percent) if percent > 100 => errors.invalid(path, value, "must not be greater than 100%"),
                Some(_) => {}
            }
        }
        _ => {}
    }
}

pub(super) fn check_replication_controller(object: &Value, errors: &mut Errors) {
    let spec = &object["spec"];
    errors.non_negative("spec.minReadySeconds", &spec["minReadySeconds"]);
    let selector = LabelSelector::from_map(&spec["selector"]);
    if selector.is_empty() {
        errors.required("spec.selector", "");
    }
    errors.non_negative("spec.replicas", &spec["replicas"]);
    if spec["template"].is_null() {
        errors.required("spec.template", "");
        return;
    }
    if !selector.is_empty() && !selector.selects(&spec["template"]) {
        let labels = &spec["template"]["metadata"]["labels"];
        errors.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`");
    }
    pod::check_template(&spec["template"], "spec.template", errors);
}

pub(super) fn check_update(kind: &str, new: &Value, old: &Value, errors: &mut Errors) {
    let (now, before) = (&new["spec"], &old["spec"]);
    if kind != "StatefulSet" {
        errors.immutable("spec.selector", &now["selector"], &before["selector"]);
        return;
    }
    let changeable = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let fixed = |spec: &Value| {
        let mut spec = spec.as_object().cloned().unwrap_or_default();
        changeable.iter().for_each(|field| drop(spec.remove(*field)));
        spec
    };
    if fixed(now) != fixed(before) {
        errors.forbidden("spec", "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden");
    }
}
