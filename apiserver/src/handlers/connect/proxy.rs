//! `nodes/proxy`, `pods/proxy`, `services/proxy`: HTTP into the cluster.

use super::headers::{inward, outward};
use super::location::{Place, rewrite};
use super::{ConnectContext, address, core, service, unforeseen};
use crate::authz::Permitted;
use crate::egress::{Errand, Target};
use crate::request::Call;
use crate::streaming::{Backend, send, upgrade, without_hops};
use axum::body::Body;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{Method, Request, Response, StatusCode};
use serde_json::Value;
use tinyplane_wire::status::{self, Reason, Status};
use tinyplane_wire::streaming::handshake::wants_upgrade;

/// The methods that pass.
pub(super) const METHODS: [Method; 7] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];
/// The path that the client asked.
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// Where a proxied request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// A kubelet, over its own TLS with our client certificate.
    Kubelet(Target),
    /// Anything else; with TLS nothing is verified.
    Other {
        /// Its address and the port that is meant.
        target: Target,
        /// Where that port really listens, when the pod tells another.
        alias: Option<u16>,
        /// `https`.
        tls: bool,
    },
}

/// A goal, and the node that it lies on; none where nobody knows.
pub(super) struct Backing {
    goal: Goal,
    node: String,
}

impl Goal {
    fn target(&self) -> &Target {
        match self {
            Self::Kubelet(target) | Self::Other { target, .. } => target,
        }
    }
}

/// `name`, `name:port` or `scheme:name:port`.
fn split_id<'a>(resource: &str, id: &'a str) -> status::Result<(&'a str, &'a str, &'a str)> {
    let parts: Vec<&str> = id.split(':').collect();
    let split = match *parts.as_slice() {
        [name] => ("", name, ""),
        [name, port] => ("", name, port),
        [scheme, name, port] => (scheme, name, port),
        _ => ("?", "", ""),
    };
    if !matches!(split.0, "" | "http" | "https") || split.1.is_empty() {
        let kind = resource.strip_suffix('s').unwrap_or(resource);
        return Err(Status::bad_request(format!("invalid {kind} request \"{id}\"")));
    }
    Ok(split)
}

/// Finds out where a proxied request goes, and whether it may.
///
/// # Errors
/// 400 for an id or an address that is not allowed, 404 without the object, 503 without anything behind a Service.
pub(super) async fn find(
    context: &ConnectContext,
    resource: &str,
    namespace: Option<&str>,
    id: &str,
) -> status::Result<Backing> {
    let (scheme, name, port) = split_id(resource, id)?;
    let tls = scheme == "https";
    match resource {
        "nodes" => {
            let node = context.lookup.get(&core("nodes"), None, name).await?;
            let kubelet = context.nodes.target(&node).map_err(|e| unforeseen(&e))?;
            address::permit_host(&kubelet.host, &context.cluster_net).await?;
            if port.is_empty() || port == kubelet.port.to_string() {
                return Ok(Backing { goal: Goal::Kubelet(kubelet), node: name.to_owned() });
            }
            let target = Target { host: kubelet.host, port: number(port)? };
            Ok(Backing { goal: Goal::Other { target, alias: None, tls }, node: name.to_owned() })
        }
        "pods" => {
            let pod = context.lookup.get(&core("pods"), namespace, name).await?;
            let ip = pod["status"]["podIPs"][0]["ip"].as_str().and_then(|ip| ip.parse().ok());
            let ip: std::net::IpAddr = ip.ok_or_else(address::refused)?;
            address::permit(ip, &context.cluster_net)?;
            let port = match (port, first_port(&pod)) {
                ("", Some(declared)) => declared,
                ("", None) if tls => 443,
                ("", None) => 80,
                (port, _) => number(port)?,
            };
            let target = Target { host: ip.to_string(), port };
            Ok(Backing { goal: Goal::Other { alias: alias(&pod, port), target, tls }, node: node_name(&pod) })
        }
        _ => {
            let found = service::choose(context, namespace, (name, port, id)).await?;
            let target = Target { host: found.ip, port: found.port };
            let goal = Goal::Other { alias: alias(&found.pod, target.port), target, tls };
            Ok(Backing { goal, node: node_name(&found.pod) })
        }
    }
}

fn number(port: &str) -> status::Result<u16> {
    port.parse().map_err(|_| unreachable(&format!("dial tcp: lookup tcp/{port}: unknown port")))
}

fn first_port(pod: &Value) -> Option<u16> {
    let containers = pod["spec"]["containers"].as_array()?;
    containers.iter().find_map(|c| c["ports"][0]["containerPort"].as_u64()).and_then(|port| u16::try_from(port).ok())
}

fn node_name(pod: &Value) -> String {
    pod["spec"]["nodeName"].as_str().unwrap_or_default().to_owned()
}

/// Where a pod's port is served instead, when somebody else's listener held it (our kubelet tells it).
fn alias(pod: &Value, port: u16) -> Option<u16> {
    let annotation = &pod["metadata"]["annotations"][format!("tinyplane.dev/port-alias.{port}")];
    annotation.as_str()?.parse().ok()
}

