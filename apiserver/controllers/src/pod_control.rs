//! Making, deleting, adopting and releasing pods for the loops that own some, with their events and expectations.

use crate::context::Context;
use crate::expectations::Expectations;
use crate::kinds;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::sync::Arc;
use tinyplane_wire::client::{Cache, ClientError, Patch};
use tinyplane_wire::gvr::Gvr;
use tinyplane_wire::meta::{Meta, controller_reference};
use tinyplane_wire::selector::LabelSelector;

/// Pods made or deleted in one go.
pub(crate) const BURST: usize = 500;
/// Pods made at the same time, at first; doubled after each batch that went well.
const SLOW_START: usize = 1;

/// One loop's hands on its pods.
pub(crate) struct PodControl {
    context: Arc<Context>,
    pods: Arc<Cache>,
    expectations: Arc<Expectations>,
    owners: Gvr,
    component: &'static str,
}

impl PodControl {
    /// For the loop of `owners`, whose events tell of `component`.
    pub(crate) fn new(context: &Arc<Context>, owners: Gvr, component: &'static str) -> Self {
        let pods = context.cache(&kinds::pods());
        let expectations = Expectations::over(&pods);
        Self { context: Arc::clone(context), pods, expectations, owners, component }
    }

    /// True when the cache has shown all that was done for this owner.
    pub(crate) fn settled(&self, key: &str) -> bool {
        self.expectations.fulfilled(key)
    }

    /// The pods that an owner controls: those it had, without those whose labels have left the selector (they are
    /// released), and with those that match and belong to nobody (they are adopted).
    pub(crate) async fn claim(
        &self,
        owner: &Value,
        selector: &LabelSelector,
        concerns: impl Fn(&Value) -> bool,
    ) -> Result<Vec<Arc<Value>>, ClientError> {
        let meta = Meta::of(owner);
        let (mut mine, mut may_adopt) = (Vec::new(), None);
        for pod in self.pods.in_namespace(meta.namespace()) {
            let (matches, pod_meta) = (selector.selects(&pod), Meta::of(&pod));
            match pod_meta.controller() {
                Some(controller) if controller["uid"] == meta.uid() => match matches {
                    true if concerns(&pod) => mine.push(pod),
                    false if !meta.is_deleting() && concerns(&pod) => self.release(owner, &pod).await?,
                    _ => {}
                },
                None if matches && !meta.is_deleting() && !pod_meta.is_deleting() && concerns(&pod) => {
                    let may = match may_adopt {
                        Some(may) => may,
                        None => *may_adopt.insert(self.still_there(owner).await?),
                    };
                    if may && let Some(pod) = self.adopt(owner, &pod).await? {
                        mine.push(Arc::new(pod));
                    }
                }
                _ => {}
            }
        }
        Ok(mine)
    }

