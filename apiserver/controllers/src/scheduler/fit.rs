//! Whether a pod fits a node: readiness, selectors, taints, resources, ports.

use super::affinity::Quarrel;
use super::spread::Uneven;
use crate::quantity::thousandths;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use tinyplane_wire::meta::pairs;
use tinyplane_wire::selector::{LabelSelector, Requirement, expression_requirement};

/// Amounts by resource name, in thousandths.
pub(crate) type Amounts = BTreeMap<String, i128>;

/// Why a pod does not fit a node, in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Misfit {
    Unschedulable,
    Affinity,
    Taint(String, String),
    Resource(String),
    TooManyPods,
    Ports,
    PodAffinity(Quarrel),
    Spread(Uneven),
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unschedulable => f.write_str("node(s) were unschedulable"),
            Self::Affinity => f.write_str("node(s) didn't match Pod's node affinity/selector"),
            Self::Taint(key, value) => write!(f, "node(s) had untolerated taint(s) {{{key}: {value}}}"),
            Self::Resource(name) => write!(f, "Insufficient {name}"),
            Self::TooManyPods => f.write_str("Too many pods"),
            Self::PodAffinity(Quarrel::Affinity) => f.write_str("node(s) didn't match pod affinity rules"),
            Self::PodAffinity(Quarrel::AntiAffinity) => f.write_str("node(s) didn't match pod anti-affinity rules"),
            Self::PodAffinity(Quarrel::ExistingAntiAffinity) => {
                f.write_str("node(s) didn't satisfy existing pods anti-affinity rules")
            }
            Self::Spread(Uneven::Skew) => f.write_str("node(s) didn't match pod topology spread constraints"),
            Self::Spread(Uneven::NoLabel) => {
                f.write_str("node(s) didn't match pod topology spread constraints (missing required label)")
            }
            Self::Ports => f.write_str("node(s) didn't have free ports for the requested pod ports"),
        }
    }
}

/// What a pod asks of its node.
pub(super) struct Wishes {
    pub(super) requests: Amounts,
    pub(super) ports: Vec<(String, i64)>,
    pub(super) node: NodeWish,
    tolerations: Vec<Value>,
    /// Preferred terms of node affinity with their weights.
    preferred: Vec<(i64, Term)>,
}

/// Which labels and name a pod wishes of its node.
pub(super) struct NodeWish {
    selector: LabelSelector,
    /// Terms of which one must hold.
    terms: Option<Vec<Term>>,
}

/// A term of node affinity: requirements on labels and on fields.
pub(super) struct Term {
    by_label: Vec<Requirement>,
    by_field: Vec<Requirement>,
}

impl Term {
    pub(super) fn of(term: &Value) -> Self {
        let read = |list: &Value| {
            list.as_array().into_iter().flatten().filter_map(|e| expression_requirement(e).ok()).collect::<Vec<_>>()
        };
        Self { by_label: read(&term["matchExpressions"]), by_field: read(&term["matchFields"]) }
    }

    /// Whether a node is as the term says; an empty one says nothing, and matches none.
    pub(super) fn matches(&self, node: &Value) -> bool {
        let (labels, name) = (&node["metadata"]["labels"], node["metadata"]["name"].as_str());
        (!self.by_label.is_empty() || !self.by_field.is_empty())
            && self.by_label.iter().all(|r| r.matches(&|key: &str| labels[key].as_str()))
            && self.by_field.iter().all(|r| r.matches(&|key: &str| name.filter(|_| key == "metadata.name")))
    }
}

impl NodeWish {
    pub(super) fn of(spec: &Value) -> Self {
        let required = &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
        let terms = required["nodeSelectorTerms"].as_array();
        Self {
            selector: LabelSelector::from_map(&spec["nodeSelector"]),
            terms: terms.map(|terms| terms.iter().map(Term::of).collect()),
        }
    }

