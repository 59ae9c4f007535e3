//! `ClusterNet`: which addresses of the loopback network one cluster has, and what lies where.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// The ranges of one cluster in 127.0.0.0/8. Empty ranges mean real addresses (containers), for which nothing is
/// excepted from upstream's address checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterNet {
    /// API server, controllers, Konnectivity servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_plane: Option<IpNet>,
    /// Nodes and their agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<IpNet>,
    /// Pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<IpNet>,
    /// `ClusterIP`s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<IpNet>,
    /// A relay by whose way nodes, pods and Services are dialled ([`super::detour`]); without one, nobody is between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<SocketAddr>,
}

/// A text that is no `ClusterNet`.
#[derive(Debug, thiserror::Error)]
#[error("a cluster net is JSON with the ranges controlPlane, nodes, pods and services, and perhaps a relay")]
pub struct ClusterNetError(#[from] serde_json::Error);

impl ClusterNet {
    /// True when an address is a node, a pod or a Service of this cluster: the sole exception to the rule that
    /// endpoints and proxies refuse the loopback network. The control plane's own addresses stay refused.
    #[must_use]
    pub fn excepts(&self, address: IpAddr) -> bool {
        [self.nodes, self.pods, self.services].into_iter().flatten().any(|net| net.contains(&address))
    }

    /// True when an address is in any range of this cluster.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.excepts(address) || self.control_plane.is_some_and(|net| net.contains(&address))
    }
}

impl FromStr for ClusterNet {
    type Err = ClusterNetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(serde_json::from_str(text)?)
    }
}

impl std::fmt::Display for ClusterNet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| std::fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_plane_is_not_excepted() {
        let net: ClusterNet = r#"{"controlPlane":"127.9.0.0/24","nodes":"127.9.1.0/24"}"#.parse().unwrap();
        assert!(net.excepts("127.9.1.7".parse().unwrap()));
        assert!(!net.excepts("127.9.0.1".parse().unwrap()));
        assert!(net.contains("127.9.0.1".parse().unwrap()));
        assert_eq!(net.to_string().parse::<ClusterNet>().unwrap(), net);
        assert!(!ClusterNet::default().contains("127.0.0.1".parse().unwrap()));
    }
}
