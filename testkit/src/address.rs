//! Leases a block of 127.0.0.0/8 for one cluster, sized to its plan.

use ipnet::{IpNet, Ipv4Net};
use rand::Rng;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::net::{ClusterNet, Reserved, reserve};

/// Prefix length of the smallest block. Larger ones hold several and reserve the first address of each.
const UNIT_PREFIX: u8 = 20;
/// Blocks begin here: 127.0.0.0/16 is left to everybody's own use.
const FIRST: u32 = 0x7f01_0000;
/// Blocks end before here; the last /16 has the address by which a sentinel port is tried.
const END: u32 = 0x7fff_0000;
/// An address that no block holds: a port that can't be reserved here is held by a wildcard listener.
const TRIAL: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 254);
/// Ports of sentinels, the first of which no wildcard listener holds.
const SENTINEL_PORTS: [u16; 4] = [40_443, 41_443, 42_443, 43_443];
/// Blocks that are tried before giving up.
const TRIES_MAX: usize = 512;
/// How often a block that was given back is tried until it is somebody else's, and the wait between.
const RELEASE_TRIES: u32 = 50;
const RELEASE_POLL: Duration = Duration::from_millis(10);
/// Most nodes that one block holds.
pub(crate) const NODES_MAX: usize = 1_000;

/// A block of loopback addresses that is this cluster's alone, until dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    block: Ipv4Net,
    _sentinels: Vec<Reserved>,
}

/// Why no block could be had.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// All sentinel ports are taken by wildcard listeners.
    #[error("none of the ports {SENTINEL_PORTS:?} is free to mark a block of the loopback network")]
    NoPort,
    /// Another cluster has this very block.
    #[error("the addresses {0} of this cluster are in use by another one")]
    Taken(Ipv4Net),
    /// Too many clusters run here.
    #[error("no block of the loopback network is free")]
    Full,
    /// More nodes than a block holds.
    #[error("{0} nodes are more than one cluster can have ({NODES_MAX})")]
    TooManyNodes(usize),
}

impl Lease {
    /// Leases any free block that is large enough for `nodes`.
    ///
    /// # Errors
    /// When none can be had.
    pub(crate) fn any(nodes: usize) -> Result<Self, LeaseError> {
        let prefix = prefix_for(nodes)?;
        let port = sentinel_port()?;
        let size = 1_u32 << (32 - prefix);
        let blocks = (END - FIRST) / size;
        let first_try = rand::rng().random_range(0..blocks);
        for i in 0..blocks.min(u32::try_from(TRIES_MAX).unwrap_or(u32::MAX)) {
            let base = Ipv4Addr::from(FIRST + ((first_try + i) % blocks) * size);
            if let Some(lease) = Self::take(base, prefix, port) {
                return Ok(lease);
            }
        }
        Err(LeaseError::Full)
    }

    /// Leases the block that a cluster had before. Waits a little: a socket that was closed lives on in a child of this
    /// process between its fork and its exec.
    ///
    /// # Errors
    /// When another cluster has it.
    pub(crate) async fn again(block: Ipv4Net) -> Result<Self, LeaseError> {
        let port = sentinel_port()?;
        for _ in 0..RELEASE_TRIES {
            if let Some(lease) = Self::take(block.network(), block.prefix_len(), port) {
                return Ok(lease);
            }
            Clock::system().sleep(RELEASE_POLL).await;
        }
        Err(LeaseError::Taken(block))
    }

    fn take(base: Ipv4Addr, prefix: u8, port: u16) -> Option<Self> {
        let block = Ipv4Net::new(base, prefix).ok()?;
        let sentinels: io::Result<Vec<Reserved>> = block
            .subnets(UNIT_PREFIX.max(prefix))
            .ok()?
            .map(|unit| reserve(SocketAddr::V4(SocketAddrV4::new(unit.network(), port))))
            .collect();
        Some(Self { block, _sentinels: sentinels.ok()? })
    }

    /// Which block it is.
    #[must_use]
    pub(crate) fn block(&self) -> Ipv4Net {
        self.block
    }
}

fn prefix_for(nodes: usize) -> Result<u8, LeaseError> {
    match nodes {
        0..=8 => Ok(20),
        9..=64 => Ok(18),
        65..=NODES_MAX => Ok(16),
        more => Err(LeaseError::TooManyNodes(more)),
    }
}

