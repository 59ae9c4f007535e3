//! Takes away what the schema does not know.

use super::{Additional, Node, Structural};
use crate::codec::body::OBJECT_META;
use crate::schema::{self, decode, go};
use serde_json::Value;
use std::fmt::Write as _;

impl Structural {
    /// Takes unknown fields away, those of metadata aside, and tells of each as `unknown field "spec.list[0].foo"`, sorted.
    pub fn prune(&self, object: &mut Value) -> Vec<String> {
        let mut walk = Walk { path: String::new(), gone: Vec::new() };
        walk.prune(Some(&self.root), object, false);
        walk.gone.sort();
        walk.gone.into_iter().map(|path| format!("unknown field {}", go::quote(&path))).collect()
    }
}

impl Node {
    /// Whether a value has no field that this node does not know.
    pub(super) fn knows(&self, value: &Value) -> bool {
        let mut walk = Walk { path: String::new(), gone: Vec::new() };
        walk.prune(Some(self), &mut value.clone(), false);
        walk.gone.is_empty()
    }
}

struct Walk {
    path: String,
    gone: Vec<String>,
}

impl Walk {
    /// A node that is `None` knows no field at all. With `keep`, what is not declared stays.
    fn prune(&mut self, node: Option<&Node>, value: &mut Value, keep: bool) {
        let keep = keep || node.is_some_and(|node| node.preserve_unknown);
        match value {
            Value::Object(fields) => fields.retain(|name, value| {
                let Some(node) = node else { return keep || self.unknown(name) };
                if node.is_meta(name) {
                    if name == "metadata" && !self.path.is_empty() {
                        self.metadata(value);
                    }
                    return true;
                }
                let below = match (node.properties.get(name.as_str()), &node.additional) {
                    (Some(below), _) => Some(below),
                    (None, Additional::Like(below)) => Some(&**below),
                    (None, Additional::Any) => None,
                    (None, Additional::Unsaid | Additional::None) => return keep || self.unknown(name),
                };
                self.below(name, |walk| walk.prune(below, value, false));
                true
            }),
            Value::Array(items) => {
                let below = node.and_then(|node| node.items.as_deref());
                for (at, item) in items.iter_mut().enumerate() {
                    let length = self.path.len();
                    let _ = write!(self.path, "[{at}]");
                    self.prune(below, item, keep);
                    self.path.truncate(length);
                }
            }
            _ => {}
        }
    }

    /// The metadata of an object within the object is metadata: what is no field of it goes.
    fn metadata(&mut self, value: &mut Value) {
        let model = schema::model();
        let Some(read) = model.named(OBJECT_META).and_then(|id| decode::rewritten(model, id, value.clone()).ok())
        else {
            return;
        };
        let told = read.unknown.iter().filter_map(|told| told.strip_prefix("unknown field \"")?.strip_suffix('"'));
        self.gone.extend(told.map(|name| format!("{}.metadata.{name}", self.path)));
        *value = read.value;
    }

    fn below(&mut self, name: &str, walk: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        walk(self);
        self.path.truncate(length);
    }

    /// Notes a field that goes.
    fn unknown(&mut self, name: &str) -> bool {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        self.gone.push(path);
        false
    }
}
