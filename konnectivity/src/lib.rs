//! The Konnectivity server and agent: how the control plane reaches nodes that it can't dial.

pub mod agent;
mod carry;
mod endpoints;
#[cfg(feature = "cli")]
mod flag_values;
mod identifiers;
mod keepalive;
mod leases;
mod metrics;
pub mod server;
mod tasks;
mod tls;

pub use carry::shared::Overflow;
pub use tls::{PairFiles, TlsFiles};
