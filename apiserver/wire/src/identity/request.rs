//! Requests for certificates (PKCS #10): what is wrong with one, in the words of Go's `crypto/x509`.

use super::curve::CURVES;
use super::der::{Reader, Wanted};
use super::tls::provider;
use crate::quote::quote;
use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use rustls_pki_types::SignatureVerificationAlgorithm;
use std::collections::BTreeSet;

/// Keys whose kind Go knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Rsa,
    Dsa,
    Ecdsa,
    Ed25519,
    X25519,
}

const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
const DSA: &[u8] = b"\x2a\x86\x48\xce\x38\x04\x01";
const ECDSA: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";
const X25519: &[u8] = b"\x2b\x65\x6e";
const ED25519: &[u8] = b"\x2b\x65\x70";
/// Whose parameters say by which hash.
const PSS: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a";
const MD5_WITH_RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04";
const SHA1_WITH_RSA: [&[u8]; 2] = [b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", b"\x2b\x0e\x03\x02\x1d"];
const SHA256_WITH_RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b";
const SHA384_WITH_RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c";
const SHA512_WITH_RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d";
const ECDSA_WITH_SHA1: &[u8] = b"\x2a\x86\x48\xce\x3d\x04\x01";
/// Signatures, and by which keys they are made.
const SIGNATURES: [(&[u8], Key); 12] = [
    (SHA1_WITH_RSA[0], Key::Rsa),
    (SHA1_WITH_RSA[1], Key::Rsa),
    (SHA256_WITH_RSA, Key::Rsa),
    (SHA384_WITH_RSA, Key::Rsa),
    (SHA512_WITH_RSA, Key::Rsa),
    (PSS, Key::Rsa),
    (b"\x2a\x86\x48\xce\x38\x04\x03", Key::Dsa),
    (ECDSA_WITH_SHA1, Key::Ecdsa),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x02", Key::Ecdsa),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x03", Key::Ecdsa),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x04", Key::Ecdsa),
    (ED25519, Key::Ed25519),
];
const EXTENSION_REQUEST: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e";
const SUBJECT_ALT_NAME: &[u8] = b"\x55\x1d\x11";
const NULL: &[u8] = b"\x05\x00";
/// Shortest key of RSA that Go takes.
const RSA_BITS_MIN: usize = 1024;
/// Shortest key of RSA whose signatures all of the provider looks at.
const RSA_BITS_MODERN: usize = 2048;
/// Longest key of RSA whose signatures anything of the provider looks at.
const RSA_BITS_MAX: usize = 8192;

/// An algorithm, and what it is told.
struct Algorithm<'a> {
    identifier: &'a [u8],
    parameters: &'a [u8],
    /// Both.
    content: &'a [u8],
}

impl<'a> Algorithm<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, String> {
        let content = reader.next(Wanted::sequence("AlgorithmIdentifier"))?.content;
        let mut inner = Reader::new(content);
        let identifier = inner.identifier()?;
        let parameters = if inner.is_at_end() { &[][..] } else { inner.any()?.whole };
        Ok(Self { identifier, parameters, content })
    }
}

/// What is wrong with a request in DER. A signature that the provider can't look at is taken for good: one on P-224, by SHA-1 on
/// P-384, by a short key with SHA-384 or PSS, or by a key of RSA that is longer than any that it takes.
#[must_use]
pub fn complaint(der: &[u8]) -> Option<String> {
    read(der).err()
}

fn read(der: &[u8]) -> Result<(), String> {
    let mut outer = Reader::new(der);
    let mut request = Reader::new(outer.next(Wanted::sequence("certificateRequest"))?.content);
    let signed = request.next(Wanted::sequence("tbsCertificateRequest"))?;
    let mut told = Reader::new(signed.content);
    told.integer()?;
    let subject = told.any()?.whole;
    let mut key_info = Reader::new(told.next(Wanted::sequence("publicKeyInfo"))?.content);
    let algorithm = Algorithm::read(&mut key_info)?;
    let key = key_info.bits()?;
    let attributes = told.next(Wanted::TAGGED_LIST)?.content;
    let mut list = Reader::new(attributes);
    while !list.is_at_end() {
        list.any().map_err(|why| why.replace("data truncated", "truncated sequence"))?;
    }
    let by = Algorithm::read(&mut request)?;
    let signature = request.bits()?;
    if !outer.is_at_end() {
        return Err("asn1: syntax error: trailing data".to_owned());
    }
    let kind = key_kind(&algorithm, key)?;
    names_of_subject(subject)?;
    extensions(attributes)?;
    verify(kind, (&algorithm, key), (&by, signature), signed.whole)
}

