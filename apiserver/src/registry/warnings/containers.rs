//! Containers: fractions of bytes, variables that hide others, ports that are said twice.

use super::{LOOKED_AT_MAX, fraction};
use crate::registry::cells::{items, number};
use crate::request::WARNINGS_MAX;
use crate::validation::Path;
use crate::validation::field::text;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The containers of a pod's spec with their paths, in the order in which they are told of.
pub(super) fn with_paths<'s>(spec: &'s Value, path: &'s Path<'s>) -> Vec<(Path<'s>, &'s Value)> {
    let lists = ["initContainers", "containers", "ephemeralContainers"].into_iter();
    let of = |list: &'static str| items(&spec[list]).enumerate().map(move |(at, one)| (path.item(list, at), one));
    lists.flat_map(of).collect()
}

/// Tells of a container's amounts and variables.
pub(super) fn told(container: &Value, path: &Path<'_>, out: &mut Vec<String>) {
    let resources = path.child("resources");
    for name in ["memory", "ephemeral-storage"] {
        for which in ["limits", "requests"] {
            fraction(&container["resources"][which], name, &resources.child(which), out);
        }
    }
    let mut seen = BTreeSet::new();
    for (at, variable) in items(&container["env"]).enumerate() {
        let name = text(&variable["name"]);
        if seen.insert(name) {
            continue;
        }
        // One that is made of the one before is fine.
        let (value, reference) = (text(&variable["value"]), format!("$({name})"));
        if variable["valueFrom"].is_object() || value == reference || !value.contains(&reference) {
            let path = path.item("env", at);
            out.push(format!("{path}: hides previous definition of {name:?}, which may be dropped when using apply"));
        }
    }
}

/// Tells of the ports of all containers: numbers first, then names.
pub(super) fn ports(containers: &[(Path<'_>, &Value)], out: &mut Vec<String>) {
    let mut by_number: BTreeMap<(i64, &str), Vec<Port<'_>>> = BTreeMap::new();
    for place in all_ports(containers) {
        let (port, host) = (place.port, number(&place.port["hostPort"]));
        if !text(&port["hostIP"]).is_empty() && host == 0 {
            out.push(format!("{}: hostIP set without hostPort: {}", place.path(), shown(port)));
        }
        let others = by_number.entry((number(&port["containerPort"]), text(&port["protocol"]))).or_default();
        if out.len() >= WARNINGS_MAX || others.len() >= LOOKED_AT_MAX {
            return;
        }
        for before in others.iter() {
            let (address, its) = (text(&port["hostIP"]), text(&before.port["hostIP"]));
            let its_host = number(&before.port["hostPort"]);
            let how = match () {
                () if address == its && host == its_host => "duplicate",
                () if host == 0 || its_host == 0 => "overlapping",
                () if host == its_host && address.is_empty() != its.is_empty() => "dangerously ambiguous",
                () => continue,
            };
            out.push(format!("{}: {how} port definition with {}", place.path(), before.path()));
        }
        others.push(place);
    }
    let mut by_name: BTreeMap<&str, Port<'_>> = BTreeMap::new();
    for place in all_ports(containers).filter(|place| !text(&place.port["name"]).is_empty()) {
        let name = text(&place.port["name"]);
        let Some(first) = by_name.get(name).map(Port::path) else {
            by_name.insert(name, place);
            continue;
        };
        out.push(format!(
            "{}: duplicate port name {name:?} with {first}, services and probes that select ports by name will use {first}",
            place.path()
        ));
    }
}

/// A port, and where it stands.
#[derive(Clone, Copy)]
struct Port<'c> {
    container: &'c Path<'c>,
    at: usize,
    port: &'c Value,
}

impl Port<'_> {
    fn path(&self) -> String {
        self.container.item("ports", self.at).into()
    }
}

/// The ports of containers, with their places.
fn all_ports<'c>(containers: &'c [(Path<'c>, &'c Value)]) -> impl Iterator<Item = Port<'c>> {
    containers.iter().flat_map(|(container, value)| {
        items(&value["ports"]).enumerate().map(move |(at, port)| Port { container, at, port })
    })
}

/// A port as Go shows it.
fn shown(port: &Value) -> String {
    format!(
        "{{Name:{} HostPort:{} ContainerPort:{} Protocol:{} HostIP:{}}}",
        text(&port["name"]),
        number(&port["hostPort"]),
        number(&port["containerPort"]),
        text(&port["protocol"]),
        text(&port["hostIP"]),
    )
}
