//! The agents that are connected, and dialling through one of them.

use super::hops::Hops;
use super::pending::{Pending, PendingDial};
use super::strategy::Agent;
use super::{State, Strategy};
use crate::carry::Leg;
use crate::carry::shared::{Outbox, Shared};
use crate::identifiers::Identifiers;
use crate::metrics::Gauge;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;
use tinyplane_konnectivity_client::packet::{CloseDial, CloseRequest, DialRequest, DialResponse, Packet};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    /// No agent is connected.
    #[error("No agent available")]
    NoAgent,
    /// The agent was asked and could not.
    #[error("{0}")]
    Refused(String),
    /// The agent went away before it answered.
    #[error("the agent's connection was lost before it answered")]
    AgentLost,
    /// The agent did not answer in time.
    #[error("the agent did not answer in time: i/o timeout")]
    TimedOut,
}

/// One agent's connection.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) agent_id: String,
    /// What the agent says that it can reach.
    pub(super) identifiers: Identifiers,
    /// Whether each connection has a stream of its own.
    pub(super) lanes: bool,
    pub(super) outbox: Outbox,
    pub(super) pending: Arc<Pending>,
    pub(super) shared: Arc<Shared>,
    draining: AtomicBool,
}

impl Backend {
    pub(super) fn new(
        (agent_id, identifiers): (String, Identifiers),
        lanes: bool,
        outbox: Outbox,
        pending: Arc<Pending>,
        shared: Arc<Shared>,
    ) -> Self {
        Self { agent_id, identifiers, lanes, outbox, pending, shared, draining: AtomicBool::new(false) }
    }

    /// The agent wants no further dials.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Asks the agent for a connection.
    async fn dial(&self, address: String, hops: &mut Hops) -> Result<Leg, DialError> {
        let pending = self.pending.begin().ok_or(DialError::AgentLost)?;
        let mut asked = Asked { backend: self, pending };
        hops.goes_on(&self.agent_id, asked.pending.random(), &address);
        let request = DialRequest { protocol: "tcp".into(), address, random: asked.pending.random() };
        self.outbox.send(Packet::DialRequest(request)).await.map_err(|_| DialError::AgentLost)?;
        match asked.pending.answer().await {
            Some(Ok(leg)) => Ok(leg),
            Some(Err(told)) => Err(DialError::Refused(told)),
            None => Err(DialError::AgentLost),
        }
    }

    /// Takes in an agent's answer to a dial.
    pub(super) fn answered(&self, response: DialResponse, state: &State) {
        let DialResponse { error, connect_id, random, .. } = response;
        if !error.is_empty() {
            if !self.pending.answer(random, Err(error)) {
                tracing::debug!(agent = self.agent_id, "an agent refused a dial whose frontend had left");
            }
            return;
        }
        if !self.pending.waits_for(random) {
            state.numbers.failures.unrecognized_response.add();
            return self.disown(connect_id);
        }
        match self.shared.open(connect_id) {
            Some(leg) => {
                if !self.pending.answer(random, Ok(leg)) {
                    tracing::debug!(agent = self.agent_id, connect_id, "a connection was made whose frontend had left");
                }
            }
            // The connection that has the number already goes on.
            None => {
                let told = format!("the agent answered with connection {connect_id}, which is another's");
                if !self.pending.answer(random, Err(told)) {
                    tracing::debug!(agent = self.agent_id, connect_id, "an agent gave a number twice");
                }
            }
        }
    }

    /// Asks the agent to close a connection that nobody has.
    pub(super) fn disown(&self, connect_id: i64) {
        if self.outbox.try_send(Packet::CloseRequest(CloseRequest { connect_id })).is_err() {
            tracing::warn!(agent = self.agent_id, "an agent floods us with what nobody asked for");
        }
    }

    /// Takes in a stream that an agent opened as its answer to a dial.
    pub(super) fn lane(&self, random: i64, leg: Leg) {
        if !self.pending.answer(random, Ok(leg)) {
            tracing::debug!(agent = self.agent_id, "a lane was opened whose frontend had left");
        }
    }
}

