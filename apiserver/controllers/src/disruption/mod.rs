//! Works out how many pods each PodDisruptionBudget lets go now.

mod scale;

use crate::context::Context;
use crate::control_loop::{After, Reconcile, enqueue_changes, run};
use crate::kinds;
use crate::pods::{is_ready, set_condition};
use crate::quantity::share;
use scale::Scales;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tinyplane_wire::client::{Cache, Change, ClientError, WorkQueue};
use tinyplane_wire::clock;
use tinyplane_wire::meta::Meta;
use tinyplane_wire::selector::LabelSelector;

const COMPONENT: &str = "controllermanager";
/// How long an evicted pod is believed to be on its way out before its deletion shows.
const DELETION_SECONDS: u64 = 120;

pub(crate) fn start(context: &Arc<Context>) {
    let queue = Arc::new(WorkQueue::new());
    let (budgets, pods) = (context.cache(&kinds::budgets()), context.cache(&kinds::pods()));
    enqueue_changes(&budgets, &queue);
    let (all, waiting) = (Arc::clone(&budgets), Arc::clone(&queue));
    pods.on_change(move |change| {
        let mut seen = vec![change.object()];
        if let Change::Applied(_, Some(before)) = change {
            seen.push(before);
        }
        for budget in all.in_namespace(Meta::of(change.object()).namespace()) {
            if selector(&budget).is_some_and(|selector| seen.iter().any(|pod| selector.selects(pod))) {
                waiting.add(Meta::of(&budget).key());
            }
        }
    });
    let scales = Scales::new(context);
    let mut reads = vec![Arc::clone(&budgets), Arc::clone(&pods)];
    reads.extend(scales.caches());
    run(context, &queue, reads, Budgets { context: Arc::clone(context), budgets, pods, scales });
}

fn selector(budget: &Value) -> Option<LabelSelector> {
    LabelSelector::from_object(&budget["spec"]["selector"]).ok().flatten()
}

struct Budgets {
    context: Arc<Context>,
    budgets: Arc<Cache>,
    pods: Arc<Cache>,
    scales: Scales,
}

/// How many pods there should be, and how many of them healthy.
#[derive(Debug, PartialEq)]
struct Goal {
    expected: i64,
    healthy: i64,
}

impl Reconcile for Budgets {
    const NAME: &'static str = "disruption";

    async fn reconcile(&self, key: &str) -> Result<After, ClientError> {
        let Some(budget) = self.budgets.get(key) else { return Ok(After::Rest) };
        let mut pods = self.pods.in_namespace(Meta::of(&budget).namespace());
        let selector = selector(&budget);
        pods.retain(|pod| selector.as_ref().is_some_and(|selector| selector.selects(pod)));
        if pods.is_empty() {
            self.context.recorder.normal(COMPONENT, &budget, "NoPods", "No matching pods found");
        }
        let goal = match self.goal(&budget, &pods).await {
            Ok(goal) => goal,
            Err(error) => {
                let told = format!("Failed to calculate the number of expected pods: {error}");
                self.context.recorder.warning(COMPONENT, &budget, "CalculateExpectedPodCountFailed", told);
                self.fail_safe(&budget, &error.to_string()).await?;
                return Err(error);
            }
        };
        let (disrupted, look_again) = self.still_disrupted(&budget, &pods);
        let status = status(&budget, &pods, &goal, &disrupted, &self.context.clock.timestamp());
        self.write(&budget, status).await?;
        Ok(look_again.map_or(After::Rest, After::Again))
    }
}

impl Budgets {
    async fn goal(&self, budget: &Value, pods: &[Arc<Value>]) -> Result<Goal, ClientError> {
        let spec = &budget["spec"];
        if let Some(healthy) = spec["minAvailable"].as_i64() {
            return Ok(Goal { expected: count(pods.iter()), healthy });
        }
        if spec["minAvailable"].is_null() && spec["maxUnavailable"].is_null() {
            return Ok(Goal { expected: 0, healthy: 0 });
        }
        let found = self.scales.expected(pods).await?;
        if found.unmanaged {
            let told = format!(
                "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set \".spec.minAvailable\" field of the PDB to an integer value.",
                spec["selector"]
            );
            self.context.recorder.warning(COMPONENT, budget, "UnmanagedPods", told);
        }
        Ok(goal_of_scale(spec, found.pods))
    }

