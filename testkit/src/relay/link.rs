//! The links of a cluster: who dials whom, by the words that a person types.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A link of a cluster: from who dials to who is dialled. Where a link has several ends it names one of them, or
/// [`Link::EVERY`] of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Link<'a> {
    /// From kubectl, and everybody else who is no member, to the API server.
    ClientToApiserver,
    /// From the scheduler and the controllers to the API server.
    ControllersToApiserver,
    /// From a node (its kubelet, its proxy and its pods) to the API server.
    NodeToApiserver(&'a str),
    /// From the API server to a node, where it dials nodes itself: to its kubelet and to its pods.
    ApiserverToKubelet(&'a str),
    /// From the API server to a node's SSH server.
    ApiserverToSsh(&'a str),
    /// From the API server to a Konnectivity server, which is named as its member is.
    ApiserverToKonnectivity(&'a str),
    /// From a Konnectivity agent, which is named as its member is, to the servers.
    AgentToKonnectivity(&'a str),
    /// From the Konnectivity agents to a node: to its kubelet and to its pods.
    AgentToNode(&'a str),
    /// From nodes and pods to a node: of Services to its pods, of probes and of pods to them, and of the node's own SSH
    /// server to its kubelet.
    NodeToNode(&'a str),
}

impl Link<'_> {
    /// The name that stands for every end of a link.
    pub const EVERY: &'static str = "*";

    pub(crate) fn place(self) -> Place {
        let (kind, name) = match self {
            Self::ClientToApiserver => (Kind::ClientToApiserver, Self::EVERY),
            Self::ControllersToApiserver => (Kind::ControllersToApiserver, Self::EVERY),
            Self::NodeToApiserver(node) => (Kind::NodeToApiserver, node),
            Self::ApiserverToKubelet(node) => (Kind::ApiserverToKubelet, node),
            Self::ApiserverToSsh(node) => (Kind::ApiserverToSsh, node),
            Self::ApiserverToKonnectivity(server) => (Kind::ApiserverToKonnectivity, server),
            Self::AgentToKonnectivity(agent) => (Kind::AgentToKonnectivity, agent),
            Self::AgentToNode(node) => (Kind::AgentToNode, node),
            Self::NodeToNode(node) => (Kind::NodeToNode, node),
        };
        Place { kind, name: name.to_owned() }
    }
}

impl fmt::Display for Link<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place().fmt(f)
    }
}

/// A link without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    ClientToApiserver,
    ControllersToApiserver,
    NodeToApiserver,
    ApiserverToKubelet,
    ApiserverToSsh,
    ApiserverToKonnectivity,
    AgentToKonnectivity,
    AgentToNode,
    NodeToNode,
}

impl Kind {
    pub(crate) const WORDS: [(&'static str, Self); 9] = [
        ("client-to-apiserver", Self::ClientToApiserver),
        ("controllers-to-apiserver", Self::ControllersToApiserver),
        ("node-to-apiserver", Self::NodeToApiserver),
        ("apiserver-to-kubelet", Self::ApiserverToKubelet),
        ("apiserver-to-ssh", Self::ApiserverToSsh),
        ("apiserver-to-konnectivity", Self::ApiserverToKonnectivity),
        ("agent-to-konnectivity", Self::AgentToKonnectivity),
        ("agent-to-node", Self::AgentToNode),
        ("node-to-node", Self::NodeToNode),
    ];

    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }

    /// One end of this link.
    pub(crate) fn named(self, name: &str) -> Place {
        Place { kind: self, name: name.to_owned() }
    }
}

/// A link that is owned: where a fault is placed, or where a connection runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    pub(crate) name: String,
}

impl Place {
    /// True when what is placed here meets a connection there.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.kind == other.kind && (self.name == Link::EVERY || self.name == other.name)
    }
}

impl fmt::Display for Place {
    /// `node-to-apiserver/node-1`; without a name where it stands for every end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            Link::EVERY => f.write_str(self.kind.word()),
            name => write!(f, "{}/{name}", self.kind.word()),
        }
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, name) = text.split_once('/').unwrap_or((text, Link::EVERY));
        let kind = Kind::WORDS.iter().find(|(one, _)| *one == word).map(|(_, kind)| *kind);
        kind.filter(|_| !name.is_empty()).map(|kind| kind.named(name)).ok_or_else(|| {
            let known: Vec<&str> = Kind::WORDS.iter().map(|(word, _)| *word).collect();
            format!("{text:?} is no link: it is one of {}, with /NAME for one end of it", known.join(", "))
        })
    }
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_reads_back_from_its_word_and_covers_its_ends() {
        for link in [Link::ClientToApiserver, Link::NodeToApiserver("node-1"), Link::AgentToNode(Link::EVERY)] {
            assert_eq!(link.to_string().parse(), Ok(link.place()));
        }
        let (every, one) = (Link::NodeToApiserver(Link::EVERY).place(), Link::NodeToApiserver("node-1").place());
        assert!(every.covers(&one) && one.covers(&one) && !one.covers(&every));
        assert!(!every.covers(&Link::AgentToNode("node-1").place()));
        assert!("node-to-moon".parse::<Place>().unwrap_err().contains("agent-to-konnectivity"));
    }
}
