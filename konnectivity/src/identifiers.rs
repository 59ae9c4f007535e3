//! What an agent says that it can reach: `ipv4=1.2.3.4&host=node-1&cidr=10.0.0.0/8&default-route=true`.

use ipnet::IpNet;
use percent_encoding::percent_decode_str;
use std::net::IpAddr;

/// Identifiers of one agent.
const IDENTIFIERS_MAX: usize = 1024;

/// Why identifiers can't be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IdentifierError {
    /// A key that nobody knows. An agent's flags refuse it; a server passes over it, as upstream's do.
    #[cfg(feature = "cli")]
    #[error("unknown address type: {0}")]
    Unknown(String),
    /// Text that is no URL-encoded query.
    #[error("{0:?} is no URL-encoded text")]
    Encoding(String),
    /// More than an agent can have.
    #[error("more than {IDENTIFIERS_MAX} identifiers")]
    TooMany,
}

/// What an agent can reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identifiers {
    /// Addresses and names, as they are spelled in dials.
    pub(crate) hosts: Vec<String>,
    /// Ranges of addresses.
    pub(crate) ranges: Vec<IpNet>,
    /// Everything that nobody else reaches.
    pub(crate) default_route: bool,
}

impl Identifiers {
    /// Reads a header of an agent.
    pub(crate) fn parse(text: &str) -> Result<Self, IdentifierError> {
        let mut read = Self::default();
        for (place, pair) in text.split('&').filter(|pair| !pair.is_empty()).enumerate() {
            if place >= IDENTIFIERS_MAX {
                return Err(IdentifierError::TooMany);
            }
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = (decoded(key)?, decoded(value)?);
            match key.as_str() {
                "ipv4" | "ipv6" | "host" => read.hosts.push(value),
                "cidr" => match value.parse::<IpNet>() {
                    Ok(range) => read.ranges.push(range.trunc()),
                    Err(_) => tracing::info!(cidr = value, "an agent tells of a range that is none"),
                },
                "default-route" => read.default_route |= value == "true",
                _ => tracing::debug!(key, "an identifier that nobody knows"),
            }
        }
        Ok(read)
    }

    /// Whether an agent names this host, as a name or an address.
    pub(crate) fn names(&self, host: &str) -> bool {
        let address: Option<IpAddr> = host.parse().ok();
        let same = |one: &String| one == host || (address.is_some() && one.parse().ok() == address);
        self.hosts.iter().any(same)
    }

    /// The longest of its ranges that the host lies in.
    pub(crate) fn range_of(&self, host: &str) -> Option<u8> {
        let address: IpAddr = host.parse().ok()?;
        self.ranges.iter().filter(|range| range.contains(&address)).map(IpNet::prefix_len).max()
    }
}

/// Refuses what an agent may not say of itself.
#[cfg(feature = "cli")]
pub(crate) fn check(text: &str) -> Result<String, IdentifierError> {
    const KEYS: [&str; 5] = ["ipv4", "ipv6", "host", "cidr", "default-route"];
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let key = decoded(pair.split_once('=').map_or(pair, |(key, _)| key))?;
        if !KEYS.contains(&key.as_str()) {
            return Err(IdentifierError::Unknown(key));
        }
    }
    Identifiers::parse(text)?;
    Ok(text.to_owned())
}

fn decoded(text: &str) -> Result<String, IdentifierError> {
    let text = text.replace('+', " ");
    let read = percent_decode_str(&text).decode_utf8();
    read.map(std::borrow::Cow::into_owned).map_err(|_| IdentifierError::Encoding(text.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_read_as_a_query() {
        let text =
            "host=localhost&host=node1.example&cidr=127.0.0.1/16&ipv4=1.2.3.4&ipv6=%3A%3A1&default-route=true&x=y";
        let read = Identifiers::parse(text).unwrap();
        assert_eq!(read.hosts, ["localhost", "node1.example", "1.2.3.4", "::1"]);
        assert!(read.default_route);
        assert!(read.names("node1.example") && read.names("0:0:0:0:0:0:0:1") && !read.names("1.2.3.5"));
        assert_eq!(
            (read.range_of("127.0.7.7"), read.range_of("127.1.0.1"), read.range_of("node1")),
            (Some(16), None, None)
        );
        assert_eq!(Identifiers::parse("").unwrap(), Identifiers::default());
        assert!(matches!(Identifiers::parse("host=%ff"), Err(IdentifierError::Encoding(_))));
        assert_eq!(Identifiers::parse(&"host=a&".repeat(2000)), Err(IdentifierError::TooMany));
    }

    #[cfg(feature = "cli")]
    #[test]
    fn an_agent_says_nothing_of_itself_that_nobody_knows() {
        assert_eq!(check("name=a"), Err(IdentifierError::Unknown("name".into())));
        assert!(check("default-route=true&host=a").is_ok());
    }
}
