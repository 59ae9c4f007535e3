//! A tiny Kubernetes API server: one HTTPS port, one generic registry, a persisted revision store.

pub mod admission;
pub mod audit;
pub mod authn;
pub mod authz;
pub mod chain;
pub mod codec;
pub mod config;
pub mod discovery;
pub mod egress;
pub mod endpoints;
#[cfg(feature = "cli")]
pub mod flags;
pub mod flow_control;
pub mod handlers;
mod live;
pub mod metrics;
pub mod registry;
pub mod request;
pub mod respond;
pub mod reviews;
pub mod schema;
pub mod server;
mod start;
pub mod store;
pub mod streaming;
pub mod validation;

pub use config::Config;
pub use start::start;
