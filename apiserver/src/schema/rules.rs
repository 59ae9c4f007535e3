//! Reads `defaults.txt`: per type, what is written where nothing was said.

use super::{
    default::special::{self, Special},
    model::{Model, Shape, TypeId},
    parse::TableError,
};
use serde_json::{Map, Value};
use smol_str::SmolStr;

/// A way from an object down its fields.
type Path = Box<[SmolStr]>;

/// One default.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    act: Act,
    when: Box<[Condition]>,
}

#[derive(Clone, Debug)]
enum Act {
    /// Where the path leads nowhere, or to an empty value of a field that is no pointer or struct.
    Set {
        path: Path,
        pointer: bool,
        source: Source,
    },
    Delete(Path),
    /// Behind a gate that is off.
    Drop(Path),
    Call(Special),
}

#[derive(Clone, Debug)]
enum Source {
    Json(Value),
    Copy(Path),
}

#[derive(Clone, Debug)]
struct Condition {
    path: Path,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    /// There, or not; `pointer` says that an empty value is there too.
    Filled {
        wanted: bool,
        pointer: bool,
    },
    Equal(bool, Value),
}

impl Rule {
    /// Applies the rule to an object of its type. Answers whether it would drop something of it, which stays.
    pub(super) fn apply(&self, object: &mut Map<String, Value>) -> bool {
        if !self.when.iter().all(|condition| condition.holds(object)) {
            return false;
        }
        match &self.act {
            Act::Set { path, pointer, source } => {
                if find(object, path).is_some_and(|value| there(value, *pointer)) {
                    return false;
                }
                let value = match source {
                    Source::Json(value) => value.clone(),
                    Source::Copy(from) => match find(object, from) {
                        Some(value) if filled(value) => value.clone(),
                        _ => return false,
                    },
                };
                set(object, path, value);
            }
            Act::Delete(path) => remove(object, path),
            Act::Drop(path) => return find(object, path).is_some(),
            Act::Call(special) => special(object),
        }
        false
    }

    /// Drops what the rule says to be behind a gate.
    pub(super) fn drop_gated(&self, object: &mut Map<String, Value>) {
        if let Act::Drop(path) = &self.act
            && self.when.iter().all(|condition| condition.holds(object))
        {
            remove(object, path);
        }
    }
}

impl Condition {
    fn holds(&self, object: &Map<String, Value>) -> bool {
        let value = find(object, &self.path);
        match &self.test {
            Test::Filled { wanted, pointer } => value.is_some_and(|value| there(value, *pointer)) == *wanted,
            Test::Equal(wanted, other) => (value.unwrap_or(&Value::Null) == other) == *wanted,
        }
    }
}

/// A pointer is there unless it is null.
fn there(value: &Value, pointer: bool) -> bool {
    if pointer { !value.is_null() } else { filled(value) }
}

/// Neither null nor empty text, list or map, nor zero; a bool is there in any case.
fn filled(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Number(number) => number.as_i64() != Some(0),
        Value::Object(entries) => !entries.is_empty(),
        Value::Bool(_) => true,
    }
}

fn find<'v>(object: &'v Map<String, Value>, path: &[SmolStr]) -> Option<&'v Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(object.get(first.as_str())?, |value, name| value.as_object()?.get(name.as_str()))
}

fn find_mut<'v>(object: &'v mut Map<String, Value>, path: &[SmolStr]) -> Option<&'v mut Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(object.get_mut(first.as_str())?, |value, name| value.as_object_mut()?.get_mut(name.as_str()))
}

fn remove(object: &mut Map<String, Value>, path: &[SmolStr]) {
    let Some((last, way)) = path.split_last() else { return };
    if way.is_empty() {
        object.remove(last.as_str());
    } else if let Some(Value::Object(inner)) = find_mut(object, way) {
        inner.remove(last.as_str());
    }
}

fn set(object: &mut Map<String, Value>, path: &[SmolStr], value: Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        object.insert(first.as_str().to_owned(), value);
        return;
    }
    let inner = object.entry(first.as_str()).or_insert(Value::Null);
    if inner.is_null() {
        *inner = Value::Object(Map::new());
    }
    if let Value::Object(inner) = inner {
        set(inner, rest, value);
    }
}

