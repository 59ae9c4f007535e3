//! The status of a Deployment: its counts, and whether it is available and makes progress.

use super::rolling::fenceposts;
use super::sets::{Sets, wished};
use crate::context::Context;
use crate::control_loop::After;
use crate::kinds;
use crate::pods::{condition, set_condition};
use serde_json::{Value, json};
use std::time::Duration;
use tinyplane_wire::client::ClientError;
use tinyplane_wire::clock;
use tinyplane_wire::meta::Meta;

/// Seconds without progress after which a roll-out counts as stuck, where none are given: never.
const NEVER: u64 = i32::MAX as u64;

pub(super) struct Report<'a> {
    pub(super) context: &'a Context,
    pub(super) deployment: &'a Value,
    pub(super) sets: &'a Sets,
    /// Name of the set that was made just now.
    pub(super) made: Option<String>,
}

struct Counts {
    replicas: i64,
    updated: i64,
    ready: i64,
    available: i64,
}

impl Report<'_> {
    /// Writes the status where it changed; says when to look again for the deadline of progress.
    pub(super) async fn write(&self) -> Result<After, ClientError> {
        let counts = self.counts();
        let now = self.context.clock.timestamp();
        let old = &self.deployment["status"];
        let mut conditions = old["conditions"].as_array().cloned().unwrap_or_default();
        set_condition_now(&mut conditions, self.available(&counts), &now);
        let progressing = self.progressing(&counts, old);
        let moved = self.has_moved(&counts, old);
        if let Some(progressing) = progressing {
            set_condition_now(&mut conditions, progressing, &now);
        }
        if moved {
            touch(&mut conditions, &now);
        }
        let status = self.status(&counts, &conditions);
        if status != *old {
            let mut wished = self.deployment.clone();
            wished["status"] = status;
            self.context.client.update(&kinds::deployments(), Some("status"), &wished).await?;
        }
        Ok(self.next_look(&counts))
    }

    fn counts(&self) -> Counts {
        let updated = self.sets.new_set().map_or(0, |new| new["status"]["replicas"].as_i64().unwrap_or_default());
        Counts {
            replicas: self.sets.sum("replicas"),
            updated,
            ready: self.sets.sum("readyReplicas"),
            available: self.sets.sum("availableReplicas"),
        }
    }

    fn status(&self, counts: &Counts, conditions: &[Value]) -> Value {
        let mut status = json!({"observedGeneration": Meta::of(self.deployment).generation()});
        let old = &self.deployment["status"];
        if !old["collisionCount"].is_null() {
            status["collisionCount"] = old["collisionCount"].clone();
        }
        let terminating = self.sets.all.iter().map(|set| set["status"]["terminatingReplicas"].as_i64());
        if let Some(terminating) = terminating.sum::<Option<i64>>() {
            status["terminatingReplicas"] = terminating.into();
        }
        let unavailable = (self.sets.total() - counts.available).max(0);
        for (field, count) in [
            ("replicas", counts.replicas),
            ("updatedReplicas", counts.updated),
            ("readyReplicas", counts.ready),
            ("availableReplicas", counts.available),
            ("unavailableReplicas", unavailable),
        ] {
            if count != 0 {
                status[field] = count.into();
            }
        }
        status["conditions"] = conditions.into();
        status
    }

    fn available(&self, counts: &Counts) -> Value {
        let (_, unavailable) = fenceposts(self.deployment);
        let enough = counts.available >= wished(self.deployment) - unavailable;
        let (status, reason, message) = if enough {
            ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        };
        json!({"type": "Available", "status": status, "reason": reason, "message": message})
    }

    fn complete(&self, counts: &Counts) -> bool {
        let wished = wished(self.deployment);
        let observed =
            self.sets.all.iter().all(|set| {
                set["status"]["observedGeneration"].as_i64().unwrap_or_default() >= Meta::of(set).generation()
            });
        observed && counts.updated == wished && counts.replicas == wished && counts.available == wished
    }

    fn progressing(&self, counts: &Counts, old: &Value) -> Option<Value> {
        if self.deployment["spec"]["paused"].as_bool() == Some(true) {
            return Some(progress("Unknown", "DeploymentPaused", "Deployment is paused"));
        }
        let name = self.sets.new_set().map(|new| Meta::of(new).name().to_owned()).unwrap_or_default();
        if self.complete(counts) {
            let told = format!("ReplicaSet \"{name}\" has successfully progressed.");
            return Some(progress("True", "NewReplicaSetAvailable", &told));
        }
        if let Some(made) = &self.made {
            return Some(progress("True", "NewReplicaSetCreated", &format!("Created new replica set \"{made}\"")));
        }
        if self.has_moved(counts, old) {
            return Some(progress("True", "ReplicaSetUpdated", &format!("ReplicaSet \"{name}\" is progressing.")));
        }
        if self.timed_out() {
            let told = format!("ReplicaSet \"{name}\" has timed out progressing.");
            return Some(progress("False", "ProgressDeadlineExceeded", &told));
        }
        None
    }

    fn has_moved(&self, counts: &Counts, old: &Value) -> bool {
        let before = |field: &str| old[field].as_i64().unwrap_or_default();
        let old_pods = |replicas: i64, updated: i64| replicas - updated;
        counts.updated > before("updatedReplicas")
            || old_pods(counts.replicas, counts.updated) < old_pods(before("replicas"), before("updatedReplicas"))
            || counts.ready > before("readyReplicas")
            || counts.available > before("availableReplicas")
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(self.deployment["spec"]["progressDeadlineSeconds"].as_u64().unwrap_or(NEVER))
    }

    fn timed_out(&self) -> bool {
        let Some(last) = condition(self.deployment, "Progressing") else { return false };
        if last["reason"] == "NewReplicaSetAvailable" {
            return false;
        }
        let since = last["lastUpdateTime"].as_str().and_then(clock::parse);
        since.is_some_and(|since| since + self.deadline() < self.context.clock.now())
    }

    fn next_look(&self, counts: &Counts) -> After {
        if self.complete(counts) || self.deadline() >= Duration::from_secs(NEVER) || self.timed_out() {
            return After::Rest;
        }
        After::Again(self.deadline() + Duration::from_secs(1))
    }
}

fn progress(status: &str, reason: &str, message: &str) -> Value {
    json!({"type": "Progressing", "status": status, "reason": reason, "message": message})
}

fn set_condition_now(conditions: &mut Vec<Value>, mut fresh: Value, now: &str) {
    fresh["lastUpdateTime"] = now.into();
    set_condition(conditions, fresh, now);
}

fn touch(conditions: &mut [Value], now: &str) {
    if let Some(progressing) = conditions.iter_mut().find(|c| c["type"] == "Progressing") {
        progressing["lastUpdateTime"] = now.into();
    }
}
