//! What a JSON or merge patch has made, as upstream tells it: what its library opened on the way is sorted, and what it had
//! no need to open stands there as it was written.

use crate::schema::spelling;
use json_patch::PatchOperation;
use json_patch::jsonptr::Pointer;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A value of a document, opened or not; `None` is null.
#[derive(Clone)]
enum Node {
    Closed(String),
    Object(BTreeMap<String, Option<Self>>),
    List(Vec<Option<Self>>),
}

/// What a merge patch makes of an object, both as texts.
pub(super) fn merged(object: &str, patch: &str) -> Option<String> {
    let (mut object, mut patch) = (Node::Closed(object.to_owned()), Node::Closed(patch.to_owned()));
    merge(object.object()?, patch.object()?);
    Some(object.text())
}

/// What a JSON patch, which can be applied, makes of an object. `sent` is the patch as a text, in which values have their
/// order.
pub(super) fn patched(object: &str, operations: &[PatchOperation], sent: &str) -> Option<String> {
    run(object, operations, sent).ok().map(|root| root.text())
}

/// Whether a JSON patch tests for something else than is there. Upstream's library compares values by their texts.
pub(super) fn fails_a_test(object: &str, operations: &[PatchOperation], sent: &str) -> bool {
    matches!(run(object, operations, sent), Err(Stop::Test))
}

/// Why nothing comes of a patch.
enum Stop {
    /// Something else is there than it tests for.
    Test,
    /// It can't be applied.
    Unfit,
}

fn run(object: &str, operations: &[PatchOperation], sent: &str) -> Result<Node, Stop> {
    let mut root = Node::Closed(object.to_owned());
    root.object().ok_or(Stop::Unfit)?;
    // No operations may be written as null, too.
    if operations.is_empty() {
        return Ok(root);
    }
    let sent: Vec<BTreeMap<String, &RawValue>> = serde_json::from_str(sent).map_err(|_| Stop::Unfit)?;
    for (operation, sent) in operations.iter().zip(sent) {
        let value = sent.get("value").copied().and_then(Node::closed);
        match operation {
            PatchOperation::Test(test) => {
                if !root.holds(&test.path, value) {
                    return Err(Stop::Test);
                }
            }
            change => root.change(change, value).ok_or(Stop::Unfit)?,
        }
    }
    Ok(root)
}

fn merge(object: &mut BTreeMap<String, Option<Node>>, patch: &mut BTreeMap<String, Option<Node>>) {
    for (name, change) in std::mem::take(patch) {
        let Some(mut change) = change else {
            object.remove(&name);
            continue;
        };
        match object.get_mut(&name).and_then(Option::as_mut) {
            Some(there) => match (there.object(), change.object()) {
                (Some(there), Some(change)) => merge(there, change),
                (None, _) => {
                    change.prune();
                    *there = change;
                }
                (Some(_), None) => *there = change,
            },
            None => {
                change.prune();
                object.insert(name, Some(change));
            }
        }
    }
}

impl Node {
    fn closed(text: &RawValue) -> Option<Self> {
        (text.get() != "null").then(|| Self::Closed(text.get().to_owned()))
    }

    /// Opens an object.
    fn object(&mut self) -> Option<&mut BTreeMap<String, Option<Self>>> {
        if let Self::Closed(text) = self {
            let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
            let fields = fields.into_iter().map(|(name, value)| (name, Self::closed(value))).collect();
            *self = Self::Object(fields);
        }
        match self {
            Self::Object(fields) => Some(fields),
            _ => None,
        }
    }

