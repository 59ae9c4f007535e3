//! Merge patches (RFC 7396).

use serde_json::Value;
use tinyplane_wire::status::{self, Status};

/// Reads a patch that is an object.
pub(super) fn read(bytes: &[u8]) -> status::Result<Value> {
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))?;
    if value.is_object() {
        return Ok(value);
    }
    let what = match value {
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
        _ => "null",
    };
    Err(Status::bad_request(format!(
        "error decoding patch: json: cannot unmarshal {what} into Go value of type map[string]interface {{}}"
    )))
}

pub(super) fn apply(patch: &Value, mut current: Value) -> Value {
    json_patch::merge(&mut current, patch);
    current
}
