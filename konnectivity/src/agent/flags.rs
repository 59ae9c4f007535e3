//! The agent's flags, named as upstream's.

use super::Config;
use crate::TlsFiles;
use crate::flag_values::{bind_address, duration, id, port};
use crate::server::flags::OverflowFlag;
use clap::{ArgAction, Args};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use tinyplane_wire::net::ClusterNet;
use tinyplane_wire::process::MemberError;

/// Flags of the Konnectivity agent.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// Address or name of the server, or of what stands before several
    #[arg(long, default_value = "127.0.0.1")]
    proxy_server_host: String,
    /// Its port for agents
    #[arg(long, default_value_t = 8091)]
    proxy_server_port: u16,
    /// The agent's certificate
    #[arg(long)]
    agent_cert: PathBuf,
    /// Its private key
    #[arg(long)]
    agent_key: PathBuf,
    /// Authority of the server's certificate
    #[arg(long)]
    ca_cert: PathBuf,
    /// Protocols to offer in TLS before h2
    #[arg(long, value_delimiter = ',')]
    alpn_proto: Vec<String>,
    /// Name of this agent [env: PROXY_AGENT_ID] [default: a random one]
    #[arg(long)]
    agent_id: Option<String>,
    /// What it can reach, as key=value&key=value of ipv4, ipv6, host, cidr and default-route
    #[arg(long, default_value = "", value_parser = identifiers)]
    agent_identifiers: String,
    /// The longest first wait before it connects again
    #[arg(long, value_parser = duration, default_value = "1s")]
    sync_interval: Duration,
    /// The longest wait before it connects again
    #[arg(long, value_parser = duration, default_value = "10s")]
    sync_interval_cap: Duration,
    /// Look for further servers although as many are found as there are
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    sync_forever: bool,
    /// How often a silent server is asked whether it is there
    #[arg(long, value_parser = duration, default_value = "1h")]
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
    /// The cluster's addresses, as JSON (ours)
    #[arg(long)]
    cluster_net: Option<ClusterNet>,
    /// What happens to a slow endpoint behind a server that knows no flow control (ours)
    #[arg(long, value_enum, default_value = "close-slow")]
    overflow: OverflowFlag,
    /// Speak upstream's protocol and nothing more (ours)
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    plain_protocol: bool,
}

/// Keys that say what an agent can reach.
const IDENTIFIERS: [&str; 5] = ["ipv4", "ipv6", "host", "cidr", "default-route"];

fn identifiers(text: &str) -> Result<String, String> {
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let key = pair.split_once('=').map_or(pair, |(key, _)| key);
        if !IDENTIFIERS.contains(&key) {
            return Err(format!("{key:?} is none of {}", IDENTIFIERS.join(", ")));
        }
    }
    Ok(text.to_owned())
}

impl TryFrom<Flags> for Config {
    type Error = MemberError;

    fn try_from(flags: Flags) -> Result<Self, MemberError> {
        Ok(Self {
            server_host: flags.proxy_server_host,
            server_port: flags.proxy_server_port,
            tls: TlsFiles { certificate: flags.agent_cert, key: flags.agent_key, authority: flags.ca_cert },
            alpn: flags.alpn_proto.into_iter().filter(|protocol| protocol != "h2").collect(),
            agent_id: id(flags.agent_id, "PROXY_AGENT_ID"),
            agent_identifiers: flags.agent_identifiers,
            sync_interval: flags.sync_interval,
            sync_interval_cap: flags.sync_interval_cap,
            sync_forever: flags.sync_forever,
            keepalive: flags.keepalive_time,
            health: bind_address("health-server-host", &flags.health_server_host, flags.health_server_port)?,
            admin: bind_address("admin-bind-address", &flags.admin_bind_address, flags.admin_server_port)?,
            source: flags.source_address,
            cluster_net: flags.cluster_net.unwrap_or_default(),
            overflow: flags.overflow.into(),
            plain: flags.plain_protocol,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
}
