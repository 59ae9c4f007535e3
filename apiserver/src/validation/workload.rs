//! Deployments, `ReplicaSet`s, `DaemonSet`s, `StatefulSet`s, `ReplicationController`s and `ControllerRevision`s.

use super::field::{Errors, Path, child, index, list, same, text};
use super::share::{at_most_whole, check_share, is_nothing};
use super::{claim, internal, pod, selector};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tinyplane_wire::meta::dns_label;
use tinyplane_wire::selector::LabelSelector;

pub(super) fn check(kind: &str, object: &Value, errors: &mut Errors) {
    let spec = &object["spec"];
    match kind {
        "Deployment" => check_deployment(spec, errors),
        "ReplicaSet" => {
            errors.non_negative("spec.replicas", &spec["replicas"]);
            errors.non_negative("spec.minReadySeconds", &spec["minReadySeconds"]);
            check_replicated(spec, errors);
        }
        "DaemonSet" => check_daemon_set(spec, errors),
        _ => check_stateful_set(spec, false, errors),
    }
}

pub(super) fn check_new_stateful_set(set: &Value, errors: &mut Errors) {
    check_stateful_set(&set["spec"], true, errors);
}

fn check_deployment(spec: &Value, errors: &mut Errors) {
    errors.non_negative("spec.replicas", &spec["replicas"]);
    check_replicated(spec, errors);
    check_deployment_strategy(&spec["strategy"], errors);
    errors.non_negative("spec.minReadySeconds", &spec["minReadySeconds"]);
    errors.non_negative("spec.revisionHistoryLimit", &spec["revisionHistoryLimit"]);
    if let Some(deadline) = spec["progressDeadlineSeconds"].as_i64() {
        let path = "spec.progressDeadlineSeconds";
        errors.non_negative(path, &spec["progressDeadlineSeconds"]);
        if deadline <= spec["minReadySeconds"].as_i64().unwrap_or_default() {
            errors.invalid(path, &spec["progressDeadlineSeconds"], "must be greater than minReadySeconds");
        }
    }
}

/// The selector and template of a Deployment or `ReplicaSet`, which upstream tells of in the same words.
fn check_replicated(spec: &Value, errors: &mut Errors) {
    let selector = check_selector(spec, "empty selector is invalid for deployment", "invalid label selector", errors);
    if let Some(selector) = selector {
        check_labels(spec, selector.as_ref(), errors);
        pod::check_template(&spec["template"], &Path::root("spec.template"), errors);
        check_always(spec, "ReplicaSet", errors);
    }
}

/// A selector has to be there and to select something. Gives it where the template can be held against it; a missing one
/// is none, which selects nothing.
fn check_selector(spec: &Value, if_empty: &str, if_odd: &str, errors: &mut Errors) -> Option<Option<LabelSelector>> {
    let (value, path) = (&spec["selector"], "spec.selector");
    let mut own = Errors::default();
    if value.is_null() {
        errors.required(path, "");
    } else {
        selector::check(value, &Path::root(path), &mut own);
    }
    let is_odd = !own.is_empty();
    errors.append(own);
    if !value.is_null() && is_empty(value) {
        errors.invalid_as(path, "{}", if_empty);
    }
    match LabelSelector::from_object(value) {
        Ok(selector) if !is_odd => Some(selector),
        _ => {
            errors.invalid_as(path, &internal::shown("LabelSelector", value), if_odd);
            None
        }
    }
}

fn is_empty(selector: &Value) -> bool {
    selector["matchLabels"].as_object().is_none_or(serde_json::Map::is_empty)
        && list(&selector["matchExpressions"]).is_empty()
}

