//! The versions of a kind, as far as managers name fields in them.

use crate::registry::catalog::{Catalog, Resource};
use crate::registry::custom::{Custom, Scale};
use crate::registry::encoding;
use crate::schema::fields::{self, Place};
use crate::schema::{self, TypeId};
use serde_json::Value;
use smol_str::SmolStr;
use std::borrow::Cow;
use std::sync::Arc;
use tinyplane_wire::gvr::Gvk;

/// A kind in one version.
#[derive(Clone, Debug)]
pub struct Kind {
    /// Group, version and kind.
    pub gvk: Gvk,
    /// Its `apiVersion`.
    pub api_version: SmolStr,
    /// Its type, where it has one.
    id: Option<TypeId>,
    /// Of a custom resource.
    custom: Option<Arc<Custom>>,
}

impl Kind {
    /// A kind of the built-in model.
    #[must_use]
    pub fn new(gvk: &Gvk) -> Self {
        let id = schema::model().kind(&gvk.group, &gvk.version, &gvk.kind);
        Self { gvk: gvk.clone(), api_version: gvk.api_version().into(), id, custom: None }
    }

    /// The kind of a row.
    #[must_use]
    pub fn of(row: &Resource) -> Self {
        let (gvk, api_version) = (row.gvk.clone(), row.api_version.clone());
        Self { gvk, api_version, id: row.type_id, custom: row.custom.clone() }
    }

    /// Whether its model never changes.
    #[must_use]
    pub fn is_built_in(&self) -> bool {
        self.custom.is_none()
    }

    /// Where its objects begin.
    #[must_use]
    pub fn place(&self) -> Place<'_> {
        match &self.custom {
            Some(custom) => Place::root(&custom.modelled.model, Some(custom.modelled.root)),
            None => Place::root(schema::model(), self.id),
        }
    }
}

/// A kind in the version that is written, and the way to the others.
pub struct Versions<'a> {
    /// The version that is written.
    pub kind: Kind,
    /// The rows of all its versions, and the one that is written; none for a kind that is not stored.
    family: Option<(&'a Catalog, &'a Resource)>,
}

impl<'a> Versions<'a> {
    /// The versions of a row's kind.
    #[must_use]
    pub fn of(catalog: &'a Catalog, row: &'a Resource) -> Self {
        Self { kind: Kind::of(row), family: Some((catalog, row)) }
    }

    /// A kind of one version, which is stored nowhere.
    #[must_use]
    pub fn alone(gvk: &Gvk) -> Self {
        Self { kind: Kind::new(gvk), family: None }
    }

    /// Where the objects of a custom resource have their replicas.
    #[must_use]
    pub fn scale(&self) -> Option<&Scale> {
        self.kind.custom.as_ref()?.scale.as_ref()
    }

    /// The `apiVersion` that is written.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.kind.api_version
    }

    fn row(&self, api_version: &str) -> Option<&Resource> {
        let (catalog, row) = self.family?;
        // An event of the other group is another kind to upstream, which can't look at it as that.
        let is_of_kind = |one: &&Resource| one.folder == row.folder && one.gvk.group == row.gvk.group;
        catalog.rows().map(|row| &**row).filter(is_of_kind).find(|one| one.api_version == api_version)
    }

    /// The kind in another version; none where that is not served any more.
    #[must_use]
    pub fn kind_at(&self, api_version: &str) -> Option<Cow<'_, Kind>> {
        if api_version == self.written() {
            return Some(Cow::Borrowed(&self.kind));
        }
        self.row(api_version).map(|row| Cow::Owned(Kind::of(row)))
    }

    /// An object of one version in another one.
    ///
    /// # Errors
    /// It is not to be had there. A custom object is looked at with all that it says, as upstream's managers look at it,
    /// whether that version's schema knows it or not.
    pub fn convert<'v>(&self, object: &'v Value, from: &str, to: &str) -> Result<Cow<'v, Value>, Unconvertible> {
        if from == to {
            return Ok(Cow::Borrowed(object));
        }
        let (from, to) = self.row(from).zip(self.row(to)).ok_or(Unconvertible::Gone)?;
        if to.custom.is_none() {
            return Ok(Cow::Owned(encoding::serve(to, encoding::store(from, object.clone()))));
        }
        let mut object = object.clone();
        object["apiVersion"] = to.api_version.as_str().into();
        match fields::check(Kind::of(to).place(), &object) {
            None => Ok(Cow::Owned(object)),
            Some(why) => Err(Unconvertible::Unknown(why)),
        }
    }
}

/// Why an object is not to be had in a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unconvertible {
    /// The version is not served any more.
    Gone,
    /// The object says what the version does not know.
    Unknown(String),
}

impl Unconvertible {
    /// What is wrong with the object, which this was to be done with; none where there is no such version.
    pub(super) fn told(self, what: &str) -> Option<String> {
        match self {
            Self::Gone => None,
            Self::Unknown(why) => Some(format!("{what}{why}")),
        }
    }
}
