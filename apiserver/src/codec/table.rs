//! `Table`: objects as rows of cells, as kubectl prints them.

use super::partial;
use crate::registry::catalog::Resource;
use crate::registry::encoding;
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
        "rows": rows,
    })
}

fn columns(resource: &Resource) -> Value {
    if let Some(custom) = &resource.custom {
        return custom.columns();
    }
    let one = |column: &crate::registry::behaviour::Column| {
        json!({
            "name": column.name, "type": column.kind, "format": column.format,
            "description": column.description, "priority": column.priority,
        })
    };
    resource.behaviour.columns.iter().map(one).collect()
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
