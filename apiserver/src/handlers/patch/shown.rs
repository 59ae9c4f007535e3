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
    let mut root = Node::Closed(object.to_owned());
    root.object()?;
    // No operations may be written as null, too.
    if operations.is_empty() {
        return Some(root.text());
    }
    let sent: Vec<BTreeMap<String, &RawValue>> = serde_json::from_str(sent).ok()?;
    for (operation, sent) in operations.iter().zip(sent) {
        let value = || sent.get("value").copied().and_then(Node::closed);
        match operation {
            PatchOperation::Add(add) => root.put(&add.path, value(), true)?,
            PatchOperation::Replace(replace) => root.put(&replace.path, value(), false)?,
            PatchOperation::Remove(remove) => drop(root.take(&remove.path)?),
            PatchOperation::Move(moved) => {
                let node = root.take(&moved.from)?;
                root.put(&moved.path, node, true)?;
            }
            PatchOperation::Copy(copy) => {
                let node = root.at(&copy.from)?.as_ref().map(|node| Node::Closed(node.text()));
                root.put(&copy.path, node, true)?;
            }
            PatchOperation::Test(test) if test.path.is_root() => root.open_all(),
            PatchOperation::Test(test) => {
                // What is not there is equal to null.
                if let Some(Some(node)) = root.at(&test.path) {
                    node.open_all();
                }
            }
        }
    }
    Some(root.text())
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

    /// Opens what it is and holds.
    fn open_all(&mut self) {
        if self.object().is_none() {
            self.list();
        }
        match self {
            Self::Object(fields) => fields.values_mut().flatten().for_each(Self::open_all),
            Self::List(items) => items.iter_mut().flatten().for_each(Self::open_all),
            Self::Closed(_) => {}
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
        self.list()?.get_mut(token.parse::<usize>().ok()?)
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
        let at = if last.encoded() == "-" { items.len() } else { last.encoded().parse().ok()? };
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
        let at: usize = last.encoded().parse().ok()?;
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
}
