//! What the API server needs to know, as plain data.

mod told;

use crate::admission::Choice;
use crate::audit;
use crate::egress::{ComponentAddresses, NodeConfig, SshConfig};
use crate::flow_control::Limits;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use tinyplane_wire::net::ClusterNet;

/// Where objects are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In memory: gone with the process.
    Memory,
    /// In a sled database in this folder.
    Sled(PathBuf),
}

/// One of upstream's authorizers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorizationMode {
    /// Everybody may do everything.
    AlwaysAllow,
    /// Nodes may do what has to do with them.
    Node,
    /// Roles and bindings.
    Rbac,
}

/// The settings of an API server.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen (`--bind-address`, `--secure-port`). The port may turn out another one where it is taken.
    pub bind: SocketAddr,
    /// The address that is told to others (`--advertise-address`); that of `bind`, if it is not given.
    pub advertise: Option<IpAddr>,
    /// The server's certificate chain, PEM (`--tls-cert-file`).
    pub certificate_file: PathBuf,
    /// Its private key (`--tls-private-key-file`).
    pub key_file: PathBuf,
    /// The authorities of client certificates (`--client-ca-file`); without them no certificate counts.
    pub client_authority_file: Option<PathBuf>,
    /// Tokens and who they stand for (`--token-auth-file`).
    pub token_file: Option<PathBuf>,
    /// Whether callers without credentials are let in as `system:anonymous` (`--anonymous-auth`).
    pub anonymous: bool,
    /// The authorizers (`--authorization-mode`).
    pub authorization: Vec<AuthorizationMode>,
    /// Keys by which service account tokens are verified, PEM (`--service-account-key-file`); the public half of the
    /// signing key, if there are none.
    pub account_key_files: Vec<PathBuf>,
    /// The key that signs service account tokens (`--service-account-signing-key-file`).
    pub account_signing_key_file: Option<PathBuf>,
    /// Who issues them (`--service-account-issuer`).
    pub account_issuer: String,
    /// The audiences that the API server answers to (`--api-audiences`); its issuer, if there are none.
    pub audiences: Vec<String>,
    /// Where Services get their addresses from (`--service-cluster-ip-range`).
    pub service_range: IpNet,
    /// Where Services get their node ports from (`--service-node-port-range`).
    pub node_ports: RangeInclusive<u16>,
    /// How kubelets are reached (`--kubelet-client-certificate` and its companions).
    pub kubelets: NodeConfig,
    /// The admission plugins (`--enable-admission-plugins`, `--disable-admission-plugins`).
    pub admission: Choice,
    /// Which way leads to the cluster (`--egress-selector-config-file`); straight, if there is none.
    pub egress_file: Option<PathBuf>,
    /// SSH tunnels that lead to the cluster instead (`--ssh-user`, `--ssh-keyfile`, `--ssh-known-hosts-file`).
    pub ssh: Option<SshConfig>,
    /// Where the components are asked how they are (`--controller-manager-address`, `--scheduler-address`).
    pub components: ComponentAddresses,
    /// Where objects are kept (`--store`, `--store-dir`).
    pub storage: Storage,
    /// How far back changes can be watched from (`--etcd-compaction-interval`); zero for as far as memory allows.
    pub compaction_interval: Duration,
    /// Addresses of the cluster.
    pub cluster_net: ClusterNet,
    /// Address to dial from.
    pub source_address: Option<IpAddr>,
    /// Where the hops are written down that begin or end here (`--ledger-file`); `None` for nowhere.
    pub ledger_file: Option<PathBuf>,
    /// The audit log (`--audit-policy-file`, `--audit-log-path` and their companions); `None` for none.
    pub audit: Option<audit::Config>,
    /// How many requests run at once (`--max-requests-inflight` and its companions).
    pub request_limits: Limits,
    /// How long a call may take that is not long-running (`--request-timeout`).
    pub request_timeout: Duration,
}
