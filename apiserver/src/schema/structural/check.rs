//! Checks a value: upstream's messages, paths and order. What an update leaves as it was is not held against it.

use super::embedded::check_embedded_at;
use super::lists::{finds_itself, key_of};
use super::{Additional, Node, Structural, fields, format, number};
use crate::schema::go;
use crate::schema::model::ListType;
use crate::validation::Errors;
use serde_json::Value;
use smol_str::SmolStr;
use std::collections::HashMap;

/// A mistake: where it is, and what.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// Empty for the root.
    pub(super) path: String,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Required,
    Choice(Value, Vec<String>),
    TooLong(usize),
    TooMany(usize, usize),
    Type(Value, String),
    Invalid(Value, String),
    /// Told of no field at all.
    Composite(String),
}

/// What a check found, and how many of its parts were fine: of several schemas of which none fits, the one that fits best
/// is told of.
#[derive(Default)]
struct Found {
    faults: Vec<Fault>,
    matches: usize,
}

impl Found {
    fn take(&mut self, other: Self) {
        self.faults.extend(other.faults);
        self.matches += other.matches + 1;
    }

    fn note(&mut self, path: &str, what: What) {
        self.faults.push(Fault { path: path.to_owned(), what });
    }
}

impl Structural {
    /// What is wrong with a new object.
    pub fn check(&self, object: &Value, errors: &mut Errors) {
        tell(validate(&self.root, object, None, ""), "", errors);
        self.check_embedded(object, errors);
        self.check_lists(object, errors);
    }

    /// What is wrong with a changed object, and was not so before.
    pub fn check_update(&self, new: &Value, old: &Value, errors: &mut Errors) {
        tell(validate(&self.root, new, Some(old), ""), "", errors);
        self.check_embedded(new, errors);
        self.check_changed_lists(new, old, errors);
    }

    /// The same where a status is written: upstream looks at that alone, as at something of its own, and at all lists.
    pub fn check_status(&self, new: &Value, old: &Value, errors: &mut Errors) {
        let status = new.get(STATUS).filter(|status| !status.is_null());
        if let (Some(node), Some(status)) = (self.root.properties.get(STATUS), status) {
            tell(validate(node, status, old.get(STATUS), ""), STATUS, errors);
        }
        self.check_changed_lists(new, old, errors);
    }

    /// Notes the items that are there more than once, unless some were before.
    fn check_changed_lists(&self, new: &Value, old: &Value, errors: &mut Errors) {
        let (mut now, mut before) = (Errors::default(), Errors::default());
        self.check_lists(new, &mut now);
        self.check_lists(old, &mut before);
        if before.is_empty() {
            errors.append(now);
        }
    }
}

/// The field that has a path of its own.
const STATUS: &str = "status";

impl Structural {
    /// What is wrong with the defaults of a schema that stands at `path`.
    pub fn check_defaults(&self, path: &str, errors: &mut Errors) {
        defaults(&self.root, path, false, errors);
    }
}

/// `meta` is below metadata, of which the server itself knows the fields.
fn defaults(node: &Node, path: &str, meta: bool, errors: &mut Errors) {
    if let Some(default) = &node.default {
        let path = format!("{path}.default");
        if !meta && !node.knows(default) {
            errors.invalid(&path, default, "must not have unknown fields");
        }
        let mut found = Errors::default();
        if !meta {
            check_embedded_at(node, default, &path, &mut found);
        }
        // Upstream looks at the values only where the objects among them say what they are.
        if found.is_empty() {
            tell(validate(node, default, None, ""), &path, errors);
        }
        errors.append(found);
    }
    if let Some(items) = &node.items {
        defaults(items, &format!("{path}.items"), meta, errors);
    }
    for (name, below) in &node.properties {
        defaults(below, &format!("{path}.properties[{name}]"), meta || node.is_meta(name), errors);
    }
}

/// Tells what was found in a value that stands at `home`, which messages do not name.
fn tell(found: Found, home: &str, errors: &mut Errors) {
    for Fault { path, what } in found.faults {
        let path = match (home, path.as_str()) {
            // Of the root, upstream prints the pointer that it does not have.
            ("", "") => "<nil>".to_owned(),
            ("", _) => path,
            (home, "") => home.to_owned(),
            (home, path) => format!("{home}.{path}"),
        };
        match what {
            What::Required => errors.required(path, ""),
            What::Choice(value, choices) => errors.unsupported_value(path, &value, &choices),
            What::TooLong(most) => errors.too_long(path, most),
            What::TooMany(count, most) => errors.too_many(path, count, most),
            What::Type(value, why) => errors.type_invalid(path, &value, &why),
            What::Invalid(value, why) => errors.invalid(path, &value, &why),
            What::Composite(why) if home.is_empty() => errors.invalid("<nil>", &"".into(), &why),
            What::Composite(why) => errors.invalid(path, &"".into(), &why),
        }
    }
}

