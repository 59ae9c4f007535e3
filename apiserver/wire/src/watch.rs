//! Frames of a watch: one JSON object a line, a type and an object each.

use crate::status::Status;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What happened to an object: the `type` of a `metav1.WatchEvent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EventType {
    /// The object came, or came into the selection.
    Added,
    /// The object changed.
    Modified,
    /// The object went, or went out of the selection.
    Deleted,
    /// Nothing happened up to this resource version.
    Bookmark,
    /// The watch ends, and the object is a `Status`.
    Error,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// What happened.
    #[serde(rename = "type")]
    pub event: EventType,
    /// To which object.
    pub object: Value,
}

impl Frame {
    /// The frame that ends a watch.
    #[must_use]
    pub fn error(status: &Status) -> Self {
        Self { event: EventType::Error, object: serde_json::to_value(status).unwrap_or_default() }
    }
}

/// Annotation on the bookmark that ends the initial events of a `sendInitialEvents` watch.
pub const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";
