//! What a Job has come to, and its status.

use super::tally::Tally;
use super::{COMPONENT, Jobs, is_suspended, number};
use crate::kinds;
use crate::pods::condition;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::client::ClientError;
use tinyplane_wire::clock;
use tinyplane_wire::meta::map_mut;

/// What a Job has come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outcome {
    Open,
    Complete,
    Failed(&'static str, &'static str),
}

const DEADLINE: Outcome = Outcome::Failed("DeadlineExceeded", "Job was active longer than specified deadline");
const BACKOFF: Outcome = Outcome::Failed("BackoffLimitExceeded", "Job has reached the specified backoff limit");
/// Reason and message of a Job that is complete.
const COMPLETE: (&str, &str) = ("CompletionsReached", "Reached expected number of succeeded pods");

fn has(job: &Value, kind: &str) -> bool {
    condition(job, kind).is_some_and(|c| c["status"] == "True")
}

/// True when nothing will change any more.
pub(super) fn is_finished(job: &Value) -> bool {
    has(job, "Complete") || has(job, "Failed")
}

impl Jobs {
    pub(super) fn outcome(&self, job: &Value, tally: &Tally) -> Outcome {
        // What was decided once stays so while the last pods end.
        if let Some(target) = condition(job, "FailureTarget").filter(|c| c["status"] == "True") {
            return if target["reason"] == "DeadlineExceeded" { DEADLINE } else { BACKOFF };
        }
        if has(job, "SuccessCriteriaMet") {
            return Outcome::Complete;
        }
        if exceeds_backoff_limit(job, tally) {
            return BACKOFF;
        }
        if !is_suspended(job) && self.deadline(job).is_some_and(|left| left.is_zero()) {
            return DEADLINE;
        }
        let done = match job["spec"]["completions"].as_i64() {
            Some(_) => tally.succeeded() >= number(job, "completions", 1) && !is_suspended_empty(job, tally),
            // Without a count, the first success is everybody's, and the others are waited for.
            None => tally.succeeded() > 0 && tally.active.is_empty(),
        };
        if done { Outcome::Complete } else { Outcome::Open }
    }

    /// Time left until `activeDeadlineSeconds`.
    pub(super) fn deadline(&self, job: &Value) -> Option<Duration> {
        let seconds = job["spec"]["activeDeadlineSeconds"].as_u64()?;
        let started = job["status"]["startTime"].as_str().and_then(clock::parse)?;
        // Some ask for more seconds than time has: these have no deadline.
        let over = started.checked_add(Duration::from_secs(seconds))?;
        Some(over.duration_since(self.context.clock.now()).unwrap_or_default())
    }

    /// Writes the status where it changed, with its events.
    pub(super) async fn report(&self, job: &Value, tally: &Tally, outcome: Outcome) -> Result<(), ClientError> {
        let now = self.context.clock.timestamp();
        let mut status = job["status"].clone();
        tally.write(&mut status);
        if !is_suspended(job) {
            map_mut(&mut status).entry("startTime").or_insert_with(|| now.clone().into());
        }
        let turned = match outcome {
            Outcome::Open => suspend(&mut status, is_suspended(job), &now),
            _ => None,
        };
        let over = conclude(&mut status, tally, outcome, &now);
        if status == job["status"] {
            return Ok(());
        }
        let mut wished = job.clone();
        wished["status"] = status;
        let made = self.context.client.update(&kinds::jobs(), Some("status"), &wished).await?;
        self.written.note(&made);
        if let Some((reason, message)) = turned {
            self.context.recorder.normal(COMPONENT, job, reason, message);
        }
        match outcome {
            Outcome::Complete if over => self.context.recorder.normal(COMPONENT, job, "Completed", "Job completed"),
            Outcome::Failed(reason, message) if over => {
                self.context.recorder.warning(COMPONENT, job, reason, message);
            }
            _ => {}
        }
        Ok(())
    }
}

/// A Job of no completions that is suspended has not begun, and so is not done.
fn is_suspended_empty(job: &Value, tally: &Tally) -> bool {
    is_suspended(job) && tally.succeeded() == 0
}

