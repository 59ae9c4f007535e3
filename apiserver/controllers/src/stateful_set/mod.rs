//! Keeps the numbered pods of a StatefulSet, each with its name and its claims.

mod claims;
mod identity;
mod order;
mod status;

use crate::context::Context;
use crate::control_loop::{After, Reconcile, enqueue_adopters, enqueue_changes, enqueue_owners, run};
use crate::kinds;
use crate::pod_control::PodControl;
use crate::pods::{available_at, is_ready};
use crate::revisions::{self, Found, Labelling, REVISION_LABEL};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tinyplane_wire::client::{Cache, ClientError, WorkQueue};
use tinyplane_wire::meta::{Meta, map_mut};

const COMPONENT: &str = "statefulset-controller";
const LABELLING: Labelling = Labelling { hash_label: "controller.kubernetes.io/hash", annotations: false };

pub(crate) fn start(context: &Arc<Context>) {
    let queue = Arc::new(WorkQueue::new());
    let (sets, pods) = (context.cache(&kinds::stateful_sets()), context.cache(&kinds::pods()));
    let (claims, history) = (context.cache(&kinds::claims()), context.cache(&kinds::controller_revisions()));
    enqueue_changes(&sets, &queue);
    let control = PodControl::new(context, kinds::stateful_sets(), COMPONENT);
    enqueue_owners(&pods, &queue, "StatefulSet");
    enqueue_adopters(&pods, &sets, &queue, revisions::selector);
    enqueue_owners(&history, &queue, "StatefulSet");
    let reads = vec![Arc::clone(&sets), Arc::clone(&pods), Arc::clone(&claims), Arc::clone(&history)];
    run(context, &queue, reads, StatefulSets { context: Arc::clone(context), sets, claims, history, control });
}

struct StatefulSets {
    context: Arc<Context>,
    sets: Arc<Cache>,
    claims: Arc<Cache>,
    history: Arc<Cache>,
    control: PodControl,
}

/// What was found about one set.
pub(super) struct Scene<'a> {
    pub(super) key: &'a str,
    pub(super) set: &'a Value,
    pub(super) now: SystemTime,
    /// The names of the revisions that is rolled from, and to; the same while nothing changes.
    pub(super) current: String,
    pub(super) update: String,
    /// The template of the current revision.
    pub(super) current_template: Value,
}

impl Reconcile for StatefulSets {
    const NAME: &'static str = "statefulset";

    async fn reconcile(&self, key: &str) -> Result<After, ClientError> {
        let Some(set) = self.sets.get(key) else { return Ok(After::Rest) };
        let Some(selector) = revisions::selector(&set) else { return Ok(After::Rest) };
        let meta = Meta::of(&set);
        let settled = self.control.settled(key);
        let prefix = format!("{}-", meta.name());
        let named = |pod: &Value| Meta::of(pod).name().strip_prefix(&prefix).is_some_and(|n| n.parse::<i64>().is_ok());
        let pods = self.control.claim(&set, &selector, named).await?;
        if meta.is_deleting() {
            return Ok(After::Rest);
        }
        let Found::Revision(update, others) = revisions::ensure(&self.context, &self.history, &set, &LABELLING).await?
        else {
            let mut wished = Value::clone(&set);
            let collisions = set["status"]["collisionCount"].as_i64().unwrap_or_default();
            wished["status"]["collisionCount"] = (collisions + 1).into();
            self.context.client.update(&kinds::stateful_sets(), Some("status"), &wished).await?;
            return Ok(After::Rest);
        };
        let scene = self.scene(key, &set, &update, &others);
        let outcome = match settled {
            true => self.act(&scene, &pods).await,
            false => Ok(()),
        };
        let later = self.report(&scene, &pods).await?;
        outcome?;
        let used = |revision: &Value| {
            let name = Meta::of(revision).name();
            name == scene.current || pods.iter().any(|pod| Meta::of(pod).label(REVISION_LABEL) == Some(name))
        };
        revisions::truncate(&self.context, &set, &others, used).await?;
        Ok(later.map_or(After::Rest, After::Again))
    }
}

impl StatefulSets {
    fn scene<'a>(&self, key: &'a str, set: &'a Value, update: &Value, others: &[Arc<Value>]) -> Scene<'a> {
        let recorded = set["status"]["currentRevision"].as_str().unwrap_or_default();
        let current = others.iter().find(|revision| Meta::of(revision).name() == recorded);
        let mut current_template = current.map_or(&set["spec"]["template"], |c| &c["data"]["spec"]["template"]).clone();
        map_mut(&mut current_template).remove("$patch");
        let update = Meta::of(update).name().to_owned();
        let current = current.map_or_else(|| update.clone(), |c| Meta::of(c).name().to_owned());
        Scene { key, set, now: self.context.clock.now(), current, update, current_template }
    }
}

impl Scene<'_> {
    /// How many pods there should be.
    pub(super) fn replicas(&self) -> i64 {
        self.set["spec"]["replicas"].as_i64().unwrap_or(1)
    }

    /// The number of the first pod.
    pub(super) fn first(&self) -> i64 {
        self.set["spec"]["ordinals"]["start"].as_i64().unwrap_or_default()
    }

    /// The number of a pod.
    pub(super) fn ordinal(&self, pod: &Value) -> i64 {
        Meta::of(pod).name().rsplit_once('-').and_then(|(_, n)| n.parse().ok()).unwrap_or(-1)
    }

    pub(super) fn name_of(&self, ordinal: i64) -> String {
        format!("{}-{ordinal}", Meta::of(self.set).name())
    }

    /// One after the other, instead of all at the same time.
    pub(super) fn in_order(&self) -> bool {
        self.set["spec"]["podManagementPolicy"] != "Parallel"
    }

    pub(super) fn min_ready(&self) -> Duration {
        Duration::from_secs(self.set["spec"]["minReadySeconds"].as_u64().unwrap_or_default())
    }

    /// Running, ready, and not on its way out.
    pub(super) fn is_healthy(&self, pod: &Value) -> bool {
        pod["status"]["phase"] == "Running" && is_ready(pod) && !Meta::of(pod).is_deleting()
    }

    /// Ready for long enough.
    pub(super) fn is_available(&self, pod: &Value) -> bool {
        pod["status"]["phase"] == "Running" && available_at(pod, self.min_ready()).is_some_and(|at| at <= self.now)
    }
}
