//! JSON patches (RFC 6902).

use super::Strict;
use crate::codec::depth::LEVELS_MAX;
use crate::codec::doubles::{self, Read};
use crate::schema::decode::not_json;
use crate::schema::go::{json_word, quote};
use json_patch::jsonptr::{Pointer, PointerBuf};
use json_patch::{AddOperation, PatchOperation};
use serde_json::{Map, Value};
use tinyplane_wire::status::{self, Details, Reason, Status};

/// Most operations of one patch, as upstream has it.
const OPERATIONS_MAX: usize = 10_000;

/// Bytes that all copies of one patch may have together, as upstream has it.
const COPIED_BYTES_MAX: usize = 3 << 20;

/// Items that all operations of one patch may move aside together: a list of a hundred thousand, ten thousand times.
const SHIFTED_MAX: usize = 1 << 30;

/// Values that may be walked together to know how deep they are, beyond what a patch itself brings.
const WALKED_MAX: usize = 1 << 24;

/// Reads a patch, and what a strict reader says of it.
pub(super) fn read(bytes: &[u8]) -> status::Result<(json_patch::Patch, Strict)> {
    let Read { mut value, doubles, is_rounded, .. } = doubles::json(bytes).map_err(|error| {
        // A number that is too large stands in what an operation puts somewhere: nothing else of one is a number.
        let told = not_json(bytes, &error)
            .replace("Go value of type float64", "Go struct field jsonPatchOp.value of type float64");
        Status::bad_request(format!("error decoding patch: {told}"))
    })?;
    let told = strict(&value, &doubles);
    let operations = match &mut value {
        Value::Null => return Ok((json_patch::Patch(Vec::new()), Strict::default())),
        Value::Array(operations) => operations,
        other => return Err(unreadable(other, "[]handlers.jsonPatchOp")),
    };
    for operation in operations {
        match operation {
            Value::Object(fields) => complete(fields)?,
            Value::Null => return Err(rejected()),
            other => return Err(unreadable(other, "handlers.jsonPatchOp")),
        }
    }
    // Operations are understood when they are applied: before, it matters only that they are a list of objects.
    let patch: json_patch::Patch = serde_json::from_value(value).map_err(|_| rejected())?;
    if patch.len() > OPERATIONS_MAX {
        let told = format!("The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {}", patch.len());
        return Err(Status::failure(Reason::RequestEntityTooLarge, told));
    }
    let tests_texts = tests(&patch) && (is_rounded || bytes.iter().any(|byte| SPELLED_TWICE.contains(byte)));
    Ok((patch, Strict { told, is_rounded, tests_texts }))
}

/// Letters that Go escapes where others do not, or that escape; the last one begins two of them.
const SPELLED_TWICE: &[u8] = b"\\<>&\xe2";

/// Whether a patch tests for anything.
pub(super) fn tests(patch: &json_patch::Patch) -> bool {
    patch.iter().any(|operation| matches!(operation, PatchOperation::Test(_)))
}

/// Reads an operation as upstream's library does: a value that is not there is null, and of a path that begins without a
/// slash the first step counts for nothing. A tilde that escapes nothing stands for itself.
fn complete(operation: &mut Map<String, Value>) -> status::Result<()> {
    for field in ["op", "path", "from"] {
        let given = operation.get(field).filter(|given| !given.is_null() && !given.is_string());
        if let Some(given) = given {
            let told = format!("{} into Go struct field jsonPatchOp.{field} of type string", json_word(given));
            return Err(Status::bad_request(format!("error decoding patch: json: cannot unmarshal {told}")));
        }
    }
    if operation.get("op").is_some_and(|op| ["add", "replace", "test"].iter().any(|known| op == known)) {
        operation.entry("value").or_insert(Value::Null);
    }
    for field in ["path", "from"] {
        if let Some(Value::String(path)) = operation.get_mut(field) {
            path.drain(..path.find('/').unwrap_or(0));
            let mut parts = path.split('~');
            let first = parts.next().unwrap_or_default().to_owned();
            let escaped = |part: &str| if part.starts_with(['0', '1']) { "~" } else { "~0" };
            *path = parts.fold(first, |path, part| path + escaped(part) + part);
        }
    }
    Ok(())
}

