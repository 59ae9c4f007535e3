//! Merge patches (RFC 7396).

use crate::codec::doubles;
use serde_json::Value;
use tinyplane_wire::status::{self, Status};

/// Reads a patch that is an object, and what a strict reader says of it.
pub(super) fn read(bytes: &[u8]) -> status::Result<(Value, Vec<String>)> {
    let (value, doubles) =
        doubles::json(bytes).map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))?;
    if value.is_object() {
        let strict = doubles.into_iter().map(|path| format!("duplicate field {path:?}")).collect();
        return Ok((value, strict));
    }
    let what = go_name(&value);
    Err(Status::bad_request(format!(
        "error decoding patch: json: cannot unmarshal {what} into Go value of type map[string]interface {{}}"
    )))
}

/// What Go's decoder calls a value.
pub(super) fn go_name(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
        Value::Object(_) => "object",
        Value::Null => "null",
    }
}

pub(super) fn apply(patch: &Value, mut current: Value) -> Value {
    json_patch::merge(&mut current, patch);
    current
}
