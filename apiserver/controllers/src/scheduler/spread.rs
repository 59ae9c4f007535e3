//! Topology spread: pods of a kind evenly over zones, nodes, or whatever a label tells apart.

use super::affinity::Person;
use super::fit::{NodeWish, Wishes};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use tinyplane_wire::meta::Meta;
use tinyplane_wire::selector::LabelSelector;

/// One wish to be spread.
struct Constraint {
    key: String,
    max_skew: i64,
    selector: LabelSelector,
    min_domains: i64,
    is_hard: bool,
    /// Whether nodes on which the pod can't be for their labels or taints are left out.
    honors_affinity: bool,
    honors_taints: bool,
}

/// The constraints of a pod, with how many of its kind are where.
pub(super) struct Spread {
    counted: Vec<(Constraint, HashMap<String, i64>, bool)>,
}

/// Why a node would make the pods uneven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Uneven {
    NoLabel,
    Skew,
}

fn constraints(pod: &Value) -> Vec<Constraint> {
    let read = |one: &Value| {
        let mut selector = one["labelSelector"].clone();
        for key in one["matchLabelKeys"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if let Some(value) = Meta::of(pod).label(key) {
                selector["matchLabels"][key] = value.into();
            }
        }
        Some(Constraint {
            key: one["topologyKey"].as_str()?.to_owned(),
            max_skew: one["maxSkew"].as_i64().unwrap_or(1),
            selector: LabelSelector::from_object(&selector).ok().flatten()?,
            min_domains: one["minDomains"].as_i64().unwrap_or(1),
            is_hard: one["whenUnsatisfiable"] != "ScheduleAnyway",
            honors_affinity: one["nodeAffinityPolicy"] != "Ignore",
            honors_taints: one["nodeTaintsPolicy"] == "Honor",
        })
    };
    pod["spec"]["topologySpreadConstraints"].as_array().into_iter().flatten().filter_map(read).collect()
}

impl Spread {
    /// Counts for a pod; `None` where it wishes nothing.
    pub(super) fn of<'a>(
        pod: &Value,
        wishes: &Wishes,
        nodes: &[Arc<Value>],
        others: impl Iterator<Item = &'a Person>,
    ) -> Option<Self> {
        let constraints = constraints(pod);
        if constraints.is_empty() {
            return None;
        }
        let wish = NodeWish::of(&pod["spec"]);
        let hard_keys: Vec<String> = constraints.iter().filter(|c| c.is_hard).map(|c| c.key.clone()).collect();
        let mut by_node: HashMap<&str, &Value> = HashMap::new();
        let mut counted: Vec<(Constraint, HashMap<String, i64>, bool)> = constraints
            .into_iter()
            .map(|constraint| {
                let self_matches = constraint.selector.selects(pod);
                (constraint, HashMap::new(), self_matches)
            })
            .collect();
        for node in nodes {
            let labels = &node["metadata"]["labels"];
            if !hard_keys.iter().all(|key| labels[key].is_string()) {
                continue;
            }
            by_node.insert(Meta::of(node).name(), node);
            for (constraint, counts, _) in &mut counted {
                if let Some(domain) =
                    labels[&constraint.key].as_str().filter(|_| constraint.counts(node, &wish, wishes))
                {
                    counts.entry(domain.to_owned()).or_default();
                }
            }
        }
        for other in others.filter(|other| !other.is_going && other.namespace == Meta::of(pod).namespace()) {
            let Some(node) = by_node.get(other.node.as_str()) else { continue };
            for (constraint, counts, _) in &mut counted {
                let domain = node["metadata"]["labels"][&constraint.key].as_str();
                let same = constraint.selector.matches(|key| other.labels[key].as_str());
                if let Some(count) = domain.filter(|_| same).and_then(|domain| counts.get_mut(domain)) {
                    *count += i64::from(constraint.counts(node, &wish, wishes));
                }
            }
        }
        Some(Self { counted })
    }

    /// Why the pod can't be on a node.
    pub(super) fn uneven(&self, node: &Value) -> Option<Uneven> {
        for (constraint, counts, self_matches) in self.counted.iter().filter(|(c, ..)| c.is_hard) {
            let Some(domain) = node["metadata"]["labels"][&constraint.key].as_str() else {
                return Some(Uneven::NoLabel);
            };
            let domains = i64::try_from(counts.len()).unwrap_or(i64::MAX);
            let least = if domains < constraint.min_domains { 0 } else { counts.values().copied().min().unwrap_or(0) };
            let here = counts.get(domain).copied().unwrap_or_default() + i64::from(*self_matches);
            if here - least > constraint.max_skew {
                return Some(Uneven::Skew);
            }
        }
        None
    }

    /// How crowded a node's domains are by the soft constraints: the lower the better.
    #[expect(clippy::cast_precision_loss, reason = "counts are compared, not kept")]
    pub(super) fn crowd(&self, node: &Value) -> f64 {
        let soft = self.counted.iter().filter(|(constraint, ..)| !constraint.is_hard);
        soft.map(|(constraint, counts, _)| {
            let domain = node["metadata"]["labels"][&constraint.key].as_str().unwrap_or_default();
            let here = counts.get(domain).copied().unwrap_or_default();
            here as f64 * ((counts.len() + 2) as f64).ln() + (constraint.max_skew - 1) as f64
        })
        .sum()
    }

    /// Whether there is a constraint that only orders the nodes.
    pub(super) fn is_soft(&self) -> bool {
        self.counted.iter().any(|(constraint, ..)| !constraint.is_hard)
    }
}

impl Constraint {
    fn counts(&self, node: &Value, wish: &NodeWish, wishes: &Wishes) -> bool {
        (!self.honors_affinity || wish.allows(node)) && (!self.honors_taints || wishes.bears_taints_of(node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_domain_may_not_be_ahead_by_more_than_the_skew() {
        let pod = json!({
            "metadata": {"namespace": "n", "labels": {"app": "web"}},
            "spec": {"containers": [], "topologySpreadConstraints": [{
                "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"app": "web"}},
            }]},
        });
        let node =
            |name: &str, labels: Value| Arc::new(json!({"metadata": {"name": name, "labels": labels}, "spec": {}}));
        let nodes = [node("a", json!({"zone": "x"})), node("b", json!({"zone": "y"})), node("c", json!({}))];
        let told = |others: &[Person]| -> Vec<Option<Uneven>> {
            let spread = Spread::of(&pod, &Wishes::of(&pod), &nodes, others.iter()).unwrap();
            nodes.iter().map(|node| spread.uneven(node)).collect()
        };
        assert_eq!(told(&[]), [None, None, Some(Uneven::NoLabel)]);
        let one = Person::of(&pod, "a");
        assert_eq!(told(std::slice::from_ref(&one)), [Some(Uneven::Skew), None, Some(Uneven::NoLabel)]);
        let two = Person::of(&pod, "b");
        assert_eq!(told(&[one, two]), [None, None, Some(Uneven::NoLabel)]);
    }
}
