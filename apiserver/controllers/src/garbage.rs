//! Collects what its owners left behind, and does what foreground and orphan deletion promise.

use crate::context::Context;
use crate::control_loop::{After, Reconcile, run};
use crate::kinds;
use crate::namespace::{Discovered, discover};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tinyplane_wire::client::{Cache, Change, ClientError, Patch, WorkQueue};
use tinyplane_wire::gvr::Gvr;
use tinyplane_wire::meta::Meta;
use tokio::sync::Notify;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";
/// How soon to ask again what the server serves, when it did not answer.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Resources whose objects neither own nor are owned, and come by the thousand.
const LEFT_OUT: [&str; 1] = ["events"];

pub(crate) fn start(context: &Arc<Context>) {
    let begun = Arc::clone(context);
    context.spawn(async move {
        let (queue, graph) = (Arc::new(WorkQueue::new()), Arc::new(Graph::default()));
        let changed = Arc::new(Notify::new());
        let definitions = begun.cache(&kinds::custom_resource_definitions());
        let wake = Arc::clone(&changed);
        definitions.on_change(move |_| wake.notify_one());
        let mut running = false;
        loop {
            let served = match discover(&begun.client).await {
                Ok(served) => served,
                Err(error) => {
                    tracing::debug!(%error, "what the server serves is not known yet");
                    begun.clock.sleep(ASK_AGAIN).await;
                    continue;
                }
            };
            let reads = follow(&begun, &graph, &queue, served);
            if !running {
                running = true;
                let collector = Collector { context: Arc::clone(&begun), graph: Arc::clone(&graph) };
                run(&begun, &queue, reads, collector);
            }
            changed.notified().await;
        }
    });
}

/// Watches what is served and was not watched yet, and gives up what is served no more. Gives the new caches.
fn follow(
    context: &Arc<Context>,
    graph: &Arc<Graph>,
    queue: &Arc<WorkQueue>,
    served: Vec<Discovered>,
) -> Vec<Arc<Cache>> {
    let served: Vec<_> = served.into_iter().filter(|kind| !LEFT_OUT.contains(&kind.gvr.resource.as_str())).collect();
    let is_served = |gvr: &Gvr| served.iter().any(|kind| kind.gvr == *gvr);
    let gone: Vec<Gvr> = graph.kinds().values().map(|(gvr, _)| gvr.clone()).filter(|gvr| !is_served(gvr)).collect();
    graph.kinds().retain(|_, (gvr, _)| is_served(gvr));
    gone.iter().for_each(|gvr| context.forget(gvr));
    let mut reads = Vec::new();
    for kind in served {
        let known = graph.kinds().values().any(|(gvr, _)| *gvr == kind.gvr);
        if known {
            continue;
        }
        let cache = context.cache(&kind.gvr);
        graph.kinds().insert((kind.gvr.group.to_string(), kind.kind), (kind.gvr.clone(), kind.namespaced));
        let (graph, queue) = (Arc::clone(graph), Arc::clone(queue));
        cache.on_change(move |change| graph.observe(&kind.gvr, change, &queue));
        reads.push(cache);
    }
    reads
}

/// Who owns whom, by uid.
#[derive(Default)]
struct Graph {
    objects: Mutex<HashMap<String, Known>>,
    dependents: Mutex<HashMap<String, BTreeSet<String>>>,
    kinds: Mutex<HashMap<(String, String), (Gvr, bool)>>,
}

struct Known {
    gvr: Gvr,
    key: String,
    owners: Vec<String>,
    interesting: bool,
}

