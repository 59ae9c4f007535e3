//! The two hops of a connection through this server, in the ledger: from its frontend, and on to an agent.

use super::{Frontend, PATH, State};
use crate::carry::Moved;
use tinyplane_wire::ledger::{Entry, Open, View};

/// What the ledger is told of one dial. Nothing is kept where there is none.
#[derive(Debug, Default)]
pub(super) struct Hops {
    from: Option<Open>,
    on: Option<Open>,
    agent: Option<String>,
}

impl Hops {
    /// A frontend asks for an address; `number` is what it calls the dial.
    pub(super) fn begin(state: &State, number: Option<String>, address: &str) -> Self {
        let Some(ledger) = &state.ledger else { return Self::default() };
        let at = match &state.config.frontend {
            Frontend::Unix { path, .. } => path.display().to_string(),
            Frontend::Tcp { at, .. } => at.to_string(),
        };
        let from = Entry {
            path: Some(PATH),
            dial: number,
            request: Some(format!("CONNECT {address}")),
            to: at,
            tunnel: Some(state.config.server_id.clone()),
            ..ledger.entry(View::Observed)
        };
        Self { from: Some(ledger.open(from)), ..Self::default() }
    }

    /// An agent is asked, under a number of our own.
    pub(super) fn goes_on(&mut self, agent: &str, number: i64, address: &str) {
        self.agent = Some(agent.to_owned());
        let Some(from) = &mut self.from else { return };
        from.entry.agent = Some(agent.to_owned());
        let on = Entry {
            path: Some(PATH),
            dial: Some(number.to_string()),
            after: Some(from.entry.id.clone()),
            request: Some(format!("CONNECT {address}")),
            to: agent.to_owned(),
            tunnel: from.entry.tunnel.clone(),
            agent: Some(agent.to_owned()),
            ..from.ledger().entry(View::Claimed)
        };
        self.on = Some(from.ledger().open(on));
    }

    /// The agent has made it, under a number of its own where many share its stream.
    pub(super) fn made(&mut self, connection: Option<i64>) {
        if let Some(on) = &mut self.on {
            on.entry.connection = connection;
        }
    }

    /// The frontend is told that it is made, under our number.
    pub(super) fn answered(&mut self, connection: i64) {
        if let Some(from) = &mut self.from {
            from.entry.connection = Some(connection);
        }
    }

    /// The agent that was asked.
    pub(super) fn agent(&self) -> Option<String> {
        self.agent.clone()
    }

    /// There is no connection.
    pub(super) fn failed(&mut self, why: &dyn std::fmt::Display) {
        for hop in [&mut self.from, &mut self.on].into_iter().flatten() {
            hop.failed(why);
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