fn exceeds_backoff_limit(job: &Value, tally: &Tally) -> bool {
    let limit = number(job, "backoffLimit", 6);
    if tally.failures() > limit {
        return true;
    }
    if job["spec"]["template"]["spec"]["restartPolicy"] != "OnFailure" {
        return false;
    }
    let restarts = |pod: &Arc<Value>| {
        let status = &pod["status"];
        let of = |field: &str| status[field].as_array().cloned().unwrap_or_default();
        let all = of("initContainerStatuses").into_iter().chain(of("containerStatuses"));
        all.filter_map(|c| c["restartCount"].as_u64()).sum::<u64>()
    };
    let restarted = usize::try_from(tally.active.iter().map(restarts).sum::<u64>()).unwrap_or(usize::MAX);
    if limit == 0 { restarted > 0 } else { restarted >= limit }
}

/// Writes that the Job is suspended, or goes on; gives the event to tell.
fn suspend(status: &mut Value, suspended: bool, now: &str) -> Option<(&'static str, &'static str)> {
    let status = map_mut(status);
    let mut conditions = status.get("conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    let known = conditions.iter().position(|c| c["type"] == "Suspended");
    let was = known.is_some_and(|i| conditions[i]["status"] == "True");
    if was == suspended {
        return None;
    }
    let (value, reason, message) =
        if suspended { ("True", "JobSuspended", "Job suspended") } else { ("False", "JobResumed", "Job resumed") };
    let told = json!({
        "type": "Suspended", "status": value, "reason": reason, "message": message,
        "lastProbeTime": now, "lastTransitionTime": now,
    });
    match known {
        Some(i) => conditions[i] = told,
        None => conditions.push(told),
    }
    status.insert("conditions".into(), conditions.into());
    match suspended {
        true => drop(status.remove("startTime")),
        false => drop(status.insert("startTime".into(), now.into())),
    }
    Some(if suspended { ("Suspended", message) } else { ("Resumed", message) })
}

/// Writes what the Job has come to: first where it goes, and when no pod is left to end or to count, that it is over.
fn conclude(status: &mut Value, tally: &Tally, outcome: Outcome, now: &str) -> bool {
    let (target, end, reason, message) = match outcome {
        Outcome::Open => return false,
        Outcome::Complete => ("SuccessCriteriaMet", "Complete", COMPLETE.0, COMPLETE.1),
        Outcome::Failed(reason, message) => ("FailureTarget", "Failed", reason, message),
    };
    let over = tally.active.is_empty() && tally.terminating == 0 && tally.is_settled();
    let status = map_mut(status);
    let mut conditions = status.get("conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    for (kind, wished) in [(target, true), (end, over)] {
        if wished && !conditions.iter().any(|c| c["type"] == kind) {
            conditions.push(json!({
                "type": kind, "status": "True", "reason": reason, "message": message,
                "lastProbeTime": now, "lastTransitionTime": now,
            }));
        }
    }
    status.insert("conditions".into(), conditions.into());
    if over && outcome == Outcome::Complete {
        status.insert("completionTime".into(), now.into());
    }
    over
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_over_when_its_last_pod_is_counted() {
        let job = json!({"spec": {"completions": 1}, "status": {}});
        let pod = |held: bool| {
            let finalizers = if held { json!([super::super::FINALIZER]) } else { json!([]) };
            vec![Arc::new(
                json!({"metadata": {"uid": "a", "finalizers": finalizers}, "status": {"phase": "Succeeded"}}),
            )]
        };
        let mut status = json!({});
        assert!(!conclude(&mut status, &Tally::of(&job, &pod(true), true), Outcome::Complete, "now"));
        let kinds = |status: &Value| -> Vec<String> {
            status["conditions"].as_array().unwrap().iter().map(|c| c["type"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(kinds(&status), ["SuccessCriteriaMet"]);
        assert!(conclude(&mut status, &Tally::of(&job, &pod(false), true), Outcome::Complete, "later"));
        assert_eq!(kinds(&status), ["SuccessCriteriaMet", "Complete"]);
        assert_eq!(status["completionTime"], "later");
    }

    #[test]
    fn a_job_is_suspended_and_goes_on() {
        let mut status = json!({"startTime": "then"});
        assert_eq!(suspend(&mut status, false, "now"), None);
        assert_eq!(suspend(&mut status, true, "now").map(|t| t.0), Some("Suspended"));
        assert!(status.get("startTime").is_none());
        assert_eq!(suspend(&mut status, true, "later"), None);
        assert_eq!(suspend(&mut status, false, "later").map(|t| t.0), Some("Resumed"));
        assert_eq!(status["startTime"], "later");
    }
}