/// A dial under way, which the agent is told of when it is given up.
struct Asked<'a> {
    backend: &'a Backend,
    pending: PendingDial,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if self.pending.give_up() {
            let random = self.pending.random();
            // When it can't be told now, its answer will be nobody's and is closed then.
            drop(self.backend.outbox.try_send(Packet::CloseDial(CloseDial { random })));
        }
    }
}

/// All agents that are connected.
#[derive(Debug)]
pub(super) struct Backends {
    agents: RwLock<Vec<Agent>>,
    /// How one is chosen: the first strategy that has one.
    strategies: Vec<Strategy>,
    counts: BackendCounts,
}

/// How many agents there are, as the strategies count them.
#[derive(Clone, Debug, Default)]
pub(super) struct BackendCounts {
    pub(super) first: Gauge,
    pub(super) each: [Gauge; 3],
}

impl Backends {
    pub(super) fn new(strategies: Vec<Strategy>, counts: BackendCounts) -> Self {
        Self { agents: RwLock::default(), strategies, counts }
    }

    pub(super) fn add(&self, backend: Arc<Backend>) {
        let mut agents = self.agents.write().unwrap_or_else(PoisonError::into_inner);
        match agents.iter_mut().find(|agent| agent.id == backend.agent_id) {
            Some(agent) => agent.connections.push(backend),
            None => agents.push(Agent { id: backend.agent_id.clone(), connections: vec![backend] }),
        }
        self.count(&agents);
    }

    pub(super) fn remove(&self, backend: &Arc<Backend>) {
        let mut agents = self.agents.write().unwrap_or_else(PoisonError::into_inner);
        for agent in agents.iter_mut().filter(|agent| agent.id == backend.agent_id) {
            agent.connections.retain(|kept| !Arc::ptr_eq(kept, backend));
        }
        agents.retain(|agent| !agent.connections.is_empty());
        self.count(&agents);
    }

    fn count(&self, agents: &[Agent]) {
        for (place, (strategy, gauge)) in self.strategies.iter().zip(&self.counts.each).enumerate() {
            let count = strategy.count(agents);
            gauge.set(count);
            if place == 0 {
                self.counts.first.set(count);
            }
        }
    }

    /// True when there is an agent that a strategy could choose.
    pub(super) fn any(&self) -> bool {
        let agents = self.agents.read().unwrap_or_else(PoisonError::into_inner);
        self.strategies.iter().any(|strategy| strategy.count(&agents) > 0)
    }

    /// An agent for a host; one that drains only when all that could be chosen do.
    fn choose(&self, host: &str) -> Option<Arc<Backend>> {
        let agents = self.agents.read().unwrap_or_else(PoisonError::into_inner);
        self.strategies.iter().find_map(|strategy| strategy.choose(&agents, host))
    }

    /// Dials through an agent, and counts why when that fails.
    pub(super) async fn dial(&self, address: &str, state: &State, hops: &mut Hops) -> Result<Leg, DialError> {
        let (failures, began) = (&state.numbers.failures, Instant::now());
        let left = CountUnlessAnswered(Some(failures.frontend_close.clone()));
        let dialled = match self.choose(host_of(address)) {
            None => Err(DialError::NoAgent),
            Some(backend) => match state.config.backend_dial_timeout {
                None => backend.dial(address.to_owned(), hops).await,
                Some(limit) => tokio::time::timeout(limit, backend.dial(address.to_owned(), hops))
                    .await
                    .unwrap_or(Err(DialError::TimedOut)),
            },
        };
        left.answered();
        match &dialled {
            Ok(leg) => hops.made(leg.connection()),
            Err(error) => hops.failed(error),
        }
        match &dialled {
            Ok(_) => state.numbers.dials.observe(began.elapsed()),
            Err(DialError::NoAgent) => failures.no_agent.add(),
            Err(DialError::Refused(_)) => failures.error_response.add(),
            Err(DialError::AgentLost) => failures.backend_close.add(),
            Err(DialError::TimedOut) => failures.backend_dial_timeout.add(),
        }
        dialled
    }
}

