//! Sets as `FieldsV1`: `f:` field, `k:` key, `v:` value, `i:` index, and `.` for the place itself.

use super::element::Element;
use super::set::Set;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// Why a value is no set of fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing key as path element: {0}")]
pub struct NotASet(String);

impl Set {
    /// The set as `FieldsV1`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        write(self, false)
    }

    /// Reads `FieldsV1`.
    ///
    /// # Errors
    /// A key is no step of a path, or something is no object.
    pub fn from_value(value: &Value) -> Result<Self, NotASet> {
        match value {
            Value::Object(fields) => read(fields).map(|(_, set)| set),
            Value::Null => Ok(Self::default()),
            other => Err(NotASet(format!("expected an object, got {other}"))),
        }
    }
}

fn write(set: &Set, itself: bool) -> Value {
    let mut out = Map::new();
    if itself && !set.is_empty() {
        out.insert(".".to_owned(), Value::Object(Map::new()));
    }
    for node in set.nodes() {
        out.insert(key(&node.element), write(&node.below, node.member));
    }
    Value::Object(out)
}

fn key(element: &Element) -> String {
    match element {
        Element::Field(name) => {
            let mut out = String::with_capacity(name.len() + 2);
            out.push_str("f:");
            out.push_str(name);
            out
        }
        Element::Key(fields) => {
            let mut out = String::from("k:{");
            for (index, (name, value)) in fields.iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                let _ = write!(out, "{comma}{}:{}", json(&Value::from(name.as_str())), json(value));
            }
            out.push('}');
            out
        }
        Element::Value(value) => format!("v:{}", json(value)),
        Element::Index(index) => format!("i:{index}"),
    }
}

/// JSON as Go writes it: fit to stand in HTML.
fn json(value: &Value) -> String {
    let text = value.to_string();
    if !text.contains(['<', '>', '&']) {
        return text;
    }
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// What lies below, and whether the place itself is in the set: said by `.`, or by nothing being below.
fn read(fields: &Map<String, Value>) -> Result<(bool, Set), NotASet> {
    let (mut itself, mut nodes) = (false, Vec::with_capacity(fields.len()));
    for (key, value) in fields {
        if key == "." {
            itself = true;
            continue;
        }
        let Some(element) = element(key)? else { continue };
        let (member, below) = match value {
            Value::Object(below) => read(below)?,
            _ => (true, Set::default()),
        };
        nodes.push((element, member, below));
    }
    nodes.sort_by(|one, other| one.0.cmp(&other.0));
    let mut set = Set::default();
    for (element, member, below) in nodes {
        match set.nodes_mut().last_mut() {
            Some(last) if last.element == element => {
                last.member |= member;
                last.below = std::mem::take(&mut last.below).union(below);
            }
            _ => set.push(element, member, below),
        }
    }
    Ok((itself || set.is_empty(), set))
}

/// The step that a key says; none for a kind of step that is not known.
fn element(key: &str) -> Result<Option<Element>, NotASet> {
    let refused = |why: &str| NotASet(format!("{why}: {key}"));
    let (kind, text) =
        key.split_once(':').filter(|(kind, _)| kind.len() == 1).ok_or_else(|| refused("missing colon"))?;
    let parsed = |error: serde_json::Error| NotASet(error.to_string());
    Ok(match kind {
        "f" => Some(Element::Field(text.into())),
        "v" => Some(Element::Value(serde_json::from_str(text).map_err(parsed)?)),
        "k" => {
            let fields: Map<String, Value> = serde_json::from_str(text).map_err(parsed)?;
            Some(Element::Key(fields.into_iter().map(|(name, value)| (name.into(), value)).collect()))
        }
        "i" => Some(Element::Index(text.parse().map_err(|_| refused("no index"))?)),
        _ => None,
    })
}
