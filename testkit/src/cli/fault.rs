//! `tinyplane fault`: hurts links of a cluster that runs elsewhere, and heals them.

use super::control::{Answer, find, say_at, say_to};
use super::{Failure, answer};
use crate::fault::{Fault, Order, Outcome};
use crate::relay::Place;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    word: Word,
    /// Folder of the cluster; needed where several run
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
    /// Control port of a `tinyplane relay`, instead of a cluster
    #[arg(long, value_name = "HOST:PORT", global = true, conflicts_with = "data_dir")]
    at: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Word {
    /// Tell which faults are in force, and how often they have bitten
    List,
    /// Hurt a link, until the fault is healed or the cluster ends
    Inject {
        /// client-to-apiserver, node-to-apiserver/node-1, …: without /NAME every end of the link
        link: Place,
        /// latency=200ms,jitter=50ms, bandwidth=100000, blackhole, reset, half-open, slice=1, corrupt, man-in-the-middle;
        /// each with ,towards=client|server ,probability=0.5 ,seed=7 ,after=BYTES
        #[arg(required = true)]
        faults: Vec<Fault>,
    },
    /// Heal faults, and tell how often they bit
    Heal {
        /// Their numbers [default: all]
        ids: Vec<u64>,
    },
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let order = match arguments.word {
        Word::List => Order::List,
        Word::Inject { link, faults } => Order::Inject(link, faults),
        Word::Heal { ids } => Order::Heal(ids),
    };
    let (healing, failed) = (matches!(order, Order::Heal(_)), |e: std::io::Error| Failure::later(e.to_string()));
    let Answer { error, faults, .. } = match &arguments.at {
        Some(at) => say_at(at, order).await.map_err(failed)?,
        None => {
            let socket = find(arguments.data_dir.as_deref()).await?.0;
            say_to(&socket, &super::control::Request::about(order)).await.map_err(failed)?
        }
    };
    if let Some(error) = error {
        return Err(Failure::later(error));
    }
    faults.iter().for_each(|fault| answer(&told(fault, healing)));
    Ok(ExitCode::SUCCESS)
}

/// One line of a fault; behind it what was read, where somebody did.
fn told(Outcome { seen, read }: &Outcome, healed: bool) -> String {
    let times = match seen.times {
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    let verb = if healed { "healed, bit" } else { "has bitten" };
    let line = format!("{}\t{}\t{}\t{verb} {times}", seen.id, seen.link, seen.fault);
    if read.is_empty() { line } else { format!("{line}\n{read}") }
}
