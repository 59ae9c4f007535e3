//! The schema of one version of a custom resource: what its objects may hold, compiled from `openAPIV3Schema`.
//!
//! The walks prune, default and check as the apiextensions server of upstream does. [`Structural::model`] says the same as a
//! [`Model`](super::Model), so that server-side apply walks custom objects by the code that walks the built-in ones.

mod check;
mod default;
mod embedded;
mod format;
mod lists;
mod model;
mod number;
pub(crate) mod pattern;
mod prune;
#[cfg(test)]
mod tests;

pub(crate) use format::is_known as is_known_format;
pub use model::Modelled;

use super::model::{ListType, MapType};
use pattern::Pattern;
pub use pattern::Patterns;
use serde_json::{Map, Value};
use smol_str::SmolStr;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Fields that every object has at its root, whatever its schema says.
pub(super) const META: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// A compiled schema. Immutable.
#[derive(Debug)]
pub struct Structural {
    root: Node,
    /// Whether there are objects of their own below the root.
    embeds: bool,
}

/// What is said of the value at one place.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// `object`, `array`, `string`, `integer`, `number`, `boolean`; empty where nothing is said.
    pub(super) kind: SmolStr,
    pub(super) int_or_string: bool,
    pub(super) nullable: bool,
    pub(super) preserve_unknown: bool,
    pub(super) embedded: bool,
    pub(super) properties: BTreeMap<SmolStr, Node>,
    pub(super) additional: Additional,
    pub(super) items: Option<Box<Node>>,
    pub(super) list_type: ListType,
    pub(super) map_type: MapType,
    pub(super) default: Option<Value>,
    pub(super) limits: Limits,
    pub(super) all_of: Vec<Node>,
    pub(super) any_of: Vec<Node>,
    pub(super) one_of: Vec<Node>,
    pub(super) not: Option<Box<Node>>,
    /// Whether each value finds itself in an equal one from before, wherever it stands: see [`lists::finds_itself`].
    pub(super) is_plain: bool,
}

/// What is said of fields that are not declared.
#[derive(Debug, Default)]
pub(super) enum Additional {
    /// Nothing: they are pruned.
    #[default]
    Unsaid,
    /// They may be anything.
    Any,
    /// There may be none.
    None,
    /// They look like this.
    Like(Box<Node>),
}

/// What limits a value.
#[derive(Debug, Default)]
pub(super) struct Limits {
    pub(super) format: SmolStr,
    pub(super) pattern: Option<Arc<Pattern>>,
    pub(super) choices: Option<Vec<Value>>,
    pub(super) required: Vec<SmolStr>,
    pub(super) length: Bounds,
    pub(super) items: Bounds,
    pub(super) properties: Bounds,
    pub(super) unique: bool,
    pub(super) minimum: Option<(f64, bool)>,
    pub(super) maximum: Option<(f64, bool)>,
    pub(super) multiple_of: Option<f64>,
}

/// How few and how many.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    pub(super) least: Option<usize>,
    pub(super) most: Option<usize>,
}

impl Structural {
    /// Compiles a schema that was validated with its definition. `None` is a version without one, whose objects may hold
    /// anything.
    #[must_use]
    pub fn compile(schema: Option<&Value>) -> Self {
        Self::compile_with(schema, &mut Patterns::default())
    }

    /// The same for one of several versions, with the expressions of all of them.
    #[must_use]
    pub fn compile_with(schema: Option<&Value>, patterns: &mut Patterns) -> Self {
        let mut root = match schema {
            Some(schema) => Node::compile(schema, patterns),
            None => Node { kind: "object".into(), preserve_unknown: true, ..Node::default() },
        };
        let embeds = root.embeds();
        root.embedded = true;
        // Of what the server itself knows upstream finds nothing declared, and so never the whole object in another one.
        root.is_plain = false;
        if let Some(metadata) = root.properties.get_mut("metadata") {
            metadata.is_plain = false;
        }
        Self { root, embeds }
    }