/// What kind of key it is, if Go knows it. It has to be one of its kind.
fn key_kind(algorithm: &Algorithm<'_>, key: &[u8]) -> Result<Option<Key>, String> {
    let demand = |holds: bool, told: &str| if holds { Ok(()) } else { Err(told.to_owned()) };
    Ok(Some(match algorithm.identifier {
        RSA => {
            demand(algorithm.parameters == NULL, "x509: RSA key missing NULL parameters")?;
            rsa_bits(key)?;
            Key::Rsa
        }
        ECDSA => {
            let Ok(curve) = Reader::new(algorithm.parameters).identifier() else {
                return Err("x509: invalid ECDSA parameters".to_owned());
            };
            let Some(curve) = CURVES.iter().find(|known| known.identifier == curve) else {
                return Err("x509: unsupported elliptic curve".to_owned());
            };
            curve.demand(key)?;
            Key::Ecdsa
        }
        ED25519 => {
            demand(algorithm.parameters.is_empty(), "x509: Ed25519 key encoded with illegal parameters")?;
            demand(key.len() == 32, "x509: wrong Ed25519 public key size")?;
            Key::Ed25519
        }
        X25519 => {
            demand(algorithm.parameters.is_empty(), "x509: X25519 key encoded with illegal parameters")?;
            demand(key.len() == 32, "crypto/ecdh: invalid public key")?;
            Key::X25519
        }
        DSA => Key::Dsa,
        _ => return Ok(None),
    }))
}

/// How many bits a key of RSA has.
fn rsa_bits(key: &[u8]) -> Result<usize, String> {
    let sequence =
        Reader::new(key).next(Wanted::sequence("")).map_err(|_| "x509: invalid RSA public key".to_owned())?;
    let mut numbers = Reader::new(sequence.content);
    let modulus = numbers.next(Wanted::INTEGER).map_err(|_| "x509: invalid RSA modulus".to_owned())?.content;
    let exponent = numbers.next(Wanted::INTEGER).map_err(|_| "x509: invalid RSA public exponent".to_owned())?.content;
    let is_positive = |number: &[u8]| number.iter().any(|byte| *byte != 0) && number[0] & 0x80 == 0;
    if !is_positive(modulus) {
        return Err("x509: RSA modulus is not a positive number".to_owned());
    }
    if !is_positive(exponent) {
        return Err("x509: RSA public exponent is not a positive number".to_owned());
    }
    let zeros: usize = modulus.iter().take_while(|byte| **byte == 0).count();
    let first = modulus.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize);
    Ok((modulus.len() - zeros) * 8 - first)
}

/// The extensions that are asked for: none twice, and names that are names.
fn extensions(attributes: &[u8]) -> Result<(), String> {
    let (mut seen, mut alternative) = (BTreeSet::new(), Vec::new());
    let mut all = Reader::new(attributes);
    while !all.is_at_end() {
        let Some(values) = extension_request(all.any()?.whole) else { continue };
        let list = Reader::new(Reader::new(values).next(Wanted::sequence(""))?.content);
        let mut found = Vec::new();
        for extension in list.all(Wanted::sequence("Extension"))? {
            let mut extension = Reader::new(extension);
            let identifier = extension.identifier()?;
            extension.optional_truth()?;
            found.push((identifier, extension.next(Wanted::OCTET_STRING)?.content));
        }
        for (identifier, value) in found {
            if !seen.insert(identifier) {
                return Err("x509: certificate request contains duplicate requested extensions".to_owned());
            }
            if identifier == SUBJECT_ALT_NAME {
                alternative.push(value);
            }
        }
    }
    alternative.into_iter().try_for_each(names)
}

/// The subject: sets of attributes, each of a name and a value.
fn names_of_subject(subject: &[u8]) -> Result<(), String> {
    let sequence = Reader::new(subject).next(Wanted::sequence("RDNSequence"))?;
    for set in Reader::new(sequence.content).all(Wanted::SET)? {
        for attribute in Reader::new(set).all(Wanted::sequence("AttributeTypeAndValue"))? {
            let mut attribute = Reader::new(attribute);
            attribute.identifier()?;
            attribute.value()?;
        }
    }
    Ok(())
}

