//! Figures of a whole cluster: `cargo bench -p tinyplane --bench cluster`, with `-- starts`, `-- api` or
//! `-- ledger` a part of them.
//! Prints figures, asserts none.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod api;
mod figures;
mod ledger;
mod starts;

#[tokio::main]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wants = |part: &str| wanted.is_empty() || wanted.iter().any(|word| word == part);
    if wants("starts") {
        starts::run().await;
    }
    if wants("api") {
        api::run().await;
    }
    if wants("ledger") {
        ledger::run().await;
    }
}
