//! Certificates: an authority, and what it issues. The only user of `rcgen`.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// Certificates begin this long before they are issued, for clocks that differ (as upstream's do).
const BACKDATE: Duration = Duration::from_secs(5 * 60);

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The key or the certificate can't be read or made.
    #[error("the certificate or key can't be used")]
    Certificate(#[from] rcgen::Error),
    /// A name that no certificate can carry.
    #[error("{0:?} can't stand in a certificate")]
    Name(String),
    /// A signing request whose subject can't be read.
    #[error("the signing request's subject can't be read")]
    Subject,
}

/// A certificate with its private key, both PEM.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate_pem: String,
    /// Its private key (PKCS#8).
    pub key_pem: String,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("certificate_pem", &self.certificate_pem).finish_non_exhaustive()
    }
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// To serve TLS.
    Server,
    /// To be known as a client.
    Client,
    /// Both.
    Both,
}

impl Usage {
    fn purposes(self) -> Vec<ExtendedKeyUsagePurpose> {
        match self {
            Self::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Self::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Self::Both => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
        }
    }
}

/// What to put into a certificate.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Common name: the user name of a client.
    pub common_name: String,
    /// Organization: the group of a client (`rcgen` writes one value a type, which is all that Kubernetes' own
    /// components use).
    pub organization: Option<String>,
    /// DNS names of a server.
    pub dns_names: Vec<String>,
    /// Addresses of a server.
    pub addresses: Vec<IpAddr>,
    /// What it is for.
    pub usage: Usage,
    /// How long it is valid.
    pub lifetime: Duration,
}

impl Leaf {
    /// A client's certificate, valid for a year.
    #[must_use]
    pub fn client(user: &str, group: Option<&str>) -> Self {
        Self {
            common_name: user.into(),
            organization: group.map(Into::into),
            dns_names: Vec::new(),
            addresses: Vec::new(),
            usage: Usage::Client,
            lifetime: Duration::from_secs(365 * 24 * 3600),
        }
    }

    /// A server's certificate, valid for a year.
    #[must_use]
    pub fn server(common_name: &str, dns_names: &[&str], addresses: &[IpAddr]) -> Self {
        Self {
            dns_names: dns_names.iter().map(|&n| n.into()).collect(),
            addresses: addresses.to_vec(),
            usage: Usage::Server,
            ..Self::client(common_name, None)
        }
    }
}

/// A certificate authority with its key.
pub struct Authority {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("certificate_pem", &self.certificate_pem).finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes a self-signed authority with a new P-256 key, valid for ten years.
    ///
    /// # Errors
    /// When the name can't stand in a certificate.
    pub fn create(common_name: &str, now: SystemTime) -> Result<Self, PkiError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(common_name, None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment, KeyUsagePurpose::KeyCertSign];
        validity(&mut params, now, Duration::from_secs(10 * 365 * 24 * 3600));
        let certificate_pem = params.self_signed(&key)?.pem();
        Ok(Self { certificate_pem, issuer: Issuer::new(params, key) })
    }

    /// Reads an authority back.
    ///
    /// # Errors
    /// When the certificate or the key can't be read.
    pub fn load(certificate_pem: &str, key_pem: &str) -> Result<Self, PkiError> {
        let key = KeyPair::from_pem(key_pem)?;
        let issuer = Issuer::from_ca_cert_pem(certificate_pem, key)?;
        Ok(Self { certificate_pem: certificate_pem.to_owned(), issuer })
    }

    /// The public certificate, PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The private key, PEM (PKCS#8).
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Makes a key and a certificate for it.
    ///
    /// # Errors
    /// When a name can't stand in a certificate.
    pub fn issue(&self, leaf: &Leaf, now: SystemTime) -> Result<Issued, PkiError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(&leaf.common_name, leaf.organization.as_deref());
        for name in &leaf.dns_names {
            let san = name.as_str().try_into().map_err(|_| PkiError::Name(name.clone()))?;
            params.subject_alt_names.push(SanType::DnsName(san));
        }
        params.subject_alt_names.extend(leaf.addresses.iter().map(|&a| SanType::IpAddress(a)));
        self.restrict(&mut params, leaf.usage.purposes(), now, leaf.lifetime);
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }

    /// Signs a request (PEM). Only its subject, names and public key are taken: what it says about authority,
    /// usages and times is overwritten.
    ///
    /// # Errors
    /// When the request can't be read, its own signature is wrong, or it asks for unknown extensions.
    pub fn sign(
        &self,
        request_pem: &str,
        usage: Usage,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<String, PkiError> {
        let mut request = CertificateSigningRequestParams::from_pem(request_pem)?;
        self.restrict(&mut request.params, usage.purposes(), now, lifetime);
        Ok(request.signed_by(&self.issuer)?.pem())
    }

    fn restrict(
        &self,
        params: &mut CertificateParams,
        purposes: Vec<ExtendedKeyUsagePurpose>,
        now: SystemTime,
        lifetime: Duration,
    ) {
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = purposes;
        params.use_authority_key_identifier_extension = true;
        validity(params, now, lifetime);
    }
}

/// Makes a private key and a signing request for it.
///
/// # Errors
/// When a name can't stand in a certificate.
pub fn request(user: &str, group: Option<&str>) -> Result<Issued, PkiError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(user, group);
    let request = params.serialize_request(&key)?.pem()?;
    Ok(Issued { certificate_pem: request, key_pem: key.serialize_pem() })
}

