//! JSON patches (RFC 6902).

use crate::codec::doubles;
use serde_json::Value;
use tinyplane_wire::status::{self, Reason, Status};

/// Most operations of one patch, as upstream has it.
const OPERATIONS_MAX: usize = 10_000;

/// Reads a patch, and what a strict reader says of it.
pub(super) fn read(bytes: &[u8]) -> status::Result<(json_patch::Patch, Vec<String>)> {
    let patch: json_patch::Patch =
        serde_json::from_slice(bytes).map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))?;
    if patch.len() > OPERATIONS_MAX {
        let told = format!("The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {}", patch.len());
        return Err(Status::failure(Reason::RequestEntityTooLarge, told));
    }
    Ok((patch, strict(bytes)))
}

/// Fields that are no part of an operation, and those that stand there twice.
fn strict(bytes: &[u8]) -> Vec<String> {
    let Ok((value, doubles)) = doubles::json(bytes) else { return Vec::new() };
    let mut told: Vec<_> = doubles.into_iter().map(|path| format!("json patch duplicate field {path:?}")).collect();
    for (index, operation) in value.as_array().into_iter().flatten().enumerate() {
        let fields = operation.as_object().into_iter().flat_map(|fields| fields.keys());
        let unknown = fields.filter(|name| !["op", "path", "from", "value"].contains(&name.as_str()));
        told.extend(unknown.map(|name| format!("json patch unknown field \"[{index}].{name}\"")));
    }
    told
}

pub(super) fn apply(patch: &json_patch::Patch, mut current: Value) -> status::Result<Value> {
    match json_patch::patch(&mut current, patch) {
        Ok(()) => Ok(current),
        Err(_) => {
            Err(Status::failure(Reason::Invalid, "the server rejected our request due to an error in our request"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_test_that_fails_rejects_the_patch() {
        let patch = read(br#"[{"op":"test","path":"/a","value":2},{"op":"replace","path":"/a","value":3}]"#).unwrap().0;
        assert_eq!(apply(&patch, json!({"a": 1})).unwrap_err().code, 422);
        assert_eq!(apply(&patch, json!({"a": 2})).unwrap(), json!({"a": 3}));
        assert_eq!(read(b"{}").unwrap_err().code, 400);
    }
}
