//! The plan of a cluster: pure, printable, and all that is needed to start the same cluster again.

use crate::address::Division;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// How a client speaks to the Konnectivity server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `ProxyService`, over a Unix socket.
    Grpc,
    /// HTTP CONNECT, over a Unix socket.
    HttpConnect,
}

/// How the API server reaches nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Egress {
    /// By dialling them.
    Direct,
    /// Through Konnectivity: nodes then accept no connection from the control plane.
    Konnectivity(Mode),
    /// Through a tunnel to each node's SSH server, the legacy way: of a node, only that port takes connections from the
    /// control plane.
    Ssh,
}

impl Egress {
    /// Every way, by the word that the command line takes.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("direct", Self::Direct),
        ("konnectivity-grpc", Self::Konnectivity(Mode::Grpc)),
        ("konnectivity-http-connect", Self::Konnectivity(Mode::HttpConnect)),
        ("ssh", Self::Ssh),
    ];
}

/// Where objects are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Storage {
    /// In memory: gone with the API server.
    Memory,
    /// On disk, by sled: an answered write survives a kill.
    Sled,
}

impl Storage {
    /// Every way, by the word that the command line takes.
    pub const WORDS: [(&'static str, Self); 2] = [("memory", Self::Memory), ("sled", Self::Sled)];
}

macro_rules! words {
    ($of:ty, $what:literal) => {
        impl fmt::Display for $of {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Self::WORDS.iter().find(|(_, one)| one == self).map_or("", |(word, _)| word))
            }
        }

        impl From<$of> for String {
            fn from(one: $of) -> Self {
                one.to_string()
            }
        }

        impl FromStr for $of {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let known: Vec<&str> = Self::WORDS.iter().map(|(word, _)| *word).collect();
                Self::WORDS
                    .iter()
                    .find(|(word, _)| *word == text)
                    .map(|(_, one)| *one)
                    .ok_or_else(|| format!(concat!("{:?} is no ", $what, ": it is one of {}"), text, known.join(", ")))
            }
        }

        impl TryFrom<String> for $of {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
    };
}

words!(Egress, "egress");
words!(Storage, "store");

/// What is checked on the way to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Security {
    /// The API server checks a kubelet's serving certificate (`--kubelet-certificate-authority`). Kubernetes does
    /// not by default. With SSH tunnels, the nodes' host keys are checked as well (`--ssh-known-hosts-file`).
    pub kubelet_certificate_checked: bool,
    /// Requests without credentials are taken as `system:anonymous` (`--anonymous-auth`), as Kubernetes does.
    pub anonymous: bool,
}

impl Security {
    /// Everything checked.
    #[must_use]
    pub const fn strict() -> Self {
        Self { kubelet_certificate_checked: true, anonymous: true }
    }

    /// As insecure as Kubernetes is by default: a man in the middle can sit before a kubelet.
    #[must_use]
    pub const fn open() -> Self {
        Self { kubelet_certificate_checked: false, anonymous: true }
    }
}

/// A node as planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodePlan {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Addresses of its pods.
    pub pod_range: Ipv4Net,
}

/// A member of the cluster: a process of its own, or its tasks. Of some there are several, which are numbered from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Member {
    /// `tinyplane konnectivity-server`
    KonnectivityServer(u8),
    /// `tinyplane apiserver`
    Apiserver,
    /// `tinyplane controllers`
    Controllers,
    /// `tinyplane kubelet`, which plays all nodes
    Kubelet,
    /// `tinyplane konnectivity-agent`
    KonnectivityAgent(u8),
}

impl Member {
    /// Every kind of member, in the order in which they are started.
    const WORDS: [(&'static str, Self); 5] = [
        ("konnectivity-server", Self::KonnectivityServer(1)),
        ("apiserver", Self::Apiserver),
        ("controllers", Self::Controllers),
        ("kubelet", Self::Kubelet),
        ("konnectivity-agent", Self::KonnectivityAgent(1)),
    ];

    /// Which of its kind it is, from 1.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::KonnectivityServer(number) | Self::KonnectivityAgent(number) => number,
            Self::Apiserver | Self::Controllers | Self::Kubelet => 1,
        }
    }

    const fn numbered(self, number: u8) -> Option<Self> {
        match self {
            Self::KonnectivityServer(_) => Some(Self::KonnectivityServer(number)),
            Self::KonnectivityAgent(_) => Some(Self::KonnectivityAgent(number)),
            Self::Apiserver | Self::Controllers | Self::Kubelet => None,
        }
    }

    /// The subcommand that it runs as.
    #[must_use]
    pub fn subcommand(self) -> &'static str {
        let first = self.numbered(1).unwrap_or(self);
        Self::WORDS.iter().find(|(_, one)| *one == first).map_or("", |(word, _)| word)
    }
}