fn sentinel_port() -> Result<u16, LeaseError> {
    let free = |port: &u16| reserve(SocketAddr::V4(SocketAddrV4::new(TRIAL, *port))).is_ok();
    // Another cluster may be trying the same port this very moment: a second look tells that from a listener.
    SENTINEL_PORTS.into_iter().find(|port| free(port) || free(port) || free(port)).ok_or(LeaseError::NoPort)
}

/// How a block is divided: a sixteenth for the control plane, a sixteenth for nodes, an eighth for Services, and the
/// upper half for pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Division {
    /// API server, controllers, Konnectivity servers.
    pub control_plane: Ipv4Net,
    /// Nodes and their agents.
    pub nodes: Ipv4Net,
    /// `ClusterIP`s.
    pub services: Ipv4Net,
    /// Pods.
    pub pods: Ipv4Net,
}

impl Division {
    /// Divides a block.
    #[must_use]
    pub fn of(block: Ipv4Net) -> Self {
        let (base, prefix) = (u32::from(block.network()), block.prefix_len());
        let size = 1_u32 << (32 - prefix);
        let part = |offset: u32, longer: u8| {
            Ipv4Net::new(Ipv4Addr::from(base + offset), prefix + longer)
                .expect("a block has a prefix of at most 20, so a part's is at most 24")
        };
        Self {
            control_plane: part(0, 4),
            nodes: part(size / 16, 4),
            services: part(size / 8, 3),
            pods: part(size / 2, 1),
        }
    }

    /// The same as the value that travels to every member.
    #[must_use]
    pub fn cluster_net(self) -> ClusterNet {
        ClusterNet {
            control_plane: Some(IpNet::V4(self.control_plane)),
            nodes: Some(IpNet::V4(self.nodes)),
            pods: Some(IpNet::V4(self.pods)),
            services: Some(IpNet::V4(self.services)),
            relay: None,
        }
    }

    /// Address of the n-th control plane member, from 1.
    #[must_use]
    pub fn control_plane_address(self, n: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.control_plane.network()) + n)
    }

    /// Address of the n-th node, from 1.
    #[must_use]
    pub fn node_address(self, n: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.nodes.network()) + n)
    }

    /// Address of the n-th agent, from 1: counted from the top of the nodes' range.
    #[must_use]
    pub fn agent_address(self, n: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.nodes.broadcast()) - n)
    }

    /// Range of the pods of the n-th node of `nodes`, from 1.
    #[must_use]
    pub fn pod_range(self, n: u32, nodes: usize) -> Ipv4Net {
        let shares = u32::try_from(nodes.max(1).next_power_of_two()).unwrap_or(1);
        let longer = u8::try_from(shares.trailing_zeros()).unwrap_or_default();
        let prefix = self.pods.prefix_len() + longer;
        let base = u32::from(self.pods.network()) + (n - 1) * (1 << (32 - prefix));
        Ipv4Net::new(Ipv4Addr::from(base), prefix).expect("1,000 nodes in a /17 leave each a /27")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_leases_never_overlap() {
        let leases: Vec<Lease> = (0..8).map(|i| Lease::any(if i % 2 == 0 { 2 } else { 20 }).unwrap()).collect();
        for (i, a) in leases.iter().enumerate() {
            for b in &leases[i + 1..] {
                assert!(!a.block().contains(&b.block()) && !b.block().contains(&a.block()));
            }
        }
        let block = leases[0].block();
        assert!(matches!(Lease::again(block).await, Err(LeaseError::Taken(_))));
        drop(leases);
        assert_eq!(Lease::again(block).await.unwrap().block(), block);
    }

    #[test]
    fn a_sixteen_holds_a_thousand_nodes_and_twenty_thousand_pods() {
        let division = Division::of("127.9.0.0/16".parse().unwrap());
        assert_eq!(division.pod_range(1, NODES_MAX).hosts().count() + 2, 32);
        assert!(division.pods.contains(&division.pod_range(1_000, NODES_MAX)));
        assert!(division.nodes.contains(&division.node_address(1_000)));
        assert!(!division.cluster_net().excepts(division.control_plane_address(1).into()));
    }
}
