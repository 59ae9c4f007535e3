//! Approves and signs certificate signing requests, as the signers of `kubernetes.io` do.

mod approve;
mod sign;

pub(crate) use approve::start as start_approving;
pub(crate) use sign::{Signers, start as start_signing};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tinyplane_wire::identity::pki::Wish;

/// Signs client certificates of kubelets.
const KUBELET_CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";

/// The request inside an object: PEM.
fn request_pem(request: &Value) -> Option<String> {
    let bytes = STANDARD.decode(request["spec"]["request"].as_str()?).ok()?;
    String::from_utf8(bytes).ok()
}

fn has_condition(request: &Value, kind: &str) -> bool {
    crate::pods::condition(request, kind).is_some()
}

/// The usages that are asked for.
fn usages(request: &Value) -> Vec<&str> {
    let mut usages: Vec<&str> =
        request["spec"]["usages"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    usages.sort_unstable();
    usages
}

/// Whether the usages are those of a TLS certificate of one kind, `key encipherment` being left to the asker.
fn has_usages_of(request: &Value, kind: &str) -> bool {
    let usages: Vec<&str> = usages(request).into_iter().filter(|usage| *usage != "key encipherment").collect();
    let mut wished = ["digital signature", kind];
    wished.sort_unstable();
    usages == wished
}

/// Why this is no request for a kubelet's client certificate.
fn kubelet_client_complaint(request: &Value, wish: &Wish) -> Option<&'static str> {
    if wish.organizations != ["system:nodes"] {
        return Some("subject organization is not system:nodes");
    }
    if wish.has_other_names || !wish.dns_names.is_empty() || !wish.addresses.is_empty() {
        return Some("subject alternative names are not allowed");
    }
    if !wish.common_name.starts_with("system:node:") {
        return Some("subject common name does not begin with system:node:");
    }
    (!has_usages_of(request, "client auth")).then_some("usages did not match the signer's")
}

/// Why this is no request for a kubelet's serving certificate.
fn kubelet_serving_complaint(request: &Value, wish: &Wish) -> Option<&'static str> {
    if wish.organizations != ["system:nodes"] {
        return Some("subject organization is not system:nodes");
    }
    if wish.dns_names.is_empty() && wish.addresses.is_empty() {
        return Some("DNS or IP subjectAltName is required");
    }
    if wish.has_other_names {
        return Some("only DNS and IP subjectAltNames are allowed");
    }
    if !wish.common_name.starts_with("system:node:") {
        return Some("subject common name does not begin with system:node:");
    }
    (!has_usages_of(request, "server auth")).then_some("usages did not match the signer's")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_kubelet_asks_for_itself_and_nothing_more() {
        let request = |usages: Value| json!({"spec": {"usages": usages}});
        let wish =
            Wish { organizations: vec!["system:nodes".into()], common_name: "system:node:a".into(), ..Wish::default() };
        let client = request(json!(["client auth", "digital signature"]));
        assert_eq!(kubelet_client_complaint(&client, &wish), None);
        let all = request(json!(["key encipherment", "client auth", "digital signature"]));
        assert_eq!(kubelet_client_complaint(&all, &wish), None);
        assert!(kubelet_client_complaint(&request(json!(["server auth", "digital signature"])), &wish).is_some());
        let named = Wish { dns_names: vec!["a".into()], ..wish.clone() };
        assert!(kubelet_client_complaint(&client, &named).is_some());
        let serving = request(json!(["server auth", "digital signature"]));
        assert_eq!(kubelet_serving_complaint(&serving, &named), None);
        assert!(kubelet_serving_complaint(&serving, &wish).is_some());
        let master = Wish { organizations: vec!["system:masters".into()], ..wish };
        assert!(kubelet_client_complaint(&client, &master).is_some());
    }
}
