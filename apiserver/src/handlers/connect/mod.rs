//! The subresources that connect a client with something in the cluster: logs, commands, port-forwards, proxies.

mod address;
mod command;
mod container;
mod headers;
mod location;
mod log;
mod proxy;
mod service;
#[cfg(test)]
mod tests;

use crate::authz::Permitted;
use crate::egress::{Errand, NodeError, Nodes};
use crate::request::Call;
use async_trait::async_trait;
use axum::body::Body;
use http::{Method, Request, Response};
use serde_json::Value;
use std::sync::Arc;
use tinyplane_wire::gvr::Gvr;
use tinyplane_wire::meta::Meta;
use tinyplane_wire::net::ClusterNet;
use tinyplane_wire::process::Shutdown;
use tinyplane_wire::status::{self, Reason, Status};

/// Reads objects: pods, nodes, Services, Endpoints.
#[async_trait]
pub trait Lookup: Send + Sync + 'static {
    /// One object in its storage version.
    ///
    /// # Errors
    /// The 404 that the API gives.
    async fn get(&self, gvr: &Gvr, namespace: Option<&str>, name: &str) -> status::Result<Arc<Value>>;
}

/// What connecting needs. Cheap to clone.
#[derive(Clone)]
pub struct ConnectContext {
    /// Reads the objects that a path names.
    pub lookup: Arc<dyn Lookup>,
    /// Reaches kubelets, pods, and nodes' other ports.
    pub nodes: Arc<Nodes>,
    /// The cluster's own addresses, which proxies may reach although they are loopback.
    pub cluster_net: ClusterNet,
    /// Ends what is being carried.
    pub shutdown: Shutdown,
}

/// True for the subresources that this room serves.
#[must_use]
pub fn serves(resource: &str, subresource: &str) -> bool {
    matches!(
        (resource, subresource),
        ("pods", "log" | "exec" | "attach" | "portforward") | ("pods" | "nodes" | "services", "proxy")
    )
}

/// Insists on a method that a subresource of this room has.
///
/// # Errors
/// 405.
pub fn demand_method(call: &Call, subresource: &str) -> status::Result<()> {
    let methods: &[Method] = match subresource {
        "log" => &[Method::GET],
        "proxy" => &proxy::METHODS,
        _ => &[Method::GET, Method::POST],
    };
    if methods.contains(&call.method) { Ok(()) } else { Err(Status::method_not_allowed()) }
}

/// Serves one of those subresources.
///
/// # Errors
/// What goes wrong before the first byte of an answer; later failures end the stream.
pub async fn serve(
    context: &ConnectContext,
    call: Permitted<Call>,
    request: Request<Body>,
) -> status::Result<Response<Body>> {
    let path = call.resource()?;
    let name = path.name.as_deref().unwrap_or_default();
    let namespace = path.namespace.as_deref();
    match (path.resource.as_str(), path.subresource.as_deref().unwrap_or_default()) {
        ("pods", "log") => log::serve(context, &call, namespace, name).await,
        ("pods", kind @ ("exec" | "attach" | "portforward")) => {
            command::serve(context, &call, (namespace, name), kind, request).await
        }
        (resource @ ("pods" | "nodes" | "services"), "proxy") => {
            let backend = proxy::find(context, resource, namespace, name).await?;
            proxy::serve(context, &call, &path.subpath, backend, request).await
        }
        (resource, _) => Err(Status::not_found(&path.group, resource, name)),
    }
}

/// What a connection to a kubelet is made for.
fn to_kubelet<'a>(call: &'a Call, node: &'a Value) -> Errand<'a> {
    Errand { call, node: Meta::of(node).name(), path: 2 }
}

fn core(resource: &str) -> Gvr {
    Gvr::new("", "v1", resource)
}

/// A failure that upstream knows no better reason for: 500 with just these words.
fn unforeseen(error: &NodeError) -> Box<Status> {
    Status::failure(Reason::Unknown, error.to_string())
}

/// A pod's node; `None` while it has none.
async fn node_of(context: &ConnectContext, pod: &Value) -> status::Result<Option<Arc<Value>>> {
    match pod["spec"]["nodeName"].as_str().filter(|name| !name.is_empty()) {
        Some(name) => context.lookup.get(&core("nodes"), None, name).await.map(Some),
        None => Ok(None),
    }
}
