//! The server's flags, named as upstream's.

use super::{Config, Frontend, Mode};
use crate::flag_values::{bind_address, duration, id, port};
use crate::{Overflow, TlsFiles};
use clap::{ArgAction, Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;
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
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    delete_existing_uds_file: bool,
    /// Port for frontends without a Unix socket [default: 8090]
    #[arg(long, value_parser = port)]
    server_port: Option<u16>,
    /// Address for frontends without a Unix socket; empty for all
    #[arg(long, default_value = "")]
    server_bind_address: String,
    /// Certificate that frontends see over TCP
    #[arg(long)]
    server_cert: Option<PathBuf>,
    /// Its private key
    #[arg(long)]
    server_key: Option<PathBuf>,
    /// Authority of the frontends' certificates
    #[arg(long)]
    server_ca_cert: Option<PathBuf>,
    /// Port for agents
    #[arg(long, value_parser = port, default_value = "8091")]
    agent_port: u16,
    /// Address for agents; empty for all
    #[arg(long, default_value = "")]
    agent_bind_address: String,
    /// Certificate that agents see
    #[arg(long)]
    cluster_cert: PathBuf,
    /// Its private key
    #[arg(long)]
    cluster_key: PathBuf,
    /// Authority of the agents' certificates
    #[arg(long)]
    cluster_ca_cert: PathBuf,
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
    /// How many servers there are, which agents are told
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    server_count: u32,
    /// How often a silent agent is asked whether it is there
    #[arg(long, value_parser = duration, default_value = "1h")]
    keepalive_time: Duration,
    /// How often a silent frontend is asked whether it is there
    #[arg(long, value_parser = duration, default_value = "1h")]
    frontend_keepalive_time: Duration,
    /// How long a dial may take; 0 for as long as its frontend waits
    #[arg(long, value_parser = duration, default_value = "0")]
    backend_dial_timeout: Duration,
    /// How long connections may go on when the server is told to end
    #[arg(long, value_parser = duration, default_value = "0")]
    graceful_shutdown_timeout: Duration,
    /// What happens to a slow reader behind an agent that knows no flow control (ours)
    #[arg(long, value_enum, default_value = "close-slow")]
    overflow: OverflowFlag,
    /// Speak upstream's protocol and nothing more (ours)
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    plain_protocol: bool,
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
        Ok(Self {
            mode: match flags.mode {
                ModeFlag::Grpc => Mode::Grpc,
                ModeFlag::HttpConnect => Mode::HttpConnect,
            },
            frontend: frontend(&flags)?,
            agents: bind_address("agent-bind-address", &flags.agent_bind_address, flags.agent_port)?,
            agent_tls: TlsFiles {
                certificate: flags.cluster_cert,
                key: flags.cluster_key,
                authority: flags.cluster_ca_cert,
            },
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

fn frontend(flags: &Flags) -> Result<Frontend, MemberError> {
    let files = [&flags.server_cert, &flags.server_key, &flags.server_ca_cert];
    if !flags.uds_name.is_empty() {
        if flags.server_port.is_some_and(|port| port != 0) {
            return Err(MemberError::new("--server-port has to be 0 where --uds-name is given"));
        }
        if files.iter().any(|file| file.is_some()) {
            return Err(MemberError::new("a Unix socket takes no --server-cert, --server-key and --server-ca-cert"));
        }
        let path = flags.uds_name.clone().into();
        return Ok(Frontend::Unix { path, delete_existing: flags.delete_existing_uds_file });
    }
    let [Some(certificate), Some(key), Some(authority)] = files else {
        let told = "without --uds-name, --server-cert, --server-key and --server-ca-cert are needed";
        return Err(MemberError::new(told));
    };
    let tls = TlsFiles { certificate: certificate.clone(), key: key.clone(), authority: authority.clone() };
    let at = bind_address("server-bind-address", &flags.server_bind_address, flags.server_port.unwrap_or(8090))?;
    Ok(Frontend::Tcp { at, tls })
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn what_is_wrong_is_refused() {
        assert!(parse("").is_err());
        for wrong in ["--agent-port=80", "--keepalive-time=soon", "--mode=ssh", "--admin-bind-address=here"] {
            assert!(parse(&format!("{CLUSTER} --uds-name=/k {wrong}")).is_err(), "{wrong}");
        }
    }
}
