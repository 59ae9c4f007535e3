//! What should listen for a Service, as pure data.

use crate::cluster::{Cluster, list};
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tinyplane_wire::meta::Meta;

/// How long a client stays with its endpoint unless the Service says otherwise.
const AFFINITY_SECONDS: u64 = 10_800;

/// One address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) at: SocketAddr,
    /// Never empty.
    pub(super) backends: Vec<SocketAddr>,
    /// How long a client stays with its endpoint (`sessionAffinity: ClientIP`).
    pub(super) affinity: Option<Duration>,
}

/// All TCP addresses of a Service that have a ready endpoint.
pub(super) fn ports(service: &Value, cluster: &Cluster, nodes: &[IpAddr]) -> Vec<Port> {
    let (meta, spec) = (Meta::of(service), &service["spec"]);
    let affinity = (spec["sessionAffinity"] == "ClientIP").then(|| {
        let seconds = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"].as_u64();
        Duration::from_secs(seconds.unwrap_or(AFFINITY_SECONDS))
    });
    let cluster_ips: Vec<IpAddr> = match list(&spec["clusterIPs"]).next() {
        Some(_) => list(&spec["clusterIPs"]).filter_map(|ip| ip.as_str()?.parse().ok()).collect(),
        None => spec["clusterIP"].as_str().and_then(|ip| ip.parse().ok()).into_iter().collect(),
    };
    let external = list(&spec["externalIPs"]).filter_map(|ip| ip.as_str()?.parse::<IpAddr>().ok());
    // Only addresses of this cluster are ours to listen on.
    let addresses: Vec<IpAddr> =
        cluster_ips.into_iter().chain(external.filter(|ip| cluster.net.contains(*ip))).collect();
    let mut ports = Vec::new();
    for port in list(&spec["ports"]).filter(|port| port["protocol"].as_str().unwrap_or("TCP") == "TCP") {
        let name = port["name"].as_str().unwrap_or_default();
        let backends: Vec<SocketAddr> =
            cluster.backends(meta.namespace(), meta.name(), name).into_iter().map(|b| b.address).collect();
        if backends.is_empty() {
            continue;
        }
        let number = |field: &str| port[field].as_u64().and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0);
        let of_service =
            number("port").into_iter().flat_map(|n| addresses.iter().map(move |ip| SocketAddr::new(*ip, n)));
        let of_nodes = number("nodePort").into_iter().flat_map(|n| nodes.iter().map(move |ip| SocketAddr::new(*ip, n)));
        ports.extend(of_service.chain(of_nodes).map(|at| Port { at, backends: backends.clone(), affinity }));
    }
    ports
}
