//! The status of a Job, which others than the cluster's own controller may write: what of it changes has to be true.

use super::field::{Errors, list, same, shown, text};
use super::job_policy::{count_indexes, interval};
use serde_json::Value;
use std::collections::BTreeSet;

const CONDITIONS: &str = "status.conditions";
const COMPLETED: &str = "status.completedIndexes";
const FAILED: &str = "status.failedIndexes";

/// A Job, as its conditions, its counts and the rest of its status have it.
#[derive(Clone, Copy)]
struct State<'a> {
    spec: &'a Value,
    status: &'a Value,
}

impl<'a> State<'a> {
    fn of(job: &'a Value) -> Self {
        Self { spec: &job["spec"], status: &job["status"] }
    }

    fn is(self, condition: &str) -> bool {
        self.has(condition, "True")
    }

    fn has(self, condition: &str, status: &str) -> bool {
        list(&self.status["conditions"]).iter().any(|one| one["type"] == condition && one["status"] == status)
    }

    fn is_finished(self) -> bool {
        self.is("Complete") || self.is("Failed")
    }

    fn count(self, field: &str) -> i64 {
        self.status[field].as_i64().unwrap_or_default()
    }

    fn is_indexed(self) -> bool {
        self.spec["completionMode"] == "Indexed"
    }
}

pub(super) fn check(new: &Value, old: &Value, errors: &mut Errors) {
    let (now, before) = (State::of(new), State::of(old));
    check_counts(now, errors);
    check_end(now, before, errors);
    check_rest(now, before, errors);
    check_indexes(now, before, errors);
    check_success(now, errors);
    check_change(now, before, errors);
}

/// Numbers, and pods that have ended and are not counted yet.
fn check_counts(now: State<'_>, errors: &mut Errors) {
    for field in ["active", "succeeded", "failed", "ready", "terminating"] {
        errors.non_negative(format!("status.{field}"), &now.status[field]);
    }
    let mut seen = BTreeSet::new();
    for field in ["succeeded", "failed"] {
        for (at, uid) in list(&now.status["uncountedTerminatedPods"][field]).iter().enumerate() {
            let path = format!("status.uncountedTerminatedPods.{field}[{at}]");
            if text(uid).is_empty() {
                errors.invalid_text(path, "", "must not be empty");
            } else if !seen.insert(text(uid)) {
                errors.duplicate(path, uid);
            }
        }
    }
}

/// How a Job says that it has ended, and when.
fn check_end(now: State<'_>, before: State<'_>, errors: &mut Errors) {
    let turned = |condition: &str| now.is(condition) != before.is(condition);
    let (begun, ended) = (&now.status["startTime"], &now.status["completionTime"]);
    let (is_begun_new, is_ended_new) =
        (*begun != before.status["startTime"], *ended != before.status["completionTime"]);
    let (is_complete, is_failed) = (now.is("Complete"), now.is("Failed"));
    if (turned("Complete") || turned("Failed")) && is_complete && is_failed {
        errors.invalid_whole(CONDITIONS, "cannot set Complete=True and Failed=true conditions");
    }
    if (turned("Complete") || turned("FailureTarget")) && is_complete && now.is("FailureTarget") {
        errors.invalid_whole(CONDITIONS, "cannot set Complete=True and FailureTarget=true conditions");
    }
    let path = "status.completionTime";
    if turned("Complete") || is_ended_new {
        if !ended.is_null() && !is_complete {
            errors.invalid(path, ended, "cannot set completionTime when there is no Complete=True condition");
        }
        if ended.is_null() && is_complete {
            errors.required(path, "completionTime is required for Complete jobs");
        }
    }
    // Times are all written in one way, by which they come in their order.
    if (is_begun_new || is_ended_new) && !begun.is_null() && !ended.is_null() && text(ended) < text(begun) {
        errors.invalid(path, ended, "must be equal to or after `startTime`");
    }
    let indexes_failed = now.status["failedIndexes"] != before.status["failedIndexes"];
    if (turned("Failed") || indexes_failed) && is_failed && !now.is("FailureTarget") {
        errors.invalid_whole(CONDITIONS, "cannot set Failed=True condition without the FailureTarget=true condition");
    }
    if (turned("Complete") || turned("SuccessCriteriaMet")) && is_complete && !now.is("SuccessCriteriaMet") {
        let told = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition";
        errors.invalid_whole(CONDITIONS, told);
    }
}

/// What a Job that has ended has no more of.
fn check_rest(now: State<'_>, before: State<'_>, errors: &mut Errors) {
    if !now.is_finished() {
        return;
    }
    let turned = !before.is_finished();
    let changed = |field: &str| turned || !same(&now.status[field], &before.status[field]);
    let active = now.count("active");
    if (turned || active != before.count("active")) && active > 0 {
        errors.invalid("status.active", &Value::from(active), "active>0 is invalid for finished job");
    }
    let had_nothing_to_do = now.spec["suspend"] == true && now.spec["completions"] == 0;
    if changed("startTime") && !had_nothing_to_do && now.status["startTime"].is_null() {
        errors.required("status.startTime", "startTime is required for finished job");
    }
    let uncounted = &now.status["uncountedTerminatedPods"];
    let all = ["succeeded", "failed"].map(|field| &uncounted[field]);
    if changed("uncountedTerminatedPods") && all.iter().any(|pods| !list(pods).is_empty()) {
        let told = format!("{{\"Succeeded\":{},\"Failed\":{}}}", shown(all[0]), shown(all[1]));
        errors.invalid_as("status.uncountedTerminatedPods", &told, "must be empty for finished job");
    }
}

