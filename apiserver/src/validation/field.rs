//! Causes against an object, each with the path of its field: upstream's `field.Error`s.

use crate::schema::go;
use serde_json::Value;
use std::fmt;
use tinyplane_wire::meta::{dns_subdomain, path_segment};
use tinyplane_wire::status::Cause;

/// How many bytes of causes are told at most. A body of 3 MiB that is wrong all over would make a hundred times as much.
const TOLD_BYTES_MAX: usize = 4 << 20;

/// The causes found so far, in order, as many as are told.
#[derive(Clone, Debug, Default)]
pub struct Errors {
    causes: Vec<Cause>,
    /// The bytes of their texts.
    bytes: usize,
}

/// A path one step further: `spec.containers[0]` and `name` give `spec.containers[0].name`.
pub(crate) fn child(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { joined([path, ".", field]) }
}

/// A path that is made when it is told: what is checked in every pod has hundreds, and is seldom wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path<'p> {
    above: Option<&'p Path<'p>>,
    step: Step<'p>,
}

/// The last step of a path.
#[derive(Clone, Copy, Debug)]
enum Step<'p> {
    Field(&'p str),
    Index(usize),
    Item(&'p str, usize),
    Key(&'p str),
}

impl<'p> Path<'p> {
    /// A path that begins with this one.
    pub(crate) fn root(path: &'p str) -> Self {
        Self { above: None, step: Step::Field(path) }
    }

    /// Whether this is the object itself.
    pub(crate) fn is_empty(&self) -> bool {
        self.above.is_none() && matches!(self.step, Step::Field(""))
    }

    /// The path one step further, to a field.
    pub(crate) fn child<'c>(&'c self, field: &'c str) -> Path<'c> {
        Path { above: Some(self), step: Step::Field(field) }
    }

    /// The path to an element of this list.
    pub(crate) fn index(&self, at: usize) -> Path<'_> {
        Path { above: Some(self), step: Step::Index(at) }
    }

    /// The path to an element of a field that is a list.
    pub(crate) fn item<'c>(&'c self, field: &'c str, at: usize) -> Path<'c> {
        Path { above: Some(self), step: Step::Item(field, at) }
    }

    /// The path to an entry of this map.
    pub(crate) fn key<'c>(&'c self, name: &'c str) -> Path<'c> {
        Path { above: Some(self), step: Step::Key(name) }
    }

    fn write(&self, out: &mut String) {
        if let Some(above) = self.above {
            above.write(out);
        }
        if let Step::Field(_) | Step::Item(..) = self.step
            && !out.is_empty()
        {
            out.push('.');
        }
        match self.step {
            Step::Field(name) => out.push_str(name),
            Step::Item(name, at) => out.push_str(&index(name, at)),
            Step::Index(at) => out.push_str(&index("", at)),
            Step::Key(name) => out.extend(["[", name, "]"]),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.write(&mut out);
        f.write_str(&out)
    }
}

impl From<Path<'_>> for String {
    fn from(path: Path<'_>) -> Self {
        path.to_string()
    }
}

impl From<&Path<'_>> for String {
    fn from(path: &Path<'_>) -> Self {
        path.to_string()
    }
}

/// A path to an element of a list.
pub(crate) fn index(path: &str, at: usize) -> String {
    match at {
        0 => joined([path, "[0", "]"]),
        1 => joined([path, "[1", "]"]),
        _ => format!("{path}[{at}]"),
    }
}

/// A path to an entry of a map.
pub(crate) fn key(path: &str, name: &str) -> String {
    let mut out = String::with_capacity(path.len() + name.len() + 2);
    out.extend([path, "[", name, "]"]);
    out
}

fn joined(parts: [&str; 3]) -> String {
    let mut out = String::with_capacity(parts.iter().map(|part| part.len()).sum());
    out.extend(parts);
    out
}

impl Errors {
    /// All causes, in order.
    #[must_use]
    pub fn into_causes(self) -> Vec<Cause> {
        self.causes
    }

