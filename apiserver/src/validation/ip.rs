//! Addresses and ranges of addresses: one way to write each, as upstream demands it since 1.36.

use super::field::Errors;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};

const ADDRESS: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const RANGE: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

/// An address as Go reads it, in which numbers may have zeros before them.
pub(crate) fn read(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| {
        let (before, dotted) = text.rfind(':').map_or(("", text), |at| text.split_at(at + 1));
        let parts: Vec<&str> = dotted.split('.').map(without_zeros).collect();
        if !dotted.contains('.') || dotted.split('.').any(|part| part.len() > 3) {
            return None;
        }
        format!("{before}{}", parts.join(".")).parse().ok()
    })
}

fn without_zeros(number: &str) -> &str {
    match number.trim_start_matches('0') {
        "" if !number.is_empty() => "0",
        rest => rest,
    }
}

/// A range as Go reads it: its address, and how many bits of it count.
pub(crate) fn read_range(text: &str) -> Option<IpNet> {
    let (address, bits) = text.split_once('/')?;
    let digits = !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit());
    let bits = digits.then(|| without_zeros(bits).parse::<u8>().ok()).flatten()?;
    IpNet::new(read(address)?, bits).ok()
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some())
}

/// What is wrong with an address, a mapped or an odd one included.
pub(super) fn check_address(path: &str, text: &str, errors: &mut Errors) {
    match read(text) {
        None => errors.invalid_text(path, text, ADDRESS),
        Some(_) if text.parse::<IpAddr>().is_err() => errors.invalid_text(path, text, "must not have leading 0s"),
        Some(address) if is_mapped(address) => {
            errors.invalid_text(path, text, "must not be an IPv4-mapped IPv6 address");
        }
        Some(_) => {}
    }
}

/// What is wrong with a range.
pub(super) fn check_range(path: &str, text: &str, errors: &mut Errors) {
    let Some(range) = read_range(text) else { return errors.invalid_text(path, text, RANGE) };
    let (address, bits) = text.split_once('/').unwrap_or_default();
    let zeros = address.parse::<IpAddr>().is_err() || without_zeros(bits) != bits;
    if zeros {
        errors.invalid_text(path, text, "must not have leading 0s in IP or prefix length");
    } else if is_mapped(range.addr()) {
        errors.invalid_text(path, text, "must not have an IPv4-mapped IPv6 address");
    } else if range.addr() != range.network() {
        errors.invalid_text(path, text, "must not have bits set beyond the prefix length");
    }
}

/// What is wrong with a range in a field that demands the canonical form.
pub(super) fn check_canonical_range(path: &str, text: &str, errors: &mut Errors) {
    let mut found = Errors::default();
    check_range(path, text, &mut found);
    if found.is_empty()
        && let Some(range) = read_range(text)
        && range.to_string() != text
    {
        errors.invalid_text(path, text, &format!("must be in canonical form (\"{range}\")"));
    }
    errors.append(found);
}

/// What is wrong with an address of an interface and its prefix, in the canonical form.
pub(super) fn check_interface(text: &str, path: &str, errors: &mut Errors) {
    let Some(range) = read_range(text) else {
        let told = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)";
        return errors.invalid_text(path, text, told);
    };
    let bits = if is_mapped(range.addr()) { range.prefix_len().saturating_sub(96) } else { range.prefix_len() };
    let wished = format!("{}/{bits}", canonical(range.addr()));
    if wished != text {
        errors.invalid_text(path, text, &format!("must be in canonical form (\"{wished}\")"));
    }
}

/// An address in the canonical form of RFC 5952, as Go writes it.
pub(super) fn canonical(address: IpAddr) -> String {
    match address {
        IpAddr::V6(six) if is_mapped(address) => six.to_ipv4_mapped().unwrap_or(Ipv4Addr::UNSPECIFIED).to_string(),
        other => other.to_string(),
    }
}

/// What is wrong with an address that has to be in the canonical form.
pub(super) fn canonical_complaint(text: &str) -> Option<String> {
    let mut errors = Errors::default();
    check_address("", text, &mut errors);
    if let Some(cause) = errors.into_causes().into_iter().next() {
        return cause
            .message
            .split_once(": ")
            .and_then(|(_, rest)| rest.split_once(": "))
            .map(|(_, why)| why.to_owned());
    }
    let wished = canonical(read(text)?);
    (wished != text).then(|| format!("must be in canonical form (\"{wished}\")"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(check: fn(&str, &str, &mut Errors), text: &str) -> Vec<String> {
        let mut errors = Errors::default();
        check("x", text, &mut errors);
        let causes = errors.into_causes();
        causes.into_iter().map(|c| c.message.rsplit(": ").next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn addresses_are_written_in_one_way() {
        assert!(told(check_address, "10.0.0.1").is_empty() && told(check_address, "FE80::1").is_empty());
        assert_eq!(told(check_address, "010.0.0.1"), ["must not have leading 0s"]);
        assert_eq!(told(check_address, "::ffff:1.2.3.4"), ["must not be an IPv4-mapped IPv6 address"]);
        assert_eq!(told(check_address, "1.2.3"), ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]);
        assert_eq!(canonical_complaint("FE80::1").unwrap(), "must be in canonical form (\"fe80::1\")");
        assert_eq!(canonical_complaint("01.2.3.4").unwrap(), "must not have leading 0s");
        assert_eq!(canonical_complaint("1.2.3.4"), None);
    }

    #[test]
    fn ranges_have_nothing_behind_their_prefix() {
        assert!(told(check_range, "10.0.0.0/8").is_empty());
        assert_eq!(told(check_range, "10.0.0.1/8"), ["must not have bits set beyond the prefix length"]);
        assert_eq!(told(check_range, "10.0.0.0/08"), ["must not have leading 0s in IP or prefix length"]);
        assert_eq!(told(check_range, "10.0.0.0"), ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]);
        assert_eq!(told(check_canonical_range, "FE80::/10"), ["must be in canonical form (\"fe80::/10\")"]);
    }
}
