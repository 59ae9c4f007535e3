//! The members, each a process of its own: `tinyplane apiserver` and so on.

use super::late::Late;
use super::{EXIT_FAILED, Failure};
use clap::{Args, Subcommand};
use std::process::ExitCode;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::net::remove_default_route;
use tinyplane_wire::process::{
    Lifeline, MemberError, Order, Orders, Running, Shutdown, announce, log_to_stderr, raise_descriptor_limit, told,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The API server
    Apiserver(Box<Late<With<tinyplane_apiserver::flags::Flags>>>),
    /// The scheduler and the control loops
    Controllers(Late<With<tinyplane_controllers::flags::Flags>>),
    /// The kubelet of any number of nodes
    Kubelet(Late<With<tinyplane_kubelet_stub::flags::Flags>>),
    /// The Konnectivity server
    KonnectivityServer(Late<With<tinyplane_konnectivity::server::flags::Flags>>),
    /// The Konnectivity agent
    KonnectivityAgent(Late<With<tinyplane_konnectivity::agent::flags::Flags>>),
    /// Relays before other listeners, whose links can be hurt
    Relay(Late<With<super::relay::Flags>>),
}

/// The flags of a member, and those that every member has. As Go reads them: of one that is said again the last counts, and
/// lists grow.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(super) struct With<T: Args> {
    #[command(flatten)]
    flags: T,
    /// End when standard input ends: a pipe whose other end the parent holds
    #[arg(long)]
    lifeline: bool,
    /// Take the default route away before anything is dialled; for a container of its own, with NET_ADMIN
    #[arg(long)]
    no_default_route: bool,
    /// Verbosity of the log on stderr
    #[arg(short, long = "verbosity", alias = "v", value_name = "N", default_value_t = 1)]
    v: u8,
}

/// Threads that serve, at most.
const WORKER_THREADS_MAX: usize = 4;

/// How many threads serve a member.
#[derive(Clone, Copy, Debug)]
enum Threads {
    /// As many as there are cores.
    EachCore,
    /// Half as many, for the ends of a tunnel: both work at the same time, each beside whoever sends and receives, and bytes that
    /// pass from thread to thread cost more than a second thread brings.
    HalfTheCores,
}

impl Threads {
    fn count(self) -> usize {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let wished = match self {
            Self::EachCore => cores,
            Self::HalfTheCores => cores / 2,
        };
        wished.clamp(1, WORKER_THREADS_MAX)
    }
}

pub(super) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Apiserver(with) => serve("apiserver", with.0, tinyplane_apiserver::start),
        Command::Controllers(Late(with)) => serve("controllers", with, tinyplane_controllers::start),
        Command::Kubelet(Late(with)) => serve("kubelet", with, tinyplane_kubelet_stub::start),
        Command::Relay(Late(with)) => serve("relay", with, super::relay::start),
        Command::KonnectivityServer(Late(with)) => {
            let start = tinyplane_konnectivity::server::start;
            serve_draining(("konnectivity-server", Threads::HalfTheCores), with, start, None)
        }
        Command::KonnectivityAgent(Late(with)) => {
            let drain = Shutdown::new();
            let draining = drain.clone();
            let start = move |config, clock, shutdown| {
                tinyplane_konnectivity::agent::start_with_drain(config, clock, draining, shutdown)
            };
            serve_draining(("konnectivity-agent", Threads::HalfTheCores), with, start, Some(drain))
        }
    }
}

fn serve<Flags, Config, Start>(name: &str, with: With<Flags>, start: Start) -> Result<ExitCode, Failure>
where
    Flags: Args,
    Config: TryFrom<Flags>,
    Config::Error: std::error::Error,
    Start: AsyncFnOnce(Config, Clock, Shutdown) -> Result<Running, MemberError>,
{
    serve_draining((name, Threads::EachCore), with, start, None)
}

/// Serves until it is told to end. With `drain`, the first signal means that no more work is wanted, and the second one
/// the end.
fn serve_draining<Flags, Config, Start>(
    (name, threads): (&str, Threads),
    with: With<Flags>,
    start: Start,
    mut drain: Option<Shutdown>,
) -> Result<ExitCode, Failure>
where
    Flags: Args,
    Config: TryFrom<Flags>,
    Config::Error: std::error::Error,
    Start: AsyncFnOnce(Config, Clock, Shutdown) -> Result<Running, MemberError>,
{
    log_to_stderr(with.v);
    let lifeline = if with.lifeline { Lifeline::Stdin } else { Lifeline::None };
    if with.no_default_route {
        remove_default_route().map_err(|e| Failure::usage(format!("the default route can't be taken away: {e}")))?;
    }
    let config = Config::try_from(with.flags).map_err(|e| Failure::usage(told(&e)))?;
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.count())
        .enable_all()
        .build()
        .map_err(|e| Failure::later(format!("no runtime: {e}")))?;
    let outcome = runtime.block_on(async {
        let shutdown = Shutdown::new();
        let mut orders = Orders::listen(lifeline).map_err(|e| Failure::later(format!("no signals: {e}")))?;
        let running = tokio::select! {
            running = start(config, Clock::system(), shutdown.clone()) => running.map_err(|e| Failure::usage(e.told()))?,
            _ = orders.next() => return Ok(ExitCode::SUCCESS),
        };
        announce(name, &running.addresses).map_err(|e| Failure::later(format!("nobody hears that it is ready: {e}")))?;
        let addresses: Vec<_> = running.addresses.iter().map(|(name, address)| format!("{name} {address}")).collect();
        tracing::info!(version = env!("CARGO_PKG_VERSION"), addresses = addresses.join(", "), "ready");
        let mut task = running.task;
        let ended = loop {
            let order = tokio::select! {
                ended = &mut task => break ended,
                order = orders.next() => order,
            };
            match (order, drain.take()) {
                (Order::Signal(why), Some(drain)) => {
                    tracing::info!(why, "draining; the next signal ends it");
                    drain.cancel();
                }
                (order, _) => {
                    tracing::info!(why = order.word(), "ending");
                    shutdown.cancel();
                    break task.await;
                }
            }
        };
        match ended {
            Ok(Ok(())) => Ok(ExitCode::SUCCESS),
            Ok(Err(error)) => Err(Failure::later(error.told())),
            Err(_) => Ok(ExitCode::from(EXIT_FAILED)),
        }
    });
    runtime.shutdown_background();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    #[test]
    fn a_flag_that_is_said_again_counts_as_it_was_said_last() {
        let says = |text: &str| format!("{:?}", Line::try_parse_from(text.split_whitespace()).expect("it is taken"));
        let told =
            says("t konnectivity-agent --agent-id=a --alpn-proto=x --lifeline --lifeline --agent-id=b --alpn-proto=y");
        assert!(told.contains(r#"agent_id: Some("b")"#) && told.contains(r#"alpn_proto: ["x", "y"]"#), "{told}");
        let told = says("t konnectivity-server --mode=grpc --server-id=a --server-id=b");
        assert!(told.contains(r#"server_id: Some("b")"#), "{told}");
    }

    #[test]
    fn flags_of_every_member_stand_among_its_own_in_the_help() {
        for member in ["konnectivity-server", "konnectivity-agent"] {
            let help = Line::try_parse_from(["t", member, "--help"]).expect_err("help ends it").to_string();
            assert!(help.contains("--lifeline") && !help.contains("change nothing"), "{help}");
        }
    }
}
