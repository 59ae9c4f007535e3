//! Lists of which no item may be there twice.

use super::{Node, Structural, fields};
use crate::schema::model::ListType;
use crate::validation::Errors;
use serde_json::{Map, Value, json};
use smol_str::SmolStr;
use std::collections::{HashMap, HashSet};

impl Structural {
    /// Notes the items that a set or a list told apart by keys has more than once.
    pub(super) fn check_lists(&self, object: &Value, errors: &mut Errors) {
        below(&self.root, object, "", errors);
    }
}

/// Whether upstream, which looks for each value in an equal one from before, finds all of it there: not a field of which nothing
/// is declared, and not an item of a list told apart by keys that lacks one or is there twice.
pub(super) fn finds_itself(node: &Node, value: &Value) -> bool {
    if node.is_plain {
        return true;
    }
    match value {
        Value::Object(_) => {
            fields(value).all(|(name, value)| node.field(name).is_some_and(|below| finds_itself(below, value)))
        }
        Value::Array(items) => {
            let ListType::Map(keys) = &node.list_type else { return true };
            let mut seen = HashSet::with_capacity(items.len());
            items.iter().all(|item| {
                key_of(keys, item).is_some_and(|key| seen.insert(key))
                    && node.items.as_ref().is_none_or(|below| finds_itself(below, item))
            })
        }
        _ => true,
    }
}

/// By what an item is told from the others, where it says all of that.
pub(super) fn key_of(keys: &[SmolStr], item: &Value) -> Option<String> {
    let mut out = String::new();
    for key in keys {
        let value =
            item.get(key.as_str()).filter(|value| !value.is_null() && !value.is_array() && !value.is_object())?;
        out.push_str(&value.to_string());
        out.push('\0');
    }
    Some(out)
}

fn below(node: &Node, value: &Value, path: &str, errors: &mut Errors) {
    match value {
        Value::Object(_) => {
            for (name, value) in fields(value) {
                if let Some(declared) = node.properties.get(name.as_str()) {
                    below(declared, value, &crate::validation::child(path, name), errors);
                } else if let Some(other) = node.field(name) {
                    below(other, value, &format!("{path}[{name}]"), errors);
                }
            }
        }
        Value::Array(items) => {
            match &node.list_type {
                ListType::Set => doubles(items, path, errors),
                ListType::Map(keys) => double_keys(keys, items, path, errors),
                ListType::Unset | ListType::Atomic => {}
            }
            if let Some(item) = &node.items {
                for (at, value) in items.iter().enumerate() {
                    below(item, value, &format!("{path}[{at}]"), errors);
                }
            }
        }
        _ => {}
    }
}

/// Each value is told of once, at the second place where it stands.
fn doubles(items: &[Value], path: &str, errors: &mut Errors) {
    let mut seen: HashMap<String, usize> = HashMap::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let times = seen.entry(item.to_string()).or_default();
        *times += 1;
        if *times == 2 {
            errors.duplicate(format!("{path}[{at}]"), item);
        }
    }
}

fn double_keys(keys: &[SmolStr], items: &[Value], path: &str, errors: &mut Errors) {
    if let Some((at, item)) = items.iter().enumerate().find(|(_, item)| !item.is_object() && !item.is_null()) {
        errors.invalid(format!("{path}[{at}]"), item, "must be an object for an array of list-type map");
        return;
    }
    let key = |item: &Value| {
        let said = keys.iter().filter_map(|key| Some((key.to_string(), item.get(key.as_str())?.clone())));
        json!(said.collect::<Map<_, _>>())
    };
    let told: Vec<Value> = items.iter().map(key).collect();
    doubles(&told, path, errors);
}
