//! The status of a StatefulSet: its counts, and how far it has gone over to a new revision.

use super::{Scene, StatefulSets};
use crate::kinds;
use crate::pods::{available_at, is_ready};
use crate::revisions::REVISION_LABEL;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::client::ClientError;
use tinyplane_wire::meta::{Meta, map_mut};

impl StatefulSets {
    /// Writes the status where it changed; says when to look again because a pod becomes available by time alone.
    pub(super) async fn report(&self, scene: &Scene<'_>, pods: &[Arc<Value>]) -> Result<Option<Duration>, ClientError> {
        let mut status = scene.set["status"].clone();
        count(scene, pods, map_mut(&mut status));
        if status != scene.set["status"] {
            let mut wished = scene.set.clone();
            wished["status"] = status;
            self.context.client.update(&kinds::stateful_sets(), Some("status"), &wished).await?;
        }
        let due = pods.iter().filter_map(|pod| available_at(pod, scene.min_ready()));
        Ok(due.filter_map(|at| at.duration_since(scene.now).ok()).filter(|wait| !wait.is_zero()).min())
    }
}

fn count(scene: &Scene<'_>, pods: &[Arc<Value>], status: &mut Map<String, Value>) {
    let number = |wanted: &dyn Fn(&Value) -> bool| {
        i64::try_from(pods.iter().filter(|pod| wanted(pod)).count()).unwrap_or_default()
    };
    let ready = |pod: &Value| pod["status"]["phase"] == "Running" && is_ready(pod);
    let made_of = |revision: &str| {
        number(&|pod| !Meta::of(pod).is_deleting() && Meta::of(pod).label(REVISION_LABEL) == Some(revision))
    };
    let all = number(&|_| true);
    let (ready, available) = (number(&ready), number(&|pod| ready(pod) && scene.is_available(pod)));
    let (mut current, updated) = (made_of(&scene.current), made_of(&scene.update));
    let mut revision = &scene.current;
    let rolls = scene.set["spec"]["updateStrategy"]["type"] != "OnDelete";
    if rolls && [all, ready, updated].iter().all(|count| *count == scene.replicas()) {
        (current, revision) = (updated, &scene.update);
    }
    status.insert("observedGeneration".into(), Meta::of(scene.set).generation().into());
    status.insert("replicas".into(), all.into());
    status.insert("availableReplicas".into(), available.into());
    status.insert("currentRevision".into(), revision.clone().into());
    status.insert("updateRevision".into(), scene.update.clone().into());
    status.entry("collisionCount").or_insert_with(|| json!(0));
    for (field, count) in [("readyReplicas", ready), ("currentReplicas", current), ("updatedReplicas", updated)] {
        match count {
            0 => drop(status.remove(field)),
            count => drop(status.insert(field.into(), count.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_revision_is_current_once_all_pods_are_ready_and_of_it() {
        let set = json!({"metadata": {"name": "web", "generation": 2}, "spec": {"replicas": 2}});
        let scene = Scene {
            key: "",
            set: &set,
            now: tinyplane_wire::clock::parse("2026-06-01T00:00:00Z").unwrap(),
            current: "old".into(),
            update: "new".into(),
            current_template: Value::Null,
        };
        let pod = |revision: &str| {
            Arc::new(json!({
                "metadata": {"labels": {REVISION_LABEL: revision}},
                "status": {"phase": "Running", "conditions": [
                    {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
                ]},
            }))
        };
        let told = |pods: &[Arc<Value>]| {
            let mut status = Map::new();
            count(&scene, pods, &mut status);
            Value::Object(status)
        };
        let half = told(&[pod("old"), pod("new")]);
        assert_eq!(
            (&half["currentRevision"], &half["currentReplicas"], &half["updatedReplicas"]),
            (&json!("old"), &json!(1), &json!(1))
        );
        let whole = told(&[pod("new"), pod("new")]);
        assert_eq!(
            whole,
            json!({
                "observedGeneration": 2, "replicas": 2, "readyReplicas": 2, "availableReplicas": 2, "currentReplicas": 2,
                "updatedReplicas": 2, "currentRevision": "new", "updateRevision": "new", "collisionCount": 0,
            })
        );
    }
}
