//! Addresses and ranges that are taken although they are not written as they should be.

use crate::validation::ip;
use ipnet::IpNet;
use std::net::IpAddr;

/// Whether an address is an IPv4 address in the clothes of an IPv6 one.
fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(six) if six.to_ipv4_mapped().is_some())
}

/// The address that is meant, without those clothes.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// Tells of an address.
pub(super) fn address(path: &str, text: &str, out: &mut Vec<String>) {
    let Some(meant) = ip::read(text) else { return };
    match text.parse::<IpAddr>() {
        Ok(exact) if !is_mapped(exact) => {
            if exact.is_ipv6() && exact.to_string() != text {
                out.push(format!("{path}: IPv6 address {text:?} should be in RFC 5952 canonical format (\"{exact}\")"));
            }
        }
        _ => out.push(format!("{path}: non-standard IP address {text:?} is invalid: use \"{}\"", plain(meant))),
    }
}

/// Tells of a range.
pub(super) fn range(path: &str, text: &str, out: &mut Vec<String>) {
    let Some(meant) = ip::read_range(text) else { return };
    let (whole, before) = (meant.trunc(), out.len());
    if whole.addr() != meant.addr() {
        let alone = format!("{}/{}", meant.addr(), meant.max_prefix_len());
        out.push(format!(
            "{path}: CIDR value {text:?} is ambiguous in this context (should be \"{whole}\" or {alone:?}?)"
        ));
    }
    match text.parse::<IpNet>() {
        Ok(exact) if !is_mapped(exact.addr()) => {
            if out.len() == before && exact.addr().is_ipv6() && exact.to_string() != text {
                let told = format!("IPv6 CIDR value {text:?} should be in RFC 5952 canonical format (\"{exact}\")");
                out.push(format!("{path}: {told}"));
            }
        }
        _ => out.push(format!("{path}: non-standard CIDR value {text:?} is invalid: use \"{whole}\"")),
    }
}
