//! Runs the pods of a Job to their end, as often as it asks for.

use crate::context::Context;
use crate::control_loop::{After, Reconcile, enqueue_changes, enqueue_owners, run};
use crate::expectations::Expectations;
use crate::kinds;
use crate::pods::{from_template, is_active, is_ready};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::client::{Backoff, Cache, ClientError, WorkQueue};
use tinyplane_wire::clock;
use tinyplane_wire::meta::{Meta, map_mut, metadata_mut};

/// Annotation and label with the index of a pod of an Indexed Job.
const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// Pods made or deleted in one go.
const BURST: usize = 500;
/// Wait before a failed pod is replaced: 10 s, doubling, at most 10 minutes.
const RETRY: Backoff = Backoff { first: Duration::from_secs(10), most: Duration::from_secs(600) };
const COMPONENT: &str = "job-controller";

pub(crate) fn start(context: &Arc<Context>) {
    let queue = Arc::new(WorkQueue::new());
    let (jobs, pods) = (context.cache(&kinds::jobs()), context.cache(&kinds::pods()));
    enqueue_changes(&jobs, &queue);
    let expectations = Expectations::over(&pods);
    enqueue_owners(&pods, &queue, "Job");
    let reads = vec![Arc::clone(&jobs), Arc::clone(&pods)];
    run(context, &queue, reads, Jobs { context: Arc::clone(context), jobs, pods, expectations });
}

struct Jobs {
    context: Arc<Context>,
    jobs: Arc<Cache>,
    pods: Arc<Cache>,
    expectations: Arc<Expectations>,
}

/// The pods of a Job, by what became of them.
struct Tally {
    active: Vec<Arc<Value>>,
    succeeded: Vec<Arc<Value>>,
    failed: Vec<Arc<Value>>,
}

/// What a Job has come to.
#[derive(Clone, Copy, PartialEq)]
enum Outcome {
    Open,
    Complete,
    Failed(&'static str, &'static str),
}

impl Reconcile for Jobs {
    const NAME: &'static str = "job";

    async fn reconcile(&self, key: &str) -> Result<After, ClientError> {
        let Some(job) = self.jobs.get(key) else { return Ok(After::Rest) };
        if finished(&job) {
            return self.expire(&job).await;
        }
        if Meta::of(&job).is_deleting() || !self.expectations.fulfilled(key) {
            return Ok(After::Rest);
        }
        let mut tally = self.tally(&job);
        let outcome = self.outcome(&job, &tally);
        let suspended = job["spec"]["suspend"].as_bool() == Some(true);
        let mut wait = None;
        if outcome == Outcome::Open && !suspended {
            wait = self.fill(key, &job, &mut tally).await?;
        } else {
            self.delete(key, &job, &tally.active).await?;
            tally.active.clear();
        }
        self.report(&job, &tally, outcome, suspended).await?;
        let deadline = self.deadline(&job).filter(|_| outcome == Outcome::Open && !suspended);
        Ok([wait, deadline].into_iter().flatten().min().map_or(After::Rest, After::Again))
    }
}

fn finished(job: &Value) -> bool {
    let conditions = job["status"]["conditions"].as_array().into_iter().flatten();
    conditions.filter(|c| c["status"] == "True").any(|c| c["type"] == "Complete" || c["type"] == "Failed")
}

fn number(job: &Value, field: &str, otherwise: i64) -> usize {
    usize::try_from(job["spec"][field].as_i64().unwrap_or(otherwise)).unwrap_or_default()
}

fn index_of(pod: &Value) -> Option<usize> {
    Meta::of(pod).annotation(INDEX)?.parse().ok()
}

impl Jobs {
    fn tally(&self, job: &Value) -> Tally {
        let meta = Meta::of(job);
        let mut tally = Tally { active: Vec::new(), succeeded: Vec::new(), failed: Vec::new() };
        for pod in self.pods.in_namespace(meta.namespace()) {
            if Meta::of(&pod).controller().is_none_or(|owner| owner["uid"] != meta.uid()) {
                continue;
            }
            match pod["status"]["phase"].as_str() {
                Some("Succeeded") => tally.succeeded.push(pod),
                Some("Failed") => tally.failed.push(pod),
                _ if is_active(&pod) => tally.active.push(pod),
                _ => {}
            }
        }
        tally
    }

