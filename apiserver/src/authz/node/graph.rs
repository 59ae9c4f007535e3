//! Which node has to do with which object, through the pods that are bound to it.

use super::references::{Reference, references};
use crate::authz::{Change, Kept};
use serde_json::Value;
use smol_str::SmolStr;
use std::collections::HashMap;
use std::sync::Arc;
use tinyplane_wire::meta::Meta;

/// What is kept of a pod or a volume.
#[derive(Debug, PartialEq, Eq)]
pub struct Object(Kind);

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// A pod that is bound to a node.
    Pod(Pod),
    /// A volume's claim: its namespace and name.
    Claim(SmolStr, SmolStr),
    /// What gives nobody anything.
    Nothing,
}

impl Kept for Object {
    const RESOURCES: &'static [(&'static str, &'static str)] = &[("", "pods"), ("", "persistentvolumes")];

    fn read(resource: &'static str, object: &Value) -> Self {
        if resource == "pods" {
            return Self(Pod::read(object).map_or(Kind::Nothing, Kind::Pod));
        }
        let claim = &object["spec"]["claimRef"];
        let claim = claim["namespace"].as_str().zip(claim["name"].as_str());
        Self(claim.map_or(Kind::Nothing, |(namespace, name)| Kind::Claim(namespace.into(), name.into())))
    }
}

/// The pods that are bound to nodes, and how often each node's pods refer to each object.
#[derive(Default)]
pub(super) struct Graph {
    /// By namespace and name.
    pods: HashMap<(SmolStr, SmolStr), Arc<Object>>,
    uses: HashMap<SmolStr, HashMap<Reference, u32>>,
    /// By name.
    volumes: HashMap<SmolStr, Arc<Object>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Pod {
    node: SmolStr,
    references: Vec<Reference>,
}

impl Graph {
    pub(super) fn apply(&mut self, change: Change<Object>) {
        if change.resource == "persistentvolumes" {
            match change.object {
                Some(volume) => drop(self.volumes.insert(change.name, volume)),
                None => drop(self.volumes.remove(&change.name)),
            }
            return;
        }
        let key = (change.namespace, change.name);
        self.forget(&key);
        let Some(object) = change.object else { return };
        if let Kind::Pod(pod) = &object.0 {
            let uses = self.uses.entry(pod.node.clone()).or_default();
            for reference in &pod.references {
                *uses.entry(reference.clone()).or_default() += 1;
            }
            self.pods.insert(key, object);
        }
    }

    fn forget(&mut self, key: &(SmolStr, SmolStr)) {
        let Some(object) = self.pods.remove(key) else { return };
        let Kind::Pod(pod) = &object.0 else { return };
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
            "persistentvolumes" => match self.volumes.get(name).map(|volume| &volume.0) {
                Some(Kind::Claim(namespace, claim)) => uses("persistentvolumeclaims", namespace, claim),
                _ => false,
            },
            "pods" => match self.pods.get(&(namespace.into(), name.into())).map(|pod| &pod.0) {
                Some(Kind::Pod(pod)) => pod.node == node,
                _ => false,
            },
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
