//! Keeps one pod of a DaemonSet on every node that it is meant for.

mod nodes;
mod rolling;
mod status;

use crate::context::Context;
use crate::control_loop::{After, Reconcile, enqueue_adopters, enqueue_changes, enqueue_owners, run};
use crate::kinds;
use crate::pod_control::PodControl;
use crate::pods::{from_template, has_ended};
use crate::revisions::{self, Found, Labelling, REVISION_LABEL};
use nodes::{Verdict, tolerations, verdict};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tinyplane_wire::client::{Backoff, Cache, Change, ClientError, WorkQueue};
use tinyplane_wire::meta::{Meta, map_mut, metadata_mut};

const COMPONENT: &str = "daemonset-controller";
/// Label and annotation with the count of the template's changes.
const GENERATION_LABEL: &str = "pod-template-generation";
const GENERATION: &str = "deprecated.daemonset.template.generation";
const LABELLING: Labelling = Labelling { hash_label: REVISION_LABEL, annotations: true };
/// Wait before a pod that failed on its node is deleted, to make room for another.
const FAILED_PODS: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(15 * 60) };

pub(crate) fn start(context: &Arc<Context>) {
    let queue = Arc::new(WorkQueue::new());
    let (sets, pods) = (context.cache(&kinds::daemon_sets()), context.cache(&kinds::pods()));
    let (nodes, history) = (context.cache(&kinds::nodes()), context.cache(&kinds::controller_revisions()));
    enqueue_changes(&sets, &queue);
    let control = PodControl::new(context, kinds::daemon_sets(), COMPONENT);
    enqueue_owners(&pods, &queue, "DaemonSet");
    enqueue_adopters(&pods, &sets, &queue, revisions::selector);
    enqueue_owners(&history, &queue, "DaemonSet");
    enqueue_all_when_nodes_change(&nodes, &sets, &queue);
    let reads = vec![Arc::clone(&sets), Arc::clone(&pods), Arc::clone(&nodes), Arc::clone(&history)];
    let failures = Mutex::default();
    run(context, &queue, reads, DaemonSets { context: Arc::clone(context), sets, nodes, history, control, failures });
}

fn enqueue_all_when_nodes_change(nodes: &Cache, sets: &Arc<Cache>, queue: &Arc<WorkQueue>) {
    let (sets, queue) = (Arc::clone(sets), Arc::clone(queue));
    nodes.on_change(move |change| {
        if let Change::Applied(node, Some(before)) = change {
            let same = |field: &str| node["metadata"][field] == before["metadata"][field];
            if same("labels") && node["spec"]["taints"] == before["spec"]["taints"] {
                return;
            }
        }
        sets.all().iter().for_each(|set| queue.add(Meta::of(set).key()));
    });
}

struct DaemonSets {
    context: Arc<Context>,
    sets: Arc<Cache>,
    nodes: Arc<Cache>,
    history: Arc<Cache>,
    control: PodControl,
    /// How often the pod of a set failed on a node, and when it may be deleted.
    failures: Mutex<BTreeMap<String, (u32, Instant)>>,
}

/// The pods of one set by the node that they are on, or are meant for.
pub(super) type ByNode = BTreeMap<String, Vec<Arc<Value>>>;

/// What was found about one set.
pub(super) struct Scene<'a> {
    pub(super) key: &'a str,
    pub(super) set: &'a Value,
    pub(super) nodes: Vec<Arc<Value>>,
    pub(super) by_node: ByNode,
    /// The hash of the present template.
    pub(super) hash: String,
}

impl Reconcile for DaemonSets {
    const NAME: &'static str = "daemonset";

    async fn reconcile(&self, key: &str) -> Result<After, ClientError> {
        let Some(set) = self.sets.get(key) else { return Ok(After::Rest) };
        let Some(selector) = revisions::selector(&set).filter(|selector| !selector.is_empty()) else {
            let told = "This daemon set is selecting all pods. A non-empty selector is required.";
            self.context.recorder.warning(COMPONENT, &set, "SelectingAll", told);
            return Ok(After::Rest);
        };
        if Meta::of(&set).is_deleting() {
            return Ok(After::Rest);
        }
        let Found::Revision(present, others) =
            revisions::ensure(&self.context, &self.history, &set, &LABELLING).await?
        else {
            return self.count_collision(&set).await;
        };
        let hash = Meta::of(&present).label(REVISION_LABEL).unwrap_or_default().to_owned();
        let settled = self.control.settled(key);
        let pods = self.control.claim(&set, &selector, |_| true).await?;
        let scene = Scene { key, set: &set, nodes: self.nodes.all(), by_node: by_node(&pods), hash };
        let mut again = None;
        if settled {
            again = self.manage(&scene).await?;
            if self.control.settled(key) && set["spec"]["updateStrategy"]["type"] != "OnDelete" {
                self.roll(&scene).await?;
            }
            let used = |revision: &Value| {
                let hash = Meta::of(revision).label(REVISION_LABEL);
                pods.iter().any(|pod| Meta::of(pod).label(REVISION_LABEL) == hash)
            };
            revisions::truncate(&self.context, &set, &others, used).await?;
        }
        let later = self.report(&scene).await?;
        Ok([again, later].into_iter().flatten().min().map_or(After::Rest, After::Again))
    }
}