    fn succeeded(job: &Value, tally: &Tally) -> usize {
        if job["spec"]["completionMode"] == "Indexed" {
            return tally.succeeded.iter().filter_map(|pod| index_of(pod)).collect::<BTreeSet<_>>().len();
        }
        // A pod that was counted and is gone stays counted.
        tally
            .succeeded
            .len()
            .max(usize::try_from(job["status"]["succeeded"].as_i64().unwrap_or_default()).unwrap_or_default())
    }

    fn failures(job: &Value, tally: &Tally) -> usize {
        let counted = usize::try_from(job["status"]["failed"].as_i64().unwrap_or_default()).unwrap_or_default();
        let restarts = |pod: &Arc<Value>| {
            let statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
            statuses.filter_map(|c| c["restartCount"].as_u64()).sum::<u64>()
        };
        let restarted: u64 = match job["spec"]["template"]["spec"]["restartPolicy"].as_str() {
            Some("OnFailure") => tally.active.iter().map(restarts).sum(),
            _ => 0,
        };
        tally.failed.len().max(counted) + usize::try_from(restarted).unwrap_or(usize::MAX)
    }

    fn outcome(&self, job: &Value, tally: &Tally) -> Outcome {
        if self.deadline(job).is_some_and(|left| left.is_zero()) {
            return Outcome::Failed("DeadlineExceeded", "Job was active longer than specified deadline");
        }
        if Self::failures(job, tally) > number(job, "backoffLimit", 6) {
            return Outcome::Failed("BackoffLimitExceeded", "Job has reached the specified backoff limit");
        }
        let done = match job["spec"]["completions"].as_i64() {
            Some(_) => Self::succeeded(job, tally) >= number(job, "completions", 1),
            // Without a count, the first success is everybody's, and the others are waited for.
            None => !tally.succeeded.is_empty() && tally.active.is_empty(),
        };
        if done { Outcome::Complete } else { Outcome::Open }
    }

    /// Makes or removes pods until as many run as should; says how long a failed one is to be waited for.
    async fn fill(&self, key: &str, job: &Value, tally: &mut Tally) -> Result<Option<Duration>, ClientError> {
        let parallelism = number(job, "parallelism", 1);
        let left = match job["spec"]["completions"].as_i64() {
            Some(_) => number(job, "completions", 1).saturating_sub(Self::succeeded(job, tally)),
            None if tally.succeeded.is_empty() => parallelism,
            None => tally.active.len(),
        };
        let wished = parallelism.min(left);
        if tally.active.len() > wished {
            let excess = tally.active.split_off(wished);
            self.delete(key, job, &excess).await?;
            return Ok(None);
        }
        let lacking = (wished - tally.active.len()).min(BURST);
        if lacking == 0 {
            return Ok(None);
        }
        if let Some(wait) = self.wait_after_failure(tally) {
            return Ok(Some(wait));
        }
        let indices = Self::free_indices(job, tally, lacking);
        let made = try_join_all(indices.into_iter().map(|index| self.create(key, job, index))).await?;
        tally.active.extend(made.into_iter().map(Arc::new));
        Ok(None)
    }

    fn wait_after_failure(&self, tally: &Tally) -> Option<Duration> {
        let failures = u32::try_from(tally.failed.len()).unwrap_or(u32::MAX);
        let ended = |pod: &Arc<Value>| {
            let statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
            statuses.filter_map(|c| c["state"]["terminated"]["finishedAt"].as_str()).filter_map(clock::parse).max()
        };
        let last = tally.failed.iter().filter_map(ended).max()?;
        let due = last + RETRY.after(failures);
        due.duration_since(self.context.clock.now()).ok().filter(|wait| !wait.is_zero())
    }