impl fmt::Display for Member {
    /// The subcommand; of the second one of a kind, with `-2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number() {
            1 => f.write_str(self.subcommand()),
            number => write!(f, "{}-{number}", self.subcommand()),
        }
    }
}

impl FromStr for Member {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let first = |word: &str| Self::WORDS.iter().find(|(one, _)| *one == word).map(|(_, member)| *member);
        let further = || {
            let (word, number) = text.rsplit_once('-')?;
            let number = number.parse().ok().filter(|number| *number > 1)?;
            first(word)?.numbered(number)
        };
        first(text).or_else(further).ok_or_else(|| {
            let known: Vec<&str> = Self::WORDS.iter().map(|(word, _)| *word).collect();
            format!("{text:?} is no member: it is one of {}", known.join(", "))
        })
    }
}

/// Konnectivity servers, or agents, of one cluster.
pub const TUNNEL_ENDS_MAX: u8 = 8;

/// Addresses of the control plane from here on are for what relays have in front of them.
const BEHIND: u32 = 128;

const fn one() -> u8 {
    1
}

/// A cluster as it will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Its part of the loopback network.
    pub block: Ipv4Net,
    /// Its nodes.
    pub nodes: Vec<NodePlan>,
    /// How they are reached.
    pub egress: Egress,
    /// How many Konnectivity servers there are, where there is one at all.
    #[serde(default = "one")]
    pub konnectivity_servers: u8,
    /// How many agents.
    #[serde(default = "one")]
    pub agents: u8,
    /// Where objects are kept.
    pub storage: Storage,
    /// Whether the controllers run.
    pub controllers: bool,
    /// What is checked.
    pub security: Security,
}

impl Plan {
    /// Where everything lies.
    #[must_use]
    pub fn division(&self) -> Division {
        Division::of(self.block)
    }

    /// Address of a member: of the kubelet, the first node's.
    #[must_use]
    pub fn address(&self, member: Member) -> Ipv4Addr {
        let division = self.division();
        match member {
            Member::Apiserver => division.control_plane_address(1),
            Member::Controllers => division.control_plane_address(2),
            Member::KonnectivityServer(number) => division.control_plane_address(2 + u32::from(number)),
            Member::Kubelet => division.node_address(1),
            Member::KonnectivityAgent(number) => division.agent_address(number.into()),
        }
    }

    /// Where agents find the Konnectivity server: of several, the address that stands before all of them.
    #[must_use]
    pub fn agents_dial(&self) -> Ipv4Addr {
        if self.konnectivity_servers > 1 {
            self.division().control_plane_address(3 + u32::from(TUNNEL_ENDS_MAX))
        } else {
            self.address(Member::KonnectivityServer(1))
        }
    }

    /// Where a member listens when a relay has its address: 128 above it, within the control plane's range.
    pub(crate) fn behind_relay(&self, member: Member) -> Ipv4Addr {
        let first = u32::from(self.division().control_plane_address(0));
        self.division().control_plane_address(u32::from(self.address(member)) - first + BEHIND)
    }

    /// Where the relay before nodes, pods and Services listens.
    pub(crate) fn relay(&self) -> Ipv4Addr {
        self.division().control_plane_address(BEHIND)
    }

    /// Where the API server is meant to listen.
    #[must_use]
    pub fn apiserver(&self) -> SocketAddr {
        SocketAddr::from((self.address(Member::Apiserver), 6443))
    }

