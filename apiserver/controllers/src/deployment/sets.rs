//! The ReplicaSets of a Deployment: which is new, which are old, and their revisions.

use super::{COMPONENT, Deployments, REVISION};
use crate::hash;
use crate::kinds;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tinyplane_wire::client::ClientError;
use tinyplane_wire::meta::{Meta, controller_reference, map_mut, metadata_mut};

/// Label by which the pods of one set differ from those of the next.
const HASH_LABEL: &str = "pod-template-hash";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";
/// Annotations of a Deployment that its sets do not take over.
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    "deployment.kubernetes.io/revision-history",
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
];

/// All sets of one Deployment, oldest first.
pub(super) struct Sets {
    pub(super) all: Vec<Arc<Value>>,
    new: Option<usize>,
}

impl Sets {
    /// The sets that a Deployment controls.
    pub(super) fn of(deployment: &Value, mut all: Vec<Arc<Value>>) -> Self {
        let age = |set: &Value| {
            (
                set["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned(),
                Meta::of(set).name().to_owned(),
            )
        };
        all.sort_by_key(|set| age(set));
        let template = &deployment["spec"]["template"];
        let new = all.iter().position(|set| without_hash(&set["spec"]["template"]) == without_hash(template));
        Self { all, new }
    }

    pub(super) fn new_index(&self) -> Option<usize> {
        self.new
    }

    pub(super) fn new_set(&self) -> Option<&Arc<Value>> {
        self.new.map(|i| &self.all[i])
    }

    pub(super) fn new_set_mut(&mut self) -> Option<&mut Arc<Value>> {
        self.new.map(|i| &mut self.all[i])
    }

    pub(super) fn old(&self) -> impl Iterator<Item = &Arc<Value>> {
        self.all.iter().enumerate().filter(|(i, _)| Some(*i) != self.new).map(|(_, set)| set)
    }

    pub(super) fn old_indices(&self) -> Vec<usize> {
        (0..self.all.len()).filter(|i| Some(*i) != self.new).collect()
    }

    /// Pods that all sets together ask for.
    pub(super) fn total(&self) -> i64 {
        self.all.iter().map(|set| replicas(set)).sum()
    }

    /// The sum of a status field over all sets.
    pub(super) fn sum(&self, field: &str) -> i64 {
        self.all.iter().map(|set| set["status"][field].as_i64().unwrap_or_default()).sum()
    }
}

pub(super) fn replicas(set: &Value) -> i64 {
    set["spec"]["replicas"].as_i64().unwrap_or(1)
}

pub(super) fn wished(deployment: &Value) -> i64 {
    deployment["spec"]["replicas"].as_i64().unwrap_or(1)
}

pub(super) fn revision(set: &Value) -> i64 {
    Meta::of(set).annotation(REVISION).and_then(|r| r.parse().ok()).unwrap_or_default()
}

/// The size that a set was last scaled for.
pub(super) fn remembered_size(set: &Value) -> Option<i64> {
    Meta::of(set).annotation(DESIRED)?.parse().ok()
}

/// The most pods that there could be when a set was last scaled.
pub(super) fn remembered_max(set: &Value) -> Option<i64> {
    Meta::of(set).annotation(MAX)?.parse().ok()
}

/// Writes the size of the Deployment on a set.
pub(super) fn annotate_size(deployment: &Value, set: &mut Value) {
    let (surge, _) = super::rolling::fenceposts(deployment);
    let annotations = map_mut(metadata_mut(set).entry("annotations").or_insert_with(|| json!({})));
    annotations.insert(DESIRED.into(), wished(deployment).to_string().into());
    annotations.insert(MAX.into(), (wished(deployment) + surge).to_string().into());
}

fn without_hash(template: &Value) -> Value {
    let mut template = template.clone();
    let metadata = metadata_mut(&mut template);
    if metadata.get("creationTimestamp").is_some_and(Value::is_null) {
        metadata.remove("creationTimestamp");
    }
    // Not by index, which would write a null where there are no labels.
    if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
        labels.remove(HASH_LABEL);
        if labels.is_empty() {
            metadata.remove("labels");
        }
    }
    template
}

