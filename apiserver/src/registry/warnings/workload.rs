//! What makes pods of a template.

use super::claim_spec;
use super::pod::holder;
use crate::registry::cells::items;
use crate::registry::kinds::daemon_set::has_another_template;
use crate::validation::{Path, child, field};
use serde_json::Value;
use tinyplane_wire::meta::{Meta, dns_label};

/// From here on a job with an index for each pod may lose count of those that fail.
const COMPLETIONS_SOFT_MAX: i64 = 100_000;
/// As many pods at a time are still counted, however many there are in all.
const PARALLELISM_SOFT_MAX: i64 = 10_000;

/// Tells of a name of which pods' names are made.
fn name(new: &Value, old: Option<&Value>, out: &mut Vec<String>) {
    let complaints = if old.is_none() { dns_label(Meta::of(new).name()) } else { Vec::new() };
    if !complaints.is_empty() {
        let told = "this is used in Pod names and hostnames, which can result in surprising behavior";
        out.push(format!("metadata.name: {told}; a DNS label is recommended: [{}]", complaints.join(" ")));
    }
}

/// Whether a write is a new object, or changed what is counted.
fn counts(new: &Value, old: Option<&Value>) -> bool {
    old.is_none_or(|old| Meta::of(new).generation() != Meta::of(old).generation())
}

/// `Deployment`s and `ReplicaSet`s.
pub(in crate::registry) fn replicated(new: &Value, old: Option<&Value>) -> Vec<String> {
    let mut out = Vec::new();
    name(new, old, &mut out);
    if counts(new, old) {
        holder(&new["spec"]["template"], &Path::root("spec.template"), &mut out);
    }
    out
}

/// `ReplicationController`s: of a changed one upstream looks at the template that it had.
pub(in crate::registry) fn replication_controller(new: &Value, old: Option<&Value>) -> Vec<String> {
    let mut out = Vec::new();
    name(new, old, &mut out);
    if counts(new, old) {
        holder(&old.unwrap_or(new)["spec"]["template"], &Path::root("spec.template"), &mut out);
    }
    out
}

/// `DaemonSet`s, of which only a changed template is looked at again.
pub(in crate::registry) fn daemon_set(new: &Value, old: Option<&Value>) -> Vec<String> {
    let mut out = Vec::new();
    if old.is_none_or(|old| has_another_template(new, old)) {
        holder(&new["spec"]["template"], &Path::root("spec.template"), &mut out);
    }
    out
}

/// `StatefulSet`s.
pub(in crate::registry) fn stateful_set(new: &Value, old: Option<&Value>) -> Vec<String> {
    let (mut out, spec) = (Vec::new(), &new["spec"]);
    if counts(new, old) {
        holder(&spec["template"], &Path::root("spec.template"), &mut out);
    }
    for (at, claim) in items(&spec["volumeClaimTemplates"]).enumerate() {
        let path = field::index("spec.volumeClaimTemplates", at);
        // In updates upstream tells the path with one step more.
        let path = if old.is_some() { child(&path, "Spec") } else { path };
        claim_spec(&claim["spec"], &Path::root(&path), &mut out);
    }
    if spec["revisionHistoryLimit"].as_i64().is_some_and(|limit| limit < 0) {
        let told = "a negative value retains all historical revisions; a value >= 0 is recommended";
        out.push(format!("spec.revisionHistoryLimit: {told}"));
    }
    out
}

/// `PodTemplate`s.
pub(in crate::registry) fn pod_template(new: &Value, old: Option<&Value>) -> Vec<String> {
    let mut out = Vec::new();
    if counts(new, old) {
        holder(&new["template"], &Path::root("template"), &mut out);
    }
    out
}

fn job_spec(spec: &Value, path: &str, out: &mut Vec<String>) {
    let number = |field: &str| spec[field].as_i64().unwrap_or_default();
    let many = number("completions") > COMPLETIONS_SOFT_MAX && number("parallelism") > PARALLELISM_SOFT_MAX;
    if spec["completionMode"] == "Indexed" && many {
        let told = "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail";
        out.push(format!("{path}: {told}"));
    }
    holder(&spec["template"], &Path::root(path).child("template"), out);
}

/// Jobs.
pub(in crate::registry) fn job(new: &Value, old: Option<&Value>) -> Vec<String> {
    let mut out = Vec::new();
    name(new, old, &mut out);
    if counts(new, old) {
        job_spec(&new["spec"], "spec", &mut out);
    }
    out
}

/// `CronJob`s.
pub(in crate::registry) fn cron_job(new: &Value, old: Option<&Value>) -> Vec<String> {
    let mut out = Vec::new();
    name(new, old, &mut out);
    if counts(new, old) {
        job_spec(&new["spec"]["jobTemplate"]["spec"], "spec.jobTemplate.spec", &mut out);
    }
    if old.is_some() && new["spec"]["schedule"].as_str().is_some_and(|schedule| schedule.contains("TZ")) {
        out.push("cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details".into());
    }
    out
}
