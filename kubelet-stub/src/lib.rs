//! Plays Kubernetes nodes: registers, beats, runs pods, answers on 10250 and serves the Service addresses.

pub mod runtime;
pub mod server;
