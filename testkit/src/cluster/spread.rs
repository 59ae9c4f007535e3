//! One address for several Konnectivity servers: each connection goes to the next one that takes it.

use super::plan::Plan;
use super::ports::Whereabouts;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tinyplane_wire::net::{Listener, Sources, TcpDial, bind};
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

/// Connections at the same time: an agent holds one for each server.
const CONNECTIONS_MAX: usize = 1024;

/// Relays agents' connections until it is dropped. What it carries is TLS between others.
#[derive(Debug)]
pub(crate) struct Spread {
    /// Where it really listens.
    pub(crate) at: SocketAddr,
    listener: Listener,
}

impl Spread {
    /// Listens on the address that agents are told.
    pub(crate) fn listen(plan: &Plan, port: u16) -> io::Result<Self> {
        let bound = bind(SocketAddr::from((plan.agents_dial(), port)), Sources::any())?;
        Ok(Self { at: bound.address, listener: bound.listener })
    }

    /// Serves, as long as what this gives is held.
    pub(crate) fn serve(self, whereabouts: Arc<Whereabouts>) -> AbortOnDropHandle<()> {
        AbortOnDropHandle::new(tokio::spawn(self.relay(whereabouts)))
    }

    async fn relay(self, whereabouts: Arc<Whereabouts>) {
        let turn = AtomicUsize::new(0);
        let dial = TcpDial::from(Some(self.at.ip()));
        let mut carried = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if carried.len() < CONNECTIONS_MAX => {
                    let servers = whereabouts.servers();
                    let turn = turn.fetch_add(1, Ordering::Relaxed);
                    carried.spawn(carry(accepted.stream, servers, turn, dial.clone()));
                }
                Some(_) = carried.join_next() => {}
            }
        }
    }
}

async fn carry(mut agent: TcpStream, mut servers: Vec<SocketAddr>, turn: usize, dial: TcpDial) {
    let first = turn % servers.len().max(1);
    servers.rotate_left(first);
    for at in servers {
        match dial.connect(at).await {
            Ok(mut server) => {
                if let Err(error) = tokio::io::copy_bidirectional(&mut agent, &mut server).await {
                    tracing::debug!(%at, %error, "a relayed connection of an agent broke");
                }
                return;
            }
            Err(error) => tracing::debug!(%at, %error, "a Konnectivity server is not there"),
        }
    }
}
