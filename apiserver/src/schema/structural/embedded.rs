//! Objects of their own inside of custom resources: they say what they are, and their metadata is metadata.

use super::{Node, Structural, fields};
use crate::validation::{Errors, Path, child, metadata};
use serde_json::Value;

/// Reads metadata in place, or says in Go's words what is wrong with them.
type Read<'r> = dyn FnMut(&mut Value) -> Result<(), String> + 'r;

impl Structural {
    /// Reads the objects of their own that stand below the root: they say by texts what they are, and their metadata fit.
    ///
    /// # Errors
    /// The first that is wrong, and where.
    pub fn read_embedded(&self, object: &mut Value, read: &mut Read<'_>) -> Result<(), String> {
        if self.embeds { read_below(&self.root, object, &Place::Root, read) } else { Ok(()) }
    }
}

/// Where a value stands. It is told of what is wrong alone: of each item it would be as much as names are long.
enum Place<'p> {
    Root,
    Field(&'p Self, &'p str),
    Key(&'p Self, &'p str),
    Item(&'p Self, usize),
}

impl<'p> Place<'p> {
    fn below(&'p self, node: &Node, name: &'p str) -> Self {
        if node.properties.contains_key(name) { Self::Field(self, name) } else { Self::Key(self, name) }
    }

    fn told(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Field(place, name) => child(&place.told(), name),
            Self::Key(place, name) => format!("{}[{name}]", place.told()),
            Self::Item(place, at) => format!("{}[{at}]", place.told()),
        }
    }

    const fn is_root(&self) -> bool {
        matches!(self, Self::Root)
    }
}

fn read_below(node: &Node, value: &mut Value, place: &Place<'_>, read: &mut Read<'_>) -> Result<(), String> {
    if node.embedded && !place.is_root() && value.is_object() {
        for name in ["apiVersion", "kind"] {
            if let Some(said) = value.get(name).filter(|said| !said.is_string() && !said.is_null()) {
                return Err(format!("{}.{name}: Invalid value: {said}: must be a string", place.told()));
            }
        }
        if let Some(metadata) = value.get_mut("metadata") {
            let sent = metadata.clone();
            read(metadata).map_err(|why| format!("{}.metadata: Invalid value: {sent}: {why}", place.told()))?;
        }
    }
    match value {
        Value::Object(entries) => entries.iter_mut().try_for_each(|(name, value)| match node.field(name) {
            Some(below) => read_below(below, value, &place.below(node, name), read),
            None => Ok(()),
        }),
        Value::Array(items) => items.iter_mut().enumerate().try_for_each(|(at, item)| match &node.items {
            Some(below) => read_below(below, item, &Place::Item(place, at), read),
            None => Ok(()),
        }),
        _ => Ok(()),
    }
}

impl Structural {
    /// What is wrong with the objects of their own that stand in a value.
    pub(super) fn check_embedded(&self, object: &Value, errors: &mut Errors) {
        if self.embeds {
            embedded(&self.root, object, &Place::Root, errors);
        }
    }
}

/// The same of a value that stands at a path, and may itself be such an object.
pub(super) fn check_embedded_at(node: &Node, value: &Value, path: &str, errors: &mut Errors) {
    embedded(node, value, &Place::Field(&Place::Root, path), errors);
}

fn embedded(node: &Node, value: &Value, place: &Place<'_>, errors: &mut Errors) {
    if node.embedded && !place.is_root() && value.is_object() {
        check(value, &place.told(), errors);
    }
    match value {
        Value::Object(_) => {
            for (name, value) in fields(value) {
                if let Some(below) = node.field(name) {
                    embedded(below, value, &place.below(node, name), errors);
                }
            }
        }
        Value::Array(items) => {
            if let Some(below) = &node.items {
                for (at, item) in items.iter().enumerate() {
                    embedded(below, item, &Place::Item(place, at), errors);
                }
            }
        }
        _ => {}
    }
}

fn check(object: &Value, path: &str, errors: &mut Errors) {
    for name in ["apiVersion", "kind"] {
        let (value, path) = (&object[name], child(path, name));
        match value.as_str() {
            None if object.get(name).is_none() => errors.required(path, ""),
            None => errors.invalid(path, value, "must be a string"),
            Some("") => errors.invalid(path, value, "must not be empty"),
            Some(version) if name == "apiVersion" => {
                if version.matches('/').count() > 1 {
                    errors.invalid(path, value, &format!("unexpected GroupVersion string: {version}"));
                }
            }
            Some(kind) => {
                let complaints = metadata::label_1035(&kind.to_lowercase());
                if !complaints.is_empty() {
                    let why = format!("may have mixed case, but should otherwise match: {}", complaints.join(","));
                    errors.invalid(path, value, &why);
                }
            }
        }
    }
    if object["metadata"].is_object() {
        metadata::check_embedded(&object["metadata"], &Path::root(path).child("metadata"), errors);
    }
}
