//! What the server asks of the engine that runs a node's pods.

use crate::runtime::{ContainerId, SandboxId};
use serde_json::Value;
use std::sync::Arc;

/// The pods of one node as its engine knows them at this moment. Every answer is a snapshot and comes at once.
pub trait PodAccess: Send + Sync + 'static {
    /// Every pod of the node (`v1.Pod`), with the status that the engine would report now: it may be ahead of what the
    /// API server holds, and `containerStatuses[].containerID` and `lastState.terminated.containerID` are what logs are
    /// found by.
    fn pods(&self) -> Vec<Arc<Value>>;

    /// One pod by its name.
    fn pod(&self, namespace: &str, name: &str) -> Option<Arc<Value>>;

    /// The newest container of this name in a pod, whatever its state; `None` before it was created.
    fn container(&self, pod_uid: &str, container: &str) -> Option<ContainerId>;

    /// The sandbox of a pod; `None` before it was created and after it was removed.
    fn sandbox(&self, pod_uid: &str) -> Option<SandboxId>;
}
