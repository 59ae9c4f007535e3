//! In which order the pods of a StatefulSet come, go and are replaced.

use super::{COMPONENT, Scene, StatefulSets, identity};
use crate::pods::has_ended;
use crate::quantity::share;
use crate::revisions::REVISION_LABEL;
use serde_json::Value;
use std::sync::Arc;
use tinyplane_wire::client::ClientError;
use tinyplane_wire::meta::Meta;

/// Whether to go on after a step, or to wait for what it has begun.
#[derive(PartialEq)]
enum Step {
    On,
    Wait,
}

impl StatefulSets {
    /// Makes what lacks, from the first on; takes away what is too many, from the last on; then replaces what is old.
    pub(super) async fn act(&self, scene: &Scene<'_>, pods: &[Arc<Value>]) -> Result<(), ClientError> {
        let numbers = scene.first()..scene.first() + scene.replicas();
        for number in numbers.clone() {
            let pod = pods.iter().find(|pod| scene.ordinal(pod) == number);
            if self.tend(scene, number, pod).await? == Step::Wait && scene.in_order() {
                return Ok(());
            }
        }
        let mut condemned: Vec<&Arc<Value>> =
            pods.iter().filter(|pod| !numbers.contains(&scene.ordinal(pod))).collect();
        condemned.sort_by_key(|pod| -scene.ordinal(pod));
        if self.condemn(scene, pods, &condemned).await? == Step::Wait {
            return Ok(());
        }
        match scene.set["spec"]["updateStrategy"]["type"] == "OnDelete" {
            true => Ok(()),
            false => self.replace(scene, pods).await,
        }
    }

    /// Sees to the pod of one number.
    async fn tend(&self, scene: &Scene<'_>, number: i64, pod: Option<&Arc<Value>>) -> Result<Step, ClientError> {
        let name = scene.name_of(number);
        let Some(pod) = pod else {
            self.ensure_claims(scene, &name).await?;
            let made = self.make(scene, number).await?;
            self.own_claims(scene, &made, false).await?;
            return Ok(Step::Wait);
        };
        if has_ended(pod) {
            if !Meta::of(pod).is_deleting() {
                let (reason, word) = match pod["status"]["phase"] == "Failed" {
                    true => ("RecreatingFailedPod", "failed"),
                    false => ("RecreatingTerminatedPod", "terminated"),
                };
                let told = format!("StatefulSet {} is recreating {word} Pod {name}", Meta::of(scene.set).key());
                self.context.recorder.warning(COMPONENT, scene.set, reason, told);
                self.remove(scene, pod).await?;
            }
            return Ok(Step::Wait);
        }
        if pod["status"]["phase"] == "Pending" {
            self.ensure_claims(scene, &name).await?;
        }
        self.own_claims(scene, pod, false).await?;
        match scene.is_healthy(pod) && scene.is_available(pod) {
            true => Ok(Step::On),
            false => Ok(Step::Wait),
        }
    }

    /// Takes away the pods beyond the size: in order, one at a time, and only from a set that is well otherwise.
    async fn condemn(
        &self,
        scene: &Scene<'_>,
        pods: &[Arc<Value>],
        condemned: &[&Arc<Value>],
    ) -> Result<Step, ClientError> {
        let first_ailing = pods.iter().filter(|pod| !scene.is_healthy(pod)).min_by_key(|pod| scene.ordinal(pod));
        let mut step = Step::On;
        for pod in condemned {
            let is_first_ailing = first_ailing.is_some_and(|ailing| Meta::of(ailing).uid() == Meta::of(pod).uid());
            step = Step::Wait;
            let going = Meta::of(pod).is_deleting();
            if scene.in_order() && (going || !(scene.is_healthy(pod) || is_first_ailing)) {
                return Ok(Step::Wait);
            }
            if !going {
                self.own_claims(scene, pod, true).await?;
                self.remove(scene, pod).await?;
            }
            if scene.in_order() {
                return Ok(Step::Wait);
            }
        }
        Ok(step)
    }

    /// Deletes pods of an old revision from the last on, as many at a time as may be missing.
    async fn replace(&self, scene: &Scene<'_>, pods: &[Arc<Value>]) -> Result<(), ClientError> {
        let mut missing = 0;
        let may_miss = unavailable_max(scene);
        let lowest = scene.first() + identity::partition(scene.set);
        for number in (lowest..scene.first() + scene.replicas()).rev() {
            let Some(pod) = pods.iter().find(|pod| scene.ordinal(pod) == number) else { return Ok(()) };
            let old = Meta::of(pod).label(REVISION_LABEL) != Some(scene.update.as_str());
            let serves = scene.is_healthy(pod) && scene.is_available(pod);
            if old && !Meta::of(pod).is_deleting() {
                self.remove(scene, pod).await?;
                missing += 1;
            } else if !serves {
                missing += 1;
            }
            if missing >= may_miss {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn make(&self, scene: &Scene<'_>, number: i64) -> Result<Value, ClientError> {
        let pod = identity::pod(scene, number);
        let (name, set) = (scene.name_of(number), Meta::of(scene.set).name());
        match self.control.make(scene.key, scene.set, &pod).await {
            Ok(made) => {
                let told = format!("create Pod {name} in StatefulSet {set} successful");
                self.context.recorder.normal(COMPONENT, scene.set, "SuccessfulCreate", told);
                Ok(made)
            }
            Err(error) => {
                if !error.is_already_exists() {
                    let told = format!("create Pod {name} in StatefulSet {set} failed error: {error}");
                    self.context.recorder.warning(COMPONENT, scene.set, "FailedCreate", told);
                }
                Err(error)
            }
        }
    }

    async fn remove(&self, scene: &Scene<'_>, pod: &Value) -> Result<(), ClientError> {
        let (name, set) = (Meta::of(pod).name(), Meta::of(scene.set).name());
        match self.control.remove(scene.key, pod).await {
            Ok(gone) => {
                if gone {
                    let told = format!("delete Pod {name} in StatefulSet {set} successful");
                    self.context.recorder.normal(COMPONENT, scene.set, "SuccessfulDelete", told);
                }
                Ok(())
            }
            Err(error) => {
                let told = format!("delete Pod {name} in StatefulSet {set} failed error: {error}");
                self.context.recorder.warning(COMPONENT, scene.set, "FailedDelete", told);
                Err(error)
            }
        }
    }
}

fn unavailable_max(scene: &Scene<'_>) -> i64 {
    let asked = &scene.set["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"];
    if asked.is_null() { 1 } else { share(asked, scene.replicas(), true).max(1) }
}
