//! The formats of text that a schema may ask for. Others mean nothing, as upstream has it.

use base64::Engine;
use std::net::{Ipv4Addr, Ipv6Addr};
use time::format_description::well_known::Rfc3339;

/// The formats of text that mean something.
const OF_TEXT: [&str; 26] = [
    "bsonobjectid",
    "uri",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "cidr",
    "mac",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
    "isbn",
    "isbn10",
    "isbn13",
    "creditcard",
    "ssn",
    "hexcolor",
    "rgbcolor",
    "byte",
    "password",
    "date",
    "duration",
    "datetime",
    "k8sshortname",
    "k8slongname",
];

/// Whether a format means something for values of this kind.
pub(crate) fn is_known(kind: &str, format: &str) -> bool {
    match kind {
        "" | "string" => OF_TEXT.contains(&format.replace('-', "").as_str()),
        "integer" => matches!(format, "int32" | "int64"),
        "number" => matches!(format, "float" | "double"),
        _ => false,
    }
}

/// Whether a text has the format; every text has a format that nobody knows.
pub(super) fn fits(format: &str, text: &str) -> bool {
    match format.replace('-', "").as_str() {
        "uri" => is_uri(text),
        "email" => text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && is_hostname(host)),
        "hostname" => is_hostname(text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => text.contains('/') && text.parse::<ipnet::IpNet>().is_ok(),
        "mac" => is_mac(text),
        "uuid" => uuid_version(text).is_some(),
        "uuid3" => uuid_version(text) == Some('3'),
        "uuid4" => uuid_version(text) == Some('4'),
        "uuid5" => uuid_version(text) == Some('5'),
        "byte" => base64::engine::general_purpose::STANDARD.decode(text).is_ok(),
        "hexcolor" => is_hex_color(text.strip_prefix('#').unwrap_or(text)),
        "bsonobjectid" => text.len() == 24 && text.chars().all(|c| c.is_ascii_hexdigit()),
        "date" => {
            text.len() == "2006-01-02".len()
                && time::OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339).is_ok()
        }
        "datetime" => time::OffsetDateTime::parse(text, &Rfc3339).is_ok(),
        "duration" => is_duration(text),
        "k8sshortname" => is_short_name(text),
        "k8slongname" => !text.is_empty() && text.len() <= 253 && text.split('.').all(is_label),
        _ => true,
    }
}

fn is_uri(text: &str) -> bool {
    let printable = text.bytes().all(|byte| byte > 0x20 && byte != 0x7f);
    let scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    printable && (text.starts_with('/') || text.split_once(':').is_some_and(|(before, _)| scheme(before)))
}

fn is_hostname(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (1..=255).contains(&text.len()) && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

fn is_mac(text: &str) -> bool {
    let groups = |separator: char, digits: usize, counts: &[usize]| {
        let parts: Vec<&str> = text.split(separator).collect();
        counts.contains(&parts.len())
            && parts.iter().all(|part| part.len() == digits && part.chars().all(|c| c.is_ascii_hexdigit()))
    };
    groups(':', 2, &[6, 8, 20]) || groups('-', 2, &[6, 8, 20]) || groups('.', 4, &[3, 4, 10])
}

/// The digit of a UUID that says its version.
fn uuid_version(text: &str) -> Option<char> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let dashes = text.char_indices().filter(|(_, c)| *c == '-').all(|(at, _)| [8, 13, 18, 23].contains(&at));
    let fits = digits.len() == 32 && dashes && digits.chars().all(|c| c.is_ascii_hexdigit());
    fits.then(|| digits.chars().nth(12)).flatten()
}

fn is_hex_color(digits: &str) -> bool {
    [3, 6].contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_hexdigit())
}

/// Numbers with units, as in `1h30m` or `22 ns`.
fn is_duration(text: &str) -> bool {
    let unsigned = text.trim_start_matches(['-', '+']);
    if unsigned == "0" {
        return true;
    }
    let mut rest = unsigned;
    while !rest.is_empty() {
        let number = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        if number.len() == rest.len() {
            return false;
        }
        let unit_on = number.trim_start();
        let after = unit_on.trim_start_matches(char::is_alphabetic);
        let unit = &unit_on[..unit_on.len() - after.len()];
        if !["ns", "us", "µs", "μs", "ms", "s", "m", "h", "d", "w", "day", "days", "hour", "hours", "second", "seconds"]
            .contains(&unit)
        {
            return false;
        }
        rest = after;
    }
    !unsigned.is_empty()
}

fn is_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_short_name(text: &str) -> bool {
    text.len() <= 63 && is_label(text)
}
