//! What a node's identity may do (mode `Node`): its own objects, and what the pods that are bound to it refer to.

mod graph;
mod references;

use super::{Attributes, Decision, Feed, On, Rule};
use crate::authn::Caller;
use graph::Graph;
pub use graph::Object;
use std::sync::{Mutex, PoisonError};
use tinyplane_wire::selector::FieldSelector;

/// Decides about callers that are nodes.
pub struct NodeAuthorizer {
    source: Mutex<Source>,
    rules: Vec<Rule>,
}

struct Source {
    feed: Box<dyn Feed<Object>>,
    graph: Graph,
}

impl NodeAuthorizer {
    /// Goes by the pods and volumes that a feed tells of, and by the rules of the role `system:node` for everything
    /// that does not belong to one node.
    #[must_use]
    pub fn new(feed: Box<dyn Feed<Object>>) -> Self {
        let rules = super::defaults::cluster_role_rules("system:node");
        Self { source: Mutex::new(Source { feed, graph: Graph::default() }), rules }
    }

    /// Whether this node may do this. No opinion of callers that are no nodes.
    pub(super) fn authorize(&self, caller: &Caller, question: &Attributes<'_>) -> Decision {
        let Some(node) = caller.node_name() else {
            let nameless = caller.is_in("system:nodes");
            let reason =
                if nameless { format!("unknown node for user {:?}", caller.name.as_str()) } else { String::new() };
            return Decision::NoOpinion(reason);
        };
        let On::Resource { group, resource, .. } = question.on else { return self.by_rules(question) };
        let asked = Asked { node, question, source: &self.source };
        match (group, resource) {
            ("", "secrets" | "configmaps") => asked.read_named(),
            ("", "persistentvolumeclaims" | "persistentvolumes") => asked.volume(),
            ("", "serviceaccounts") => asked.account(),
            ("", "nodes") => asked.node_object(),
            ("", "pods") => asked.pod(),
            ("coordination.k8s.io", "leases") => asked.own_by_name("kube-node-lease"),
            ("storage.k8s.io", "csinodes") => asked.own_by_name(""),
            _ => self.by_rules(question),
        }
    }

    /// What is not subdivided by node.
    fn by_rules(&self, question: &Attributes<'_>) -> Decision {
        match self.rules.iter().any(|rule| rule.allows(question)) {
            true => Decision::Allow,
            false => Decision::NoOpinion(String::new()),
        }
    }
}

/// A node's question.
struct Asked<'a> {
    node: &'a str,
    question: &'a Attributes<'a>,
    source: &'a Mutex<Source>,
}

impl Asked<'_> {
    fn parts(&self) -> (&str, &str, &str, &str) {
        match self.question.on {
            On::Resource { resource, subresource, namespace, name, .. } => (resource, subresource, namespace, name),
            On::Path(path) => (path, "", "", ""),
        }
    }

    fn no(&self, why: &str) -> Decision {
        Decision::NoOpinion(format!("{why} (node '{}')", self.node))
    }

    /// Secrets and ConfigMaps: one by one, those that a pod here refers to.
    fn read_named(&self) -> Decision {
        let (_, subresource, namespace, _) = self.parts();
        if !matches!(self.question.verb, "get" | "list" | "watch") {
            return self.no("can only read resources of this type");
        }
        if !subresource.is_empty() {
            return self.no("cannot read subresource");
        }
        if namespace.is_empty() {
            return self.no("can only read namespaced object of this type");
        }
        self.related()
    }

    fn volume(&self) -> Decision {
        let (resource, subresource, _, _) = self.parts();
        let claim_status = resource == "persistentvolumeclaims" && subresource == "status";
        match (self.question.verb, subresource) {
            ("get", "") => self.related(),
            ("get" | "update" | "patch", "status") if claim_status => self.related(),
            _ => self.no("can only get individual resources of this type"),
        }
    }

    /// Service accounts: read, and given tokens, where a pod here runs as one.
    fn account(&self) -> Decision {
        match (self.question.verb, self.parts().1) {
            ("create", "token") | ("get", "") => self.related(),
            _ => self.no("can only get service accounts and create their tokens"),
        }
    }

    fn node_object(&self) -> Decision {
        let (_, subresource, _, name) = self.parts();
        match (self.question.verb, subresource) {
            // Which one it is, NodeRestriction checks at admission, as upstream has it.
            ("create" | "update" | "patch", "") | ("update" | "patch", "status") => Decision::Allow,
            ("get" | "list" | "watch", "") if name == self.node => Decision::Allow,
            ("get" | "list" | "watch", "") if name.is_empty() => {
                Decision::NoOpinion(format!("node '{}' cannot read all nodes, only its own Node object", self.node))
            }
            ("get" | "list" | "watch", "") => {
                Decision::NoOpinion(format!("node '{}' cannot read '{name}', only its own Node object", self.node))
            }
            _ => Decision::NoOpinion(String::new()),
        }
    }

    fn pod(&self) -> Decision {
        let On::Resource { subresource, name, field_selector, .. } = self.question.on else {
            return Decision::NoOpinion(String::new());
        };
        match (self.question.verb, subresource) {
            ("create" | "delete", "") | ("update" | "patch", "status") | ("create", "eviction") => Decision::Allow,
            ("list" | "watch", "") if selects_node(field_selector, self.node) => Decision::Allow,
            ("list" | "watch", "") if name.is_empty() => {
                Decision::NoOpinion("can only list/watch pods with spec.nodeName field selector".into())
            }
            ("get" | "list" | "watch", "") => self.related(),
            _ => Decision::NoOpinion(String::new()),
        }
    }

    /// Leases and CSINodes: those of the node's own name.
    fn own_by_name(&self, only_in: &str) -> Decision {
        let (_, subresource, namespace, name) = self.parts();
        if !matches!(self.question.verb, "get" | "create" | "update" | "patch" | "delete") || !subresource.is_empty() {
            return self.no("can only get, create, update, patch, or delete this type");
        }
        if !only_in.is_empty() && namespace != only_in {
            return self.no(&format!("can only access objects in the {only_in:?} system namespace"));
        }
        // The name of what is created is in the body, which nobody has read yet.
        if self.question.verb != "create" && name != self.node {
            return self.no("can only access an object with the same name as the requesting node");
        }
        Decision::Allow
    }

    fn related(&self) -> Decision {
        let (resource, _, namespace, name) = self.parts();
        if name.is_empty() {
            return Decision::NoOpinion("No Object name found".into());
        }
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        for change in source.feed.pull() {
            source.graph.apply(change);
        }
        if source.graph.is_related(self.node, resource, namespace, name) {
            Decision::Allow
        } else {
            Decision::NoOpinion(format!("no relationship found between node '{}' and this object", self.node))
        }
    }
}

/// Whether a field selector asks for the pods of this node alone.
fn selects_node(selector: &str, node: &str) -> bool {
    FieldSelector::parse(selector).is_ok_and(|selector| selector.required("spec.nodeName") == Some(node))
}