/// Checks a value against a node. With an old value that is the same, nothing is wrong.
fn validate(node: &Node, value: &Value, old: Option<&Value>, path: &str) -> Found {
    let mut found = Found::default();
    if old == Some(value) && finds_itself(node, value) {
        return found;
    }
    types(node, value, path, &mut found);
    if value.is_null() {
        choices(node, value, path, &mut found);
        return found;
    }
    combined(node, value, old, path, &mut found);
    match value {
        Value::String(text) => {
            texts(node, text, path, &mut found);
        }
        Value::Number(number) => found.faults.extend(number::faults(&node.limits, &node.kind, number, path)),
        Value::Array(items) => list(node, items, old, path, &mut found),
        _ => {}
    }
    choices(node, value, path, &mut found);
    if value.is_object() {
        object(node, value, old, path, &mut found);
    }
    found.matches += 1;
    found
}

/// What JSON Schema calls the type of a value, and the format that Go's decoder gives a number.
fn type_of(value: &Value) -> (&'static str, &'static str) {
    match value {
        Value::Null => ("null", ""),
        Value::Bool(_) => ("boolean", ""),
        Value::Number(number) if number.is_i64() => ("integer", "int64"),
        // Go's decoder makes one of what no `int64` holds as well.
        Value::Number(_) => ("number", "float64"),
        Value::String(_) => ("string", ""),
        Value::Array(_) => ("array", ""),
        Value::Object(_) => ("object", ""),
    }
}

fn types(node: &Node, value: &Value, path: &str, found: &mut Found) {
    let wanted: &[&str] = match node.kind.as_str() {
        _ if node.int_or_string => &["integer", "string"],
        "" => &[],
        kind => &[kind],
    };
    let (kind, format) = type_of(value);
    let mut refuse = |wanted: &str, is: &str| {
        let why = format!("{path} in body must be of type {wanted}: {is:?}");
        found.note(path, What::Type(is.into(), why));
    };
    if value.is_null() {
        if !wanted.is_empty() && !node.nullable {
            refuse(&wanted.join(","), "null");
        }
        return;
    }
    if wanted.is_empty() {
        found.matches += 1;
        return;
    }
    let whole = value.as_f64().is_some_and(number::is_whole);
    let fits = wanted.contains(&kind)
        || (kind == "number" && whole && wanted.contains(&"integer"))
        || (kind == "integer" && wanted.contains(&"number"));
    let is_text_or_list = matches!(value, Value::String(_) | Value::Array(_));
    match node.limits.format.as_str() {
        _ if fits => found.matches += 1,
        // A format of text is judged by itself.
        wished
            if !wished.is_empty() && is_text_or_list && !wanted.iter().any(|w| ["number", "integer"].contains(w)) => {}
        wished if !wished.is_empty() && !is_text_or_list => refuse(wished, format),
        _ => refuse(&wanted.join(","), kind),
    }
}

/// Upstream stops at the first mistake of a text.
fn texts(node: &Node, text: &str, path: &str, found: &mut Found) {
    let limits = &node.limits;
    let length = text.chars().count();
    if let Some(most) = limits.length.most.filter(|most| length > *most) {
        found.note(path, What::TooLong(most));
    } else if let Some(least) = limits.length.least.filter(|least| length < *least) {
        let why = format!("{path} in body should be at least {least} chars long");
        found.note(path, What::Invalid(text.into(), why));
    } else if let Some(pattern) = &limits.pattern {
        let shown = match &pattern.compiled {
            Ok(compiled) if compiled.is_match(text) => None,
            Ok(_) => Some(pattern.text.clone()),
            Err(error) => Some(format!("{}, but pattern is invalid: {error}", pattern.text)),
        };
        if let Some(shown) = shown {
            found.note(path, What::Invalid(text.into(), format!("{path} in body should match '{shown}'")));
        }
    }
    if !limits.format.is_empty() && !format::fits(&limits.format, text) {
        let why = format!("{path} in body must be of type {}: {}", limits.format, go::quote(text));
        found.note(path, What::Type(text.into(), why));
    }
}

fn choices(node: &Node, value: &Value, path: &str, found: &mut Found) {
    let Some(choices) = &node.limits.choices else { return };
    if !choices.iter().any(|choice| choice == value || number::is_choice(choice, value)) {
        let json = |choice: &Value| {
            let mut out = String::new();
            go::json(choice, &mut out);
            out
        };
        let shown = choices.iter().map(|choice| choice.as_str().map_or_else(|| json(choice), str::to_owned));
        found.note(path, What::Choice(value.clone(), shown.collect()));
    }
}

fn list(node: &Node, items: &[Value], old: Option<&Value>, path: &str, found: &mut Found) {
    if let Some(below) = &node.items {
        let earlier = Earlier::of(&node.list_type, old);
        for (at, item) in items.iter().enumerate() {
            let before = earlier.same_as(item);
            found.take(validate(below, item, before, &format!("{path}[{at}]")));
        }
    }
    let (bounds, count) = (node.limits.items, items.len());
    if let Some(least) = bounds.least.filter(|least| count < *least) {
        let why = format!("{path} in body should have at least {least} items");
        found.note(path, What::Invalid(count.into(), why));
    }
    if let Some(most) = bounds.most.filter(|most| count > *most) {
        found.note(path, What::TooMany(count, most));
    }
    if node.limits.unique && items.iter().enumerate().any(|(at, item)| items[..at].contains(item)) {
        found.note(path, What::Invalid("".into(), format!("{path} in body shouldn't contain duplicates")));
    }
}