/// Which indexes have succeeded, and which have failed.
fn check_indexes(now: State<'_>, before: State<'_>, errors: &mut Errors) {
    let (completed, failed) = (text(&now.status["completedIndexes"]), &now.status["failedIndexes"]);
    let completed_new = completed != text(&before.status["completedIndexes"]);
    let failed_new = *failed != before.status["failedIndexes"];
    let (completions, each) = (now.spec["completions"].as_i64(), !now.spec["backoffLimitPerIndex"].is_null());
    if let Some(why) = completions.filter(|_| completed_new).and_then(|all| count_indexes(completed, all).err()) {
        errors.invalid_text(COMPLETED, completed, &format!("error parsing completedIndexes: {why}"));
    }
    let told = failed.as_str();
    if let Some(why) = completions.filter(|_| failed_new && each).and_then(|all| count_indexes(told?, all).err()) {
        errors.invalid(FAILED, failed, &format!("error parsing failedIndexes: {why}"));
    }
    if completed_new && !completed.is_empty() && !now.is_indexed() {
        let told = "cannot set non-empty completedIndexes when non-indexed completion mode";
        errors.invalid_text(COMPLETED, completed, told);
    }
    if failed_new && !each && told.is_some() {
        errors.invalid(FAILED, failed, "cannot set non-null failedIndexes when backoffLimitPerIndex is null");
    }
    if let Some(at) = completions.filter(|_| failed_new || completed_new).and_then(|all| shared(completed, told?, all))
    {
        errors.invalid(FAILED, failed, &format!("failedIndexes and completedIndexes overlap at index: {at}"));
    }
    if now.is_finished()
        && (!before.is_finished() || now.status["terminating"] != before.status["terminating"])
        && now.count("terminating") > 0
    {
        errors.invalid("status.terminating", &now.status["terminating"], "terminating>0 is invalid for finished job");
    }
    let changed = now.status["ready"] != before.status["ready"] || now.count("active") != before.count("active");
    if changed && now.status["ready"].as_i64().is_some_and(|ready| ready > now.count("active")) {
        errors.invalid("status.ready", &now.status["ready"], "cannot set more ready pods than active");
    }
}

/// The first index that two texts name both; what can't be read of them names none.
fn shared(completed: &str, failed: &str, completions: i64) -> Option<i64> {
    let read = |text: &str| -> Vec<(i64, i64)> {
        text.split(',').filter_map(|part| interval(part, completions).ok()).collect()
    };
    let (completed, failed) = (read(completed), read(failed));
    let (mut one, mut other) = (completed.iter().peekable(), failed.iter().peekable());
    while let (Some((from, to)), Some((start, end))) = (one.peek(), other.peek()) {
        if from <= end && start <= to {
            return Some(*from.max(start));
        }
        if from <= start {
            one.next()
        } else {
            other.next()
        };
    }
    None
}

/// What goes with a success that was told early.
fn check_success(now: State<'_>, errors: &mut Errors) {
    let is_met = now.is("SuccessCriteriaMet");
    if is_met && now.is("Failed") {
        errors.invalid_whole(CONDITIONS, "cannot set SuccessCriteriaMet=True and Failed=true conditions");
    }
    if is_met && now.is("FailureTarget") {
        errors.invalid_whole(CONDITIONS, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
    }
    if !now.spec["successPolicy"].is_null() && !is_met && now.is("Complete") {
        let told = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True";
        errors.invalid_whole(CONDITIONS, told);
    }
}

/// What was told once and stays.
fn check_change(now: State<'_>, before: State<'_>, errors: &mut Errors) {
    for condition in ["Failed", "Complete", "FailureTarget"] {
        if before.is(condition) && !now.is(condition) {
            errors.invalid_whole(CONDITIONS, &format!("cannot disable the terminal {condition}=True condition"));
        }
    }
    // What is as wide as it is long may be made smaller.
    let may_shrink = now.is_indexed() && now.spec["completions"] == now.spec["parallelism"];
    for field in ["failed", "succeeded"] {
        let count = now.count(field);
        if count < before.count(field) && (field == "failed" || !may_shrink) {
            errors.invalid(
                format!("status.{field}"),
                &Value::from(count),
                &format!("cannot decrease the {field} counter"),
            );
        }
    }
    let (ended, had_ended) = (&now.status["completionTime"], &before.status["completionTime"]);
    if !ended.is_null() && !had_ended.is_null() && ended != had_ended {
        errors.invalid("status.completionTime", ended, "field is immutable");
    }
    let (begun, had_begun) = (&now.status["startTime"], &before.status["startTime"]);
    let resumes = before.is("Suspended") && now.has("Suspended", "False");
    if !had_begun.is_null() && begun != had_begun && !resumes && now.spec["suspend"] != true {
        errors.invalid("status.startTime", begun, "field is immutable for unsuspended job once set");
    }
    let (is_met, was_met) = (now.is("SuccessCriteriaMet"), before.is("SuccessCriteriaMet"));
    if was_met && !is_met {
        errors.invalid_whole(CONDITIONS, "cannot disable the SuccessCriteriaMet=True condition");
    }
    if before.is("Complete") && !was_met && is_met {
        let told = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions";
        errors.invalid_whole(CONDITIONS, told);
    }
}
