//! Objects of their own inside of custom resources: they say what they are, and their metadata is metadata.

use super::{Node, fields};
use crate::validation::{Errors, child, metadata};
use serde_json::Value;

/// What is wrong with the objects of their own that stand in a value.
pub(super) fn embedded(node: &Node, value: &Value, path: &str, errors: &mut Errors) {
    if node.embedded && !path.is_empty() && value.is_object() {
        check(value, path, errors);
    }
    match value {
        Value::Object(_) => {
            for (name, value) in fields(value) {
                let path = match node.properties.contains_key(name.as_str()) {
                    true => child(path, name),
                    false => format!("{path}[{name}]"),
                };
                if let Some(below) = node.field(name) {
                    embedded(below, value, &path, errors);
                }
            }
        }
        Value::Array(items) => {
            if let Some(below) = &node.items {
                for (at, item) in items.iter().enumerate() {
                    embedded(below, item, &format!("{path}[{at}]"), errors);
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
        metadata::check_embedded(&object["metadata"], &child(path, "metadata"), errors);
    }
}
