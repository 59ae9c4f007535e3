//! Writes what the schema says where nothing was said.

use super::{Additional, Node, Structural};
use serde_json::Value;

impl Structural {
    /// Drops nulls that may not be and have no default, and writes defaults where nothing stands or such a null.
    pub fn default(&self, object: &mut Value) {
        drop_nulls(&self.root, object);
        fill(&self.root, object);
    }

    /// Writes defaults into what was applied. Its nulls were never read as an object's: those without a default stay, and are
    /// refused.
    pub fn default_applied(&self, object: &mut Value) {
        fill(&self.root, object);
    }
}

fn drop_nulls(node: &Node, value: &mut Value) {
    match value {
        Value::Object(fields) => fields.retain(|name, value| {
            let Some(below) = node.field(name).filter(|_| !node.is_meta(name)) else { return true };
            if below.refuses_null(value) && below.default.is_none() {
                return false;
            }
            drop_nulls(below, value);
            true
        }),
        Value::Array(items) => {
            if let Some(below) = &node.items {
                items.iter_mut().for_each(|item| drop_nulls(below, item));
            }
        }
        _ => {}
    }
}

fn fill(node: &Node, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, below) in &node.properties {
                let Some(default) = &below.default else { continue };
                if fields.get(name.as_str()).is_none_or(|there| below.refuses_null(there)) {
                    fields.insert(name.to_string(), default.clone());
                }
            }
            for (name, value) in fields.iter_mut() {
                match (node.properties.get(name.as_str()), &node.additional) {
                    (Some(below), _) => fill(below, value),
                    (None, Additional::Like(below)) => fill_item(below, value),
                    _ => {}
                }
            }
        }
        Value::Array(items) => {
            if let Some(below) = &node.items {
                items.iter_mut().for_each(|item| fill_item(below, item));
            }
        }
        _ => {}
    }
}

fn fill_item(node: &Node, value: &mut Value) {
    if let Some(default) = node.default.as_ref().filter(|_| node.refuses_null(value)) {
        *value = default.clone();
    }
    fill(node, value);
}
