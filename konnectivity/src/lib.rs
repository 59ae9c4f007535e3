//! The Konnectivity server and agent: how the control plane reaches nodes that it can't dial.

pub mod agent;
mod carry;
mod endpoints;
#[cfg(feature = "cli")]
mod flag_values;
mod keepalive;
mod metrics;
pub mod server;
mod tasks;
mod tls;

pub use carry::shared::Overflow;
pub use tls::TlsFiles;
