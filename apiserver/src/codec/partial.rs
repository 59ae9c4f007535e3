//! `PartialObjectMetadata`: an object's metadata and nothing else.

use crate::registry::lone_metadata;
use serde_json::{Value, json};

/// The metadata of an object, in this group and version.
#[must_use]
pub fn of(meta: &str, object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": meta, "metadata": lone_metadata(object)})
}

/// The metadata of a list's objects.
#[must_use]
pub fn list(meta: &str, metadata: &Value, items: &[Value]) -> Value {
    // Upstream makes such a list by adding to none.
    let items = if items.is_empty() { Value::Null } else { json!(items) };
    json!({"kind": "PartialObjectMetadataList", "apiVersion": meta, "metadata": metadata, "items": items})
}
