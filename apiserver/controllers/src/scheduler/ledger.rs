//! What is taken on each node, the pods that were promised a moment ago included.

use super::affinity::{Namespaces, Neighbourhood, Person};
use super::fit::{Amounts, Misfit, Wishes, add, amounts, host_ports, requests};
use super::score::{self, Candidate};
use super::spread::Spread;
use crate::pods::is_active;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use tinyplane_wire::client::Change;
use tinyplane_wire::meta::Meta;

/// Pods by uid, with what they take and where. A pod is noted when it is promised a node, before the cache shows it.
#[derive(Default)]
pub(super) struct Ledger {
    taken: Mutex<HashMap<String, Taken>>,
}

struct Taken {
    person: Person,
    requests: Amounts,
    ports: Vec<(String, i64)>,
    owner: Option<String>,
}

#[derive(Default)]
struct Load {
    requests: Amounts,
    ports: Vec<(String, i64)>,
    pods: i128,
    siblings: usize,
}

impl Ledger {
    pub(super) fn observe(&self, change: &Change) {
        let pod = change.object();
        let mut taken = self.lock();
        match (change, pod["spec"]["nodeName"].as_str()) {
            (Change::Deleted(_), _) => drop(taken.remove(Meta::of(pod).uid())),
            (Change::Applied(..), _) if !counts(pod) => drop(taken.remove(Meta::of(pod).uid())),
            (Change::Applied(..), Some(node)) => {
                drop(taken.insert(Meta::of(pod).uid().to_owned(), Taken::by(pod, node)));
            }
            (Change::Applied(..), None) => {}
        }
    }

    /// Gives back what was promised.
    pub(super) fn release(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// The node that fits best, noted as taken; or why each does not fit.
    pub(super) fn choose(
        &self,
        pod: &Value,
        nodes: &[Arc<Value>],
        namespaces: Namespaces<'_>,
        misfits: &mut BTreeMap<Misfit, usize>,
    ) -> Option<String> {
        let wishes = Wishes::of(pod);
        let mut taken = self.lock();
        let owner = owner_of(pod);
        let loads = loads(&taken, owner.as_deref());
        let by_name: HashMap<&str, &Value> = nodes.iter().map(|node| (Meta::of(node).name(), &**node)).collect();
        let others = || taken.values().map(|one| &one.person);
        let spread = Spread::of(pod, &wishes, nodes, others());
        let neighbours = Neighbourhood::of(&Person::of(pod, ""), others(), &by_name, namespaces);
        let none = Load::default();
        let mut candidates = Vec::new();
        for node in nodes {
            let load = loads.get(Meta::of(node).name()).unwrap_or(&none);
            let misfit = wishes
                .misfit(node)
                .or_else(|| lacks(node, &wishes, load))
                .or_else(|| spread.as_ref().and_then(|spread| spread.uneven(node)).map(Misfit::Spread))
                .or_else(|| neighbours.as_ref().and_then(|n| n.quarrel(node)).map(Misfit::PodAffinity));
            match misfit {
                Some(misfit) => *misfits.entry(misfit).or_default() += 1,
                None => {
                    let there = (load.pods, load.siblings);
                    let (spread, neighbours) = (spread.as_ref(), neighbours.as_ref());
                    candidates.push(Candidate::of(node, &wishes, &load.requests, there, spread, neighbours));
                }
            }
        }
        let node = Meta::of(candidates[score::best(&candidates)?].node).name().to_owned();
        taken.insert(Meta::of(pod).uid().to_owned(), Taken::by(pod, &node));
        Some(node)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Taken>> {
        self.taken.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A pod takes its share until it has ended, while it is being deleted too.
fn counts(pod: &Value) -> bool {
    is_active(pod) || !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

fn owner_of(pod: &Value) -> Option<String> {
    Meta::of(pod).controller()?["uid"].as_str().map(Into::into)
}

impl Taken {
    fn by(pod: &Value, node: &str) -> Self {
        Self { person: Person::of(pod, node), requests: requests(pod), ports: host_ports(pod), owner: owner_of(pod) }
    }
}

fn loads(taken: &HashMap<String, Taken>, owner: Option<&str>) -> HashMap<String, Load> {
    let mut loads: HashMap<String, Load> = HashMap::new();
    for one in taken.values() {
        let load = loads.entry(one.person.node.clone()).or_default();
        add(&mut load.requests, &one.requests);
        load.ports.extend(one.ports.iter().cloned());
        load.pods += 1;
        load.siblings += usize::from(owner.is_some() && one.owner.as_deref() == owner);
    }
    loads
}

fn lacks(node: &Value, wishes: &Wishes, load: &Load) -> Option<Misfit> {
    let allocatable = amounts(&node["status"]["allocatable"]);
    let room = allocatable.get("pods").map_or(i128::MAX, |pods| pods / 1_000);
    if load.pods >= room {
        return Some(Misfit::TooManyPods);
    }
    for (name, wish) in wishes.requests.iter().filter(|(_, wish)| **wish > 0) {
        let free =
            allocatable.get(name).copied().unwrap_or_default() - load.requests.get(name).copied().unwrap_or_default();
        if *wish > free {
            return Some(Misfit::Resource(name.clone()));
        }
    }
    wishes.ports.iter().any(|port| load.ports.contains(port)).then_some(Misfit::Ports)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(name: &str, cpu: &str) -> Arc<Value> {
        Arc::new(
            json!({"metadata": {"name": name}, "spec": {}, "status": {"allocatable": {"cpu": cpu, "pods": "110"}}}),
        )
    }

    fn pod(uid: &str, cpu: &str) -> Value {
        json!({"metadata": {"uid": uid, "ownerReferences": [{"controller": true, "uid": "set"}]},
            "spec": {"containers": [{"resources": {"requests": {"cpu": cpu}}}]}})
    }

    #[test]
    fn promises_count_before_the_cache_shows_them() {
        let (ledger, nodes) = (Ledger::default(), [node("a", "1"), node("b", "1")]);
        let place = |uid: &str, cpu: &str| {
            let (pod, mut misfits) = (pod(uid, cpu), BTreeMap::new());
            (ledger.choose(&pod, &nodes, &|_| None, &mut misfits), misfits)
        };
        let first = place("1", "600m").0.unwrap();
        let second = place("2", "600m").0.unwrap();
        assert_ne!(first, second);
        let (third, misfits) = place("3", "600m");
        assert_eq!((third, misfits), (None, BTreeMap::from([(Misfit::Resource("cpu".into()), 2)])));
        ledger.release("1");
        assert_eq!(place("3", "600m").0, Some(first));
    }
}
