//! The flags of `tinyplane apiserver`, named as kube-apiserver's.

mod audit;

use crate::admission::Choice;
use crate::config::{AuthorizationMode, Config, Storage};
use crate::egress::{ComponentAddresses, NodeConfig, SshConfig};
use crate::flow_control::Limits;
use clap::{ArgAction, ValueEnum};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use tinyplane_wire::clock::duration_flag;
use tinyplane_wire::net::ClusterNet;
use tinyplane_wire::process::MemberError;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Store {
    Memory,
    Sled,
}

/// Flags of the API server.
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// Address to listen on
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    bind_address: IpAddr,
    /// Port to listen on; another is taken and told where this one is in use
    #[arg(long, value_name = "PORT", default_value_t = 6443)]
    secure_port: u16,
    /// Address that is told to others [default: that of --bind-address]
    #[arg(long, value_name = "IP")]
    advertise_address: Option<IpAddr>,
    /// Certificate chain of the server, PEM
    #[arg(long, value_name = "FILE")]
    tls_cert_file: PathBuf,
    /// Private key of the server, PEM
    #[arg(long, value_name = "FILE")]
    tls_private_key_file: PathBuf,
    /// Authorities of client certificates, PEM
    #[arg(long, value_name = "FILE")]
    client_ca_file: Option<PathBuf>,
    /// Tokens and who they stand for, lines of token,user,uid,"group1,group2"
    #[arg(long, value_name = "FILE")]
    token_auth_file: Option<PathBuf>,
    /// Let callers without credentials in as system:anonymous
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    anonymous_auth: bool,
    /// Authorizers, of Node, RBAC and AlwaysAllow
    #[arg(long, value_name = "MODES", value_delimiter = ',', default_value = "Node,RBAC", value_parser = mode)]
    authorization_mode: Vec<AuthorizationMode>,
    /// Key that verifies service account tokens, PEM; may be given several times
    #[arg(long, value_name = "FILE")]
    service_account_key_file: Vec<PathBuf>,
    /// Key that signs service account tokens, PEM
    #[arg(long, value_name = "FILE")]
    service_account_signing_key_file: Option<PathBuf>,
    /// Issuer of service account tokens
    #[arg(long, value_name = "URL", default_value = "https://kubernetes.default.svc.cluster.local")]
    service_account_issuer: String,
    /// Audiences of tokens that the server takes [default: the issuer]
    #[arg(long, value_name = "AUDIENCES", value_delimiter = ',')]
    api_audiences: Vec<String>,
    /// Range of the Services' addresses
    #[arg(long, value_name = "CIDR", default_value = "10.96.0.0/12")]
    service_cluster_ip_range: IpNet,
    /// Range of the Services' node ports
    #[arg(long, value_name = "FROM-TO", default_value = "30000-32767", value_parser = ports)]
    service_node_port_range: RangeInclusive<u16>,
    /// Certificate for kubelets, PEM
    #[arg(long, value_name = "FILE", requires = "kubelet_client_key")]
    kubelet_client_certificate: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "kubelet_client_certificate")]
    kubelet_client_key: Option<PathBuf>,
    /// Authority of the kubelets' certificates, PEM
    #[arg(long, value_name = "FILE")]
    kubelet_certificate_authority: Option<PathBuf>,
    /// Which of a node's addresses is taken, the first type that it has
    #[arg(long, value_name = "TYPES", value_delimiter = ',', default_value = "InternalIP,ExternalIP,Hostname")]
    kubelet_preferred_address_types: Vec<String>,
    /// Admission plugins to turn on beside those that are on by default
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    enable_admission_plugins: Vec<String>,
    /// Admission plugins to turn off that are on by default
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    disable_admission_plugins: Vec<String>,
    /// Reading requests that run at once; with priority and fairness, added to those that change something
    #[arg(long, value_name = "COUNT", default_value_t = 400)]
    max_requests_inflight: u32,
    /// Changing requests that run at once; with priority and fairness, added to those that read
    #[arg(long, value_name = "COUNT", default_value_t = 200)]
    max_mutating_requests_inflight: u32,
    /// Share what runs at once by FlowSchemas and PriorityLevelConfigurations
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    enable_priority_and_fairness: bool,
    /// How long a request may take, unless it lasts as long as its caller wants
    #[arg(long, value_name = "DURATION", default_value = "1m0s", value_parser = duration)]
    request_timeout: Duration,
    #[command(flatten)]
    audit: audit::AuditFlags,
    /// Which way leads to the cluster, an EgressSelectorConfiguration; straight, without it
    #[arg(long, value_name = "FILE")]
    egress_selector_config_file: Option<PathBuf>,
    /// Reach the cluster through SSH tunnels to the nodes, as this user
    #[arg(long, value_name = "USER", requires = "ssh_keyfile", conflicts_with = "egress_selector_config_file")]
    ssh_user: Option<String>,
    /// Key of the SSH tunnels; made, with its public half in FILE.pub, where that is missing
    #[arg(long, value_name = "FILE", requires = "ssh_user")]
    ssh_keyfile: Option<PathBuf>,
    /// Keys of the nodes' SSH servers, as OpenSSH keeps them; without it every key is believed
    #[arg(long, value_name = "FILE", requires = "ssh_user")]
    ssh_known_hosts_file: Option<PathBuf>,
    /// Where kube-controller-manager is asked how it is, for its ComponentStatus
    #[arg(long, value_name = "IP:PORT", default_value_t = ComponentAddresses::default().controller_manager)]
    controller_manager_address: SocketAddr,
    /// Where kube-scheduler is asked how it is, for its ComponentStatus
    #[arg(long, value_name = "IP:PORT", default_value_t = ComponentAddresses::default().scheduler)]
    scheduler_address: SocketAddr,
    /// Where objects are kept
    #[arg(long, value_enum, default_value = "memory")]
    store: Store,
    /// Folder of the store on disk
    #[arg(long, value_name = "DIR", required_if_eq("store", "sled"))]
    store_dir: Option<PathBuf>,
    /// How far back changes can be watched from; 0 for as far as memory allows
    #[arg(long, value_name = "DURATION", default_value = "5m0s", value_parser = duration_flag)]
    etcd_compaction_interval: Duration,
    /// Ranges of the cluster in the loopback network, as JSON
    #[arg(long, value_name = "JSON", default_value = "{}")]
    cluster_net: ClusterNet,
    /// Address to dial from
    #[arg(long, value_name = "IP")]
    source_address: Option<IpAddr>,
    /// Append to this file, as lines of JSON, the hops that begin or end here
    #[arg(long, value_name = "FILE")]
    ledger_file: Option<PathBuf>,
}

