//! Nodes, secrets, quotas, and kinds of which there is one thing to say.

use super::address::range;
use super::labels;
use super::service::all;
use crate::schema::quantity::Quantity;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tinyplane_wire::meta::{Meta, pairs};

/// Nodes.
pub(in crate::registry) fn node(new: &Value, _old: Option<&Value>) -> Vec<String> {
    let (mut out, spec) = (Vec::new(), &new["spec"]);
    if !spec["configSource"].is_null() {
        out.push("spec.configSource: the feature is removed".into());
    }
    if !spec["externalID"].as_str().unwrap_or_default().is_empty() {
        out.push("spec.externalID: this field is deprecated, and is unused by Kubernetes".into());
    }
    all("spec.podCIDRs", &spec["podCIDRs"], range, &mut out);
    out
}

/// Secrets that are to hold a certificate and its key.
pub(in crate::registry) fn secret(new: &Value, _old: Option<&Value>) -> Vec<String> {
    if new["type"] != "kubernetes.io/tls" {
        return Vec::new();
    }
    let holds = |key: &str| {
        let bytes = STANDARD.decode(new["data"][key].as_str().unwrap_or_default()).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        text.contains("-----BEGIN ") && text.contains("-----END ")
    };
    let missing = match (holds("tls.crt"), holds("tls.key")) {
        (false, _) => "certificate",
        (true, false) => "key",
        (true, true) => return Vec::new(),
    };
    vec![format!("tls: failed to find any PEM data in {missing} input")]
}

/// Service accounts.
pub(in crate::registry) fn service_account(new: &Value, old: Option<&Value>) -> Vec<String> {
    let key = "kubernetes.io/enforce-mountable-secrets";
    let says = |account: &Value| Meta::of(account).annotation(key).is_some();
    if !says(new) || old.is_some_and(says) {
        return Vec::new();
    }
    let told = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets";
    vec![format!("metadata.annotations[{key}]: {told}")]
}

/// Quotas whose requests are above their limits; looked at when they are new.
pub(in crate::registry) fn quota(new: &Value, old: Option<&Value>) -> Vec<String> {
    let (mut out, hard) = (Vec::new(), &new["spec"]["hard"]);
    let amount = |name: &str| Some((hard[name].as_str()?, Quantity::parse(hard[name].as_str()?).ok()?));
    for name in ["cpu", "memory", "storage", "ephemeral-storage"].into_iter().filter(|_| old.is_none()) {
        let (mut requests, limits) = (format!("requests.{name}"), format!("limits.{name}"));
        if amount(&requests).is_none() && matches!(name, "cpu" | "memory") {
            name.clone_into(&mut requests);
        }
        if let (Some((asked, least)), Some((allowed, most))) = (amount(&requests), amount(&limits))
            && least.nanos() > most.nanos()
        {
            out.push(format!("ResourceQuota {requests} ({asked}) should be less than {limits} ({allowed})"));
        }
    }
    out
}

/// Runtime classes.
pub(in crate::registry) fn runtime_class(new: &Value, _old: Option<&Value>) -> Vec<String> {
    let told = pairs(&new["scheduling"]["nodeSelector"]).filter_map(|(key, _)| labels::deprecated(key));
    told.map(|told| format!("scheduling.nodeSelector: {told}")).collect()
}

/// Drivers of volumes that are given tokens.
pub(in crate::registry) fn driver(new: &Value, old: Option<&Value>) -> Vec<String> {
    let (spec, before) = (&new["spec"], old.map(|old| &old["spec"]["tokenRequests"]));
    let asks = spec["tokenRequests"].as_array().is_some_and(|all| !all.is_empty());
    if !asks || before == Some(&spec["tokenRequests"]) || !spec["serviceAccountTokenInSecrets"].is_null() {
        return Vec::new();
    }
    let told =
        "if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes";
    vec![format!("spec.serviceAccountTokenInSecrets is unset; {told}")]
}

/// Webhooks and policies that are named as those which come from files.
pub(in crate::registry) fn static_name(new: &Value, _old: Option<&Value>) -> Vec<String> {
    let suffix = ".static.k8s.io";
    if !Meta::of(new).name().ends_with(suffix) {
        return Vec::new();
    }
    let told = "are reserved for static manifest-based configurations and cannot be managed via the API";
    vec![format!("metadata.name: names ending with {suffix:?} {told}")]
}
