//! How flags spell their values, where that is Go's way.

use crate::PairFiles;
use clap::Args;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tinyplane_wire::clock::duration_flag;
use tinyplane_wire::process::MemberError;

/// The ports that upstream takes; 0, which is ours, lets the system choose.
const PORTS: std::ops::RangeInclusive<u16> = 1024..=49151;

/// A port in upstream's range.
pub(crate) fn port(text: &str) -> Result<u16, String> {
    let port = text.parse().map_err(|_| format!("{text:?} is no port"))?;
    if port == 0 || PORTS.contains(&port) {
        return Ok(port);
    }
    Err(format!("port {port} is not between {} and {}", PORTS.start(), PORTS.end()))
}

/// An address to listen on; an empty one is every address.
pub(crate) fn bind_address(flag: &str, host: &str, port: u16) -> Result<SocketAddr, MemberError> {
    let ip = match host {
        "" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        _ => host
            .parse()
            .map_err(|source| MemberError::because(format!("--{flag}={host} is no address"), Box::new(source)))?,
    };
    Ok(SocketAddr::new(ip, port))
}

/// A name from a flag, else from the environment, else a new one.
pub(crate) fn id(flag: Option<String>, variable: &str) -> String {
    let given = flag.or_else(|| std::env::var(variable).ok());
    given.filter(|id| !id.is_empty()).unwrap_or_else(|| uuid::Uuid::new_v4().to_string())
}

/// A file, unless its name is empty.
pub(crate) fn file(name: &str) -> Option<PathBuf> {
    Some(name).filter(|name| !name.is_empty()).map(PathBuf::from)
}

/// A certificate and its key: both, or neither.
pub(crate) fn pair(flag: &str, certificate: &str, key: &str) -> Result<Option<PairFiles>, MemberError> {
    match (file(certificate), file(key)) {
        (Some(certificate), Some(key)) => Ok(Some(PairFiles { certificate, key })),
        (None, None) => Ok(None),
        _ => Err(MemberError::new(format!("--{flag}-cert and --{flag}-key belong together"))),
    }
}

/// Yes or no, in all of the words that Go reads as one of them.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}

/// A duration. A negative one, which upstream takes as well, is none at all.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    match text.strip_prefix('-') {
        Some(rest) if !rest.starts_with('+') => duration_flag(rest).map(|_| Duration::ZERO),
        _ => duration_flag(text),
    }
}

/// Flags that upstream's programs have and that mean nothing here: they are taken, so that a command line may stay as
/// it is. There is no Go runtime to profile, no queue that is counted in packets, and nothing is written to log files.
/// The help shows none of them. (What klog spells with underscores, upstream's programs spell with hyphens; both are taken.)
#[derive(Args, Clone, Debug)]
pub(crate) struct Unused {
    #[arg(long, hide = true, value_parser = boolean, num_args = 0..=1, default_missing_value = "true")]
    enable_profiling: Option<bool>,
    #[arg(long, hide = true, value_parser = boolean, num_args = 0..=1, default_missing_value = "true")]
    enable_contention_profiling: Option<bool>,
    #[arg(long, hide = true, value_parser = boolean, num_args = 0..=1, default_missing_value = "true")]
    warn_on_channel_limit: Option<bool>,
    #[arg(long, hide = true, value_parser = clap::value_parser!(u32).range(1..))]
    xfr_channel_size: Option<u32>,
    #[arg(long, hide = true)]
    kube_api_content_type: Option<String>,
    #[arg(long, hide = true)]
    feature_gates: Option<String>,
    #[arg(long, alias = "add_dir_header", hide = true, value_parser = boolean, num_args = 0..=1, default_missing_value = "true")]
    add_dir_header: Option<bool>,
    #[arg(long, hide = true, value_parser = boolean, num_args = 0..=1, default_missing_value = "true")]
    alsologtostderr: Option<bool>,
    #[arg(long, hide = true, value_parser = boolean, num_args = 0..=1, default_missing_value = "true")]
    logtostderr: Option<bool>,
    #[arg(long, alias = "one_output", hide = true, value_parser = boolean, num_args = 0..=1, default_missing_value = "true")]
    one_output: Option<bool>,
    #[arg(long, alias = "skip_headers", hide = true, value_parser = boolean, num_args = 0..=1, default_missing_value = "true")]
    skip_headers: Option<bool>,
    #[arg(long, alias = "skip_log_headers", hide = true, value_parser = boolean, num_args = 0..=1, default_missing_value = "true")]
    skip_log_headers: Option<bool>,
    #[arg(long, alias = "log_backtrace_at", hide = true)]
    log_backtrace_at: Option<String>,
    #[arg(long, alias = "log_dir", hide = true)]
    log_dir: Option<String>,
    #[arg(long, alias = "log_file", hide = true)]
    log_file: Option<String>,
    #[arg(long, alias = "log_file_max_size", hide = true)]
    log_file_max_size: Option<u64>,
    #[arg(long, hide = true)]
    alsologtostderrthreshold: Option<String>,
    #[arg(long, hide = true, value_parser = boolean, num_args = 0..=1, default_missing_value = "true")]
    legacy_stderr_threshold_behavior: Option<bool>,
    #[arg(long, hide = true)]
    stderrthreshold: Option<String>,
    #[arg(long, hide = true)]
    vmodule: Option<String>,
}

impl Unused {
    /// What upstream refuses as well.
    pub(crate) fn check(&self) -> Result<(), MemberError> {
        if self.enable_contention_profiling == Some(true) && self.enable_profiling != Some(true) {
            let told = "if --enable-contention-profiling is set, --enable-profiling must also be set";
            return Err(MemberError::new(told));
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Those of the names that a command has no flag for.
    pub(crate) fn unknown<'n>(command: &clap::Command, names: &'n str) -> Vec<&'n str> {
        let takes = |arg: &clap::Arg, name: &str| {
            arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|others| others.contains(&name))
        };
        let is_unknown = |name: &&str| !command.get_arguments().any(|arg| takes(arg, name));
        names.split_whitespace().filter(is_unknown).collect()
    }

    #[test]
    fn ports_are_upstreams() {
        assert_eq!(port("8090"), Ok(8090));
        assert_eq!(port("0"), Ok(0));
        for wrong in ["80", "50000", "70000", "x", ""] {
            assert!(port(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn booleans_and_durations_are_read_as_go_reads_them() {
        for (text, read) in [("1", true), ("T", true), ("True", true), ("f", false), ("0", false), ("FALSE", false)] {
            assert_eq!(boolean(text), Ok(read));
        }
        for wrong in ["", "yes", "2", "tRUE"] {
            assert!(boolean(wrong).is_err(), "{wrong}");
        }
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("-1s"), Ok(Duration::ZERO));
        for wrong in ["-", "--1s", "-+1s", "-soon"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
