//! The stations of a walk, as tests name them.

use crate::cluster::Mode;
use std::fmt;

/// A station that a request came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop<'a> {
    /// A member that calls the API server on its own behalf: `controllers`, `kubelet` …
    Member(&'a str),
    /// A pod on this node, or the node itself: what called from there, or was called.
    Pod(&'a str),
    /// A Service's address.
    Service,
    /// The API server.
    Apiserver,
    /// No tunnel: the API server dialled itself.
    Direct,
    /// A Konnectivity server, and how it was spoken with.
    Tunnel {
        /// How.
        mode: Mode,
    },
    /// A Konnectivity agent.
    Agent(&'a str),
    /// An SSH tunnel.
    Ssh,
    /// A node's kubelet.
    Kubelet(&'a str),
}

impl fmt::Display for Hop<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(name) => write!(f, "{name}"),
            Self::Pod(node) => write!(f, "pod/{node}"),
            Self::Service => f.write_str("service"),
            Self::Apiserver => f.write_str("apiserver"),
            Self::Direct => f.write_str("direct"),
            Self::Tunnel { mode: Mode::Grpc } => f.write_str("konnectivity-grpc"),
            Self::Tunnel { mode: Mode::HttpConnect } => f.write_str("konnectivity-http-connect"),
            Self::Agent(name) => write!(f, "agent/{name}"),
            Self::Ssh => f.write_str("ssh"),
            Self::Kubelet(node) => write!(f, "kubelet/{node}"),
        }
    }
}
