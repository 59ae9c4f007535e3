//! JSON patches (RFC 6902).

use crate::codec::depth::{LEVELS_MAX, fits};
use crate::codec::doubles;
use crate::schema::decode::not_json;
use crate::schema::go::json_word;
use json_patch::PatchOperation;
use json_patch::jsonptr::Pointer;
use serde_json::Value;
use tinyplane_wire::status::{self, Reason, Status};

/// Most operations of one patch, as upstream has it.
const OPERATIONS_MAX: usize = 10_000;

/// Bytes that all copies of one patch may have together, as upstream has it.
const COPIED_BYTES_MAX: usize = 3 << 20;

/// Reads a patch, and what a strict reader says of it.
pub(super) fn read(bytes: &[u8]) -> status::Result<(json_patch::Patch, Vec<String>)> {
    let patch: json_patch::Patch = serde_json::from_slice(bytes).map_err(|error| unreadable(bytes, &error))?;
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
    let mut copied = 0;
    for operation in patch.iter() {
        if let PatchOperation::Copy(copy) = operation {
            copied += copy.from.resolve(&current).map_or(0, |value| value.to_string().len());
        }
        if copied > COPIED_BYTES_MAX || !stays_shallow(operation, &current) {
            return Err(rejected());
        }
        if !tests_for_nothing(operation, &current) {
            json_patch::patch(&mut current, std::slice::from_ref(operation)).map_err(|_| rejected())?;
        }
    }
    Ok(current)
}

/// Whether what an operation puts somewhere is no deeper there than an object may be: operation by operation, for one below
/// the other they would nest without end.
fn stays_shallow(operation: &PatchOperation, object: &Value) -> bool {
    let steps = |path: &Pointer| path.as_str().matches('/').count();
    let (path, value) = match operation {
        PatchOperation::Add(add) => (&add.path, Some(&add.value)),
        PatchOperation::Replace(replace) => (&replace.path, Some(&replace.value)),
        PatchOperation::Copy(copy) => (&copy.path, copy.from.resolve(object).ok()),
        PatchOperation::Move(moved) => (&moved.path, moved.from.resolve(object).ok()),
        PatchOperation::Remove(_) | PatchOperation::Test(_) => return true,
    };
    // A value that is not there fails later on.
    value.is_none_or(|value| LEVELS_MAX.checked_sub(steps(path)).is_some_and(|left| fits(value, left)))
}

/// Whether an operation asks for null where no field is: in upstream's library that holds.
fn tests_for_nothing(operation: &PatchOperation, object: &Value) -> bool {
    let PatchOperation::Test(test) = operation else { return false };
    let holder = test.path.parent().and_then(|holder| holder.resolve(object).ok());
    test.value.is_null() && holder.is_some_and(Value::is_object) && test.path.resolve(object).is_err()
}

/// Upstream tells not why an operation fails.
fn rejected() -> Box<Status> {
    Status::failure(Reason::Invalid, "the server rejected our request due to an error in our request")
}

/// Operations are read when they are applied: before, it matters only that they are a list of objects.
fn unreadable(bytes: &[u8], error: &serde_json::Error) -> Box<Status> {
    let why = match serde_json::from_slice(bytes) {
        Err(_) => not_json(bytes, error),
        Ok(Value::Array(operations)) => match operations.iter().find(|operation| !operation.is_object()) {
            Some(operation) => {
                format!("json: cannot unmarshal {} into Go value of type jsonpatch.Operation", json_word(operation))
            }
            None => return rejected(),
        },
        Ok(other) => format!("json: cannot unmarshal {} into Go value of type jsonpatch.Patch", json_word(&other)),
    };
    Status::bad_request(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn copies_of_copies_and_nests_of_nests_are_bounded() {
        let patched = |operations: Vec<Value>, object: Value| {
            apply(&serde_json::from_value(operations.into()).unwrap(), object).map_err(|status| status.code)
        };
        let copy = |at: i32| json!({"op": "copy", "from": "/a", "path": format!("/a/c{at}")});
        let object = json!({"a": {"text": "x".repeat(1_000)}});
        assert_eq!(patched((0..40).map(copy).collect(), object.clone()), Err(422));
        assert!(patched((0..4).map(copy).collect(), object).is_ok());
        let nest = |at: i32| {
            let (holder, moved) = (format!("/y{at}"), if at == 0 { "/x".to_owned() } else { format!("/y{}", at - 1) });
            [
                json!({"op": "add", "path": holder, "value": {}}),
                json!({"op": "move", "from": moved, "path": format!("{holder}/x")}),
            ]
        };
        assert_eq!(patched((0..3_000).flat_map(nest).collect(), json!({"x": {}})), Err(422));
        assert!(patched((0..50).flat_map(nest).collect(), json!({"x": {}})).is_ok());
        // A value that is already deep, put below something that is deep as well.
        let deep = |depth: usize| (0..depth).fold(json!({}), |inner, _| json!({"a": inner}));
        let add = json!({"op": "add", "path": "/a".repeat(80), "value": deep(80)});
        assert_eq!(patched(vec![add], deep(80)), Err(422));
        let chain = |at: usize| json!({"op": "add", "path": "/a".repeat(40 * at + 1), "value": deep(40)});
        assert_eq!(patched((0..200).map(chain).collect(), json!({})), Err(422));
        assert!(patched((0..2).map(chain).collect(), json!({})).is_ok());
    }

    #[test]
    fn a_test_that_fails_rejects_the_patch() {
        let patch = read(br#"[{"op":"test","path":"/a","value":2},{"op":"replace","path":"/a","value":3}]"#).unwrap().0;
        assert_eq!(apply(&patch, json!({"a": 1})).unwrap_err().code, 422);
        assert_eq!(apply(&patch, json!({"a": 2})).unwrap(), json!({"a": 3}));
        let absent =
            read(br#"[{"op":"test","path":"/m/f","value":null},{"op":"add","path":"/m/f","value":[1]}]"#).unwrap().0;
        assert_eq!(apply(&absent, json!({"m": {}})).unwrap(), json!({"m": {"f": [1]}}));
        assert_eq!(apply(&absent, json!({"m": {"f": []}})).unwrap_err().code, 422);
        assert_eq!(apply(&absent, json!({})).unwrap_err().code, 422);
        assert_eq!(read(b"{}").unwrap_err().code, 400);
        assert_eq!(read(b"[{").unwrap_err().message, "unexpected end of JSON input");
        let nothing = read(br#"["a"]"#).unwrap_err().message;
        assert_eq!(nothing, "json: cannot unmarshal string into Go value of type jsonpatch.Operation");
        assert_eq!(read(br#"[{"op":"dance"}]"#).unwrap_err().code, 422);
    }
}
