//! Custom resources: rows made of `CustomResourceDefinition`s, and what they know beyond those of built-in kinds.

mod api_services;
mod columns;
mod drain;
mod follow;
mod json_path;
mod names;
mod rows;
mod scale;
#[cfg(test)]
mod tests;

pub use follow::{Definitions, mark_terminating};
pub use json_path::{Astray, JsonPath};
pub use scale::Scale;

use super::behaviour::{Behaviour, Generation};
use crate::codec::custom::embedded_metadata;
use crate::schema::structural::{Modelled, Structural};
use serde_json::Value;
use smol_str::SmolStr;
use std::sync::Arc;
use std::time::SystemTime;
use tinyplane_wire::process::Shutdown;

/// What a row of a custom resource knows beyond a built-in one.
#[derive(Debug)]
pub struct Custom {
    /// What its objects may hold.
    pub structural: Arc<Structural>,
    /// What the objects of every version may hold, by the version.
    schemas: Arc<[(SmolStr, Arc<Structural>)]>,
    /// The same, for the walks of server-side apply.
    pub modelled: Modelled,
    /// The schema as its author wrote it; `Null` where there is none.
    pub published: Value,
    /// The kind of its lists; empty where its author has no word for it.
    pub list_kind: SmolStr,
    columns: Vec<columns::Column>,
    /// Fields that this version offers to selectors, as in `spec.color`.
    offered: Vec<SmolStr>,
    /// Fields that any version offers: what is computed of every object.
    selected: Arc<[SmolStr]>,
    /// Where its replicas are.
    pub scale: Option<Scale>,
    /// What a caller of a deprecated version is told.
    pub deprecation: Option<String>,
    /// The name of its definition, where versions differ by more than their names: a webhook would have to be asked.
    pub webhook: Option<SmolStr>,
    /// Whether the definition is being deleted: nothing new is made then.
    pub terminating: bool,
    /// Cancelled when this row is not served any more: its definition has changed or is gone, and watches end, as upstream's do.
    pub gone: Shutdown,
}

/// Without a status of its own, everything beside metadata counts.
static PLAIN: Behaviour =
    Behaviour { generation: Generation::Everything, unconditional_update: false, ..Behaviour::PLAIN };
/// Whoever writes the status of a custom resource changes nothing of its metadata.
static WITH_STATUS: Behaviour =
    Behaviour { unconditional_update: false, status_resets: &[&["metadata"]], ..Behaviour::WITH_STATUS };

impl Custom {
    /// The fields that selectors may ask for, in any version.
    pub(super) fn selected(&self) -> &[SmolStr] {
        &self.selected
    }

    /// What an object says for each of them.
    pub(super) fn fields(&self, object: &Value) -> impl Iterator<Item = SmolStr> {
        let read = move |path: &SmolStr| match path.split('.').fold(object, |value, name| &value[name]) {
            Value::String(text) => text.into(),
            Value::Null | Value::Object(_) | Value::Array(_) => SmolStr::default(),
            other => smol_str::format_smolstr!("{other}"),
        };
        self.selected.iter().map(read)
    }

    /// The fields that this version offers to selectors.
    #[must_use]
    pub fn offered(&self) -> &[SmolStr] {
        &self.offered
    }

    /// Prunes and completes a stored object by the version that it was stored in, whichever it is read as: upstream does so before
    /// it gives it another name.
    pub(super) fn read(&self, object: &mut Value) {
        let schema = self.schema_of(object);
        schema.prune(object);
        schema.default(object);
    }

    /// Reads the objects within an object by the version that it says to be of.
    ///
    /// # Errors
    /// The first that is none, and where.
    pub(super) fn read_embedded(&self, object: &mut Value) -> Result<(), String> {
        self.schema_of(object).read_embedded(object, &mut embedded_metadata)
    }

    /// Takes out of an object what its version does not know.
    pub(super) fn settle(&self, object: &mut Value) {
        self.schema_of(object).prune(object);
    }

    fn schema_of(&self, object: &Value) -> Arc<Structural> {
        let version = object["apiVersion"].as_str().and_then(|version| version.rsplit('/').next());
        let known = self.schemas.iter().find(|(name, _)| Some(name.as_str()) == version);
        Arc::clone(known.map_or(&self.structural, |(_, schema)| schema))
    }

    /// The columns of its Table.
    #[must_use]
    pub fn columns(&self) -> Value {
        columns::definitions(&self.columns)
    }

    /// One object's cells.
    #[must_use]
    pub fn cells(&self, object: &Value, now: SystemTime) -> Vec<Value> {
        columns::cells(&self.columns, object, now)
    }
}
