//! Endpoints and `EndpointSlice`s. Which addresses they may tell of depends on the cluster.

use super::field::{Errors, Path, child, index, list, text};
use super::{ip, pod};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;
use tinyplane_wire::meta::{dns_label, dns_subdomain, label_value, qualified_name};
use tinyplane_wire::net::ClusterNet;

/// Most endpoints of one slice.
const ENDPOINTS_MAX: usize = 1000;
/// Most addresses of one endpoint.
const ADDRESSES_MAX: usize = 100;
/// Most ports of one slice.
const PORTS_MAX: usize = 20_000;
/// Most labels of where an endpoint is.
const TOPOLOGY_LABELS_MAX: usize = 16;
/// Most zones, and most nodes, that an endpoint is meant for.
const HINTS_MAX: usize = 8;
const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

pub(super) fn check(endpoints: &Value, net: Option<&ClusterNet>, errors: &mut Errors) {
    for (at, subset) in list(&endpoints["subsets"]).iter().enumerate() {
        let path = index("subsets", at);
        let fields = ["addresses", "notReadyAddresses"];
        if fields.iter().all(|field| list(&subset[*field]).is_empty()) {
            errors.required(&path, "must specify `addresses` or `notReadyAddresses`");
        }
        for field in fields {
            for (at, address) in list(&subset[field]).iter().enumerate() {
                let path = index(&child(&path, field), at);
                check_address(address, &path, net, errors);
            }
        }
        let ports = list(&subset["ports"]);
        for (at, port) in ports.iter().enumerate() {
            let (path, name) = (index(&child(&path, "ports"), at), text(&port["name"]));
            if name.is_empty() && ports.len() > 1 {
                errors.required(child(&path, "name"), "");
            } else if !name.is_empty() {
                errors.grammar(child(&path, "name"), name, dns_label(name));
            }
            errors.port(child(&path, "port"), &Value::from(port["port"].as_i64().unwrap_or_default()));
            errors.one_of(child(&path, "protocol"), &port["protocol"], &PROTOCOLS);
            if let Some(protocol) = port["appProtocol"].as_str() {
                errors.grammar(child(&path, "appProtocol"), protocol, qualified_name(protocol));
            }
        }
    }
}

fn check_address(address: &Value, path: &str, net: Option<&ClusterNet>, errors: &mut Errors) {
    let (ip, host) = (text(&address["ip"]), text(&address["hostname"]));
    errors.address(child(path, "ip"), ip);
    if !host.is_empty() {
        errors.grammar(child(path, "hostname"), host, dns_label(host));
    }
    if let Some(node) = address["nodeName"].as_str() {
        errors.grammar(child(path, "nodeName"), node, dns_subdomain(node));
    }
    if ip::read(ip).is_none() {
        errors.invalid_text(child(path, "ip"), ip, "must be a valid IP address");
    }
    check_special(&child(path, "ip"), ip, net, errors);
}

pub(super) fn check_slice(slice: &Value, net: Option<&ClusterNet>, errors: &mut Errors) {
    let family = text(&slice["addressType"]);
    errors.one_of("addressType", &slice["addressType"], &["FQDN", "IPv4", "IPv6"]);
    check_ports(list(&slice["ports"]), errors);
    let endpoints = list(&slice["endpoints"]);
    if endpoints.len() > ENDPOINTS_MAX {
        return errors.too_many("endpoints", endpoints.len(), ENDPOINTS_MAX);
    }
    for (at, endpoint) in endpoints.iter().enumerate() {
        check_endpoint(endpoint, (family, net), &index("endpoints", at), errors);
    }
}

fn check_ports(ports: &[Value], errors: &mut Errors) {
    let mut names = BTreeSet::new();
    if ports.len() > PORTS_MAX {
        return errors.too_many("ports", ports.len(), PORTS_MAX);
    }
    for (at, port) in ports.iter().enumerate() {
        let (path, name) = (index("ports", at), text(&port["name"]));
        if !name.is_empty() {
            errors.grammar(child(&path, "name"), name, dns_label(name));
        }
        if !names.insert(name) {
            errors.duplicate(child(&path, "name"), &Value::from(name));
        }
        match &port["protocol"] {
            Value::Null => errors.required(child(&path, "protocol"), ""),
            protocol => errors.known(child(&path, "protocol"), protocol, &PROTOCOLS),
        }
        if let Some(protocol) = port["appProtocol"].as_str() {
            errors.grammar(child(&path, "appProtocol"), protocol, qualified_name(protocol));
        }
    }
}

