//! `CertificateSigningRequest`s: a request may not change, and each subresource only its own part of the status.

use crate::registry::behaviour::{AGE, Behaviour, FieldLabel, Generation, Grammar, NAME, Part, column};
use crate::registry::cells::{age, duration, items, name, or_none};
use serde_json::{Value, json};
use std::time::Duration;

/// The conditions that only the approval subresource writes.
const VERDICTS: [&str; 2] = ["Approved", "Denied"];

/// `CertificateSigningRequest`s.
pub(super) static CERTIFICATE_SIGNING_REQUEST: Behaviour = Behaviour {
    name: Grammar::PathSegment,
    generation: Generation::None,
    fields: &[FieldLabel::Path("spec.signerName")],
    prepare,
    columns: &[
        NAME,
        AGE,
        column("SignerName", "Who is asked to sign."),
        column("Requestor", "Who asked."),
        column("RequestedDuration", "How long the certificate should be valid."),
        column("Condition", "Whether it was approved or denied, failed, was issued."),
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        let asked = spec["expirationSeconds"].as_u64().map(|seconds| duration(Duration::from_secs(seconds)));
        vec![
            name(object),
            age(object, now),
            or_none(&spec["signerName"]),
            json!(spec["username"].as_str().unwrap_or_default()),
            json!(asked.as_deref().unwrap_or("<none>")),
            json!(condition(&object["status"])),
        ]
    },
    ..Behaviour::WITH_STATUS
};

fn prepare(new: &mut Value, old: Option<&Value>, part: Part) {
    let Some(old) = old else { return };
    new["spec"] = old["spec"].clone();
    if part == Part::Status {
        let verdict = |one: &&Value| one["type"].as_str().is_some_and(|kind| VERDICTS.contains(&kind));
        let kept = items(&old["status"]["conditions"]).filter(verdict);
        let told = items(&new["status"]["conditions"]).filter(|one| !verdict(one));
        let conditions: Vec<Value> = kept.chain(told).cloned().collect();
        if !conditions.is_empty() {
            new["status"]["conditions"] = Value::Array(conditions);
        }
    }
}

fn condition(status: &Value) -> String {
    let has = |kind: &str| items(&status["conditions"]).any(|one| one["type"] == kind);
    let mut told = match () {
        () if has("Denied") => "Denied".to_owned(),
        () if has("Approved") => "Approved".to_owned(),
        () => "Pending".to_owned(),
    };
    if has("Failed") {
        told.push_str(",Failed");
    }
    if status["certificate"].as_str().is_some_and(|certificate| !certificate.is_empty()) {
        told.push_str(",Issued");
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_cannot_approve() {
        let old = json!({"spec": {"request": "x"}, "status": {"conditions": [{"type": "Denied"}]}});
        let mut new = json!({
            "spec": {"request": "y"},
            "status": {"conditions": [{"type": "Approved"}, {"type": "Failed"}], "certificate": "c"},
        });
        prepare(&mut new, Some(&old), Part::Status);
        assert_eq!(new["spec"], old["spec"]);
        assert_eq!(condition(&new["status"]), "Denied,Failed,Issued");
        assert_eq!(condition(&json!({})), "Pending");
    }
}