/// The first value of an attribute that asks for extensions. What can't be read as an attribute is passed over.
fn extension_request(attribute: &[u8]) -> Option<&[u8]> {
    let mut inner = Reader::new(Reader::new(attribute).next(Wanted::sequence("")).ok()?.content);
    let identifier = inner.identifier().ok()?;
    let set = inner.any().ok().filter(|set| set.tag == 0x31)?;
    let mut values = Reader::new(set.content);
    let first = values.any().ok()?;
    while !values.is_at_end() {
        values.any().ok()?;
    }
    (identifier == EXTENSION_REQUEST).then_some(first.whole)
}

fn names(value: &[u8]) -> Result<(), String> {
    let Ok(list) = Reader::new(value).next(Wanted::sequence("")) else {
        return Err("x509: invalid subject alternative names".to_owned());
    };
    let mut list = Reader::new(list.content);
    while !list.is_at_end() {
        let Ok(name) = list.any() else { return Err("x509: invalid subject alternative name".to_owned()) };
        let malformed =
            |what: &str| if name.content.is_ascii() { Ok(()) } else { Err(format!("x509: SAN {what} is malformed")) };
        match name.tag {
            0x81 => malformed("rfc822Name")?,
            0x82 => malformed("dNSName")?,
            0x86 => {
                malformed("uniformResourceIdentifier")?;
                address(name.content)?;
            }
            0x87 if !matches!(name.content.len(), 4 | 16) => {
                return Err(format!("x509: cannot parse IP address of length {}", name.content.len()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// An address of a name, as far as it is told that it is none: not by what it holds beside letters that none may have.
fn address(text: &[u8]) -> Result<(), String> {
    if !text.iter().any(u8::is_ascii_control) {
        return Ok(());
    }
    let shown = quote(&String::from_utf8_lossy(text));
    Err(format!("x509: cannot parse URI {shown}: parse {shown}: net/url: invalid control character in URL"))
}

const UNSUPPORTED: &str = "x509: cannot verify signature: algorithm unimplemented";

fn verify(
    kind: Option<Key>,
    (algorithm, key): (&Algorithm<'_>, &[u8]),
    (by, signature): (&Algorithm<'_>, &[u8]),
    signed: &[u8],
) -> Result<(), String> {
    if by.identifier == MD5_WITH_RSA {
        return Err("x509: cannot verify signature: insecure algorithm MD5-RSA".to_owned());
    }
    let signer = SIGNATURES.iter().find(|(known, _)| *known == by.identifier).map(|(_, signer)| *signer);
    let signer = signer.filter(|signer| *signer != Key::Ed25519 || by.parameters.is_empty());
    let (Some(signer), Some(kind)) = (signer, kind) else { return Err(UNSUPPORTED.to_owned()) };
    let name = match kind {
        Key::Rsa => "*rsa.PublicKey",
        Key::Ecdsa => "*ecdsa.PublicKey",
        Key::Ed25519 => "ed25519.PublicKey",
        Key::Dsa | Key::X25519 => return Err(UNSUPPORTED.to_owned()),
    };
    if kind != signer {
        let signer = match signer {
            Key::Rsa => "RSA",
            Key::Dsa => "DSA",
            Key::Ecdsa => "ECDSA",
            Key::Ed25519 | Key::X25519 => "Ed25519",
        };
        return Err(format!(
            "x509: signature algorithm specifies an {signer} public key, but have public key of type {name}"
        ));
    }
    // By their names, as Go finds them: what stands beside a name may be spelled in several ways.
    let fits = |known: &&&dyn SignatureVerificationAlgorithm| {
        let (of_key, of_signature) = (known.public_key_alg_id(), known.signature_alg_id());
        let mut of_key = Reader::new(of_key.as_ref());
        let has_name = of_key.identifier().as_deref() == Ok(algorithm.identifier);
        let on_curve = kind != Key::Ecdsa || of_key.identifier() == Reader::new(algorithm.parameters).identifier();
        let is_by = match by.identifier {
            PSS => of_signature.as_ref() == by.content,
            name => Reader::new(of_signature.as_ref()).identifier().as_deref() == Ok(name),
        };
        has_name && on_curve && is_by
    };
    let provider = provider();
    let mut known = provider.signature_verification_algorithms.all.iter().filter(fits).peekable();
    if by.identifier == PSS && known.peek().is_none() {
        return Err(UNSUPPORTED.to_owned());
    }
    let (told, is_modern) = match kind {
        Key::Rsa => {
            let bits = rsa_bits(key)?;
            if bits < RSA_BITS_MIN {
                return Err(format!(
                    "crypto/rsa: {bits}-bit keys are insecure (see https://go.dev/pkg/crypto/rsa#hdr-Minimum_key_size)"
                ));
            }
            if bits > RSA_BITS_MAX {
                return Ok(());
            }
            ("crypto/rsa: verification error", bits >= RSA_BITS_MODERN)
        }
        Key::Ecdsa => ("x509: ECDSA verification failure", true),
        _ => ("x509: Ed25519 verification failure", true),
    };
    let is_signed = if is_modern && known.peek().is_some() {
        known.any(|known| known.verify_signature(key, signed, signature).is_ok())
    } else {
        let old = old(by.identifier, Reader::new(algorithm.parameters).identifier().unwrap_or_default());
        old.is_none_or(|old| UnparsedPublicKey::new(old, key).verify(signed, signature).is_ok())
    };
    if is_signed { Ok(()) } else { Err(told.to_owned()) }
}

/// What looks at signatures of old: of short keys, and by a hash that no certificate is signed by any more.
fn old(by: &[u8], curve: &[u8]) -> Option<&'static dyn VerificationAlgorithm> {
    let named = |name: &str| CURVES.iter().any(|known| known.identifier == curve && known.name == name);
    Some(match by {
        _ if SHA1_WITH_RSA.contains(&by) => &signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        SHA256_WITH_RSA => &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        SHA512_WITH_RSA => &signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        ECDSA_WITH_SHA1 if named("P256") => &signature::ECDSA_P256_SHA1_ASN1,
        ECDSA_WITH_SHA1 if named("P521") => &signature::ECDSA_P521_SHA1_ASN1,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    const OF_ED25519: &str = "MIGLMD8CAQAwDDEKMAgGA1UEAwwBYTAqMAUGAytlcAMhAHp1/d2URQdPrV6AwNWjriATnGWGYpKVVRPaoVpf9HgtoAAwBQYDK2VwA0EAuILRvGDgaI2rWBAPBrkvnrphT8UpmwZboMe1keuFGZRgliHM2zDvBB3GiFAXGPqVP5R+zXw14+5da+3bFxPxBA==";
    const OF_P256: &str = "MIHGMG4CAQAwDDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABBGiUJsWcl7Z9AmIokInRTiCgdy7huwjLVXDxMWoZqOksvvsmItJf8/ErPKyHb19Yw/xAopbTKg0/tX4GQd1SZGgADAKBggqhkjOPQQDAgNIADBFAiAOjrE2pfKcP/V6y1ZD/dXcw335kGgc/xU5XjDHroB67AIhANbm1rYVH4ZQ8NMD+9D5qGwFSKoP7Cn0Bhip0MSQK6e2";
    const WITH_NAMES: &str = "MIHDMHcCAQAwDDEKMAgGA1UEAwwBYTAqMAUGAytlcAMhABy6kXBFtdebV4pAA7n/l091Y9RMwWEQWh3IyLlK0T+boDgwNgYJKoZIhvcNAQkOMSkwJzAlBgNVHREEHjAcggNhLmKHBAECAwSGCmh0dHA6Ly94L3mBA2FAYjAFBgMrZXADQQCo3iq6J3cEhixYQahIqjz3KczqH9eOimS1M1OWwuhEqlR0iJYxQ3XTmviDe95IRN/oQKk2YxlSB2JpFone4sQH";
    const OF_SECP256K1: &str = "MIHEMGsCAQAwDDEKMAgGA1UEAwwBYTBWMBAGByqGSM49AgEGBSuBBAAKA0IABLOJedE/TOOBVBNJtrzNDkpxlM1qYNeWgiAbYTPCDIlo/cQ5+c+J1If5QqH37CJC9xS8Vn7K648eARmoLt3aiyigADAKBggqhkjOPQQDAgNJADBGAiEAvLz3GIILB0UiovfWEJjDXFAnZtVF70x1O7am546BBTICIQDdZsXYa9VZyUe4ePd+DUv6sWPLaFfibSQ46lzU82ykpA==";
    const OF_ED448: &str = "MIHWMFgCAQAwDDEKMAgGA1UEAwwBYTBDMAUGAytlcQM6AGNCXJ/gANFt+qGGCQnNWkA0uQ54aefx0icNcLFGXyDgxQF4JMma2wUy4KtW6mCz5Axkro2iQpWpAKAAMAUGAytlcQNzANnzqzVAEW3H+9CKcQ7hHTO+sCN7ng7bHCft4SEfS8T3AlmsfQlg890qsEdfjgVALDB0N351kd1mgNadzjVrSMkWAyqFvyMJmS2qZVtkOtT4O7DdJy67NCBe8QWuqHXQLrx9QUKr6TlU/mMMspKwifsRAA==";

    fn told(request: &str, damage: impl FnOnce(&mut Vec<u8>)) -> Option<String> {
        let mut der = STANDARD.decode(request).unwrap();
        damage(&mut der);
        complaint(&der)
    }

    #[test]
    fn a_request_that_its_key_signed_is_good() {
        for request in [OF_ED25519, OF_P256, WITH_NAMES] {
            assert_eq!(told(request, |_| {}), None);
        }
    }

    #[test]
    fn what_go_does_not_take_is_told_in_its_words() {
        let unimplemented = "x509: cannot verify signature: algorithm unimplemented";
        assert_eq!(told(OF_ED448, |_| {}).as_deref(), Some(unimplemented));
        assert_eq!(told(OF_SECP256K1, |_| {}).as_deref(), Some("x509: unsupported elliptic curve"));
        let last = |der: &mut Vec<u8>| *der.last_mut().unwrap() ^= 1;
        assert_eq!(told(OF_ED25519, last).as_deref(), Some("x509: Ed25519 verification failure"));
        assert_eq!(told(OF_P256, last).as_deref(), Some("x509: ECDSA verification failure"));
        let spelled = |der: &mut Vec<u8>| {
            // A NULL beside the signature's name, which Go passes over, and a signature that is none.
            let name = b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
            let at = der.windows(name.len()).rposition(|some| some == name).unwrap();
            der.splice(at + name.len()..at + name.len(), *b"\x05\x00");
            der[at - 1] += 2;
            der[2] += 2;
            *der.last_mut().unwrap() ^= 1;
        };
        assert_eq!(told(OF_P256, spelled).as_deref(), Some("x509: ECDSA verification failure"));
        let longer = |der: &mut Vec<u8>| der.push(0);
        assert_eq!(told(OF_P256, longer).as_deref(), Some("asn1: syntax error: trailing data"));
        let shorter = |der: &mut Vec<u8>| der.truncate(90);
        assert_eq!(told(OF_P256, shorter).as_deref(), Some("asn1: syntax error: data truncated"));
        let within = |at: usize, to: u8| move |der: &mut Vec<u8>| der[at] = to;
        let mismatch = "asn1: structure error: sequence tag mismatch";
        for (at, to, expected) in [
            // The subject's set, the name of its attribute, and what that holds.
            (10, 0x30, mismatch),
            (10, 0x31, "x509: ECDSA verification failure"),
            (16, 0x80, "asn1: syntax error: integer is not minimally encoded"),
            (21, 0xff, "asn1: invalid UTF-8 string"),
        ] {
            let changed = move |der: &mut Vec<u8>| {
                within(at, to)(der);
                *der.last_mut().unwrap() ^= 1;
            };
            assert_eq!(told(OF_P256, changed).as_deref(), Some(expected), "{at}");
        }
        let uri = |der: &mut Vec<u8>| {
            let at = der.windows(4).position(|four| four == b"http").unwrap();
            der[at] = 0;
        };
        let parsed = r#"x509: cannot parse URI "\x00ttp://x/y": parse "\x00ttp://x/y": net/url: invalid control character in URL"#;
        assert_eq!(told(WITH_NAMES, uri).as_deref(), Some(parsed));
        let address = |der: &mut Vec<u8>| {
            let at = der.windows(2).position(|two| two == b"\x87\x04").unwrap();
            der[at] = 0x82;
            der[at + 2] = 0xff;
        };
        assert_eq!(told(WITH_NAMES, address).as_deref(), Some("x509: SAN dNSName is malformed"));
    }
}