fn check_endpoint(endpoint: &Value, kind: (&str, Option<&ClusterNet>), path: &str, errors: &mut Errors) {
    let (addresses, addresses_path) = (list(&endpoint["addresses"]), child(path, "addresses"));
    if addresses.is_empty() {
        errors.required(&addresses_path, "must contain at least 1 address");
    } else if addresses.len() > ADDRESSES_MAX {
        errors.too_many(&addresses_path, addresses.len(), ADDRESSES_MAX);
    }
    for (at, address) in addresses.iter().enumerate() {
        check_of_family(text(address), kind, (&addresses_path, at), errors);
    }
    if let Some(node) = endpoint["nodeName"].as_str() {
        errors.grammar(child(path, "nodeName"), node, dns_subdomain(node));
    }
    let (topology, topology_path) = (&endpoint["deprecatedTopology"], child(path, "deprecatedTopology"));
    let labels = topology.as_object().map_or(0, serde_json::Map::len);
    if labels > TOPOLOGY_LABELS_MAX {
        errors.too_many(&topology_path, labels, TOPOLOGY_LABELS_MAX);
    }
    pod::check_labels(topology, &Path::root(&topology_path), errors);
    if let Some(host) = endpoint["hostname"].as_str() {
        errors.grammar(child(path, "hostname"), host, dns_label(host));
    }
    check_hints(&endpoint["hints"], &child(path, "hints"), errors);
}

/// One address of an endpoint, of the family that the slice is for.
fn check_of_family(
    address: &str,
    (family, net): (&str, Option<&ClusterNet>),
    (addresses, at): (&str, usize),
    errors: &mut Errors,
) {
    let path = index(addresses, at);
    let mut found = Errors::default();
    match family {
        "IPv4" => {
            found.address(&path, address);
            if found.is_empty() {
                if ip::read(address).is_some_and(|ip| ip.is_ipv6()) {
                    found.invalid_text(addresses, address, "must be an IPv4 address");
                }
                check_special(&path, address, net, &mut found);
            }
        }
        "IPv6" => match ip::canonical_complaint(address) {
            Some(told) => found.invalid_text(path, address, &told),
            None => {
                if ip::read(address).is_some_and(|ip| ip.is_ipv4()) {
                    found.invalid_text(addresses, address, "must be an IPv6 address");
                }
                check_special(&path, address, net, &mut found);
            }
        },
        "FQDN" => check_domain(address, &path, &mut found),
        _ => {}
    }
    errors.append(found);
}

/// A whole domain name, which may end with a dot.
fn check_domain(name: &str, path: &str, errors: &mut Errors) {
    if name.is_empty() {
        return errors.required(path, "");
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let complaints = dns_subdomain(name);
    if !complaints.is_empty() {
        errors.invalid_text(path, name, &complaints.join(","));
    } else if !name.contains('.') {
        errors.invalid_text(path, name, "should be a domain with at least two segments separated by dots");
    } else if let Some(label) = name.split('.').find(|label| !dns_label(label).is_empty()) {
        errors.invalid_text(path, label, &dns_label(label).join(","));
    }
}

/// For whom an endpoint is meant: zones, and nodes.
fn check_hints(hints: &Value, path: &str, errors: &mut Errors) {
    for (field, is_zone) in [("forZones", true), ("forNodes", false)] {
        let (all, path, mut seen) = (list(&hints[field]), child(path, field), BTreeSet::new());
        if all.len() > HINTS_MAX {
            return errors.too_many(path, all.len(), HINTS_MAX);
        }
        for (at, hint) in all.iter().enumerate() {
            let (path, name) = (child(&index(&path, at), "name"), text(&hint["name"]));
            if !seen.insert(name) {
                errors.duplicate(&path, &Value::from(name));
            }
            errors.grammar(&path, name, if is_zone { label_value(name) } else { dns_subdomain(name) });
        }
    }
}

pub(super) fn check_slice_update(new: &Value, old: &Value, errors: &mut Errors) {
    errors.immutable_as("addressType", "", &new["addressType"], &old["addressType"]);
}

/// An address that no endpoint may have, as it means another machine on every machine. Nodes, pods and Services of a
/// cluster that lives on the loopback network are excepted.
pub(super) fn check_special(path: &str, address: &str, net: Option<&ClusterNet>, errors: &mut Errors) {
    let (Some(net), Some(ip)) = (net, ip::read(address).map(|ip| ip.to_canonical())) else { return };
    if net.excepts(ip) {
        return;
    }
    let (local, local_multicast) = match ip {
        IpAddr::V4(ip) => (ip.is_link_local(), ip.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(ip) => (ip.is_unicast_link_local(), ip.segments()[0] & 0xff0f == 0xff02),
    };
    if ip.is_unspecified() {
        errors.invalid_text(path, address, &format!("may not be unspecified ({address})"));
    } else if ip.is_loopback() {
        errors.invalid_text(path, address, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    } else if local {
        errors.invalid_text(path, address, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    } else if local_multicast {
        let told = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)";
        errors.invalid_text(path, address, told);
    }
}
