//! Kinds that a Table shows by name and time of creation: upstream has no printer of its own for them.

use crate::registry::behaviour::{Behaviour, Column, Deletion, Generation, Grammar, NAME, Scene, column};
use crate::registry::cells;
use crate::registry::custom::mark_terminating;
use serde_json::{Value, json};
use std::time::SystemTime;
use tinyplane_wire::meta::{Meta, metadata_mut};

/// The columns of a kind without a printer.
pub(super) const COLUMNS: &[Column] =
    &[NAME, Column { kind: "date", ..column("Created At", "When the object was created.") }];

/// The cells of a kind without a printer.
pub(super) fn cells(object: &Value, _now: SystemTime) -> Vec<Value> {
    vec![cells::name(object), object["metadata"]["creationTimestamp"].as_str().map_or(Value::Null, |at| json!(at))]
}

/// `LimitRange`s.
pub(super) static LIMIT_RANGE: Behaviour =
    Behaviour { create_on_update: true, prepare: name_limits, columns: COLUMNS, cells, ..Behaviour::PLAIN };

/// Alone of all kinds, limits need no name: they get an id for one.
fn name_limits(limits: &mut Value, old: Option<&Value>, _: &Scene<'_>) {
    if old.is_none() && Meta::of(limits).name().is_empty() {
        metadata_mut(limits).insert("name".into(), uuid::Uuid::new_v4().to_string().into());
    }
}

/// Roles and `ClusterRole`s.
pub(super) static ROLE: Behaviour =
    Behaviour { name: Grammar::PathSegment, create_on_update: true, columns: COLUMNS, cells, ..Behaviour::PLAIN };

/// `CustomResourceDefinition`s, whose versions are noted down as soon as objects may be stored in them.
pub(super) static CUSTOM_RESOURCE_DEFINITION: Behaviour = Behaviour {
    generation: Generation::Spec,
    unconditional_update: false,
    prepare: super::extensions::note_stored_version,
    warnings: crate::registry::warnings::definition,
    deletion: Deletion::Drained(mark_terminating),
    columns: COLUMNS,
    cells,
    ..Behaviour::WITH_STATUS
};
