//! The agent's flags, named as upstream's.

use super::{Config, CountSource, Leases};
use crate::flag_values::{Unused, bind_address, boolean, duration, file, id, pair, port};
use crate::identifiers::check;
use crate::server::flags::OverflowFlag;
use crate::{TlsFiles, leases};
use clap::{ArgAction, Args};
use std::net::IpAddr;
use std::time::Duration;
use tinyplane_wire::net::ClusterNet;
use tinyplane_wire::process::MemberError;

/// No shorter time is taken of gRPC's clients.
const KEEPALIVE_LEAST: Duration = Duration::from_secs(10);

/// Flags of the Konnectivity agent.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// Address or name of the server, or of what stands before several
    #[arg(long, default_value = "127.0.0.1")]
    proxy_server_host: String,
    /// Its port for agents
    #[arg(long, default_value_t = 8091)]
    proxy_server_port: u16,
    /// The agent's certificate, where it shows one
    #[arg(long, default_value = "")]
    agent_cert: String,
    /// Its private key
    #[arg(long, default_value = "")]
    agent_key: String,
    /// Authority of the server's certificate
    #[arg(long, default_value = "")]
    ca_cert: String,
    /// A service account's token to show, read again at each connect
    #[arg(long, default_value = "")]
    service_account_token_path: String,
    /// Protocols to offer in TLS before h2
    #[arg(long, value_delimiter = ',')]
    alpn_proto: Vec<String>,
    /// Name of this agent [env: PROXY_AGENT_ID] [default: a random one]
    #[arg(long)]
    agent_id: Option<String>,
    /// What it can reach, as key=value&key=value of ipv4, ipv6, host, cidr and default-route
    #[arg(long, default_value = "", value_parser = check)]
    agent_identifiers: String,
    /// The longest first wait before it connects again
    #[arg(long, value_parser = duration, allow_negative_numbers = true, default_value = "1s")]
    sync_interval: Duration,
    /// The longest wait before it connects again
    #[arg(long, value_parser = duration, allow_negative_numbers = true, default_value = "10s")]
    sync_interval_cap: Duration,
    /// Look for further servers although as many are found as there are
    #[arg(long, default_value_t = false, action = ArgAction::Set, value_parser = boolean, num_args = 0..=1, default_missing_value = "true")]
    sync_forever: bool,
    /// How often upstream's agent looks whether its connections are ready; this one learns that at once
    #[arg(long, value_parser = duration, allow_negative_numbers = true, default_value = "1s", hide = true)]
    probe_interval: Duration,
    /// Count servers by their leases
    #[arg(long, default_value_t = false, action = ArgAction::Set, value_parser = boolean, num_args = 0..=1, default_missing_value = "true")]
    count_server_leases: bool,
    /// Namespace of the leases
    #[arg(long, default_value = leases::NAMESPACE)]
    lease_namespace: String,
    /// Labels by which the leases are found
    #[arg(long, alias = "lease-label", default_value = leases::LABEL)]
    lease_label_selector: String,
    /// By what servers are counted: leases or else their own word, or whichever says more
    #[arg(long, default_value = "default", value_parser = count_source)]
    server_count_source: CountSource,
    /// How the API server is reached, for leases
    #[arg(long, default_value = "")]
    kubeconfig: String,
    /// How often a silent server is asked whether it is there
    #[arg(long, value_parser = duration, allow_negative_numbers = true, default_value = "1h")]
    keepalive_time: Duration,
    /// Address of /healthz, /readyz and /metrics; empty for all
    #[arg(long, default_value = "")]
    health_server_host: String,
    /// Its port
    #[arg(long, value_parser = port, default_value = "8093")]
    health_server_port: u16,
    /// Address of the operator's /metrics
    #[arg(long, default_value = "127.0.0.1")]
    admin_bind_address: String,
    /// Its port
    #[arg(long, value_parser = port, default_value = "8094")]
    admin_server_port: u16,
    /// Address to dial from (ours)
    #[arg(long)]
    source_address: Option<IpAddr>,
    /// Append to this file, as lines of JSON, the hops that begin or end here
    #[arg(long, value_name = "FILE")]
    ledger_file: Option<std::path::PathBuf>,
    /// The cluster's addresses, as JSON (ours)
    #[arg(long)]
    cluster_net: Option<ClusterNet>,
    /// What happens to a slow endpoint behind a server that knows no flow control (ours)
    #[arg(long, value_enum, default_value = "close-slow")]
    overflow: OverflowFlag,
    /// Speak upstream's protocol and nothing more (ours)
    #[arg(long, default_value_t = false, action = ArgAction::Set, value_parser = boolean, num_args = 0..=1, default_missing_value = "true")]
    plain_protocol: bool,
    #[command(flatten)]
    unused: Unused,
}

fn count_source(text: &str) -> Result<CountSource, String> {
    match text {
        "" | "default" => Ok(CountSource::Single),
        "max" => Ok(CountSource::Largest),
        _ => Err("it is one of '', 'default' and 'max'".into()),
    }
}

impl TryFrom<Flags> for Config {
    type Error = MemberError;