fn check_labels(spec: &Value, selector: Option<&LabelSelector>, errors: &mut Errors) {
    if selector.is_none_or(|selector| !selector.is_empty() && !selector.selects(&spec["template"])) {
        let labels = &spec["template"]["metadata"]["labels"];
        errors.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`");
    }
}

/// Pods that are replaced when they end can't end by themselves.
fn check_always(spec: &Value, kind: &str, errors: &mut Errors) {
    let template = &spec["template"]["spec"];
    if template["restartPolicy"] != "Always" {
        errors.unsupported("spec.template.spec.restartPolicy", text(&template["restartPolicy"]), &["Always"]);
    }
    if template["activeDeadlineSeconds"].is_number() {
        let told = format!("activeDeadlineSeconds in {kind} is not Supported");
        errors.forbidden("spec.template.spec.activeDeadlineSeconds", &told);
    }
}

fn check_deployment_strategy(strategy: &Value, errors: &mut Errors) {
    let (rolling, path) = (&strategy["rollingUpdate"], "spec.strategy.rollingUpdate");
    match text(&strategy["type"]) {
        "Recreate" if rolling.is_object() => {
            errors.forbidden(path, "may not be specified when strategy `type` is 'Recreate'");
        }
        "Recreate" => {}
        "RollingUpdate" if !rolling.is_object() => {
            errors.required(path, "this should be defaulted and never be nil");
        }
        "RollingUpdate" => {
            let [unavailable, surge] =
                ["maxUnavailable", "maxSurge"].map(|field| (&rolling[field], child(path, field)));
            check_share(unavailable.0, &unavailable.1, errors);
            check_share(surge.0, &surge.1, errors);
            if is_nothing(unavailable.0) && is_nothing(surge.0) {
                errors.invalid(&unavailable.1, unavailable.0, "may not be 0 when `maxSurge` is 0");
            }
            at_most_whole(unavailable.0, &unavailable.1, errors);
        }
        _ => {
            let told = internal::shown("DeploymentStrategy", strategy);
            errors.unsupported_as("spec.strategy", &told, &["Recreate", "RollingUpdate"]);
        }
    }
}

fn check_daemon_set(spec: &Value, errors: &mut Errors) {
    let path = "spec.selector";
    let mut own = Errors::default();
    selector::check(&spec["selector"], &Path::root(path), &mut own);
    let is_odd = !own.is_empty();
    errors.append(own);
    // Nothing matches a selector that is missing; one that is wrong is not asked.
    let fits = match LabelSelector::from_object(&spec["selector"]) {
        _ if is_odd => true,
        Ok(Some(selector)) => selector.selects(&spec["template"]),
        Ok(None) => false,
        Err(_) => true,
    };
    if !fits {
        let labels = &spec["template"]["metadata"]["labels"];
        errors.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`");
    }
    if spec["selector"].is_object() && is_empty(&spec["selector"]) {
        errors.invalid_as(path, "{}", "empty selector is invalid for daemonset");
    }
    pod::check_template(&spec["template"], &Path::root("spec.template"), errors);
    check_always(spec, "DaemonSet", errors);
    errors.non_negative("spec.minReadySeconds", &spec["minReadySeconds"]);
    check_daemon_strategy(&spec["updateStrategy"], errors);
    errors.non_negative("spec.revisionHistoryLimit", &spec["revisionHistoryLimit"]);
}

fn check_daemon_strategy(strategy: &Value, errors: &mut Errors) {
    let (rolling, path) = (&strategy["rollingUpdate"], "spec.updateStrategy.rollingUpdate");
    match text(&strategy["type"]) {
        "OnDelete" => {}
        "RollingUpdate" if !rolling.is_object() => errors.required(path, ""),
        "RollingUpdate" => {
            let [unavailable, surge] =
                ["maxUnavailable", "maxSurge"].map(|field| (&rolling[field], child(path, field)));
            check_share(unavailable.0, &unavailable.1, errors);
            check_share(surge.0, &surge.1, errors);
            at_most_whole(unavailable.0, &unavailable.1, errors);
            at_most_whole(surge.0, &surge.1, errors);
            match (is_nothing(unavailable.0), is_nothing(surge.0)) {
                (false, false) => errors.invalid(surge.1, surge.0, "may not be set when maxUnavailable is non-zero"),
                (true, true) => errors.required(unavailable.1, "cannot be 0 when maxSurge is 0"),
                _ => {}
            }
        }
        _ => {
            let told = internal::shown("DaemonSetUpdateStrategy", strategy);
            errors.unsupported_as("spec.updateStrategy", &told, &["RollingUpdate", "OnDelete"]);
        }
    }
}

/// Claims and the Service's name are looked at in a new set alone, as they can't change later.
fn check_stateful_set(spec: &Value, is_new: bool, errors: &mut Errors) {
    match text(&spec["podManagementPolicy"]) {
        "" => errors.required("spec.podManagementPolicy", ""),
        "OrderedReady" | "Parallel" => {}
        other => errors.invalid_text("spec.podManagementPolicy", other, "must be 'OrderedReady' or 'Parallel'"),
    }
    check_stateful_strategy(&spec["updateStrategy"], errors);
    let policy = &spec["persistentVolumeClaimRetentionPolicy"];
    for field in ["whenDeleted", "whenScaled"].into_iter().filter(|_| policy.is_object()) {
        if !["Retain", "Delete"].contains(&text(&policy[field])) {
            let path = child("spec.persistentVolumeClaimRetentionPolicy", field);
            errors.unsupported(path, text(&policy[field]), &["Retain", "Delete"]);
        }
    }
    for (at, claim) in list(&spec["volumeClaimTemplates"]).iter().enumerate().filter(|_| is_new) {
        claim::check_spec(&claim["spec"], &child(&index("spec.volumeClaimTemplates", at), "spec"), errors);
    }
    errors.non_negative("spec.replicas", &spec["replicas"]);
    errors.non_negative("spec.minReadySeconds", &spec["minReadySeconds"]);
    errors.non_negative("spec.ordinals.start", &spec["ordinals"]["start"]);
    let service = text(&spec["serviceName"]);
    if is_new && !service.is_empty() {
        errors.grammar("spec.serviceName", service, dns_label(service));
    }
    let Some(selector) = check_selector(spec, "empty selector is invalid for statefulset", "", errors) else { return };
    check_labels(spec, selector.as_ref(), errors);
    let template = with_claims(spec);
    pod::check_template(&template, &Path::root("spec.template"), errors);
    pod::check_template_metadata(&template, &Path::root("spec.template"), errors);
    check_always(spec, "StatefulSet", errors);
}

