//! The server's flags, named as upstream's.

use super::{AgentTokens, Config, Frontend, Leases, Mode, Strategy};
use crate::flag_values::{Unused, bind_address, boolean, duration, file, id, pair, port};
use crate::{Overflow, TlsFiles, leases};
use clap::{ArgAction, Args, ValueEnum};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use tinyplane_wire::identity::tls::TlsLimits;
use tinyplane_wire::process::MemberError;

/// Flags of the Konnectivity server.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// What frontends speak: gRPC, or HTTP/1.1 CONNECT
    #[arg(long, value_enum, default_value = "grpc")]
    mode: ModeFlag,
    /// Unix socket for frontends; empty for TCP
    #[arg(long, default_value = "")]
    uds_name: String,
    /// Remove a file that is in the socket's place
    #[arg(long, default_value_t = true, action = ArgAction::Set, value_parser = boolean, num_args = 0..=1, default_missing_value = "true")]
    delete_existing_uds_file: bool,
    /// Port for frontends without a Unix socket [default: 8090]
    #[arg(long, value_parser = port)]
    server_port: Option<u16>,
    /// Address for frontends without a Unix socket; empty for all
    #[arg(long, default_value = "")]
    server_bind_address: String,
    /// Certificate that frontends see over TCP
    #[arg(long, default_value = "")]
    server_cert: String,
    /// Its private key
    #[arg(long, default_value = "")]
    server_key: String,
    /// Authority of the frontends' certificates
    #[arg(long, default_value = "")]
    server_ca_cert: String,
    /// Port for agents
    #[arg(long, value_parser = port, default_value = "8091")]
    agent_port: u16,
    /// Address for agents; empty for all
    #[arg(long, default_value = "")]
    agent_bind_address: String,
    /// Certificate that agents see
    #[arg(long, default_value = "")]
    cluster_cert: String,
    /// Its private key
    #[arg(long, default_value = "")]
    cluster_key: String,
    /// Authority of the agents' certificates. They are known by these or by tokens (--agent-namespace), and one of both
    /// is needed: without, upstream's server takes whoever comes for an agent
    #[arg(long, default_value = "")]
    cluster_ca_cert: String,
    /// Namespace of the agents' service account, where they show tokens
    #[arg(long, default_value = "")]
    agent_namespace: String,
    /// Name of the agents' service account
    #[arg(long, default_value = "")]
    agent_service_account: String,
    /// For whom the agents' tokens have to be meant
    #[arg(long, default_value = "")]
    authentication_audience: String,
    /// How the API server is reached, for tokens and leases
    #[arg(long, default_value = "")]
    kubeconfig: String,
    /// Requests a second to the API server; they are few here, and not limited
    #[arg(long, default_value_t = 0.0, hide = true)]
    kubeconfig_qps: f32,
    /// As --kubeconfig-qps
    #[arg(long, default_value_t = 0, hide = true)]
    kubeconfig_burst: i32,
    /// Address to dial the API server from (ours)
    #[arg(long)]
    source_address: Option<IpAddr>,
    /// Append to this file, as lines of JSON, the hops that begin or end here
    #[arg(long, value_name = "FILE")]
    ledger_file: Option<std::path::PathBuf>,
    /// How an agent is chosen: default, destHost, defaultRoute; the first that has one
    #[arg(long, default_value = "default", value_parser = strategies)]
    proxy_strategies: Strategies,
    /// Suites of TLS 1.2 that are taken; none are all that are safe
    #[arg(long, value_parser = suites)]
    cipher_suites: Vec<Suites>,
    /// Oldest TLS that is taken: VersionTLS12 or VersionTLS13
    #[arg(long, default_value = "", value_parser = tls_version)]
    tls_min_version: TlsVersion,
    /// Tell agents by a lease that this server is there, and take expired ones away
    #[arg(long, default_value_t = false, action = ArgAction::Set, value_parser = boolean, num_args = 0..=1, default_missing_value = "true")]
    enable_lease_controller: bool,
    /// Namespace of the leases
    #[arg(long, default_value = leases::NAMESPACE)]
    lease_namespace: String,
    /// Labels of the leases
    #[arg(long, default_value = leases::LABEL)]
    lease_label: String,
    /// Port of /healthz, /readyz and /metrics
    #[arg(long, value_parser = port, default_value = "8092")]
    health_port: u16,
    /// Address of the health port; empty for all
    #[arg(long, default_value = "")]
    health_bind_address: String,
    /// Port of the operator's /metrics
    #[arg(long, value_parser = port, default_value = "8095")]
    admin_port: u16,
    /// Address of the admin port
    #[arg(long, default_value = "127.0.0.1")]
    admin_bind_address: String,
    /// Name of this server [env: PROXY_SERVER_ID] [default: a random one]
    #[arg(long)]
    server_id: Option<String>,
    /// How many servers there are, which agents are told; they look for one where it is less
    #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
    server_count: i32,
    /// How often a silent agent is asked whether it is there
    #[arg(long, value_parser = duration, allow_negative_numbers = true, default_value = "1h")]
    keepalive_time: Duration,
    /// How often a silent frontend is asked whether it is there
    #[arg(long, value_parser = duration, allow_negative_numbers = true, default_value = "1h")]
    frontend_keepalive_time: Duration,
    /// How long a dial may take; 0 for as long as its frontend waits
    #[arg(long, value_parser = duration, allow_negative_numbers = true, default_value = "0")]
    backend_dial_timeout: Duration,
    /// How long connections may go on when the server is told to end
    #[arg(long, value_parser = duration, allow_negative_numbers = true, default_value = "0")]
    graceful_shutdown_timeout: Duration,
    /// What happens to a slow reader behind an agent that knows no flow control (ours)
    #[arg(long, value_enum, default_value = "close-slow")]
    overflow: OverflowFlag,
    /// Speak upstream's protocol and nothing more (ours)
    #[arg(long, default_value_t = false, action = ArgAction::Set, value_parser = boolean, num_args = 0..=1, default_missing_value = "true")]
    plain_protocol: bool,
    #[command(flatten)]
    unused: Unused,
}

