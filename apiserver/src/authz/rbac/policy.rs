//! Roles and bindings as they were told, read once.

use super::Rule;
use crate::authz::{Change, Kept};
use serde_json::Value;
use smol_str::SmolStr;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use tinyplane_wire::meta::{Meta, pairs};
use tinyplane_wire::selector::LabelSelector;

/// Namespace (empty for cluster-wide objects) and name.
pub(super) type Key = (SmolStr, SmolStr);

/// What is kept of a role or a binding.
#[derive(Debug, PartialEq, Eq)]
pub struct Object(Kind);

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Role(Role),
    Binding(Binding),
}

impl Kept for Object {
    const RESOURCES: &'static [(&'static str, &'static str)] = &[
        ("rbac.authorization.k8s.io", "clusterroles"),
        ("rbac.authorization.k8s.io", "clusterrolebindings"),
        ("rbac.authorization.k8s.io", "roles"),
        ("rbac.authorization.k8s.io", "rolebindings"),
    ];

    fn read(resource: &'static str, object: &Value) -> Self {
        Self(match resource {
            "roles" | "clusterroles" => Kind::Role(Role::read(object)),
            _ => Kind::Binding(Binding::read(object)),
        })
    }
}

/// A Role or ClusterRole.
#[derive(Debug, PartialEq, Eq)]
struct Role {
    rules: Arc<[Rule]>,
    labels: BTreeMap<String, String>,
    /// Where it has an aggregation rule, its rules are those of the roles selected, and not its own.
    aggregates: Option<Vec<LabelSelector>>,
}

/// A RoleBinding or ClusterRoleBinding.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) subjects: Vec<Subject>,
    /// The role: its namespace is empty for a ClusterRole.
    pub(super) role: Key,
}

/// Whom a binding is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Subject {
    User(SmolStr),
    Group(SmolStr),
}

/// All roles and bindings.
#[derive(Default)]
pub(super) struct Policy {
    roles: BTreeMap<Key, Arc<Object>>,
    bindings: BTreeMap<Key, Arc<Object>>,
}

impl Policy {
    pub(super) fn apply(&mut self, change: Change<Object>) {
        let key = (change.namespace, change.name);
        let objects = match change.resource {
            "roles" | "clusterroles" => &mut self.roles,
            _ => &mut self.bindings,
        };
        match change.object {
            Some(object) => drop(objects.insert(key, object)),
            None => drop(objects.remove(&key)),
        }
    }

    pub(super) fn role_keys(&self) -> impl Iterator<Item = &Key> {
        self.roles.keys()
    }

    /// The bindings, each with its namespace and name.
    pub(super) fn bindings(&self) -> impl Iterator<Item = (&Key, &Binding)> {
        self.bindings.iter().filter_map(|(key, object)| match &object.0 {
            Kind::Binding(binding) => Some((key, binding)),
            Kind::Role(_) => None,
        })
    }

    fn role(&self, key: &Key) -> Option<&Role> {
        match &self.roles.get(key)?.0 {
            Kind::Role(role) => Some(role),
            Kind::Binding(_) => None,
        }
    }

    /// The rules of a role, those of aggregated roles collected. `None` where there is no such role.
    pub(super) fn rules(&self, key: &Key) -> Option<Arc<[Rule]>> {
        let role = self.role(key)?;
        if role.aggregates.is_none() {
            return Some(Arc::clone(&role.rules));
        }
        let (mut rules, mut seen) = (Vec::new(), HashSet::new());
        self.collect(key, &mut seen, &mut rules);
        Some(rules.into())
    }

    fn collect<'a>(&'a self, key: &'a Key, seen: &mut HashSet<&'a Key>, rules: &mut Vec<Rule>) {
        let Some(role) = self.role(key).filter(|_| seen.insert(key)) else { return };
        let Some(selectors) = &role.aggregates else {
            for rule in role.rules.iter() {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
            return;
        };
        for other in self.roles.keys().filter(|(namespace, _)| namespace.is_empty()) {
            let Some(candidate) = self.role(other) else { continue };
            let label = |name: &str| candidate.labels.get(name).map(String::as_str);
            if selectors.iter().any(|selector| selector.matches(label)) {
                self.collect(other, seen, rules);
            }
        }
    }
}

impl Role {
    fn read(object: &Value) -> Self {
        let selectors = object["aggregationRule"]["clusterRoleSelectors"].as_array();
        let labels = pairs(&object["metadata"]["labels"]).map(|(key, value)| (key.into(), value.into())).collect();
        Self {
            rules: Rule::read_all(object).collect(),
            labels,
            aggregates: selectors
                .map(|all| all.iter().filter_map(|s| LabelSelector::from_object(s).ok().flatten()).collect()),
        }
    }
}

impl Binding {
    fn read(object: &Value) -> Self {
        let namespace = SmolStr::from(Meta::of(object).namespace());
        let role = &object["roleRef"];
        let text = |value: &Value| SmolStr::from(value.as_str().unwrap_or_default());
        let role_namespace = if role["kind"] == "Role" { namespace.clone() } else { SmolStr::default() };
        let subjects = object["subjects"].as_array().into_iter().flatten();
        Self {
            subjects: subjects.filter_map(|subject| Subject::read(subject, &namespace)).collect(),
            role: (role_namespace, text(&role["name"])),
        }
    }
}

impl Subject {
    fn read(subject: &Value, namespace: &str) -> Option<Self> {
        let name = subject["name"].as_str()?;
        match subject["kind"].as_str()? {
            "User" => Some(Self::User(name.into())),
            "Group" => Some(Self::Group(name.into())),
            "ServiceAccount" => {
                let own = subject["namespace"].as_str().filter(|own| !own.is_empty()).unwrap_or(namespace);
                (!own.is_empty()).then(|| Self::User(format!("system:serviceaccount:{own}:{name}").into()))
            }
            _ => None,
        }
    }
}
