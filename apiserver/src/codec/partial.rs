//! `PartialObjectMetadata`: an object's metadata and nothing else.

use serde_json::{Value, json};

/// The metadata of an object.
#[must_use]
pub fn of(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

/// The metadata of a list's objects.
#[must_use]
pub fn list(metadata: &Value, items: &[Value]) -> Value {
    json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "items": items})
}
