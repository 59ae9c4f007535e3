//! Pods as endpoints: their address, what they are ready for, and the ports that a Service means.

use crate::pods::is_ready;
use serde_json::{Value, json};
use std::sync::Arc;
use tinyplane_wire::meta::Meta;

/// Annotation of a pod whose port is served elsewhere, for it was taken: `…<port>: "<alias>"`.
const PORT_ALIAS: &str = "tinyplane.dev/port-alias.";

/// One pod behind a Service.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Endpoint {
    pub(super) address: String,
    pub(super) node: Option<String>,
    pub(super) hostname: Option<String>,
    pub(super) pod: Value,
    pub(super) ready: bool,
    pub(super) serving: bool,
    pub(super) terminating: bool,
}

/// The endpoints of a Service, grouped by the ports that its port names mean for them.
pub(super) fn endpoints_by_ports(service: &Value, pods: &[Arc<Value>]) -> Vec<(Vec<Value>, Vec<Endpoint>)> {
    let mut groups: Vec<(Vec<Value>, Vec<Endpoint>)> = Vec::new();
    for pod in pods {
        let Some(endpoint) = endpoint(service, pod) else { continue };
        let ports = ports(service, pod);
        match groups.iter_mut().find(|(known, _)| *known == ports) {
            Some((_, members)) => members.push(endpoint),
            None => groups.push((ports, vec![endpoint])),
        }
    }
    groups
}

fn endpoint(service: &Value, pod: &Value) -> Option<Endpoint> {
    let meta = Meta::of(pod);
    let address = pod["status"]["podIP"].as_str().filter(|ip| !ip.is_empty())?;
    if matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")) {
        return None;
    }
    let serving = is_ready(pod);
    let terminating = meta.is_deleting();
    let always = service["spec"]["publishNotReadyAddresses"].as_bool() == Some(true);
    let subdomain = pod["spec"]["subdomain"].as_str() == Some(Meta::of(service).name());
    Some(Endpoint {
        address: address.into(),
        node: pod["spec"]["nodeName"].as_str().map(Into::into),
        hostname: pod["spec"]["hostname"].as_str().filter(|_| subdomain).map(Into::into),
        pod: json!({"kind": "Pod", "namespace": meta.namespace(), "name": meta.name(), "uid": meta.uid()}),
        ready: always || (serving && !terminating),
        serving,
        terminating,
    })
}

fn ports(service: &Value, pod: &Value) -> Vec<Value> {
    let mut ports = Vec::new();
    for port in service["spec"]["ports"].as_array().into_iter().flatten() {
        let Some(number) = target(port, pod) else { continue };
        let number = alias(pod, number).unwrap_or(number);
        let mut found = json!({"name": port["name"].as_str().unwrap_or_default(), "port": number, "protocol": port["protocol"].as_str().unwrap_or("TCP")});
        if let Some(protocol) = port["appProtocol"].as_str() {
            found["appProtocol"] = protocol.into();
        }
        ports.push(found);
    }
    ports
}

fn target(port: &Value, pod: &Value) -> Option<i64> {
    match &port["targetPort"] {
        Value::Null => port["port"].as_i64(),
        Value::Number(number) if number.as_i64() == Some(0) => port["port"].as_i64(),
        Value::Number(number) => number.as_i64(),
        Value::String(name) => named(pod, name, port["protocol"].as_str().unwrap_or("TCP")),
        _ => None,
    }
}

fn named(pod: &Value, name: &str, protocol: &str) -> Option<i64> {
    let containers = ["initContainers", "containers"]
        .into_iter()
        .flat_map(|field| pod["spec"][field].as_array().into_iter().flatten());
    containers
        .flat_map(|container| container["ports"].as_array().into_iter().flatten())
        .find(|p| p["name"] == name && p["protocol"].as_str().unwrap_or("TCP") == protocol)?["containerPort"]
        .as_i64()
}

fn alias(pod: &Value, port: i64) -> Option<i64> {
    Meta::of(pod).annotation(&format!("{PORT_ALIAS}{port}"))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_port_means_what_each_pod_says() {
        let service = json!({"metadata": {"name": "web"}, "spec": {"ports": [{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}]}});
        let pod = |ip: &str, port: i64| {
            Arc::new(json!({
                "metadata": {"name": ip, "annotations": {"tinyplane.dev/port-alias.9": "20009"}},
                "spec": {"containers": [{"ports": [{"name": "web", "containerPort": port}]}]},
                "status": {"podIP": ip, "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
            }))
        };
        let groups =
            endpoints_by_ports(&service, &[pod("127.1.0.1", 8080), pod("127.1.0.2", 9), pod("127.1.0.3", 8080)]);
        let told: Vec<(i64, usize)> =
            groups.iter().map(|(ports, all)| (ports[0]["port"].as_i64().unwrap(), all.len())).collect();
        assert_eq!(told, [(8080, 2), (20009, 1)]);
        assert!(groups[0].1[0].ready);
    }
}
