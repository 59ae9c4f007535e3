//! `tinyplane run -- COMMAND`: a cluster for as long as a command runs.

use super::control::{self, Control};
use super::options::Options;
use super::progress::Progress;
use super::up::{orders, start, stop};
use super::{Failure, say};
use clap::Args;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};
use std::sync::Arc;

/// Exit code where a command is not found, as a shell has it.
const EXIT_NOT_FOUND: u8 = 127;
/// What a command that a signal ended exits with, less the signal's number, as a shell has it.
const EXIT_SIGNALLED: i32 = 128;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    options: Options,
    /// The command, and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let progress = Progress::new();
    let mut orders = orders()?;
    let Some(cluster) = start(arguments.options.builder()?, &progress, orders.next()).await? else {
        return Ok(ExitCode::from(EXIT_NOT_FOUND + 1));
    };
    let cluster = Arc::new(cluster);
    let kubeconfig = arguments.options.kubeconfig_of(&cluster);
    progress.done();
    let control = Control::serve(&cluster).map_err(|e| Failure::later(format!("no control socket: {e}")))?;
    let (program, rest) = arguments.command.split_first().ok_or_else(|| Failure::usage("no command"))?;
    let spawned = tokio::process::Command::new(program)
        .args(rest)
        .env("KUBECONFIG", &kubeconfig)
        .env(control::DATA_DIR, cluster.data_dir())
        .env("NO_PROXY", without_proxy("NO_PROXY"))
        .env("no_proxy", without_proxy("no_proxy"))
        .kill_on_drop(true)
        .spawn();
    let code = match spawned {
        Err(error) => {
            say(&format!("tinyplane: {} can't be run: {error}", program.to_string_lossy()));
            ExitCode::from(EXIT_NOT_FOUND)
        }
        Ok(mut child) => tokio::select! {
            ended = child.wait() => code_of(ended.map_err(|e| Failure::later(e.to_string()))?),
            // The terminal tells the command as well; it is waited for, and then everything ends.
            _ = orders.next() => {
                let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
                if let Some(Err(error)) = pid.map(|p| rustix::process::kill_process(p, rustix::process::Signal::TERM)) {
                    tracing::debug!(%error, "the command had ended already");
                }
                code_of(child.wait().await.map_err(|e| Failure::later(e.to_string()))?)
            }
        },
    };
    drop(control);
    stop(cluster).await;
    Ok(code)
}

/// The loopback network, added to what the environment keeps from proxies.
fn without_proxy(variable: &str) -> OsString {
    let mut list = std::env::var_os(variable).unwrap_or_default();
    if !list.is_empty() {
        list.push(",");
    }
    list.push("127.0.0.0/8,localhost");
    list
}

fn code_of(status: ExitStatus) -> ExitCode {
    let code = status.code().unwrap_or_else(|| EXIT_SIGNALLED + status.signal().unwrap_or_default());
    ExitCode::from(u8::try_from(code).unwrap_or(super::EXIT_FAILED))
}
