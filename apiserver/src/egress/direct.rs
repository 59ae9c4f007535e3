//! Straight through TCP, from the API server's own address.

use std::net::IpAddr;
use tinyplane_wire::net::{ClusterNet, TcpDial};

/// Dials from the API server's source address, and knows the cluster's port aliases.
#[must_use]
pub fn dial(source: Option<IpAddr>, cluster_net: &ClusterNet) -> TcpDial {
    TcpDial::from(source).in_cluster(cluster_net.clone())
}
