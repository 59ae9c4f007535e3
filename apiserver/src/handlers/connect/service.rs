//! Which pod a proxied Service leads to.

use super::{ConnectContext, core};
use rand::seq::SliceRandom;
use serde_json::Value;
use std::sync::Arc;
use tinyplane_wire::status::{self, Reason, Status};

/// A pod behind a Service.
pub(super) struct Endpoint {
    pub(super) pod: Arc<Value>,
    pub(super) ip: String,
    pub(super) port: u16,
}

/// Chooses a ready pod behind a Service's port, given by name or number. `id` is what the client named.
///
/// # Errors
/// 404 without the Service, 503 without such a port or a pod behind it.
pub(super) async fn choose(
    context: &ConnectContext,
    namespace: Option<&str>,
    (name, port, id): (&str, &str, &str),
) -> status::Result<Endpoint> {
    let service = context.lookup.get(&core("services"), namespace, name).await?;
    let port = port_name(&service, name, port)?;
    let none = |about: &str| unavailable(format!("no endpoints available for service \"{about}\""));
    let endpoints = context.lookup.get(&core("endpoints"), namespace, name).await?;
    let subsets = endpoints["subsets"].as_array().map(Vec::as_slice).unwrap_or_default();
    if subsets.is_empty() {
        return Err(none(name));
    }
    let mut candidates: Vec<(&Value, u16)> = subsets.iter().flat_map(|subset| of_subset(subset, port)).collect();
    candidates.shuffle(&mut rand::rng());
    for (address, port) in candidates {
        let ip = address["ip"].as_str().unwrap_or_default();
        if let Some(pod) = pod_at(context, namespace, address, ip).await {
            return Ok(Endpoint { pod, ip: ip.to_owned(), port });
        }
    }
    Err(none(id))
}

/// The name of the port asked for; the empty name stands for the only one.
fn port_name<'a>(service: &'a Value, name: &str, asked: &'a str) -> status::Result<&'a str> {
    let Ok(number) = asked.parse::<i64>() else { return Ok(asked) };
    let ports = service["spec"]["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = ports.iter().find(|port| port["port"].as_i64() == Some(number));
    let told = || unavailable(format!("no service port {number} found for service \"{name}\""));
    Ok(found.ok_or_else(told)?["name"].as_str().unwrap_or_default())
}

fn of_subset<'a>(subset: &'a Value, port: &str) -> Vec<(&'a Value, u16)> {
    let ports = subset["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = ports.iter().find(|p| p["name"].as_str().unwrap_or_default() == port);
    let number = found.and_then(|p| p["port"].as_u64()).and_then(|n| u16::try_from(n).ok());
    let addresses = subset["addresses"].as_array().map(Vec::as_slice).unwrap_or_default();
    number.map(|number| addresses.iter().map(|address| (address, number)).collect()).unwrap_or_default()
}

/// The pod that an address is of. Addresses that are no pod's are not proxied to: anybody may write them.
async fn pod_at(context: &ConnectContext, namespace: Option<&str>, address: &Value, ip: &str) -> Option<Arc<Value>> {
    let target = &address["targetRef"];
    let same_namespace = target["namespace"].as_str().is_none_or(|found| Some(found) == namespace);
    if target["kind"] != "Pod" || !same_namespace {
        return None;
    }
    let pod = context.lookup.get(&core("pods"), namespace, target["name"].as_str()?).await.ok()?;
    let ips = pod["status"]["podIPs"].as_array().map(Vec::as_slice).unwrap_or_default();
    ips.iter().any(|found| found["ip"] == ip).then_some(pod)
}

fn unavailable(why: String) -> Box<Status> {
    Status::failure(Reason::ServiceUnavailable, why)
}
