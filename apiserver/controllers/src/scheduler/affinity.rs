//! Pods that want to be near others, or away from them.

use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tinyplane_wire::meta::Meta;
use tinyplane_wire::selector::LabelSelector;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
/// What it counts that a pod which is there requires pods like the new one nearby.
const REQUIRED_WEIGHT: i64 = 1;

/// One wish about other pods: which, and what must be equal for a node to be near.
#[derive(Clone, Debug)]
pub(super) struct Term {
    topology: String,
    selector: Option<LabelSelector>,
    namespaces: Vec<String>,
    namespace_selector: Option<LabelSelector>,
}

/// What a pod wishes about others.
#[derive(Clone, Debug, Default)]
pub(super) struct Wishes {
    near: Vec<Term>,
    away: Vec<Term>,
    /// Preferences with their weights, negative ones for being away.
    preferred: Vec<(i64, Term)>,
}

/// A pod as others see it.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) node: String,
    pub(super) namespace: String,
    pub(super) labels: Value,
    pub(super) is_going: bool,
    pub(super) wishes: Wishes,
}

/// The labels of a namespace.
pub(super) type Namespaces<'a> = &'a dyn Fn(&str) -> Option<Arc<Value>>;

impl Term {
    fn of(term: &Value, own_namespace: &str) -> Self {
        let listed = term["namespaces"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut namespaces: Vec<String> = listed.map(Into::into).collect();
        let namespace_selector = LabelSelector::from_object(&term["namespaceSelector"]).ok().flatten();
        if namespaces.is_empty() && namespace_selector.is_none() {
            namespaces.push(own_namespace.to_owned());
        }
        Self {
            topology: term["topologyKey"].as_str().unwrap_or_default().to_owned(),
            selector: LabelSelector::from_object(&term["labelSelector"]).ok().flatten(),
            namespaces,
            namespace_selector,
        }
    }

    fn means(&self, person: &Person, namespaces: Namespaces<'_>) -> bool {
        let labels = &person.labels;
        let selected = self.selector.as_ref().is_some_and(|s| s.matches(|key| labels[key].as_str()));
        let by_label = || {
            let selector = self.namespace_selector.as_ref();
            selector.is_some_and(|s| s.is_empty() || namespaces(&person.namespace).is_some_and(|n| s.selects(&n)))
        };
        selected && (self.namespaces.contains(&person.namespace) || by_label())
    }
}

impl Wishes {
    pub(super) fn of(pod: &Value) -> Self {
        let affinity = &pod["spec"]["affinity"];
        let own = Meta::of(pod).namespace();
        let required = |kind: &str| -> Vec<Term> {
            let terms = affinity[kind][REQUIRED].as_array().into_iter().flatten();
            terms.map(|term| Term::of(term, own)).collect()
        };
        let preferred = |kind: &str, sign: i64| -> Vec<(i64, Term)> {
            let terms = affinity[kind][PREFERRED].as_array().into_iter().flatten();
            let weight = |term: &Value| sign * term["weight"].as_i64().unwrap_or_default();
            terms.map(|term| (weight(term), Term::of(&term["podAffinityTerm"], own))).collect()
        };
        let mut all = preferred("podAffinity", 1);
        all.extend(preferred("podAntiAffinity", -1));
        Self { near: required("podAffinity"), away: required("podAntiAffinity"), preferred: all }
    }

    fn is_empty(&self) -> bool {
        self.near.is_empty() && self.away.is_empty() && self.preferred.is_empty()
    }
}

impl Person {
    pub(super) fn of(pod: &Value, node: &str) -> Self {
        Self {
            node: node.to_owned(),
            namespace: Meta::of(pod).namespace().to_owned(),
            labels: pod["metadata"]["labels"].clone(),
            is_going: Meta::of(pod).is_deleting(),
            wishes: Wishes::of(pod),
        }
    }
}

/// A topology: a label's key and value.
type Place = (String, String);

/// What the pods that are there mean for one new pod.
pub(super) struct Neighbourhood {
    /// Where pods are that do not want it near.
    unwelcome: HashSet<Place>,
    /// Where pods are that it does not want near.
    avoided: HashSet<Place>,
    /// Where pods are that it wants near, by wish.
    wanted: Vec<(String, HashSet<String>)>,
    /// Nobody whom it wants near is there, and it is such a pod itself: it may be the first.
    may_be_first: bool,
    weights: HashMap<Place, i64>,
}

/// Why a pod does not fit into a neighbourhood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Quarrel {
    Affinity,
    AntiAffinity,
    ExistingAntiAffinity,
}