    /// Whether nothing is wrong so far.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.causes.is_empty()
    }

    /// How much is wrong so far.
    #[must_use]
    pub(crate) fn count(&self) -> usize {
        self.causes.len()
    }

    /// Whether nothing more is told: what is dear to tell need not be made then.
    #[must_use]
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= TOLD_BYTES_MAX
    }

    /// Takes another's causes over, behind its own.
    pub(crate) fn append(&mut self, other: Self) {
        for cause in other.causes {
            self.take(cause);
        }
    }

    /// Takes causes over, behind its own.
    pub(crate) fn take_all(&mut self, causes: Vec<Cause>) {
        causes.into_iter().for_each(|cause| self.take(cause));
    }

    /// The same causes in the order of what they tell, as upstream sorts what it found in maps.
    pub(crate) fn sorted(mut self) -> Self {
        self.causes.sort_by_cached_key(|cause| format!("{}: {}", cause.field, cause.message));
        self
    }

    fn push(&mut self, reason: &str, path: impl Into<String>, message: String) {
        self.take(Cause { reason: reason.into(), message, field: path.into() });
    }

    fn take(&mut self, cause: Cause) {
        if !self.is_full() {
            self.bytes += cause.message.len() + cause.field.len();
            self.causes.push(cause);
        }
    }

    pub(crate) fn required(&mut self, path: impl Into<String>, detail: &str) {
        self.push("FieldValueRequired", path, with_detail("Required value".into(), detail));
    }

    /// What upstream could not find out.
    pub(crate) fn internal(&mut self, path: impl Into<String>, why: &str) {
        self.push("InternalError", path, format!("Internal error: {why}"));
    }

    pub(crate) fn invalid(&mut self, path: impl Into<String>, value: &Value, detail: &str) {
        self.push("FieldValueInvalid", path, with_detail(format!("Invalid value: {}", shown(value)), detail));
    }

    pub(crate) fn invalid_text(&mut self, path: impl Into<String>, value: &str, detail: &str) {
        self.invalid(path, &Value::from(value), detail);
    }

    /// A wrong value that Go shows in another way than JSON has it.
    pub(crate) fn invalid_as(&mut self, path: impl Into<String>, shown: &str, detail: &str) {
        self.push("FieldValueInvalid", path, with_detail(format!("Invalid value: {shown}"), detail));
    }

    /// A value that is wrong as a whole, and is not shown.
    pub(crate) fn invalid_whole(&mut self, path: impl Into<String>, detail: &str) {
        self.push("FieldValueInvalid", path, with_detail("Invalid value".into(), detail));
    }

    /// Each complaint of a grammar about one text.
    pub(crate) fn grammar(&mut self, path: impl Into<String>, value: &str, complaints: Vec<String>) {
        if complaints.is_empty() {
            return;
        }
        let path = path.into();
        for complaint in complaints {
            self.invalid_text(&path, value, &complaint);
        }
    }

    /// A word that is none of a set. It has a type of its own, and so is shown as JSON.
    pub(crate) fn unsupported(&mut self, path: impl Into<String>, value: &str, known: &[&str]) {
        let known: Vec<String> = known.iter().map(|k| go::quote(k)).collect();
        let shown = go::json_quoted(value);
        let told = format!("Unsupported value: {shown}: supported values: {}", known.join(", "));
        self.push("FieldValueNotSupported", path, told);
    }

    /// A value that is none of a set, as upstream prints both.
    pub(crate) fn unsupported_value(&mut self, path: impl Into<String>, value: &Value, known: &[String]) {
        let known: Vec<String> = known.iter().map(|k| go::quote(k)).collect();
        let told = format!("Unsupported value: {}: supported values: {}", shown(value), known.join(", "));
        self.push("FieldValueNotSupported", path, told);
    }

    /// A value that is none of a set, where Go shows it in another way than JSON has it.
    pub(crate) fn unsupported_as(&mut self, path: impl Into<String>, shown: &str, known: &[&str]) {
        let known: Vec<String> = known.iter().map(|k| go::quote(k)).collect();
        let told = format!("Unsupported value: {shown}: supported values: {}", known.join(", "));
        self.push("FieldValueNotSupported", path, told);
    }

    /// A value of another type than its schema says.
    pub(crate) fn type_invalid(&mut self, path: impl Into<String>, value: &Value, detail: &str) {
        self.push("FieldValueTypeInvalid", path, with_detail(format!("Invalid value: {}", shown(value)), detail));
    }

    pub(crate) fn duplicate(&mut self, path: impl Into<String>, value: &Value) {
        self.push("FieldValueDuplicate", path, format!("Duplicate value: {}", shown(value)));
    }

    /// One more entry that Go shows in another way than JSON has it.
    pub(crate) fn duplicate_as(&mut self, path: impl Into<String>, shown: &str, detail: &str) {
        self.push("FieldValueDuplicate", path, with_detail(format!("Duplicate value: {shown}"), detail));
    }

    pub(crate) fn too_many(&mut self, path: impl Into<String>, count: usize, most: usize) {
        let items = if most == 1 { "item" } else { "items" };
        self.push("FieldValueTooMany", path, format!("Too many: {count}: must have at most {most} {items}"));
    }

    /// A word that may be missing, and else is one of a set.
    pub(crate) fn known(&mut self, path: impl Into<String>, value: &Value, known: &[&str]) {
        if let Some(word) = value.as_str().filter(|word| !known.contains(word)) {
            self.unsupported(path, word, known);
        }
    }

    /// A text that has to be there.
    pub(crate) fn needed(&mut self, path: impl Into<String>, value: &Value, detail: &str) {
        if text(value).is_empty() {
            self.required(path, detail);
        }
    }

    pub(crate) fn forbidden(&mut self, path: impl Into<String>, detail: &str) {
        self.push("FieldValueForbidden", path, with_detail("Forbidden".into(), detail));
    }

    pub(crate) fn not_found(&mut self, path: impl Into<String>, value: &str) {
        self.push("FieldValueNotFound", path, format!("Not found: {}", go::quote(value)));
    }

    /// A name of nothing that is there, and where it was looked for.
    pub(crate) fn not_found_as(&mut self, path: impl Into<String>, value: &str, detail: &str) {
        self.push("FieldValueNotFound", path, with_detail(format!("Not found: {}", go::quote(value)), detail));
    }

    pub(crate) fn too_long(&mut self, path: impl Into<String>, most: usize) {
        self.push(
            "FieldValueTooLong",
            path,
            format!("Too long: may not be more than {most} byte{}", if most == 1 { "" } else { "s" }),
        );
    }

    /// One of a set of words; an empty one is required.
    pub(crate) fn one_of(&mut self, path: impl Into<String>, value: &Value, known: &[&str]) {
        match value.as_str() {
            None | Some("") => self.required(path, ""),
            Some(word) if known.contains(&word) => {}
            Some(word) => self.unsupported(path, word, known),
        }
    }

    /// A name that has to be there, and to be a segment of a path.
    pub(crate) fn path_segment(&mut self, path: impl Into<String>, value: &Value) {
        match text(value) {
            "" => self.required(path, ""),
            name => self.grammar(path.into(), name, path_segment(name)),
        }
    }

    /// A number that may not be negative; a missing one is fine.
    pub(crate) fn non_negative(&mut self, path: impl Into<String>, value: &Value) {
        if value.as_i64().is_some_and(|n| n < 0) {
            self.invalid(path, value, "must be greater than or equal to 0");
        }
    }

    /// A port number; a missing one is not looked at.
    pub(crate) fn port(&mut self, path: impl Into<String>, value: &Value) {
        if value.as_i64().is_some_and(|n| !(1..=65_535).contains(&n)) {
            self.invalid(path, value, "must be between 1 and 65535, inclusive");
        }
    }

    /// An address.
    pub(crate) fn address(&mut self, path: impl Into<String>, value: &str) {
        super::ip::check_address(&path.into(), value, self);
    }

    /// A name such as `acme.io/foo`.
    pub(crate) fn domain_path(&mut self, path: &str, value: &str) {
        if value.is_empty() {
            return self.required(path, "");
        }
        let Some((domain, rest)) =
            value.split_once('/').filter(|(domain, rest)| !domain.is_empty() && !rest.is_empty())
        else {
            return self.invalid_text(path, value, "must be a domain-prefixed path (such as \"acme.io/foo\")");
        };
        self.grammar(path, domain, dns_subdomain(domain));
        if !rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b)) {
            let told = "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";
            self.invalid_text(path, rest, told);
        }
    }

    /// A field of one of upstream's own types that may not change.
    pub(crate) fn immutable_as(&mut self, path: impl Into<String>, kind: &str, new: &Value, old: &Value) {
        // A pointer to nothing is no pointer to something empty.
        let is_other = kind.starts_with('*') && new.is_null() != old.is_null();
        if is_other || !same(new, old) {
            self.invalid_as(path, &super::internal::shown(kind, new), "field is immutable");
        }
    }

    /// A field that may not change.
    pub(crate) fn immutable(&mut self, path: impl Into<String>, new: &Value, old: &Value) {
        if !same(new, old) {
            self.invalid(path, new, "field is immutable");
        }
    }
}

fn with_detail(told: String, detail: &str) -> String {
    if detail.is_empty() { told } else { format!("{told}: {detail}") }
}

/// A value as upstream prints it in a cause.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::String(text) => go::quote(text),
        Value::Array(_) | Value::Object(_) => {
            let mut out = String::new();
            go::json(value, &mut out);
            out
        }
        Value::Number(number) => go::number(number),
        Value::Bool(is) => is.to_string(),
    }
}

/// Whether two values mean the same: lists and maps without entries are as good as missing.
pub(crate) fn same(one: &Value, other: &Value) -> bool {
    let is_nothing = |value: &Value| match value {
        Value::Array(elements) => elements.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        other => other.is_null(),
    };
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let missing = |name: &String| !one.contains_key(name);
            one.iter().all(|(name, value)| same(value, other.get(name).unwrap_or(&Value::Null)))
                && other.iter().filter(|(name, _)| missing(name)).all(|(_, value)| is_nothing(value))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (one, other) => one == other || (is_nothing(one) && is_nothing(other)),
    }
}

/// The elements of a list, or none.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A text, or nothing.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
