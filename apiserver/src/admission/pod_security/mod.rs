//! `PodSecurity`: pods of a namespace keep to the standard that its labels name, by the rules of the version that they name.

mod baseline;
mod policy;
mod restricted;
#[cfg(test)]
mod tests;

use super::{Plugin, is, items};
use crate::metrics::Metrics;
use crate::registry::admit::{Operation, Question};
use async_trait::async_trait;
use policy::{Level, Policy, Standard};
use serde_json::Value;
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tinyplane_wire::meta::Meta;
use tinyplane_wire::status::{self, Cause, Status};

/// Most pods of a namespace that are looked at when its labels change.
const PODS_LOOKED_AT_MAX: usize = 3_000;

/// What the audit log is told: the standard that was enforced, what breaks the one that is audited, and what went wrong.
const ENFORCED: &str = "pod-security.kubernetes.io/enforce-policy";
const VIOLATIONS: &str = "pod-security.kubernetes.io/audit-violations";
const ERROR: &str = "pod-security.kubernetes.io/error";

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
pub(super) struct PodSecurity {
    /// Where what was found is counted.
    pub(super) metrics: Arc<Metrics>,
}

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
        let place = template(question);
        if wrong.is_empty() && policy.is_privileged() {
            if place.is_none() {
                question.intent.warnings.note(ENFORCED, || policy.enforce.to_string());
                self.count(question, true, "enforce", policy.enforce);
            }
            return Ok(());
        }
        let pod = match place {
            Some(place) => object.pointer(place),
            None => Some(object).filter(|_| question.old.is_none_or(|old| matters(object, old))),
        };
        let Some(pod) = pod else { return Ok(()) };
        if !wrong.is_empty() {
            question.intent.warnings.note(ERROR, || format!("Failed to parse policy: {}", causes(&wrong)));
        }
        self.check(question, &policy, pod, place.is_none())
    }
}

impl PodSecurity {
    /// Checks a pod, or the template of pods, which only pods themselves are refused for.
    fn check(&self, question: &Question<'_>, policy: &Policy, pod: &Value, enforces: bool) -> status::Result<()> {
        let warnings = question.intent.warnings;
        let would = |standard: Standard| {
            let violations = violations(standard, pod);
            let told = || format!("would violate PodSecurity {:?}: {}", standard.to_string(), told(&violations));
            (!violations.is_empty()).then(told)
        };
        let mut refused = None;
        if enforces {
            warnings.note(ENFORCED, || policy.enforce.to_string());
            let violations = violations(policy.enforce, pod);
            if !violations.is_empty() {
                let why = format!("violates PodSecurity {:?}: {}", policy.enforce.to_string(), told(&violations));
                refused = Some(super::forbidden(question, &why));
            }
            self.count(question, refused.is_none(), "enforce", policy.enforce);
        }
        if let Some(text) = would(policy.audit) {
            warnings.note(VIOLATIONS, || text);
            self.count(question, false, "audit", policy.audit);
        }
        if let Some(refused) = refused {
            return Err(refused);
        }
        if let Some(text) = would(policy.warn) {
            warnings.add(text);
            self.count(question, false, "warn", policy.warn);
        }
        Ok(())
    }

    fn count(&self, question: &Question<'_>, allowed: bool, mode: &'static str, standard: Standard) {
        let decision = if allowed { "allow" } else { "deny" };
        let operation = if question.operation == Operation::Create { "create" } else { "update" };
        let resource = if is(question, "", "pods") { "pod" } else { "controller" };
        let (level, version) = standard.labels();
        let part = question.subresource.to_owned();
        let labels = (decision, mode, level, version, operation, resource, part);
        self.metrics.pod_security.with(&labels, |count| {
            count.fetch_add(1, Ordering::Relaxed);
        });
    }
}

/// Several causes as Go tells of them together.
fn causes(wrong: &[Cause]) -> String {
    let told: Vec<String> = wrong.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
    if told.len() == 1 { told.concat() } else { format!("[{}]", told.join(", ")) }
}

fn template(question: &Question<'_>) -> Option<&'static str> {
    let (group, plural) = (&question.resource.stored.group, &question.resource.plural);
    TEMPLATES.iter().find(|(g, p, _)| g == group && p == plural).map(|(_, _, place)| *place)
}

/// Whether an update of a pod makes it worth another look: its containers or their images changed.
fn matters(new: &Value, old: &Value) -> bool {
    let images = |pod: &Value, field: &str| -> Vec<Value> {
        items(&pod["spec"][field]).map(|container| container["image"].clone()).collect()
    };
    let changed = |field: &str| images(new, field) != images(old, field);
    let known = |one: &Value| {
        let mut before = items(&old["spec"]["ephemeralContainers"]).filter(|known| known["name"] == one["name"]);
        before.next().is_some_and(|known| known["image"] == one["image"])
    };
    changed("containers") || changed("initContainers") || !items(&new["spec"]["ephemeralContainers"]).all(known)
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
    let warnings = question.intent.warnings;
    let pods = one_of_each(&question.registry.find_all("", "pods", question.name)?);
    if pods.len() > PODS_LOOKED_AT_MAX {
        warnings.add(format!(
            "new PodSecurity enforce level only checked against the first {PODS_LOOKED_AT_MAX} of {} existing pods",
            pods.len()
        ));
    }
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pod in pods.iter().take(PODS_LOOKED_AT_MAX) {
        let violations = violations(new, pod);
        if !violations.is_empty() {
            let reasons: Vec<&str> = violations.iter().map(|one| one.reason).collect();
            found.entry(reasons.join(", ")).or_default().push(Meta::of(pod).name().to_owned());
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    warnings.add(format!(
        "existing pods in namespace {:?} violate the new PodSecurity enforce level {:?}",
        question.name,
        new.to_string()
    ));
    let mut told = Vec::new();
    for (reasons, mut pods) in found {
        pods.sort_unstable();
        let others = match pods.len() - 1 {
            0 => String::new(),
            1 => " (and 1 other pod)".to_owned(),
            more => format!(" (and {more} other pods)"),
        };
        told.push(format!("{}{others}: {reasons}", pods[0]));
    }
    told.sort_unstable();
    told.into_iter().for_each(|text| warnings.add(text));
    Ok(())
}

/// All pods, of those that one owner controls the first before all the others.
fn one_of_each<P: Borrow<Value> + Clone>(pods: &[P]) -> Vec<P> {
    let mut seen = BTreeSet::new();
    let (mut first, mut others) = (Vec::new(), Vec::new());
    for pod in pods {
        let owner = Meta::of(pod.borrow()).controller().and_then(|owner| owner["uid"].as_str());
        let is_new = owner.is_none_or(|uid| seen.insert(uid.to_owned()));
        if is_new { first.push(pod.clone()) } else { others.push(pod.clone()) }
    }
    first.extend(others);
    first
}

/// What breaks a standard, in upstream's order: baseline first.
fn violations(standard: Standard, pod: &Value) -> Vec<Violation> {
    let minor = standard.minor();
    match standard.level {
        Level::Privileged => Vec::new(),
        Level::Baseline => baseline::check(minor, pod, false),
        Level::Restricted => {
            let mut found = baseline::check(minor, pod, true);
            found.extend(restricted::check(minor, pod));
            found
        }
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
