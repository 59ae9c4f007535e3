//! The registry as authentication, authorization and the egress see it: objects as they are now, and what became of them.

use crate::authn::Live;
use crate::authz::{Change, Feed, Kept};
use crate::egress::Nodes;
use crate::egress::ssh::{NodeFeed, Place};
use crate::registry::Registry;
use crate::registry::reader::{Reader, View};
use crate::store::contract::Range;
use crate::store::watchers::Watcher;
use async_trait::async_trait;
use imbl::ordmap::DiffItem;
use serde_json::Value;
use std::sync::Arc;

/// Reads accounts, and what tokens are bound to, from the registry.
pub(crate) struct LiveObjects(pub(crate) Arc<Registry>);

impl Live for LiveObjects {
    fn object(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let found = self.0.find("", resource, namespace, name);
        found.inspect_err(|error| tracing::error!(%error, resource, name, "a stored object can't be read")).ok()?
    }
}

/// Tells of changes by comparing views: cheap, for views share what has not changed.
pub(crate) struct RegistryFeed<T> {
    followed: Vec<Followed<T>>,
}

struct Followed<T> {
    resource: &'static str,
    reader: Reader<T>,
    told: View<T>,
}

impl<T: Kept> RegistryFeed<T> {
    /// Follows every resource that the authorizer goes by.
    pub(crate) fn of(registry: &Registry) -> Self {
        let follow = |(group, resource): &(&'static str, &'static str)| {
            let resource = *resource;
            let reader = registry.reader(group, resource, move |object| T::read(resource, object));
            Followed { resource, reader, told: View::new() }
        };
        Self { followed: T::RESOURCES.iter().map(follow).collect() }
    }
}

impl<T: Kept + PartialEq> Feed<T> for RegistryFeed<T> {
    fn pull(&mut self) -> Vec<Change<T>> {
        let mut changes = Vec::new();
        for followed in &mut self.followed {
            let view = followed.reader.view();
            for item in followed.told.diff(&view) {
                let (key, object) = match item {
                    DiffItem::Add(key, object) | DiffItem::Update { new: (key, object), .. } => {
                        (key, Some(Arc::clone(object)))
                    }
                    DiffItem::Remove(key, _) => (key, None),
                };
                let (namespace, name) = key.clone();
                changes.push(Change { resource: followed.resource, namespace, name, object });
            }
            followed.told = view;
        }
        changes
    }
}

/// Tells where nodes are, and when one of them changes.
pub(crate) struct LiveNodes {
    registry: Arc<Registry>,
    reader: Reader<Option<Place>>,
    watcher: Option<Watcher>,
}

impl LiveNodes {
    /// Follows the nodes. `nodes` knows which of their addresses counts.
    pub(crate) fn of(registry: &Arc<Registry>, nodes: &Arc<Nodes>) -> Self {
        let nodes = Arc::clone(nodes);
        let reader = registry.reader("", "nodes", move |node| Place::of(&nodes, node));
        Self { registry: Arc::clone(registry), reader, watcher: None }
    }
}

#[async_trait]
impl NodeFeed for LiveNodes {
    fn now(&mut self) -> Vec<Place> {
        self.reader.view().values().filter_map(|place| place.as_ref().clone()).collect()
    }

    async fn changed(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            let (store, folder) = (self.registry.store(), &self.registry.builtin("", "nodes").folder);
            // From here on; what came before is looked at when this returns.
            match store.watch(Range::under(folder), store.revision()) {
                Ok(watcher) => drop(self.watcher.insert(watcher)),
                Err(error) => tracing::debug!(%error, "the nodes are looked at anew"),
            }
            return;
        };
        if watcher.next().await.is_err() {
            self.watcher = None;
        }
    }
}
