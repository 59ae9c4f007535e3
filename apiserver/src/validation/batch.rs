//! Jobs and CronJobs.

use super::field::{Errors, child, text};
use super::{cron, pod};
use serde_json::Value;

/// Longest name of a CronJob: its Jobs' names are eleven bytes longer.
const CRON_JOB_NAME_BYTES_MAX: usize = 52;

pub(super) fn check_job(job: &Value, errors: &mut Errors) {
    check_job_spec(&job["spec"], "spec", errors);
    if job["spec"]["selector"].is_null() {
        errors.required("spec.selector", "");
    }
}

fn check_job_spec(spec: &Value, path: &str, errors: &mut Errors) {
    for field in ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"] {
        errors.non_negative(child(path, field), &spec[field]);
    }
    let mode = text(&spec["completionMode"]);
    if !mode.is_empty() && !["NonIndexed", "Indexed"].contains(&mode) {
        errors.unsupported(child(path, "completionMode"), mode, &["NonIndexed", "Indexed"]);
    }
    if mode == "Indexed" && spec["completions"].is_null() {
        errors.required(child(path, "completions"), "when completion mode is Indexed");
    }
    let template = child(path, "template");
    pod::check_template(&spec["template"], &template, errors);
    let restart = text(&spec["template"]["spec"]["restartPolicy"]);
    if !["OnFailure", "Never"].contains(&restart) {
        let at = child(&template, "spec.restartPolicy");
        if restart == "Always" || restart.is_empty() {
            errors.required(at, "valid values: \"OnFailure\", \"Never\"");
        } else {
            errors.unsupported(at, restart, &["OnFailure", "Never"]);
        }
    }
}

pub(super) fn check_job_update(new: &Value, old: &Value, errors: &mut Errors) {
    let (now, before) = (&new["spec"], &old["spec"]);
    for field in
        ["selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"]
    {
        errors.immutable(format!("spec.{field}"), &now[field], &before[field]);
    }
    if now["completionMode"] != "Indexed" {
        errors.immutable("spec.completions", &now["completions"], &before["completions"]);
    }
    let never_started = before["suspend"].as_bool() == Some(true) && old["status"]["startTime"].is_null();
    if !never_started {
        errors.immutable("spec.template", &now["template"], &before["template"]);
    }
}

pub(super) fn check_cron_job(job: &Value, errors: &mut Errors) {
    if text(&job["metadata"]["name"]).len() > CRON_JOB_NAME_BYTES_MAX {
        errors.invalid("metadata.name", &job["metadata"]["name"], "must be no more than 52 characters");
    }
    let spec = &job["spec"];
    let schedule = text(&spec["schedule"]);
    if schedule.is_empty() {
        errors.required("spec.schedule", "");
    } else if let Some(told) = cron::complaint(schedule) {
        errors.invalid_text("spec.schedule", schedule, &told);
    }
    if schedule.contains("TZ") && !spec["timeZone"].is_null() {
        let told = "cannot use both timeZone field and TZ or CRON_TZ in schedule";
        errors.invalid_text("spec.schedule", schedule, told);
    }
    match spec["timeZone"].as_str() {
        Some("") => errors.invalid_text("spec.timeZone", "", "timeZone must be nil or non-empty string"),
        Some(zone) if zone.eq_ignore_ascii_case("local") => {
            let told = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
            errors.invalid_text("spec.timeZone", zone, told);
        }
        _ => {}
    }
    errors.one_of("spec.concurrencyPolicy", &spec["concurrencyPolicy"], &["Allow", "Forbid", "Replace"]);
    for field in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        errors.non_negative(format!("spec.{field}"), &spec[field]);
    }
    check_job_spec(&spec["jobTemplate"]["spec"], "spec.jobTemplate.spec", errors);
}

/// What a new schedule may not say any more, and an old one may go on saying.
pub(super) fn check_new_schedule(job: &Value, errors: &mut Errors) {
    let (schedule, zone) = (text(&job["spec"]["schedule"]), &job["spec"]["timeZone"]);
    if schedule.contains("TZ") && zone.is_null() {
        let told = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        errors.invalid_text("spec.schedule", schedule, told);
    }
}
