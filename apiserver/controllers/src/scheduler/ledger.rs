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

/// What each pod takes and where. A pod is noted when it is promised a node, before the cache shows it.
#[derive(Default)]
pub(super) struct Ledger {
    book: Mutex<Book>,
}

/// Kept up with every change, so that a choice counts nothing anew.
#[derive(Default)]
struct Book {
    /// By uid.
    pods: HashMap<String, Taken>,
    /// By node.
    loads: HashMap<String, Load>,
    /// By node.
    rooms: HashMap<String, Room>,
}

struct Taken {
    person: Person,
    requests: Amounts,
    ports: Vec<(String, i64)>,
    owner: Option<String>,
}

/// What is taken on a node in all.
#[derive(Default)]
struct Load {
    requests: Amounts,
    ports: Vec<(String, i64)>,
    pods: i128,
    owners: HashMap<String, usize>,
}

/// What a node has to give, as one version of it says.
struct Room {
    version: String,
    allocatable: Arc<Amounts>,
}

impl Ledger {
    pub(super) fn observe(&self, change: &Change) {
        let pod = change.object();
        let uid = Meta::of(pod).uid();
        let mut book = self.lock();
        match (change, pod["spec"]["nodeName"].as_str()) {
            (Change::Deleted(_), _) => book.strike(uid),
            (Change::Applied(..), _) if !counts(pod) => book.strike(uid),
            (Change::Applied(..), Some(node)) => book.note(uid, Taken::by(pod, node)),
            (Change::Applied(..), None) => {}
        }
    }

    /// Gives back what was promised.
    pub(super) fn release(&self, uid: &str) {
        self.lock().strike(uid);
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
        let owner = owner_of(pod);
        let by_name: HashMap<&str, &Value> = nodes.iter().map(|node| (Meta::of(node).name(), &**node)).collect();
        let mut book = self.lock();
        book.rooms.retain(|node, _| by_name.contains_key(node.as_str()));
        let rooms: Vec<Arc<Amounts>> = nodes.iter().map(|node| book.room(node)).collect();
        let others = || book.pods.values().map(|one| &one.person);
        let spread = Spread::of(pod, &wishes, nodes, others());
        let neighbours = Neighbourhood::of(&Person::of(pod, ""), others(), &by_name, namespaces);
        let none = Load::default();
        let mut candidates = Vec::new();
        for (node, room) in nodes.iter().zip(&rooms) {
            let load = book.loads.get(Meta::of(node).name()).unwrap_or(&none);
            let misfit = wishes
                .misfit(node)
                .or_else(|| lacks(room, &wishes, load))
                .or_else(|| spread.as_ref().and_then(|spread| spread.uneven(node)).map(Misfit::Spread))
                .or_else(|| neighbours.as_ref().and_then(|n| n.quarrel(node)).map(Misfit::PodAffinity));
            match misfit {
                Some(misfit) => *misfits.entry(misfit).or_default() += 1,
                None => {
                    let siblings = owner.as_ref().and_then(|owner| load.owners.get(owner)).copied().unwrap_or_default();
                    let there = (load.pods, siblings);
                    let (spread, neighbours) = (spread.as_ref(), neighbours.as_ref());
                    candidates.push(Candidate::of(node, &wishes, (room, &load.requests), there, spread, neighbours));
                }
            }
        }
        let node = Meta::of(candidates[score::best(&candidates)?].node).name().to_owned();
        book.note(Meta::of(pod).uid(), Taken::by(pod, &node));
        Some(node)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Book {
    fn note(&mut self, uid: &str, taken: Taken) {
        self.strike(uid);
        self.loads.entry(taken.person.node.clone()).or_default().take(&taken);
        self.pods.insert(uid.to_owned(), taken);
    }

    fn strike(&mut self, uid: &str) {
        let Some(taken) = self.pods.remove(uid) else { return };
        let Some(load) = self.loads.get_mut(&taken.person.node) else { return };
        load.give_back(&taken);
        if load.pods == 0 {
            self.loads.remove(&taken.person.node);
        }
    }

    fn room(&mut self, node: &Value) -> Arc<Amounts> {
        let (name, version) = (Meta::of(node).name(), Meta::of(node).resource_version());
        match self.rooms.get(name) {
            Some(room) if room.version == version => Arc::clone(&room.allocatable),
            _ => {
                let allocatable = Arc::new(amounts(&node["status"]["allocatable"]));
                let room = Room { version: version.to_owned(), allocatable: Arc::clone(&allocatable) };
                self.rooms.insert(name.to_owned(), room);
                allocatable
            }
        }
    }
}

impl Load {
    fn take(&mut self, taken: &Taken) {
        add(&mut self.requests, &taken.requests);
        self.ports.extend(taken.ports.iter().cloned());
        self.pods += 1;
        if let Some(owner) = &taken.owner {
            *self.owners.entry(owner.clone()).or_default() += 1;
        }
    }

    fn give_back(&mut self, taken: &Taken) {
        for (name, amount) in &taken.requests {
            *self.requests.entry(name.clone()).or_default() -= amount;
        }
        for port in &taken.ports {
            if let Some(at) = self.ports.iter().position(|held| held == port) {
                self.ports.swap_remove(at);
            }
        }
        self.pods -= 1;
        if let Some(left) = taken.owner.as_ref().and_then(|owner| self.owners.get_mut(owner)) {
            *left -= 1;
        }
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

fn lacks(allocatable: &Amounts, wishes: &Wishes, load: &Load) -> Option<Misfit> {
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
        for uid in ["2", "3"] {
            ledger.release(uid);
        }
        assert!(ledger.lock().loads.is_empty(), "who is gone takes nothing");
    }
}