    fn free_indices(job: &Value, tally: &Tally, count: usize) -> Vec<Option<usize>> {
        if job["spec"]["completionMode"] != "Indexed" {
            return vec![None; count];
        }
        let taken: BTreeSet<usize> =
            tally.active.iter().chain(&tally.succeeded).filter_map(|pod| index_of(pod)).collect();
        (0..number(job, "completions", 1)).filter(|i| !taken.contains(i)).take(count).map(Some).collect()
    }

    async fn create(&self, key: &str, job: &Value, index: Option<usize>) -> Result<Value, ClientError> {
        let mut pod = from_template(job, &job["spec"]["template"]);
        if let Some(index) = index {
            mark_index(&mut pod, Meta::of(job).name(), index);
        }
        match self.context.client.create(&kinds::pods(), Some(Meta::of(job).namespace()), &pod).await {
            Ok(made) => {
                let meta = Meta::of(&made);
                self.expectations.created(key, meta.uid(), &self.pods, &meta.key());
                let told = format!("Created pod: {}", meta.name());
                self.context.recorder.normal(COMPONENT, job, "SuccessfulCreate", told);
                Ok(made)
            }
            Err(error) => {
                self.context.recorder.warning(COMPONENT, job, "FailedCreate", format!("Error creating: {error}"));
                Err(error)
            }
        }
    }

    async fn delete(&self, key: &str, job: &Value, pods: &[Arc<Value>]) -> Result<(), ClientError> {
        let one = async |pod: &Arc<Value>| {
            let meta = Meta::of(pod);
            self.expectations.deleting(key, meta.uid());
            match self.context.client.delete(&kinds::pods(), Some(meta.namespace()), meta.name(), &Value::Null).await {
                Err(error) if !error.is_not_found() => {
                    self.expectations.not_deleted(key, meta.uid());
                    return Err(error);
                }
                Err(_) => self.expectations.not_deleted(key, meta.uid()),
                Ok(_) => {
                    let told = format!("Deleted pod: {}", meta.name());
                    self.context.recorder.normal(COMPONENT, job, "SuccessfulDelete", told);
                }
            }
            Ok(())
        };
        for pod in pods.iter().take(BURST) {
            one(pod).await?;
        }
        Ok(())
    }

    async fn report(&self, job: &Value, tally: &Tally, outcome: Outcome, suspended: bool) -> Result<(), ClientError> {
        let now = self.context.clock.timestamp();
        let mut status = job["status"].clone();
        let fields = map_mut(&mut status);
        fields.entry("uncountedTerminatedPods").or_insert_with(|| json!({}));
        fields.insert("terminating".into(), 0.into());
        fields.insert("ready".into(), tally.active.iter().filter(|pod| is_ready(pod)).count().into());
        for (field, count) in [
            ("active", tally.active.len()),
            ("succeeded", Self::succeeded(job, tally)),
            (
                "failed",
                tally
                    .failed
                    .len()
                    .max(usize::try_from(job["status"]["failed"].as_i64().unwrap_or_default()).unwrap_or_default()),
            ),
        ] {
            match count {
                0 => drop(fields.remove(field)),
                count => drop(fields.insert(field.into(), count.into())),
            }
        }
        if !suspended {
            fields.entry("startTime").or_insert_with(|| now.clone().into());
        }
        if let Some(indexes) = Self::completed_indexes(job, tally) {
            fields.insert("completedIndexes".into(), indexes.into());
        }
        self.conclude(job, fields, outcome, &now);
        if status == job["status"] {
            return Ok(());
        }
        let mut wished = job.clone();
        wished["status"] = status;
        self.context.client.update(&kinds::jobs(), Some("status"), &wished).await?;
        match outcome {
            Outcome::Complete => self.context.recorder.normal(COMPONENT, job, "Completed", "Job completed"),
            Outcome::Failed(reason, message) => self.context.recorder.warning(COMPONENT, job, reason, message),
            Outcome::Open => {}
        }
        Ok(())
    }