impl Neighbourhood {
    /// Looks at all pods for one; `None` where nobody wishes anything.
    pub(super) fn of<'a>(
        new: &Person,
        others: impl Iterator<Item = &'a Person>,
        nodes: &HashMap<&str, &Value>,
        namespaces: Namespaces<'_>,
    ) -> Option<Self> {
        let mut found = Self {
            unwelcome: HashSet::new(),
            avoided: HashSet::new(),
            wanted: new.wishes.near.iter().map(|term| (term.topology.clone(), HashSet::new())).collect(),
            may_be_first: false,
            weights: HashMap::new(),
        };
        let mut concerned = !new.wishes.is_empty();
        for other in others {
            if new.wishes.is_empty() && other.wishes.is_empty() {
                continue;
            }
            concerned = true;
            let Some(node) = nodes.get(other.node.as_str()) else { continue };
            found.look_at(new, other, node, namespaces);
        }
        let alone = found.wanted.iter().all(|(_, places)| places.is_empty());
        found.may_be_first = alone && new.wishes.near.iter().all(|term| term.means(new, namespaces));
        concerned.then_some(found)
    }

    fn look_at(&mut self, new: &Person, other: &Person, node: &Value, namespaces: Namespaces<'_>) {
        let labels = &node["metadata"]["labels"];
        let place = |term: &Term| labels[&term.topology].as_str().map(|v| (term.topology.clone(), v.to_owned()));
        let hostile = other.wishes.away.iter().filter(|term| term.means(new, namespaces));
        self.unwelcome.extend(hostile.filter_map(place));
        let disliked = new.wishes.away.iter().filter(|term| term.means(other, namespaces));
        self.avoided.extend(disliked.filter_map(place));
        if !new.wishes.near.is_empty() && new.wishes.near.iter().all(|term| term.means(other, namespaces)) {
            for (key, places) in &mut self.wanted {
                places.extend(labels[key.as_str()].as_str().map(Into::into));
            }
        }
        let own = new.wishes.preferred.iter().filter(|(_, term)| term.means(other, namespaces));
        let theirs = other.wishes.preferred.iter().filter(|(_, term)| term.means(new, namespaces));
        for (weight, term) in own.chain(theirs) {
            if let Some(place) = place(term) {
                *self.weights.entry(place).or_default() += weight;
            }
        }
        for term in other.wishes.near.iter().filter(|term| term.means(new, namespaces)) {
            if let Some(place) = place(term) {
                *self.weights.entry(place).or_default() += REQUIRED_WEIGHT;
            }
        }
    }

    /// Why the pod can't be on a node.
    pub(super) fn quarrel(&self, node: &Value) -> Option<Quarrel> {
        let labels = &node["metadata"]["labels"];
        let near = |(key, places): &(String, HashSet<String>)| match labels[key.as_str()].as_str() {
            Some(here) => self.may_be_first || places.contains(here),
            None => false,
        };
        let is_here = |(key, value): &Place| labels[key.as_str()] == value.as_str();
        if !self.wanted.iter().all(near) {
            return Some(Quarrel::Affinity);
        }
        if self.avoided.iter().any(is_here) {
            return Some(Quarrel::AntiAffinity);
        }
        self.unwelcome.iter().any(is_here).then_some(Quarrel::ExistingAntiAffinity)
    }

    /// How much the pod and those that are there like each other.
    pub(super) fn liking(&self, node: &Value) -> i64 {
        let labels = &node["metadata"]["labels"];
        let here = self.weights.iter().filter(|((key, value), _)| labels[key.as_str()] == value.as_str());
        here.map(|(_, weight)| weight).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(name: &str, zone: &str) -> Value {
        json!({"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "zone": zone}}})
    }

    fn pod(app: &str, affinity: &Value) -> Value {
        json!({"metadata": {"namespace": "n", "labels": {"app": app}}, "spec": {"affinity": affinity}})
    }

    fn wish(kind: &str, app: &str, key: &str) -> Value {
        json!({kind: {REQUIRED: [{"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key}]}})
    }

    fn quarrels(new: &Value, others: &[Person]) -> Vec<Option<Quarrel>> {
        let nodes = [node("a", "x"), node("b", "x"), node("c", "y")];
        let by_name: HashMap<&str, &Value> = nodes.iter().map(|node| (Meta::of(node).name(), node)).collect();
        let found = Neighbourhood::of(&Person::of(new, ""), others.iter(), &by_name, &|_| None);
        nodes.iter().map(|node| found.as_ref().and_then(|found| found.quarrel(node))).collect()
    }

    #[test]
    fn anti_affinity_holds_from_both_sides() {
        let away = wish("podAntiAffinity", "web", "kubernetes.io/hostname");
        let there = [Person::of(&pod("web", &json!({})), "a")];
        assert_eq!(quarrels(&pod("web", &away), &there), [Some(Quarrel::AntiAffinity), None, None]);
        let hostile = [Person::of(&pod("db", &wish("podAntiAffinity", "web", "zone")), "a")];
        let told = quarrels(&pod("web", &json!({})), &hostile);
        assert_eq!(told, [Some(Quarrel::ExistingAntiAffinity), Some(Quarrel::ExistingAntiAffinity), None]);
    }

    #[test]
    fn affinity_follows_and_the_first_of_its_kind_may_be_anywhere() {
        let near = wish("podAffinity", "web", "zone");
        let there = [Person::of(&pod("web", &json!({})), "c")];
        assert_eq!(quarrels(&pod("db", &near), &there), [Some(Quarrel::Affinity), Some(Quarrel::Affinity), None]);
        assert_eq!(quarrels(&pod("db", &near), &[]), [Some(Quarrel::Affinity); 3]);
        assert_eq!(quarrels(&pod("web", &near), &[]), [None; 3]);
    }
}
