//! A tiny Kubernetes API server: one HTTPS port, one generic registry, a persisted revision store.

pub mod schema;
pub mod store;
