//! One rule of a role, and whether it allows something.

use crate::authz::{Attributes, On};
use serde_json::{Map, Value, json};
use smol_str::SmolStr;

const ALL: &str = "*";

/// `rbac.authorization.k8s.io/v1 PolicyRule`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Hash)]
pub struct Rule {
    /// What may be done.
    pub verbs: Vec<SmolStr>,
    /// In which API groups.
    pub groups: Vec<SmolStr>,
    /// To which resources: `pods`, `pods/log`, `*/scale`, `*`.
    pub resources: Vec<SmolStr>,
    /// To which objects; all, where there are none.
    pub names: Vec<SmolStr>,
    /// To which paths: `/healthz`, `/healthz/*`, `*`.
    pub paths: Vec<SmolStr>,
}

impl Rule {
    /// Reads a rule. What is missing or of another type counts as empty.
    #[must_use]
    pub fn read(value: &Value) -> Self {
        let texts = |field: &str| {
            let texts = value[field].as_array().into_iter().flatten().filter_map(Value::as_str);
            texts.map(SmolStr::from).collect()
        };
        Self {
            verbs: texts("verbs"),
            groups: texts("apiGroups"),
            resources: texts("resources"),
            names: texts("resourceNames"),
            paths: texts("nonResourceURLs"),
        }
    }

    /// Reads the `rules` of a role.
    pub fn read_all(role: &Value) -> impl Iterator<Item = Self> {
        role["rules"].as_array().into_iter().flatten().map(Self::read)
    }

    /// The two rules that allow everything.
    #[must_use]
    pub fn everything() -> [Self; 2] {
        let all = || vec![SmolStr::new_static(ALL)];
        let resources = Self { verbs: all(), groups: all(), resources: all(), ..Self::default() };
        let paths = Self { verbs: all(), paths: all(), ..Self::default() };
        [resources, paths]
    }

    /// Whether the rule allows what is asked.
    #[must_use]
    pub fn allows(&self, question: &Attributes<'_>) -> bool {
        match question.on {
            On::Path(path) => has(&self.verbs, question.verb) && self.paths.iter().any(|rule| covers_path(rule, path)),
            On::Resource { group, resource, subresource, name, .. } => {
                has(&self.verbs, question.verb)
                    && has(&self.groups, group)
                    && self.resources.iter().any(|rule| covers_resource(rule, resource, subresource))
                    && (self.names.is_empty() || self.names.iter().any(|rule| rule == name))
            }
        }
    }

    /// Whether this rule allows everything that the other, simple one (one verb, one group, …) does.
    #[must_use]
    pub fn covers(&self, simple: &Self) -> bool {
        let each = |own: &[SmolStr], other: &[SmolStr]| other.iter().all(|one| has(own, one));
        let resources = simple.resources.iter().all(|one| {
            let (resource, subresource) = one.split_once('/').unwrap_or((one, ""));
            self.resources.iter().any(|rule| rule == one || covers_resource(rule, resource, subresource))
        });
        let names = self.names.is_empty()
            || (!simple.names.is_empty() && simple.names.iter().all(|one| self.names.contains(one)));
        let paths = simple.paths.iter().all(|one| self.paths.iter().any(|rule| covers_path(rule, one)));
        each(&self.verbs, &simple.verbs) && each(&self.groups, &simple.groups) && resources && names && paths
    }

    /// The rule as `{verbs, apiGroups, resources, resourceNames, nonResourceURLs}`, empty ones left out.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        let fields = [
            ("verbs", &self.verbs),
            ("apiGroups", &self.groups),
            ("resources", &self.resources),
            ("resourceNames", &self.names),
            ("nonResourceURLs", &self.paths),
        ];
        for (field, texts) in fields {
            if !texts.is_empty() {
                map.insert(field.into(), json!(texts.iter().map(SmolStr::as_str).collect::<Vec<_>>()));
            }
        }
        Value::Object(map)
    }
}

fn has(texts: &[SmolStr], wanted: &str) -> bool {
    texts.iter().any(|text| text == ALL || text == wanted)
}

/// `*`, the very resource, or `*/SUBRESOURCE`.
fn covers_resource(rule: &str, resource: &str, subresource: &str) -> bool {
    if rule == ALL {
        return true;
    }
    match rule.split_once('/') {
        None => subresource.is_empty() && rule == resource,
        Some((of, part)) => !subresource.is_empty() && part == subresource && (of == ALL || of == resource),
    }
}

/// `*`, the very path, or everything that begins as the text before a last `*`.
fn covers_path(rule: &str, path: &str) -> bool {
    rule == ALL || rule == path || rule.strip_suffix('*').is_some_and(|begin| path.starts_with(begin))
}
