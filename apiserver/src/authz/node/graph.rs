//! Which node has to do with which object, through the pods that are bound to it.

use super::references::{Reference, references};
use crate::authz::Change;
use serde_json::Value;
use smol_str::SmolStr;
use std::collections::HashMap;
use tinyplane_wire::meta::Meta;

/// The pods that are bound to nodes, and how often each node's pods refer to each object.
#[derive(Default)]
pub(super) struct Graph {
    /// By namespace and name.
    pods: HashMap<(SmolStr, SmolStr), Pod>,
    uses: HashMap<SmolStr, HashMap<Reference, u32>>,
    /// The claim of each volume: its namespace and name.
    volumes: HashMap<SmolStr, (SmolStr, SmolStr)>,
}

struct Pod {
    node: SmolStr,
    references: Vec<Reference>,
}

impl Graph {
    pub(super) fn apply(&mut self, change: Change) {
        match (change.resource, change.object) {
            ("persistentvolumes", object) => {
                let claim = object.as_deref().map(|volume| &volume["spec"]["claimRef"]);
                match claim.and_then(|claim| Some((claim["namespace"].as_str()?, claim["name"].as_str()?))) {
                    Some((namespace, name)) => {
                        self.volumes.insert(change.name, (namespace.into(), name.into()));
                    }
                    None => drop(self.volumes.remove(&change.name)),
                }
            }
            (_, object) => {
                let key = (change.namespace, change.name);
                self.forget(&key);
                if let Some(pod) = object.as_deref().and_then(Pod::read) {
                    let uses = self.uses.entry(pod.node.clone()).or_default();
                    for reference in &pod.references {
                        *uses.entry(reference.clone()).or_default() += 1;
                    }
                    self.pods.insert(key, pod);
                }
            }
        }
    }

    fn forget(&mut self, key: &(SmolStr, SmolStr)) {
        let Some(pod) = self.pods.remove(key) else { return };
        let Some(uses) = self.uses.get_mut(&pod.node) else { return };
        for reference in &pod.references {
            if let Some(count) = uses.get_mut(reference) {
                *count -= 1;
                if *count == 0 {
                    uses.remove(reference);
                }
            }
        }
        if uses.is_empty() {
            self.uses.remove(&pod.node);
        }
    }

    pub(super) fn is_related(&self, node: &str, resource: &str, namespace: &str, name: &str) -> bool {
        let uses = |kind: &'static str, namespace: &str, name: &str| {
            let reference = Reference { kind, namespace: namespace.into(), name: name.into() };
            self.uses.get(node).is_some_and(|uses| uses.contains_key(&reference))
        };
        match resource {
            "secrets" => uses("secrets", namespace, name),
            "configmaps" => uses("configmaps", namespace, name),
            "serviceaccounts" => uses("serviceaccounts", namespace, name),
            "persistentvolumeclaims" => uses("persistentvolumeclaims", namespace, name),
            "persistentvolumes" => self
                .volumes
                .get(name)
                .is_some_and(|(namespace, claim)| uses("persistentvolumeclaims", namespace, claim)),
            "pods" => self.pods.get(&(namespace.into(), name.into())).is_some_and(|pod| pod.node == node),
            _ => false,
        }
    }
}

impl Pod {
    /// A pod that is bound to a node. One that the node made itself (a mirror pod) gives the node nothing.
    fn read(pod: &Value) -> Option<Self> {
        let node = pod["spec"]["nodeName"].as_str().filter(|node| !node.is_empty())?;
        let meta = Meta::of(pod);
        let is_mirror = meta.annotation("kubernetes.io/config.mirror").is_some();
        let references = if is_mirror { Vec::new() } else { references(pod) };
        Some(Self { node: node.into(), references })
    }
}
