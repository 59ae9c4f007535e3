//! Makes a Job whenever a CronJob's schedule says so.

mod history;
mod schedule;
mod zone;

use crate::context::Context;
use crate::control_loop::{After, Reconcile, enqueue_changes, enqueue_owners, run};
use crate::kinds;
use schedule::{Schedule, seconds};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use tinyplane_wire::client::{Cache, ClientError, WorkQueue};
use tinyplane_wire::clock;
use tinyplane_wire::meta::{Meta, controller_reference, map_mut};
use zone::Zone;

const COMPONENT: &str = "cronjob-controller";
/// Annotation with the time for which a Job was made.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";
/// More missed times than this are told of: a clock may be wrong.
const MISSED_MAX: usize = 100;
/// How much later than due one looks, so that it is surely due.
const LATER: Duration = Duration::from_millis(100);

pub(crate) fn start(context: &Arc<Context>) {
    let queue = Arc::new(WorkQueue::new());
    let (cron_jobs, jobs) = (context.cache(&kinds::cron_jobs()), context.cache(&kinds::jobs()));
    enqueue_changes(&cron_jobs, &queue);
    enqueue_owners(&jobs, &queue, "CronJob");
    let reads = vec![Arc::clone(&cron_jobs), Arc::clone(&jobs)];
    run(context, &queue, reads, CronJobs { context: Arc::clone(context), cron_jobs, jobs });
}

struct CronJobs {
    context: Arc<Context>,
    cron_jobs: Arc<Cache>,
    jobs: Arc<Cache>,
}

/// When a CronJob is due.
struct Plan {
    schedule: Schedule,
    zone: Zone,
    zone_name: Option<String>,
}

impl Reconcile for CronJobs {
    const NAME: &'static str = "cronjob";

    async fn reconcile(&self, key: &str) -> Result<After, ClientError> {
        let Some(found) = self.cron_jobs.get(key) else { return Ok(After::Rest) };
        let mut cron = Value::clone(&found);
        let jobs = self.jobs_of(&cron);
        self.see_to_active(&mut cron, &jobs).await?;
        self.trim_history(&cron, &jobs).await?;
        let after = self.act(&mut cron, &jobs).await;
        if cron["status"] != found["status"] {
            self.context.client.update(&kinds::cron_jobs(), Some("status"), &cron).await?;
        }
        after
    }
}

impl CronJobs {
    fn jobs_of(&self, cron: &Value) -> Vec<Arc<Value>> {
        let meta = Meta::of(cron);
        let mut jobs = self.jobs.in_namespace(meta.namespace());
        jobs.retain(|job| Meta::of(job).controller().is_some_and(|owner| owner["uid"] == meta.uid()));
        jobs
    }

    fn warn(&self, cron: &Value, reason: &str, message: String) {
        self.context.recorder.warning(COMPONENT, cron, reason, message);
    }

    /// Makes the Job that is due now, and says when the next one is.
    async fn act(&self, cron: &mut Value, jobs: &[Arc<Value>]) -> Result<After, ClientError> {
        if Meta::of(cron).is_deleting() || cron["spec"]["suspend"].as_bool() == Some(true) {
            return Ok(After::Rest);
        }
        let Some(plan) = self.plan(cron) else { return Ok(After::Rest) };
        let now = seconds(self.context.clock.now());
        let next = plan.schedule.next(now, &plan.zone);
        let again = || next.map_or(After::Rest, |next| self.after(next));
        let Some(due) = self.missed(cron, &plan, now) else { return Ok(again()) };
        let deadline = cron["spec"]["startingDeadlineSeconds"].as_i64();
        if deadline.is_some_and(|seconds| now.saturating_sub(due) > seconds) {
            self.warn(cron, "MissSchedule", format!("Missed scheduled time to start a job: {}", stamp(due)));
            return Ok(again());
        }
        let name = format!("{}-{}", Meta::of(cron).name(), due.div_euclid(60));
        let active = cron["status"]["active"].as_array().cloned().unwrap_or_default();
        let last = cron["status"]["lastScheduleTime"].as_str().and_then(clock::parse).map(seconds);
        if last == Some(due) || active.iter().any(|job| job["name"] == name.as_str()) {
            return Ok(again());
        }
        match cron["spec"]["concurrencyPolicy"].as_str() {
            Some("Forbid") if !active.is_empty() => {
                let told = "Not starting job because prior execution is running and concurrency policy is Forbid";
                self.context.recorder.normal(COMPONENT, cron, "JobAlreadyActive", told);
                return Ok(again());
            }
            Some("Replace") => {
                for job in jobs.iter().filter(|job| active.iter().any(|a| a["uid"] == Meta::of(job).uid())) {
                    self.delete(cron, job).await?;
                    history::forget(cron, Meta::of(job).uid());
                }
            }
            _ => {}
        }
        self.make(cron, &plan, due, &name).await?;
        Ok(again())
    }

    fn after(&self, next: i64) -> After {
        let next = UNIX_EPOCH + Duration::from_secs(u64::try_from(next).unwrap_or_default());
        After::Again(next.duration_since(self.context.clock.now()).unwrap_or_default() + LATER)
    }

