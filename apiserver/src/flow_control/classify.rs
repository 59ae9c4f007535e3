//! `FlowSchema`s: whose requests, and for what, go to which level.

use super::level::Level;
use super::{Class, number, text, uid};
use crate::authn::Caller;
use crate::request::{Call, Target};
use http::HeaderValue;
use serde_json::Value;
use smol_str::SmolStr;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// One schema.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    name: SmolStr,
    uid: HeaderValue,
    precedence: u32,
    level: String,
    by: Option<By>,
    rules: Vec<Rule>,
}

/// What tells one flow of a schema from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    User,
    Namespace,
}

#[derive(Clone, Debug)]
struct Rule {
    subjects: Vec<Subject>,
    resources: Vec<ResourceRule>,
    paths: Vec<PathRule>,
}

#[derive(Clone, Debug)]
enum Subject {
    User(SmolStr),
    Group(SmolStr),
    Account { namespace: SmolStr, name: SmolStr },
}

/// Words of which one must match; `*` matches all.
#[derive(Clone, Debug)]
struct Words(Vec<SmolStr>);

#[derive(Clone, Debug)]
struct ResourceRule {
    verbs: Words,
    groups: Words,
    resources: Words,
    cluster_scope: bool,
    namespaces: Words,
}

#[derive(Clone, Debug)]
struct PathRule {
    verbs: Words,
    paths: Words,
}

/// Reads a `FlowSchema`.
pub(super) fn schema_of(object: &Value) -> Schema {
    let spec = &object["spec"];
    let rules = spec["rules"].as_array().into_iter().flatten();
    Schema {
        name: text(&object["metadata"], "name").into(),
        uid: uid(object),
        precedence: spec["matchingPrecedence"].as_u64().map_or(1_000, |_| number(spec, "matchingPrecedence")),
        level: text(&spec["priorityLevelConfiguration"], "name").to_owned(),
        by: match text(&spec["distinguisherMethod"], "type") {
            "ByUser" => Some(By::User),
            "ByNamespace" => Some(By::Namespace),
            _ => None,
        },
        rules: rules.map(Rule::read).collect(),
    }
}

/// Reads a `PriorityLevelConfiguration`.
pub(super) fn level_of(object: &Value) -> Level {
    Level::read(object)
}

fn all<'a, T>(list: &'a Value, read: impl Fn(&'a Value) -> T) -> Vec<T> {
    list.as_array().into_iter().flatten().map(read).collect()
}

impl Rule {
    fn read(rule: &Value) -> Self {
        let subject = |subject: &Value| match text(subject, "kind") {
            "User" => Subject::User(text(&subject["user"], "name").into()),
            "Group" => Subject::Group(text(&subject["group"], "name").into()),
            _ => {
                let account = &subject["serviceAccount"];
                Subject::Account { namespace: text(account, "namespace").into(), name: text(account, "name").into() }
            }
        };
        Self {
            subjects: all(&rule["subjects"], subject),
            resources: all(&rule["resourceRules"], |rule| ResourceRule {
                verbs: Words::read(&rule["verbs"]),
                groups: Words::read(&rule["apiGroups"]),
                resources: Words::read(&rule["resources"]),
                cluster_scope: rule["clusterScope"] == true,
                namespaces: Words::read(&rule["namespaces"]),
            }),
            paths: all(&rule["nonResourceRules"], |rule| PathRule {
                verbs: Words::read(&rule["verbs"]),
                paths: Words::read(&rule["nonResourceURLs"]),
            }),
        }
    }

    fn matches(&self, call: &Call, caller: &Caller) -> bool {
        self.subjects.iter().any(|subject| subject.matches(caller)) && self.covers(call)
    }

    fn covers(&self, call: &Call) -> bool {
        let verb = call.verb.as_str();
        let Target::Resource(path) = &call.target else {
            return self.paths.iter().any(|rule| rule.verbs.has(verb) && rule.paths.has_path(&call.path));
        };
        self.resources.iter().any(|rule| {
            let place = match path.namespace.as_deref() {
                None | Some("") => rule.cluster_scope,
                Some(namespace) => rule.namespaces.has(namespace),
            };
            place
                && rule.verbs.has(verb)
                && rule.groups.has(&path.group)
                && rule.resources.has_resource(&path.resource, path.subresource.as_deref())
        })
    }
}

impl Words {
    fn read(list: &Value) -> Self {
        Self(list.as_array().into_iter().flatten().filter_map(Value::as_str).map(SmolStr::from).collect())
    }

    fn has(&self, word: &str) -> bool {
        self.0.iter().any(|known| known == "*" || known == word)
    }

    fn has_resource(&self, resource: &str, subresource: Option<&str>) -> bool {
        self.0.iter().any(|known| match (known.split_once('/'), subresource) {
            _ if known == "*" => true,
            (None, None) => known == resource,
            (Some((plural, part)), Some(subresource)) => plural == resource && part == subresource,
            _ => false,
        })
    }

    fn has_path(&self, path: &str) -> bool {
        self.0.iter().any(|known| match known.strip_suffix('*') {
            Some(beginning) => path.starts_with(beginning),
            None => known == path,
        })
    }
}

impl Subject {
    fn matches(&self, caller: &Caller) -> bool {
        match self {
            Self::User(name) => name == "*" || *name == caller.name,
            Self::Group(name) => name == "*" || caller.is_in(name),
            Self::Account { namespace, name } => caller
                .service_account()
                .is_some_and(|(in_namespace, account)| in_namespace == namespace && (name == "*" || name == account)),
        }
    }
}

/// The schemas in the order in which they are asked.
#[derive(Debug, Default)]
pub(super) struct Schemas(Vec<Compiled>);

/// A schema whose level is there.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) name: SmolStr,
    /// Which of the levels.
    pub(super) level: usize,
    pub(super) class: Class,
    schema: Arc<Schema>,
}

impl Schemas {
    /// By precedence, then by name. A schema whose level is missing is left out.
    pub(super) fn of(
        schemas: impl Iterator<Item = Arc<Schema>>,
        levels: &HashMap<String, (usize, HeaderValue)>,
    ) -> Self {
        let compile = |schema: Arc<Schema>| {
            let (level, level_uid) = levels.get(&schema.level)?.clone();
            let class = Class { schema_uid: schema.uid.clone(), level_uid };
            Some(Compiled { name: schema.name.clone(), level, class, schema })
        };
        let mut compiled: Vec<Compiled> = schemas.filter_map(compile).collect();
        compiled.sort_by(|one, other| (one.schema.precedence, &one.name).cmp(&(other.schema.precedence, &other.name)));
        Self(compiled)
    }

    /// The first that matches.
    pub(super) fn classify(&self, call: &Call, caller: &Caller) -> Option<&Compiled> {
        self.0.iter().find(|one| one.schema.rules.iter().any(|rule| rule.matches(call, caller)))
    }
}

impl Compiled {
    /// Which flow a request belongs to.
    pub(super) fn flow(&self, call: &Call, caller: &Caller) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.name.hash(&mut hasher);
        match (self.schema.by, &call.target) {
            (Some(By::User), _) => caller.name.hash(&mut hasher),
            (Some(By::Namespace), Target::Resource(path)) => path.namespace.hash(&mut hasher),
            _ => {}
        }
        hasher.finish()
    }
}
