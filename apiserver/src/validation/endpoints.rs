//! Endpoints and `EndpointSlice`s. Which addresses they may tell of depends on the cluster: see [`addresses`].

use super::field::{Errors, child, index, list, text};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;
use tinyplane_wire::meta::{dns_label, dns_subdomain, qualified_name};
use tinyplane_wire::net::ClusterNet;
use tinyplane_wire::status::Cause;

/// Most endpoints of one slice.
const ENDPOINTS_MAX: usize = 1000;
/// Most addresses of one endpoint, and most ports of one slice.
const ENTRIES_MAX: usize = 100;
const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

pub(super) fn check(endpoints: &Value, errors: &mut Errors) {
    for (at, subset) in list(&endpoints["subsets"]).iter().enumerate() {
        let path = index("subsets", at);
        let fields = ["addresses", "notReadyAddresses"];
        if fields.iter().all(|field| list(&subset[*field]).is_empty()) {
            errors.required(&path, "must specify `addresses` or `notReadyAddresses`");
        }
        for field in fields {
            for (at, address) in list(&subset[field]).iter().enumerate() {
                let path = index(&child(&path, field), at);
                let (ip, host) = (text(&address["ip"]), text(&address["hostname"]));
                if ip.parse::<IpAddr>().is_err() {
                    let told = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
                    errors.invalid_text(child(&path, "ip"), ip, told);
                }
                if !host.is_empty() {
                    errors.grammar(&child(&path, "hostname"), host, dns_label(host));
                }
            }
        }
        let ports = list(&subset["ports"]);
        for (at, port) in ports.iter().enumerate() {
            let (path, name) = (index(&child(&path, "ports"), at), text(&port["name"]));
            if name.is_empty() && ports.len() > 1 {
                errors.required(child(&path, "name"), "");
            } else if !name.is_empty() {
                errors.grammar(&child(&path, "name"), name, dns_label(name));
            }
            errors.port(child(&path, "port"), &Value::from(port["port"].as_i64().unwrap_or_default()));
            errors.one_of(&child(&path, "protocol"), &port["protocol"], &PROTOCOLS);
        }
    }
}

pub(super) fn check_slice(slice: &Value, errors: &mut Errors) {
    let family = text(&slice["addressType"]);
    errors.one_of("addressType", &slice["addressType"], &["FQDN", "IPv4", "IPv6"]);
    let endpoints = list(&slice["endpoints"]);
    if endpoints.len() > ENDPOINTS_MAX {
        errors.too_many("endpoints", endpoints.len(), ENDPOINTS_MAX);
    } else {
        for (at, endpoint) in endpoints.iter().enumerate() {
            check_endpoint(endpoint, family, &index("endpoints", at), errors);
        }
    }
    let (ports, mut names) = (list(&slice["ports"]), BTreeSet::new());
    if ports.len() > ENTRIES_MAX {
        return errors.too_many("ports", ports.len(), ENTRIES_MAX);
    }
    for (at, port) in ports.iter().enumerate() {
        let (path, name) = (index("ports", at), text(&port["name"]));
        if !name.is_empty() {
            errors.grammar(&child(&path, "name"), name, dns_label(name));
        }
        if !names.insert(name) {
            errors.duplicate(child(&path, "name"), &Value::from(name));
        }
        errors.one_of(&child(&path, "protocol"), &port["protocol"], &PROTOCOLS);
        if let Some(protocol) = port["appProtocol"].as_str() {
            errors.grammar(&child(&path, "appProtocol"), protocol, qualified_name(protocol));
        }
    }
}

fn check_endpoint(endpoint: &Value, family: &str, path: &str, errors: &mut Errors) {
    let (addresses, addresses_path) = (list(&endpoint["addresses"]), child(path, "addresses"));
    if addresses.is_empty() {
        errors.required(&addresses_path, "must contain at least 1 address");
    } else if addresses.len() > ENTRIES_MAX {
        errors.too_many(&addresses_path, addresses.len(), ENTRIES_MAX);
    }
    for (at, address) in addresses.iter().enumerate() {
        let (path, address) = (index(&addresses_path, at), text(address));
        let parsed = address.parse::<IpAddr>().ok();
        match family {
            "IPv4" if !parsed.is_some_and(|ip| ip.is_ipv4()) => {
                errors.invalid_text(path, address, "must be a valid IPv4 address");
            }
            "IPv6" if !parsed.is_some_and(|ip| ip.is_ipv6()) => {
                errors.invalid_text(path, address, "must be a valid IPv6 address");
            }
            "FQDN" => errors.grammar(&path, address, dns_subdomain(address)),
            _ => {}
        }
    }
    if let Some(host) = endpoint["hostname"].as_str() {
        errors.grammar(&child(path, "hostname"), host, dns_label(host));
    }
}

pub(super) fn check_slice_update(new: &Value, old: &Value, errors: &mut Errors) {
    errors.immutable("addressType", &new["addressType"], &old["addressType"]);
}

/// The addresses that no endpoint may have, in upstream's words: those that mean another machine on every machine.
/// Nodes, pods and Services of a cluster that lives on the loopback network are excepted. `object` is an Endpoints
/// or an `EndpointSlice`; what is no address at all is told by [`super::create`].
#[must_use]
pub fn addresses(object: &Value, net: &ClusterNet) -> Vec<Cause> {
    let mut errors = Errors::default();
    let mut judge = |path: String, address: &Value| {
        if let Ok(ip) = text(address).parse::<IpAddr>()
            && !net.excepts(ip)
        {
            check_special(ip, path, text(address), &mut errors);
        }
    };
    for (at, subset) in list(&object["subsets"]).iter().enumerate() {
        for field in ["addresses", "notReadyAddresses"] {
            for (inner, address) in list(&subset[field]).iter().enumerate() {
                judge(format!("subsets[{at}].{field}[{inner}].ip"), &address["ip"]);
            }
        }
    }
    for (at, endpoint) in list(&object["endpoints"]).iter().enumerate() {
        for (inner, address) in list(&endpoint["addresses"]).iter().enumerate() {
            judge(format!("endpoints[{at}].addresses[{inner}]"), address);
        }
    }
    errors.into_causes()
}

fn check_special(ip: IpAddr, path: String, address: &str, errors: &mut Errors) {
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
