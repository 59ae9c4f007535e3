//! Merge patches (RFC 7396).

use super::Strict;
use crate::codec::doubles::{self, Read};
use crate::schema::decode::not_json;
use crate::schema::go::{json_word, quote};
use serde_json::{Map, Value};
use tinyplane_wire::status::{self, Status};

/// Reads a patch that is an object, and what a strict reader says of it. `frame` stands before what is told of another
/// one, except for null, which upstream's library for merge patches refuses itself, and other patches take for no patch.
pub(super) fn read(bytes: &[u8], frame: &str) -> status::Result<(Value, Strict)> {
    // A merge patch is laid over texts wherever that matters.
    let read = if frame.is_empty() { doubles::json_with_signs } else { doubles::json };
    let Read { value, doubles, is_rounded, .. } =
        read(bytes).map_err(|error| Status::bad_request(format!("{frame}{}", not_json(bytes, &error))))?;
    if value.is_object() {
        let strict = doubles.into_iter().map(|path| format!("duplicate field {}", quote(&path))).collect();
        return Ok((value, Strict { told: strict, is_rounded, tests_texts: false }));
    }
    if value.is_null() {
        return match frame {
            "" => Ok((Value::Object(Map::new()), Strict::default())),
            _ => Err(Status::bad_request("Invalid JSON Patch")),
        };
    }
    let what = json_word(&value);
    Err(Status::bad_request(format!(
        "{frame}json: cannot unmarshal {what} into Go value of type map[string]interface {{}}"
    )))
}

pub(super) fn apply(patch: &Value, mut current: Value) -> Value {
    json_patch::merge(&mut current, patch);
    current
}
