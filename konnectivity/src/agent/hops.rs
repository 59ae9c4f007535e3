//! The two hops of a connection through this agent, in the ledger: from the server, and on to the endpoint.

use super::{PATH, State};
use crate::carry::Moved;
use std::net::SocketAddr;
use tinyplane_wire::ledger::{Entry, Open, View};

/// What the ledger is told of one dial. Nothing is kept where there is none.
#[derive(Debug, Default)]
pub(super) struct Hops {
    from: Option<Open>,
    on: Option<Open>,
}

impl Hops {
    /// The server asks for an address, under its number.
    pub(super) fn begin(state: &State, number: i64, address: &str) -> Self {
        let Some(ledger) = &state.ledger else { return Self::default() };
        let from = Entry {
            path: Some(PATH),
            dial: Some(number.to_string()),
            request: Some(format!("CONNECT {address}")),
            to: state.config.agent_id.clone(),
            agent: Some(state.config.agent_id.clone()),
            ..ledger.entry(View::Observed)
        };
        Self { from: Some(ledger.open(from)), on: None }
    }

    /// The endpoint is connected.
    pub(super) fn goes_on(&mut self, source: Option<SocketAddr>, address: &str) {
        let Some(from) = &self.from else { return };
        let on = Entry {
            after: Some(from.entry.id.clone()),
            from: source,
            to: address.to_owned(),
            agent: from.entry.agent.clone(),
            ..from.ledger().entry(View::Claimed)
        };
        self.on = Some(from.ledger().open(on));
    }

    /// The server is told of it, under our number where many share a stream.
    pub(super) fn answered(&mut self, connection: Option<i64>) {
        if let Some(from) = &mut self.from {
            from.entry.connection = connection;
        }
    }

    /// There is no connection.
    pub(super) fn failed(&mut self, why: &dyn std::fmt::Display) {
        if let Some(from) = &mut self.from {
            from.failed(why);
        }
    }

    /// The connection has ended, and carried so much.
    pub(super) fn ended(mut self, moved: &Moved) {
        let (up, down) = moved.bytes();
        if let Some(from) = &mut self.from {
            from.carried(down, up);
        }
        if let Some(on) = &mut self.on {
            on.carried(up, down);
        }
    }
}