/// The items of an old list by their keys; only lists told apart by keys know which is which.
struct Earlier<'v> {
    keys: &'v [SmolStr],
    items: HashMap<String, &'v Value>,
}

impl<'v> Earlier<'v> {
    fn of(kind: &'v ListType, old: Option<&'v Value>) -> Self {
        let (ListType::Map(keys), Some(old)) = (kind, old.and_then(Value::as_array)) else {
            return Self { keys: &[], items: HashMap::new() };
        };
        let mut items = HashMap::with_capacity(old.len());
        for item in old {
            // Of two with the same keys the first one.
            if let Some(key) = key_of(keys, item) {
                items.entry(key).or_insert(item);
            }
        }
        Self { keys, items }
    }

    fn same_as(&self, item: &Value) -> Option<&'v Value> {
        if self.items.is_empty() {
            return None;
        }
        self.items.get(&key_of(self.keys, item)?).copied()
    }
}

fn object(node: &Node, value: &Value, old: Option<&Value>, path: &str, found: &mut Found) {
    let (bounds, count) = (node.limits.properties, value.as_object().map_or(0, serde_json::Map::len));
    if let Some(least) = bounds.least.filter(|least| count < *least) {
        let why = format!("{path} in body should have at least {least} properties");
        found.note(path, What::Invalid(count.into(), why));
    }
    if let Some(most) = bounds.most.filter(|most| count > *most) {
        found.note(path, What::TooMany(count, most));
    }
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for (name, value) in fields(value).filter(|(name, _)| !node.properties.contains_key(name.as_str())) {
        match &node.additional {
            Additional::None if !node.is_meta(name) => {
                let why = format!("{path}.{name} in body is a forbidden property");
                found.note(path, What::Invalid(name.as_str().into(), why));
            }
            Additional::Like(other) => {
                found.take(validate(other, value, old.and_then(|old| old.get(name)), &below(name)));
            }
            _ => {}
        }
    }
    for (name, declared) in &node.properties {
        if let Some(value) = value.get(name.as_str()) {
            // What versions of an object say of themselves is the same before and after, and is checked all the same.
            let is_type = path.is_empty() && (name == "apiVersion" || name == "kind");
            let before = old.and_then(|old| old.get(name.as_str())).filter(|_| !is_type);
            found.take(validate(declared, value, before, &below(name)));
        }
    }
    for name in node.limits.required.iter().filter(|name| value.get(name.as_str()).is_none()) {
        found.note(&below(name), What::Required);
    }
}

/// `anyOf`, `oneOf`, `allOf` and `not`.
fn combined(node: &Node, value: &Value, old: Option<&Value>, path: &str, found: &mut Found) {
    let shown = || go::quote(path);
    let each = |nodes: &[Node]| -> Vec<Found> { nodes.iter().map(|one| validate(one, value, old, path)).collect() };
    let best = |tried: Vec<Found>| {
        tried.into_iter().fold(None, |best: Option<Found>, one| match best {
            Some(best) if best.matches >= one.matches => Some(best),
            _ => Some(one),
        })
    };
    if !node.any_of.is_empty() {
        let tried = each(&node.any_of);
        if tried.iter().all(|one| !one.faults.is_empty()) {
            let why = format!("{} must validate at least one schema (anyOf)", shown());
            found.note("", What::Composite(why));
            found.take(best(tried).unwrap_or_default());
        }
    }
    if !node.one_of.is_empty() {
        let tried = each(&node.one_of);
        let fitting = tried.iter().filter(|one| one.faults.is_empty()).count();
        if fitting != 1 {
            let many = if fitting == 0 {
                "Found none valid".to_owned()
            } else {
                format!("Found {fitting} valid alternatives")
            };
            let why = format!("{} must validate one and only one schema (oneOf). {many}", shown());
            found.note("", What::Composite(why));
            if fitting == 0 {
                found.take(best(tried).unwrap_or_default());
            }
        }
    }
    if !node.all_of.is_empty() {
        let tried = each(&node.all_of);
        let fitting = tried.iter().filter(|one| one.faults.is_empty()).count();
        let all = tried.len();
        tried.into_iter().for_each(|one| found.take(one));
        if fitting != all {
            let none = if fitting == 0 { ". None validated" } else { "" };
            found.note("", What::Composite(format!("{} must validate all the schemas (allOf){none}", shown())));
        }
    }
    if let Some(not) = &node.not
        && validate(not, value, None, path).faults.is_empty()
    {
        found.note("", What::Composite(format!("{} must not validate the schema (not)", shown())));
    }
    found.matches += 1;
}