/// Parses the defaults and hangs them on their types.
pub(super) fn attach(
    model: &mut Model,
    text: &'static str,
    resolve: impl Fn(&'static str, &'static str) -> Option<TypeId>,
) -> Result<(), TableError> {
    let mut package = "";
    let mut open: Option<(TypeId, Vec<Rule>)> = None;
    for (index, line) in text.lines().enumerate() {
        let failure = |what: String| TableError { line: index + 1, what };
        if line.is_empty() || line.starts_with('#') {
        } else if let Some(header) = line.strip_prefix('[') {
            package = header.trim_end_matches(']');
        } else if let Some(text) = line.strip_prefix(' ') {
            let (id, rules) = open.as_mut().ok_or_else(|| failure("a rule before any type".to_owned()))?;
            rules.push(rule(model, *id, text).map_err(failure)?);
        } else {
            close(model, open.take());
            let id = resolve(package, line).ok_or_else(|| failure(format!("no type `{package}.{line}`")))?;
            open = Some((id, Vec::new()));
        }
    }
    close(model, open);
    Ok(())
}

fn close(model: &mut Model, open: Option<(TypeId, Vec<Rule>)>) {
    if let Some((id, rules)) = open {
        model.types[id.0 as usize].rules = rules.into();
    }
}

fn rule(model: &Model, id: TypeId, text: &'static str) -> Result<Rule, String> {
    let (act, when) = text.split_once(" if ").map_or((text, None), |(act, when)| (act, Some(when)));
    let when = when.into_iter().flat_map(|when| when.split(" and ")).map(|when| condition(model, id, when));
    let when = when.collect::<Result<_, _>>()?;
    let act = if let Some(name) = act.strip_prefix("call ") {
        Act::Call(special::named(name).ok_or_else(|| format!("no rule `{name}` in code"))?)
    } else if let Some(to) = act.strip_suffix(" delete") {
        Act::Delete(path(model, id, to)?.0)
    } else if let Some(to) = act.strip_suffix(" drop") {
        Act::Drop(path(model, id, to)?.0)
    } else {
        let (to, source) = act.split_once(" = ").ok_or_else(|| format!("`{act}` sets nothing"))?;
        let (path, pointer) = path(model, id, to)?;
        let source = match source.strip_prefix('$') {
            Some(from) => Source::Copy(self::path(model, id, from)?.0),
            None => Source::Json(json(source)?),
        };
        Act::Set { path, pointer, source }
    };
    Ok(Rule { act, when })
}

fn condition(model: &Model, id: TypeId, text: &'static str) -> Result<Condition, String> {
    for (operator, wanted) in [(" == ", true), (" != ", false)] {
        if let Some((to, value)) = text.split_once(operator) {
            return Ok(Condition { path: path(model, id, to)?.0, test: Test::Equal(wanted, json(value)?) });
        }
    }
    let (to, wanted) = text.strip_prefix('!').map_or((text, true), |to| (to, false));
    let (path, pointer) = path(model, id, to)?;
    Ok(Condition { path, test: Test::Filled { wanted, pointer } })
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|_| format!("`{text}` is no JSON"))
}

/// A path that the type really has, and whether it ends at a pointer, or at a struct, which is there as well.
fn path(model: &Model, id: TypeId, text: &'static str) -> Result<(Path, bool), String> {
    let mut shape = Shape::Object(id);
    let mut pointer = false;
    let mut path = Vec::new();
    for name in text.split('.') {
        let Shape::Object(id) = shape else { return Err(format!("`{text}` leads through something without fields")) };
        let field = model.get(id).field(name).ok_or_else(|| format!("`{text}` leads nowhere at `{name}`"))?;
        shape = field.shape.clone();
        pointer = field.pointer || matches!(shape, Shape::Object(_));
        path.push(SmolStr::new_static(name));
    }
    Ok((path.into(), pointer))
}
