//! Lists of which no item may be there twice.

use super::{Node, Structural, fields};
use crate::schema::model::ListType;
use crate::validation::Errors;
use serde_json::{Map, Value, json};
use smol_str::SmolStr;
use std::collections::HashMap;

impl Structural {
    /// Notes the items that a set or a list told apart by keys has more than once.
    pub(super) fn check_lists(&self, object: &Value, errors: &mut Errors) {
        below(&self.root, object, "", errors);
    }
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
