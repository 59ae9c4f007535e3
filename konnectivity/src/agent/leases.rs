//! How many servers there are, by the leases that they keep.

use super::{Leases, State};
use crate::leases::{self, labels, leases};
use serde_json::Value;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tinyplane_wire::client::{Backoff, Client, ClientError};
use tinyplane_wire::ledger::Ledger;
use tinyplane_wire::meta::Meta;
use tinyplane_wire::process::{MemberError, told};
use tinyplane_wire::status::Status;
use tinyplane_wire::watch::{EventType, Frame};
use tokio::sync::Notify;

/// How metrics call the code of an answer.
const CODE: &str = "http_response_code";

const RETRY: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(5) };

/// The leases of servers, as the API server tells of them.
#[derive(Debug)]
pub(super) struct LeaseCount {
    client: Client,
    wanted: Leases,
    /// Until when each lease holds.
    ends: Mutex<HashMap<String, SystemTime>>,
    changed: Notify,
}

impl LeaseCount {
    pub(super) fn open(wanted: &Leases, source: Option<IpAddr>, ledger: Option<&Ledger>) -> Result<Self, MemberError> {
        let client = Client::from_kubeconfig(&wanted.kubeconfig, source, "konnectivity-agent")
            .map_err(|e| MemberError::because(format!("{} can't be used", wanted.kubeconfig.display()), e))?;
        let client = client.recording(ledger);
        Ok(Self { client, wanted: wanted.clone(), ends: Mutex::default(), changed: Notify::new() })
    }

    fn ends(&self) -> MutexGuard<'_, HashMap<String, SystemTime>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many leases hold now; one at least, since there is a server if anybody asks.
    pub(super) fn count(&self, now: SystemTime) -> usize {
        self.ends().values().filter(|end| **end > now).count().max(1)
    }

    /// Waits until a lease comes, goes or is renewed.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Keeps the count right, for as long as the agent runs. While the API server says nothing, the last leases count.
    pub(super) async fn follow(&self, state: &State) {
        let mut failures = 0;
        loop {
            match self.list_and_watch(state).await {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures += 1;
                    tracing::debug!(error = told(&error), failures, "servers' leases are not seen");
                }
            }
            state.clock.sleep(RETRY.after(failures)).await;
        }
    }

    async fn list_and_watch(&self, state: &State) -> Result<(), ClientError> {
        let (namespace, query) = (Some(self.wanted.namespace.as_str()), leases::query(&self.wanted.selector));
        let began = Instant::now();
        let listed = self.client.list(&leases(), namespace, &query).await;
        state.numbers.lease_lists.add(labels(CODE, listed.as_ref().map(drop)));
        let listed = listed?;
        state.numbers.lease_list_took.observe(began.elapsed());
        let items = listed["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let held = |lease: &Value| Some((Meta::of(lease).name().to_owned(), leases::ends(lease)?));
        *self.ends() = items.iter().filter_map(held).collect();
        self.changed.notify_one();
        let query = format!("{query}&resourceVersion={}", Meta::of(&listed).resource_version());
        let watched = self.client.watch(&leases(), namespace, &query).await;
        state.numbers.lease_watches.add(labels(CODE, watched.as_ref().map(drop)));
        let mut frames = watched?;
        while let Some(Frame { event, object }) = frames.next().await? {
            match (event, held(&object)) {
                (EventType::Added | EventType::Modified, Some((name, end))) => drop(self.ends().insert(name, end)),
                (EventType::Deleted, _) => drop(self.ends().remove(Meta::of(&object).name())),
                (EventType::Error, _) => {
                    return Err(ClientError::Status(Box::new(serde_json::from_value::<Status>(object)?)));
                }
                _ => {}
            }
            self.changed.notify_one();
        }
        Ok(())
    }
}
