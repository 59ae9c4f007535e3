//! Certificate signing requests: who may approve, who may sign, and a subject that nobody gets.

use super::{Plugin, forbidden, is, is_new};
use crate::authz::{Attributes, Authorizer};
use crate::registry::admit::{Operation, Question};
use crate::validation::same;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::sync::Arc;
use tinyplane_wire::status;

const GROUP: &str = "certificates.k8s.io";
const PLURAL: &str = "certificatesigningrequests";

/// Whether the caller may do this with what the signer signs: the signer by name, or all of its domain.
fn may(authorizer: &dyn Authorizer, question: &Question<'_>, verb: &str, signer: &str) -> bool {
    let domain = signer.split_once('/').map(|(domain, _)| format!("{domain}/*"));
    [Some(signer.to_owned()), domain].into_iter().flatten().any(|name| {
        let asked = Attributes::resource(verb, GROUP, "signers").version("*").name(&name);
        authorizer.authorize(question.intent.caller, &asked).is_allowed()
    })
}

fn signer<'a>(question: &Question<'a>) -> &'a str {
    question.old.and_then(|old| old["spec"]["signerName"].as_str()).unwrap_or_default()
}

/// `CertificateApproval`: whoever approves must hold `approve` on the signer.
pub(super) struct CertificateApproval {
    pub(super) authorizer: Arc<dyn Authorizer>,
}

#[async_trait]
impl Plugin for CertificateApproval {
    fn name(&self) -> &'static str {
        "CertificateApproval"
    }

    fn concerns(&self, question: &Question<'_>) -> bool {
        question.operation == Operation::Update && question.subresource == "approval" && is(question, GROUP, PLURAL)
    }

    async fn validate(&self, question: &Question<'_>, _request: &Value) -> status::Result<()> {
        let signer = signer(question);
        if may(&*self.authorizer, question, "approve", signer) {
            return Ok(());
        }
        Err(forbidden(question, &format!("user not permitted to approve requests with signerName \"{signer}\"")))
    }
}

/// `CertificateSigning`: whoever writes the certificate must hold `sign` on the signer.
pub(super) struct CertificateSigning {
    pub(super) authorizer: Arc<dyn Authorizer>,
}

#[async_trait]
impl Plugin for CertificateSigning {
    fn name(&self) -> &'static str {
        "CertificateSigning"
    }

    fn concerns(&self, question: &Question<'_>) -> bool {
        question.operation == Operation::Update && question.subresource == "status" && is(question, GROUP, PLURAL)
    }

    async fn validate(&self, question: &Question<'_>, request: &Value) -> status::Result<()> {
        let Some(old) = question.old else { return Ok(()) };
        let changed = |field: &str| !same(&request["status"][field], &old["status"][field]);
        let signer = signer(question);
        if !(changed("certificate") || changed("conditions")) || may(&*self.authorizer, question, "sign", signer) {
            return Ok(());
        }
        Err(forbidden(question, &format!("user not permitted to sign requests with signerName \"{signer}\"")))
    }
}

/// `CertificateSubjectRestriction`: nobody becomes `system:masters` by a certificate for clients.
pub(super) struct CertificateSubjectRestriction;

const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";
const MASTERS: &str = "system:masters";

#[async_trait]
impl Plugin for CertificateSubjectRestriction {
    fn name(&self) -> &'static str {
        "CertificateSubjectRestriction"
    }

    fn concerns(&self, question: &Question<'_>) -> bool {
        is_new(question, GROUP, PLURAL)
    }

    async fn validate(&self, question: &Question<'_>, request: &Value) -> status::Result<()> {
        if request["spec"]["signerName"] != CLIENT_SIGNER {
            return Ok(());
        }
        let encoded = request["spec"]["request"].as_str().unwrap_or_default();
        if organizations(encoded).iter().any(|name| name == MASTERS) {
            let why = format!("use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed");
            return Err(forbidden(question, &why));
        }
        Ok(())
    }
}

/// With what the organization of a name begins in DER: its object identifier, 2.5.4.10.
const ORGANIZATION: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x0a];

/// The organizations that a certificate request names: PEM, in base64 as objects carry it.
fn organizations(encoded: &str) -> Vec<String> {
    let pem = STANDARD.decode(encoded).unwrap_or_default();
    let pem = String::from_utf8_lossy(&pem);
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let der = STANDARD.decode(body).unwrap_or_default();
    let begins = |at: &usize| der[*at..].starts_with(&ORGANIZATION);
    let found = (0..der.len()).filter(begins).filter_map(|at| {
        // A text follows: its tag, its length in one byte, for a name has no more than 64, and its letters.
        let text = &der[at + ORGANIZATION.len()..];
        let length = usize::from(*text.get(1)?);
        text.get(2..2 + length).map(|letters| String::from_utf8_lossy(letters).into_owned())
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_organizations_of_a_request_are_found() {
        let name = [&ORGANIZATION[..], &[0x0c, 14], MASTERS.as_bytes()].concat();
        let pem = format!("-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END\n", STANDARD.encode(name));
        assert_eq!(organizations(&STANDARD.encode(pem)), [MASTERS]);
        assert!(organizations("nonsense").is_empty());
    }
}
