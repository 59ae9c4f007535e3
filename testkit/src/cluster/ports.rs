//! The ports on which members find each other: upstream's own, unless somebody listens on them on every address.

use super::plan::{Member, Plan};
use std::io;
use std::net::SocketAddr;
use tinyplane_wire::net::reserve;

/// Upstream's port for the agents of the Konnectivity server.
const AGENTS: u16 = 8091;

/// Ports that are told to others, and stay the same for as long as the cluster runs, restarts of members included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    /// Of the API server.
    pub(crate) apiserver: u16,
    /// Of the Konnectivity server, for agents.
    pub(crate) agents: u16,
}

impl Ports {
    /// Looks which ports can be had on the cluster's own addresses, which nobody else uses.
    pub(crate) fn choose(plan: &Plan) -> io::Result<Self> {
        let server = SocketAddr::from((plan.address(Member::KonnectivityServer), AGENTS));
        Ok(Self { apiserver: free(plan.apiserver())?, agents: free(server)? })
    }
}

fn free(wished: SocketAddr) -> io::Result<u16> {
    match reserve(wished) {
        Ok(reserved) => Ok(reserved.address()?.port()),
        Err(_) => Ok(reserve(SocketAddr::new(wished.ip(), 0))?.address()?.port()),
    }
}