/// Fields that are no part of an operation, and those that stand there twice.
fn strict(value: &Value, doubles: &[String]) -> Vec<String> {
    let mut told: Vec<_> = doubles.iter().map(|path| format!("json patch duplicate field {}", quote(path))).collect();
    for (index, operation) in value.as_array().into_iter().flatten().enumerate() {
        let fields = operation.as_object().into_iter().flat_map(|fields| fields.keys());
        let unknown = fields.filter(|name| !["op", "path", "from", "value"].contains(&name.as_str()));
        told.extend(unknown.map(|name| format!("json patch unknown field \"[{index}].{name}\"")));
    }
    let operations = value.as_array().map(Vec::as_slice).unwrap_or_default();
    told.extend(doubles.iter().filter_map(|path| put_twice(path, operations)));
    told
}

/// What an operation puts into the object twice stands twice there as well.
fn put_twice(double: &str, operations: &[Value]) -> Option<String> {
    let (index, below) = double.strip_prefix('[')?.split_once("].value.")?;
    let operation = operations.get(index.parse::<usize>().ok()?)?;
    let path = operation["path"].as_str().filter(|_| ["add", "replace"].iter().any(|op| operation["op"] == *op))?;
    let steps: Vec<_> = path.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    Some(format!("duplicate field {}", quote(&format!("{}.{below}", steps.join(".")))))
}

/// Applies a patch. What is there is not tested where it was tested by its text.
pub(super) fn apply(patch: &json_patch::Patch, mut current: Value, tested: bool) -> status::Result<Value> {
    let mut effort = Effort { deepest: levels(&current), ..Effort::default() };
    for operation in patch.iter() {
        let (counted, put);
        counted = settled(operation, &current);
        let operation = match counted.as_ref().unwrap_or(operation) {
            PatchOperation::Add(add) if add.path.is_root() => return Err(rejected()),
            PatchOperation::Copy(copy) if copy.path.is_root() => return Err(rejected()),
            PatchOperation::Move(moved) if moved.path.is_root() => return Err(rejected()),
            // Of what is not there its library copies nothing at all.
            PatchOperation::Copy(copy) if lacks(&copy.from, &current) => {
                put = PatchOperation::Add(AddOperation { path: copy.path.clone(), value: Value::Null });
                &put
            }
            // Upstream's library replaces what is not there.
            PatchOperation::Replace(replace) if lacks(&replace.path, &current) => {
                put = PatchOperation::Add(AddOperation { path: replace.path.clone(), value: replace.value.clone() });
                &put
            }
            operation => operation,
        };
        if !effort.allows(operation, &current) {
            return Err(rejected());
        }
        let is_tested = tested
            && matches!(operation, PatchOperation::Test(test) if test.path.is_root() || test.path.resolve(&current).is_ok());
        if !is_tested && !tests_for_nothing(operation, &current) {
            // What fails is thrown away as a whole: nothing is kept to undo it.
            json_patch::patch_unsafe(&mut current, std::slice::from_ref(operation)).map_err(|_| rejected())?;
        }
    }
    Ok(current)
}

/// What the operations of a patch have cost so far.
#[derive(Default)]
struct Effort {
    /// Bytes that were copied.
    copied: usize,
    /// Items of lists that made room, or closed up.
    shifted: usize,
    /// Values that were looked at to know how deep they are.
    walked: usize,
    /// The object has no more levels than this.
    deepest: usize,
    /// Where the operation before put something, which has no more levels than this.
    last: Option<(String, usize)>,
}

impl Effort {
    /// Whether the object stays such as an object may be, at a cost that is bounded.
    fn allows(&mut self, operation: &PatchOperation, object: &Value) -> bool {
        let (path, from) = match operation {
            PatchOperation::Add(add) => (&add.path, None),
            PatchOperation::Remove(remove) => (&remove.path, None),
            PatchOperation::Copy(copy) => (&copy.path, Some(&copy.from)),
            PatchOperation::Move(moved) => (&moved.path, Some(&moved.from)),
            PatchOperation::Replace(_) | PatchOperation::Test(_) => return self.stays_shallow(operation, object),
        };
        if let PatchOperation::Copy(copy) = operation {
            self.copied += copy.from.resolve(object).map_or(0, |value| value.to_string().len());
        }
        self.shifted += behind(path, object) + from.map_or(0, |from| behind(from, object));
        self.copied <= COPIED_BYTES_MAX && self.shifted <= SHIFTED_MAX && self.stays_shallow(operation, object)
    }

