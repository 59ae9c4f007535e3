//! The flags of `tinyplane kubelet`, named as upstream's where upstream has them.

use crate::{Config, NodeConfig};
use ipnet::IpNet;
use std::net::IpAddr;
use std::path::PathBuf;
use tinyplane_wire::net::{ClusterNet, Route};

/// Flags of the kubelet process.
#[derive(Clone, Debug, clap::Args)]
pub struct Flags {
    /// A node to play, as JSON: {"name", "address", "podRange", "kubeconfig", "tlsCertFile", "tlsPrivateKeyFile"} and,
    /// if wanted, "port", "sshHostKeyFile", "sshPort", "labels" and "taints". Repeated for each node.
    #[arg(long = "node", value_name = "JSON")]
    pub node: Vec<String>,
    /// A file with a JSON list of such nodes.
    #[arg(long, value_name = "FILE")]
    pub nodes_file: Option<PathBuf>,
    /// The authority whose certificates the servers on port 10250 believe.
    #[arg(long, value_name = "FILE")]
    pub client_ca_file: Option<PathBuf>,
    /// The ranges of the cluster, as JSON: {"controlPlane", "nodes", "pods", "services"}.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub cluster_net: ClusterNet,
    /// Accept connections from the node, pod and service ranges only.
    #[arg(long)]
    pub isolated: bool,
    /// Show bearer tokens to the API server, to learn whose they are.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub authentication_token_webhook: bool,
    /// Who decides what a caller may do: Webhook asks the API server.
    #[arg(long, value_name = "MODE", default_value = "Webhook", value_parser = ["Webhook", "AlwaysAllow"])]
    pub authorization_mode: String,
    /// Nameservers that pods are told of. Default: the tenth address of the service range.
    #[arg(long, value_name = "IP", value_delimiter = ',')]
    pub cluster_dns: Vec<IpAddr>,
    /// The domain of the cluster's names.
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
    pub cluster_domain: String,
    /// Credentials with which Services and EndpointSlices are watched. Default: the first node's.
    #[arg(long, value_name = "FILE")]
    pub proxy_kubeconfig: Option<PathBuf>,
    /// Serve SSH on each node that has a host key, to clients whose keys stand in this file: forwarding, and no shell.
    #[arg(long, value_name = "FILE")]
    pub ssh_authorized_keys_file: Option<PathBuf>,
    /// Append to this file, as lines of JSON, the hops that begin or end at nodes, pods and Services.
    #[arg(long, value_name = "FILE")]
    pub ledger_file: Option<PathBuf>,
    /// Take all addresses of this range as this machine's own, as those of pods and Services are; needs NET_ADMIN.
    #[arg(long, value_name = "RANGE")]
    pub local_route: Vec<IpNet>,
    /// Reach the pods of another node, which have addresses of this range, through it; needs NET_ADMIN.
    #[arg(long, value_name = "RANGE=NODE-IP", value_parser = route)]
    pub route: Vec<Route>,
}

/// Reads `RANGE=NODE-IP`.
fn route(text: &str) -> Result<Route, String> {
    let (range, gateway) = text.split_once('=').ok_or("it is a range, `=`, and the address of a node")?;
    Ok(Route::Via {
        range: range.parse().map_err(|error| format!("{range:?}: {error}"))?,
        gateway: gateway.parse().map_err(|error| format!("{gateway:?}: {error}"))?,
    })
}

/// Flags that make no configuration, in one sentence.
#[derive(Debug, thiserror::Error)]
pub enum FlagError {
    /// A node's JSON can't be read.
    #[error("--node is not a node's JSON: {0}")]
    Node(#[source] serde_json::Error),
    /// The file of nodes can't be opened.
    #[error("--nodes-file {path} can't be read: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file of nodes is no list of nodes.
    #[error("--nodes-file {path} is not a JSON list of nodes: {source}")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// There is nothing to play.
    #[error("there is no node to play: give --node or --nodes-file")]
    NoNodes,
    /// A name stands for one node only.
    #[error("two nodes are called {0:?}")]
    TwiceNamed(String),
}

impl TryFrom<Flags> for Config {
    type Error = FlagError;

    fn try_from(flags: Flags) -> Result<Self, FlagError> {
        let mut nodes = Vec::new();
        for text in &flags.node {
            nodes.push(serde_json::from_str::<NodeConfig>(text).map_err(FlagError::Node)?);
        }
        if let Some(path) = &flags.nodes_file {
            let text =
                std::fs::read_to_string(path).map_err(|source| FlagError::Read { path: path.clone(), source })?;
            let listed: Vec<NodeConfig> =
                serde_json::from_str(&text).map_err(|source| FlagError::Parse { path: path.clone(), source })?;
            nodes.extend(listed);
        }
        if nodes.is_empty() {
            return Err(FlagError::NoNodes);
        }
        let mut names = std::collections::HashSet::new();
        if let Some(twice) = nodes.iter().find(|node| !names.insert(&node.name)) {
            return Err(FlagError::TwiceNamed(twice.name.clone()));
        }
        let mut config = Self::new(nodes, flags.cluster_net);
        if !flags.cluster_dns.is_empty() {
            config.cluster_dns = flags.cluster_dns;
        }
        config.isolated = flags.isolated;
        config.client_ca_file = flags.client_ca_file;
        config.token_webhook = flags.authentication_token_webhook;
        config.authorization_webhook = flags.authorization_mode == "Webhook";
        config.cluster_domain = flags.cluster_domain;
        config.proxy_kubeconfig = flags.proxy_kubeconfig;
        config.ssh_authorized_keys_file = flags.ssh_authorized_keys_file;
        config.ledger_file = flags.ledger_file;
        config.routes = flags.local_route.into_iter().map(Route::Local).chain(flags.route).collect();
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        flags: Flags,
    }

    fn config(flags: &[&str]) -> Result<Config, String> {
        let all = ["kubelet"].iter().chain(flags);
        let command = Command::try_parse_from(all).map_err(|error| error.to_string())?;
        Config::try_from(command.flags).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_make_a_configuration_or_one_sentence() {
        let node = r#"{"name": "n", "address": "127.1.1.1", "podRange": "127.2.1.0/24", "kubeconfig": "k",
            "tlsCertFile": "c", "tlsPrivateKeyFile": "p"}"#;
        let net = r#"{"services":"127.3.0.0/16"}"#;
        let made = config(&["--node", node, "--cluster-net", net, "--authorization-mode", "AlwaysAllow"]).unwrap();
        assert_eq!((made.nodes.len(), made.authorization_webhook, made.token_webhook), (1, false, true));
        assert_eq!(made.cluster_dns[0].to_string(), "127.3.0.10");
        assert_eq!(config(&[]).unwrap_err(), "there is no node to play: give --node or --nodes-file");
        assert_eq!(config(&["--node", node, "--node", node]).unwrap_err(), "two nodes are called \"n\"");
        let routes = ["--node", node, "--route", "10.3.0.0/24=10.0.0.3", "--local-route", "10.2.0.0/24"];
        let told: Vec<String> = config(&routes).unwrap().routes.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["local 10.2.0.0/24", "10.3.0.0/24 via 10.0.0.3"]);
        assert!(config(&["--node", node, "--route", "10.3.0.0/24"]).unwrap_err().contains("the address of a node"));
        assert!(config(&["--node", "{}"]).unwrap_err().starts_with("--node is not a node's JSON"));
    }
}
