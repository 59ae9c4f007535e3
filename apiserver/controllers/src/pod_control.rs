//! Making and deleting pods for the loops that own some, with their events and expectations.

use crate::context::Context;
use crate::expectations::Expectations;
use crate::kinds;
use crate::ownership::Ownership;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::sync::Arc;
use tinyplane_wire::client::{Cache, ClientError};
use tinyplane_wire::gvr::Gvr;
use tinyplane_wire::meta::Meta;
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
    ownership: Ownership,
    component: &'static str,
}

impl PodControl {
    /// For the loop of `owners`, whose events tell of `component`.
    pub(crate) fn new(context: &Arc<Context>, owners: Gvr, component: &'static str) -> Self {
        let pods = context.cache(&kinds::pods());
        let expectations = Expectations::over(&pods);
        let ownership = Ownership::new(context, owners, kinds::pods());
        Self { context: Arc::clone(context), pods, expectations, ownership, component }
    }

    /// True when the cache has shown all that was done for this owner.
    pub(crate) fn settled(&self, key: &str) -> bool {
        self.expectations.fulfilled(key)
    }

    /// The pods that an owner controls; see [`Ownership::claim`].
    pub(crate) async fn claim(
        &self,
        owner: &Value,
        selector: &LabelSelector,
        concerns: impl Fn(&Value) -> bool,
    ) -> Result<Vec<Arc<Value>>, ClientError> {
        self.ownership.claim(owner, selector, concerns).await
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
