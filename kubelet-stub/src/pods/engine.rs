//! The engine of a node's pods: watches what is bound to the node, and has a worker for each.

use super::image::Images;
use super::network::{Network, Pool};
use super::sources::Sources;
use super::worker::Worker;
use crate::node::Node;
use crate::runtime::{ContainerId, Runtime, SandboxId};
use crate::server::PodAccess;
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use tinyplane_wire::client::{Change, Selection, reflect};
use tinyplane_wire::meta::Meta;
use tokio::sync::{mpsc, watch};

/// Happenings that wait for a worker.
const HAPPENED_MAX: usize = 64;

/// What the workers of a node share.
pub(crate) struct Shared {
    pub(crate) node: Arc<Node>,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) network: Arc<Network>,
    pub(crate) sources: Sources,
    pub(crate) images: Images,
    pub(crate) pool: Arc<Pool>,
}

/// What a pod is to be.
#[derive(Clone, Debug)]
pub(crate) struct Desired {
    pub(crate) pod: Arc<Value>,
    /// It is no longer in the API.
    pub(crate) gone: bool,
}

/// What a pod is, for those who ask the node's server.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// With the status of this moment.
    pub(crate) pod: Arc<Value>,
    pub(crate) sandbox: Option<SandboxId>,
    pub(crate) containers: HashMap<String, ContainerId>,
}

struct Entry {
    desired: watch::Sender<Desired>,
    seen: Arc<RwLock<Seen>>,
}

/// The pods of one node.
pub(crate) struct Engine {
    shared: Arc<Shared>,
    /// By uid.
    pods: RwLock<HashMap<String, Entry>>,
}

/// Takes a pod from the list when its worker ends, however that comes.
struct Left {
    engine: Weak<Engine>,
    uid: String,
}

impl Drop for Left {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.upgrade() {
            engine.pods.write().unwrap_or_else(PoisonError::into_inner).remove(&self.uid);
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("node", &self.shared.node.name()).finish_non_exhaustive()
    }
}

impl Engine {
    pub(crate) fn new(node: Arc<Node>, runtime: Arc<dyn Runtime>, network: Arc<Network>) -> Arc<Self> {
        let shared = Shared {
            runtime,
            network,
            sources: Sources::new(node.client.clone(), node.tasks.shutdown()),
            images: Images::default(),
            pool: Pool::new(node.config.pod_range),
            node,
        };
        Arc::new(Self { shared: Arc::new(shared), pods: RwLock::default() })
    }

    /// Begins to watch the node's pods.
    pub(crate) fn start(self: &Arc<Self>) {
        let node = &self.shared.node;
        let query = format!("fieldSelector=spec.nodeName%3D{}", node.name());
        let selection = Selection { gvr: crate::resources::pods(), namespace: None, query };
        let engine = Arc::downgrade(self);
        reflect(&node.client, selection, node.tasks.shutdown()).on_change(move |change| {
            if let Some(engine) = engine.upgrade() {
                engine.hear(change);
            }
        });
    }

    fn hear(self: &Arc<Self>, change: &Change) {
        match change {
            Change::Applied(pod, before) => {
                // A pod of the same name that is another one: the former is gone, though nobody said so.
                if let Some(before) = before.as_ref().filter(|b| Meta::of(b).uid() != Meta::of(pod).uid()) {
                    self.tell(before, true);
                }
                self.tell(pod, false);
            }
            Change::Deleted(pod) => self.tell(pod, true),
        }
    }

    fn tell(self: &Arc<Self>, pod: &Arc<Value>, gone: bool) {
        let uid = Meta::of(pod).uid();
        let desired = Desired { pod: Arc::clone(pod), gone };
        let mut pods = self.pods.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = pods.get(uid) {
            entry.desired.send_replace(desired);
            return;
        }
        if gone {
            return;
        }
        let seen = Seen { pod: Arc::clone(pod), sandbox: None, containers: HashMap::new() };
        let entry = Entry { desired: watch::Sender::new(desired), seen: Arc::new(RwLock::new(seen)) };
        let (happens, happened) = mpsc::channel(HAPPENED_MAX);
        match Worker::new(&self.shared, pod, Arc::clone(&entry.seen), happens) {
            Ok(worker) => {
                let (engine, uid) = (Arc::downgrade(self), uid.to_owned());
                let changes = entry.desired.subscribe();
                pods.insert(uid.clone(), entry);
                self.shared.node.tasks.spawn(async move {
                    let _left = Left { engine, uid };
                    Box::pin(worker.run(changes, happened)).await;
                });
            }
            Err(error) => {
                tracing::error!(node = self.shared.node.name(), pod = Meta::of(pod).key(), %error, "a pod's spec can't be read");
            }
        }
    }

    fn seen<T>(&self, uid: &str, read: impl FnOnce(&Seen) -> T) -> Option<T> {
        let pods = self.pods.read().unwrap_or_else(PoisonError::into_inner);
        let seen = pods.get(uid)?.seen.read().unwrap_or_else(PoisonError::into_inner);
        Some(read(&seen))
    }

    /// Ends what runs, without telling: the node itself ends.
    pub(crate) async fn end(&self) {
        let sandboxes: Vec<SandboxId> = {
            let pods = self.pods.read().unwrap_or_else(PoisonError::into_inner);
            let seen =
                pods.values().map(|entry| entry.seen.read().unwrap_or_else(PoisonError::into_inner).sandbox.clone());
            seen.flatten().collect()
        };
        for sandbox in sandboxes {
            if let Err(error) = self.shared.runtime.remove_sandbox(&sandbox).await {
                tracing::debug!(%error, "a sandbox was not removed");
            }
        }
    }
}

impl PodAccess for Engine {
    fn pods(&self) -> Vec<Arc<Value>> {
        let pods = self.pods.read().unwrap_or_else(PoisonError::into_inner);
        pods.values().map(|entry| Arc::clone(&entry.seen.read().unwrap_or_else(PoisonError::into_inner).pod)).collect()
    }

    fn pod(&self, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let mut found: Vec<_> = self.pods();
        found.retain(|pod| Meta::of(pod).namespace() == namespace && Meta::of(pod).name() == name);
        // While a former pod of this name ends, the newer one is meant.
        found.into_iter().max_by(|a, b| {
            let created = |pod: &Value| pod["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned();
            (!Meta::of(a).is_deleting(), created(a)).cmp(&(!Meta::of(b).is_deleting(), created(b)))
        })
    }

    fn container(&self, pod_uid: &str, container: &str) -> Option<ContainerId> {
        self.seen(pod_uid, |seen| seen.containers.get(container).cloned()).flatten()
    }

    fn sandbox(&self, pod_uid: &str) -> Option<SandboxId> {
        self.seen(pod_uid, |seen| seen.sandbox.clone()).flatten()
    }
}
