//! How a server chooses the agent of a dial: by chance, by what agents name, or by their default route.

use super::backends::Backend;
use crate::identifiers::Identifiers;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A way to choose (`--proxy-strategies`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Any agent.
    Default,
    /// One that names the host that is dialled, or else the longest range around it.
    DestHost,
    /// One that has a default route.
    DefaultRoute,
}

impl Strategy {
    const WORDS: [(&'static str, Self); 3] =
        [("default", Self::Default), ("destHost", Self::DestHost), ("defaultRoute", Self::DefaultRoute)];
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::WORDS.iter().find(|(_, one)| one == self).map_or("", |(word, _)| word))
    }
}

impl FromStr for Strategy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::WORDS.iter().find(|(word, _)| *word == text.trim());
        known.map(|(_, one)| *one).ok_or_else(|| format!("unknown proxy strategy: {text}"))
    }
}

/// The connections of one agent, the oldest first: it stays preferred.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) id: String,
    pub(super) connections: Vec<Arc<Backend>>,
}

impl Strategy {
    /// An agent for a host.
    pub(super) fn choose(self, agents: &[Agent], host: &str) -> Option<Arc<Backend>> {
        match self {
            Self::Default => any_that(agents, |_| true),
            Self::DefaultRoute => any_that(agents, |says| says.default_route),
            Self::DestHost => any_that(agents, |says| says.names(host)).or_else(|| {
                let ranges =
                    agents.iter().flat_map(|agent| &agent.connections).map(|one| one.identifiers.range_of(host));
                let longest = ranges.flatten().max()?;
                any_that(agents, |says| says.range_of(host) == Some(longest))
            }),
        }
    }

    /// How many there are to choose from: agents, or the hosts and ranges that they name.
    pub(super) fn count(self, agents: &[Agent]) -> usize {
        let says = || agents.iter().flat_map(|agent| agent.connections.iter().map(|one| &one.identifiers));
        match self {
            Self::Default => agents.len(),
            Self::DefaultRoute => {
                agents.iter().filter(|agent| agent.connections.iter().any(|one| one.identifiers.default_route)).count()
            }
            Self::DestHost => {
                let hosts: BTreeSet<_> = says().flat_map(|says| &says.hosts).collect();
                let ranges: BTreeSet<_> = says().flat_map(|says| &says.ranges).collect();
                hosts.len() + ranges.len()
            }
        }
    }
}

/// An agent that says what is wanted, each as often as the others; one that drains only when all of them do.
fn any_that(agents: &[Agent], wanted: impl Fn(&Identifiers) -> bool) -> Option<Arc<Backend>> {
    let from = rand::random_range(0..agents.len().max(1));
    let (before, after) = agents.split_at(from.min(agents.len()));
    let fitting = |agent: &Agent, drains: bool| {
        let fits = |one: &&Arc<Backend>| wanted(&one.identifiers) && (drains || !one.is_draining());
        agent.connections.iter().find(fits).cloned()
    };
    let mut in_turn = after.iter().chain(before);
    let active = in_turn.clone().find_map(|agent| fitting(agent, false));
    active.or_else(|| in_turn.find_map(|agent| fitting(agent, true)))
}

#[cfg(test)]
mod tests {
    use super::super::backends::tests::backend;
    use super::*;

    fn agents(all: &[(&str, &str)]) -> Vec<Agent> {
        let agent = |(id, says): &(&str, &str)| Agent { id: (*id).into(), connections: vec![backend(id, says)] };
        all.iter().map(agent).collect()
    }

    #[test]
    fn names_go_before_ranges_and_long_ranges_before_short_ones() {
        let all = agents(&[("wide", "cidr=10.0.0.0/8"), ("near", "cidr=10.1.0.0/16"), ("exact", "ipv4=10.1.0.1")]);
        let chosen = |host| Strategy::DestHost.choose(&all, host).map(|one| one.agent_id.clone());
        assert_eq!(chosen("10.1.0.1").as_deref(), Some("exact"));
        assert_eq!(chosen("10.1.0.2").as_deref(), Some("near"));
        assert_eq!(chosen("10.2.0.1").as_deref(), Some("wide"));
        assert_eq!((chosen("11.0.0.1"), chosen("node")), (None, None));
        assert_eq!(Strategy::DestHost.count(&all), 3);
    }

    #[test]
    fn strategies_are_read_by_upstreams_words() {
        assert_eq!("destHost".parse(), Ok(Strategy::DestHost));
        assert_eq!(Strategy::DefaultRoute.to_string(), "defaultRoute");
        assert!("desthost".parse::<Strategy>().is_err());
    }
}
