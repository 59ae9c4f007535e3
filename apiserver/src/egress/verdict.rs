//! Why a kubelet's certificate is not believed, in the words of Go's crypto/x509, which users know and match on.

use std::fmt::Write;
use std::io;
use std::net::IpAddr;
use tinyplane_wire::clock;
use tokio_rustls::rustls::pki_types::{ServerName, UnixTime};
use tokio_rustls::rustls::{CertificateError, Error};

/// What Go says of a handshake that failed.
pub(super) fn told(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(verdict)) => {
            format!("tls: failed to verify certificate: x509: {}", of_certificate(verdict))
        }
        Some(other) => format!("tls: {other}"),
        None if error.kind() == io::ErrorKind::UnexpectedEof => "EOF".into(),
        None if error.kind() == io::ErrorKind::ConnectionReset => "connection reset by peer".into(),
        None => error.to_string(),
    }
}

fn of_certificate(verdict: &CertificateError) -> String {
    let outdated = |now: &UnixTime, is: &str, bound: &UnixTime| {
        format!("certificate has expired or is not yet valid: current time {} is {is} {}", time(now), time(bound))
    };
    match verdict {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "certificate signed by unknown authority".into()
        }
        CertificateError::ExpiredContext { time, not_after } => outdated(time, "after", not_after),
        CertificateError::NotValidYetContext { time, not_before } => outdated(time, "before", not_before),
        CertificateError::Expired | CertificateError::NotValidYet => {
            "certificate has expired or is not yet valid".into()
        }
        CertificateError::NotValidForNameContext { expected, presented } => not_for(expected, presented),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "certificate specifies an incompatible key usage".into()
        }
        other => other.to_string(),
    }
}

fn time(at: &UnixTime) -> String {
    clock::format_seconds(std::time::UNIX_EPOCH + std::time::Duration::from_secs(at.as_secs()))
}

/// The names of a certificate that is another's. rustls tells them as `DnsName("node-1")` and `IpAddress(127.0.0.1)`.
fn not_for(expected: &ServerName<'_>, presented: &[String]) -> String {
    let inner = |kind: &str| -> Vec<String> {
        let of_kind = presented.iter().filter_map(|name| name.strip_prefix(kind));
        of_kind.map(|name| name.trim_matches(|c| "()\"".contains(c)).to_owned()).collect()
    };
    let (dialled, kind, sort) = match expected {
        ServerName::IpAddress(address) => (IpAddr::from(*address).to_string(), "IpAddress", "IP SANs"),
        name => (name.to_str().into_owned(), "DnsName", "names"),
    };
    let names = inner(kind);
    let mut told = String::new();
    let written = match (names.as_slice(), sort) {
        ([], "IP SANs") => {
            write!(told, "cannot validate certificate for {dialled} because it doesn't contain any IP SANs")
        }
        ([], _) => write!(told, "certificate is not valid for any names, but wanted to match {dialled}"),
        (names, _) => write!(told, "certificate is valid for {}, not {dialled}", names.join(", ")),
    };
    written.map_or_else(|_| "certificate is not valid for this name".into(), |()| told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};
    use tinyplane_wire::identity::pki::{Authority, Leaf};
    use tinyplane_wire::identity::tls::{self, ClientAuth, KeyPairPem, Trust};
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    /// How a client that trusts `authority` takes a server with this certificate.
    async fn verdict(authority: &Authority, issuer: &Authority, leaf: &Leaf, at: SystemTime) -> String {
        let issued = issuer.issue(leaf, at).unwrap();
        let pair = KeyPairPem { certificate: issued.certificate_pem, key: issued.key_pem };
        let acceptor = TlsAcceptor::from(Arc::new(tls::server(&pair, &ClientAuth::None, &[]).unwrap()));
        let trust = Trust::Roots(authority.certificate_pem().to_owned());
        let connector = TlsConnector::from(Arc::new(tls::client(&trust, None, &[]).unwrap()));
        let (client, server) = tokio::io::duplex(64 << 10);
        let name = ServerName::try_from("127.84.9.1").unwrap();
        let (shaken, _) = tokio::join!(connector.connect(name, client), acceptor.accept(server));
        told(&shaken.err().unwrap())
    }

    #[tokio::test]
    async fn a_certificate_is_refused_in_gos_words() {
        let now = clock::Clock::system().now();
        let ours = Authority::create("kubernetes", UNIX_EPOCH).unwrap();
        let theirs = Authority::create("theirs", now).unwrap();
        let ours_now = Authority::create("kubernetes", now).unwrap();
        let at = |addresses: &[&str]| {
            let addresses: Vec<IpAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
            Leaf::server("system:node:node-1", &["node-1"], &addresses)
        };
        let right = at(&["127.84.9.1"]);
        let failed = "tls: failed to verify certificate: x509: ";
        for (told, ends) in [
            (verdict(&ours_now, &theirs, &right, now).await, "certificate signed by unknown authority"),
            (
                verdict(&ours_now, &ours_now, &at(&["127.84.9.2", "127.84.9.3"]), now).await,
                "certificate is valid for 127.84.9.2, 127.84.9.3, not 127.84.9.1",
            ),
            (
                verdict(&ours_now, &ours_now, &at(&[]), now).await,
                "cannot validate certificate for 127.84.9.1 because it doesn't contain any IP SANs",
            ),
        ] {
            assert_eq!(told, format!("{failed}{ends}"));
        }
        let long_ago = verdict(&ours, &ours, &right, UNIX_EPOCH + Duration::from_secs(86_400)).await;
        let starts = format!("{failed}certificate has expired or is not yet valid: current time ");
        assert!(long_ago.starts_with(&starts) && long_ago.contains(" is after 19"), "{long_ago}");
    }
}
