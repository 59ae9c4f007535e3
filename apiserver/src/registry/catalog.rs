//! What kinds exist: rows that may come and go while the server runs. A built-in and a custom resource are the same row.

mod builtin;
mod verbs;

pub use verbs::Verbs;

use super::behaviour::Behaviour;
use super::conversion::Conversion;
use super::custom::Custom;
use crate::schema::{self, TypeId};
use smol_str::{SmolStr, format_smolstr};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tinyplane_wire::gvr::{Gvk, Gvr};

/// One resource in one served version.
#[derive(Debug)]
pub struct Resource {
    /// The kind, with the group and version under which this row is served.
    pub gvk: Gvk,
    /// The word in the path, such as `deployments`.
    pub plural: SmolStr,
    /// The plural's singular: the kind in lower case.
    pub singular: SmolStr,
    /// What kubectl's users may type instead.
    pub short_names: Vec<SmolStr>,
    /// The groups of resources that it belongs to, such as `all`.
    pub categories: Vec<SmolStr>,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// What may be done to it.
    pub verbs: Verbs,
    /// The parts of its objects that have paths of their own.
    pub subresources: Vec<Subresource>,
    /// The kind in the version in which its objects are stored.
    pub stored: Gvk,
    /// The folder of its objects in the store, with slashes around: `/apps/deployments/`.
    pub folder: SmolStr,
    /// The type of its objects, in the model of the built-in types.
    pub type_id: Option<TypeId>,
    /// The same of the stored version.
    pub stored_type_id: Option<TypeId>,
    /// The `apiVersion` of its objects.
    pub api_version: SmolStr,
    /// The fields that selectors may ask for beside name and namespace.
    pub field_names: Arc<[SmolStr]>,
    /// How its objects behave.
    pub behaviour: &'static Behaviour,
    /// How objects get from the stored version into this one and back; `None` where they are served as they are stored.
    pub conversion: Option<Conversion>,
    /// What is known of a custom resource beyond that; `None` for a built-in one.
    pub custom: Option<Arc<Custom>>,
}

/// A part of an object that has a path of its own.
#[derive(Clone, Debug)]
pub struct Subresource {
    /// The word in the path, such as `status`.
    pub name: SmolStr,
    /// The kind that is read and written there.
    pub gvk: Gvk,
    /// Whether the kind's group and version are told in discovery: where they are not the resource's own.
    pub foreign: bool,
    /// What may be done to it.
    pub verbs: Verbs,
}

impl Resource {
    /// Group, version and plural.
    #[must_use]
    pub fn gvr(&self) -> Gvr {
        Gvr { group: self.gvk.group.clone(), version: self.gvk.version.clone(), resource: self.plural.clone() }
    }

    /// The kind of its lists: the author of a definition may have a word for it.
    #[must_use]
    pub fn list_kind(&self) -> String {
        match self.custom.as_ref().map(|custom| custom.list_kind.as_str()) {
            None | Some("") => format!("{}List", self.gvk.kind),
            Some(own) => own.to_owned(),
        }
    }

    /// Whether no object of the kind is deeper than its type says.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.type_id.is_some_and(|id| schema::model().get(id).bounded)
    }

    /// The type of its objects, where they hold raw JSON.
    #[must_use]
    pub fn raws(&self) -> Option<TypeId> {
        self.stored_type_id.filter(|id| schema::model().get(*id).raws)
    }

    /// What every caller is told, where this version of the kind is deprecated.
    #[must_use]
    pub fn deprecation(&self) -> Option<&str> {
        self.custom.as_ref().map_or(self.behaviour.deprecation, |custom| custom.deprecation.as_deref())
    }

    /// Whether objects are stored in the version in which this row serves them.
    #[must_use]
    pub fn is_stored_version(&self) -> bool {
        self.gvk == self.stored
    }

    /// The subresource of this name.
    #[must_use]
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|subresource| subresource.name == name)
    }

    /// The key of an object in the store. `namespace` is left out for kinds without one.
    #[must_use]
    pub fn key(&self, namespace: &str, name: &str) -> String {
        if self.namespaced { format!("{}{namespace}/{name}", self.folder) } else { format!("{}{name}", self.folder) }
    }

    /// The folder of a namespace's objects, or of all where `namespace` is empty.
    #[must_use]
    pub fn folder_of(&self, namespace: &str) -> SmolStr {
        if self.namespaced && !namespace.is_empty() {
            format_smolstr!("{}{namespace}/", self.folder)
        } else {
            self.folder.clone()
        }
    }
}