    /// The field that a path of names leads to, as far as it is declared: whether its value is text, a number, or what else.
    #[must_use]
    pub fn kind_at(&self, path: &[&str]) -> Option<&str> {
        let node = path.iter().try_fold(&self.root, |node, name| node.properties.get(*name))?;
        Some(node.kind.as_str())
    }
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn nodes(value: &Value, patterns: &mut Patterns) -> Vec<Node> {
    value.as_array().into_iter().flatten().map(|one| Node::compile(one, patterns)).collect()
}

fn bounds(schema: &Value, least: &str, most: &str) -> Bounds {
    let bound = |name: &str| schema[name].as_u64().and_then(|bound| usize::try_from(bound).ok());
    Bounds { least: bound(least), most: bound(most) }
}

impl Node {
    fn compile(schema: &Value, patterns: &mut Patterns) -> Self {
        let flag = |name: &str| schema[name].as_bool().unwrap_or_default();
        let mut one = |schema: &Value| Self::compile(schema, patterns);
        let keys = || texts(&schema["x-kubernetes-list-map-keys"]).map(SmolStr::from).collect();
        let properties = schema["properties"].as_object().into_iter().flatten();
        let mut node = Self {
            kind: schema["type"].as_str().unwrap_or_default().into(),
            int_or_string: flag("x-kubernetes-int-or-string"),
            nullable: flag("nullable"),
            preserve_unknown: flag("x-kubernetes-preserve-unknown-fields"),
            embedded: flag("x-kubernetes-embedded-resource"),
            properties: properties.map(|(name, schema)| (name.as_str().into(), one(schema))).collect(),
            additional: match &schema["additionalProperties"] {
                Value::Bool(true) => Additional::Any,
                Value::Bool(false) => Additional::None,
                like @ Value::Object(_) => Additional::Like(Box::new(one(like))),
                _ => Additional::Unsaid,
            },
            items: schema.get("items").filter(|items| items.is_object()).map(|items| Box::new(one(items))),
            list_type: match schema["x-kubernetes-list-type"].as_str() {
                Some("set") => ListType::Set,
                Some("map") => ListType::Map(keys()),
                Some("atomic") => ListType::Atomic,
                _ => ListType::Unset,
            },
            map_type: match schema["x-kubernetes-map-type"].as_str() {
                Some("atomic") => MapType::Atomic,
                _ => MapType::Unset,
            },
            default: schema.get("default").filter(|default| !default.is_null()).cloned(),
            not: schema.get("not").filter(|not| not.is_object()).map(|not| Box::new(one(not))),
            limits: Limits::compile(schema, patterns),
            all_of: nodes(&schema["allOf"], patterns),
            any_of: nodes(&schema["anyOf"], patterns),
            one_of: nodes(&schema["oneOf"], patterns),
            is_plain: false,
        };
        let is_told_apart = matches!(node.list_type, ListType::Map(_));
        let is_open = node.preserve_unknown || node.embedded || matches!(node.additional, Additional::Any);
        node.is_plain = !is_told_apart && !is_open && node.below().all(|node| node.is_plain);
        node
    }

    /// What is said of what a value holds.
    fn below(&self) -> impl Iterator<Item = &Self> {
        let additional = match &self.additional {
            Additional::Like(node) => Some(&**node),
            _ => None,
        };
        self.properties.values().chain(additional).chain(self.items.as_deref())
    }

    /// Whether this is an object of its own, or holds one.
    fn embeds(&self) -> bool {
        self.embedded || self.below().any(Self::embeds)
    }

    /// The declared field of this name, or what stands for the others.
    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(match &self.additional {
            Additional::Like(node) => Some(node),
            _ => None,
        })
    }

    /// Whether a field is one of those that the object has by being one, and the schema has no say in.
    pub(super) fn is_meta(&self, name: &str) -> bool {
        self.embedded && META.contains(&name)
    }

    /// Whether a null stands where none may be.
    pub(super) fn refuses_null(&self, value: &Value) -> bool {
        value.is_null() && !self.nullable
    }
}

impl Limits {
    fn compile(schema: &Value, patterns: &mut Patterns) -> Self {
        let flag = |name: &str| schema[name].as_bool().unwrap_or_default();
        let bound = |name: &str, exclusive: &str| schema[name].as_f64().map(|bound| (bound, flag(exclusive)));
        let format = schema["format"].as_str().unwrap_or_default();
        let kind = schema["type"].as_str().unwrap_or_default();
        Self {
            format: if format::is_known(kind, format) { format.into() } else { SmolStr::default() },
            pattern: schema["pattern"]
                .as_str()
                .filter(|pattern| !pattern.is_empty())
                .map(|pattern| patterns.get(pattern)),
            choices: schema["enum"].as_array().filter(|choices| !choices.is_empty()).cloned(),
            required: texts(&schema["required"]).map(SmolStr::from).collect(),
            length: bounds(schema, "minLength", "maxLength"),
            items: bounds(schema, "minItems", "maxItems"),
            properties: bounds(schema, "minProperties", "maxProperties"),
            unique: flag("uniqueItems"),
            minimum: bound("minimum", "exclusiveMinimum"),
            maximum: bound("maximum", "exclusiveMaximum"),
            multiple_of: schema["multipleOf"].as_f64(),
        }
    }
}

/// The fields of an object, or none.
fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}