/// What a signing request asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Common name: the user name of a client.
    pub common_name: String,
    /// Organizations: the groups of a client.
    pub organizations: Vec<String>,
    /// DNS names of a server.
    pub dns_names: Vec<String>,
    /// Addresses of a server.
    pub addresses: Vec<IpAddr>,
    /// Whether it names mail addresses, URIs or anything else as well.
    pub has_other_names: bool,
}

/// Reads a signing request (PEM), whose own signature is checked.
///
/// # Errors
/// When it can't be read, its signature is wrong, or it asks for unknown extensions.
pub fn read_request(request_pem: &str) -> Result<Wish, PkiError> {
    let params = CertificateSigningRequestParams::from_pem(request_pem)?.params;
    let mut wish = Wish::default();
    for (kind, value) in params.distinguished_name.iter() {
        let text = match value {
            DnValue::Utf8String(text) => text.clone(),
            DnValue::PrintableString(text) => text.as_str().to_owned(),
            DnValue::Ia5String(text) => text.as_str().to_owned(),
            _ => return Err(PkiError::Subject),
        };
        match kind {
            DnType::CommonName => wish.common_name = text,
            DnType::OrganizationName => wish.organizations.push(text),
            _ => {}
        }
    }
    for name in params.subject_alt_names {
        match name {
            SanType::DnsName(name) => wish.dns_names.push(name.as_str().to_owned()),
            SanType::IpAddress(address) => wish.addresses.push(address),
            _ => wish.has_other_names = true,
        }
    }
    Ok(wish)
}

/// A new P-256 key pair, PEM: private (PKCS#8) and public (SPKI). Service account tokens are signed with such a one.
///
/// # Errors
/// When the system gives no randomness.
pub fn signing_key() -> Result<(String, String), PkiError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}

/// The public key (SPKI) of a private one, both PEM, whatever stands beside the key.
///
/// # Errors
/// When it is no private key.
pub fn public_key(private_key_pem: &str) -> Result<String, PkiError> {
    let key = PrivateKeyDer::from_pem_slice(private_key_pem.as_bytes());
    let key = key.map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
    Ok(KeyPair::try_from(&key)?.public_key_pem())
}

/// A private key of each kind that tokens are signed with, PEM, and the name of its signatures; of those on a curve in both forms.
#[cfg(test)]
pub(super) fn keys_of_every_kind() -> Vec<(String, &'static str)> {
    use base64::Engine;
    let engine = &base64::engine::general_purpose::STANDARD;
    let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let der = rsa.serialize_der();
    // PKCS#8 holds the key as PKCS#1 has it, in octets behind what it says of its kind.
    let at = der.windows(2).position(|bytes| bytes == [4, 0x82]).unwrap();
    let text = engine.encode(&der[at + 4..]);
    let alone = format!("-----BEGIN RSA PRIVATE KEY-----\n{text}\n-----END RSA PRIVATE KEY-----\n");
    let mut keys = vec![(rsa.serialize_pem(), "RS256"), (alone, "RS256")];
    // A key without a word of its kind begins with its version behind the words that PKCS#8 says before it.
    let kinds = [(&PKCS_ECDSA_P256_SHA256, "ES256"), (&rcgen::PKCS_ECDSA_P384_SHA384, "ES384")];
    for (kind, name) in kinds {
        let key = KeyPair::generate_for(kind).unwrap();
        keys.push((key.serialize_pem(), name));
        let der = key.serialize_der();
        let at = der.windows(4).position(|bytes| bytes[..3] == [2, 1, 1] && bytes[3] == 4).unwrap();
        let from = if der[at - 2] == 0x81 { at - 3 } else { at - 2 };
        let curve = if name == "ES256" { "BggqhkjOPQMBBw==" } else { "BgUrgQQAIg==" };
        let text = engine.encode(&der[from..]);
        let of_curve = format!("-----BEGIN EC PARAMETERS-----\n{curve}\n-----END EC PARAMETERS-----\n");
        keys.push((format!("{of_curve}-----BEGIN EC PRIVATE KEY-----\n{text}\n-----END EC PRIVATE KEY-----\n"), name));
    }
    keys
}

fn subject(common_name: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common_name);
    name
}

fn validity(params: &mut CertificateParams, now: SystemTime, lifetime: Duration) {
    params.not_before = (now - BACKDATE).into();
    params.not_after = (now + lifetime).into();
    params.serial_number = Some(SerialNumber::from(rand::random::<u64>() >> 1));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use x509_parser::prelude::{FromDer, X509Certificate};

    fn der(pem: &str) -> Vec<u8> {
        x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap().1.contents
    }

    #[test]
    fn an_authority_reads_back_and_signs_what_it_is_asked_to_and_no_more() {
        let now = Clock::system().now();
        let made = Authority::create("tinyplane-ca", now).unwrap();
        let authority = Authority::load(made.certificate_pem(), &made.key_pem()).unwrap();
        let wish = request("system:node:a", Some("system:nodes")).unwrap();
        let signed = authority.sign(&wish.certificate_pem, Usage::Client, now, Duration::from_secs(60)).unwrap();
        let (der, root) = (der(&signed), der(made.certificate_pem()));
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        let (_, root) = X509Certificate::from_der(&root).unwrap();
        assert!(certificate.subject().to_string().contains("CN=system:node:a"));
        assert!(!certificate.is_ca());
        assert_eq!(certificate.issuer(), root.subject());
    }
}