/// The rows, and where to find them. Immutable: a change makes another catalog.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    rows: Vec<Arc<Resource>>,
    by_gvr: HashMap<Gvr, Arc<Resource>>,
    /// The row in whose version objects are stored, by folder.
    by_folder: HashMap<SmolStr, Arc<Resource>>,
    /// Where in `rows` the resources of a plural are: every write asks for some by their group and that.
    by_plural: HashMap<SmolStr, Vec<usize>>,
}

impl Catalog {
    /// The built-in resources.
    #[must_use]
    pub fn builtin() -> Self {
        let mut catalog = Self::default();
        builtin::rows().into_iter().for_each(|row| catalog.insert(row));
        catalog
    }

    /// Adds a row, in the place of one for the same group, version and plural if there is one.
    pub fn insert(&mut self, row: Resource) {
        let (gvr, row) = (row.gvr(), Arc::new(row));
        match self.rows.iter_mut().find(|known| known.gvr() == gvr) {
            Some(known) => *known = row.clone(),
            None => {
                self.by_plural.entry(row.plural.clone()).or_default().push(self.rows.len());
                self.rows.push(row.clone());
            }
        }
        if row.is_stored_version() {
            self.by_folder.insert(row.folder.clone(), row.clone());
        }
        self.by_gvr.insert(gvr, row);
    }

    /// Puts these rows of custom resources, in their order, into the place of those that were there.
    pub fn replace_custom(&mut self, rows: &[Arc<Resource>]) {
        let is_builtin = |row: &Arc<Resource>| row.custom.is_none();
        self.rows.retain(is_builtin);
        self.by_gvr.retain(|_, row| is_builtin(row));
        self.by_folder.retain(|_, row| is_builtin(row));
        // Upstream asks its built-in handlers first, for all of a group version that they have; and what lies in one folder is of
        // one kind.
        let versions: HashSet<_> =
            self.rows.iter().map(|row| (row.gvk.group.clone(), row.gvk.version.clone())).collect();
        let folders: HashSet<_> = self.rows.iter().map(|row| row.folder.clone()).collect();
        let is_free = |row: &&Arc<Resource>| {
            !versions.contains(&(row.gvk.group.clone(), row.gvk.version.clone())) && !folders.contains(&row.folder)
        };
        for row in rows.iter().filter(is_free) {
            self.by_gvr.insert(row.gvr(), Arc::clone(row));
            // Where the stored version is not served, another one stands for it: all look alike.
            match self.by_folder.get(&row.folder) {
                Some(known) if known.is_stored_version() => {}
                _ => drop(self.by_folder.insert(row.folder.clone(), Arc::clone(row))),
            }
            self.rows.push(Arc::clone(row));
        }
        self.by_plural.clear();
        for (at, row) in self.rows.iter().enumerate() {
            self.by_plural.entry(row.plural.clone()).or_default().push(at);
        }
    }

    /// All rows, in the order of discovery.
    pub fn rows(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.rows.iter()
    }

    /// Whether a group version is served, and all of it is custom.
    #[must_use]
    pub fn is_of_definitions(&self, group: &str, version: &str) -> bool {
        let mut rows = self.rows().filter(|row| row.gvk.group == group && row.gvk.version == version).peekable();
        rows.peek().is_some() && rows.all(|row| row.custom.is_some())
    }

    /// Whether the server itself brought a group.
    #[must_use]
    pub fn is_builtin_group(&self, group: &str) -> bool {
        self.rows().any(|row| row.gvk.group == group && row.custom.is_none())
    }

    /// The row of a path.
    #[must_use]
    pub fn get(&self, gvr: &Gvr) -> Option<&Arc<Resource>> {
        self.by_gvr.get(gvr)
    }

    /// The row of a kind: the first, where several resources have it.
    #[must_use]
    pub fn kind(&self, gvk: &Gvk) -> Option<&Arc<Resource>> {
        self.rows.iter().find(|row| row.gvk == *gvk)
    }

    /// A row of a group's resource in whatever version is served first.
    #[must_use]
    pub fn any_version(&self, group: &str, plural: &str) -> Option<&Arc<Resource>> {
        let mut rows = self.by_plural.get(plural)?.iter().filter_map(|at| self.rows.get(*at));
        rows.find(|row| row.gvk.group == group)
    }

    /// The row in whose version the object under a key is stored.
    #[must_use]
    pub fn of_key(&self, key: &str) -> Option<&Arc<Resource>> {
        let end = key.match_indices('/').nth(2)?.0;
        self.by_folder.get(&key[..=end])
    }
}

#[cfg(test)]
mod tests;
