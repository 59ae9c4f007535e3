//! What the tunnel costs beside direct TCP and upstream's pair: `cargo bench -p tinyplane --bench tunnel`, with words
//! of rows' names behind `--` those rows only. Prints figures, asserts none.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod endpoint;
#[path = "../cluster/figures.rs"]
mod figures;
mod measure;
mod pair;

use endpoint::Endpoint;
use measure::Row;
use pair::{Maker, Pair, Way};
use std::path::PathBuf;
use std::sync::Arc;
use tinyplane_wire::net::TcpDial;

/// The rows of the table.
const ROWS: [(&str, Option<(Maker, Way)>); 8] = [
    ("direct", None),
    ("ours-grpc", Some((Maker::Ours, Way::Grpc))),
    ("ours-grpc-reusable", Some((Maker::Ours, Way::Reusable))),
    ("ours-http-connect", Some((Maker::Ours, Way::HttpConnect))),
    ("ours-plain-grpc", Some((Maker::OursPlain, Way::Grpc))),
    ("upstream-grpc", Some((Maker::Upstream, Way::Grpc))),
    ("upstream-grpc-reusable", Some((Maker::Upstream, Way::Reusable))),
    ("upstream-http-connect", Some((Maker::Upstream, Way::HttpConnect))),
];

#[tokio::main]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let upstream = std::env::var_os("TINYPLANE_UPSTREAM_KONNECTIVITY").map(PathBuf::from);
    let upstream = upstream.filter(|folder| folder.join("proxy-server").is_file());
    if upstream.is_none() {
        println!("upstream's rows are passed over: its programs are not in TINYPLANE_UPSTREAM_KONNECTIVITY");
    }
    let endpoint = Endpoint::start();
    println!("{}", Row::HEAD);
    for (name, pair) in ROWS.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|w| w == name)) {
        let row = match pair {
            None => Row::of(Arc::new(TcpDial::from(None)), &endpoint, None).await,
            Some((Maker::Upstream, _)) if upstream.is_none() => continue,
            Some((maker, way)) => {
                let pair = Pair::start(*maker, *way, upstream.as_deref()).await;
                Row::of(pair.dial(), &endpoint, Some(&pair)).await
            }
        };
        println!("{}", row.told(name));
    }
}
