//! Whom a client certificate names: the user is its common name, the groups its organizations.

use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The subject of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The user.
    pub common_name: String,
    /// The groups, in order.
    pub organizations: Vec<String>,
}

impl Subject {
    /// Reads a certificate's subject. `None` when it can't be read or has no common name: it names nobody.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let subject = certificate.subject();
        let common_name = subject.iter_common_name().last()?.as_str().ok()?.to_owned();
        let organizations =
            subject.iter_organization().filter_map(|name| name.as_str().ok()).map(str::to_owned).collect();
        Some(Self { common_name, organizations }).filter(|subject| !subject.common_name.is_empty())
    }
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
        assert_eq!(Subject::of(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
