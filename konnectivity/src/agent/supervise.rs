//! Keeps a session with each server: as many as the servers, or their leases, say that there are.

use super::backoff::Backoff;
use super::session::Session;
use super::{CountSource, State};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::task::{Id, JoinSet};

/// Sessions at the same time, however many servers are claimed.
const SESSIONS_MAX: usize = 1024;

/// Connects, and connects again, for as long as the agent runs.
pub(super) async fn run(state: &Arc<State>) {
    let mut sessions = JoinSet::new();
    let mut connected: HashMap<Id, String> = HashMap::new();
    let mut told = 1;
    let mut backoff = Backoff::new(state.config.sync_interval, state.config.sync_interval_cap);
    loop {
        let wanted = wanted(state, told);
        let searching = (connected.len() < wanted || state.config.sync_forever) && !state.drain.is_cancelled();
        if searching {
            match Session::open(state).await {
                // Behind one address for several servers: the next try leads to another.
                Ok(session) if connected.values().any(|server| *server == session.server_id) => {
                    told = session.server_count;
                    tracing::debug!(server = session.server_id, "reached a server that is connected already");
                }
                Ok(session) => {
                    told = session.server_count;
                    tracing::info!(server = session.server_id, servers = told, "connected");
                    backoff.reset();
                    let (state, server) = (Arc::clone(state), session.server_id.clone());
                    let task = sessions.spawn(async move { session.run(&state).await });
                    connected.insert(task.id(), server);
                    continue;
                }
                Err(error) => tracing::info!(error = error.told(), "no connection to a server"),
            }
        }
        let wait = async {
            if searching { state.clock.sleep(backoff.wait()).await } else { until_leases_change(state).await }
        };
        tokio::select! {
            Some(ended) = sessions.join_next_with_id() => {
                let task = match ended {
                    Ok((task, ())) => {
                        backoff.reset();
                        task
                    }
                    Err(error) => {
                        tracing::error!(%error, "a session ended in an unforeseen way");
                        error.id()
                    }
                };
                connected.remove(&task);
            }
            () = wait => {}
            () = state.drain.cancelled(), if searching => {}
        }
    }
}

/// How many servers to look for.
fn wanted(state: &State, told: usize) -> usize {
    let leases = state.leases.as_ref().map(|leases| leases.count(state.clock.now()));
    let wanted = match (leases, state.config.count_source) {
        (None, _) => told,
        (Some(leases), CountSource::Single) => leases,
        (Some(leases), CountSource::Largest) => leases.max(told),
    };
    let wanted = wanted.clamp(1, SESSIONS_MAX);
    state.numbers.known_servers.set(wanted);
    wanted
}

async fn until_leases_change(state: &State) {
    match &state.leases {
        Some(leases) => leases.changed().await,
        None => std::future::pending().await,
    }
}