    /// Address of the `kubernetes` Service: the first of the range.
    #[must_use]
    pub fn kubernetes_service(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.division().services.network()) + 1)
    }

    /// Address of the cluster's DNS: the tenth of the range.
    #[must_use]
    pub fn dns_service(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.division().services.network()) + 10)
    }

    /// The members of this cluster, in the order in which they are started.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        let (nodes, tunnel) = (!self.nodes.is_empty(), self.has_konnectivity());
        let numbered = |member: &Member| -> Vec<Member> {
            match member {
                Member::Apiserver => vec![*member],
                Member::Controllers if self.controllers => vec![*member],
                Member::Kubelet if nodes => vec![*member],
                Member::KonnectivityServer(_) if tunnel => {
                    (1..=self.konnectivity_servers).map(Member::KonnectivityServer).collect()
                }
                Member::KonnectivityAgent(_) if tunnel => (1..=self.agents).map(Member::KonnectivityAgent).collect(),
                _ => Vec::new(),
            }
        };
        Member::WORDS.iter().flat_map(|(_, member)| numbered(member)).collect()
    }

    /// True when nothing from the control plane may reach a node but through the tunnel.
    #[must_use]
    pub fn isolated(&self) -> bool {
        self.egress != Egress::Direct && !self.nodes.is_empty()
    }

    /// True when the tunnel is Konnectivity's.
    #[must_use]
    pub fn has_konnectivity(&self) -> bool {
        self.isolated() && matches!(self.egress, Egress::Konnectivity(_))
    }

    /// True when the tunnels are of SSH.
    #[must_use]
    pub fn has_ssh(&self) -> bool {
        self.isolated() && self.egress == Egress::Ssh
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "addresses {}, egress {}, store {}", self.block, self.egress, self.storage)?;
        for member in self.members() {
            writeln!(f, "{member} at {}", self.address(member))?;
        }
        for node in &self.nodes {
            writeln!(f, "{} at {}, pods in {}", node.name, node.address, node.pod_range)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(nodes: usize) -> Plan {
        Plan {
            block: "127.9.16.0/20".parse().unwrap(),
            nodes: (1..=nodes)
                .map(|n| NodePlan {
                    name: format!("node-{n}"),
                    address: [127, 9, 17, 1].into(),
                    pod_range: "127.9.24.0/24".parse().unwrap(),
                })
                .collect(),
            egress: Egress::Konnectivity(Mode::Grpc),
            konnectivity_servers: 1,
            agents: 1,
            storage: Storage::Sled,
            controllers: true,
            security: Security::strict(),
        }
    }

    #[test]
    fn a_plan_reads_back_from_its_json() {
        let plan = plan(2);
        let text = serde_json::to_string(&plan).unwrap();
        assert!(text.contains(r#""egress":"konnectivity-grpc""#), "{text}");
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    }

    #[test]
    fn servers_and_agents_are_numbered() {
        let plan = Plan { konnectivity_servers: 3, agents: 2, ..plan(1) };
        let names: Vec<_> = plan.members().iter().map(ToString::to_string).collect();
        assert_eq!(names[..3], ["konnectivity-server", "konnectivity-server-2", "konnectivity-server-3"]);
        assert_eq!(names.last().unwrap(), "konnectivity-agent-2");
        for member in plan.members() {
            assert_eq!(member.to_string().parse(), Ok(member));
        }
        assert_ne!(plan.agents_dial(), plan.address(Member::KonnectivityServer(1)));
        for wrong in ["kubelet-2", "konnectivity-agent-1", "konnectivity-agent-x", "agent"] {
            assert!(wrong.parse::<Member>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_plan_of_an_older_version_has_one_of_each() {
        let mut text = serde_json::to_value(plan(1)).unwrap();
        let fields = text.as_object_mut().unwrap();
        assert!(fields.remove("konnectivityServers").is_some() && fields.remove("agents").is_some());
        assert_eq!(serde_json::from_value::<Plan>(text).unwrap(), plan(1));
    }

    #[test]
    fn without_nodes_there_is_nothing_to_tunnel_to() {
        assert_eq!(plan(0).members(), [Member::Apiserver, Member::Controllers]);
        assert_eq!(plan(1).members().len(), 5);
        let ssh = Plan { egress: Egress::Ssh, ..plan(1) };
        assert_eq!(ssh.members(), [Member::Apiserver, Member::Controllers, Member::Kubelet]);
        assert!(ssh.isolated() && ssh.has_ssh() && !ssh.has_konnectivity());
        assert!("tcp".parse::<Egress>().unwrap_err().contains("konnectivity-http-connect"));
    }
}