    fn try_from(flags: Flags) -> Result<Self, MemberError> {
        flags.unused.check()?;
        if flags.sync_interval > flags.sync_interval_cap {
            return Err(MemberError::new("--sync-interval is longer than --sync-interval-cap"));
        }
        if flags.ca_cert.is_empty() {
            return Err(MemberError::new("--ca-cert is needed: the system's authorities are not taken"));
        }
        Ok(Self {
            leases: leases_in(&flags)?,
            count_source: flags.server_count_source,
            server_host: flags.proxy_server_host,
            server_port: flags.proxy_server_port,
            tls: TlsFiles {
                pair: pair("agent", &flags.agent_cert, &flags.agent_key)?,
                authority: file(&flags.ca_cert),
            },
            token_file: file(&flags.service_account_token_path),
            alpn: flags.alpn_proto.into_iter().filter(|protocol| !["", "h2"].contains(&protocol.as_str())).collect(),
            agent_id: id(flags.agent_id, "PROXY_AGENT_ID"),
            agent_identifiers: flags.agent_identifiers,
            sync_interval: flags.sync_interval,
            sync_interval_cap: flags.sync_interval_cap,
            sync_forever: flags.sync_forever,
            keepalive: flags.keepalive_time.max(KEEPALIVE_LEAST),
            health: bind_address("health-server-host", &flags.health_server_host, flags.health_server_port)?,
            admin: bind_address("admin-bind-address", &flags.admin_bind_address, flags.admin_server_port)?,
            source: flags.source_address,
            ledger_file: flags.ledger_file,
            cluster_net: flags.cluster_net.unwrap_or_default(),
            overflow: flags.overflow.into(),
            plain: flags.plain_protocol,
        })
    }
}

fn leases_in(flags: &Flags) -> Result<Option<Leases>, MemberError> {
    if !flags.count_server_leases {
        return Ok(None);
    }
    let kubeconfig =
        file(&flags.kubeconfig).ok_or_else(|| MemberError::new("--count-server-leases needs --kubeconfig"))?;
    let (namespace, selector) = (flags.lease_namespace.clone(), flags.lease_label_selector.clone());
    Ok(Some(Leases { kubeconfig, namespace, selector }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flag_values::tests::unknown;
    use clap::{Command, FromArgMatches};

    fn parse(text: &str) -> Result<Config, String> {
        let command = Flags::augment_args(Command::new("agent").no_binary_name(true));
        let matches = command.try_get_matches_from(text.split_whitespace()).map_err(|e| e.to_string())?;
        let flags = Flags::from_arg_matches(&matches).map_err(|e| e.to_string())?;
        Config::try_from(flags).map_err(|e| e.told())
    }

    const TLS: &str = "--agent-cert=c --agent-key=k --ca-cert=a";

    #[test]
    fn the_defaults_are_upstreams() {
        let config = parse(TLS).unwrap();
        assert_eq!((config.server_host.as_str(), config.server_port), ("127.0.0.1", 8091));
        assert_eq!((config.health.port(), config.admin.to_string()), (8093, "127.0.0.1:8094".into()));
        assert_eq!(config.sync_interval_cap, Duration::from_secs(10));
    }

    #[test]
    fn identifiers_that_nobody_knows_are_refused() {
        let told = "--agent-identifiers=host=a&ipv4=1.2.3.4&default-route=true";
        assert!(parse(&format!("{TLS} {told}")).unwrap().agent_identifiers.contains("default-route"));
        assert!(parse(&format!("{TLS} --agent-identifiers=name=a")).is_err());
        assert!(parse("").is_err());
    }

    #[test]
    fn every_flag_in_upstreams_help_is_known() {
        let command = Flags::augment_args(Command::new("agent"));
        assert_eq!(unknown(&command, include_str!("upstream_flags.txt")), Vec::<&str>::new());
    }

    #[test]
    fn every_flag_of_upstream_is_taken() {
        let all = "--agent-cert=c --agent-key=k --ca-cert=a --proxy-server-host=h --proxy-server-port=8091 \
            --alpn-proto=x,y --health-server-host=127.0.0.1 --health-server-port=8093 --admin-server-port=8094 \
            --admin-bind-address=127.0.0.1 --enable-profiling=true --enable-contention-profiling=true --agent-id=a \
            --sync-interval=1s --probe-interval=1s --sync-interval-cap=10s --keepalive-time=1h \
            --service-account-token-path=/t --agent-identifiers=ipv4=1.2.3.4&cidr=10.0.0.0/8 \
            --warn-on-channel-limit=false --sync-forever=true --xfr-channel-size=150 --count-server-leases=true \
            --lease-namespace=n --lease-label=a=b --server-count-source=max --kubeconfig=/k \
            --kube-api-content-type=application/json --logtostderr=true --stderrthreshold=2 --vmodule=a=1";
        let config = parse(all).unwrap();
        assert_eq!(config.leases.unwrap().selector, "a=b");
        assert_eq!((config.count_source, config.sync_forever), (CountSource::Largest, true));
        assert_eq!(config.token_file, Some("/t".into()));
    }

    #[test]
    fn values_are_taken_as_upstream_takes_them() {
        let config = |more| parse(&format!("{TLS} {more}")).unwrap();
        assert_eq!(config("--server-count-source=").count_source, CountSource::Single);
        assert_eq!(config("--alpn-proto=x,y --alpn-proto= --alpn-proto=z").alpn, ["x", "y", "z"]);
        assert_eq!(config("--keepalive-time=-1s").keepalive, KEEPALIVE_LEAST);
        assert!(config("--sync-forever=1").sync_forever && !config("--sync-forever=F").sync_forever);
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        for wrong in [
            "--agent-cert=c --ca-cert=a",
            "--ca-cert=a --sync-interval=20s",
            "--ca-cert=a --count-server-leases",
            "--ca-cert=a --enable-contention-profiling=true",
            "--ca-cert=a --server-count-source=min",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse("--ca-cert=a").unwrap().tls.pair.is_none());
    }
}