    pub(super) fn allows(&self, node: &Value) -> bool {
        self.selector.selects(node)
            && self.terms.as_ref().is_none_or(|terms| terms.iter().any(|term| term.matches(node)))
    }
}

impl Wishes {
    pub(super) fn of(pod: &Value) -> Self {
        let spec = &pod["spec"];
        let preferred = &spec["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"];
        Self {
            requests: requests(pod),
            ports: host_ports(pod),
            node: NodeWish::of(spec),
            tolerations: spec["tolerations"].as_array().cloned().unwrap_or_default(),
            preferred: preferred
                .as_array()
                .into_iter()
                .flatten()
                .map(|one| (one["weight"].as_i64().unwrap_or_default(), Term::of(&one["preference"])))
                .collect(),
        }
    }

    /// The first reason against a node that does not depend on what runs there.
    pub(super) fn misfit(&self, node: &Value) -> Option<Misfit> {
        if node["spec"]["unschedulable"].as_bool() == Some(true) && !self.tolerates(&UNSCHEDULABLE.taint()) {
            return Some(Misfit::Unschedulable);
        }
        if !self.node.allows(node) {
            return Some(Misfit::Affinity);
        }
        self.repelling(node).map(|taint| Misfit::Taint(text(taint, "key"), text(taint, "value")))
    }

    fn repelling<'a>(&self, node: &'a Value) -> Option<&'a Value> {
        let mut taints = node["spec"]["taints"].as_array().into_iter().flatten();
        taints.find(|taint| taint["effect"] != "PreferNoSchedule" && !self.tolerates(taint))
    }

    /// Whether no taint of a node keeps the pod away.
    pub(super) fn bears_taints_of(&self, node: &Value) -> bool {
        self.repelling(node).is_none()
    }

    /// How much the pod likes a node's labels.
    pub(super) fn preference(&self, node: &Value) -> i64 {
        self.preferred.iter().filter(|(_, term)| term.matches(node)).map(|(weight, _)| weight).sum()
    }

    fn tolerates(&self, taint: &Value) -> bool {
        self.tolerations.iter().any(|toleration| tolerates(toleration, taint))
    }

    /// How many taints that only ask to stay away are not tolerated.
    pub(super) fn unwelcome(&self, node: &Value) -> usize {
        let taints = node["spec"]["taints"].as_array().into_iter().flatten();
        taints.filter(|taint| taint["effect"] == "PreferNoSchedule" && !self.tolerates(taint)).count()
    }
}

/// Whether a node's labels and name are those that a pod's spec wishes.
pub(crate) fn node_matches(spec: &Value, node: &Value) -> bool {
    NodeWish::of(spec).allows(node)
}

/// True when a toleration is for a taint.
pub(crate) fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let effect = toleration["effect"].as_str().unwrap_or_default();
    if !effect.is_empty() && taint["effect"] != effect {
        return false;
    }
    let key = toleration["key"].as_str().unwrap_or_default();
    if !key.is_empty() && taint["key"] != key {
        return false;
    }
    match toleration["operator"].as_str() {
        Some("Exists") => true,
        None | Some("" | "Equal") => !key.is_empty() && text(toleration, "value") == text(taint, "value"),
        Some(_) => false,
    }
}

struct FixedTaint(&'static str);
const UNSCHEDULABLE: FixedTaint = FixedTaint("node.kubernetes.io/unschedulable");

impl FixedTaint {
    fn taint(&self) -> Value {
        serde_json::json!({"key": self.0, "effect": "NoSchedule"})
    }
}

fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_default().to_owned()
}

/// What a pod's containers ask for together: the sum of those that run together, or the largest init container.
pub(super) fn requests(pod: &Value) -> Amounts {
    pod_amounts(pod, "requests")
}

