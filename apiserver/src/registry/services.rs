//! What a Service is given: cluster addresses and node ports, each to one Service at a time.

mod addresses;
mod families;
mod ports;

pub(super) use addresses::nth;
pub use ports::NodePorts;

use super::Registry;
use super::admit::{Intent, Unasked};
use super::catalog::Resource;
use super::create::valid;
use super::delete::Options;
use crate::authn::{Caller, GROUP_MASTERS};
use crate::request::Warnings;
use ports::Reserved;
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;
use tinyplane_wire::meta::Meta;
use tinyplane_wire::status;

/// What was allocated for a Service that is about to be written. It is given back unless it is kept.
#[derive(Default)]
#[must_use]
pub struct Allocated {
    addresses: Vec<IpAddr>,
    ports: Option<Reserved>,
    registry: Option<Undo>,
}

/// How addresses get back: the objects that stand for them are deleted.
struct Undo {
    store: Arc<dyn crate::store::contract::Store>,
    folder: String,
}

impl Allocated {
    /// The Service was written.
    pub fn keep(mut self) {
        self.addresses.clear();
        self.ports = None;
    }
}

impl Drop for Allocated {
    fn drop(&mut self) {
        let (Some(undo), Ok(runtime)) = (self.registry.take(), tokio::runtime::Handle::try_current()) else { return };
        for address in self.addresses.drain(..) {
            let (store, key) = (undo.store.clone(), format!("{}{address}", undo.folder));
            // A crash before this runs is mended at the next start: addresses without their Service are given back.
            runtime.spawn(async move {
                let write = crate::store::contract::Write::delete(key, crate::store::contract::Expect::Any);
                if let Err(error) = store.commit(write).await {
                    tracing::warn!(%error, "an address that no Service got stays taken until the next start");
                }
            });
        }
    }
}

fn concerns(resource: &Resource) -> bool {
    resource.stored.group.is_empty() && resource.stored.kind == "Service"
}

/// Gives a Service the addresses and ports that it lacks. `old` is `None` when it is created.
pub(super) async fn allocate(
    registry: &Registry,
    resource: &Resource,
    service: &mut Value,
    old: Option<&Value>,
    dry_run: bool,
) -> status::Result<Allocated> {
    if !concerns(resource) {
        return Ok(Allocated::default());
    }
    let own = if registry.settings().service_range.addr().is_ipv4() { "IPv4" } else { "IPv6" };
    let causes = families::settle(service, old, own).into_causes();
    valid(resource, Meta::of(service).name(), causes)?;
    let mut allocated = Allocated::default();
    if !dry_run {
        let folder = registry.builtin("networking.k8s.io", "ipaddresses").folder.to_string();
        allocated.registry = Some(Undo { store: registry.store().clone(), folder });
    }
    addresses::allocate(registry, service, old, dry_run, &mut allocated.addresses).await?;
    allocated.ports = registry.node_ports.allocate(service, old, dry_run)?;
    Ok(allocated)
}

/// Takes back the addresses that a Service has no more. `new` is `None` when the Service is gone.
pub(super) async fn release_unused(registry: &Registry, resource: &Resource, old: &Value, new: Option<&Value>) {
    if !concerns(resource) {
        return;
    }
    let kept: Vec<IpAddr> = new.map(addresses::of).unwrap_or_default();
    let own = registry.builtin("networking.k8s.io", "ipaddresses");
    let (caller, warnings) = (Caller::new("system:apiserver", [GROUP_MASTERS]), Warnings::default());
    let intent = Intent {
        caller: &caller,
        manager: Some(super::managers::SERVER),
        warnings: &warnings,
        dry_run: false,
        admission: &Unasked,
    };
    for address in addresses::of(old).into_iter().filter(|address| !kept.contains(address)) {
        let deleted = Box::pin(registry.delete(&own, "", &address.to_string(), &Options::default(), &intent)).await;
        if let Err(error) = deleted {
            tracing::debug!(service = %Meta::of(old).key(), %address, %error, "an address had no object");
        }
    }
}
