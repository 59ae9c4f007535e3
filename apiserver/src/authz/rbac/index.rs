//! Which rules each user and each group has, where. Built anew when a role or binding changes.

use super::Rule;
use super::policy::{Key, Policy, Subject};
use crate::authn::Caller;
use smol_str::SmolStr;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// What a binding gives to a subject.
pub(super) struct Grant {
    binding: Key,
    role: Key,
    /// The groups that the binding names.
    groups: Vec<SmolStr>,
    /// `None` where the role is not there.
    pub(super) rules: Option<Arc<[Rule]>>,
}

#[derive(Default)]
struct Subjects {
    users: HashMap<SmolStr, Vec<Arc<Grant>>>,
    groups: HashMap<SmolStr, Vec<Arc<Grant>>>,
}

/// The grants, by namespace (empty for cluster-wide bindings) and subject; and the roles.
#[derive(Default)]
pub(super) struct Index {
    places: HashMap<SmolStr, Subjects>,
    roles: HashMap<SmolStr, HashMap<SmolStr, Arc<[Rule]>>>,
}

impl Index {
    pub(super) fn build(policy: &Policy) -> Self {
        let mut index = Self::default();
        for key in policy.role_keys() {
            if let Some(rules) = policy.rules(key) {
                index.roles.entry(key.0.clone()).or_default().insert(key.1.clone(), rules);
            }
        }
        for (key, binding) in policy.bindings() {
            let namespace = &key.0;
            let rules = index.role(&binding.role.0, &binding.role.1);
            let groups = binding.subjects.iter().filter_map(|subject| match subject {
                Subject::Group(name) => Some(name.clone()),
                Subject::User(_) => None,
            });
            let groups = groups.collect();
            let grant = Arc::new(Grant { binding: key.clone(), role: binding.role.clone(), groups, rules });
            let place = index.places.entry(namespace.clone()).or_default();
            for subject in &binding.subjects {
                let (subjects, name) = match subject {
                    Subject::User(name) => (&mut place.users, name),
                    Subject::Group(name) => (&mut place.groups, name),
                };
                subjects.entry(name.clone()).or_default().push(Arc::clone(&grant));
            }
        }
        index
    }

    /// The rules of a role; the namespace of a ClusterRole is empty.
    pub(super) fn role(&self, namespace: &str, name: &str) -> Option<Arc<[Rule]>> {
        self.roles.get(namespace)?.get(name).cloned()
    }

    /// Looks at what the caller has: cluster-wide, then in the namespace.
    pub(super) fn visit<B>(
        &self,
        caller: &Caller,
        namespace: &str,
        mut look: impl FnMut(&Grant) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let places = ["", namespace];
        let places = if namespace.is_empty() { &places[..1] } else { &places[..] };
        for place in places.iter().filter_map(|place| self.places.get(*place)) {
            let of_user = place.users.get(caller.name.as_str());
            let of_groups = caller.groups.iter().filter_map(|group| place.groups.get(group.as_str()));
            for grant in of_user.into_iter().chain(of_groups).flatten() {
                look(grant)?;
            }
        }
        ControlFlow::Continue(())
    }
}

impl Grant {
    /// Which binding gives which role to the caller, as upstream tells it.
    pub(super) fn told(&self, caller: &Caller) -> String {
        let (namespace, name) = &self.binding;
        let binding = if namespace.is_empty() {
            format!("ClusterRoleBinding {name:?}")
        } else {
            format!("RoleBinding {:?}", format!("{name}/{namespace}"))
        };
        let kind = if self.role.0.is_empty() { "ClusterRole" } else { "Role" };
        let group = caller.groups.iter().find(|group| self.groups.contains(group));
        let subject = match (group, caller.service_account()) {
            (Some(group), _) => format!("Group {:?}", group.as_str()),
            (None, Some((namespace, account))) => format!("ServiceAccount {:?}", format!("{account}/{namespace}")),
            (None, None) => format!("User {:?}", caller.name.as_str()),
        };
        format!("{binding} of {kind} {:?} to {subject}", self.role.1.as_str())
    }

    /// Upstream's sentence for a binding without its role.
    pub(super) fn not_found(&self) -> String {
        let kind = if self.role.0.is_empty() { "clusterrole" } else { "role" };
        format!("{kind}.rbac.authorization.k8s.io \"{}\" not found", self.role.1)
    }
}