impl TryFrom<Flags> for Config {
    type Error = MemberError;

    fn try_from(flags: Flags) -> Result<Self, MemberError> {
        let seats = u64::from(flags.max_requests_inflight) + u64::from(flags.max_mutating_requests_inflight);
        if flags.enable_priority_and_fairness && seats == 0 {
            return Err(MemberError::new(
                "--max-requests-inflight and --max-mutating-requests-inflight may not both be 0 with priority and fairness",
            ));
        }
        let storage = match (flags.store, flags.store_dir) {
            (Store::Memory, None) => Storage::Memory,
            (Store::Memory, Some(_)) => return Err(MemberError::new("--store-dir goes with --store sled")),
            (Store::Sled, Some(folder)) => Storage::Sled(folder),
            (Store::Sled, None) => return Err(MemberError::new("--store sled needs --store-dir")),
        };
        Ok(Self {
            bind: SocketAddr::new(flags.bind_address, flags.secure_port),
            advertise: flags.advertise_address,
            certificate_file: flags.tls_cert_file,
            key_file: flags.tls_private_key_file,
            client_authority_file: flags.client_ca_file,
            token_file: flags.token_auth_file,
            anonymous: flags.anonymous_auth,
            authorization: flags.authorization_mode,
            account_key_files: flags.service_account_key_file,
            account_signing_key_file: flags.service_account_signing_key_file,
            account_issuer: flags.service_account_issuer,
            audiences: flags.api_audiences,
            service_range: flags.service_cluster_ip_range,
            node_ports: flags.service_node_port_range,
            kubelets: NodeConfig {
                certificate_file: flags.kubelet_client_certificate,
                key_file: flags.kubelet_client_key,
                authority_file: flags.kubelet_certificate_authority,
                preferred_address_types: flags.kubelet_preferred_address_types,
            },
            admission: Choice::new(flags.enable_admission_plugins, flags.disable_admission_plugins)
                .map_err(MemberError::new)?,
            egress_file: flags.egress_selector_config_file,
            ssh: flags.ssh_user.zip(flags.ssh_keyfile).map(|(user, key_file)| SshConfig {
                user,
                key_file,
                known_hosts_file: flags.ssh_known_hosts_file,
            }),
            components: ComponentAddresses {
                controller_manager: flags.controller_manager_address,
                scheduler: flags.scheduler_address,
            },
            storage,
            compaction_interval: flags.etcd_compaction_interval,
            cluster_net: flags.cluster_net,
            source_address: flags.source_address,
            ledger_file: flags.ledger_file,
            audit: flags.audit.into(),
            request_limits: Limits {
                reading: flags.max_requests_inflight,
                mutating: flags.max_mutating_requests_inflight,
                fair: flags.enable_priority_and_fairness,
                // A request waits for its seat no longer than a quarter of its time, as upstream has it.
                wait_max: flags.request_timeout / 4,
            },
            request_timeout: flags.request_timeout,
        })
    }
}