/// Strategies in their order.
#[derive(Clone, Debug)]
struct Strategies(Vec<Strategy>);

fn strategies(text: &str) -> Result<Strategies, String> {
    let read: Result<Vec<_>, _> = text.split(',').filter(|word| !word.is_empty()).map(str::parse).collect();
    let mut read: Vec<Strategy> = read?;
    let mut seen = Vec::new();
    read.retain(|one| {
        !seen.contains(one) && {
            seen.push(*one);
            true
        }
    });
    if read.is_empty() { Err("proxy strategies cannot be empty".into()) } else { Ok(Strategies(read)) }
}

/// What one flag adds to the suites.
#[derive(Clone, Debug)]
struct Suites(Vec<String>);

fn suites(text: &str) -> Result<Suites, String> {
    let names: Vec<String> = if text.is_empty() { Vec::new() } else { text.split(',').map(str::to_owned).collect() };
    match names.iter().find(|name| !TlsLimits::knows(name)) {
        Some(unknown) => Err(format!("cipher suite {unknown} is not supported")),
        None => Ok(Suites(names)),
    }
}

/// Whether TLS 1.3 alone is taken.
#[derive(Clone, Copy, Debug)]
struct TlsVersion(bool);

/// What is older than 1.2 is not spoken here, whatever is allowed.
fn tls_version(text: &str) -> Result<TlsVersion, String> {
    match text {
        "" | "VersionTLS10" | "VersionTLS11" | "VersionTLS12" => Ok(TlsVersion(false)),
        "VersionTLS13" => Ok(TlsVersion(true)),
        _ => Err(format!("unknown tls version {text:?}")),
    }
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum ModeFlag {
    Grpc,
    HttpConnect,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
pub(crate) enum OverflowFlag {
    CloseSlow,
    Stall,
}

impl From<OverflowFlag> for Overflow {
    fn from(flag: OverflowFlag) -> Self {
        match flag {
            OverflowFlag::CloseSlow => Self::CloseSlow,
            OverflowFlag::Stall => Self::Stall,
        }
    }
}

impl TryFrom<Flags> for Config {
    type Error = MemberError;

    fn try_from(flags: Flags) -> Result<Self, MemberError> {
        flags.unused.check()?;
        let cluster = pair("cluster", &flags.cluster_cert, &flags.cluster_key)?;
        if cluster.is_none() {
            return Err(MemberError::new("--cluster-cert and --cluster-key are needed"));
        }
        let agent_tokens = tokens(&flags)?;
        if agent_tokens.is_none() && flags.cluster_ca_cert.is_empty() {
            let told =
                "agents are known by certificates (--cluster-ca-cert) or by tokens (--agent-namespace): say which";
            return Err(MemberError::new(told));
        }
        Ok(Self {
            mode: match flags.mode {
                ModeFlag::Grpc => Mode::Grpc,
                ModeFlag::HttpConnect => Mode::HttpConnect,
            },
            frontend: frontend(&flags)?,
            agents: bind_address("agent-bind-address", &flags.agent_bind_address, flags.agent_port)?,
            agent_tls: TlsFiles { pair: cluster, authority: file(&flags.cluster_ca_cert) },
            agent_tokens,
            tls_limits: TlsLimits {
                tls13_only: flags.tls_min_version.0,
                cipher_suites: flags.cipher_suites.iter().flat_map(|suites| suites.0.clone()).collect(),
            },
            leases: leases_in(&flags)?,
            kubeconfig: file(&flags.kubeconfig),
            source: flags.source_address,
            ledger_file: flags.ledger_file,
            strategies: flags.proxy_strategies.0,
            health: bind_address("health-bind-address", &flags.health_bind_address, flags.health_port)?,
            admin: bind_address("admin-bind-address", &flags.admin_bind_address, flags.admin_port)?,
            server_id: id(flags.server_id, "PROXY_SERVER_ID"),
            server_count: flags.server_count,
            keepalive: flags.keepalive_time,
            frontend_keepalive: flags.frontend_keepalive_time,
            backend_dial_timeout: Some(flags.backend_dial_timeout).filter(|limit| !limit.is_zero()),
            graceful_shutdown: flags.graceful_shutdown_timeout,
            overflow: flags.overflow.into(),
            plain: flags.plain_protocol,
        })
    }
}

fn tokens(flags: &Flags) -> Result<Option<AgentTokens>, MemberError> {
    let wanted = AgentTokens {
        namespace: flags.agent_namespace.clone(),
        service_account: flags.agent_service_account.clone(),
        audience: flags.authentication_audience.clone(),
    };
    let given = [&wanted.namespace, &wanted.service_account, &wanted.audience].map(|word| !word.is_empty());
    match given {
        [false, false, false] => Ok(None),
        [true, true, true] if !flags.cluster_ca_cert.is_empty() => {
            Err(MemberError::new("--cluster-ca-cert can not be used when agent authentication is enabled"))
        }
        [true, true, true] => Ok(Some(wanted)),
        _ => {
            let told = "--agent-namespace, --agent-service-account and --authentication-audience belong together";
            Err(MemberError::new(told))
        }
    }
}

fn leases_in(flags: &Flags) -> Result<Option<Leases>, MemberError> {
    if !flags.enable_lease_controller {
        return Ok(None);
    }
    let label = |pair: &str| pair.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
    let labels: Option<BTreeMap<_, _>> = flags.lease_label.split(',').map(label).collect();
    let labels = labels.ok_or_else(|| MemberError::new(format!("--lease-label={} is no label", flags.lease_label)))?;
    Ok(Some(Leases { namespace: flags.lease_namespace.clone(), labels }))
}

fn frontend(flags: &Flags) -> Result<Frontend, MemberError> {
    let (certificate, authority) =
        (pair("server", &flags.server_cert, &flags.server_key)?, file(&flags.server_ca_cert));
    if !flags.uds_name.is_empty() {
        if flags.server_port.is_some_and(|port| port != 0) {
            return Err(MemberError::new("--server-port has to be 0 where --uds-name is given"));
        }
        if certificate.is_some() || authority.is_some() {
            return Err(MemberError::new("a Unix socket takes no --server-cert, --server-key and --server-ca-cert"));
        }
        let path = flags.uds_name.clone().into();
        return Ok(Frontend::Unix { path, delete_existing: flags.delete_existing_uds_file });
    }
    if certificate.is_none() || authority.is_none() {
        let told = "without --uds-name, --server-cert, --server-key and --server-ca-cert are needed";
        return Err(MemberError::new(told));
    }
    let tls = TlsFiles { pair: certificate, authority };
    let at = bind_address("server-bind-address", &flags.server_bind_address, flags.server_port.unwrap_or(8090))?;
    Ok(Frontend::Tcp { at, tls })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flag_values::tests::unknown;
    use clap::{Command, FromArgMatches};

    fn parse(text: &str) -> Result<Config, String> {
        let command = Flags::augment_args(Command::new("server").no_binary_name(true));
        let matches = command.try_get_matches_from(text.split_whitespace()).map_err(|e| e.to_string())?;
        let flags = Flags::from_arg_matches(&matches).map_err(|e| e.to_string())?;
        Config::try_from(flags).map_err(|e| e.told())
    }

    const CLUSTER: &str = "--cluster-cert=c --cluster-key=k --cluster-ca-cert=a";

    #[test]
    fn a_socket_is_all_that_a_frontend_needs() {
        let config = parse(&format!("{CLUSTER} --uds-name=/run/k.sock --server-port=0 --mode=http-connect")).unwrap();
        assert_eq!(config.mode, Mode::HttpConnect);
        assert_eq!(config.frontend, Frontend::Unix { path: "/run/k.sock".into(), delete_existing: true });
        assert_eq!(config.agents.port(), 8091);
        assert_eq!(config.admin.to_string(), "127.0.0.1:8095");
        assert!(!config.server_id.is_empty());
    }

    #[test]
    fn tcp_needs_its_certificates() {
        assert!(parse(CLUSTER).unwrap_err().contains("--server-cert"));
        let tcp = "--server-cert=c --server-key=k --server-ca-cert=a --server-bind-address=127.0.0.9";
        let config = parse(&format!("{CLUSTER} {tcp}")).unwrap();
        assert!(matches!(config.frontend, Frontend::Tcp { at, .. } if at.to_string() == "127.0.0.9:8090"));
        assert!(parse(&format!("{CLUSTER} {tcp} --uds-name=/k")).is_err());
    }

    #[test]
    fn every_flag_in_upstreams_help_is_known() {
        let command = Flags::augment_args(Command::new("server"));
        assert_eq!(unknown(&command, include_str!("upstream_flags.txt")), Vec::<&str>::new());
    }

    #[test]
    fn every_flag_of_upstream_is_taken() {
        let all = "--cluster-cert=c --cluster-key=k --cluster-ca-cert= --mode=grpc --uds-name=/k.sock --server-port=0 \
            --delete-existing-uds-file=true --server-bind-address= --agent-port=8091 --agent-bind-address= \
            --admin-port=8095 --admin-bind-address=127.0.0.1 --health-port=8092 --health-bind-address= \
            --keepalive-time=1h --frontend-keepalive-time=1h --enable-profiling=true \
            --enable-contention-profiling=true --server-id=s --server-count=3 --agent-namespace=kube-system \
            --agent-service-account=konnectivity-agent --kubeconfig=/k --kubeconfig-qps=75 --kubeconfig-burst=150 \
            --kube-api-content-type=application/json --authentication-audience=system:konnectivity-server \
            --proxy-strategies=destHost,defaultRoute,default --tls-min-version=VersionTLS13 \
            --cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 --xfr-channel-size=10 \
            --enable-lease-controller=true --lease-namespace=kube-system --lease-label=k8s-app=x \
            --graceful-shutdown-timeout=10s --backend-dial-timeout=5s --warn-on-channel-limit=true --logtostderr=true";
        let config = parse(all).unwrap();
        assert_eq!(config.strategies, [Strategy::DestHost, Strategy::DefaultRoute, Strategy::Default]);
        assert_eq!(config.agent_tokens.unwrap().service_account, "konnectivity-agent");
        assert_eq!(config.leases.unwrap().labels["k8s-app"], "x");
        assert!(config.tls_limits.tls13_only && config.agent_tls.authority.is_none());
    }

    #[test]
    fn agents_are_known_by_certificates_or_by_tokens() {
        let tokens = "--agent-namespace=n --agent-service-account=s --authentication-audience=a";
        assert!(parse(&format!("{CLUSTER} --uds-name=/k {tokens}")).unwrap_err().contains("--cluster-ca-cert"));
        assert!(parse("--cluster-cert=c --cluster-key=k --uds-name=/k").unwrap_err().contains("--agent-namespace"));
        assert!(parse("--cluster-cert=c --cluster-key=k --uds-name=/k --agent-namespace=n").is_err());
    }

    #[test]
    fn values_are_taken_as_upstream_takes_them() {
        let config = |more| parse(&format!("{CLUSTER} --uds-name=/k {more}")).unwrap();
        assert!(config("--cipher-suites=").tls_limits.cipher_suites.is_empty());
        let suites = ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"];
        let [first, second] = suites.map(|suite| format!("--cipher-suites={suite}"));
        let both = format!("{first} --cipher-suites= {second}");
        assert_eq!(config(&both).tls_limits.cipher_suites, suites);
        assert_eq!([config("--server-count=0"), config("--server-count=-1")].map(|one| one.server_count), [0, -1]);
        assert_eq!(config("--keepalive-time=-1s").keepalive, Duration::ZERO);
        assert_eq!(config("--backend-dial-timeout=-1s").backend_dial_timeout, None);
        assert!(config("--enable-lease-controller=T").leases.is_some());
        let Frontend::Unix { delete_existing, .. } = config("--delete-existing-uds-file=0").frontend else {
            unreachable!("it is a socket");
        };
        assert!(!delete_existing);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        assert!(parse("").is_err());
        for wrong in [
            "--proxy-strategies=any",
            "--cipher-suites=none",
            "--cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,",
            "--delete-existing-uds-file=yes",
            "--tls-min-version=1.3",
            "--agent-port=80",
            "--keepalive-time=soon",
            "--mode=ssh",
            "--admin-bind-address=here",
        ] {
            assert!(parse(&format!("{CLUSTER} --uds-name=/k {wrong}")).is_err(), "{wrong}");
        }
    }
}