/// Sends a request to where it goes, and its answer back.
///
/// # Errors
/// 503 when nothing answers there (500 for an upgrade, as upstream).
pub(super) async fn serve(
    context: &ConnectContext,
    call: &Permitted<Call>,
    subpath: &str,
    backing: Backing,
    request: Request<Body>,
) -> status::Result<Response<Body>> {
    let raw_path = request.uri().path().to_owned();
    let prefix = raw_path.strip_suffix(subpath).unwrap_or(&raw_path).to_owned();
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let asked_host = host_of(&request);
    let upgrades = wants_upgrade(request.headers());
    if subpath.is_empty() && !upgrades && [Method::GET, Method::HEAD].contains(&call.method) {
        return redirect(&format!("{raw_path}/{query}"));
    }
    // The slash that it begins with may have been escaped.
    let below = ["/", "%2F", "%2f"].into_iter().find_map(|slash| subpath.strip_prefix(slash)).unwrap_or(subpath);
    let path = format!("/{below}");
    let mut headers = inward(request.headers(), &call.peer);
    if !upgrades {
        headers = without_hops(headers);
    }
    set(&mut headers, FORWARDED_URI, &raw_path);
    set(&mut headers, HOST, &asked_host);
    let mut onward = Request::builder().method(&call.method).uri(format!("{path}{query}"));
    if let Some(empty) = onward.headers_mut() {
        *empty = headers;
    }
    let wrong = |error: http::Error| Status::bad_request(error.to_string());
    if upgrades {
        let backend = connect(context, call, &backing).await;
        let backend = backend.map_err(|e| Status::failure(Reason::Unknown, format!("error dialing backend: {e}")))?;
        let onward = onward.body(Body::empty()).map_err(wrong)?;
        return upgrade(request, backend, onward, context.shutdown.clone()).await;
    }
    let backend = connect(context, call, &backing).await.map_err(|why| unreachable(&why))?;
    let onward = onward.body(request.into_body()).map_err(wrong)?;
    let answer = send(backend, onward).await.map_err(|error| unreachable(&error.to_string()))?;
    let (mut head, body) = answer.into_parts();
    head.headers = outward(head.headers);
    head.extensions.clear();
    if let Some(location) = head.headers.get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned) {
        let backend = backing.goal.target().authority();
        let place = Place { prefix: &prefix, backend: &backend, asked_host: &asked_host };
        set(&mut head.headers, LOCATION, &rewrite(&location, &place));
    }
    head.version = http::Version::default();
    Ok(Response::from_parts(head, Body::new(body)))
}

fn host_of(request: &Request<Body>) -> String {
    let header = request.headers().get(HOST).and_then(|value| value.to_str().ok());
    header.or_else(|| request.uri().authority().map(http::uri::Authority::as_str)).unwrap_or_default().to_owned()
}

/// Sets a header to what came in as a header or a path, which can always stand in one.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn redirect(to: &str) -> status::Result<Response<Body>> {
    let response = Response::builder().status(StatusCode::MOVED_PERMANENTLY).header(LOCATION, to).body(Body::empty());
    response.map_err(|error| Status::bad_request(error.to_string()))
}

fn unreachable(why: &str) -> Box<Status> {
    Status::failure(Reason::ServiceUnavailable, format!("error trying to reach service: {why}"))
}

async fn connect(context: &ConnectContext, call: &Call, backend: &Backing) -> Result<Backend, String> {
    let connected = match &backend.goal {
        Goal::Kubelet(target) => {
            let errand = Errand { call, node: &backend.node, path: 2 };
            context.nodes.connect(&errand, target, false).await
        }
        Goal::Other { target, alias, tls } => {
            let errand = Errand { call, node: &backend.node, path: 3 };
            let target = Target { port: alias.unwrap_or(target.port), ..target.clone() };
            context.nodes.connect_to_other(&errand, &target, *tls).await
        }
    };
    connected.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_id_is_a_name_with_or_without_port_and_scheme() {
        assert_eq!(split_id("pods", "web").unwrap(), ("", "web", ""));
        assert_eq!(split_id("pods", "web:80").unwrap(), ("", "web", "80"));
        assert_eq!(split_id("pods", "https:web:").unwrap(), ("https", "web", ""));
        for (resource, id, told) in [
            ("pods", "ftp:web:80", "invalid pod request \"ftp:web:80\""),
            ("services", "a:b:c:d", "invalid service request \"a:b:c:d\""),
            ("nodes", "", "invalid node request \"\""),
        ] {
            assert_eq!(split_id(resource, id).unwrap_err().message, told);
        }
    }

    #[test]
    fn a_pod_tells_where_a_taken_port_is_served() {
        let pod = json!({"metadata": {"annotations": {"tinyplane.dev/port-alias.80": "20080"}},
            "spec": {"containers": [{"name": "a"}, {"name": "b", "ports": [{"containerPort": 80}]}]}});
        assert_eq!((first_port(&pod), alias(&pod, 80), alias(&pod, 81)), (Some(80), Some(20080), None));
    }
}
