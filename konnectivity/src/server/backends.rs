//! The agents that are connected, and dialling through one of them.

use super::State;
use super::pending::{Pending, PendingDial};
use crate::carry::Leg;
use crate::carry::shared::{Outbox, Shared};
use crate::metrics::Gauge;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
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
    /// Whether each connection has a stream of its own.
    pub(super) lanes: bool,
    pub(super) outbox: Outbox,
    pub(super) pending: Arc<Pending>,
    pub(super) shared: Arc<Shared>,
    draining: AtomicBool,
}

impl Backend {
    pub(super) fn new(
        agent_id: String,
        lanes: bool,
        outbox: Outbox,
        pending: Arc<Pending>,
        shared: Arc<Shared>,
    ) -> Self {
        Self { agent_id, lanes, outbox, pending, shared, draining: AtomicBool::new(false) }
    }

    /// The agent wants no further dials.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Asks the agent for a connection.
    async fn dial(&self, address: String) -> Result<Leg, DialError> {
        let pending = self.pending.begin().ok_or(DialError::AgentLost)?;
        let mut asked = Asked { backend: self, pending };
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
        let DialResponse { error, connect_id, random } = response;
        if !error.is_empty() {
            if !self.pending.answer(random, Err(error)) {
                tracing::debug!(agent = self.agent_id, "an agent refused a dial whose frontend had left");
            }
            return;
        }
        let leg = if self.pending.waits_for(random) { self.shared.open(connect_id) } else { None };
        match leg {
            Some(leg) => {
                if !self.pending.answer(random, Ok(leg)) {
                    tracing::debug!(agent = self.agent_id, connect_id, "a connection was made whose frontend had left");
                }
            }
            None => {
                state.numbers.failures.unrecognized_response.add();
                self.disown(connect_id);
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
    count: Gauge,
}

/// The connections of one agent, the oldest first: it stays preferred.
#[derive(Debug)]
struct Agent {
    id: String,
    connections: Vec<Arc<Backend>>,
}

impl Agent {
    fn active(&self) -> Option<&Arc<Backend>> {
        self.connections.iter().find(|backend| !backend.is_draining())
    }
}

impl Backends {
    pub(super) fn new(count: Gauge) -> Self {
        Self { agents: RwLock::default(), count }
    }

    pub(super) fn add(&self, backend: Arc<Backend>) {
        let mut agents = self.agents.write().unwrap_or_else(PoisonError::into_inner);
        match agents.iter_mut().find(|agent| agent.id == backend.agent_id) {
            Some(agent) => agent.connections.push(backend),
            None => agents.push(Agent { id: backend.agent_id.clone(), connections: vec![backend] }),
        }
        self.count.set(agents.iter().map(|agent| agent.connections.len()).sum());
    }

    pub(super) fn remove(&self, backend: &Arc<Backend>) {
        let mut agents = self.agents.write().unwrap_or_else(PoisonError::into_inner);
        for agent in agents.iter_mut().filter(|agent| agent.id == backend.agent_id) {
            agent.connections.retain(|kept| !Arc::ptr_eq(kept, backend));
        }
        agents.retain(|agent| !agent.connections.is_empty());
        self.count.set(agents.iter().map(|agent| agent.connections.len()).sum());
    }

    /// True when an agent is connected.
    pub(super) fn any(&self) -> bool {
        !self.agents.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Any agent; one that drains only when all do.
    fn choose(&self) -> Option<Arc<Backend>> {
        let agents = self.agents.read().unwrap_or_else(PoisonError::into_inner);
        let from = rand::random_range(0..agents.len().max(1));
        let (before, after) = agents.split_at(from.min(agents.len()));
        let mut in_turn = after.iter().chain(before);
        let active = in_turn.clone().find_map(Agent::active);
        active.or_else(|| in_turn.next()?.connections.first()).cloned()
    }

    /// Dials through an agent, and counts why when that fails.
    pub(super) async fn dial(&self, address: &str, state: &State) -> Result<Leg, DialError> {
        let failures = &state.numbers.failures;
        let left = CountUnlessAnswered(Some(failures.frontend_close.clone()));
        let dialled = match self.choose() {
            None => Err(DialError::NoAgent),
            Some(backend) => match state.config.backend_dial_timeout {
                None => backend.dial(address.to_owned()).await,
                Some(limit) => tokio::time::timeout(limit, backend.dial(address.to_owned()))
                    .await
                    .unwrap_or(Err(DialError::TimedOut)),
            },
        };
        left.answered();
        match &dialled {
            Ok(_) => {}
            Err(DialError::NoAgent) => failures.no_agent.add(),
            Err(DialError::Refused(_)) => failures.error_response.add(),
            Err(DialError::AgentLost) => failures.backend_close.add(),
            Err(DialError::TimedOut) => failures.backend_dial_timeout.add(),
        }
        dialled
    }
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
mod tests {
    use super::*;
    use crate::Overflow;
    use crate::carry::shared::{Side, outbox};

    fn backend(id: &str) -> Arc<Backend> {
        let (outbox, _) = outbox();
        let shared = Shared::new(Side::Server, Overflow::Stall, outbox.clone());
        Arc::new(Backend::new(id.into(), false, outbox, Pending::new(Gauge::default()), shared))
    }

    #[test]
    fn the_first_connection_of_an_agent_stays_preferred_until_it_drains_or_goes() {
        let backends = Backends::new(Gauge::default());
        assert!(backends.choose().is_none());
        let (first, second) = (backend("a"), backend("a"));
        backends.add(Arc::clone(&first));
        backends.add(Arc::clone(&second));
        assert!(Arc::ptr_eq(&backends.choose().unwrap(), &first));
        first.drain();
        assert!(Arc::ptr_eq(&backends.choose().unwrap(), &second));
        second.drain();
        assert!(Arc::ptr_eq(&backends.choose().unwrap(), &first));
        backends.remove(&first);
        assert!(Arc::ptr_eq(&backends.choose().unwrap(), &second));
        backends.remove(&second);
        assert!(!backends.any());
    }

    #[test]
    fn dials_avoid_agents_that_drain_and_spread_over_the_others() {
        let backends = Backends::new(Gauge::default());
        let all = [backend("a"), backend("b"), backend("c")];
        for one in &all {
            backends.add(Arc::clone(one));
        }
        all[1].drain();
        let chosen: Vec<_> = (0..200).map(|_| backends.choose().unwrap().agent_id.clone()).collect();
        assert!(chosen.iter().any(|id| id == "a") && chosen.iter().any(|id| id == "c"));
        assert!(chosen.iter().all(|id| id != "b"));
    }
}