/// `requests`, or `limits`, of a pod.
pub(crate) fn pod_amounts(pod: &Value, field: &str) -> Amounts {
    let spec = &pod["spec"];
    let of = |container: &Value| amounts(&container["resources"][field]);
    let mut together = Amounts::new();
    for container in spec["containers"].as_array().into_iter().flatten() {
        add(&mut together, &of(container));
    }
    let (mut sidecars, mut largest) = (Amounts::new(), Amounts::new());
    for container in spec["initContainers"].as_array().into_iter().flatten() {
        let mut needed = of(container);
        if container["restartPolicy"] == "Always" {
            add(&mut together, &needed);
            add(&mut sidecars, &needed);
            needed.clone_from(&sidecars);
        } else {
            add(&mut needed, &sidecars);
        }
        for (name, amount) in needed {
            let most = largest.entry(name).or_default();
            *most = (*most).max(amount);
        }
    }
    for (name, amount) in largest {
        let sum = together.entry(name).or_default();
        *sum = (*sum).max(amount);
    }
    if field == "requests" || !together.is_empty() {
        add(&mut together, &amounts(&spec["overhead"]));
    }
    together
}

pub(super) fn amounts(map: &Value) -> Amounts {
    pairs(map).filter_map(|(name, amount)| Some((name.to_owned(), thousandths(amount)?))).collect()
}

pub(super) fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        *sum.entry(name.clone()).or_default() += amount;
    }
}

/// The ports that a pod takes on its node.
pub(super) fn host_ports(pod: &Value) -> Vec<(String, i64)> {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    containers
        .flat_map(|container| container["ports"].as_array().into_iter().flatten())
        .filter_map(|port| Some((port["protocol"].as_str().unwrap_or("TCP").to_owned(), port["hostPort"].as_i64()?)))
        .filter(|(_, port)| *port > 0)
        .collect()
}

/// True when nothing that matters for scheduling differs between two states of a node.
pub(super) fn same_for_scheduling(a: &Value, b: &Value) -> bool {
    a["spec"] == b["spec"]
        && a["metadata"]["labels"] == b["metadata"]["labels"]
        && a["status"]["allocatable"] == b["status"]["allocatable"]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn init_containers_count_by_their_largest_and_sidecars_by_their_sum() {
        let pod = json!({"spec": {
            "initContainers": [
                {"restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}},
                {"resources": {"requests": {"cpu": "2"}}},
            ],
            "containers": [{"resources": {"requests": {"cpu": "500m"}}}, {"resources": {"requests": {"cpu": "500m"}}}],
        }});
        assert_eq!(requests(&pod)["cpu"], 2_100);
    }

    #[test]
    fn taints_keep_pods_away_unless_they_are_tolerated() {
        let node = json!({"metadata": {"labels": {"zone": "a"}}, "spec": {"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}});
        let pod = |tolerations: Value| json!({"spec": {"containers": [], "tolerations": tolerations}});
        let misfit = |tolerations| Wishes::of(&pod(tolerations)).misfit(&node);
        assert_eq!(misfit(json!([])), Some(Misfit::Taint("gpu".into(), "yes".into())));
        assert_eq!(misfit(json!([{"key": "gpu", "operator": "Exists"}])), None);
        assert_eq!(misfit(json!([{"key": "gpu", "value": "yes", "effect": "NoSchedule"}])), None);
        assert!(misfit(json!([{"key": "gpu", "value": "no"}])).is_some());
        assert_eq!(misfit(json!([{"operator": "Exists"}])), None);
    }

    #[test]
    fn affinity_terms_are_alternatives() {
        let node = json!({"metadata": {"name": "n1", "labels": {"zone": "a"}}, "spec": {}});
        let wish = |terms: Value| {
            let pod = json!({"spec": {"containers": [], "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}}});
            Wishes::of(&pod).misfit(&node)
        };
        let zone = |z: &str| json!({"matchExpressions": [{"key": "zone", "operator": "In", "values": [z]}]});
        assert_eq!(wish(json!([zone("b"), zone("a")])), None);
        assert_eq!(wish(json!([zone("b")])), Some(Misfit::Affinity));
        assert_eq!(
            wish(json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}])),
            None
        );
    }
}