    fn conclude(&self, job: &Value, status: &mut serde_json::Map<String, Value>, outcome: Outcome, now: &str) {
        let mut conditions = job["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let mut add = |kind: &str, reason: &str, message: &str| {
            conditions.push(json!({
                "type": kind, "status": "True", "reason": reason, "message": message,
                "lastProbeTime": now, "lastTransitionTime": now,
            }));
        };
        match outcome {
            Outcome::Open => return,
            Outcome::Complete => {
                let (reason, message) = ("CompletionsReached", "Reached expected number of succeeded pods");
                add("SuccessCriteriaMet", reason, message);
                add("Complete", reason, message);
                status.insert("completionTime".into(), now.into());
            }
            Outcome::Failed(reason, message) => {
                add("FailureTarget", reason, message);
                add("Failed", reason, message);
            }
        }
        status.insert("conditions".into(), conditions.into());
    }

    fn completed_indexes(job: &Value, tally: &Tally) -> Option<String> {
        if job["spec"]["completionMode"] != "Indexed" {
            return None;
        }
        let done: BTreeSet<usize> = tally.succeeded.iter().filter_map(|pod| index_of(pod)).collect();
        Some(ranges(&done))
    }

    /// Time left until `activeDeadlineSeconds`.
    fn deadline(&self, job: &Value) -> Option<Duration> {
        let seconds = job["spec"]["activeDeadlineSeconds"].as_u64()?;
        let started = job["status"]["startTime"].as_str().and_then(clock::parse)?;
        Some((started + Duration::from_secs(seconds)).duration_since(self.context.clock.now()).unwrap_or_default())
    }

    /// Deletes a finished Job `ttlSecondsAfterFinished` after its end.
    async fn expire(&self, job: &Value) -> Result<After, ClientError> {
        let Some(ttl) = job["spec"]["ttlSecondsAfterFinished"].as_u64() else { return Ok(After::Rest) };
        let conditions = job["status"]["conditions"].as_array().into_iter().flatten();
        let ended = conditions.filter_map(|c| c["lastTransitionTime"].as_str()).filter_map(clock::parse).max();
        let Some(due) = ended.map(|at| at + Duration::from_secs(ttl)) else { return Ok(After::Rest) };
        if let Ok(left) = due.duration_since(self.context.clock.now())
            && !left.is_zero()
        {
            return Ok(After::Again(left));
        }
        let meta = Meta::of(job);
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground", "preconditions": {"uid": meta.uid()}});
        match self.context.client.delete(&kinds::jobs(), Some(meta.namespace()), meta.name(), &options).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(After::Rest),
        }
    }
}

/// Tells a pod of an Indexed Job its index, in every way in which upstream tells it.
fn mark_index(pod: &mut Value, job: &str, index: usize) {
    let text = index.to_string();
    let metadata = metadata_mut(pod);
    metadata.insert("generateName".into(), format!("{job}-{index}-").into());
    for field in ["annotations", "labels"] {
        map_mut(metadata.entry(field).or_insert_with(|| json!({}))).insert(INDEX.into(), text.clone().into());
    }
    pod["spec"]["hostname"] = format!("{job}-{index}").into();
    let variable = json!({
        "name": "JOB_COMPLETION_INDEX",
        "valueFrom": {"fieldRef": {"fieldPath": format!("metadata.labels['{INDEX}']")}},
    });
    for field in ["containers", "initContainers"] {
        // Not by index: that would write a null where there is no such list.
        let containers = pod["spec"].get_mut(field).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            match container.get_mut("env").and_then(Value::as_array_mut) {
                Some(env) => env.push(variable.clone()),
                None => container["env"] = json!([variable]),
            }
        }
    }
}

/// Numbers as upstream writes completed indexes: `0,2-4`.
fn ranges(numbers: &BTreeSet<usize>) -> String {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for &n in numbers {
        match parts.last_mut() {
            Some((_, end)) if *end + 1 == n => *end = n,
            _ => parts.push((n, n)),
        }
    }
    let told = |(a, b): &(usize, usize)| match b - a {
        0 => a.to_string(),
        1 => format!("{a},{b}"),
        _ => format!("{a}-{b}"),
    };
    parts.iter().map(told).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::ranges;

    #[test]
    fn indexes_are_told_as_ranges() {
        assert_eq!(ranges(&[0, 2, 3, 4, 7, 8].into()), "0,2-4,7,8");
        assert_eq!(ranges(&[].into()), "");
    }
}