fn mode(text: &str) -> Result<AuthorizationMode, String> {
    match text {
        "AlwaysAllow" => Ok(AuthorizationMode::AlwaysAllow),
        "Node" => Ok(AuthorizationMode::Node),
        "RBAC" => Ok(AuthorizationMode::Rbac),
        _ => Err(format!("{text:?} is none of the modes Node, RBAC and AlwaysAllow")),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let given = duration_flag(text)?;
    if given.is_zero() { Err("it may not be 0".to_owned()) } else { Ok(given) }
}

fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let range = text.split_once('-').and_then(|(from, to)| Some(from.parse().ok()?..=to.parse().ok()?));
    range.filter(|range| !range.is_empty()).ok_or_else(|| format!("{text:?} is no range of ports such as 30000-32767"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        flags: Flags,
    }

    fn parse(more: &[&str]) -> Result<Config, String> {
        let needed = ["apiserver", "--tls-cert-file", "c", "--tls-private-key-file", "k"];
        let program = Program::try_parse_from(needed.iter().chain(more)).map_err(|error| error.to_string())?;
        Config::try_from(program.flags).map_err(|error| error.told())
    }

    #[test]
    fn flags_read_as_upstreams() {
        let config = parse(&["--authorization-mode=RBAC", "--anonymous-auth=false", "--secure-port", "0"]).unwrap();
        assert_eq!(config.authorization, [AuthorizationMode::Rbac]);
        assert!(!config.anonymous);
        assert_eq!(config.bind, "127.0.0.1:0".parse().unwrap());
        assert_eq!(config.storage, Storage::Memory);
        assert_eq!(parse(&[]).unwrap().authorization, [AuthorizationMode::Node, AuthorizationMode::Rbac]);
    }

    #[test]
    fn a_wrong_flag_is_refused_with_a_sentence() {
        for wrong in [
            &["--authorization-mode=ABAC"][..],
            &["--store=sled"],
            &["--store-dir=d"],
            &["--service-node-port-range=9-1"],
            &["--cluster-net=nonsense"],
            &["--request-timeout=10"],
            &["--request-timeout=0"],
            &["--etcd-compaction-interval=often"],
            &["--max-requests-inflight=0", "--max-mutating-requests-inflight=0"],
            &["--enable-admission-plugins=Nonsense"],
            &["--kubelet-client-certificate=c"],
            &["--ssh-user=u"],
            &["--ssh-keyfile=f"],
            &["--ssh-user=u", "--ssh-keyfile=f", "--egress-selector-config-file=e"],
        ] {
            assert!(!parse(wrong).unwrap_err().is_empty(), "{wrong:?}");
        }
    }
}