/// The template as its controller completes it: with a volume for each claim, and named by the controller.
fn with_claims(spec: &Value) -> Value {
    let mut template = spec["template"].clone();
    let claims: Vec<&str> = list(&spec["volumeClaimTemplates"]).iter().map(|c| text(&c["metadata"]["name"])).collect();
    let Some(pod) = template.get_mut("spec").and_then(Value::as_object_mut) else { return template };
    pod.remove("subdomain");
    pod.remove("hostname");
    if !claims.is_empty() {
        let known: BTreeSet<&str> = claims.into_iter().collect();
        let made = known.iter().map(|name| json!({"name": name, "persistentVolumeClaim": {"claimName": name}}));
        let others = list(&spec["template"]["spec"]["volumes"]).iter();
        let others = others.filter(|volume| !known.contains(text(&volume["name"]))).cloned();
        let all: Vec<Value> = made.chain(others).collect();
        pod.insert("volumes".into(), all.into());
    }
    template
}

fn check_stateful_strategy(strategy: &Value, errors: &mut Errors) {
    let (rolling, path) = (&strategy["rollingUpdate"], "spec.updateStrategy");
    match text(&strategy["type"]) {
        "" => errors.required(path, ""),
        "OnDelete" if rolling.is_object() => {
            let told = internal::shown("RollingUpdateStatefulSetStrategy", rolling);
            errors.invalid_as(child(path, "rollingUpdate"), &told, "only allowed for updateStrategy 'RollingUpdate'");
        }
        "OnDelete" => {}
        "RollingUpdate" => {
            let most = &rolling["maxUnavailable"];
            errors.non_negative(child(path, "rollingUpdate.partition"), &rolling["partition"]);
            if !most.is_null() {
                let path = child(path, "rollingUpdate.maxUnavailable");
                check_share(most, &path, errors);
                if is_nothing(most) {
                    errors.invalid(&path, most, "cannot be 0");
                }
                at_most_whole(most, &path, errors);
            }
        }
        _ => {
            let told = internal::shown("StatefulSetUpdateStrategy", strategy);
            errors.invalid_as(path, &told, "must be 'RollingUpdate' or 'OnDelete'");
        }
    }
}

pub(super) fn check_replication_controller(object: &Value, errors: &mut Errors) {
    let spec = &object["spec"];
    errors.non_negative("spec.minReadySeconds", &spec["minReadySeconds"]);
    let selector = LabelSelector::from_map(&spec["selector"]);
    if selector.is_empty() {
        errors.required("spec.selector", "");
    }
    match spec["replicas"] {
        Value::Null => errors.required("spec.replicas", ""),
        _ => errors.non_negative("spec.replicas", &spec["replicas"]),
    }
    if spec["template"].is_null() {
        return errors.required("spec.template", "");
    }
    check_labels(spec, Some(&selector), errors);
    pod::check_template(&spec["template"], &Path::root("spec.template"), errors);
    check_always(spec, "ReplicationController", errors);
}

pub(super) fn check_revision(revision: &Value, errors: &mut Errors) {
    errors.non_negative("revision", &revision["revision"]);
}

/// Of a new revision the data are looked at too.
pub(super) fn check_new_revision(revision: &Value, errors: &mut Errors) {
    match &revision["data"] {
        Value::String(text) if text.trim_start().starts_with('{') => {}
        Value::Null => errors.required("data", "data is mandatory"),
        _ => errors.required("data", "data must be a valid JSON object"),
    }
}

/// What of a `StatefulSet` may change.
const CHANGEABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

pub(super) fn check_update(kind: &str, new: &Value, old: &Value, errors: &mut Errors) {
    let (now, before) = (&new["spec"], &old["spec"]);
    if kind != "StatefulSet" {
        errors.immutable_as("spec.selector", "*LabelSelector", &now["selector"], &before["selector"]);
        return;
    }
    let fields = now.as_object().into_iter().chain(before.as_object()).flat_map(|spec| spec.keys());
    let mut fixed = fields.filter(|field| !CHANGEABLE.contains(&field.as_str()));
    if !fixed.all(|field| same(&now[field], &before[field])) {
        errors.forbidden("spec", "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden");
    }
}
