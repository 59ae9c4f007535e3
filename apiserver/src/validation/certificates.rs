//! `CertificateSigningRequest`s. Whether the request within is signed is not looked at.

use super::field::{Errors, index, list, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::BTreeSet;
use tinyplane_wire::meta::dns_subdomain;

const REQUEST_BEGINS: &str = "-----BEGIN CERTIFICATE REQUEST-----";
/// Shortest validity that may be asked for.
const EXPIRATION_SECONDS_MIN: i64 = 600;
const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

pub(super) fn check(request: &Value, errors: &mut Errors) {
    let spec = &request["spec"];
    let pem = STANDARD.decode(text(&spec["request"])).unwrap_or_default();
    if !String::from_utf8_lossy(&pem).contains(REQUEST_BEGINS) {
        errors.invalid("spec.request", &spec["request"], "PEM block type must be CERTIFICATE REQUEST");
    }
    let (usages, mut seen) = (list(&spec["usages"]), BTreeSet::new());
    if usages.is_empty() {
        errors.required("spec.usages", "");
    }
    for (at, usage) in usages.iter().enumerate() {
        errors.known(index("spec.usages", at), usage, &USAGES);
        if !seen.insert(text(usage)) {
            errors.duplicate(index("spec.usages", at), usage);
        }
    }
    check_signer(text(&spec["signerName"]), errors);
    let seconds = &spec["expirationSeconds"];
    if seconds.as_i64().is_some_and(|seconds| seconds < EXPIRATION_SECONDS_MIN) {
        errors.invalid(
            "spec.expirationSeconds",
            seconds,
            "may not specify a duration less than 600 seconds (10 minutes)",
        );
    }
}

fn check_signer(name: &str, errors: &mut Errors) {
    let path = "spec.signerName";
    if name.is_empty() {
        return errors.required(path, "");
    }
    let Some((domain, _)) = name.split_once('/').filter(|(_, rest)| !rest.contains('/')) else {
        let told = "must be a fully qualified domain and path of the form \"example.com/signer-name\"";
        return errors.invalid_text(path, name, told);
    };
    errors.grammar(path, domain, dns_subdomain(domain));
    if domain.split('.').count() < 2 {
        errors.invalid_text(path, domain, "should be a domain with at least two segments separated by dots");
    }
}
