//! The flags of the audit log.

use crate::audit::{Config, Format, Mode, Policy};
use clap::ValueEnum;
use std::path::PathBuf;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Json,
    Legacy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogMode {
    Batch,
    Blocking,
    BlockingStrict,
}

/// Flags of the audit log. It is kept where there is both a policy and a path.
#[derive(Debug, clap::Args)]
pub(super) struct AuditFlags {
    /// Which requests are logged, and how much of each: an audit.k8s.io/v1 Policy
    #[arg(long, value_name = "FILE", value_parser = policy_file)]
    audit_policy_file: Option<PathBuf>,
    /// File of the audit log; - is standard output
    #[arg(long, value_name = "FILE")]
    audit_log_path: Option<PathBuf>,
    /// Mebibytes at which another file is begun; 0 stands for 100
    #[arg(long, value_name = "MEBIBYTES", default_value_t = 0)]
    audit_log_maxsize: u64,
    /// How many old files are kept; 0 for all
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    audit_log_maxbackup: usize,
    /// How many days old files are kept; 0 for ever
    #[arg(long, value_name = "DAYS", default_value_t = 0)]
    audit_log_maxage: u64,
    /// How events are written
    #[arg(long, value_enum, default_value = "json")]
    audit_log_format: LogFormat,
    /// Whether requests wait for the file
    #[arg(long, value_enum, default_value = "blocking")]
    audit_log_mode: LogMode,
    /// How many events may wait for the file in mode batch
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    audit_log_batch_buffer_size: usize,
}

/// A policy is read at once: without a log it would have no effect, and a mistake in it should not wait for one.
fn policy_file(path: &str) -> Result<PathBuf, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    Policy::parse(&text).map_err(|error| error.to_string())?;
    Ok(path.into())
}

impl From<AuditFlags> for Option<Config> {
    fn from(flags: AuditFlags) -> Self {
        let (policy_file, log_path) = flags.audit_policy_file.zip(flags.audit_log_path)?;
        Some(Config {
            policy_file,
            log_path,
            size_mebibytes_max: flags.audit_log_maxsize,
            backups_max: flags.audit_log_maxbackup,
            age_days_max: flags.audit_log_maxage,
            format: match flags.audit_log_format {
                LogFormat::Json => Format::Json,
                LogFormat::Legacy => Format::Legacy,
            },
            mode: match flags.audit_log_mode {
                LogMode::Batch => Mode::Batch,
                LogMode::Blocking => Mode::Blocking,
                LogMode::BlockingStrict => Mode::BlockingStrict,
            },
            buffer_max: flags.audit_log_batch_buffer_size,
        })
    }
}