    /// Whether what an operation puts somewhere is no deeper there than an object may be: operation by operation, for one
    /// below the other they would nest without end. A value is walked only where what is known of the object is not enough.
    fn stays_shallow(&mut self, operation: &PatchOperation, object: &Value) -> bool {
        let steps = |path: &Pointer| path.as_str().matches('/').count();
        let (path, value, from) = match operation {
            PatchOperation::Add(add) => (&add.path, Some(&add.value), None),
            PatchOperation::Replace(replace) => (&replace.path, Some(&replace.value), None),
            PatchOperation::Copy(copy) => (&copy.path, copy.from.resolve(object).ok(), Some(&copy.from)),
            PatchOperation::Move(moved) => (&moved.path, moved.from.resolve(object).ok(), Some(&moved.from)),
            PatchOperation::Remove(_) | PatchOperation::Test(_) => {
                self.last = None;
                return true;
            }
        };
        // A value that is not there fails later on.
        let Some(value) = value else { return true };
        let known = from.and_then(|from| {
            let last = self.last.take_if(|(path, _)| path == from.as_str());
            let below =
                || Some(self.deepest.saturating_sub(steps(from))).filter(|below| steps(path) + below <= LEVELS_MAX);
            last.map_or_else(below, |(_, levels)| Some(levels))
        });
        let levels = known.unwrap_or_else(|| {
            if from.is_some() {
                self.walked += values(value) + values(object);
                self.deepest = levels(object);
            }
            levels(value)
        });
        self.last = Some((path.as_str().to_owned(), levels));
        self.deepest = self.deepest.max(steps(path) + levels);
        self.walked <= WALKED_MAX && steps(path) + levels <= LEVELS_MAX
    }
}

/// An operation whose places in lists are counted from the end, or written with zeros before them, with the places that
/// upstream's library finds; `None` where there is no such place.
fn settled(operation: &PatchOperation, object: &Value) -> Option<PatchOperation> {
    let (path, from) = match operation {
        PatchOperation::Add(add) => (&add.path, None),
        PatchOperation::Remove(remove) => (&remove.path, None),
        PatchOperation::Replace(replace) => (&replace.path, None),
        PatchOperation::Test(test) => (&test.path, None),
        PatchOperation::Copy(copy) => (&copy.path, Some(&copy.from)),
        PatchOperation::Move(moved) => (&moved.path, Some(&moved.from)),
    };
    // Nearly none has such a place.
    if !is_odd(path) && !from.is_some_and(|from| is_odd(from)) {
        return None;
    }
    let found = |path: &Pointer, adds: bool| place(path, object, adds);
    let mut operation = operation.clone();
    let changed = match &mut operation {
        PatchOperation::Add(add) => swap(&mut add.path, |path| found(path, true)),
        PatchOperation::Remove(remove) => swap(&mut remove.path, |path| found(path, false)),
        PatchOperation::Replace(replace) => swap(&mut replace.path, |path| found(path, false)),
        PatchOperation::Test(test) => swap(&mut test.path, |path| found(path, false)),
        PatchOperation::Copy(copy) => {
            swap(&mut copy.path, |path| found(path, true)) | swap(&mut copy.from, |path| found(path, false))
        }
        PatchOperation::Move(moved) => {
            swap(&mut moved.path, |path| found(path, true)) | swap(&mut moved.from, |path| found(path, false))
        }
    };
    changed.then_some(operation)
}

fn swap(path: &mut PointerBuf, found: impl FnOnce(&Pointer) -> Option<PointerBuf>) -> bool {
    let other = found(path);
    let changed = other.is_some();
    if let Some(other) = other {
        *path = other;
    }
    changed
}

/// Whether a step of a path may be such a place.
fn is_odd(path: &Pointer) -> bool {
    let is_odd = |step: &str| step.starts_with(['-', '+']) || (step.len() > 1 && step.starts_with('0'));
    path.tokens().any(|token| token.encoded() != "-" && is_odd(token.encoded()))
}

/// The path with plain places in lists, where it has others. What is added may stand behind the last item.
fn place(path: &Pointer, object: &Value, adds: bool) -> Option<PointerBuf> {
    if !is_odd(path) {
        return None;
    }
    let (mut plain, mut holder, count) = (PointerBuf::new(), Some(object), path.count());
    for (at, token) in path.tokens().enumerate() {
        let mut token = token.decoded().into_owned();
        if let Some(Value::Array(items)) = holder
            && let Ok(index) = token.parse::<i64>()
        {
            let room = items.len() + usize::from(adds && at + 1 == count);
            let index = if index < 0 { index + i64::try_from(room).ok()? } else { index };
            token = index.to_string();
        }
        holder = holder.and_then(|holder| match holder {
            Value::Array(items) => token.parse().ok().and_then(|index: usize| items.get(index)),
            holder => holder.get(&token),
        });
        plain.push_back(token.as_str());
    }
    Some(plain)
}

