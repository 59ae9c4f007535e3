//! `NodeRestriction`: a kubelet changes its own Node, its own pods, and what belongs to them. Off by default, as upstream.

use super::{Plugin, forbidden, items};
use crate::registry::admit::{Operation, Question};
use crate::validation::same;
use async_trait::async_trait;
use serde_json::Value;
use std::collections::BTreeSet;
use tinyplane_wire::meta::{Meta, pairs};
use tinyplane_wire::status::{self, Status};

const MIRROR: &str = "kubernetes.io/config.mirror";
const LEASES: &str = "kube-node-lease";
/// Labels of Kubernetes' own domains that a kubelet may set.
const LABELS: [&str; 12] = [
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "node.kubernetes.io/windows-build",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];
/// Domains below which a kubelet may set any label.
const DOMAINS: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];
const RESTRICTED: &str = "node-restriction.kubernetes.io";

/// The plugin.
pub(super) struct NodeRestriction;

#[async_trait]
impl Plugin for NodeRestriction {
    fn name(&self) -> &'static str {
        "NodeRestriction"
    }

    fn concerns(&self, question: &Question<'_>) -> bool {
        question.operation != Operation::Connect && question.intent.caller.is_in("system:nodes")
    }

    async fn mutate(&self, question: &Question<'_>, object: &mut Value) -> status::Result<()> {
        check(question, object)
    }

    async fn validate(&self, question: &Question<'_>, object: &Value) -> status::Result<()> {
        match question.operation {
            // A deletion changes nothing before it is looked at.
            Operation::Delete => check(question, object),
            _ => Ok(()),
        }
    }
}

fn check(question: &Question<'_>, object: &Value) -> status::Result<()> {
    let caller = question.intent.caller;
    let Some(node) = caller.node_name() else {
        // Members of the group that are no node have no say here, unless their name pretends.
        let pretends = caller.name.starts_with("system:node:");
        let why = format!("could not determine node from user {:?}", caller.name.as_str());
        return if pretends { Err(forbidden(question, &why)) } else { Ok(()) };
    };
    let asked = Asked { question, node, object };
    let refused = match (question.resource.stored.group.as_str(), question.resource.plural.as_str()) {
        ("", "pods") => asked.pod()?,
        ("", "nodes") => asked.own_node(),
        ("", "persistentvolumeclaims") => asked.claim(),
        ("", "serviceaccounts") => asked.token()?,
        ("coordination.k8s.io", "leases") if question.namespace != LEASES => {
            Some(format!("can only access leases in the {LEASES:?} system namespace"))
        }
        ("coordination.k8s.io", "leases") => asked.of_own_name("node lease"),
        ("storage.k8s.io", "csinodes") => asked.of_own_name("CSINode"),
        _ => None,
    };
    refused.map_or(Ok(()), |why| Err(forbidden(question, &why)))
}

/// What a node asks for.
struct Asked<'a> {
    question: &'a Question<'a>,
    node: &'a str,
    object: &'a Value,
}

/// Why not; `None` where nothing speaks against it.
type Refused = Option<String>;

