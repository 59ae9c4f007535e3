//! Keeps a session with each server: as many as the servers say that there are.

use super::State;
use super::backoff::Backoff;
use super::session::Session;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Sessions at the same time, however many servers are claimed.
const SESSIONS_MAX: usize = 1024;

/// Connects, and connects again, for as long as the agent runs.
pub(super) async fn run(state: &Arc<State>) {
    let mut sessions: JoinSet<String> = JoinSet::new();
    let mut connected: HashSet<String> = HashSet::new();
    let mut backoff = Backoff::new(state.config.sync_interval, state.config.sync_interval_cap);
    let mut wanted = 1;
    loop {
        let full = connected.len() >= wanted;
        if (!full || state.config.sync_forever) && !state.drain.is_cancelled() {
            match Session::open(state).await {
                // Behind one address for several servers: the next try leads to another.
                Ok(session) if connected.contains(&session.server_id) => {
                    tracing::debug!(server = session.server_id, "reached a server that is connected already");
                }
                Ok(session) => {
                    wanted = session.server_count.clamp(1, SESSIONS_MAX);
                    state.numbers.known_servers.set(wanted);
                    tracing::info!(server = session.server_id, servers = wanted, "connected");
                    connected.insert(session.server_id.clone());
                    backoff.reset();
                    let state = Arc::clone(state);
                    sessions.spawn(async move { session.run(&state).await });
                    continue;
                }
                Err(error) => tracing::info!(error = error.told(), "no connection to a server"),
            }
        }
        let lacking = connected.len() < wanted || state.config.sync_forever;
        let wait = async {
            if lacking && !state.drain.is_cancelled() {
                state.clock.sleep(backoff.wait()).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            Some(ended) = sessions.join_next() => {
                match ended {
                    Ok(server_id) => drop(connected.remove(&server_id)),
                    Err(error) => tracing::error!(%error, "a session ended in an unforeseen way"),
                }
            }
            () = wait => {}
        }
    }
}