/// How many levels of objects and lists a value has; one more than may be where it has more.
fn levels(value: &Value) -> usize {
    fn below(value: &Value, left: usize) -> usize {
        let deepest = |items: &mut dyn Iterator<Item = &Value>| match left {
            0 => 1,
            left => 1 + items.map(|item| below(item, left - 1)).max().unwrap_or_default(),
        };
        match value {
            Value::Array(items) => deepest(&mut items.iter()),
            Value::Object(fields) => deepest(&mut fields.values()),
            _ => 0,
        }
    }
    below(value, LEVELS_MAX)
}

/// How many values a value is made of.
fn values(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(values).sum::<usize>(),
        Value::Object(fields) => 1 + fields.values().map(values).sum::<usize>(),
        _ => 1,
    }
}

/// How many items stand behind a place in a list.
fn behind(path: &Pointer, object: &Value) -> usize {
    let Some((list, token)) = path.split_back() else { return 0 };
    match list.resolve(object) {
        Ok(Value::Array(items)) => items.len().saturating_sub(token.encoded().parse().unwrap_or(items.len())),
        _ => 0,
    }
}

/// Whether an operation asks for null where no field is: in upstream's library that holds.
fn tests_for_nothing(operation: &PatchOperation, object: &Value) -> bool {
    let PatchOperation::Test(test) = operation else { return false };
    test.value.is_null() && lacks(&test.path, object)
}

/// Whether a path leads to a field that an object does not have.
fn lacks(path: &Pointer, object: &Value) -> bool {
    let holder = path.parent().and_then(|holder| holder.resolve(object).ok());
    holder.is_some_and(Value::is_object) && path.resolve(object).is_err()
}

/// Upstream tells not why an operation fails.
pub(super) fn rejected() -> Box<Status> {
    Status::failure(Reason::Invalid, "the server rejected our request due to an error in our request")
        .with_details(Details::default())
}

