//! Sets as `FieldsV1`: `f:` field, `k:` key, `v:` value, `i:` index, and `.` for the place itself.

use super::element::Element;
use super::set::{Node, Set};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use smol_str::SmolStr;
use std::fmt::{self, Write as _};

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

    /// The set as the text of `FieldsV1`, without the detour of a tree.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::with_capacity(512);
        spell(self, false, &mut out);
        out
    }

    /// Reads the text of `FieldsV1`.
    ///
    /// # Errors
    /// It is no JSON, a key is no step of a path, or something is no object.
    pub fn from_text(text: &str) -> Result<Self, NotASet> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let (_, set) = Below { root: true }.deserialize(&mut reader).map_err(|error| NotASet(error.to_string()))?;
        reader.end().map_err(|error| NotASet(error.to_string()))?;
        Ok(set)
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

/// Writes a set, and whether the place that it lies below is a member of the one around it.
pub(super) fn spell(set: &Set, itself: bool, out: &mut String) {
    out.push('{');
    if itself && !set.is_empty() {
        out.push_str("\".\":{},");
    }
    for node in set.nodes() {
        spell_element(&node.element, out);
        out.push(':');
        spell(&node.below, node.member, out);
        out.push(',');
    }
    if out.ends_with(',') {
        out.pop();
    }
    out.push('}');
}

/// Writes a step.
pub(super) fn spell_element(element: &Element, out: &mut String) {
    match element {
        Element::Field(name) => spell_field(name, out),
        Element::Key(fields) if fields.iter().all(is_plain_pair) => spell_key(fields, out),
        element => out.push_str(&Value::from(key(element)).to_string()),
    }
}

/// Writes the step to a field.
pub(super) fn spell_field(name: &str, out: &mut String) {
    if is_plain(name) {
        out.extend(["\"f:", name, "\""]);
    } else {
        out.push_str(&Value::from(format!("f:{name}")).to_string());
    }
}

/// Whether a field of a key, which is JSON in a JSON string, needs no escapes but those of its quotes.
fn is_plain_pair((name, value): &(SmolStr, Value)) -> bool {
    let plain = |text: &str| is_plain(text) && !text.contains(['<', '>', '&']);
    plain(name)
        && match value {
            Value::String(text) => plain(text),
            Value::Number(_) | Value::Bool(_) | Value::Null => true,
            Value::Array(_) | Value::Object(_) => false,
        }
}

fn spell_key(fields: &[(SmolStr, Value)], out: &mut String) {
    out.push_str("\"k:{");
    for (index, (name, value)) in fields.iter().enumerate() {
        out.extend([if index == 0 { "\\\"" } else { ",\\\"" }, name, "\\\":"]);
        match value {
            Value::String(text) => out.extend(["\\\"", text, "\\\""]),
            value => {
                let _ = write!(out, "{value}");
            }
        }
    }
    out.push_str("}\"");
}

/// Whether a text stands in JSON as it is. Looks at all of it, which a processor does many bytes at a time.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    !text.bytes().fold(false, |found, byte| found | (byte < b' ') | (byte == b'"') | (byte == b'\\'))
}

fn key(element: &Element) -> String {
    match element {
        Element::Field(name) => format!("f:{name}"),
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
        nodes.push(Node { element, member, below });
    }
    Ok(told(itself, nodes))
}

/// The set of some nodes in any order, and whether the place itself is in it.
fn told(itself: bool, mut nodes: Vec<Node>) -> (bool, Set) {
    if nodes.is_sorted_by(|one, other| one.element < other.element) {
        nodes.retain(|node| node.member || !node.below.is_empty());
        return (itself || nodes.is_empty(), Set::of_nodes(nodes));
    }
    nodes.sort_by(|one, other| one.element.cmp(&other.element));
    let mut set = Set::default();
    let mut nodes = nodes.into_iter().peekable();
    while let Some(Node { element, mut member, mut below }) = nodes.next() {
        // A step may be spelled in many ways.
        if nodes.peek().is_some_and(|next| next.element == element) {
            let mut all = vec![below];
            while let Some(next) = nodes.next_if(|next| next.element == element) {
                member |= next.member;
                all.push(next.below);
            }
            below = Set::union_of(all);
        }
        set.push(element, member, below);
    }
    (itself || set.is_empty(), set)
}

/// Reads what lies below a place from a text.
struct Below {
    /// At the root there must be an object, or nothing.
    root: bool,
}

impl Below {
    fn leaf<E: Error>(self, found: &str) -> Result<(bool, Set), E> {
        if self.root { Err(E::custom(format!("expected an object, got {found}"))) } else { Ok((true, Set::default())) }
    }
}

impl<'de> DeserializeSeed<'de> for Below {
    type Value = (bool, Set);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Below {
    type Value = (bool, Set);

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a set of fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut itself, mut nodes) = (false, Vec::new());
        while let Some(step) = map.next_key_seed(Key)? {
            match step {
                Step::Itself => {
                    itself = true;
                    map.next_value::<IgnoredAny>()?;
                }
                Step::Unknown => drop(map.next_value::<IgnoredAny>()?),
                Step::To(element) => {
                    let (member, below) = map.next_value_seed(Self { root: false })?;
                    nodes.push(Node { element, member, below });
                }
            }
        }
        Ok(told(itself, nodes))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok((true, Set::default()))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        self.leaf("a bool")
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        self.leaf("a number")
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        self.leaf("a number")
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        self.leaf("a number")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        self.leaf("a text")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        self.leaf("a list")
    }
}

/// What a key says.
enum Step {
    Itself,
    To(Element),
    Unknown,
}

struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Step;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Step, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Step;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a step of a path")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Step, E> {
        if key == "." {
            return Ok(Step::Itself);
        }
        Ok(element(key).map_err(E::custom)?.map_or(Step::Unknown, Step::To))
    }
}

/// The step that a key says; none for a kind of step that is not known.
pub(super) fn element(key: &str) -> Result<Option<Element>, NotASet> {
    let refused = |why: &str| NotASet(format!("{why}: {key}"));
    let (kind, text) =
        key.split_once(':').filter(|(kind, _)| kind.len() == 1).ok_or_else(|| refused("missing colon"))?;
    let parsed = |error: serde_json::Error| NotASet(error.to_string());
    Ok(match kind {
        "f" => Some(Element::Field(text.into())),
        "v" => Some(Element::Value(serde_json::from_str(text).map_err(parsed)?)),
        "k" => {
            let KeyFields(fields) = serde_json::from_str(text).map_err(parsed)?;
            Some(Element::Key(fields.into()))
        }
        "i" => Some(Element::Index(text.parse().map_err(|_| refused("no index"))?)),
        _ => None,
    })
}

/// The fields of a key, sorted by name; of a name that stands there twice the last one counts.
struct KeyFields(Vec<(SmolStr, Value)>);

impl<'de> Deserialize<'de> for KeyFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self(Vec::with_capacity(2)))
    }
}

impl<'de> Visitor<'de> for KeyFields {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the fields of a key")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            let name = SmolStr::from(name);
            match self.0.binary_search_by(|known| known.0.cmp(&name)) {
                Ok(at) => self.0[at].1 = value,
                Err(at) => self.0.insert(at, (name, value)),
            }
        }
        Ok(self)
    }
}
