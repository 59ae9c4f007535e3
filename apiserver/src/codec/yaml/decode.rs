//! From nodes to a value: aliases are followed, maps merged, and keys become texts.

use super::Read;
use super::scalar::{self, Plain};
use super::tree::{Kind, LEVELS_MAX, Node, Tree};
use crate::codec::body::BODY_BYTES_MAX;
use crate::schema::go;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// No more double keys than this are told.
const TOLD_MAX: usize = 100;
/// So many nodes may be read again and again.
const ALIASED_MIN: usize = 100;
/// Fewer nodes are never too many.
const NODES_MIN: usize = 1_000;
/// From how many nodes on the share of those that aliases stand for falls, and where it has fallen.
const NODES_FEW: usize = 400_000;
const NODES_MANY: usize = 4_000_000;

/// Most bytes of texts that aliases stand for: as many as a body may have. Go's aliases share a text, ours are copies.
const ALIASED_BYTES_MAX: usize = BODY_BYTES_MAX;

/// Why there is no value.
pub(super) enum Refusal {
    /// The text says something that YAML does not allow.
    Yaml(String),
    /// JSON can't say it.
    Json(String),
}

/// The value of a document.
pub(super) fn decode(tree: &Tree) -> Result<Read, Refusal> {
    let mut decoder = Decoder::of(tree);
    let value = decoder.value(0, 0).map_err(Refusal::Yaml)?;
    match decoder.no_key.or(decoder.no_number) {
        Some(told) => Err(Refusal::Json(told)),
        None => Ok(Read { value, doubles: decoder.doubles, is_unsigned: decoder.is_unsigned }),
    }
}

struct Decoder<'t> {
    tree: &'t Tree,
    doubles: Vec<String>,
    /// What JSON can't say: a key that is null, and a number without end.
    no_key: Option<String>,
    no_number: Option<String>,
    /// The aliases that are being followed.
    followed: Vec<usize>,
    nodes: usize,
    aliased: usize,
    aliased_bytes: usize,
    is_unsigned: bool,
}

/// The keys of a map that are no texts, by how they are written as texts.
type Odd = HashMap<String, &'static str>;

impl<'t> Decoder<'t> {
    fn of(tree: &'t Tree) -> Self {
        let (doubles, followed) = (Vec::new(), Vec::new());
        Self {
            tree,
            doubles,
            no_key: None,
            no_number: None,
            followed,
            nodes: 0,
            aliased: 0,
            aliased_bytes: 0,
            is_unsigned: false,
        }
    }

    fn value(&mut self, at: usize, depth: usize) -> Result<Value, String> {
        self.count()?;
        if depth > LEVELS_MAX {
            return Err(format!("exceeded max depth of {LEVELS_MAX}"));
        }
        match &self.tree.node(at).kind {
            Kind::Alias { name, of } => self.follow(at, name, |decoder| decoder.value(*of, depth + 1)),
            Kind::Scalar { value, tag, implicit } => {
                let plain = self.resolve(value, tag.as_deref(), *implicit)?;
                Ok(self.of_plain(plain))
            }
            Kind::Sequence(all) => all.iter().map(|at| self.value(*at, depth + 1)).collect::<Result<_, _>>(),
            Kind::Mapping(all) => {
                let (mut fields, mut odd) = (Map::new(), Odd::new());
                self.fill(all, (&mut fields, &mut odd), depth)?;
                Ok(Value::Object(fields))
            }
        }
    }

    fn resolve(&mut self, value: &str, tag: Option<&str>, implicit: bool) -> Result<Plain, String> {
        if !self.followed.is_empty() {
            self.aliased_bytes += value.len();
            if self.aliased_bytes > ALIASED_BYTES_MAX {
                return Err("document contains excessive aliasing".to_owned());
            }
        }
        scalar::resolve(value, tag, implicit)
    }

    fn of_plain(&mut self, plain: Plain) -> Value {
        match plain {
            Plain::Null => Value::Null,
            Plain::Bool(value) => Value::Bool(value),
            Plain::Integer(value) => Value::from(value),
            Plain::Unsigned(value) => {
                self.is_unsigned = true;
                Value::from(value)
            }
            Plain::Text(text) => Value::String(text),
            Plain::Float(value) => scalar::number(value).map_or_else(
                || {
                    let told = format!("json: unsupported value: {}", scalar::without_end(value));
                    self.no_number.get_or_insert(told);
                    Value::Null
                },
                Value::Number,
            ),
        }
    }