/// What is no patch, or no operation.
fn unreadable(value: &Value, wanted: &str) -> Box<Status> {
    let what = json_word(value);
    Status::bad_request(format!("error decoding patch: json: cannot unmarshal {what} into Go value of type {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn places_are_read_as_upstreams_library_reads_them() {
        let patched = |operations: Value| {
            let object = json!({"l": ["a", "b"], "m": {"~": 1, "~2": 2}});
            read(operations.to_string().as_bytes()).and_then(|(patch, _)| apply(&patch, object, false))
        };
        let list =
            |operation: Value| patched(json!([operation])).map(|object| object["l"].clone()).map_err(|why| why.code);
        assert_eq!(list(json!({"op": "add", "path": "/l/-1", "value": "c"})), Ok(json!(["a", "b", "c"])));
        assert_eq!(list(json!({"op": "add", "path": "/l/-3", "value": "c"})), Ok(json!(["c", "a", "b"])));
        assert_eq!(list(json!({"op": "add", "path": "/l/-4", "value": "c"})), Err(422));
        assert_eq!(list(json!({"op": "add", "path": "/l/01", "value": "c"})), Ok(json!(["a", "c", "b"])));
        assert_eq!(list(json!({"op": "remove", "path": "/l/-1"})), Ok(json!(["a"])));
        assert_eq!(list(json!({"op": "replace", "path": "/l/-2", "value": "c"})), Ok(json!(["c", "b"])));
        assert_eq!(list(json!({"op": "test", "path": "/l/-1", "value": "b"})), Ok(json!(["a", "b"])));
        assert_eq!(list(json!({"op": "copy", "from": "/l/-1", "path": "/l/0"})), Ok(json!(["b", "a", "b"])));
        for whole in [json!({"op": "copy", "from": "/l", "path": ""}), json!({"op": "move", "from": "/m", "path": ""})]
        {
            assert_eq!(list(whole), Err(422));
        }
        let tested = json!([{"op": "test", "path": "/m/~", "value": 1}, {"op": "test", "path": "/m/~2", "value": 2}]);
        assert!(patched(tested).is_ok());
        let copied = patched(json!([{"op": "copy", "from": "/m/x", "path": "/m/y"}])).unwrap();
        assert_eq!(copied["m"]["y"], Value::Null);
        assert_eq!(patched(json!([null])).unwrap_err().code, 422);
        let told =
            "error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.path of type string";
        assert_eq!(patched(json!([{"op": "add", "path": 5}])).unwrap_err().message, told);
    }

    #[test]
    fn what_is_put_twice_is_told_where_it_stands_in_the_object_too() {
        let patch = r#"[{"op": "add", "path": "/metadata/x~1y", "value": {"a": 1, "a": 2}}]"#;
        let told = ["json patch duplicate field \"[0].value.a\"", "duplicate field \"metadata.x/y.a\""];
        assert_eq!(read(patch.as_bytes()).unwrap().1.told, told);
    }

    #[test]
    fn copies_of_copies_and_nests_of_nests_are_bounded() {
        let patched = |operations: Vec<Value>, object: Value| {
            apply(&serde_json::from_value(operations.into()).unwrap(), object, false).map_err(|status| status.code)
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
    fn what_is_moved_to_and_fro_costs_no_more_than_once() {
        let patched = |operations: Vec<Value>, object: &Value| {
            apply(&serde_json::from_value(operations.into()).unwrap(), object.clone(), false)
                .map_err(|status| status.code)
        };
        let moved = |from: &str, path: &str| json!({"op": "move", "from": from, "path": path});
        let large = vec![json!([1]); 500_000];
        let to_and_fro = |_| [moved("/x", "/a/b"), moved("/a/b", "/x")];
        let operations: Vec<_> = (0..5_000).flat_map(to_and_fro).collect();
        let object = json!({"x": large, "a": {}});
        let began = std::time::Instant::now();
        assert_eq!(patched(operations, &object), Ok(object.clone()));
        // The first item goes, and the last one comes first.
        let turned = (0..10_000).map(|_| json!({"op": "remove", "path": "/x/0"})).collect();
        assert_eq!(patched(turned, &object), Err(422));
        let few = (0..100).map(|_| moved("/x/499999", "/x/0")).collect();
        assert_eq!(patched(few, &object), Ok(object));
        // Seconds, on a machine with nothing else to do; were the list copied each time, the better part of an hour.
        assert!(began.elapsed().as_secs() < 600, "{:?}", began.elapsed());
    }

    #[test]
    fn a_test_that_fails_rejects_the_patch() {
        let patch = read(br#"[{"op":"test","path":"/a","value":2},{"op":"replace","path":"/a","value":3}]"#).unwrap().0;
        assert_eq!(apply(&patch, json!({"a": 1}), false).unwrap_err().code, 422);
        assert_eq!(apply(&patch, json!({"a": 2}), false).unwrap(), json!({"a": 3}));
        let absent =
            read(br#"[{"op":"test","path":"/m/f","value":null},{"op":"add","path":"/m/f","value":[1]}]"#).unwrap().0;
        assert_eq!(apply(&absent, json!({"m": {}}), false).unwrap(), json!({"m": {"f": [1]}}));
        assert_eq!(apply(&absent, json!({"m": {"f": []}}), false).unwrap_err().code, 422);
        assert_eq!(apply(&absent, json!({}), false).unwrap_err().code, 422);
        assert_eq!(read(b"{}").unwrap_err().code, 400);
        assert_eq!(read(b"[{").unwrap_err().message, "error decoding patch: unexpected end of JSON input");
        let nothing = read(br#"["a"]"#).unwrap_err().message;
        assert_eq!(
            nothing,
            "error decoding patch: json: cannot unmarshal string into Go value of type handlers.jsonPatchOp"
        );
        assert_eq!(read(br#"[{"op":"dance"}]"#).unwrap_err().code, 422);
        let large = read(br#"[{"op":"add","path":"/a","value":1e400}]"#).unwrap_err().message;
        let told = "json: cannot unmarshal number 1e400 into Go struct field jsonPatchOp.value of type float64";
        assert_eq!(large, format!("error decoding patch: {told}"));
    }

    #[test]
    fn operations_are_read_as_upstreams_library_reads_them() {
        let patched = |patch: &str, object: Value| {
            read(patch.as_bytes()).and_then(|(patch, _)| apply(&patch, object, false)).map_err(|status| status.code)
        };
        let object = || json!({"m": {"a": 1}, "l": []});
        let absent = r#"[{"op":"replace","path":"/m/b","value":2}]"#;
        assert_eq!(patched(absent, object()), Ok(json!({"m": {"a": 1, "b": 2}, "l": []})));
        assert_eq!(patched(r#"[{"op":"replace","path":"/l/0","value":2}]"#, object()), Err(422));
        assert_eq!(patched(r#"[{"op":"replace","path":"/x/y","value":2}]"#, object()), Err(422));
        assert_eq!(
            patched(r#"[{"op":"add","path":"/m/b"}]"#, object()),
            Ok(json!({"m": {"a": 1, "b": null}, "l": []}))
        );
        let crooked = r#"[{"op":"add","path":"m/b","value":2}]"#;
        assert_eq!(patched(crooked, object()), Ok(json!({"m": {"a": 1}, "l": [], "b": 2})));
        assert_eq!(patched(r#"[{"op":"add","path":"","value":{}}]"#, object()), Err(422));
        assert_eq!(patched("null", object()), Ok(object()));
    }
}