    /// The schedule and its zone, or an event that says what is wrong with them.
    fn plan(&self, cron: &Value) -> Option<Plan> {
        let text = cron["spec"]["schedule"].as_str().unwrap_or_default();
        let own_zone = text.strip_prefix("TZ=").or_else(|| text.strip_prefix("CRON_TZ="));
        let (within, text) = match own_zone.and_then(|rest| rest.split_once(' ')) {
            Some((zone, rest)) => (Some(zone), rest),
            None => (None, text),
        };
        let name = cron["spec"]["timeZone"].as_str().or(within);
        let zone = match name.map_or_else(|| Ok(Zone::utc()), Zone::named) {
            Ok(zone) => zone,
            Err(why) => {
                let told = format!("invalid timeZone: {:?}: {why}", name.unwrap_or_default());
                self.warn(cron, "UnknownTimeZone", told);
                return None;
            }
        };
        match Schedule::parse(text.trim()) {
            Ok(schedule) => Some(Plan { schedule, zone, zone_name: name.map(Into::into) }),
            Err(why) => {
                self.warn(cron, "UnparseableSchedule", format!("unparseable schedule: {text:?} : {why}"));
                None
            }
        }
    }

    /// The latest time that has come since the last Job.
    fn missed(&self, cron: &Value, plan: &Plan, now: i64) -> Option<i64> {
        let time = |value: &Value| value.as_str().and_then(clock::parse).map(seconds);
        let mut from = time(&cron["status"]["lastScheduleTime"])
            .or_else(|| time(&cron["metadata"]["creationTimestamp"]))
            .unwrap_or(now);
        if let Some(deadline) = cron["spec"]["startingDeadlineSeconds"].as_i64() {
            from = from.max(now - deadline);
        }
        let (latest, missed) = latest_between(plan, from, now);
        if missed > MISSED_MAX {
            let told = format!(
                "too many missed start times: {missed}. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
            );
            self.warn(cron, "TooManyMissedTimes", told);
        }
        latest
    }

    async fn make(&self, cron: &mut Value, plan: &Plan, due: i64, name: &str) -> Result<(), ClientError> {
        let namespace = Meta::of(cron).namespace().to_owned();
        let template = &cron["spec"]["jobTemplate"];
        let mut metadata = json!({
            "name": name, "namespace": namespace, "ownerReferences": [controller_reference(cron)],
            "annotations": template["metadata"]["annotations"].as_object().cloned().unwrap_or_default(),
        });
        let labels = &template["metadata"]["labels"];
        if !labels.is_null() {
            metadata["labels"] = labels.clone();
        }
        metadata["annotations"][SCHEDULED] = stamp_in(due, plan).into();
        let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]});
        let made = match self.context.client.create(&kinds::jobs(), Some(&namespace), &job).await {
            Ok(made) => {
                self.context.recorder.normal(COMPONENT, cron, "SuccessfulCreate", format!("Created job {name}"));
                made
            }
            Err(error) if error.is_already_exists() => {
                let there = self.context.client.get(&kinds::jobs(), Some(&namespace), name).await?;
                if Meta::of(&there).controller().is_none_or(|owner| owner["uid"] != Meta::of(cron).uid()) {
                    self.warn(cron, "FailedCreate", format!("Error creating job: {error}"));
                    return Err(error);
                }
                // Made before, while the status could not be written; if it has ended since, nothing is to be told.
                if history::ended(&there).is_some() {
                    return Ok(());
                }
                there
            }
            Err(error) => {
                self.warn(cron, "FailedCreate", format!("Error creating job: {error}"));
                return Err(error);
            }
        };
        let meta = Meta::of(&made);
        let reference = json!({
            "kind": "Job", "apiVersion": "batch/v1", "name": meta.name(), "namespace": meta.namespace(),
            "uid": meta.uid(), "resourceVersion": meta.resource_version(),
        });
        let status = map_mut(&mut cron["status"]);
        if let Some(active) = status.entry("active").or_insert_with(|| json!([])).as_array_mut() {
            active.push(reference);
        }
        status.insert("lastScheduleTime".into(), stamp(due).into());
        Ok(())
    }
}

/// The last due time in `(from, to]`, and how many there are.
fn latest_between(plan: &Plan, from: i64, to: i64) -> (Option<i64>, usize) {
    let (mut at, mut latest, mut count) = (from, None, 0);
    while let Some(next) = plan.schedule.next(at, &plan.zone).filter(|next| *next <= to) {
        (at, latest) = (next, Some(next));
        count += 1;
    }
    (latest, count)
}

fn stamp(at: i64) -> String {
    clock::format_seconds(UNIX_EPOCH + Duration::from_secs(u64::try_from(at).unwrap_or_default()))
}

/// A time as the CronJob's own zone writes it.
fn stamp_in(at: i64, plan: &Plan) -> String {
    let offset = plan.zone.offset_at(at);
    if plan.zone_name.is_none() || offset == 0 {
        return stamp(at);
    }
    let sign = if offset < 0 { '-' } else { '+' };
    let (hours, minutes) = (offset.abs() / 3_600, offset.abs() % 3_600 / 60);
    format!("{}{sign}{hours:02}:{minutes:02}", stamp(at + offset).trim_end_matches('Z'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_missed_time_counts_and_all_are_numbered() {
        let plan = Plan { schedule: Schedule::parse("*/5 * * * *").unwrap(), zone: Zone::utc(), zone_name: None };
        assert_eq!(latest_between(&plan, 0, 899), (Some(600), 2));
        assert_eq!(latest_between(&plan, 0, 900), (Some(900), 3));
        assert_eq!(latest_between(&plan, 900, 901), (None, 0));
        assert_eq!(stamp_in(0, &plan), "1970-01-01T00:00:00Z");
    }
}
