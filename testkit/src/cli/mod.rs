//! The command line of `tinyplane`: a sandbox, a runner for other projects' tests, and every member by itself.

mod control;
mod fault;
mod healthcheck;
mod late;
mod member;
mod options;
mod paths;
mod progress;
mod relay;
mod run;
mod sandbox;
mod up;

use crate::address::LeaseError;
use clap::{Parser, Subcommand};
use late::Late;
use std::io::Write;
use std::process::ExitCode;

/// Exit code of a call that can't be understood, or whose files can't be used.
const EXIT_USAGE: u8 = 2;
/// Exit code of what failed later.
const EXIT_FAILED: u8 = 1;

/// A whole Kubernetes control plane, small enough to start inside a test.
#[derive(Debug, Parser)]
#[command(name = "tinyplane", version, about, propagate_version = true)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a cluster and stay in the foreground
    Up(Late<up::Arguments>),
    /// Start a cluster, run a command against it, stop, and exit as the command did
    Run(Late<run::Arguments>),
    /// Kill a member of a running cluster, as kill -9 does
    Kill(Late<control::Arguments>),
    /// Start a member of a running cluster anew
    Restart(Late<control::Arguments>),
    /// Print a member's log
    Logs(Late<control::LogArguments>),
    /// Change what a running cluster checks on the way to its nodes
    Secure(Late<control::SecureArguments>),
    /// Hurt the links of a running cluster that was started with --links, and heal them
    Fault(Late<fault::Arguments>),
    /// Print which path each request took, in a cluster that was started with --ledger
    Paths(Late<paths::Arguments>),
    /// Say by the exit code whether a member is well
    Healthcheck(Late<healthcheck::Arguments>),
    /// Write what the containers of docker-compose.yml are given
    Sandbox(Late<sandbox::Arguments>),
    #[command(flatten)]
    Member(Box<member::Command>),
}

/// How a command failed: one sentence, and the code to exit with.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    told: String,
}

impl Failure {
    fn usage(told: impl Into<String>) -> Self {
        Self { code: EXIT_USAGE, told: told.into() }
    }

    fn later(told: impl Into<String>) -> Self {
        Self { code: EXIT_FAILED, told: told.into() }
    }
}

impl From<crate::ClusterError> for Failure {
    fn from(error: crate::ClusterError) -> Self {
        use crate::ClusterError::{Differs, Folder, Lease, Wish};
        match error {
            Differs { .. } | Folder(_) | Wish(_) | Lease(LeaseError::TooManyNodes(_)) => Self::usage(error.told()),
            other => Self::later(other.told()),
        }
    }
}

/// Reads the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    let line = Line::parse();
    let outcome = match line.command {
        Command::Member(member) => member::run(*member),
        Command::Up(Late(arguments)) => in_runtime(up::run(arguments)),
        Command::Run(Late(arguments)) => in_runtime(run::run(arguments)),
        Command::Kill(Late(arguments)) => in_runtime(control::ask("kill", arguments)),
        Command::Restart(Late(arguments)) => in_runtime(control::ask("restart", arguments)),
        Command::Healthcheck(Late(arguments)) => in_runtime(healthcheck::run(arguments)),
        Command::Sandbox(Late(arguments)) => sandbox::run(&arguments),
        Command::Logs(Late(arguments)) => in_runtime(control::logs(arguments)),
        Command::Secure(Late(arguments)) => in_runtime(control::secure(arguments)),
        Command::Fault(Late(arguments)) => in_runtime(fault::run(arguments)),
        Command::Paths(Late(arguments)) => in_runtime(paths::run(arguments)),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            say(&format!("tinyplane: {}", failure.told));
            ExitCode::from(failure.code)
        }
    }
}

/// Runs to the end on a runtime of its own, and leaves nothing of it behind that could hold up the exit.
fn in_runtime(future: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Failure::later(format!("no runtime: {e}")))?;
    let outcome = runtime.block_on(future);
    runtime.shutdown_background();
    outcome
}

fn say(text: &str) {
    // Whoever reads along may have gone: that is no reason to end a cluster.
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[expect(clippy::print_stdout, reason = "stdout carries what another program reads")]
fn answer(text: &str) {
    println!("{text}");
}
