//! The compose sandbox: the same cluster with real addresses, every member a container of `docker-compose.yml`.
//!
//! The control plane and the nodes have a network each, and an edge stands in both. What lies in the nodes' network,
//! pods and Services among it, is one range of Docker's: packets from pod to pod are its own then, and pass.

mod files;

pub(crate) use files::{Written, write};

use crate::cluster::authority::Parties;
use ipnet::Ipv4Net;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Nodes of the sandbox: as many as `docker-compose.yml` has containers for.
pub(crate) const NODES: u8 = 2;
/// The prefix that a block of addresses has.
const BLOCK_PREFIX: u8 = 16;
/// Place of the edge in the control plane's network.
const EDGE_OF_CONTROL_PLANE: u32 = 100;

/// The sandbox's addresses: a block, whose lower half is the control plane's and whose upper half is the nodes'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Addresses(Ipv4Net);

impl Addresses {
    /// Takes a block.
    ///
    /// # Errors
    /// With a sentence, when it has another size or isn't written by its first address.
    pub(crate) fn of(block: Ipv4Net) -> Result<Self, String> {
        if block.prefix_len() != BLOCK_PREFIX || block.trunc() != block {
            return Err(format!("the block {block} is none of the form 10.111.0.0/{BLOCK_PREFIX}"));
        }
        Ok(Self(block))
    }

    fn at(self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.0.network()) + offset)
    }

    fn range(self, offset: u32, prefix: u8) -> Ipv4Net {
        Ipv4Net::new(self.at(offset), prefix).expect("the prefixes of the sandbox's ranges are constants up to 24")
    }

    /// The API server, in the control plane's network.
    pub(crate) fn apiserver(self) -> Ipv4Addr {
        self.at(1)
    }

    /// The edge, in the nodes' network: where nodes find the API server, and agents the Konnectivity server.
    pub(crate) fn edge(self) -> Ipv4Addr {
        self.at(0x8000 + EDGE_OF_CONTROL_PLANE)
    }

    /// A node, from 1.
    pub(crate) fn node(self, number: u8) -> Ipv4Addr {
        self.at(0x8000 + u32::from(number))
    }

    /// Addresses of Services.
    pub(crate) fn services(self) -> Ipv4Net {
        self.range(0x9000, 20)
    }

    /// Addresses of a node's pods.
    pub(crate) fn pods(self, number: u8) -> Ipv4Net {
        self.range(0xC000 + (u32::from(number) << 8), 24)
    }

    /// Where a user of the control plane finds the API server.
    fn inside(self) -> SocketAddr {
        SocketAddr::from((self.apiserver(), 6443))
    }

    /// Where a user of the nodes finds it.
    fn at_the_edge(self) -> SocketAddr {
        SocketAddr::from((self.edge(), 6443))
    }

    /// Whom the sandbox consists of.
    fn parties(self) -> Parties {
        let kubernetes_service = Ipv4Addr::from(u32::from(self.services().network()) + 1);
        Parties {
            apiserver: [self.apiserver(), self.edge(), kubernetes_service].map(IpAddr::from).to_vec(),
            tunnel: vec![self.edge().into()],
            tunnel_client: true,
            controllers: true,
            nodes: (1..=NODES).map(|number| (node_name(number), self.node(number).into())).collect(),
        }
    }
}

/// The name of a node, from 1.
fn node_name(number: u8) -> String {
    format!("node-{number}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::path::Path;
    use tinyplane_wire::yaml;

    /// `docker-compose.yml` says all addresses itself, so that it can be read; here they are held against these.
    #[test]
    fn the_compose_file_has_the_addresses_that_certificates_are_made_for() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker-compose.yml");
        let text = std::fs::read_to_string(path).unwrap().replace("${TINYPLANE_NET:-10.111}", "10.111");
        let compose: Value = yaml::read_leniently(text.as_bytes()).unwrap();
        let block = Addresses::of("10.111.0.0/16".parse().unwrap()).unwrap();
        let address = |service: &str, network: &str| {
            let found = &compose["services"][service]["networks"][network]["ipv4_address"];
            found.as_str().unwrap_or_default().to_owned()
        };
        assert_eq!(address("apiserver", "control-plane"), block.apiserver().to_string());
        assert_eq!(address("edge", "nodes"), block.edge().to_string());
        let flags = |service: &str| -> Vec<String> {
            let command = compose["services"][service]["command"].as_array().cloned().unwrap_or_default();
            command.iter().filter_map(|flag| flag.as_str().map(str::to_owned)).collect()
        };
        let of_apiserver = flags("apiserver");
        assert!(of_apiserver.contains(&format!("--service-cluster-ip-range={}", block.services())));
        for (name, port) in [("controller-manager", 10_257), ("scheduler", 10_259)] {
            let at = format!("--{name}-address={}:{port}", address("controllers", "control-plane"));
            assert!(of_apiserver.contains(&at), "{at}: {of_apiserver:?}");
        }
        for number in 1..=NODES {
            let flags = flags(&node_name(number));
            assert_eq!(address(&node_name(number), "nodes"), block.node(number).to_string());
            assert!(flags.contains(&format!("--local-route={}", block.pods(number))), "{flags:?}");
            assert!(flags.contains(&format!("--local-route={}", block.services())), "{flags:?}");
            for other in (1..=NODES).filter(|other| *other != number) {
                let route = format!("--route={}={}", block.pods(other), block.node(other));
                assert!(flags.contains(&route), "{flags:?}");
            }
        }
    }

    #[test]
    fn a_block_has_one_size() {
        assert!(Addresses::of("10.111.0.0/16".parse().unwrap()).is_ok());
        for wrong in ["10.111.0.0/20", "10.0.0.0/8", "10.111.1.0/16"] {
            assert!(Addresses::of(wrong.parse().unwrap()).is_err(), "{wrong}");
        }
    }
}
