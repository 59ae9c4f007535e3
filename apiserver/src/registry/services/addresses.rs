//! Cluster addresses: an `IPAddress` object stands for each one that is taken, so that the store decides who gets it.

use crate::registry::Registry;
use crate::registry::create::valid;
use crate::registry::encoding;
use crate::store::contract::{CommitError, Write};
use crate::validation::Errors;
use ipnet::IpNet;
use rand::Rng;
use serde_json::{Value, json};
use std::net::IpAddr;
use tinyplane_wire::meta::Meta;
use tinyplane_wire::status;

/// How many random addresses are tried before they are gone through in order.
const GUESSES: usize = 8;

/// The addresses that a Service has.
pub(super) fn of(service: &Value) -> Vec<IpAddr> {
    let all = service["spec"]["clusterIPs"].as_array().into_iter().flatten();
    let one = service["spec"]["clusterIPs"].is_null().then_some(&service["spec"]["clusterIP"]);
    all.chain(one).filter_map(|address| address.as_str()?.parse().ok()).collect()
}

/// Gives a Service an address where it wants one and has none. What was taken is noted in `taken`.
pub(super) async fn allocate(
    registry: &Registry,
    service: &mut Value,
    old: Option<&Value>,
    dry_run: bool,
    taken: &mut Vec<IpAddr>,
) -> status::Result<()> {
    if service["spec"]["type"] == "ExternalName" || service["spec"]["clusterIP"] == "None" {
        return Ok(());
    }
    // What a Service has, or has not, it keeps: only one that stood for a name is given an address later.
    if old.is_some_and(|old| old["spec"]["type"] != "ExternalName") {
        return Ok(());
    }
    let wanted = of(service);
    let address = match wanted.first() {
        Some(address) => {
            take_named(registry, service, *address, dry_run).await?;
            *address
        }
        None => take_any(registry, service, dry_run).await?,
    };
    if !dry_run {
        taken.push(address);
    }
    let spec = &mut service["spec"];
    spec["clusterIP"] = json!(address.to_string());
    spec["clusterIPs"] = json!([address.to_string()]);
    Ok(())
}

async fn take_named(registry: &Registry, service: &Value, address: IpAddr, dry_run: bool) -> status::Result<()> {
    let range = registry.settings().service_range;
    let (first, size) = hosts(range);
    // A trial goes by the range alone, as upstream's does.
    let why = if !dry_run && !range.contains(&address) {
        "the provided network does not match the current range".to_owned()
    } else if address < first || address > nth(first, size - 1) {
        format!("the provided IP ({address}) is not in the valid range. The range of valid IPs is {range}")
    } else {
        String::new()
    };
    if !why.is_empty() {
        return Err(refused(registry, service, address, &format!("failed to allocate IP {address}: {why}")));
    }
    // A trial doesn't ask whether somebody has it.
    if dry_run || take(registry, service, address, dry_run).await? {
        return Ok(());
    }
    Err(refused(
        registry,
        service,
        address,
        &format!("failed to allocate IP {address}: provided IP is already allocated"),
    ))
}

async fn take_any(registry: &Registry, service: &Value, dry_run: bool) -> status::Result<IpAddr> {
    let range = registry.settings().service_range;
    let (first, size) = hosts(range);
    // Upstream keeps the lower part of a range for addresses that are asked for by number.
    let lower = (size / 16).clamp(u128::from(size > 1), 256).min(size.saturating_sub(1));
    for _ in 0..GUESSES {
        let at = rand::rng().random_range(lower..size);
        let address = nth(first, at);
        if take(registry, service, address, dry_run).await? {
            return Ok(address);
        }
    }
    for at in (lower..size).chain(0..lower) {
        let address = nth(first, at);
        if is_free(registry, address) && take(registry, service, address, dry_run).await? {
            return Ok(address);
        }
    }
    let why = format!("failed to allocate a serviceIP: range is full: {range}");
    Err(status::Status::internal(why))
}

/// The first address of a range that may be given, and how many there are: neither the network's nor the broadcast's.
fn hosts(range: IpNet) -> (IpAddr, u128) {
    let bits = u32::from(range.max_prefix_len() - range.prefix_len()).min(64);
    let size = (1u128 << bits).saturating_sub(if range.addr().is_ipv4() { 2 } else { 1 }).max(1);
    (nth(range.network(), u128::from(bits > 0)), size)
}

pub(in crate::registry) fn nth(first: IpAddr, at: u128) -> IpAddr {
    match first {
        IpAddr::V4(address) => {
            IpAddr::V4((u32::from(address).wrapping_add(u32::try_from(at).unwrap_or_default())).into())
        }
        IpAddr::V6(address) => IpAddr::V6((u128::from(address).wrapping_add(at)).into()),
    }
}

fn is_free(registry: &Registry, address: IpAddr) -> bool {
    let key = registry.builtin("networking.k8s.io", "ipaddresses").key("", &address.to_string());
    registry.store().snapshot().get(&key).is_none()
}

/// Writes the object that stands for an address. False when it is taken.
async fn take(registry: &Registry, service: &Value, address: IpAddr, dry_run: bool) -> status::Result<bool> {
    if dry_run {
        return Ok(is_free(registry, address));
    }
    let resource = registry.builtin("networking.k8s.io", "ipaddresses");
    let meta = Meta::of(service);
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    let object = json!({
        "metadata": {
            "name": address.to_string(),
            "uid": uuid::Uuid::new_v4().to_string(),
            "creationTimestamp": registry.clock().timestamp(),
            "labels": {
                "ipaddress.kubernetes.io/ip-family": family,
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            },
        },
        "spec": {"parentRef": {"resource": "services", "namespace": meta.namespace(), "name": meta.name()}},
    });
    let write = Write::create(resource.key("", &address.to_string()), encoding::body(&resource, &object));
    match registry.store().commit(write).await {
        Ok(_) => Ok(true),
        Err(CommitError::Exists { .. }) => Ok(false),
        Err(error) => Err(crate::registry::failure::commit(&resource, &address.to_string(), &error)),
    }
}

fn refused(registry: &Registry, service: &Value, address: IpAddr, why: &str) -> Box<status::Status> {
    let mut errors = Errors::default();
    errors.invalid("spec.clusterIPs", &json!([address.to_string()]), why);
    let resource = registry.builtin("", "services");
    match valid(&resource, Meta::of(service).name(), errors.into_causes()) {
        Err(status) => status,
        Ok(()) => status::Status::internal(why),
    }
}
