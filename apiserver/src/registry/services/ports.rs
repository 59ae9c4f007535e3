//! Node ports: which are taken is read from the stored Services, and from those that are about to be written.

use crate::store::contract::{Range, Store};
use crate::store::watchers::Watcher;
use crate::validation::Errors;
use rand::Rng;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use tinyplane_wire::meta::Meta;
use tinyplane_wire::status::{self, Status};

const FOLDER: &str = "/core/services/";
/// How many random ports are tried before they are gone through in order.
const GUESSES: usize = 16;

/// A port of a protocol.
type Port = (u16, String);

/// Who has which node port. Rebuilt from the store when it is first asked, then kept in step with it.
pub struct NodePorts {
    store: Arc<dyn Store>,
    range: RangeInclusive<u16>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    watcher: Option<Watcher>,
    /// The ports of each stored Service, by its key.
    stored: HashMap<String, BTreeSet<Port>>,
    /// The ports of Services that are about to be written.
    reserved: BTreeSet<Port>,
}

/// Ports of a Service that is about to be written. Free again when dropped, unless the store has the Service by then.
pub(super) struct Reserved {
    state: Arc<Mutex<State>>,
    ports: Vec<Port>,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for port in &self.ports {
            state.reserved.remove(port);
        }
    }
}

impl NodePorts {
    /// The ports of the Services in a store.
    pub(in crate::registry) fn new(store: Arc<dyn Store>, range: RangeInclusive<u16>) -> Self {
        Self { store, range, state: Arc::default() }
    }

    /// Gives the ports of a Service node ports, where its type wants them. What an update kept stays.
    pub(super) fn allocate(&self, service: &mut Value, old: Option<&Value>) -> status::Result<Option<Reserved>> {
        let wants = match service["spec"]["type"].as_str() {
            Some("NodePort") => true,
            Some("LoadBalancer") => service["spec"]["allocateLoadBalancerNodePorts"] != false,
            _ => false,
        };
        let name = Meta::of(service).name().to_owned();
        let own = old.map(ports_of).unwrap_or_default();
        let health = service["spec"]["type"] == "LoadBalancer" && service["spec"]["externalTrafficPolicy"] == "Local";
        if !wants && !health && ports_of(service).is_empty() {
            return Ok(None);
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.catch_up(&mut state);
        let mut reserved = Reserved { state: self.state.clone(), ports: Vec::new() };
        let mut errors = Errors::default();
        let mut shared: HashMap<u16, u16> = HashMap::new();
        for (at, port) in
            service.pointer_mut("/spec/ports").and_then(Value::as_array_mut).into_iter().flatten().enumerate()
        {
            let protocol = port["protocol"].as_str().unwrap_or("TCP").to_owned();
            let asked = port["nodePort"].as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
            let path = format!("spec.ports[{at}].nodePort");
            let taken = |state: &State, one: &Port| !own.contains(one) && state.is_taken(one);
            let given = match asked {
                Some(asked) if own.contains(&(asked, protocol.clone())) => Some(asked),
                Some(asked) if !self.range.contains(&asked) => {
                    let (low, high) = (self.range.start(), self.range.end());
                    let why =
                        format!("provided port is not in the valid range. The range of valid ports is {low}-{high}");
                    errors.invalid(path, &json!(asked), &why);
                    None
                }
                Some(asked) if taken(&state, &(asked, protocol.clone())) => {
                    errors.invalid(path, &json!(asked), "provided port is already allocated");
                    None
                }
                Some(asked) => Some(asked),
                // The same port number of another protocol of the same Service gets the same node port, if it can.
                None if wants => {
                    let number = port["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or_default();
                    let twin = shared.get(&number).copied().filter(|twin| !taken(&state, &(*twin, protocol.clone())));
                    let found = twin.or_else(|| self.free(&state, &protocol));
                    if found.is_none() {
                        drop(state);
                        drop(reserved);
                        return Err(Status::internal("failed to allocate a nodePort: range is full"));
                    }
                    found
                }
                None => None,
            };
            if let Some(given) = given {
                port["nodePort"] = json!(given);
                let number = port["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or_default();
                shared.insert(number, given);
                if state.reserved.insert((given, protocol.clone())) {
                    reserved.ports.push((given, protocol));
                }
            }
        }
        if health
            && service["spec"]["healthCheckNodePort"].as_u64().is_none_or(|port| port == 0)
            && let Some(port) = self.free(&state, "TCP")
        {
            service["spec"]["healthCheckNodePort"] = json!(port);
            state.reserved.insert((port, "TCP".into()));
            reserved.ports.push((port, "TCP".into()));
        }
        drop(state);
        let causes = errors.into_causes();
        if causes.is_empty() { Ok(Some(reserved)) } else { Err(Status::invalid("", "Service", &name, causes)) }
    }

    fn free(&self, state: &State, protocol: &str) -> Option<u16> {
        let is_free = |port: &u16| !state.is_taken(&(*port, protocol.to_owned()));
        let mut guesses = (0..GUESSES).map(|_| rand::rng().random_range(self.range.clone()));
        guesses.find(|port| is_free(port)).or_else(|| self.range.clone().find(|port| is_free(port)))
    }

    /// Takes in which Services came, changed and went.
    fn catch_up(&self, state: &mut State) {
        loop {
            let Some(watcher) = &mut state.watcher else {
                let snapshot = self.store.snapshot();
                state.stored.clear();
                for entry in snapshot.range(&Range::under(FOLDER), None) {
                    state.note(&entry.key, Some(&entry.bytes()));
                }
                state.watcher = self.store.watch(Range::under(FOLDER), snapshot.revision()).ok();
                if state.watcher.is_none() {
                    return;
                }
                continue;
            };
            match watcher.ready() {
                Ok(None) => return,
                Ok(Some(batch)) => {
                    for event in batch.events.iter() {
                        let gone = event.kind == crate::store::contract::EventKind::Deleted;
                        state.note(&event.entry.key, (!gone).then(|| event.entry.bytes()).as_ref());
                    }
                }
                Err(_) => state.watcher = None,
            }
        }
    }
}

impl State {
    fn is_taken(&self, port: &Port) -> bool {
        self.reserved.contains(port) || self.stored.values().any(|ports| ports.contains(port))
    }

    fn note(&mut self, key: &str, bytes: Option<&bytes::Bytes>) {
        let service = bytes.and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok());
        let ports = service.as_ref().map(ports_of).unwrap_or_default();
        if ports.is_empty() {
            self.stored.remove(key);
        } else {
            self.stored.insert(key.to_owned(), ports);
        }
    }
}

/// The node ports that a Service has.
fn ports_of(service: &Value) -> BTreeSet<Port> {
    let number = |value: &Value| value.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let mut found: BTreeSet<Port> = ports
        .filter_map(|port| Some((number(&port["nodePort"])?, port["protocol"].as_str().unwrap_or("TCP").to_owned())))
        .collect();
    found.extend(number(&service["spec"]["healthCheckNodePort"]).map(|port| (port, "TCP".to_owned())));
    found
}
