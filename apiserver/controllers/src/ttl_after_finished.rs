//! Deletes finished Jobs `ttlSecondsAfterFinished` after their end.

use crate::context::Context;
use crate::control_loop::{After, Reconcile, enqueue_changes, run};
use crate::kinds;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tinyplane_wire::client::{Cache, ClientError, WorkQueue};
use tinyplane_wire::clock;
use tinyplane_wire::meta::Meta;

pub(crate) fn start(context: &Arc<Context>) {
    let queue = Arc::new(WorkQueue::new());
    let jobs = context.cache(&kinds::jobs());
    enqueue_changes(&jobs, &queue);
    run(context, &queue, vec![Arc::clone(&jobs)], Expire { context: Arc::clone(context), jobs });
}

struct Expire {
    context: Arc<Context>,
    jobs: Arc<Cache>,
}

impl Reconcile for Expire {
    const NAME: &'static str = "ttl-after-finished";

    async fn reconcile(&self, key: &str) -> Result<After, ClientError> {
        let Some(job) = self.jobs.get(key) else { return Ok(After::Rest) };
        let Some(due) = due(&job) else { return Ok(After::Rest) };
        if let Some(left) = due.duration_since(self.context.clock.now()).ok().filter(|left| !left.is_zero()) {
            return Ok(After::Again(left));
        }
        let meta = Meta::of(&job);
        // The cache may lag behind a person who has just given the Job more time.
        let fresh = match self.context.client.get(&kinds::jobs(), Some(meta.namespace()), meta.name()).await {
            Err(error) if error.is_not_found() => return Ok(After::Rest),
            fresh => fresh?,
        };
        if self::due(&fresh).is_none_or(|due| due > self.context.clock.now()) {
            return Ok(After::Again(Duration::from_secs(1)));
        }
        let options = json!({
            "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground",
            "preconditions": {"uid": Meta::of(&fresh).uid()},
        });
        match self.context.client.delete(&kinds::jobs(), Some(meta.namespace()), meta.name(), &options).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(After::Rest),
        }
    }
}

/// When a Job is to go; `None` while it runs, is going already, or may stay.
fn due(job: &Value) -> Option<SystemTime> {
    let ttl = job["spec"]["ttlSecondsAfterFinished"].as_u64()?;
    if Meta::of(job).is_deleting() {
        return None;
    }
    let conditions = job["status"]["conditions"].as_array()?;
    let over = |c: &&Value| c["status"] == "True" && (c["type"] == "Complete" || c["type"] == "Failed");
    let ended = conditions.iter().find(over)?["lastTransitionTime"].as_str().and_then(clock::parse)?;
    Some(ended + Duration::from_secs(ttl))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_ended_and_has_a_limit_is_due() {
        let job = |ttl: Value, kind: &str| {
            json!({
                "spec": {"ttlSecondsAfterFinished": ttl},
                "status": {"conditions": [
                    {"type": "Suspended", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
                    {"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:01:00Z"},
                ]},
            })
        };
        assert_eq!(due(&job(json!(60), "Complete")), clock::parse("2026-01-01T00:02:00Z"));
        assert_eq!(due(&job(json!(60), "FailureTarget")), None);
        assert_eq!(due(&job(Value::Null, "Failed")), None);
    }
}