    /// Writes keys and values into a map.
    fn fill(&mut self, all: &[usize], map: (&mut Map<String, Value>, &mut Odd), depth: usize) -> Result<(), String> {
        let (fields, odd) = map;
        for pair in all.chunks_exact(2) {
            let (key, value) = (pair[0], pair[1]);
            if is_merge(self.tree.node(key)) {
                self.merge(value, (fields, odd), depth)?;
                continue;
            }
            let key = self.key(key, depth)?;
            let value_at = value;
            let value = self.value(value, depth + 1)?;
            let (written, kind) = match key {
                Plain::Text(text) => (text, ""),
                Plain::Integer(number) => (number.to_string(), "integer"),
                Plain::Float(number) => (scalar::key_of_float(number), "float"),
                Plain::Bool(is) => (is.to_string(), "bool"),
                Plain::Unsigned(number) => {
                    self.is_no_key(("uint64", &format!("0x{number:x}")), &value);
                    continue;
                }
                Plain::Null => {
                    self.is_no_key(("%!s(<nil>)", "<nil>"), &value);
                    continue;
                }
            };
            let known = fields.contains_key(&written).then(|| odd.get(&written).copied().unwrap_or_default());
            if known == Some(kind) && self.doubles.len() < TOLD_MAX {
                let shown = if kind.is_empty() { go::quote(&written) } else { written.clone() };
                let line = self.tree.node(value_at).line + 1;
                self.doubles.push(format!("line {line}: key {shown} already set in map"));
            }
            if !kind.is_empty() {
                odd.insert(written.clone(), kind);
            }
            fields.insert(written, value);
        }
        Ok(())
    }

    fn is_no_key(&mut self, (kind, shown): (&str, &str), value: &Value) {
        self.no_key.get_or_insert_with(|| {
            format!("unsupported map key of type: {kind}, key: {shown}, value: {}", scalar::go_syntax(value, true))
        });
    }

    /// A key. A map or a list is none.
    fn key(&mut self, at: usize, depth: usize) -> Result<Plain, String> {
        self.count()?;
        match &self.tree.node(at).kind {
            Kind::Scalar { value, tag, implicit } => self.resolve(value, tag.as_deref(), *implicit),
            Kind::Alias { name, of } if depth <= LEVELS_MAX => {
                self.follow(at, name, |decoder| decoder.key(*of, depth + 1))
            }
            _ => {
                let value = self.value(at, depth + 1)?;
                Err(format!("invalid map key: {}", scalar::go_syntax(&value, true)))
            }
        }
    }

    fn follow<T>(
        &mut self,
        at: usize,
        name: &str,
        on: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<T, String> {
        if self.followed.contains(&at) {
            return Err(format!("anchor '{name}' value contains itself"));
        }
        self.followed.push(at);
        let found = on(self);
        self.followed.pop();
        found
    }

    /// Lays one map or several below another one.
    fn merge(&mut self, at: usize, map: (&mut Map<String, Value>, &mut Odd), depth: usize) -> Result<(), String> {
        let (fields, odd) = map;
        match &self.tree.node(at).kind {
            // Of several, the earlier ones come last, and win.
            Kind::Sequence(all) => {
                all.iter().rev().try_for_each(|one| self.merge_one(*one, (&mut *fields, &mut *odd), depth))
            }
            _ => self.merge_one(at, (fields, odd), depth),
        }
    }

    fn merge_one(&mut self, at: usize, map: (&mut Map<String, Value>, &mut Odd), depth: usize) -> Result<(), String> {
        self.count()?;
        if depth > LEVELS_MAX {
            return Err(format!("exceeded max depth of {LEVELS_MAX}"));
        }
        let (node, wanted) = (self.tree.node(at), "map merge requires map or sequence of maps as the value");
        match &node.kind {
            Kind::Mapping(all) => self.fill(all, map, depth + 1),
            Kind::Alias { name, of } => match &self.tree.node(*of).kind {
                Kind::Mapping(all) => self.follow(at, name, |decoder| decoder.fill(all, map, depth + 1)),
                _ => Err(wanted.to_owned()),
            },
            _ => Err(wanted.to_owned()),
        }
    }

    /// Counts a node, and gives up where aliases stand for nearly all of them.
    fn count(&mut self) -> Result<(), String> {
        self.nodes += 1;
        self.aliased += usize::from(!self.followed.is_empty());
        if self.aliased <= ALIASED_MIN || self.nodes <= NODES_MIN {
            return Ok(());
        }
        #[expect(clippy::cast_precision_loss, reason = "far fewer nodes than a float counts")]
        let (all, aliased) = (self.nodes as f64, self.aliased as f64);
        #[expect(clippy::cast_precision_loss, reason = "these are small numbers")]
        let share = 0.99 - 0.89 * ((all - NODES_FEW as f64) / (NODES_MANY - NODES_FEW) as f64).clamp(0.0, 1.0);
        if aliased / all > share { Err("document contains excessive aliasing".to_owned()) } else { Ok(()) }
    }
}

fn is_merge(node: &Node) -> bool {
    match &node.kind {
        Kind::Scalar { value, tag, implicit } => {
            &**value == "<<" && (*implicit || tag.as_deref() == Some("tag:yaml.org,2002:merge"))
        }
        _ => false,
    }
}
