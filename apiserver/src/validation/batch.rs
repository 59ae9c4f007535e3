//! Jobs and CronJobs.

use super::field::{Errors, Path, child, list, text};
use super::{cron, internal, job_policy, pod, pod_update, selector};
use serde_json::{Value, json};
use tinyplane_wire::meta::{Meta, dns_label};
use tinyplane_wire::selector::LabelSelector;

/// Longest name of a CronJob: its Jobs' names are eleven bytes longer.
const CRON_JOB_NAME_BYTES_MAX: usize = 52;
/// Longest name of another controller of a Job, in bytes.
const MANAGED_BY_BYTES_MAX: usize = 63;
/// Most pods at once, and most failed indexes, of an indexed Job.
const INDEXED_MAX: i64 = 100_000;
/// Completions above which an indexed Job with a limit for each index has the bounds of [`MANY_MAX`].
const COMPLETIONS_MANY: i64 = 100_000;
const MANY_MAX: i64 = 10_000;
/// Longest component of a time zone's name, in bytes.
const ZONE_PART_BYTES_MAX: usize = 14;
/// What of a suspended Job's template may change: where its pods go.
const SCHEDULING: [&str; 3] = ["nodeSelector", "tolerations", "schedulingGates"];

pub(super) fn check_job(job: &Value, errors: &mut Errors) {
    let spec = &job["spec"];
    check_job_spec(spec, "spec", errors);
    let mut own = Errors::default();
    if spec["selector"].is_null() {
        errors.required("spec.selector", "");
    } else {
        selector::check(&spec["selector"], &Path::root("spec.selector"), &mut own);
    }
    let is_odd = !own.is_empty();
    errors.append(own);
    // What is no selector is held against nothing.
    if let Ok(selector) = LabelSelector::from_object(&spec["selector"])
        && !is_odd
        && !selector.is_some_and(|selector| selector.selects(&spec["template"]))
    {
        let labels = &spec["template"]["metadata"]["labels"];
        errors.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`");
    }
}

/// What upstream asks of a Job as of a new one, whether it is new or changed: the labels that are made for it, what `check_job`
/// found already, and names of pods that could be.
pub(super) fn check_whole_job(job: &Value, old: Option<&Value>, found: Errors, errors: &mut Errors) {
    let (spec, meta) = (&job["spec"], Meta::of(job));
    if spec["manualSelector"] != true && !spec["selector"].is_null() {
        // A Job from before there were labels with a prefix goes on without them.
        let labels = old.map(|old| &old["spec"]["template"]["metadata"]["labels"]);
        let prefixed = labels.is_none_or(|had| PREFIXED.iter().all(|label| !had[*label].is_null()));
        check_generated(spec, meta, prefixed, errors);
    }
    errors.append(found);
    let last = spec["completions"].as_i64().filter(|count| *count > 0).map(|count| count - 1);
    if let Some(last) = last.filter(|_| spec["completionMode"] == "Indexed") {
        let host = format!("{}-{last}", meta.name());
        if !dns_label(&host).is_empty() {
            let told = format!("will not able to create pod with invalid DNS label: {host}");
            errors.invalid_text("metadata.name", meta.name(), &told);
        }
    }
}

/// The labels that say Kubernetes' own prefix.
const PREFIXED: [&str; 2] = ["batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"];

fn check_generated(spec: &Value, meta: Meta<'_>, prefixed: bool, errors: &mut Errors) {
    if meta.uid().is_empty() {
        errors.required("metadata.uid", "");
    }
    let expected = [
        ("controller-uid", meta.uid()),
        ("job-name", meta.name()),
        (PREFIXED[0], meta.uid()),
        (PREFIXED[1], meta.name()),
    ];
    let expected = if prefixed { &expected[..] } else { &expected[..2] };
    let labels = &spec["template"]["metadata"]["labels"];
    for (label, value) in expected {
        let (path, told) = (format!("spec.template.metadata.labels[{label}]"), format!("must be '{value}'"));
        if labels[label].is_null() {
            errors.required(&path, &told);
        } else if text(&labels[label]) != *value {
            errors.invalid(path, labels, &told);
        }
    }
    let made: serde_json::Map<String, Value> = expected.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
    let made = json!({"metadata": {"labels": made}});
    let mut odd = Errors::default();
    selector::check(&spec["selector"], &Path::root(""), &mut odd);
    if let Ok(Some(selector)) = LabelSelector::from_object(&spec["selector"])
        && odd.is_empty()
        && !selector.selects(&made)
    {
        let shown = internal::shown("LabelSelector", &spec["selector"]);
        errors.invalid_as("spec.selector", &shown, "`selector` not auto-generated");
    }
}

fn check_job_spec(spec: &Value, path: &str, errors: &mut Errors) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        errors.non_negative(child(path, field), &spec[field]);
    }
    if !spec["maxFailedIndexes"].is_null() && spec["backoffLimitPerIndex"].is_null() {
        errors.required(child(path, "backoffLimitPerIndex"), "when maxFailedIndexes is specified");
    }
    if let Some(manager) = spec["managedBy"].as_str() {
        errors.domain_path(&child(path, "managedBy"), manager);
        if manager.len() > MANAGED_BY_BYTES_MAX {
            errors.too_long(child(path, "managedBy"), MANAGED_BY_BYTES_MAX);
        }
    }
    check_mode(spec, path, errors);
    if !spec["podFailurePolicy"].is_null() {
        job_policy::check_failures(spec, &child(path, "podFailurePolicy"), errors);
    }
    if !spec["successPolicy"].is_null() {
        if spec["completionMode"] == "Indexed" {
            job_policy::check_successes(spec, &child(path, "successPolicy"), errors);
        } else {
            let shown = internal::shown("SuccessPolicy", &spec["successPolicy"]);
            errors.invalid_as(child(path, "successPolicy"), &shown, "requires indexed completion mode");
        }
    }
    let replacements: &[&str] =
        if spec["podFailurePolicy"].is_null() { &["Failed", "TerminatingOrFailed"] } else { &["Failed"] };
    errors.known(child(path, "podReplacementPolicy"), &spec["podReplacementPolicy"], replacements);
    let template = child(path, "template");
    pod::check_template(&spec["template"], &Path::root(&template), errors);
    let (restart, at) = (text(&spec["template"]["spec"]["restartPolicy"]), child(&template, "spec.restartPolicy"));
    match restart {
        "Always" | "" => errors.required(at, "valid values: \"OnFailure\", \"Never\""),
        "OnFailure" if !spec["podFailurePolicy"].is_null() => {
            errors.invalid_text(at, restart, "only \"Never\" is supported when podFailurePolicy is specified");
        }
        "OnFailure" | "Never" => {}
        _ => errors.unsupported(at, restart, &["OnFailure", "Never"]),
    }
}

/// What a Job may say of its indexes.
fn check_mode(spec: &Value, path: &str, errors: &mut Errors) {
    errors.known(child(path, "completionMode"), &spec["completionMode"], &["NonIndexed", "Indexed"]);
    let mode = spec["completionMode"].as_str().unwrap_or("NonIndexed");
    if mode == "NonIndexed" {
        for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
            if !spec[field].is_null() {
                errors.invalid(child(path, field), &spec[field], "requires indexed completion mode");
            }
        }
    }
    if mode != "Indexed" {
        return;
    }
    let at_most = |field: &str, most: i64, told: &str, errors: &mut Errors| {
        if spec[field].as_i64().is_some_and(|number| number > most) {
            errors.invalid(child(path, field), &spec[field], told);
        }
    };
    if spec["completions"].is_null() {
        errors.required(child(path, "completions"), "when completion mode is Indexed");
    }
    let told = format!("must be less than or equal to {INDEXED_MAX} when completion mode is Indexed");
    at_most("parallelism", INDEXED_MAX, &told, errors);
    if let Some(completions) = spec["completions"].as_i64() {
        at_most("maxFailedIndexes", completions, "must be less than or equal to completions", errors);
    }
    at_most("maxFailedIndexes", INDEXED_MAX, &format!("must be less than or equal to {INDEXED_MAX}"), errors);
    let many = spec["completions"].as_i64().is_some_and(|completions| completions > COMPLETIONS_MANY);
    if many && !spec["backoffLimitPerIndex"].is_null() {
        if spec["maxFailedIndexes"].is_null() {
            let told = format!("must be specified when completions is above {COMPLETIONS_MANY}");
            errors.required(child(path, "maxFailedIndexes"), &told);
        }
        let told = format!(
            "must be less than or equal to {MANY_MAX} when completions are above {COMPLETIONS_MANY} and used with backoff limit per index"
        );
        at_most("parallelism", MANY_MAX, &told, errors);
        at_most("maxFailedIndexes", MANY_MAX, &told, errors);
    }
}

pub(super) fn check_job_update(new: &Value, old: &Value, errors: &mut Errors) {
    let (now, before) = (&new["spec"], &old["spec"]);
    if now["completionMode"] != "Indexed" {
        errors.immutable("spec.completions", &now["completions"], &before["completions"]);
    } else if now["completions"] != before["completions"]
        && now["completions"].is_number()
        && now["completions"] != now["parallelism"]
    {
        let told = "can only be modified in tandem with spec.parallelism";
        errors.invalid("spec.completions", &now["completions"], told);
    }
    errors.immutable_as("spec.selector", "*LabelSelector", &now["selector"], &before["selector"]);
    if before["suspend"] == true && is_idle(&old["status"]) {
        let mut template = before["template"].clone();
        allow_scheduling(&mut template, &now["template"]);
        allow_resources(&mut template, &now["template"]);
        let is = &now["template"]["spec"];
        if !pod_update::is_same(is, &template["spec"]) {
            errors.invalid_as("spec.template.spec", &internal::shown("PodSpec", is), "field is immutable");
        }
    } else if !pod_update::is_same_template(&now["template"], &before["template"]) {
        let told = internal::shown("PodTemplateSpec", &now["template"]);
        errors.invalid_as("spec.template", &told, "field is immutable");
    }
    for (field, kind) in [
        ("completionMode", "*"),
        ("podFailurePolicy", "*PodFailurePolicy"),
        ("backoffLimitPerIndex", "*int"),
        ("managedBy", "*"),
        ("successPolicy", "*SuccessPolicy"),
    ] {
        errors.immutable_as(child("spec", field), kind, &now[field], &before[field]);
    }
}

/// Whether a suspended Job has no pods, and says that it is suspended.
fn is_idle(status: &Value) -> bool {
    let mut conditions = list(&status["conditions"]).iter();
    status["active"].as_i64().unwrap_or_default() == 0
        && conditions.any(|one| one["type"] == "Suspended" && one["status"] == "True")
}

fn put(into: &mut Value, field: &str, value: &Value) {
    if value.is_null() {
        into.as_object_mut().map(|fields| fields.remove(field));
    } else {
        into[field] = value.clone();
    }
}

/// Takes over from a new template what containers ask for, where they are the same ones.
fn allow_resources(template: &mut Value, new: &Value) {
    for field in ["containers", "initContainers"] {
        let now = list(&new["spec"][field]);
        // Indexing would leave a null behind where there are none.
        let Some(had) = template["spec"].get_mut(field).and_then(Value::as_array_mut) else { continue };
        if had.len() == now.len() {
            for (container, now) in had.iter_mut().zip(now).filter(|(had, now)| had["name"] == now["name"]) {
                put(container, "resources", &now["resources"]);
            }
        }
    }
}

/// Takes over from a new template where its pods go.
fn allow_scheduling(template: &mut Value, new: &Value) {
    for field in ["labels", "annotations"] {
        put(&mut template["metadata"], field, &new["metadata"][field]);
    }
    if template["metadata"].as_object().is_some_and(serde_json::Map::is_empty) {
        put(template, "metadata", &new["metadata"]);
    }
    for field in SCHEDULING {
        put(&mut template["spec"], field, &new["spec"][field]);
    }
    let affinity = &new["spec"]["affinity"];
    put(&mut template["spec"]["affinity"], "nodeAffinity", &affinity["nodeAffinity"]);
    let empty = |value: &Value| value.as_object().is_none_or(serde_json::Map::is_empty);
    if empty(&template["spec"]["affinity"]) && empty(affinity) {
        put(&mut template["spec"], "affinity", affinity);
    }
}

pub(super) fn check_cron_job(job: &Value, old: Option<&Value>, errors: &mut Errors) {
    let (spec, before) = (&job["spec"], old.map(|old| &old["spec"]));
    check_schedule(spec, before, errors);
    errors.non_negative("spec.startingDeadlineSeconds", &spec["startingDeadlineSeconds"]);
    if before.is_none_or(|before| before["timeZone"] != spec["timeZone"]) {
        check_zone(spec, errors);
    }
    errors.one_of("spec.concurrencyPolicy", &spec["concurrencyPolicy"], &["Allow", "Forbid", "Replace"]);
    let job_spec = &spec["jobTemplate"]["spec"];
    check_job_spec(job_spec, "spec.jobTemplate.spec", errors);
    if !job_spec["selector"].is_null() {
        let shown = internal::shown("LabelSelector", &job_spec["selector"]);
        errors.invalid_as("spec.jobTemplate.spec.selector", &shown, "`selector` will be auto-generated");
    }
    if job_spec["manualSelector"] == true {
        let known = ["nil", "false"].map(str::to_owned);
        errors.unsupported_value("spec.jobTemplate.spec.manualSelector", &job_spec["manualSelector"], &known);
    }
    for field in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        errors.non_negative(format!("spec.{field}"), &spec[field]);
    }
    if old.is_none() && text(&job["metadata"]["name"]).len() > CRON_JOB_NAME_BYTES_MAX {
        errors.invalid("metadata.name", &job["metadata"]["name"], "must be no more than 52 characters");
    }
}

/// A time zone has a field of its own; an old schedule that says one may go on saying it.
fn check_schedule(spec: &Value, before: Option<&Value>, errors: &mut Errors) {
    let schedule = text(&spec["schedule"]);
    if schedule.is_empty() {
        return errors.required("spec.schedule", "");
    }
    if let Some(told) = cron::complaint(schedule) {
        errors.invalid_text("spec.schedule", schedule, &told);
    }
    let told = match before.is_some_and(|before| text(&before["schedule"]).contains("TZ")) {
        true if !spec["timeZone"].is_null() => "cannot use both timeZone field and TZ or CRON_TZ in schedule",
        true => return,
        false => "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
    };
    if schedule.contains("TZ") {
        errors.invalid_text("spec.schedule", schedule, told);
    }
}

fn check_zone(spec: &Value, errors: &mut Errors) {
    let Some(zone) = spec["timeZone"].as_str() else { return };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-+".contains(&b);
    let fits = |part: &str| {
        (1..=ZONE_PART_BYTES_MAX).contains(&part.len())
            && !matches!(part, "." | "..")
            && !part.starts_with('-')
            && part.bytes().all(plain)
    };
    if zone.is_empty() {
        errors.invalid_text("spec.timeZone", zone, "timeZone must be nil or non-empty string");
    } else if !zone.split('/').all(fits) {
        errors.invalid_text("spec.timeZone", zone, &format!("unknown time zone {zone}"));
    } else {
        if zone.eq_ignore_ascii_case("local") {
            let told = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
            errors.invalid_text("spec.timeZone", zone, told);
        }
        if let Some(told) = cron::zone_complaint(zone) {
            errors.invalid_text("spec.timeZone", zone, &told);
        }
    }
}
