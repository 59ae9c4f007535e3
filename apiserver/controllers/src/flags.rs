//! The flags of `tinyplane controllers`, named as kube-controller-manager's.

use crate::Config;
use crate::serving::{MANAGER_PORT, SCHEDULER_PORT};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use tinyplane_wire::net::ClusterNet;
use tinyplane_wire::process::MemberError;

/// Flags of the controllers.
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// Kubeconfig of the API server
    #[arg(long, value_name = "FILE")]
    kubeconfig: PathBuf,
    /// Kubeconfig of the scheduler, where it is another user than the controllers
    #[arg(long, value_name = "FILE")]
    scheduler_kubeconfig: Option<PathBuf>,
    /// Let each loop act as a service account of kube-system
    #[arg(long, value_name = "BOOL", default_value_t = false, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    use_service_account_credentials: bool,
    /// Root certificate that every namespace gets as ConfigMap kube-root-ca.crt
    #[arg(long, value_name = "FILE")]
    root_ca_file: Option<PathBuf>,
    /// Certificate of the authority that signs certificates
    #[arg(long, value_name = "FILE", requires = "cluster_signing_key_file")]
    cluster_signing_cert_file: Option<PathBuf>,
    /// Key of the authority that signs certificates
    #[arg(long, value_name = "FILE", requires = "cluster_signing_cert_file")]
    cluster_signing_key_file: Option<PathBuf>,
    /// Longest life of a certificate that is signed, such as 8760h
    #[arg(long, value_name = "DURATION", default_value = "8760h", value_parser = duration)]
    cluster_signing_duration: Duration,
    /// How many pods that have ended are kept; 0 for all
    #[arg(long, value_name = "N", default_value_t = 12_500)]
    terminated_pod_gc_threshold: usize,
    /// Where the control loops and the scheduler say how they are, over HTTPS
    #[arg(long, value_name = "IP", default_value = "0.0.0.0")]
    bind_address: IpAddr,
    /// The control loops' port there; 0 for none
    #[arg(long, value_name = "PORT", default_value_t = MANAGER_PORT)]
    secure_port: u16,
    /// The scheduler's port there; 0 for none
    #[arg(long, value_name = "PORT", default_value_t = SCHEDULER_PORT)]
    scheduler_secure_port: u16,
    /// Address to dial from
    #[arg(long, value_name = "IP")]
    source_address: Option<IpAddr>,
    /// Append to this file, as lines of JSON, the hops that begin here
    #[arg(long, value_name = "FILE")]
    ledger_file: Option<PathBuf>,
    /// Ranges of the cluster in the loopback network, as JSON
    #[arg(long, value_name = "JSON", default_value = "{}")]
    cluster_net: ClusterNet,
    /// How often nodes are looked at, such as 5s
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    node_monitor_period: Duration,
    /// How long a node may be silent before it counts as unreachable, such as 50s
    #[arg(long, value_name = "DURATION", default_value = "50s", value_parser = duration)]
    node_monitor_grace_period: Duration,
}

impl TryFrom<Flags> for Config {
    type Error = MemberError;

    fn try_from(flags: Flags) -> Result<Self, MemberError> {
        Ok(Self {
            kubeconfig: flags.kubeconfig,
            scheduler_kubeconfig: flags.scheduler_kubeconfig,
            use_service_account_credentials: flags.use_service_account_credentials,
            root_ca_file: flags.root_ca_file,
            cluster_signing_files: flags.cluster_signing_cert_file.zip(flags.cluster_signing_key_file),
            cluster_signing_duration: flags.cluster_signing_duration,
            terminated_pod_gc_threshold: flags.terminated_pod_gc_threshold,
            bind_address: flags.bind_address,
            secure_port: port(flags.secure_port),
            scheduler_secure_port: port(flags.scheduler_secure_port),
            source_address: flags.source_address,
            ledger_file: flags.ledger_file,
            cluster_net: flags.cluster_net,
            node_monitor_period: flags.node_monitor_period,
            node_monitor_grace_period: flags.node_monitor_grace_period,
        })
    }
}

const fn port(given: u16) -> Option<u16> {
    if given == 0 { None } else { Some(given) }
}

/// Reads a duration, or says what one looks like.
fn duration(text: &str) -> Result<Duration, String> {
    crate::duration::parse(text).ok_or_else(|| format!("{text:?} is no duration such as 5s, 1m30s or 250ms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_go_writes_them() {
        assert_eq!(duration("1m30.5s"), Ok(Duration::from_millis(90_500)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert!(duration("5").is_err() && duration("").is_err() && duration("5 apples").is_err());
    }
}
