//! Where a Service leads: its Endpoints and EndpointSlices, by the pods that it selects.

mod address;
mod objects;

use crate::context::Context;
use crate::control_loop::{After, Reconcile, enqueue_changes, run};
use crate::kinds;
use address::{Endpoint, endpoints_by_ports};
use serde_json::Value;
use std::sync::Arc;
use tinyplane_wire::client::{Cache, Change, Client, ClientError, WorkQueue};
use tinyplane_wire::gvr::Gvr;
use tinyplane_wire::meta::{Meta, pairs};
use tinyplane_wire::selector::LabelSelector;

/// Endpoints in one slice.
const SLICE_ENDPOINTS_MAX: usize = 100;

/// Starts the loop; Endpoints and EndpointSlices are written by an account each.
pub(crate) fn start(context: &Arc<Context>, slices_context: &Context) {
    let queue = Arc::new(WorkQueue::new());
    let (services, pods) = (context.cache(&kinds::services()), context.cache(&kinds::pods()));
    let (endpoints, slices) = (context.cache(&kinds::endpoints()), context.cache(&kinds::endpoint_slices()));
    enqueue_changes(&services, &queue);
    enqueue_changes(&endpoints, &queue);
    enqueue_services_of(&slices, &queue);
    enqueue_selecting(&pods, &services, &queue);
    let reads = vec![Arc::clone(&services), Arc::clone(&pods), Arc::clone(&endpoints), Arc::clone(&slices)];
    let (client, slices_client) = (context.client.clone(), slices_context.client.clone());
    run(context, &queue, reads, Lead { client, slices_client, services, pods, endpoints, slices });
}

fn enqueue_services_of(slices: &Cache, queue: &Arc<WorkQueue>) {
    let queue = Arc::clone(queue);
    slices.on_change(move |change| {
        let meta = Meta::of(change.object());
        if let Some(service) = meta.label(objects::SERVICE_LABEL) {
            queue.add(format!("{}/{service}", meta.namespace()));
        }
    });
}

/// A pod that changed concerns the Services that select it, or selected it before.
fn enqueue_selecting(pods: &Cache, services: &Arc<Cache>, queue: &Arc<WorkQueue>) {
    let (services, queue) = (Arc::clone(services), Arc::clone(queue));
    pods.on_change(move |change| {
        let mut seen = vec![Arc::clone(change.object())];
        if let Change::Applied(_, Some(before)) = change {
            seen.push(Arc::clone(before));
        }
        for service in services.in_namespace(Meta::of(&seen[0]).namespace()) {
            let selector = &service["spec"]["selector"];
            if pairs(selector).next().is_some() && seen.iter().any(|pod| LabelSelector::from_map(selector).selects(pod))
            {
                queue.add(Meta::of(&service).key());
            }
        }
    });
}

struct Lead {
    client: Client,
    slices_client: Client,
    services: Arc<Cache>,
    pods: Arc<Cache>,
    endpoints: Arc<Cache>,
    slices: Arc<Cache>,
}

impl Reconcile for Lead {
    const NAME: &'static str = "endpoints";

    async fn reconcile(&self, key: &str) -> Result<After, ClientError> {
        let Some(service) = self.services.get(key) else {
            // The slices go with their owner; Endpoints have none.
            if self
                .endpoints
                .get(key)
                .is_some_and(|e| Meta::of(&e).label(objects::ENDPOINTS_LABEL) == Some(objects::ENDPOINTS_MANAGER))
            {
                remove(&self.client, &kinds::endpoints(), key).await?;
            }
            return Ok(After::Rest);
        };
        let selects = pairs(&service["spec"]["selector"]).next().is_some();
        if !selects || service["spec"]["type"] == "ExternalName" || Meta::of(&service).is_deleting() {
            return Ok(After::Rest);
        }
        let selector = LabelSelector::from_map(&service["spec"]["selector"]);
        let mut pods = self.pods.in_namespace(Meta::of(&service).namespace());
        pods.retain(|pod| selector.selects(pod));
        let groups = endpoints_by_ports(&service, &pods);
        self.write_slices(&service, &groups).await?;
        self.write_endpoints(&service, &groups).await?;
        Ok(After::Rest)
    }
}

impl Lead {
    async fn write_endpoints(
        &self,
        service: &Value,
        groups: &[(Vec<Value>, Vec<Endpoint>)],
    ) -> Result<(), ClientError> {
        let meta = Meta::of(service);
        let wished = objects::endpoints(service, groups);
        match self.endpoints.get(&meta.key()) {
            None => match self.client.create(&kinds::endpoints(), Some(meta.namespace()), &wished).await {
                Err(error) if !error.is_already_exists() => Err(error),
                _ => Ok(()),
            },
            Some(there) if objects::same_endpoints(&there, &wished) => Ok(()),
            Some(there) => {
                let mut changed = Value::clone(&there);
                changed["subsets"] = wished["subsets"].clone();
                changed["metadata"]["labels"] = wished["metadata"]["labels"].clone();
                self.client.update(&kinds::endpoints(), None, &changed).await.map(drop)
            }
        }
    }

    /// Fills the slices that are there first, makes those that lack, and removes what is left over.
    async fn write_slices(&self, service: &Value, groups: &[(Vec<Value>, Vec<Endpoint>)]) -> Result<(), ClientError> {
        let meta = Meta::of(service);
        let mut there: Vec<Arc<Value>> = self.slices.in_namespace(meta.namespace());
        there.retain(|slice| {
            let slice = Meta::of(slice);
            slice.label(objects::SERVICE_LABEL) == Some(meta.name())
                && slice.label(objects::MANAGED_LABEL) == Some(objects::SLICES_MANAGER)
                && !slice.is_deleting()
        });
        let mut wished: Vec<Value> = groups
            .iter()
            .flat_map(|(ports, endpoints)| {
                endpoints.chunks(SLICE_ENDPOINTS_MAX).map(|part| objects::slice(service, ports, part))
            })
            .collect();
        if wished.is_empty() {
            wished.push(objects::slice(service, &[], &[]));
        }
        // What is right already stays, whatever its order.
        wished.retain(|slice| match there.iter().position(|t| objects::same_slice(t, slice)) {
            Some(i) => {
                there.swap_remove(i);
                false
            }
            None => true,
        });
        for slice in wished {
            match there.pop() {
                Some(old) => {
                    let mut changed = Value::clone(&old);
                    for field in ["endpoints", "ports"] {
                        changed[field] = slice[field].clone();
                    }
                    changed["metadata"]["labels"] = slice["metadata"]["labels"].clone();
                    self.slices_client.update(&kinds::endpoint_slices(), None, &changed).await?;
                }
                None => {
                    self.slices_client.create(&kinds::endpoint_slices(), Some(meta.namespace()), &slice).await?;
                }
            }
        }
        for old in there {
            remove(&self.slices_client, &kinds::endpoint_slices(), &Meta::of(&old).key()).await?;
        }
        Ok(())
    }
}

async fn remove(client: &Client, gvr: &Gvr, key: &str) -> Result<(), ClientError> {
    let (namespace, name) = key.split_once('/').unwrap_or(("", key));
    match client.delete(gvr, Some(namespace), name, &Value::Null).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}
