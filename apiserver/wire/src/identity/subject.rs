//! Whom a client certificate names: the user is its common name, the groups its organizations.

use crate::identity::tls::provider;
use rustls_pki_types::CertificateDer;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::prelude::{FromDer, X509Certificate};

/// The subject of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The user.
    pub common_name: String,
    /// The groups, in order.
    pub organizations: Vec<String>,
    /// When the certificate stops counting.
    pub not_after: SystemTime,
    /// SHA-256 of the certificate, in hexadecimal.
    pub fingerprint: String,
}

impl Subject {
    /// Reads a certificate's subject. `None` when it can't be read or has no common name: it names nobody.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, read) = X509Certificate::from_der(certificate).ok()?;
        let subject = read.subject();
        let common_name = subject.iter_common_name().last()?.as_str().ok()?.to_owned();
        let organizations =
            subject.iter_organization().filter_map(|name| name.as_str().ok()).map(str::to_owned).collect();
        let not_after = u64::try_from(read.validity().not_after.timestamp()).unwrap_or_default();
        let not_after = UNIX_EPOCH + Duration::from_secs(not_after);
        let fingerprint = hexadecimal(&sha256(certificate));
        Some(Self { common_name, organizations, not_after, fingerprint })
            .filter(|subject| !subject.common_name.is_empty())
    }
}

/// The common name of the authority that issued a certificate, or all that the certificate calls it by.
#[must_use]
pub fn issuer_of(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, read) = X509Certificate::from_der(certificate).ok()?;
    let issuer = read.issuer();
    let common_name = issuer.iter_common_name().last().and_then(|name| name.as_str().ok()).map(str::to_owned);
    Some(common_name.unwrap_or_else(|| issuer.to_string()))
}

/// How many certificates stand behind each other in DER; `None` where one of them is none.
#[must_use]
pub fn certificates_in(mut der: &[u8]) -> Option<usize> {
    let mut count = 0;
    while !der.is_empty() {
        (der, _) = X509Certificate::from_der(der).ok()?;
        count += 1;
    }
    Some(count)
}

/// SHA-256, by the one cryptographic provider.
#[must_use]
pub fn sha256(data: &[u8]) -> Vec<u8> {
    let suites = provider().cipher_suites.clone();
    let mut hashes =
        suites.iter().filter_map(rustls::SupportedCipherSuite::tls13).map(|suite| suite.common.hash_provider);
    hashes.find(|hash| hash.output_len() == 32).map(|hash| hash.hash(data).as_ref().to_vec()).unwrap_or_default()
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hexadecimal(data: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    data.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::identity::pki::{Authority, Leaf};
    use crate::identity::tls;

    #[test]
    fn a_certificate_names_its_user_and_group() {
        let now = Clock::system().now();
        let authority = Authority::create("ca", now).unwrap();
        let issued = authority.issue(&Leaf::client("system:node:a", Some("system:nodes")), now).unwrap();
        let chain = tls::chain(&issued.certificate_pem).unwrap();
        let subject = Subject::of(&chain[0]).unwrap();
        assert_eq!(
            (subject.common_name.as_str(), subject.organizations),
            ("system:node:a", vec!["system:nodes".into()])
        );
        assert!(subject.not_after > now && subject.fingerprint.len() == 64);
        assert_eq!(Subject::of(&CertificateDer::from(vec![1, 2, 3])), None);
    }

    #[test]
    fn the_hash_is_sha_256() {
        assert!(hexadecimal(&sha256(b"abc")).starts_with("ba7816bf8f01cfea"));
    }
}