impl Asked<'_> {
    fn of_own_name(&self, what: &str) -> Refused {
        let told = format!("can only access {what} with the same name as the requesting node");
        (self.question.name != self.node).then_some(told)
    }

    fn pod(&self) -> status::Result<Refused> {
        let node = self.node;
        let is_own = |pod: Option<&Value>| pod.is_some_and(|pod| pod["spec"]["nodeName"] == node);
        Ok(match (self.question.subresource, self.question.operation) {
            ("", Operation::Create) => self.mirror_pod()?,
            ("", Operation::Delete) => (!is_own(self.question.old))
                .then(|| format!("node {node:?} can only delete pods with spec.nodeName set to itself")),
            ("", _) => {
                Some(format!("unexpected operation \"UPDATE\", node {node:?} can only create and delete mirror pods"))
            }
            ("status", _) if !is_own(self.question.old) => {
                Some(format!("node {node:?} can only update pod status for pods with spec.nodeName set to itself"))
            }
            ("status", _) => {
                let old = self.question.old.unwrap_or(&Value::Null);
                let differs = |field: &str| !same(&self.object["metadata"][field], &old["metadata"][field]);
                let claims = |pod: &Value| pod["status"]["resourceClaimStatuses"].clone();
                if differs("labels") {
                    Some(format!("node {node:?} cannot update labels through pod status"))
                } else if claims(self.object) != claims(old) {
                    Some(format!("node {node:?} cannot update resource claim statues"))
                } else {
                    None
                }
            }
            ("eviction", _) => {
                let pod = self.question.registry.find("", "pods", self.question.namespace, self.question.name)?;
                let pod = pod.ok_or_else(|| Status::not_found("", "pods", self.question.name))?;
                (!is_own(Some(&pod)))
                    .then(|| format!("node {node} can only evict pods with spec.nodeName set to itself"))
            }
            (other, _) => {
                Some(format!("unexpected pod subresource {other:?}, only 'status' and 'eviction' are allowed"))
            }
        })
    }

    /// A kubelet makes only pods that mirror its own, and these refer to nothing.
    fn mirror_pod(&self) -> status::Result<Refused> {
        let (node, pod) = (self.node, self.object);
        let owners: Vec<&Value> = items(&pod["metadata"]["ownerReferences"]).collect();
        let refused = if Meta::of(pod).annotation(MIRROR).is_none() {
            Some(format!("pod does not have {MIRROR:?} annotation, node {node:?} can only create mirror pods"))
        } else if pod["spec"]["nodeName"] != node {
            Some(format!("node {node:?} can only create pods with spec.nodeName set to itself"))
        } else {
            match owners.as_slice() {
                [] => Some(format!("node {node:?} can only create pods with an owner reference set to itself")),
                [owner] => self.owner(owner)?,
                _ => Some(format!("node {node:?} can only create pods with a single owner reference set to itself")),
            }
        };
        Ok(refused.or_else(|| references(node, &pod["spec"])))
    }

    fn owner(&self, owner: &Value) -> status::Result<Refused> {
        let node = self.node;
        if owner["apiVersion"] != "v1" || owner["kind"] != "Node" || owner["name"] != node {
            return Ok(Some(format!("node {node:?} can only create pods with an owner reference set to itself")));
        }
        if owner["controller"] != true {
            return Ok(Some(format!(
                "node {node:?} can only create pods with a controller owner reference set to itself"
            )));
        }
        if owner["blockOwnerDeletion"] == true {
            return Ok(Some(format!("node {node:?} must not set blockOwnerDeletion on an owner reference")));
        }
        let found = self.question.registry.find("", "nodes", "", node)?;
        let found = found.ok_or_else(|| Status::not_found("", "nodes", node))?;
        let (given, known) = (owner["uid"].as_str().unwrap_or_default(), Meta::of(&found).uid());
        Ok((given != known).then(|| format!("node {node} UID mismatch: expected {given} got {known}")))
    }

    fn own_node(&self) -> Refused {
        let (node, question) = (self.node, self.question);
        if question.name != node {
            return Some(format!("node {node:?} is not allowed to modify node {:?}", question.name));
        }
        let nothing = Value::Null;
        let old = question.old.unwrap_or(&nothing);
        match question.operation {
            Operation::Create => {
                if !self.object["spec"]["configSource"].is_null() {
                    return Some(format!("node {node:?} is not allowed to create pods with a non-nil configSource"));
                }
                let labels = forbidden_labels(self.object, old)?;
                Some(format!("node {node:?} is not allowed to set the following labels: {labels}"))
            }
            Operation::Update => {
                let taints = |node: &Value| items(&node["spec"]["taints"]).cloned().collect::<Vec<_>>();
                if taints(self.object) != taints(old) {
                    return Some(format!("node {node:?} is not allowed to modify taints"));
                }
                if !same(&self.object["metadata"]["ownerReferences"], &old["metadata"]["ownerReferences"]) {
                    return Some(format!("node {node:?} is not allowed to modify ownerReferences"));
                }
                let labels = forbidden_labels(self.object, old)?;
                Some(format!("is not allowed to modify labels: {labels}"))
            }
            Operation::Delete | Operation::Connect => None,
        }
    }

    fn claim(&self) -> Refused {
        if self.question.subresource != "status" {
            return Some("may only update PVC status".to_owned());
        }
        let bare = |claim: &Value| {
            let mut claim = claim.clone();
            if let Some(metadata) = claim["metadata"].as_object_mut() {
                metadata.remove("resourceVersion");
                metadata.remove("managedFields");
            }
            if let Some(status) = claim["status"].as_object_mut() {
                for field in ["capacity", "conditions", "allocatedResources", "allocatedResourceStatuses"] {
                    status.remove(field);
                }
            }
            claim
        };
        let old = self.question.old.unwrap_or(&Value::Null);
        let node = self.node;
        (bare(self.object) != bare(old)).then(|| {
            format!("node {node:?} is not allowed to update fields other than status.capacity and status.conditions")
        })
    }

    /// A token for a pod that runs here.
    fn token(&self) -> status::Result<Refused> {
        if self.question.operation != Operation::Create || self.question.subresource != "token" {
            return Ok(None);
        }
        let reference = &self.object["spec"]["boundObjectRef"];
        let text = |field: &str| reference[field].as_str().unwrap_or_default();
        if text("apiVersion") != "v1" || text("kind") != "Pod" || text("name").is_empty() {
            return Ok(Some("node requested token not bound to a pod".to_owned()));
        }
        if text("uid").is_empty() {
            return Ok(Some("node requested token with a pod binding without a uid".to_owned()));
        }
        let pod = self.question.registry.find("", "pods", self.question.namespace, text("name"))?;
        let pod = pod.ok_or_else(|| Status::not_found("", "pods", text("name")))?;
        if Meta::of(&pod).uid() != text("uid") {
            return Ok(Some(format!(
                "the UID in the bound object reference ({}) does not match the UID in record. The object might have been deleted and then recreated",
                text("uid")
            )));
        }
        let elsewhere = pod["spec"]["nodeName"] != self.node;
        Ok(elsewhere.then(|| "node requested token bound to a pod scheduled on a different node".to_owned()))
    }
}

