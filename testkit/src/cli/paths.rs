//! `tinyplane paths`: which path each request took, as a table or as lines of JSON.

use super::{Failure, answer, control};
use crate::cluster::folder::is_a_clusters;
use crate::ledger::{Filter, Reader, Walk};
use crate::runner::LEDGERS;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tinyplane_wire::clock::Clock;
use tokio::time::Instant;

/// How often the ledgers are looked at.
const LOOK_MILLIS: u64 = 100;
/// How long a walk may lack what is still to be written of it, before it is printed as it is. A request that goes on is
/// printed then, and again at its end.
const SETTLE_MILLIS_MAX: u64 = 1_000;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folder of the cluster; needed where several run
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
    /// Only what came by this node
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Only what came by the path of this number: 1 to the API server, 2 from there to a kubelet, 3 to what is proxied to,
    /// 4 an SSH tunnel, 5 Konnectivity
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=5))]
    path: Option<u8>,
    /// Only requests whose method and URI hold this text, or whose Audit-ID it is
    #[arg(long, value_name = "TEXT")]
    request: Option<String>,
    /// How to print
    #[arg(short, long, value_enum, value_name = "FORM", default_value = "table")]
    output: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A line of columns each
    Table,
    /// A line of JSON each, with both ends of every hop
    Json,
}

impl Arguments {
    fn filter(&self) -> Filter {
        let mut filter = Filter::all();
        if let Some(node) = &self.node {
            filter = filter.node(node);
        }
        if let Some(path) = self.path {
            filter = filter.path(path);
        }
        if let Some(request) = &self.request {
            filter = filter.request(request);
        }
        filter
    }
}

/// Prints, and goes on where that is wished.
pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let folder = match &arguments.data_dir {
        Some(folder) => folder.clone(),
        None => control::find(None).await?.1,
    };
    let ledgers = ledgers_in(&folder)?;
    let mut printer = Printer {
        reader: Reader::of(ledgers),
        filter: arguments.filter(),
        form: arguments.output,
        waiting: BTreeMap::new(),
    };
    if printer.form == Form::Table {
        answer(&heading());
    }
    loop {
        printer.look(!arguments.follow)?;
        if !arguments.follow {
            return Ok(ExitCode::SUCCESS);
        }
        Clock::system().sleep(Duration::from_millis(LOOK_MILLIS)).await;
    }
}

/// The ledgers of the cluster in this folder.
fn ledgers_in(folder: &Path) -> Result<PathBuf, Failure> {
    let (ledgers, at) = (folder.join(LEDGERS), folder.display());
    if ledgers.is_dir() {
        Ok(ledgers)
    } else if is_a_clusters(folder) {
        Err(Failure::usage(format!("the cluster in {at} keeps no ledger: start it with --ledger")))
    } else {
        Err(Failure::usage(format!("there is no cluster in {at}")))
    }
}

struct Printer {
    reader: Reader,
    filter: Filter,
    form: Form,
    /// Tickets with something new, since when, and whether they have been printed as they were.
    waiting: BTreeMap<String, (Instant, bool)>,
}

impl Printer {
    /// Reads on, and prints the walks that are over, or that have been waited for long enough; all where nothing is
    /// waited for.
    fn look(&mut self, all: bool) -> Result<(), Failure> {
        let now = Instant::now();
        for ticket in self.reader.fetch()? {
            self.waiting.entry(ticket).or_insert((now, false));
        }
        let (book, filter, form) = (self.reader.book(), &self.filter, self.form);
        let mut printed: Vec<Walk> = Vec::new();
        self.waiting.retain(|ticket, (since, shown)| {
            let Some(walk) = book.walk(ticket) else {
                return now.duration_since(*since).as_millis() < SETTLE_MILLIS_MAX.into();
            };
            let late = all || now.duration_since(*since).as_millis() >= SETTLE_MILLIS_MAX.into();
            let over = walk.is_settled() || (late && walk.asked.ended.is_some());
            if over || (late && !*shown) {
                *shown = true;
                printed.push(walk);
            }
            !over
        });
        printed.sort_by(|a, b| a.asked.started.cmp(&b.asked.started));
        for walk in printed.iter().filter(|walk| filter.admits(walk)) {
            answer(&match form {
                Form::Table => row(walk),
                Form::Json => object(walk).to_string(),
            });
        }
        Ok(())
    }
}