impl DaemonSets {
    /// Makes pods where they lack and deletes those that are too many; says when to look at failed ones again.
    async fn manage(&self, scene: &Scene<'_>) -> Result<Option<Duration>, ClientError> {
        let (mut lacking, mut excess, mut again) = (Vec::new(), Vec::new(), None);
        for node in &scene.nodes {
            let name = Meta::of(node).name();
            let Verdict { should_run, may_stay } = verdict(scene.set, node);
            let pods = scene.by_node.get(name).map(Vec::as_slice).unwrap_or_default();
            if pods.is_empty() {
                if should_run {
                    lacking.push(self.pod_for(scene, name));
                }
                continue;
            }
            if !may_stay {
                excess.extend(pods.iter().filter(|pod| !Meta::of(pod).is_deleting()).cloned());
                continue;
            }
            let mut serving = Vec::new();
            for pod in pods.iter().filter(|pod| !Meta::of(pod).is_deleting()) {
                match pod["status"]["phase"].as_str() {
                    Some("Failed") => match self.wait_after_failure(scene, name) {
                        Some(wait) => again = again.map_or(Some(wait), |known: Duration| Some(known.min(wait))),
                        None => {
                            let told = format!(
                                "Found failed daemon pod {} on node {name}, will try to kill it",
                                Meta::of(pod).key()
                            );
                            self.context.recorder.warning(COMPONENT, scene.set, "FailedDaemonPod", told);
                            excess.push(Arc::clone(pod));
                        }
                    },
                    Some("Succeeded") => {
                        let told = format!(
                            "Found succeeded daemon pod {} on node {name}, will try to delete it",
                            Meta::of(pod).key()
                        );
                        self.context.recorder.normal(COMPONENT, scene.set, "SucceededDaemonPod", told);
                        excess.push(Arc::clone(pod));
                    }
                    _ => serving.push(Arc::clone(pod)),
                }
            }
            excess.extend(rolling::surplus(scene, serving));
        }
        // Pods bound to nodes that are gone are collected by the collector of pods; unbound ones here.
        for (name, pods) in &scene.by_node {
            if !scene.nodes.iter().any(|node| Meta::of(node).name() == name) {
                let unbound = pods.iter().filter(|pod| crate::pods::node_of(pod).is_empty());
                excess.extend(unbound.filter(|pod| !Meta::of(pod).is_deleting()).cloned());
            }
        }
        self.control.create_all(scene.key, scene.set, &lacking).await?;
        self.control.delete_all(scene.key, scene.set, &excess).await?;
        Ok(again)
    }

    /// The set's pod for one node, by the present template.
    fn pod_for(&self, scene: &Scene<'_>, node: &str) -> Value {
        let mut pod = from_template(scene.set, &scene.set["spec"]["template"]);
        let labels = map_mut(metadata_mut(&mut pod).entry("labels").or_insert_with(|| json!({})));
        labels.insert(REVISION_LABEL.into(), scene.hash.clone().into());
        if let Some(generation) = Meta::of(scene.set).annotation(GENERATION) {
            labels.insert(GENERATION_LABEL.into(), generation.into());
        }
        pod["spec"]["tolerations"] = tolerations(&pod["spec"]).into();
        let term = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]});
        let affinity = map_mut(&mut pod["spec"]).entry("affinity").or_insert_with(|| json!({}));
        let of_nodes = map_mut(affinity).entry("nodeAffinity").or_insert_with(|| json!({}));
        map_mut(of_nodes)
            .insert("requiredDuringSchedulingIgnoredDuringExecution".into(), json!({"nodeSelectorTerms": [term]}));
        pod
    }

    /// How long a failed pod is to be left; `None` when it may go now.
    fn wait_after_failure(&self, scene: &Scene<'_>, node: &str) -> Option<Duration> {
        let uid = Meta::of(scene.set).uid();
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, due) = failures.entry(format!("{uid}/{node}")).or_insert((0, Instant::now()));
        if let Some(wait) = due.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero()) {
            return Some(wait);
        }
        *count += 1;
        *due = Instant::now() + FAILED_PODS.after(*count);
        None
    }

    async fn count_collision(&self, set: &Value) -> Result<After, ClientError> {
        let mut wished = set.clone();
        wished["status"]["collisionCount"] = (set["status"]["collisionCount"].as_i64().unwrap_or_default() + 1).into();
        self.context.client.update(&kinds::daemon_sets(), Some("status"), &wished).await?;
        Ok(After::Rest)
    }
}

/// Pods by the node that they are bound to, or that their affinity names.
fn by_node(pods: &[Arc<Value>]) -> ByNode {
    let mut all = ByNode::new();
    for pod in pods {
        let spec = &pod["spec"];
        let terms = &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
        let meant = &terms["nodeSelectorTerms"][0]["matchFields"][0]["values"][0];
        let node = [&spec["nodeName"], meant].into_iter().filter_map(Value::as_str).find(|n| !n.is_empty());
        if let Some(node) = node.filter(|_| !(has_ended(pod) && Meta::of(pod).is_deleting())) {
            all.entry(node.to_owned()).or_default().push(Arc::clone(pod));
        }
    }
    all
}
