//! `Table`: objects as rows of cells, as kubectl prints them.

use super::partial;
use crate::registry::behaviour::{AGE, Column, NAME, column};
use crate::registry::catalog::Resource;
use crate::registry::{cells, encoding};
use crate::request::Call;
use serde_json::{Value, json};
use std::time::SystemTime;
use tinyplane_wire::status::{self, Status};

/// How much of an object goes with its row: `includeObject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    Nothing,
    /// Its metadata.
    Metadata,
    /// All of it.
    Object,
}

impl Include {
    /// Reads the parameter; metadata where it is not given.
    ///
    /// # Errors
    /// 400 for another word.
    pub fn of(call: &Call) -> status::Result<Self> {
        match call.query.text("includeObject") {
            "" | "Metadata" => Ok(Self::Metadata),
            "None" => Ok(Self::Nothing),
            "Object" => Ok(Self::Object),
            other => Err(Status::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: \
                 must be 'Metadata', 'Object', 'None', or empty"
            ))),
        }
    }
}

/// A Table, of this group and version, of objects in the stored version. `heading` leaves out the columns where a watch has told them already.
#[must_use]
pub fn of(
    resource: &Resource,
    metadata: &Value,
    objects: &[Value],
    include: Include,
    heading: bool,
    (meta, now): (&str, SystemTime),
) -> Value {
    let rows: Vec<Value> = objects.iter().map(|object| row(resource, object, include, (meta, now))).collect();
    json!({
        "kind": "Table", "apiVersion": meta, "metadata": metadata,
        "columnDefinitions": if heading { columns(resource) } else { Value::Null },
        "rows": if rows.is_empty() && is_plain(resource) { Value::Null } else { rows.into() },
    })
}

/// Whether upstream has no printer of its own for the kind: such a Table has no rows at all where there is nothing.
fn is_plain(resource: &Resource) -> bool {
    resource.custom.is_none() && resource.behaviour.columns.iter().any(|column| column.name == "Created At")
}

/// A Table of one `Scale`, as upstream prints it for every kind that has one.
#[must_use]
pub fn of_scale(scale: &Value, include: Include, (meta, now): (&str, SystemTime)) -> Value {
    let replicas = |part: &str| json!(scale[part]["replicas"].as_i64().unwrap_or_default());
    let cells = [cells::name(scale), replicas("spec"), replicas("status"), cells::age(scale, now)];
    let object = match include {
        Include::Nothing => Value::Null,
        Include::Metadata => partial::of(meta, scale),
        Include::Object => scale.clone(),
    };
    json!({
        "kind": "Table", "apiVersion": meta,
        "metadata": {"resourceVersion": scale["metadata"]["resourceVersion"]},
        "columnDefinitions": told(SCALE),
        "rows": [{"cells": cells, "object": object}],
    })
}

const SCALE: &[Column] = &[
    Column { format: "", ..NAME },
    Column { kind: "integer", ..column("Desired", "How many there are to be.") },
    Column { kind: "integer", ..column("Available", "How many there are.") },
    AGE,
];

fn columns(resource: &Resource) -> Value {
    match &resource.custom {
        Some(custom) => custom.columns(),
        None => told(resource.behaviour.columns),
    }
}

fn told(columns: &[Column]) -> Value {
    let one = |column: &Column| {
        json!({
            "name": column.name, "type": column.kind, "format": column.format,
            "description": column.description, "priority": column.priority,
        })
    };
    columns.iter().map(one).collect()
}

fn row(resource: &Resource, object: &Value, include: Include, (meta, now): (&str, SystemTime)) -> Value {
    let cells = match &resource.custom {
        Some(custom) => custom.cells(object, now),
        None => (resource.behaviour.cells)(object, now),
    };
    match include {
        Include::Nothing => json!({"cells": cells, "object": null}),
        Include::Metadata => json!({"cells": cells, "object": partial::of(meta, object)}),
        Include::Object => json!({"cells": cells, "object": encoding::serve(resource, object.clone())}),
    }
}
