//! The `kubernetes` Service, its address and its endpoints: how pods reach the API server.

use super::{Registry, first_service_address};
use serde_json::json;
use std::net::SocketAddr;
use tinyplane_wire::status;

/// The port of the Service.
const PORT: u16 = 443;

/// Writes the Service where it is missing, and where it leads to in any case: the API server may have moved.
pub(super) async fn ensure(registry: &Registry, endpoint: SocketAddr) -> status::Result<()> {
    let range = registry.settings().service_range;
    let address = first_service_address(range).to_string();
    let family = if range.addr().is_ipv4() { "IPv4" } else { "IPv6" };
    let labels = json!({
        "ipaddress.kubernetes.io/ip-family": family,
        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
    });
    let ready = json!({
        "type": "Ready", "status": "True", "reason": "", "message": "Kubernetes default Service CIDR is ready",
        "lastTransitionTime": registry.clock().timestamp(),
    });
    let ranges = json!({
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": [range.trunc().to_string()]},
        "status": {"conditions": [ready]},
    });
    registry.ensure("networking.k8s.io", "servicecidrs", ranges).await?;
    let parent = json!({"resource": "services", "namespace": "default", "name": "kubernetes"});
    let taken = json!({"metadata": {"name": address, "labels": labels}, "spec": {"parentRef": parent}});
    registry.ensure("networking.k8s.io", "ipaddresses", taken).await?;
    let service = json!({
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "ports": [{"name": "https", "protocol": "TCP", "port": PORT, "targetPort": endpoint.port()}],
            "clusterIP": address, "clusterIPs": [address], "type": "ClusterIP", "sessionAffinity": "None",
            "ipFamilies": [family], "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster",
        },
        "status": {"loadBalancer": {}},
    });
    registry.ensure_fields("", "services", service).await?;
    let port = json!({"name": "https", "protocol": "TCP", "port": endpoint.port()});
    let endpoints = json!({
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [{"addresses": [{"ip": endpoint.ip().to_string()}], "ports": [port]}],
    });
    registry.ensure_fields("", "endpoints", endpoints).await?;
    let family = if endpoint.ip().is_ipv4() { "IPv4" } else { "IPv6" };
    let slice = json!({
        "metadata": {
            "name": "kubernetes", "namespace": "default", "generation": 1,
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": family,
        "endpoints": [{"addresses": [endpoint.ip().to_string()], "conditions": {"ready": true}}],
        "ports": [port],
    });
    registry.ensure_fields("discovery.k8s.io", "endpointslices", slice).await
}