    /// The evicted pods whose deletion does not show yet, and when the first of them will be given up.
    fn still_disrupted(&self, budget: &Value, pods: &[Arc<Value>]) -> (Value, Option<Duration>) {
        let now = self.context.clock.now();
        let (mut left, mut next) = (serde_json::Map::new(), None);
        for (name, at) in budget["status"]["disruptedPods"].as_object().into_iter().flatten() {
            let Some(pod) = pods.iter().find(|pod| Meta::of(pod).name() == name) else { continue };
            if Meta::of(pod).is_deleting() {
                continue;
            }
            let given_up = at.as_str().and_then(clock::parse).map(|at| at + Duration::from_secs(DELETION_SECONDS));
            match given_up.unwrap_or(SystemTime::UNIX_EPOCH).duration_since(now) {
                Ok(wait) if !wait.is_zero() => {
                    left.insert(name.clone(), at.clone());
                    next = Some(next.map_or(wait, |known: Duration| known.min(wait)));
                }
                _ => {
                    let told =
                        format!("Pod was expected by PDB {} to be deleted but it wasn't", Meta::of(budget).key());
                    self.context.recorder.warning(COMPONENT, pod, "NotDeleted", told);
                }
            }
        }
        (left.into(), next)
    }

    /// Without knowing better, nothing may go.
    async fn fail_safe(&self, budget: &Value, why: &str) -> Result<(), ClientError> {
        let mut status = budget["status"].clone();
        status["disruptionsAllowed"] = 0.into();
        let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let told = json!({
            "type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed", "message": why,
            "observedGeneration": Meta::of(budget).generation(),
        });
        set_condition(&mut conditions, told, &self.context.clock.timestamp());
        status["conditions"] = conditions.into();
        self.write(budget, status).await
    }

    async fn write(&self, budget: &Value, status: Value) -> Result<(), ClientError> {
        if status == budget["status"] {
            return Ok(());
        }
        let mut wished = budget.clone();
        wished["status"] = status;
        self.context.client.update(&kinds::budgets(), Some("status"), &wished).await.map(drop)
    }
}

fn count<T>(all: impl Iterator<Item = T>) -> i64 {
    i64::try_from(all.count()).unwrap_or(i64::MAX)
}

fn goal_of_scale(spec: &Value, expected: i64) -> Goal {
    let healthy = match spec["maxUnavailable"].is_null() {
        true => share(&spec["minAvailable"], expected, true),
        false => expected - share(&spec["maxUnavailable"], expected, true),
    };
    Goal { expected, healthy: healthy.max(0) }
}

fn status(budget: &Value, pods: &[Arc<Value>], goal: &Goal, disrupted: &Value, now: &str) -> Value {
    let healthy =
        |pod: &&Arc<Value>| is_ready(pod) && !Meta::of(pod).is_deleting() && disrupted[Meta::of(pod).name()].is_null();
    let current = count(pods.iter().filter(healthy));
    let allowed = if goal.expected <= 0 { 0 } else { (current - goal.healthy).max(0) };
    let mut conditions = budget["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let (value, reason) = if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let generation = Meta::of(budget).generation();
    let told = json!({
        "type": "DisruptionAllowed", "status": value, "reason": reason, "message": "",
        "observedGeneration": generation,
    });
    set_condition(&mut conditions, told, now);
    let mut status = json!({
        "currentHealthy": current, "desiredHealthy": goal.healthy, "expectedPods": goal.expected,
        "disruptionsAllowed": allowed, "observedGeneration": generation, "conditions": conditions,
    });
    if disrupted.as_object().is_some_and(|pods| !pods.is_empty()) {
        status["disruptedPods"] = disrupted.clone();
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_stay_is_rounded_up() {
        let goal = |spec: Value| goal_of_scale(&spec, 7);
        assert_eq!(goal(json!({"minAvailable": "50%"})), Goal { expected: 7, healthy: 4 });
        assert_eq!(goal(json!({"maxUnavailable": "30%"})), Goal { expected: 7, healthy: 4 });
        assert_eq!(goal(json!({"maxUnavailable": 9})), Goal { expected: 7, healthy: 0 });
    }

    #[test]
    fn pods_that_were_evicted_are_not_counted_as_healthy() {
        let pod = |name: &str| {
            Arc::new(
                json!({"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}),
            )
        };
        let budget = json!({"metadata": {"generation": 1}});
        let pods = [pod("a"), pod("b"), pod("c")];
        let goal = Goal { expected: 3, healthy: 2 };
        let told = |disrupted: Value| status(&budget, &pods, &goal, &disrupted, "now");
        assert_eq!(told(json!({}))["disruptionsAllowed"], 1);
        let after = told(json!({"a": "now"}));
        assert_eq!(
            (&after["disruptionsAllowed"], &after["conditions"][0]["reason"]),
            (&json!(0), &json!("InsufficientPods"))
        );
    }
}
