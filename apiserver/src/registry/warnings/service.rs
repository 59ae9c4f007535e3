//! Services, and the addresses and ranges of networks.

use super::address::{address, range};
use crate::registry::cells::items;
use crate::validation::{child, field::index};
use serde_json::Value;
use tinyplane_wire::meta::Meta;

/// Services.
pub(in crate::registry) fn service(new: &Value, _old: Option<&Value>) -> Vec<String> {
    let (mut out, spec) = (Vec::new(), &new["spec"]);
    let text = |field: &str| spec[field].as_str().unwrap_or_default();
    let hints = "service.kubernetes.io/topology-aware-hints";
    if Meta::of(new).annotation(hints).is_some() {
        out.push(format!("annotation {hints} is deprecated, please use service.kubernetes.io/topology-mode instead"));
    }
    let kind = text("type");
    let is_headless = kind == "ClusterIP" && text("clusterIP") == "None";
    if !matches!(text("clusterIP"), "" | "None") {
        all("spec.clusterIPs", &spec["clusterIPs"], address, &mut out);
    }
    let has_external = items(&spec["externalIPs"]).next().is_some();
    if is_headless {
        if !text("loadBalancerIP").is_empty() {
            out.push("spec.loadBalancerIP is ignored for headless services".into());
        }
        if has_external {
            out.push("spec.externalIPs is ignored for headless services".into());
        }
        if text("sessionAffinity") != "None" {
            out.push("spec.SessionAffinity is ignored for headless services".into());
        }
    }
    all("spec.externalIPs", &spec["externalIPs"], address, &mut out);
    if has_external && !is_headless && kind != "ExternalName" {
        out.push("spec.externalIPs is deprecated and may no longer be implemented in some clusters".into());
    }
    if !text("loadBalancerIP").is_empty() {
        address("spec.loadBalancerIP", text("loadBalancerIP"), &mut out);
    }
    all("spec.loadBalancerSourceRanges", &spec["loadBalancerSourceRanges"], range, &mut out);
    if kind == "ExternalName" && has_external {
        out.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".into());
    }
    if kind != "ExternalName" && !text("externalName").is_empty() {
        out.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".into());
    }
    if text("trafficDistribution") == "PreferClose" {
        out.push("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"".into());
    }
    out
}

/// `Endpoints`, unless their controller wrote them.
pub(in crate::registry) fn endpoints(new: &Value, _old: Option<&Value>) -> Vec<String> {
    let mut out = Vec::new();
    if Meta::of(new).label("endpoints.kubernetes.io/managed-by") == Some("endpoint-controller") {
        return out;
    }
    for (at, subset) in items(&new["subsets"]).enumerate() {
        for list in ["addresses", "notReadyAddresses"] {
            let path = child(&index("subsets", at), list);
            for (nth, one) in items(&subset[list]).enumerate() {
                address(&child(&index(&path, nth), "ip"), one["ip"].as_str().unwrap_or_default(), &mut out);
            }
        }
    }
    out
}

/// `EndpointSlice`s, unless a controller wrote them.
pub(in crate::registry) fn slice(new: &Value, old: Option<&Value>) -> Vec<String> {
    let mut out = Vec::new();
    if old.is_none() && new["addressType"] == "FQDN" {
        out.push("spec.addressType: FQDN endpoints are deprecated".into());
    }
    let by = Meta::of(new).label("endpointslice.kubernetes.io/managed-by").unwrap_or_default();
    if !["endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"].contains(&by) {
        for (at, endpoint) in items(&new["endpoints"]).enumerate() {
            all(&child(&index("endpoints", at), "addresses"), &endpoint["addresses"], address, &mut out);
        }
    }
    out
}

/// Network policies.
pub(in crate::registry) fn network_policy(new: &Value, _old: Option<&Value>) -> Vec<String> {
    let mut out = Vec::new();
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for (at, rule) in items(&new["spec"][direction]).enumerate() {
            let path = child(&index(&child("spec", direction), at), peers);
            for (nth, peer) in items(&rule[peers]).enumerate().filter(|(_, peer)| peer["ipBlock"].is_object()) {
                let (path, block) = (child(&index(&path, nth), "ipBlock"), &peer["ipBlock"]);
                range(&child(&path, "cidr"), block["cidr"].as_str().unwrap_or_default(), &mut out);
                all(&child(&path, "except"), &block["except"], range, &mut out);
            }
        }
    }
    out
}

/// Tells of each text of a list.
pub(super) fn all(path: &str, list: &Value, told: fn(&str, &str, &mut Vec<String>), out: &mut Vec<String>) {
    for (at, text) in items(list).enumerate() {
        told(&index(path, at), text.as_str().unwrap_or_default(), out);
    }
}
