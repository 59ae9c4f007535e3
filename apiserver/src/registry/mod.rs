//! What kinds exist and how each behaves: the operations on objects, in terms of a store of bytes.

mod admin_access;
pub mod admit;
pub mod behaviour;
pub mod bootstrap;
pub mod catalog;
pub mod cells;
pub mod conversion;
pub mod create;
pub mod custom;
pub mod delete;
pub mod encoded;
pub mod encoding;
mod expiry;
pub mod failure;
pub mod flow_schemas;
mod kinds;
pub mod list;
pub mod managers;
pub mod metadata;
mod parsed;
pub mod reader;
pub mod selection;
pub mod services;
pub mod update;
mod warnings;
pub mod watch;

#[cfg(test)]
pub(crate) mod tests;

use crate::store::contract::Store;
use crate::store::entry::Entry;
use arc_swap::{ArcSwap, Guard};
use catalog::{Catalog, Resource};
use ipnet::IpNet;
pub(crate) use kinds::lone_metadata;
use parsed::Parsed;
use selection::SharedCatalog;
use serde_json::Value;
use services::NodePorts;
use std::ops::RangeInclusive;
use std::sync::Arc;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::gvr::Gvr;
use tinyplane_wire::status::{self, Reason, Status};

/// What the registry must be told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where Services get their addresses from.
    pub service_range: IpNet,
    /// Where Services get their node ports from.
    pub node_ports: RangeInclusive<u16>,
}

/// All objects, by way of the catalog and the store.
pub struct Registry {
    store: Arc<dyn Store>,
    catalog: SharedCatalog,
    clock: Clock,
    settings: Settings,
    node_ports: NodePorts,
    parsed: Parsed,
}

/// The built-in catalog, in the hands of everybody who reads it: the store's [`selection::Descriptions`] and the registry.
#[must_use]
pub fn builtin_catalog() -> SharedCatalog {
    Arc::new(ArcSwap::from_pointee(Catalog::builtin()))
}

impl Registry {
    /// The objects of a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, catalog: SharedCatalog, clock: Clock, settings: Settings) -> Self {
        let node_ports = NodePorts::new(store.clone(), settings.node_ports.clone());
        Self { store, catalog, clock, settings, node_ports, parsed: Parsed::default() }
    }

    /// The rows as of now.
    #[must_use]
    pub fn catalog(&self) -> Guard<Arc<Catalog>> {
        self.catalog.load()
    }

    /// The rows, in the hands of whoever follows them.
    #[must_use]
    pub fn shared_catalog(&self) -> SharedCatalog {
        Arc::clone(&self.catalog)
    }

    /// Changes the rows.
    pub fn change_catalog(&self, change: impl Fn(&mut Catalog)) {
        self.catalog.rcu(|catalog| {
            let mut changed = Catalog::clone(catalog);
            change(&mut changed);
            changed
        });
    }

    /// The row of a path.
    ///
    /// # Errors
    /// 404, as upstream answers a path that it does not know.
    pub fn resource(&self, gvr: &Gvr) -> status::Result<Arc<Resource>> {
        self.catalog.load().get(gvr).cloned().ok_or_else(no_such_resource)
    }

    /// The row of a built-in resource, in the version in which it is stored.
    pub(crate) fn builtin(&self, group: &str, plural: &str) -> Arc<Resource> {
        self.catalog.load().any_version(group, plural).expect("built-in rows stay in the catalog").clone()
    }

    /// The time, as everything here asks for it.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What the registry was told.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The revision of now.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.store.revision().0
    }

    /// A stored object.
    ///
    /// # Errors
    /// 404.
    pub fn get(&self, resource: &Resource, namespace: &str, name: &str) -> status::Result<Arc<Entry>> {
        let found = self.store.snapshot().get(&resource.key(namespace, name)).cloned();
        found.ok_or_else(|| Status::not_found(&resource.gvk.group, &resource.plural, name))
    }

    /// A field of a stored object of a built-in resource, one that the kind offers to selectors: nothing is parsed for it.
    ///
    /// # Errors
    /// 404.
    pub fn field_of(
        &self,
        group: &str,
        plural: &str,
        namespace: &str,
        name: &str,
        field: &str,
    ) -> status::Result<String> {
        let entry = self.get(&self.builtin(group, plural), namespace, name)?;
        Ok(entry.attributes().field(field).unwrap_or_default().to_owned())
    }

    /// A stored object of a built-in resource as a value, if it is there.
    ///
    /// # Errors
    /// The stored bytes can't be read.
    pub fn find(&self, group: &str, plural: &str, namespace: &str, name: &str) -> status::Result<Option<Arc<Value>>> {
        let resource = self.builtin(group, plural);
        let found = self.store.snapshot().get(&resource.key(namespace, name)).cloned();
        found.map(|entry| self.parsed.value(&entry)).transpose()
    }

    /// All objects of a built-in resource as values, in a namespace or, where that is empty, in all.
    ///
    /// # Errors
    /// The stored bytes can't be read.
    pub fn find_all(&self, group: &str, plural: &str, namespace: &str) -> status::Result<Vec<Arc<Value>>> {
        let selection = selection::Selection::all(&self.builtin(group, plural), namespace);
        let found: Vec<_> = self.store.snapshot().range(&selection.range, None).cloned().collect();
        self.parsed.values(&found)
    }

    /// How many objects a selection's range holds.
    #[must_use]
    pub fn count(&self, selection: &selection::Selection) -> usize {
        self.store.snapshot().count(&selection.range, None)
    }

    /// The bytes of the first objects of a selection's range, so many of them, or as many as make up `most` bytes.
    #[must_use]
    pub fn weigh(&self, selection: &selection::Selection, objects: usize, most: usize) -> usize {
        let (snapshot, mut bytes) = (self.store.snapshot(), 0);
        for entry in snapshot.range(&selection.range, None).take(objects) {
            bytes += entry.size();
            if bytes >= most {
                break;
            }
        }
        bytes
    }

    /// Whether there is any object of a built-in resource in a namespace.
    #[must_use]
    pub fn has_any(&self, group: &str, plural: &str, namespace: &str) -> bool {
        let selection = selection::Selection::all(&self.builtin(group, plural), namespace);
        self.store.snapshot().range(&selection.range, None).next().is_some()
    }
}

/// 404 without a name: upstream's answer to a path that it does not know.
#[must_use]
pub fn no_such_resource() -> Box<Status> {
    Status::failure(Reason::NotFound, "the server could not find the requested resource")
        .with_details(status::Details::default())
}
