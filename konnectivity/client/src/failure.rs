//! Failures of the way itself, as opposed to those of what it leads to.

use std::io;

/// The server can't be reached, has no agent, or lost the agent or the frontend before the dial was answered: another
/// server may do better.
#[derive(Debug, thiserror::Error)]
#[error("{told}")]
struct NoWay {
    told: String,
    /// Whether the server itself was there.
    connected: bool,
}

/// What servers say of themselves when a dial fails, and not of the endpoint.
const TOLD: [&str; 3] =
    ["No agent available", "currently no tunnels available", "the agent's connection was lost before it answered"];

/// What stands before an address of documentation.
const DOCUMENTATION: &str = ": https://docs.rs/";

/// An error of the way.
pub(crate) fn no_way(kind: io::ErrorKind, told: &(impl ToString + ?Sized)) -> io::Error {
    io::Error::new(kind, NoWay { told: words(told), connected: true })
}

/// The same error, as that of a server which can't be reached.
#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(crate) fn unreachable(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), NoWay { told: error.to_string(), connected: false })
}

/// The far end's words, with the kind that they stand for.
pub(crate) fn refused(told: &str) -> io::Error {
    if TOLD.iter().any(|own| told.contains(own)) {
        return no_way(io::ErrorKind::NotConnected, told);
    }
    let kind = if told.contains("connection refused") {
        io::ErrorKind::ConnectionRefused
    } else if told.contains("timeout") || told.contains("deadline") {
        io::ErrorKind::TimedOut
    } else {
        io::ErrorKind::Other
    };
    io::Error::new(kind, told.to_owned())
}

/// What a library says of an error, without the address of its documentation: rustls puts one behind a connection's end that was not
/// announced.
#[must_use]
pub fn words(error: &(impl ToString + ?Sized)) -> String {
    let mut told = error.to_string();
    if let Some(at) = told.find(DOCUMENTATION) {
        told.truncate(at);
    }
    told
}

/// True when a dial failed before anything was asked of the endpoint, or nobody can say: trying another server is safe
/// and may help.
#[must_use]
pub fn is_no_way(error: &io::Error) -> bool {
    way(error).is_some()
}

/// True when a dial failed since the server itself could not be reached.
#[must_use]
pub fn is_unconnected(error: &io::Error) -> bool {
    way(error).is_some_and(|way| !way.connected)
}

fn way(error: &io::Error) -> Option<&NoWay> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<NoWay>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_librarys_documentation_is_not_quoted() {
        let ended = "peer closed connection without sending TLS close_notify";
        let long = io::Error::other(format!("{ended}: https://docs.rs/rustls/latest/rustls/manual/index.html#eof"));
        assert_eq!(words(&long), ended);
        assert_eq!(no_way(io::ErrorKind::ConnectionAborted, &long).to_string(), ended);
        assert_eq!(words("dial https://a: refused"), "dial https://a: refused");
    }

    #[test]
    fn the_way_and_the_endpoint_fail_differently() {
        assert!(is_no_way(&refused("No agent available")));
        assert!(!is_unconnected(&refused("No agent available")));
        let gone = unreachable(io::ErrorKind::NotFound.into());
        assert!(is_no_way(&gone) && is_unconnected(&gone));
        let endpoint = refused("dial tcp 1.2.3.4:5: connect: connection refused");
        assert_eq!((is_no_way(&endpoint), endpoint.kind()), (false, io::ErrorKind::ConnectionRefused));
    }
}
