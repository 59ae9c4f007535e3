//! `CertificateSigningRequest`s: what is asked for, the verdicts on it, and the certificate that comes of it.

use super::field::{Errors, child, index, list, text};
use super::internal;
use super::pem;
use crate::schema::go;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::BTreeSet;
use tinyplane_wire::identity::request;
use tinyplane_wire::identity::subject::certificates_in;
use tinyplane_wire::meta::{dns_label, dns_subdomain};

/// Shortest validity that may be asked for.
const EXPIRATION_SECONDS_MIN: i64 = 600;
/// Longest domain of a signer, and longest name of a signer.
const DOMAIN_BYTES_MAX: usize = 253;
const SIGNER_BYTES_MAX: usize = 571;
const CONDITIONS: &str = "status.conditions";
/// The conditions that are true or missing; those before the last are verdicts.
const TRUE_ONLY: [&str; 3] = ["Approved", "Denied", "Failed"];
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
    if let Some(told) = request_complaint(&pem) {
        errors.invalid("spec.request", &spec["request"], &told);
    }
    let (usages, mut seen) = (list(&spec["usages"]), BTreeSet::new());
    if usages.is_empty() {
        errors.required("spec.usages", "");
    }
    for (at, usage) in usages.iter().enumerate() {
        errors.known(index("spec.usages", at), usage, &USAGES);
    }
    for (at, usage) in usages.iter().enumerate().filter(|(_, usage)| !seen.insert(text(usage))) {
        errors.duplicate(index("spec.usages", at), usage);
    }
    match text(&spec["signerName"]) {
        name @ "kubernetes.io/legacy-unknown" => {
            errors.invalid_text("spec.signerName", name, "the legacy signerName is not allowed via this API version");
        }
        name => check_signer(name, "spec.signerName", errors),
    }
    let seconds = &spec["expirationSeconds"];
    if seconds.as_i64().is_some_and(|seconds| seconds < EXPIRATION_SECONDS_MIN) {
        let told = "may not specify a duration less than 600 seconds (10 minutes)";
        errors.invalid("spec.expirationSeconds", seconds, told);
    }
    check_conditions(&request["status"]["conditions"], errors);
    if let Some(told) = certificate_complaint(text(&request["status"]["certificate"])) {
        errors.invalid_text("status.certificate", "<certificate data>", &told);
    }
}

/// What is wrong with PEM of a request.
fn request_complaint(pem: &[u8]) -> Option<String> {
    match pem::blocks(&String::from_utf8_lossy(pem)).next().filter(|block| block.kind == "CERTIFICATE REQUEST") {
        Some(block) => request::complaint(&block.bytes),
        None => Some("PEM block type must be CERTIFICATE REQUEST".to_owned()),
    }
}

/// The name of a signer: a domain of two labels or more, and a path of one step.
fn check_signer(name: &str, path: &str, errors: &mut Errors) {
    if name.is_empty() {
        return errors.required(path, "");
    }
    let Some((domain, rest)) = name.split_once('/').filter(|(_, rest)| !rest.contains('/')) else {
        let told = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        return errors.invalid_text(path, name, told);
    };
    if domain.len() > DOMAIN_BYTES_MAX {
        errors.too_long(path, DOMAIN_BYTES_MAX);
    }
    check_labels(domain, dns_label, path, errors);
    if domain.split('.').count() < 2 {
        errors.invalid_text(path, domain, "should be a domain with at least two segments separated by dots");
    }
    check_labels(rest, dns_subdomain, path, errors);
    if name.len() > SIGNER_BYTES_MAX {
        errors.too_long(path, SIGNER_BYTES_MAX);
    }
}

/// The first odd one of the labels between dots.
fn check_labels(whole: &str, grammar: fn(&str) -> Vec<String>, path: &str, errors: &mut Errors) {
    if let Some(label) = whole.split('.').find(|label| !grammar(label).is_empty()) {
        for complaint in grammar(label) {
            errors.invalid_text(path, whole, &format!("validating label {label:?}: {complaint}"));
        }
    }
}

fn check_conditions(conditions: &Value, errors: &mut Errors) {
    let (mut seen, all) = (BTreeSet::new(), list(conditions));
    for (at, condition) in all.iter().enumerate() {
        let (path, kind, status) = (index(CONDITIONS, at), text(&condition["type"]), text(&condition["status"]));
        errors.needed(child(&path, "type"), &condition["type"], "");
        let known: &[&str] = if TRUE_ONLY.contains(&kind) { &["True"] } else { &["False", "True", "Unknown"] };
        if status.is_empty() {
            errors.required(child(&path, "status"), "");
        } else if !known.contains(&status) {
            errors.unsupported(child(&path, "status"), status, known);
        }
        let other = match kind {
            "Approved" => "Denied",
            "Denied" => "Approved",
            _ => "",
        };
        if !other.is_empty() && seen.contains(other) {
            errors.invalid_text(CONDITIONS, kind, "Approved and Denied conditions are mutually exclusive");
        }
        if !seen.insert(kind) {
            errors.duplicate(child(&path, "type"), &condition["type"]);
        }
    }
}

/// What is wrong with PEM of certificates.
fn certificate_complaint(encoded: &str) -> Option<String> {
    if encoded.is_empty() {
        return None;
    }
    let pem = STANDARD.decode(encoded).unwrap_or_default();
    let pem = String::from_utf8_lossy(&pem);
    let mut any = false;
    for block in pem::blocks(&pem) {
        any = true;
        let kind = block.kind;
        if kind != "CERTIFICATE" {
            return Some(format!("only CERTIFICATE PEM blocks are allowed, found {}", go::quote(&kind)));
        }
        if block.has_headers {
            return Some("no PEM block headers are permitted".to_owned());
        }
        match certificates_in(&block.bytes) {
            None => return Some("x509: malformed certificate".to_owned()),
            Some(0) => return Some("found CERTIFICATE PEM block containing 0 certificates".to_owned()),
            Some(_) => {}
        }
    }
    (!any).then(|| "must contain at least one CERTIFICATE PEM block".to_owned())
}

/// What a write at a subresource (none: the request itself) may not change.
pub(super) fn check_update(subresource: &str, new: &Value, old: &Value, errors: &mut Errors) {
    let of = |request: &Value, kind: &str| -> Vec<Value> {
        list(&request["status"]["conditions"]).iter().filter(|condition| condition["type"] == kind).cloned().collect()
    };
    for kind in TRUE_ONLY.into_iter().filter(|kind| of(new, kind).len() < of(old, kind).len()) {
        errors.forbidden(CONDITIONS, &format!("updates may not remove a condition of type {kind:?}"));
    }
    for kind in TRUE_ONLY.into_iter().take(2).filter(|_| subresource != "approval") {
        let (now, before) = (of(new, kind), of(old, kind));
        if now.len() > before.len() {
            errors.forbidden(CONDITIONS, &format!("updates may not add a condition of type {kind:?}"));
        } else if now.len() == before.len() && now != before {
            let differ =
                internal::diff("[]CertificateSigningRequestCondition", &Value::Array(before), &Value::Array(now));
            errors.forbidden(CONDITIONS, &format!("updates may not modify a condition of type {kind:?}\n{differ}"));
        }
    }
    let certificate = |request: &Value| text(&request["status"]["certificate"]).to_owned();
    if certificate(new) != certificate(old) {
        if subresource != "status" {
            errors.forbidden("status.certificate", "updates may not set certificate content");
        } else if !certificate(old).is_empty() {
            errors.forbidden("status.certificate", "updates may not modify existing certificate content");
        }
    }
}
