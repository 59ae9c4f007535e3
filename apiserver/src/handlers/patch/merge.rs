//! Merge patches (RFC 7396).

use crate::codec::doubles;
use crate::schema::decode::not_json;
use crate::schema::go::json_word;
use serde_json::Value;
use tinyplane_wire::status::{self, Status};

/// Reads a patch that is an object, and what a strict reader says of it.
pub(super) fn read(bytes: &[u8]) -> status::Result<(Value, Vec<String>)> {
    let (value, doubles) = doubles::json(bytes)
        .map_err(|error| Status::bad_request(format!("error decoding patch: {}", not_json(bytes, &error))))?;
    if value.is_object() {
        let strict = doubles.into_iter().map(|path| format!("duplicate field {path:?}")).collect();
        return Ok((value, strict));
    }
    let what = json_word(&value);
    Err(Status::bad_request(format!(
        "error decoding patch: json: cannot unmarshal {what} into Go value of type map[string]interface {{}}"
    )))
}

pub(super) fn apply(patch: &Value, mut current: Value) -> Value {
    json_patch::merge(&mut current, patch);
    current
}