impl Deployments {
    /// Finds or makes the set of the present template, and gives it the highest revision. Says what was made.
    pub(super) async fn ensure_new_set(
        &self,
        deployment: &mut Value,
        sets: &mut Sets,
    ) -> Result<Option<String>, ClientError> {
        let highest = sets.old().map(|set| revision(set)).max().unwrap_or_default();
        let made = if sets.new.is_none() {
            let set = self.make_set(deployment, highest + 1, sets).await?;
            let name = Meta::of(&set).name().to_owned();
            sets.all.push(Arc::new(set));
            sets.new = Some(sets.all.len() - 1);
            Some(name)
        } else {
            None
        };
        let Some(set) = sets.new_set_mut() else { return Ok(None) };
        let number = revision(set).max(highest + 1);
        let mut wished = Value::clone(set);
        let annotations = map_mut(metadata_mut(&mut wished).entry("annotations").or_insert_with(|| json!({})));
        copy_annotations(deployment, annotations);
        annotations.insert(REVISION.into(), number.to_string().into());
        annotate_size(deployment, &mut wished);
        wished["spec"]["minReadySeconds"] = deployment["spec"]["minReadySeconds"].clone();
        if wished["spec"]["minReadySeconds"].is_null() {
            map_mut(&mut wished["spec"]).remove("minReadySeconds");
        }
        // The size is written with the next scaling, else a change of size could not be told from a roll-out.
        let size = remembered_size(set);
        if let Some(size) = size.filter(|size| *size != super::sets::wished(deployment)) {
            metadata_mut(&mut wished)["annotations"][DESIRED] = size.to_string().into();
        }
        if wished != **set {
            *set = Arc::new(self.context.client.update(&kinds::replica_sets(), None, &wished).await?);
        }
        if Meta::of(deployment).annotation(REVISION) != Some(number.to_string().as_str()) {
            *deployment = self.annotate_revision(deployment, number).await?;
        }
        Ok(made)
    }

    async fn annotate_revision(&self, deployment: &Value, number: i64) -> Result<Value, ClientError> {
        let mut wished = deployment.clone();
        let annotations = map_mut(metadata_mut(&mut wished).entry("annotations").or_insert_with(|| json!({})));
        annotations.insert(REVISION.into(), number.to_string().into());
        self.context.client.update(&kinds::deployments(), None, &wished).await
    }

    async fn make_set(&self, deployment: &Value, number: i64, sets: &Sets) -> Result<Value, ClientError> {
        let meta = Meta::of(deployment);
        let collisions = deployment["status"]["collisionCount"].as_i64();
        let hash = hash::of(&deployment["spec"]["template"], collisions);
        let mut template = deployment["spec"]["template"].clone();
        map_mut(metadata_mut(&mut template).entry("labels").or_insert_with(|| json!({})))
            .insert(HASH_LABEL.into(), hash.clone().into());
        let mut selector = deployment["spec"]["selector"].clone();
        map_mut(map_mut(&mut selector).entry("matchLabels").or_insert_with(|| json!({})))
            .insert(HASH_LABEL.into(), hash.clone().into());
        let mut annotations = Map::new();
        copy_annotations(deployment, &mut annotations);
        annotations.insert(REVISION.into(), number.to_string().into());
        let mut set = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": format!("{}-{hash}", meta.name()), "namespace": meta.namespace(),
                "labels": template["metadata"]["labels"], "annotations": annotations,
                "ownerReferences": [controller_reference(deployment)],
            },
            "spec": {"replicas": first_size(deployment, sets), "selector": selector, "template": template},
        });
        if let Some(seconds) = deployment["spec"]["minReadySeconds"].as_i64() {
            set["spec"]["minReadySeconds"] = seconds.into();
        }
        annotate_size(deployment, &mut set);
        match self.context.client.create(&kinds::replica_sets(), Some(meta.namespace()), &set).await {
            Ok(made) => {
                let size = replicas(&made);
                if size > 0 {
                    let told = format!("Scaled up replica set {} from 0 to {size}", Meta::of(&made).name());
                    self.context.recorder.normal(COMPONENT, deployment, "ScalingReplicaSet", told);
                }
                Ok(made)
            }
            Err(error) if error.is_already_exists() => {
                self.count_collision(deployment, &format!("{}-{hash}", meta.name())).await?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// The name is taken: by this very set, which the cache has not shown yet, or by a stranger.
    async fn count_collision(&self, deployment: &Value, name: &str) -> Result<(), ClientError> {
        let meta = Meta::of(deployment);
        let there = self.context.client.get(&kinds::replica_sets(), Some(meta.namespace()), name).await?;
        let mine = Meta::of(&there).controller().is_some_and(|owner| owner["uid"] == meta.uid());
        if mine && without_hash(&there["spec"]["template"]) == without_hash(&deployment["spec"]["template"]) {
            return Ok(());
        }
        let mut wished = deployment.clone();
        let collisions = deployment["status"]["collisionCount"].as_i64().unwrap_or_default();
        wished["status"]["collisionCount"] = (collisions + 1).into();
        self.context.client.update(&kinds::deployments(), Some("status"), &wished).await?;
        Ok(())
    }
}

/// A new set starts with what the strategy allows at once.
fn first_size(deployment: &Value, sets: &Sets) -> i64 {
    let wished = wished(deployment);
    if deployment["spec"]["strategy"]["type"] == "Recreate" {
        return if sets.sum("replicas") == 0 { wished } else { 0 };
    }
    let (surge, _) = super::rolling::fenceposts(deployment);
    (wished + surge - sets.total()).clamp(0, wished)
}

fn copy_annotations(deployment: &Value, into: &mut Map<String, Value>) {
    for (key, value) in deployment["metadata"]["annotations"].as_object().into_iter().flatten() {
        if !NOT_COPIED.contains(&key.as_str()) {
            into.insert(key.clone(), value.clone());
        }
    }
}
