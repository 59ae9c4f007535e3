//! `PodSecurity`: pods of a namespace keep to the standard that its labels name.
//!
//! Upstream checks a pod by the rules of the version that a label names; here there is one set of rules, that of
//! this version, whatever version is named.

mod baseline;
mod policy;
mod restricted;
#[cfg(test)]
mod tests;

use super::{Plugin, is, items};
use crate::registry::admit::{Operation, Question};
use async_trait::async_trait;
use policy::{Level, Policy};
use serde_json::Value;
use std::collections::BTreeMap;
use tinyplane_wire::meta::Meta;
use tinyplane_wire::status::{self, Status};

/// Most pods of a namespace that are looked at when its labels change.
const PODS_LOOKED_AT_MAX: usize = 3_000;

/// Where the kinds that make pods have their pod, by group and plural.
const TEMPLATES: [(&str, &str, &str); 8] = [
    ("", "podtemplates", "/template"),
    ("", "replicationcontrollers", "/spec/template"),
    ("apps", "daemonsets", "/spec/template"),
    ("apps", "deployments", "/spec/template"),
    ("apps", "replicasets", "/spec/template"),
    ("apps", "statefulsets", "/spec/template"),
    ("batch", "cronjobs", "/spec/jobTemplate/spec/template"),
    ("batch", "jobs", "/spec/template"),
];

/// The plugin.
pub(super) struct PodSecurity;

/// What breaks a standard: a short reason, and where.
pub(super) struct Violation {
    reason: &'static str,
    detail: String,
}

#[async_trait]
impl Plugin for PodSecurity {
    fn name(&self) -> &'static str {
        "PodSecurity"
    }

    fn concerns(&self, question: &Question<'_>) -> bool {
        let writes = matches!(question.operation, Operation::Create | Operation::Update);
        let part = match question.subresource {
            "" => true,
            "ephemeralcontainers" | "resize" => is(question, "", "pods"),
            _ => false,
        };
        writes && part && (is(question, "", "namespaces") || is(question, "", "pods") || template(question).is_some())
    }

    async fn validate(&self, question: &Question<'_>, object: &Value) -> status::Result<()> {
        if is(question, "", "namespaces") {
            return of_namespace(question, object);
        }
        let Some(namespace) = question.registry.find("", "namespaces", "", question.namespace)? else {
            return Err(Status::internal(format!("failed to lookup namespace {}", question.namespace)));
        };
        let (policy, wrong) = Policy::of(&namespace);
        let Some(place) = template(question) else {
            if question.old.is_some_and(|old| !matters(object, old)) {
                return Ok(());
            }
            return of_pod(question, &policy, !wrong.is_empty(), object);
        };
        if let Some(template) = object.pointer(place) {
            warn(question, policy.warn, template);
        }
        Ok(())
    }
}

fn template(question: &Question<'_>) -> Option<&'static str> {
    let (group, plural) = (&question.resource.stored.group, &question.resource.plural);
    TEMPLATES.iter().find(|(g, p, _)| g == group && p == plural).map(|(_, _, place)| *place)
}

/// Whether an update of a pod makes it worth another look: its containers or their images changed, or the notes that
/// once held profiles.
fn matters(new: &Value, old: &Value) -> bool {
    let bare = |pod: &Value| {
        let spec = &pod["spec"];
        let parts = ["initContainers", "containers", "ephemeralContainers"].map(|field| {
            items(&spec[field]).map(|one| (one["name"].clone(), one["image"].clone())).collect::<Vec<_>>()
        });
        let notes = pod["metadata"]["annotations"].as_object().into_iter().flatten();
        let notes: BTreeMap<String, Value> = notes
            .filter(|(key, _)| key.contains("apparmor") || key.contains("seccomp"))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        (parts, notes)
    };
    bare(new) != bare(old)
}

fn of_pod(question: &Question<'_>, policy: &Policy, unreadable: bool, pod: &Value) -> status::Result<()> {
    // Labels that can't be read stand for the strictest standard.
    let enforced = if unreadable { policy.enforce.at_least(Level::Restricted) } else { policy.enforce };
    let violations = violations(enforced.level, pod);
    if !violations.is_empty() {
        let why = format!("violates PodSecurity {:?}: {}", enforced.to_string(), told(&violations));
        return Err(super::forbidden(question, &why));
    }
    warn(question, policy.warn, pod);
    Ok(())
}

/// Tells an author what will not be let through.
fn warn(question: &Question<'_>, standard: policy::Standard, pod: &Value) {
    let violations = violations(standard.level, pod);
    if !violations.is_empty() {
        let text = format!("would violate PodSecurity {:?}: {}", standard.to_string(), told(&violations));
        question.intent.warnings.add(text);
    }
}

/// The labels of a namespace: read when it is made, and held against its pods when they grow stricter.
fn of_namespace(question: &Question<'_>, namespace: &Value) -> status::Result<()> {
    let (policy, wrong) = Policy::of(namespace);
    let before = question.old.map(Policy::of);
    if !wrong.is_empty() && before.as_ref().is_none_or(|(_, known)| *known != wrong) {
        return Err(Status::invalid("", "Namespace", question.name, wrong));
    }
    let Some((before, _)) = before else { return Ok(()) };
    let (new, old) = (policy.enforce, before.enforce);
    let relaxed = new.version == old.version && new.level <= old.level;
    if new == old || new.level == Level::Privileged || relaxed {
        return Ok(());
    }
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pod in question.registry.find_all("", "pods", question.name)?.iter().take(PODS_LOOKED_AT_MAX) {
        let violations = violations(new.level, pod);
        if !violations.is_empty() {
            let reasons: Vec<&str> = violations.iter().map(|one| one.reason).collect();
            found.entry(reasons.join(", ")).or_default().push(Meta::of(pod).name().to_owned());
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    let warnings = question.intent.warnings;
    warnings.add(format!(
        "existing pods in namespace {:?} violate the new PodSecurity enforce level {:?}",
        question.name,
        new.to_string()
    ));
    for (reasons, pods) in found {
        let others = match pods.len() - 1 {
            0 => String::new(),
            1 => " (and 1 other pod)".to_owned(),
            more => format!(" (and {more} other pods)"),
        };
        warnings.add(format!("{}{others}: {reasons}", pods[0]));
    }
    Ok(())
}

/// What breaks a level, in upstream's order.
fn violations(level: Level, pod: &Value) -> Vec<Violation> {
    match level {
        Level::Privileged => Vec::new(),
        Level::Baseline => baseline::check(pod),
        Level::Restricted => restricted::check(pod),
    }
}

fn told(violations: &[Violation]) -> String {
    let one = |violation: &Violation| match violation.detail.as_str() {
        "" => violation.reason.to_owned(),
        detail => format!("{} ({detail})", violation.reason),
    };
    violations.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// All containers of a pod: init containers, containers, ephemeral ones.
fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let spec = &pod["spec"];
    items(&spec["initContainers"]).chain(items(&spec["containers"])).chain(items(&spec["ephemeralContainers"]))
}

/// The names of the containers of which something holds.
fn named(pod: &Value, holds: impl Fn(&Value) -> bool) -> Vec<&str> {
    containers(pod).filter(|one| holds(one)).map(|one| one["name"].as_str().unwrap_or_default()).collect()
}

/// `container "a"` or `containers "a", "b"`.
fn container_names(names: &[&str]) -> String {
    format!("{} {}", plural("container", names.len()), quoted(names.iter().copied()))
}

fn quoted<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ")
}

/// A word, in the plural for more than one.
fn plural(word: &str, count: usize) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}