    /// Whether the server too knows the owner as it is here: a cache may lag behind its deletion.
    async fn still_there(&self, owner: &Value) -> Result<bool, ClientError> {
        let meta = Meta::of(owner);
        match self.context.client.get(&self.owners, Some(meta.namespace()), meta.name()).await {
            Ok(there) => Ok(Meta::of(&there).uid() == meta.uid() && !Meta::of(&there).is_deleting()),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn adopt(&self, owner: &Value, pod: &Value) -> Result<Option<Value>, ClientError> {
        self.patch_references(pod, &controller_reference(owner)).await
    }

    async fn release(&self, owner: &Value, pod: &Value) -> Result<(), ClientError> {
        self.patch_references(pod, &json!({"$patch": "delete", "uid": Meta::of(owner).uid()})).await.map(drop)
    }

    async fn patch_references(&self, pod: &Value, reference: &Value) -> Result<Option<Value>, ClientError> {
        let meta = Meta::of(pod);
        let patch = json!({"metadata": {"uid": meta.uid(), "ownerReferences": [reference]}});
        let (namespace, patch) = (Some(meta.namespace()), (Patch::Strategic, &patch));
        match self.context.client.patch(&kinds::pods(), namespace, meta.name(), None, patch).await {
            Ok(patched) => Ok(Some(patched)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes pods, first one, then ever more at the same time, so that what can't work is not tried 500 times.
    pub(crate) async fn create_all(&self, key: &str, owner: &Value, pods: &[Value]) -> Result<Vec<Value>, ClientError> {
        let (mut left, mut batch, mut made) = (&pods[..pods.len().min(BURST)], SLOW_START, Vec::new());
        while !left.is_empty() {
            let (now, later) = left.split_at(batch.min(left.len()));
            let tried = join_all(now.iter().map(|pod| self.create(key, owner, pod))).await;
            (left, batch) = (later, batch * 2);
            made.extend(tried.into_iter().collect::<Result<Vec<Value>, _>>()?);
        }
        Ok(made)
    }

    /// Makes one pod, with its event.
    pub(crate) async fn create(&self, key: &str, owner: &Value, pod: &Value) -> Result<Value, ClientError> {
        let made = self.make(key, owner, pod).await;
        match &made {
            Ok(made) => {
                let told = format!("Created pod: {}", Meta::of(made).name());
                self.context.recorder.normal(self.component, owner, "SuccessfulCreate", told);
            }
            Err(error) if is_namespace_going(error) => {}
            Err(error) => {
                let told = format!("Error creating: {error}");
                self.context.recorder.warning(self.component, owner, "FailedCreate", told);
            }
        }
        made
    }

    /// Makes one pod, which the cache is then expected to show.
    pub(crate) async fn make(&self, key: &str, owner: &Value, pod: &Value) -> Result<Value, ClientError> {
        let made = self.context.client.create(&kinds::pods(), Some(Meta::of(owner).namespace()), pod).await?;
        let meta = Meta::of(&made);
        self.expectations.created(key, meta.uid(), &self.pods, &meta.key());
        Ok(made)
    }

    /// Deletes pods, all at the same time.
    pub(crate) async fn delete_all(&self, key: &str, owner: &Value, pods: &[Arc<Value>]) -> Result<(), ClientError> {
        let pods = &pods[..pods.len().min(BURST)];
        join_all(pods.iter().map(|pod| self.delete(key, owner, pod))).await.into_iter().collect()
    }

    /// Deletes one pod, with its event. That it is gone already is no failure.
    pub(crate) async fn delete(&self, key: &str, owner: &Value, pod: &Value) -> Result<(), ClientError> {
        match self.remove(key, pod).await {
            Ok(gone) => {
                if gone {
                    let told = format!("Deleted pod: {}", Meta::of(pod).name());
                    self.context.recorder.normal(self.component, owner, "SuccessfulDelete", told);
                }
                Ok(())
            }
            Err(error) => {
                let told = format!("Error deleting: {error}");
                self.context.recorder.warning(self.component, owner, "FailedDelete", told);
                Err(error)
            }
        }
    }

    /// Deletes one pod, which the cache is then expected to lose; says whether it was there.
    pub(crate) async fn remove(&self, key: &str, pod: &Value) -> Result<bool, ClientError> {
        let meta = Meta::of(pod);
        self.expectations.deleting(key, meta.uid());
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": meta.uid()}});
        match self.context.client.delete(&kinds::pods(), Some(meta.namespace()), meta.name(), &options).await {
            Ok(_) => Ok(true),
            Err(error) => {
                self.expectations.not_deleted(key, meta.uid());
                if error.is_not_found() || error.is_conflict() { Ok(false) } else { Err(error) }
            }
        }
    }
}

/// True when nothing can be made any more because the namespace is on its way out.
pub(crate) fn is_namespace_going(error: &ClientError) -> bool {
    let ClientError::Status(status) = error else { return false };
    status.details.as_ref().is_some_and(|details| details.causes.iter().any(|c| c.reason == "NamespaceTerminating"))
}
