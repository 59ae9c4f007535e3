//! Keys that sign service account tokens, RSA and EC, in each of the forms in which `openssl` writes them.

use super::pki;
use super::subject::sha256;
use super::token::TokenError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer};
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

/// A curve: what JSON calls it, which signatures are made with it, and its object identifier, as text and in DER.
struct Curve {
    name: &'static str,
    algorithm: Algorithm,
    oid: &'static str,
    oid_der: &'static [u8],
}

const CURVES: [Curve; 2] = [
    Curve {
        name: "P-256",
        algorithm: Algorithm::ES256,
        oid: "1.2.840.10045.3.1.7",
        oid_der: b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
    },
    Curve { name: "P-384", algorithm: Algorithm::ES384, oid: "1.3.132.0.34", oid_der: b"\x06\x05\x2b\x81\x04\x00\x22" },
];
/// That a key is one of a curve, in DER.
const OF_A_CURVE: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01";

/// A key that verifies signatures.
pub(super) struct Public {
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
    /// As a JSON Web Key. Its `kid` is the SHA-256 of its DER, as upstream names keys.
    pub(super) web: Value,
}

fn unreadable() -> TokenError {
    TokenError::Key(ErrorKind::InvalidKeyFormat.into())
}

impl Public {
    /// Reads a public key, or the public half of a private one, PEM.
    pub(super) fn read(pem: &str) -> Result<Self, TokenError> {
        let read = |pem: &str| SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).map_err(|_| unreadable());
        let der = read(pem).or_else(|_| certified(pem).ok_or_else(unreadable));
        let der = der.or_else(|_| read(&pki::public_key(pem).map_err(|_| unreadable())?))?;
        let (_, info) = SubjectPublicKeyInfo::from_der(&der).map_err(|_| unreadable())?;
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let kid = text(&sha256(&der));
        match info.parsed().map_err(|_| unreadable())? {
            PublicKey::RSA(rsa) => {
                let number = |bytes: &[u8]| text(&bytes[bytes.iter().take_while(|byte| **byte == 0).count()..]);
                let (n, e) = (number(rsa.modulus), number(rsa.exponent));
                let key = DecodingKey::from_rsa_components(&n, &e).map_err(TokenError::Key)?;
                let web = json!({"use": "sig", "kty": "RSA", "kid": kid, "alg": "RS256", "n": n, "e": e});
                Ok(Self { algorithm: Algorithm::RS256, key, web })
            }
            PublicKey::EC(point) => {
                let oid = info.algorithm.parameters.as_ref().and_then(|given| given.as_oid().ok());
                let oid = oid.ok_or_else(unreadable)?.to_id_string();
                let curve = CURVES.iter().find(|curve| curve.oid == oid).ok_or_else(unreadable)?;
                let halves = point.data().strip_prefix(&[4]).ok_or_else(unreadable)?;
                let (x, y) = halves.split_at(halves.len() / 2);
                let (x, y) = (text(x), text(y));
                let key = DecodingKey::from_ec_components(&x, &y).map_err(TokenError::Key)?;
                let alg = format!("{:?}", curve.algorithm);
                let web = json!({"use": "sig", "kty": "EC", "kid": kid, "crv": curve.name, "alg": alg, "x": x, "y": y});
                Ok(Self { algorithm: curve.algorithm, key, web })
            }
            _ => Err(unreadable()),
        }
    }
}

/// The key of a certificate, PEM.
fn certified(pem: &str) -> Option<SubjectPublicKeyInfoDer<'static>> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    Some(certificate.public_key().raw.to_vec().into())
}

/// Reads a private key, PEM, and tells which signatures are made with it.
pub(super) fn private(pem: &str) -> Result<(Algorithm, EncodingKey), TokenError> {
    let algorithm = Public::read(pem)?.algorithm;
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| unreadable())?;
    let curve = CURVES.iter().find(|curve| curve.algorithm == algorithm);
    let key = match (&der, curve) {
        (PrivateKeyDer::Sec1(key), Some(curve)) => EncodingKey::from_ec_der(&wrapped(curve, key.secret_sec1_der())),
        (PrivateKeyDer::Pkcs8(key), Some(_)) => EncodingKey::from_ec_der(key.secret_pkcs8_der()),
        (_, Some(_)) => return Err(unreadable()),
        (_, None) => EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(TokenError::Key)?,
    };
    Ok((algorithm, key))
}

/// An EC key without a word of what it is (RFC 5915) as one that says it (RFC 5958).
fn wrapped(curve: &Curve, key: &[u8]) -> Vec<u8> {
    const SEQUENCE: u8 = 0x30;
    const OCTETS: u8 = 0x04;
    const VERSION: &[u8] = b"\x02\x01\x00";
    let algorithm = element(SEQUENCE, &[OF_A_CURVE, curve.oid_der].concat());
    element(SEQUENCE, &[VERSION, &algorithm, &element(OCTETS, key)].concat())
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut out = vec![tag];
    match length {
        [short @ ..=0x7f] => out.push(*short),
        [] => out.push(0),
        long => {
            out.push(0x80 | u8::try_from(long.len()).unwrap_or_default());
            out.extend_from_slice(long);
        }
    }
    out.extend_from_slice(content);
    out
}