/// What a mirror pod may not refer to, if it does.
fn references(node: &str, spec: &Value) -> Refused {
    if spec["serviceAccountName"].as_str().is_some_and(|name| !name.is_empty()) {
        return Some(format!("node {node:?} can not create pods that reference a service account"));
    }
    let containers = ["initContainers", "containers", "ephemeralContainers"].map(|field| items(&spec[field]));
    let containers: Vec<&Value> = containers.into_iter().flatten().collect();
    let in_environment = |whole: &str, key: &str| {
        containers.iter().any(|container| {
            items(&container["envFrom"]).any(|from| !from[whole].is_null())
                || items(&container["env"]).any(|variable| !variable["valueFrom"][key].is_null())
        })
    };
    let in_volume = |field: &str| {
        items(&spec["volumes"]).any(|volume| {
            !volume[field].is_null() || items(&volume["projected"]["sources"]).any(|source| !source[field].is_null())
        })
    };
    let has_secrets = in_environment("secretRef", "secretKeyRef")
        || in_volume("secret")
        || items(&spec["imagePullSecrets"]).next().is_some();
    [
        (has_secrets, "secrets"),
        (in_environment("configMapRef", "configMapKeyRef") || in_volume("configMap"), "configmaps"),
        (in_volume("clusterTrustBundle"), "clustertrustbundles"),
        (in_volume("persistentVolumeClaim"), "persistentvolumeclaims"),
    ]
    .into_iter()
    .find_map(|(there, what)| there.then(|| format!("node {node:?} can not create pods that reference {what}")))
}

/// The labels that differ and that a kubelet may not touch, told in order; `None` where there are none.
fn forbidden_labels(new: &Value, old: &Value) -> Option<String> {
    let labels = |object: &'_ Value| -> BTreeSet<(String, String)> {
        pairs(&object["metadata"]["labels"]).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    let (new, old) = (labels(new), labels(old));
    let changed: BTreeSet<&str> = new.symmetric_difference(&old).map(|(key, _)| key.as_str()).collect();
    let refused: Vec<&str> = changed.into_iter().filter(|key| !is_for_kubelets(key)).collect();
    (!refused.is_empty()).then(|| refused.join(", "))
}

fn is_for_kubelets(label: &str) -> bool {
    let domain = label.split_once('/').map_or("", |(domain, _)| domain);
    let below = |parent: &str| domain == parent || domain.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'));
    if below(RESTRICTED) {
        return false;
    }
    let is_native = below("kubernetes.io") || below("k8s.io");
    !is_native || LABELS.contains(&label) || DOMAINS.iter().any(|known| below(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubelets_set_labels_of_their_own_and_of_no_other_kubernetes_domain() {
        for (label, may) in [
            ("kubernetes.io/hostname", true),
            ("example.com/x", true),
            ("plain", true),
            ("node.kubernetes.io/x", true),
            ("a.kubelet.kubernetes.io/x", true),
            ("node-role.kubernetes.io/worker", false),
            ("node-restriction.kubernetes.io/x", false),
            ("a.node-restriction.kubernetes.io/x", false),
            ("k8s.io/x", false),
        ] {
            assert_eq!(is_for_kubelets(label), may, "{label}");
        }
    }
}
