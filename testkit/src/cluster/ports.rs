//! The ports on which members find each other: upstream's own, unless somebody listens on them on every address.

use super::ClusterError;
use super::folder::Folder;
use super::plan::{Member, Plan};
use serde::{Deserialize, Serialize};
use std::io;
use std::net::SocketAddr;
use tinyplane_wire::net::{Sources, bind};
use tinyplane_wire::process::MemberError;

/// Upstream's port for the agents of the Konnectivity server.
const AGENTS: u16 = 8091;
/// Where the ports are kept in a cluster's folder.
const FILE: &str = "ports.json";

/// Ports that are told to others. They stay the same for as long as the cluster does, restarts included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ports {
    /// Of the API server.
    pub(crate) apiserver: u16,
    /// Of the Konnectivity server, for agents.
    pub(crate) agents: u16,
}

impl Ports {
    /// The ports that the cluster had before, as far as they can be had; else upstream's, as far as those can.
    pub(crate) fn choose(plan: &Plan, folder: &Folder) -> Result<Self, ClusterError> {
        let before: Option<Self> =
            std::fs::read(folder.file(FILE)).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let wished = before.unwrap_or(Self { apiserver: plan.apiserver().port(), agents: AGENTS });
        let at = |member, port| free(SocketAddr::from((plan.address(member), port)));
        let no_port = |e| MemberError::because("no port is free on the cluster's own addresses", e);
        let chosen = Self {
            apiserver: at(Member::Apiserver, wished.apiserver).map_err(no_port)?,
            agents: at(Member::KonnectivityServer, wished.agents).map_err(no_port)?,
        };
        folder.write(FILE, &serde_json::to_vec(&chosen).unwrap_or_default())?;
        Ok(chosen)
    }
}

/// The port that a listener on this address gets. Nobody else uses these addresses, so it stays free until a member
/// takes it.
fn free(wished: SocketAddr) -> io::Result<u16> {
    Ok(bind(wished, Sources::any())?.address.port())
}
