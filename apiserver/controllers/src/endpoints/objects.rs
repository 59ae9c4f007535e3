//! The objects that say where a Service leads: `Endpoints` and `EndpointSlice`.

use super::address::Endpoint;
use serde_json::{Map, Value, json};
use tinyplane_wire::meta::{Meta, controller_reference};

pub(super) const SERVICE_LABEL: &str = "kubernetes.io/service-name";
pub(super) const MANAGED_LABEL: &str = "endpointslice.kubernetes.io/managed-by";
pub(super) const SLICES_MANAGER: &str = "endpointslice-controller.k8s.io";
pub(super) const ENDPOINTS_MANAGER: &str = "endpoint-controller";
pub(super) const ENDPOINTS_LABEL: &str = "endpoints.kubernetes.io/managed-by";
const HEADLESS_LABEL: &str = "service.kubernetes.io/headless";

fn labels_of(service: &Value) -> Map<String, Value> {
    let mut labels = service["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    if service["spec"]["clusterIP"] == "None" {
        labels.insert(HEADLESS_LABEL.into(), "".into());
    }
    labels
}

/// One slice of a Service.
pub(super) fn slice(service: &Value, ports: &[Value], endpoints: &[Endpoint]) -> Value {
    let meta = Meta::of(service);
    let mut labels = labels_of(service);
    labels.insert(SERVICE_LABEL.into(), meta.name().into());
    labels.insert(MANAGED_LABEL.into(), SLICES_MANAGER.into());
    let member = |endpoint: &Endpoint| {
        let mut member = json!({
            "addresses": [endpoint.address],
            "conditions": {"ready": endpoint.ready, "serving": endpoint.serving, "terminating": endpoint.terminating},
            "targetRef": endpoint.pod,
        });
        if let Some(node) = &endpoint.node {
            member["nodeName"] = node.as_str().into();
        }
        if let Some(hostname) = &endpoint.hostname {
            member["hostname"] = hostname.as_str().into();
        }
        member
    };
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "generateName": format!("{}-", meta.name()), "namespace": meta.namespace(), "labels": labels,
            "ownerReferences": [controller_reference(service)],
        },
        "addressType": "IPv4", "ports": ports, "endpoints": endpoints.iter().map(member).collect::<Vec<_>>(),
    })
}

/// True when a slice says already what is wished.
pub(super) fn same_slice(there: &Value, wished: &Value) -> bool {
    let list = |slice: &Value, field: &str| slice[field].as_array().cloned().unwrap_or_default();
    list(there, "ports") == list(wished, "ports")
        && list(there, "endpoints") == list(wished, "endpoints")
        && there["metadata"]["labels"] == wished["metadata"]["labels"]
}

/// The Endpoints of a Service.
pub(super) fn endpoints(service: &Value, groups: &[(Vec<Value>, Vec<Endpoint>)]) -> Value {
    let meta = Meta::of(service);
    let mut labels = labels_of(service);
    labels.insert(ENDPOINTS_LABEL.into(), ENDPOINTS_MANAGER.into());
    json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {"name": meta.name(), "namespace": meta.namespace(), "labels": labels},
        "subsets": groups.iter().filter_map(|(ports, endpoints)| subset(ports, endpoints)).collect::<Vec<_>>(),
    })
}

fn subset(ports: &[Value], endpoints: &[Endpoint]) -> Option<Value> {
    let address = |endpoint: &&Endpoint| {
        let mut address = json!({"ip": endpoint.address, "targetRef": endpoint.pod});
        if let Some(node) = &endpoint.node {
            address["nodeName"] = node.as_str().into();
        }
        if let Some(hostname) = &endpoint.hostname {
            address["hostname"] = hostname.as_str().into();
        }
        address
    };
    let mut subset = Map::new();
    for (field, ready) in [("addresses", true), ("notReadyAddresses", false)] {
        let mut some: Vec<&Endpoint> = endpoints.iter().filter(|e| e.ready == ready && !e.terminating).collect();
        some.sort_by(|a, b| a.address.cmp(&b.address));
        if !some.is_empty() {
            subset.insert(field.into(), some.iter().map(address).collect());
        }
    }
    if subset.is_empty() {
        return None;
    }
    let plain = |port: &Value| {
        let mut port = port.clone();
        if port["name"] == "" {
            drop(port.as_object_mut().and_then(|p| p.remove("name")));
        }
        port
    };
    subset.insert("ports".into(), ports.iter().map(plain).collect());
    Some(Value::Object(subset))
}

/// True when Endpoints say already what is wished.
pub(super) fn same_endpoints(there: &Value, wished: &Value) -> bool {
    let subsets = |endpoints: &Value| endpoints["subsets"].as_array().cloned().unwrap_or_default();
    subsets(there) == subsets(wished) && there["metadata"]["labels"] == wished["metadata"]["labels"]
}