    /// Opens a list.
    fn list(&mut self) -> Option<&mut Vec<Option<Self>>> {
        if let Self::Closed(text) = self {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            *self = Self::List(items.into_iter().map(Self::closed).collect());
        }
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// Whether this value stands at a place; what is not there is judged elsewhere.
    fn holds(&mut self, path: &Pointer, wanted: Option<Self>) -> bool {
        let equals = |node: &mut Self, wanted: Option<Self>| wanted.is_some_and(|mut wanted| node.equals(&mut wanted));
        if path.is_root() {
            return equals(self, wanted);
        }
        match self.at(path) {
            None => true,
            Some(None) => wanted.is_none(),
            Some(Some(node)) => equals(node, wanted),
        }
    }

    /// Whether two values are equal: objects and lists, which are opened for it, by what they hold, and all else by its text.
    fn equals(&mut self, other: &mut Self) -> bool {
        let both = |one: &mut Option<Self>, other: &mut Option<Self>| match (one, other) {
            (Some(one), Some(other)) => one.equals(other),
            (one, other) => one.is_none() && other.is_none(),
        };
        if let Some(fields) = self.object() {
            let Some(others) = other.object() else { return false };
            return fields.len() == others.len()
                && fields.iter_mut().all(|(name, one)| others.get_mut(name).is_some_and(|other| both(one, other)));
        }
        if let Some(items) = self.list() {
            let Some(others) = other.list() else { return false };
            return items.len() == others.len() && items.iter_mut().zip(others).all(|(one, other)| both(one, other));
        }
        matches!((self, other), (Self::Closed(one), Self::Closed(other)) if one == other)
    }

    /// Does what an operation does that tests nothing.
    fn change(&mut self, operation: &PatchOperation, value: Option<Self>) -> Option<()> {
        match operation {
            PatchOperation::Add(add) => self.put(&add.path, value, true),
            PatchOperation::Replace(replace) => self.put(&replace.path, value, false),
            PatchOperation::Remove(remove) => self.take(&remove.path).map(drop),
            PatchOperation::Move(moved) => {
                let node = self.take(&moved.from)?;
                self.put(&moved.path, node, true)
            }
            PatchOperation::Copy(copy) => {
                let node = self.at(&copy.from)?.as_ref().map(|node| Self::Closed(node.text()));
                self.put(&copy.path, node, true)
            }
            PatchOperation::Test(_) => Some(()),
        }
    }

    /// Takes the nulls out of all objects.
    fn prune(&mut self) {
        if let Some(fields) = self.object() {
            fields.retain(|_, value| value.is_some());
            fields.values_mut().flatten().for_each(Self::prune);
        } else if let Some(items) = self.list() {
            items.iter_mut().flatten().for_each(Self::prune);
        }
    }

    /// What stands at a step, where its holder was opened.
    fn step(&mut self, token: &str) -> Option<&mut Option<Self>> {
        if self.object().is_some() {
            return self.object()?.get_mut(token);
        }
        let items = self.list()?;
        let at = index(token, items.len())?;
        items.get_mut(at)
    }

    /// Opens the way to a place.
    fn at(&mut self, path: &Pointer) -> Option<&mut Option<Self>> {
        let (holder, last) = path.split_back()?;
        self.holder(holder)?.step(&last.decoded())
    }

    fn holder(&mut self, path: &Pointer) -> Option<&mut Self> {
        path.tokens().try_fold(self, |node, token| node.step(&token.decoded())?.as_mut())
    }

    fn put(&mut self, path: &Pointer, value: Option<Self>, adds: bool) -> Option<()> {
        let Some((holder, last)) = path.split_back() else {
            *self = value?;
            return self.object().map(|_| ());
        };
        let holder = self.holder(holder)?;
        if let Some(fields) = holder.object() {
            fields.insert(last.decoded().into_owned(), value);
            return Some(());
        }
        let items = holder.list()?;
        let room = items.len() + usize::from(adds);
        let at = if last.encoded() == "-" { items.len() } else { index(last.encoded(), room)? };
        match adds {
            true if at <= items.len() => items.insert(at, value),
            false => *items.get_mut(at)? = value,
            true => return None,
        }
        Some(())
    }

    fn take(&mut self, path: &Pointer) -> Option<Option<Self>> {
        let (holder, last) = path.split_back()?;
        let holder = self.holder(holder)?;
        if let Some(fields) = holder.object() {
            return fields.remove(last.decoded().as_ref());
        }
        let items = holder.list()?;
        let at = index(last.encoded(), items.len())?;
        (at < items.len()).then(|| items.remove(at))
    }

    fn text(&self) -> String {
        let mut out = Vec::new();
        self.write(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    fn write(&self, out: &mut Vec<u8>) {
        let each = |out: &mut Vec<u8>, nth: usize, value: &Option<Self>, name: Option<&str>| {
            if nth > 0 {
                out.push(b',');
            }
            if let Some(name) = name {
                spelling::text(name, out);
                out.push(b':');
            }
            match value {
                Some(value) => value.write(out),
                None => out.extend_from_slice(b"null"),
            }
        };
        match self {
            Self::Closed(text) => spelling::compact(text, out),
            Self::Object(fields) => {
                out.push(b'{');
                fields.iter().enumerate().for_each(|(nth, (name, value))| each(out, nth, value, Some(name)));
                out.push(b'}');
            }
            Self::List(items) => {
                out.push(b'[');
                items.iter().enumerate().for_each(|(nth, value)| each(out, nth, value, None));
                out.push(b']');
            }
        }
    }
}

/// A place in a list, which may be counted from its end.
fn index(token: &str, room: usize) -> Option<usize> {
    let at: i64 = token.parse().ok()?;
    usize::try_from(if at < 0 { at + i64::try_from(room).ok()? } else { at }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &str =
        r#"{"kind":"K","apiVersion":"v1","spec":{"z":{"c":1,"b":2},"y":[{"n":1,"m":2},{"l":1,"k":2}]}}"#;

    #[test]
    fn a_merge_patch_opens_what_it_names() {
        let of = |patch: &str| merged(OBJECT, patch).unwrap();
        assert_eq!(
            of(r#"{"x": {"b": 1, "a": "< \"", "n": null}}"#),
            r#"{"apiVersion":"v1","kind":"K","spec":{"z":{"c":1,"b":2},"y":[{"n":1,"m":2},{"l":1,"k":2}]},"x":{"a":"\u003c \"","b":1}}"#
        );
        // A list that takes the place of an object stays as it was sent; what comes into an empty place is pruned.
        assert_eq!(
            of(r#"{"spec": {"y": null, "z": [ {"b": 1, "a": null} ], "w": [{"b": 1, "a": null}, null]}}"#),
            r#"{"apiVersion":"v1","kind":"K","spec":{"w":[{"b":1},null],"z":[{"b":1,"a":null}]}}"#
        );
    }

    #[test]
    fn a_json_patch_opens_the_ways_that_it_takes() {
        let of = |patch: &str| {
            let operations: Vec<PatchOperation> = serde_json::from_str(patch).unwrap();
            patched(OBJECT, &operations, patch).unwrap()
        };
        assert_eq!(
            of(r#"[{"op": "replace", "path": "/spec/y/1/k", "value": {"b": 1, "a": 2}}]"#),
            r#"{"apiVersion":"v1","kind":"K","spec":{"y":[{"n":1,"m":2},{"k":{"b":1,"a":2},"l":1}],"z":{"c":1,"b":2}}}"#
        );
        assert_eq!(
            of(
                r#"[{"op":"test","path":"/spec/z","value":{"b":2,"c":1}},{"op":"copy","from":"/spec/y","path":"/spec/y/-"},{"op":"move","from":"/spec/y/0","path":"/spec/x"},{"op":"remove","path":"/spec/y/0"}]"#
            ),
            r#"{"apiVersion":"v1","kind":"K","spec":{"x":{"n":1,"m":2},"y":[[{"n":1,"m":2},{"l":1,"k":2}]],"z":{"b":2,"c":1}}}"#
        );
        assert_eq!(
            of(r#"[{"op":"replace","path":"","value":{"b":{"d":1,"c":2},"a":null}}]"#),
            r#"{"a":null,"b":{"d":1,"c":2}}"#
        );
    }

    #[test]
    fn what_a_json_patch_tests_for_is_compared_by_its_text() {
        let object = r#"{"f":1.5,"s":"\u003c","o":{"a":1,"b":[1,null]},"n":null}"#;
        let fails = |path: &str, value: &str| {
            let patch = format!(r#"[{{"op":"test","path":"{path}","value":{value}}}]"#);
            let operations: Vec<PatchOperation> = serde_json::from_str(&patch).unwrap();
            fails_a_test(object, &operations, &patch)
        };
        for (path, same) in [
            ("/f", "1.5"),
            ("/s", r#""\u003c""#),
            ("/o", r#"{ "b": [1, null], "a": 1 }"#),
            ("/o/b/-2", "1"),
            ("/n", "null"),
            ("/o/b/1", "null"),
            ("/none", "2"),
        ] {
            assert!(!fails(path, same), "{path} {same}");
        }
        for (path, other) in [
            ("/f", "1.50"),
            ("/f", "15e-1"),
            ("/s", r#""<""#),
            ("/o/a", "1.0"),
            ("/o", r#"{"a":1}"#),
            ("/o", r#"{"b":[1.0,null],"a":1}"#),
            ("/o/b", "[1]"),
            ("/n", "0"),
            ("/o/a", "null"),
        ] {
            assert!(fails(path, other), "{path} {other}");
        }
        let put = |value: &str, test: &str| {
            let patch = format!(
                r#"[{{"op":"add","path":"/x","value":{value}}},{{"op":"copy","from":"/x","path":"/y"}},{{"op":"test","path":"/y","value":{test}}}]"#
            );
            let operations: Vec<PatchOperation> = serde_json::from_str(&patch).unwrap();
            !fails_a_test(object, &operations, &patch)
        };
        // A copy is written anew, without spaces and with what HTML gives a meaning escaped.
        assert!(put("1.0", "1.0") && !put("1.0", "1") && put(r#"[ 1 ]"#, "[1]") && !put(r#""<""#, r#""<""#));
    }
}
