//! The `JSONPath`s of definitions: fields, indices, all items, and filters by equality.

use serde_json::Value;

/// A path that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    /// Counted from the end where it is negative.
    Index(i64),
    /// All items, or all values of a map.
    All,
    /// The items whose field is, or is not, this.
    Filter {
        path: Vec<String>,
        equal: bool,
        value: Value,
    },
}

/// Most steps of a path.
const STEPS_MAX: usize = 64;

impl JsonPath {
    /// Reads a path such as `.status.conditions[?(@.type=="Ready")].status`; `None` for what is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut steps = Vec::new();
        let mut rest = text.trim().strip_prefix('$').unwrap_or(text.trim());
        if !rest.starts_with(['.', '[']) {
            return None;
        }
        while !rest.is_empty() {
            if steps.len() == STEPS_MAX {
                return None;
            }
            if let Some(after) = rest.strip_prefix('[') {
                let end = closing(after)?;
                steps.push(Step::of_brackets(after[..end].trim())?);
                rest = &after[end + 1..];
            } else {
                let after = rest.strip_prefix('.')?;
                let (name, left) = field(after)?;
                match name.as_str() {
                    "*" => steps.push(Step::All),
                    // A dot before brackets says nothing.
                    "" if left.starts_with('[') => {}
                    "" => return (left.is_empty() && steps.is_empty()).then_some(Self { steps }),
                    _ => steps.push(Step::Field(name)),
                }
                rest = left;
            }
        }
        Some(Self { steps })
    }

    /// The names of a path that consists of fields alone.
    #[must_use]
    pub fn names(&self) -> Option<Vec<&str>> {
        let mut names = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let Step::Field(name) = step else { return None };
            names.push(name.as_str());
        }
        Some(names)
    }

    /// The values that the path leads to.
    #[must_use]
    pub fn find<'v>(&self, object: &'v Value) -> Vec<&'v Value> {
        self.steps
            .iter()
            .fold(vec![object], |found, step| found.into_iter().flat_map(|value| step.from(value)).collect())
    }
}

/// A name up to the next dot or bracket, with `\.` for a dot in it.
fn field(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.push(chars.next()?.1),
            '.' | '[' => return Some((name, &text[at..])),
            ']' | '{' | '}' => return None,
            c => name.push(c),
        }
    }
    Some((name, ""))
}

/// Where the bracket that was opened before this text is closed.
fn closing(text: &str) -> Option<usize> {
    let (mut quote, mut open) = (None, 0);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(mark), c) if c == mark => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '[') => open += 1,
            (None, ']') if open == 0 => return Some(at),
            (None, ']') => open -= 1,
            _ => {}
        }
    }
    None
}

fn unquoted(text: &str) -> Option<&str> {
    let inner = |mark: char| text.strip_prefix(mark)?.strip_suffix(mark);
    inner('\'').or_else(|| inner('"'))
}

impl Step {
    fn of_brackets(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        if let Some(name) = unquoted(text) {
            return Some(Self::Field(name.to_owned()));
        }
        if let Some(filter) = text.strip_prefix("?(").and_then(|rest| rest.strip_suffix(')')) {
            let (path, equal, value) = match (filter.split_once("=="), filter.split_once("!=")) {
                (Some((path, value)), _) => (path, true, value),
                (None, Some((path, value))) => (path, false, value),
                (None, None) => return None,
            };
            let path = path.trim().strip_prefix("@.")?.split('.').map(str::to_owned).collect();
            let value = value.trim();
            let value = match unquoted(value) {
                Some(text) => Value::from(text),
                None => serde_json::from_str(value).ok()?,
            };
            return Some(Self::Filter { path, equal, value });
        }
        text.parse().ok().map(Self::Index)
    }

    fn from<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        match (self, value) {
            (Self::Field(name), Value::Object(fields)) => fields.get(name).into_iter().collect(),
            (Self::Index(at), Value::Array(items)) => {
                let at = if *at < 0 { i64::try_from(items.len()).unwrap_or(i64::MAX) + at } else { *at };
                usize::try_from(at).ok().and_then(|at| items.get(at)).into_iter().collect()
            }
            (Self::All, Value::Array(items)) => items.iter().collect(),
            (Self::All, Value::Object(fields)) => fields.values().collect(),
            (Self::Filter { path, equal, value: wanted }, Value::Array(items)) => {
                let is = |item: &Value| path.iter().fold(item, |value, name| &value[name.as_str()]) == wanted;
                items.iter().filter(|item| is(item) == *equal).collect()
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::JsonPath;
    use serde_json::json;

    #[test]
    fn paths_lead_to_values() {
        let object =
            json!({"spec": {"a.b": 1, "list": [{"name": "x", "v": 1}, {"name": "y", "v": 2}]}, "status": {"ok": true}});
        for (path, found) in [
            (".status.ok", json!([true])),
            (r".spec.a\.b", json!([1])),
            (".spec['a.b']", json!([1])),
            (".spec.list[1].v", json!([2])),
            (".spec.list[-1].v", json!([2])),
            (".spec.list[*].v", json!([1, 2])),
            (r#".spec.list[?(@.name=="y")].v"#, json!([2])),
            (".spec.list[?(@.v!=2)].name", json!(["x"])),
            (".spec.none.at.all", json!([])),
        ] {
            assert_eq!(json!(JsonPath::parse(path).unwrap().find(&object)), found, "{path}");
        }
        for wrong in ["", "spec", ".spec[", ".spec[x]", ".a..b", ".a{}", &".a".repeat(100)] {
            assert_eq!(JsonPath::parse(wrong), None, "{wrong}");
        }
        assert_eq!(JsonPath::parse(".spec.replicas").unwrap().names().unwrap(), ["spec", "replicas"]);
        assert!(JsonPath::parse(".spec.list[0]").unwrap().names().is_none());
    }
}
