//! The server's own lease, which agents count, and the end of those that others left behind.

use super::numbers::LeaseNumbers;
use super::{Leases, State};
use crate::leases::{self, leases};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tinyplane_wire::client::{Backoff, Client, ClientError};
use tinyplane_wire::process::{Shutdown, told};

/// How long a lease holds without being renewed.
const LEASE_SECONDS: u32 = 30;

/// How often it is renewed, and how often dead ones are looked for.
const RENEW_INTERVAL: Duration = Duration::from_secs(15);

/// How long taking the lease away may hold up the server's end.
const RELEASE_TIMEOUT: Duration = Duration::from_millis(500);

const RETRY: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(7) };

struct Keeper<'a> {
    state: &'a State,
    client: &'a Client,
    wanted: &'a Leases,
    name: String,
}

/// Keeps the server's lease until it is told to end, and then takes it away.
pub(super) async fn keep(state: Arc<State>, client: Client, wanted: Leases, shutdown: Shutdown) {
    let name = format!("konnectivity-proxy-server-{}", state.config.server_id);
    let keeper = Keeper { state: &state, client: &client, wanted: &wanted, name };
    let keep = async { tokio::join!(keeper.renew(), keeper.cull()) };
    if shutdown.run_until_cancelled(keep).await.is_none() {
        let leases = leases();
        let release = client.delete(&leases, Some(&wanted.namespace), &keeper.name, &Value::Null);
        match tokio::time::timeout(RELEASE_TIMEOUT, release).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(error = told(&error), "the server's lease stays until it expires"),
            Err(_) => tracing::warn!("the server's lease could not be taken away in time and stays until it expires"),
        }
    }
}

impl Keeper<'_> {
    async fn renew(&self) {
        let mut failures = 0;
        loop {
            let wait = match self.renew_once().await {
                Ok(()) => {
                    failures = 0;
                    RENEW_INTERVAL
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(error = told(&error), failures, "the server's lease could not be renewed");
                    RETRY.after(failures)
                }
            };
            self.state.clock.sleep(wait).await;
        }
    }

    async fn renew_once(&self) -> Result<(), ClientError> {
        let namespace = Some(self.wanted.namespace.as_str());
        match self.client.get(&leases(), namespace, &self.name).await {
            Ok(mut lease) => {
                lease["metadata"]["labels"] = json!(self.wanted.labels);
                lease["spec"]["holderIdentity"] = self.state.config.server_id.clone().into();
                lease["spec"]["leaseDurationSeconds"] = LEASE_SECONDS.into();
                lease["spec"]["renewTime"] = self.state.clock.timestamp_micro().into();
                self.client.update(&leases(), None, &lease).await.map(drop)
            }
            Err(error) if error.is_not_found() => {
                let lease = json!({
                    "apiVersion": "coordination.k8s.io/v1",
                    "kind": "Lease",
                    "metadata": {"name": self.name, "namespace": namespace, "labels": self.wanted.labels},
                    "spec": {
                        "holderIdentity": self.state.config.server_id,
                        "leaseDurationSeconds": LEASE_SECONDS,
                        "renewTime": self.state.clock.timestamp_micro(),
                    },
                });
                self.client.create(&leases(), namespace, &lease).await.map(drop)
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes expired leases of servers that ended without doing so.
    async fn cull(&self) {
        loop {
            if let Err(error) = self.cull_once(&self.state.numbers.leases).await {
                tracing::warn!(error = told(&error), "expired leases could not be looked for");
            }
            self.state.clock.sleep(RENEW_INTERVAL).await;
        }
    }

    async fn cull_once(&self, numbers: &LeaseNumbers) -> Result<(), ClientError> {
        const CODE: &str = "http_status_code";
        let labels: Vec<_> = self.wanted.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let (namespace, began) = (Some(self.wanted.namespace.as_str()), Instant::now());
        let listed = self.client.list(&leases(), namespace, &leases::query(&labels.join(","))).await;
        numbers.lists.add(leases::labels(CODE, listed.as_ref().map(drop)));
        let listed = listed?;
        numbers.list_took.observe(began.elapsed());
        let now = self.state.clock.now();
        for lease in listed["items"].as_array().into_iter().flatten() {
            if leases::ends(lease).is_none_or(|end| end > now) {
                continue;
            }
            let name = lease["metadata"]["name"].as_str().unwrap_or_default();
            let began = Instant::now();
            let deleted = self.client.delete(&leases(), namespace, name, &leases::only_as_seen(lease)).await;
            numbers.deletes.add(leases::labels(CODE, deleted.as_ref().map(drop)));
            match deleted {
                Ok(_) => {
                    numbers.delete_took.observe(began.elapsed());
                    numbers.culled.add();
                    tracing::info!(lease = name, "an expired lease was taken away");
                }
                // It was renewed, or another server was first.
                Err(error) if error.is_conflict() || error.is_not_found() => {}
                Err(error) => tracing::warn!(lease = name, error = told(&error), "an expired lease stays"),
            }
        }
        Ok(())
    }
}