fn heading() -> String {
    columns(
        &["STARTED", "PATH", "EGRESS", "NODE", "AGENT", "HOST-KEY", "TLS", "CERTIFICATE", "SENT", "RECEIVED", "CODE"],
        "REQUEST",
    )
}

fn columns<T: AsRef<str>>(cells: &[T; 11], last: &str) -> String {
    const WIDTHS: [usize; 11] = [27, 4, 25, 10, 20, 10, 14, 30, 9, 9, 4];
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(WIDTHS) {
        line.push_str(&format!("{:<width$} ", cell.as_ref()));
    }
    line + last
}

fn row(walk: &Walk) -> String {
    let or_none = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let number = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    let (sent, received) = bytes(walk);
    let code = walk.asked.code.map(|code| code.to_string());
    let cells = [
        walk.asked.started.clone(),
        walk.path().to_string(),
        or_none(walk.egress()),
        or_none(walk.node()),
        or_none(walk.agent()),
        or_none(walk.host_key().map(|key| if key.verified.is_some() { "verified" } else { "unverified" })),
        tls(walk),
        or_none(walk.certificate()),
        number(sent),
        number(received),
        or_none(code.as_deref()),
    ];
    columns(&cells, walk.request())
}

/// `1.3 verified`, `1.3 unverified`, `1.3` where nobody of ours can say, or `none`.
fn tls(walk: &Walk) -> String {
    let known = walk.way().is_some() || walk.steps.first().is_some_and(|step| step.claimed.is_some());
    match (walk.tls(), known) {
        (None, _) => "none".into(),
        (Some(tls), false) => tls.version.clone(),
        (Some(tls), true) if tls.verified.is_some() => format!("{} verified", tls.version),
        (Some(tls), true) => format!("{} unverified", tls.version),
    }
}

/// What the API server sent and received: to where it went on, else to the client.
fn bytes(walk: &Walk) -> (Option<u64>, Option<u64>) {
    walk.way().map_or((walk.asked.sent, walk.asked.received), |way| (way.sent, way.received))
}

fn object(walk: &Walk) -> Value {
    let stations: Vec<String> = walk.stations().iter().map(ToString::to_string).collect();
    let hops: Vec<Value> =
        walk.steps.iter().map(|step| json!({"claimed": step.claimed, "observed": step.observed})).collect();
    let (sent, received) = bytes(walk);
    json!({
        "ticket": walk.ticket,
        "request": walk.request(),
        "user": walk.asked.user,
        "code": walk.asked.code,
        "started": walk.asked.started,
        "ended": walk.asked.ended,
        "path": walk.path(),
        "paths": walk.paths(),
        "egress": walk.egress(),
        "node": walk.node(),
        "agent": walk.agent(),
        "hostKey": walk.host_key(),
        "tls": walk.tls(),
        "certificate": walk.certificate(),
        "sent": sent,
        "received": received,
        "stations": stations,
        "witnessed": walk.disagreement().is_none(),
        "hops": hops,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_cluster_is_told_from_a_cluster_without_a_ledger() {
        let folder = tempfile::tempdir().expect("a folder");
        let told = || ledgers_in(folder.path()).map_err(|failure| failure.told);
        assert!(told().is_err_and(|told| told.starts_with("there is no cluster in ")));
        std::fs::write(folder.path().join("tinyplane.json"), "{}").expect("it can be written");
        assert!(told().is_err_and(|told| told.ends_with("keeps no ledger: start it with --ledger")));
        std::fs::create_dir(folder.path().join(LEDGERS)).expect("it can be made");
        assert_eq!(told(), Ok(folder.path().join(LEDGERS)));
    }
}