/// The host of `host:port`.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Counts a dial whose frontend left before it was answered.
struct CountUnlessAnswered(Option<crate::metrics::Counter>);

impl CountUnlessAnswered {
    fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for CountUnlessAnswered {
    fn drop(&mut self) {
        if let Some(counter) = &self.0 {
            counter.add();
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::Overflow;
    use crate::carry::shared::{Flow, Side, outbox};
    use crate::metrics::Packets;

    pub(in crate::server) fn backend(id: &str, identifiers: &str) -> Arc<Backend> {
        let (outbox, _) = outbox(Packets::of("to_agent"));
        let shared = Shared::new(Side::Server, Overflow::Stall, outbox.clone(), Flow::default());
        let who = (id.to_owned(), Identifiers::parse(identifiers).unwrap());
        Arc::new(Backend::new(who, false, outbox, Pending::new(Gauge::default()), shared))
    }

    fn backends(strategies: &[Strategy]) -> (Backends, BackendCounts) {
        let counts = BackendCounts::default();
        (Backends::new(strategies.to_vec(), counts.clone()), counts)
    }

    #[test]
    fn the_first_connection_of_an_agent_stays_preferred_until_it_drains_or_goes() {
        let (backends, counts) = backends(&[Strategy::Default]);
        assert!(backends.choose("a").is_none());
        let (first, second) = (backend("a", ""), backend("a", ""));
        backends.add(Arc::clone(&first));
        backends.add(Arc::clone(&second));
        assert_eq!(counts.first.get(), 1);
        assert!(Arc::ptr_eq(&backends.choose("a").unwrap(), &first));
        first.drain();
        assert!(Arc::ptr_eq(&backends.choose("a").unwrap(), &second));
        second.drain();
        assert!(Arc::ptr_eq(&backends.choose("a").unwrap(), &first));
        backends.remove(&first);
        assert!(Arc::ptr_eq(&backends.choose("a").unwrap(), &second));
        backends.remove(&second);
        assert!(!backends.any());
        assert_eq!(counts.first.get(), 0);
    }

    #[test]
    fn dials_avoid_agents_that_drain_and_spread_over_the_others() {
        let (backends, _) = backends(&[Strategy::Default]);
        let all = [backend("a", ""), backend("b", ""), backend("c", "")];
        for one in &all {
            backends.add(Arc::clone(one));
        }
        all[1].drain();
        let chosen: Vec<_> = (0..200).map(|_| backends.choose("x").unwrap().agent_id.clone()).collect();
        assert!(chosen.iter().any(|id| id == "a") && chosen.iter().any(|id| id == "c"));
        assert!(chosen.iter().all(|id| id != "b"));
    }

    #[test]
    fn the_first_strategy_that_has_an_agent_chooses() {
        let (backends, counts) = backends(&[Strategy::DestHost, Strategy::DefaultRoute]);
        let chosen = |host: &str| backends.choose(host).map(|backend| backend.agent_id.clone());
        backends.add(backend("plain", ""));
        assert!(!backends.any() && chosen("node-1").is_none());
        backends.add(backend("named", "host=node-1&ipv4=10.0.0.1"));
        backends.add(backend("route", "default-route=true"));
        assert!(backends.any());
        assert_eq!((chosen("node-1").unwrap(), chosen("10.0.0.1").unwrap()), ("named".into(), "named".into()));
        assert_eq!(chosen("node-2").unwrap(), "route");
        assert_eq!((counts.first.get(), counts.each[0].get(), counts.each[1].get()), (2, 2, 1));
    }

    #[test]
    fn hosts_are_cut_from_addresses() {
        assert_eq!((host_of("a:1"), host_of("[::1]:443"), host_of("bare")), ("a", "::1", "bare"));
    }
}
