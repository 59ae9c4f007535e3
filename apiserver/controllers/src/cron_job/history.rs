//! What a CronJob knows of the Jobs that it made, and which of them it keeps.

use super::{COMPONENT, CronJobs};
use crate::kinds;
use crate::pods::condition;
use serde_json::{Value, json};
use std::sync::Arc;
use tinyplane_wire::client::ClientError;
use tinyplane_wire::meta::{Meta, map_mut};

/// What a Job has come to: `Complete`, `Failed`, or nothing yet.
pub(super) fn ended(job: &Value) -> Option<&'static str> {
    ["Complete", "Failed"].into_iter().find(|kind| condition(job, kind).is_some_and(|c| c["status"] == "True"))
}

/// Takes a Job from the list of those that run.
pub(super) fn forget(cron: &mut Value, uid: &str) {
    let status = map_mut(&mut cron["status"]);
    if let Some(active) = status.get_mut("active").and_then(Value::as_array_mut) {
        active.retain(|job| job["uid"] != uid);
        if active.is_empty() {
            status.remove("active");
        }
    }
}

impl CronJobs {
    /// Brings the list of running Jobs up to date.
    pub(super) async fn see_to_active(&self, cron: &mut Value, jobs: &[Arc<Value>]) -> Result<(), ClientError> {
        let active = cron["status"]["active"].as_array().cloned().unwrap_or_default();
        for job in jobs {
            let meta = Meta::of(job);
            let listed = active.iter().any(|a| a["uid"] == meta.uid());
            match ended(job) {
                Some(how) if listed => {
                    forget(cron, meta.uid());
                    let told = format!("Saw completed job: {}, condition: {how}", meta.name());
                    self.context.recorder.normal(COMPONENT, cron, "SawCompletedJob", told);
                    let completed = &job["status"]["completionTime"];
                    let known = cron["status"]["lastSuccessfulTime"].as_str().unwrap_or_default();
                    if how == "Complete" && completed.as_str().is_some_and(|at| at > known) {
                        cron["status"]["lastSuccessfulTime"] = completed.clone();
                    }
                }
                None if !listed && !meta.is_deleting() => {
                    // Perhaps this cache is behind the last status that was written here.
                    let fresh = self.fresh(cron).await?;
                    let told = fresh["status"]["active"].as_array().into_iter().flatten();
                    if !told.into_iter().any(|a| a["uid"] == meta.uid()) {
                        let told = format!("Saw a job that the controller did not create or forgot: {}", meta.name());
                        self.context.recorder.warning(COMPONENT, cron, "UnexpectedJob", told);
                    }
                }
                _ => {}
            }
        }
        for gone in active.iter().filter(|a| !jobs.iter().any(|job| a["uid"] == Meta::of(job).uid())) {
            let name = gone["name"].as_str().unwrap_or_default();
            let namespace = Meta::of(cron).namespace().to_owned();
            match self.context.client.get(&kinds::jobs(), Some(&namespace), name).await {
                Ok(job) if Meta::of(&job).uid() == gone["uid"] => {}
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {
                    let told = format!("Active job went missing: {name}");
                    self.context.recorder.normal(COMPONENT, cron, "MissingJob", told);
                    forget(cron, gone["uid"].as_str().unwrap_or_default());
                }
            }
        }
        Ok(())
    }

    async fn fresh(&self, cron: &Value) -> Result<Value, ClientError> {
        let meta = Meta::of(cron);
        match self.context.client.get(&kinds::cron_jobs(), Some(meta.namespace()), meta.name()).await {
            Err(error) if error.is_not_found() => Ok(Value::Null),
            answer => answer,
        }
    }

    /// Deletes the oldest ended Jobs beyond the limits.
    pub(super) async fn trim_history(&self, cron: &Value, jobs: &[Arc<Value>]) -> Result<(), ClientError> {
        for (how, field) in [("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")] {
            let Some(limit) = cron["spec"][field].as_u64() else { continue };
            for job in oldest_beyond(jobs, how, usize::try_from(limit).unwrap_or(usize::MAX)) {
                self.delete(cron, &job).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn delete(&self, cron: &Value, job: &Value) -> Result<(), ClientError> {
        let meta = Meta::of(job);
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"});
        match self.context.client.delete(&kinds::jobs(), Some(meta.namespace()), meta.name(), &options).await {
            Ok(_) => {
                let told = format!("Deleted job {}", meta.name());
                self.context.recorder.normal(COMPONENT, cron, "SuccessfulDelete", told);
                Ok(())
            }
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => {
                self.context.recorder.warning(COMPONENT, cron, "FailedDelete", format!("Deleted job: {error}"));
                Err(error)
            }
        }
    }
}

fn oldest_beyond(jobs: &[Arc<Value>], how: &str, limit: usize) -> Vec<Arc<Value>> {
    let mut all: Vec<Arc<Value>> =
        jobs.iter().filter(|job| ended(job) == Some(how) && !Meta::of(job).is_deleting()).cloned().collect();
    all.sort_by_key(|job| {
        (job["status"]["startTime"].as_str().unwrap_or_default().to_owned(), Meta::of(job).name().to_owned())
    });
    all.truncate(all.len().saturating_sub(limit));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_a_kind_go() {
        let job = |name: &str, how: &str, start: &str| {
            Arc::new(json!({
                "metadata": {"name": name},
                "status": {"startTime": start, "conditions": [{"type": how, "status": "True"}]},
            }))
        };
        let jobs =
            [job("c", "Complete", "3"), job("a", "Complete", "1"), job("f", "Failed", "0"), job("b", "Complete", "2")];
        let names = |limit| -> Vec<String> {
            oldest_beyond(&jobs, "Complete", limit).iter().map(|j| Meta::of(j).name().to_owned()).collect()
        };
        assert_eq!((names(1), names(3)), (vec!["a".to_owned(), "b".to_owned()], vec![]));
    }

    #[test]
    fn the_last_running_job_leaves_no_empty_list() {
        let mut cron = json!({"status": {"active": [{"uid": "a"}]}});
        forget(&mut cron, "a");
        assert_eq!(cron, json!({"status": {}}));
    }
}