impl Graph {
    fn objects(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        self.objects.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn dependents(&self) -> std::sync::MutexGuard<'_, HashMap<String, BTreeSet<String>>> {
        self.dependents.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn kinds(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), (Gvr, bool)>> {
        self.kinds.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn dependents_of(&self, uid: &str) -> Vec<String> {
        self.dependents().get(uid).into_iter().flatten().cloned().collect()
    }

    fn observe(&self, gvr: &Gvr, change: &Change, queue: &WorkQueue) {
        let meta = Meta::of(change.object());
        let uid = meta.uid().to_owned();
        match change {
            Change::Applied(object, _) => {
                let owners = owner_uids(object);
                let interesting = meta.is_deleting() && meta.finalizers().any(|f| f == ORPHAN || f == FOREGROUND);
                let known = Known { gvr: gvr.clone(), key: meta.key(), owners: owners.clone(), interesting };
                let before = self.objects().insert(uid.clone(), known);
                self.relink(&uid, before.as_ref().map(|k| k.owners.as_slice()).unwrap_or_default(), &owners);
                if interesting || !owners.is_empty() {
                    queue.add(uid);
                }
            }
            Change::Deleted(_) => {
                let before = self.objects().remove(&uid);
                let owners = before.map(|k| k.owners).unwrap_or_default();
                self.relink(&uid, &owners, &[]);
                // Its dependents have lost an owner, and an owner that waits for it may have lost the last one.
                self.dependents_of(&uid).into_iter().for_each(|dependent| queue.add(dependent));
                let objects = self.objects();
                owners.into_iter().filter(|o| objects.get(o).is_some_and(|k| k.interesting)).for_each(|o| queue.add(o));
            }
        }
    }

    fn relink(&self, uid: &str, before: &[String], now: &[String]) {
        let mut dependents = self.dependents();
        for owner in before {
            if let Some(known) = dependents.get_mut(owner) {
                known.remove(uid);
                if known.is_empty() {
                    dependents.remove(owner);
                }
            }
        }
        for owner in now {
            dependents.entry(owner.clone()).or_default().insert(uid.to_owned());
        }
    }
}

fn owner_uids(object: &Value) -> Vec<String> {
    let owners = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    owners.filter_map(|owner| owner["uid"].as_str()).map(Into::into).collect()
}

struct Collector {
    context: Arc<Context>,
    graph: Arc<Graph>,
}

impl Reconcile for Collector {
    const NAME: &'static str = "garbage";

    async fn reconcile(&self, uid: &str) -> Result<After, ClientError> {
        let Some((gvr, key)) = self.graph.objects().get(uid).map(|k| (k.gvr.clone(), k.key.clone())) else {
            return Ok(After::Rest);
        };
        let cache: Arc<Cache> = self.context.cache(&gvr);
        let Some(object) = cache.get(&key).filter(|o| Meta::of(o).uid() == uid) else { return Ok(After::Rest) };
        let meta = Meta::of(&object);
        if meta.is_deleting() {
            if meta.finalizers().any(|f| f == ORPHAN) {
                self.orphan(&gvr, &object).await?;
            } else if meta.finalizers().any(|f| f == FOREGROUND) {
                self.finish_foreground(&gvr, &object).await?;
            }
            return Ok(After::Rest);
        }
        self.judge(&gvr, &object).await?;
        Ok(After::Rest)
    }
}

impl Collector {
    /// Deletes an object all of whose owners are gone; takes away the references to those that are.
    async fn judge(&self, gvr: &Gvr, object: &Value) -> Result<(), ClientError> {
        let meta = Meta::of(object);
        let owners = object["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
        let (mut living, mut waiting, mut gone) = (0, 0, Vec::new());
        for owner in &owners {
            match self.owner_state(meta.namespace(), owner).await? {
                OwnerState::Lives => living += 1,
                OwnerState::WaitsForDependents => waiting += 1,
                OwnerState::Gone => gone.push(owner["uid"].as_str().unwrap_or_default().to_owned()),
            }
        }
        if owners.is_empty() || (gone.is_empty() && waiting == 0) {
            return Ok(());
        }
        if living > 0 {
            return if gone.is_empty() { Ok(()) } else { self.disown(gvr, object, &gone).await };
        }
        let policy = if waiting > 0 { "Foreground" } else { "Background" };
        self.delete(gvr, object, policy).await
    }

    async fn owner_state(&self, namespace: &str, owner: &Value) -> Result<OwnerState, ClientError> {
        let uid = owner["uid"].as_str().unwrap_or_default();
        let known = self.graph.objects().get(uid).map(|k| (k.gvr.clone(), k.key.clone()));
        if let Some((gvr, key)) = known {
            let foreground = self.context.cache(&gvr).get(&key).is_some_and(|owner| {
                let meta = Meta::of(&owner);
                meta.is_deleting() && meta.finalizers().any(|f| f == FOREGROUND)
            });
            return Ok(if foreground { OwnerState::WaitsForDependents } else { OwnerState::Lives });
        }
        // Not seen yet, or gone: only the server knows.
        let (version, kind) =
            (owner["apiVersion"].as_str().unwrap_or_default(), owner["kind"].as_str().unwrap_or_default());
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let found = self.graph.kinds().get(&(group.to_owned(), kind.to_owned())).cloned();
        let Some((gvr, namespaced)) = found else { return Ok(OwnerState::Lives) };
        let name = owner["name"].as_str().unwrap_or_default();
        match self.context.client.get(&gvr, namespaced.then_some(namespace).filter(|n| !n.is_empty()), name).await {
            Ok(there) if Meta::of(&there).uid() == uid => Ok(OwnerState::Lives),
            Ok(_) => Ok(OwnerState::Gone),
            Err(error) if error.is_not_found() => Ok(OwnerState::Gone),
            Err(error) => Err(error),
        }
    }

    /// Lets the dependents of an object go their own way, and then the object itself.
    async fn orphan(&self, gvr: &Gvr, object: &Value) -> Result<(), ClientError> {
        let uid = Meta::of(object).uid();
        for dependent in self.graph.dependents_of(uid) {
            if let Some((gvr, dependent)) = self.find(&dependent) {
                self.disown(&gvr, &dependent, &[uid.to_owned()]).await?;
            }
        }
        self.remove_finalizer(gvr, object, ORPHAN).await
    }

    /// Lets an object go once no dependent is left that blocks it.
    async fn finish_foreground(&self, gvr: &Gvr, object: &Value) -> Result<(), ClientError> {
        let uid = Meta::of(object).uid();
        let mut blocked = false;
        for dependent in self.graph.dependents_of(uid) {
            let Some((gvr, dependent)) = self.find(&dependent) else { continue };
            let owners = dependent["metadata"]["ownerReferences"].as_array().into_iter().flatten();
            blocked |= owners.filter(|o| o["uid"] == uid).any(|o| o["blockOwnerDeletion"].as_bool() == Some(true));
            if !Meta::of(&dependent).is_deleting() {
                self.judge(&gvr, &dependent).await?;
            }
        }
        if blocked { Ok(()) } else { self.remove_finalizer(gvr, object, FOREGROUND).await }
    }

    fn find(&self, uid: &str) -> Option<(Gvr, Arc<Value>)> {
        let (gvr, key) = self.graph.objects().get(uid).map(|k| (k.gvr.clone(), k.key.clone()))?;
        let object = self.context.cache(&gvr).get(&key).filter(|o| Meta::of(o).uid() == uid)?;
        Some((gvr, object))
    }

    async fn remove_finalizer(&self, gvr: &Gvr, object: &Value, finalizer: &str) -> Result<(), ClientError> {
        let meta = Meta::of(object);
        let left: Vec<&str> = meta.finalizers().filter(|f| *f != finalizer).collect();
        let patch =
            json!({"metadata": {"uid": meta.uid(), "resourceVersion": meta.resource_version(), "finalizers": left}});
        self.send(gvr, object, (Patch::Merge, &patch)).await
    }

    /// Takes the references to these owners away. By a merge patch, which custom resources take as well.
    async fn disown(&self, gvr: &Gvr, object: &Value, owners: &[String]) -> Result<(), ClientError> {
        let meta = Meta::of(object);
        let stays = |owner: &&Value| !owners.iter().any(|uid| owner["uid"] == uid.as_str());
        let left: Vec<&Value> =
            object["metadata"]["ownerReferences"].as_array().into_iter().flatten().filter(stays).collect();
        let patch = json!({"metadata": {"uid": meta.uid(), "resourceVersion": meta.resource_version(), "ownerReferences": left}});
        self.send(gvr, object, (Patch::Merge, &patch)).await
    }

    async fn send(&self, gvr: &Gvr, object: &Value, patch: (Patch, &Value)) -> Result<(), ClientError> {
        let meta = Meta::of(object);
        let namespace = Some(meta.namespace()).filter(|n| !n.is_empty());
        match self.context.client.patch(gvr, namespace, meta.name(), None, patch).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    async fn delete(&self, gvr: &Gvr, object: &Value, policy: &str) -> Result<(), ClientError> {
        let meta = Meta::of(object);
        let namespace = Some(meta.namespace()).filter(|n| !n.is_empty());
        let options = json!({
            "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy,
            "preconditions": {"uid": meta.uid()},
        });
        match self.context.client.delete(gvr, namespace, meta.name(), &options).await {
            Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error),
            _ => Ok(()),
        }
    }
}

enum OwnerState {
    Lives,
    WaitsForDependents,
    Gone,
}
