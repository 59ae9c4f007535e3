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
use tinyplane_wire::status::{self, Reason, Status};

const FOLDER: &str = "/core/services/";
/// The port behind which a dry run finds free ones.
const DRY_RUN_BEFORE: i64 = 32_768;
/// How many random ports are tried before they are gone through in order.
const GUESSES: usize = 16;

/// Ports that no other Service may have, of whichever protocol. Wide enough for what a body may say of one.
type Ports = BTreeSet<i64>;

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
    stored: HashMap<String, Ports>,
    /// The ports of Services that are about to be written.
    reserved: Ports,
}

/// Ports of a Service that is about to be written. Free again when dropped, unless the store has the Service by then.
pub(super) struct Reserved {
    state: Arc<Mutex<State>>,
    ports: Ports,
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
    pub(super) fn allocate(
        &self,
        service: &mut Value,
        old: Option<&Value>,
        dry_run: bool,
    ) -> status::Result<Option<Reserved>> {
        if !may_have_any(service) {
            return Ok(None);
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.catch_up(&mut state);
        let mut taking = Taking { state: &mut state, range: &self.range, dry_run, taken: Ports::new() };
        let mut given = match old {
            None => give_new(service, &mut taking),
            Some(old) => give_more(service, old, &mut taking),
        };
        if given.is_ok() && is_asked(service) && !old.is_some_and(is_asked) {
            given = give_health(service, &mut taking);
        }
        let ports = if dry_run { Ports::new() } else { taking.taken };
        drop(state);
        let reserved = Reserved { state: self.state.clone(), ports };
        given.map(|()| Some(reserved))
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
    fn is_taken(&self, port: i64) -> bool {
        self.reserved.contains(&port) || self.stored.values().any(|ports| ports.contains(&port))
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

/// What one request takes. A dry run takes nothing, and as upstream's is given ports that need not be there.
struct Taking<'a> {
    state: &'a mut State,
    range: &'a RangeInclusive<u16>,
    dry_run: bool,
    taken: Ports,
}

impl Taking<'_> {
    /// Takes the port that was asked for, or says why it can't be had.
    fn named(&mut self, port: i64) -> Result<(), String> {
        let in_range = u16::try_from(port).is_ok_and(|port| self.range.contains(&port));
        if !in_range && !self.dry_run {
            let (low, high) = (self.range.start(), self.range.end());
            return Err(format!("provided port is not in the valid range. The range of valid ports is {low}-{high}"));
        }
        if self.state.is_taken(port) || (self.dry_run && self.taken.contains(&port)) {
            return Err("provided port is already allocated".to_owned());
        }
        self.note(port);
        Ok(())
    }

    /// Takes any port.
    fn any(&mut self) -> Result<i64, &'static str> {
        let port = if self.dry_run {
            self.taken.last().map_or(DRY_RUN_BEFORE, |last| *last.max(&0)) + 1
        } else {
            let is_free = |port: &u16| !self.state.is_taken(i64::from(*port));
            let mut guesses = (0..GUESSES).map(|_| rand::rng().random_range(self.range.clone()));
            let found = guesses.find(|port| is_free(port)).or_else(|| self.range.clone().find(|port| is_free(port)));
            i64::from(found.ok_or("range is full")?)
        };
        self.note(port);
        Ok(port)
    }

    fn note(&mut self, port: i64) {
        if !self.dry_run {
            self.state.reserved.insert(port);
        }
        self.taken.insert(port);
    }
}

/// Ports of a new Service. The same port number of another protocol gets the same node port, if none is asked for.
fn give_new(service: &mut Value, taking: &mut Taking<'_>) -> status::Result<()> {
    let (wants, name) = (wants_any(service), Meta::of(service).name().to_owned());
    let ports = ports_mut(service);
    let mut given: HashMap<i64, i64> = HashMap::new();
    let said = ports.iter().rev().map(|port| (integer(&port["port"]), integer(&port["nodePort"])));
    // The first that is asked for behind each number: there may be as many ports as a body has room for.
    let said: HashMap<i64, i64> = said.filter(|(_, asked)| *asked != 0).collect();
    for (at, one) in ports.iter_mut().enumerate() {
        let (number, asked) = (integer(&one["port"]), integer(&one["nodePort"]));
        if asked == 0 && !wants {
            continue;
        }
        let port = match given.get(&number) {
            Some(twin) if asked == 0 || asked == *twin => *twin,
            Some(_) => {
                taking.named(asked).map_err(|why| refused(&name, at, asked, &why))?;
                continue;
            }
            None => {
                let found = match said.get(&number).copied() {
                    Some(said) => taking.named(said).map_err(|why| refused(&name, at, said, &why)).map(|()| said)?,
                    None => taking.any().map_err(none_free)?,
                };
                given.insert(number, found);
                found
            }
        };
        one["nodePort"] = json!(port);
    }
    Ok(())
}

/// Ports of a Service that was there: those that it had, it has.
fn give_more(service: &mut Value, old: &Value, taking: &mut Taking<'_>) -> status::Result<()> {
    let (wants, name) = (wants_any(service), Meta::of(service).name().to_owned());
    let old_ports = old["spec"]["ports"].as_array().map_or(&[][..], Vec::as_slice);
    let had: Ports = old_ports.iter().map(|port| integer(&port["nodePort"])).collect();
    let (mut asked_for, mut all) = (Ports::new(), BTreeSet::new());
    for (at, port) in ports_mut(service).iter_mut().enumerate() {
        let mut asked = integer(&port["nodePort"]);
        if asked == 0 {
            if !wants {
                continue;
            }
            asked = taking.any().map_err(none_free)?;
            port["nodePort"] = json!(asked);
        } else if !had.contains(&asked) && asked_for.insert(asked) {
            taking.named(asked).map_err(|why| refused(&name, at, asked, &why))?;
        }
        let protocol = port["protocol"].as_str().unwrap_or_default().to_owned();
        let told = format!("duplicate nodePort: {{{protocol} {asked}}}");
        if !all.insert((protocol, asked)) {
            return Err(Status::failure(Reason::Unknown, told));
        }
    }
    Ok(())
}

/// The port at which nodes say whether they have endpoints of a Service.
fn give_health(service: &mut Value, taking: &mut Taking<'_>) -> status::Result<()> {
    let asked = integer(&service["spec"]["healthCheckNodePort"]);
    if asked == 0 {
        let found = taking.any();
        let found =
            found.map_err(|why| Status::internal(format!("failed to allocate a HealthCheck NodePort 0: {why}")))?;
        service["spec"]["healthCheckNodePort"] = json!(found);
        return Ok(());
    }
    let told = |why| Status::internal(format!("failed to allocate requested HealthCheck NodePort {asked}: {why}"));
    taking.named(asked).map_err(told)
}

fn refused(name: &str, at: usize, port: i64, why: &str) -> Box<Status> {
    let mut errors = Errors::default();
    errors.invalid(format!("spec.ports[{at}].nodePort"), &json!(port), why);
    Status::invalid("", "Service", name, errors.into_causes())
}

fn none_free(why: &str) -> Box<Status> {
    Status::internal(format!("failed to allocate a nodePort: {why}"))
}

fn may_have_any(service: &Value) -> bool {
    matches!(service["spec"]["type"].as_str(), Some("NodePort" | "LoadBalancer"))
}

fn wants_any(service: &Value) -> bool {
    service["spec"]["type"] == "NodePort" || service["spec"]["allocateLoadBalancerNodePorts"] != false
}

/// Whether nodes are asked for a Service's endpoints.
fn is_asked(service: &Value) -> bool {
    service["spec"]["type"] == "LoadBalancer" && service["spec"]["externalTrafficPolicy"] == "Local"
}

fn integer(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

fn ports_mut(service: &mut Value) -> &mut [Value] {
    service.pointer_mut("/spec/ports").and_then(Value::as_array_mut).map_or(&mut [], Vec::as_mut_slice)
}

/// The node ports that a Service has.
fn ports_of(service: &Value) -> Ports {
    if !may_have_any(service) {
        return Ports::new();
    }
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let health = is_asked(service).then_some(&service["spec"]["healthCheckNodePort"]);
    ports.map(|port| &port["nodePort"]).chain(health).map(integer).filter(|port| *port != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::limits::Limits;
    use crate::store::memory::MemoryStore;
    use tinyplane_wire::clock::Clock;

    fn node_ports() -> NodePorts {
        NodePorts::new(Arc::new(MemoryStore::new(Limits::default(), Clock::system())), 30_000..=30_003)
    }

    fn service(kind: &str, ports: &Value, more: &Value) -> Value {
        let mut service = json!({"metadata": {"name": "s"}, "spec": {"type": kind, "ports": ports}});
        for (field, value) in more.as_object().into_iter().flatten() {
            service["spec"][field] = value.clone();
        }
        service
    }

    fn told(given: status::Result<Option<Reserved>>) -> String {
        given.map_or_else(|status| status.message, |_| String::new())
    }

    #[test]
    fn a_port_on_nodes_is_one_services_whatever_its_protocol() {
        let all = node_ports();
        let of = |kind: &str, port: Value| {
            told(all.allocate(
                &mut service(kind, &json!([{"port": 80, "protocol": "TCP", "nodePort": port}]), &json!({})),
                None,
                false,
            ))
        };
        for odd in [-1, 80, 70_000] {
            let why = "provided port is not in the valid range. The range of valid ports is 30000-30003";
            let whole = format!("Service \"s\" is invalid: spec.ports[0].nodePort: Invalid value: {odd}: {why}");
            assert_eq!(of("NodePort", json!(odd)), whole);
            // Where none is given validation has the word.
            assert_eq!(of("ClusterIP", json!(odd)), "");
        }
        let kept = all.allocate(
            &mut service("NodePort", &json!([{"port": 80, "protocol": "UDP", "nodePort": 30_001}]), &json!({})),
            None,
            false,
        );
        let why = "spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated";
        assert_eq!(of("NodePort", json!(30_001)), format!("Service \"s\" is invalid: {why}"));
        let asked = json!({"externalTrafficPolicy": "Local", "healthCheckNodePort": 30_001});
        let health = all.allocate(&mut service("LoadBalancer", &json!([]), &asked), None, false);
        assert!(
            told(health).ends_with(
                "failed to allocate requested HealthCheck NodePort 30001: provided port is already allocated"
            )
        );
        drop(kept);
        assert_eq!(of("NodePort", json!(30_001)), "");
    }

    #[test]
    fn ports_of_one_number_share_what_is_asked_for_one_of_them() {
        let all = node_ports();
        let mut twins = service(
            "NodePort",
            &json!([{"port": 80, "protocol": "TCP"}, {"port": 80, "protocol": "UDP", "nodePort": 30_002}]),
            &json!({}),
        );
        let kept = all.allocate(&mut twins, None, false).unwrap();
        assert_eq!(
            (&twins["spec"]["ports"][0]["nodePort"], &twins["spec"]["ports"][1]["nodePort"]),
            (&json!(30_002), &json!(30_002))
        );
        drop(kept);
        let mut twice = service(
            "NodePort",
            &json!([{"port": 80, "protocol": "TCP", "nodePort": 30_000}, {"port": 81, "protocol": "TCP", "nodePort": 30_000}]),
            &json!({}),
        );
        let old = service("NodePort", &json!([{"port": 80, "protocol": "TCP", "nodePort": 30_003}]), &json!({}));
        let changed = all.allocate(&mut twice, Some(&old), false);
        assert_eq!(told(changed), "duplicate nodePort: {TCP 30000}");
    }

    #[test]
    fn a_trial_takes_nothing_and_goes_by_no_range() {
        let all = node_ports();
        let mut tried = service("NodePort", &json!([{"port": 80, "nodePort": 80}, {"port": 81}]), &json!({}));
        assert_eq!(told(all.allocate(&mut tried, None, true)), "");
        assert_eq!(tried["spec"]["ports"][1]["nodePort"], 81);
        let each: Vec<Value> = (1..=40_000).map(|port| json!({"port": port})).collect();
        let mut many = service("NodePort", &each.into(), &json!({}));
        assert_eq!(told(all.allocate(&mut many, None, true)), "");
        assert_eq!(many["spec"]["ports"][39_999]["nodePort"], DRY_RUN_BEFORE + 40_000);
        for _ in 0..8 {
            let mut any = service("NodePort", &json!([{"port": 80}]), &json!({}));
            assert_eq!(told(all.allocate(&mut any, None, true)), "");
        }
    }
}
