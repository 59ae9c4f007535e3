//! What a kubelet process is told at its start.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use tinyplane_wire::net::{ClusterNet, Route};

/// Settings of the process.
#[derive(Clone, Debug)]
pub struct Config {
    /// The nodes that it plays.
    pub nodes: Vec<NodeConfig>,
    /// The cluster's addresses. Empty with real ones.
    pub cluster_net: ClusterNet,
    /// Nodes, pods and Services accept only connections from nodes, pods and Services.
    pub isolated: bool,
    /// Who signs the certificates of the server's clients (PEM file). `None`: no certificate is believed.
    pub client_ca_file: Option<PathBuf>,
    /// Bearer tokens are shown to the API server (`TokenReview`).
    pub token_webhook: bool,
    /// Callers are judged by the API server (`SubjectAccessReview`); otherwise everybody who is known may do all.
    pub authorization_webhook: bool,
    /// Nameservers that pods are told of.
    pub cluster_dns: Vec<IpAddr>,
    /// The domain of the cluster's names.
    pub cluster_domain: String,
    /// Credentials of the service proxy. `None`: the first node's.
    pub proxy_kubeconfig: Option<PathBuf>,
    /// Whose keys the nodes' SSH servers let in, lines as of OpenSSH's `authorized_keys`. `None`: nobody's.
    pub ssh_authorized_keys_file: Option<PathBuf>,
    /// Where the hops are written down that begin or end at nodes, pods and Services. `None`: nowhere.
    pub ledger_file: Option<PathBuf>,
    /// Routes that are set at the start: where addresses are real ones, those of pods and Services are this machine's
    /// own, and those of other nodes' pods lie behind their nodes.
    pub routes: Vec<Route>,
}

/// Settings of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeConfig {
    /// The node's name.
    pub name: String,
    /// Its own address: where its server listens, and where its connections come from.
    pub address: IpAddr,
    /// The port of its server.
    #[serde(default = "kubelet_port")]
    pub port: u16,
    /// The range of its pods' addresses.
    pub pod_range: IpNet,
    /// Its credentials for the API server.
    pub kubeconfig: PathBuf,
    /// Its server's certificate.
    pub tls_cert_file: PathBuf,
    /// And the key to it.
    pub tls_private_key_file: PathBuf,
    /// The key by which its SSH server proves itself. Without it there is no such server.
    #[serde(default)]
    pub ssh_host_key_file: Option<PathBuf>,
    /// The port of its SSH server.
    #[serde(default = "ssh_port")]
    pub ssh_port: u16,
    /// Labels that it registers with.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Taints that it registers with.
    #[serde(default)]
    pub taints: Vec<Taint>,
}

/// The port of a kubelet's server unless told otherwise.
const fn kubelet_port() -> u16 {
    10_250
}

/// The port of an SSH server unless told otherwise.
const fn ssh_port() -> u16 {
    22
}

/// A taint that a node registers with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value, or nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

impl Config {
    /// Settings for nodes of a cluster, with everything else as it is best kept: every caller known and judged.
    #[must_use]
    pub fn new(nodes: Vec<NodeConfig>, cluster_net: ClusterNet) -> Self {
        Self {
            nodes,
            cluster_dns: cluster_net.services.and_then(cluster_dns).into_iter().collect(),
            cluster_net,
            isolated: false,
            client_ca_file: None,
            token_webhook: true,
            authorization_webhook: true,
            cluster_domain: "cluster.local".into(),
            proxy_kubeconfig: None,
            ssh_authorized_keys_file: None,
            ledger_file: None,
            routes: Vec::new(),
        }
    }
}

/// The tenth address of the service range, where cluster DNS is by custom.
fn cluster_dns(services: IpNet) -> Option<IpAddr> {
    match services {
        IpNet::V4(range) => Some(IpAddr::V4(u32::from(range.network()).checked_add(10)?.into())),
        IpNet::V6(range) => Some(IpAddr::V6(u128::from(range.network()).checked_add(10)?.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_read_with_its_defaults() {
        let text = r#"{"name": "n", "address": "127.1.1.1", "podRange": "127.2.1.0/24", "kubeconfig": "k",
            "tlsCertFile": "c", "tlsPrivateKeyFile": "p"}"#;
        let node: NodeConfig = serde_json::from_str(text).unwrap();
        assert_eq!((node.port, node.taints.len()), (10_250, 0));
        let net = ClusterNet { services: "127.3.0.0/16".parse().ok(), ..ClusterNet::default() };
        assert_eq!(Config::new(vec![node], net).cluster_dns, ["127.3.0.10".parse::<IpAddr>().unwrap()]);
    }
}
