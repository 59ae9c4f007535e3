//! `pods/exec`, `pods/attach`, `pods/portforward`: a client's streams, passed on to the kubelet as they are.
//!
//! Our kubelets speak every protocol that clients speak, SPDY and WebSockets alike, so nothing is translated here.

use super::headers::inward;
use super::{ConnectContext, container, core, node_of, to_kubelet, unforeseen};
use crate::authz::{Attributes, Permitted};
use crate::egress::Target;
use crate::request::{Call, Query};
use crate::streaming::upgrade;
use axum::body::Body;
use http::header::HOST;
use http::{HeaderValue, Method, Request, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tinyplane_wire::status::{self, Reason, Status};
use tinyplane_wire::streaming::handshake::wants_upgrade;

pub(super) async fn serve(
    context: &ConnectContext,
    call: &Permitted<Call>,
    (namespace, name): (Option<&str>, &str),
    kind: &str,
    request: Request<Body>,
) -> status::Result<Response<Body>> {
    if call.method == Method::GET {
        // A WebSocket begins with GET, and does what POST does.
        let question = Attributes::resource("create", "", "pods").version("v1").subresource(kind);
        call.demand(&question.namespace(namespace.unwrap_or_default()).name(name))?;
    }
    let pod = context.lookup.get(&core("pods"), namespace, name).await?;
    let at = format!("{}/{name}", namespace.unwrap_or_default());
    let (path, query) = match kind {
        "portforward" => (format!("/portForward/{at}"), port_query(&call.query)),
        kind => {
            let container = container::choose(&pod, call.query.text("container"))?;
            (format!("/{kind}/{at}/{container}"), command_query(&call.query, kind))
        }
    };
    let Some(node) = node_of(context, &pod).await? else {
        return Err(Status::bad_request(format!("pod {name} does not have a host assigned")));
    };
    if !wants_upgrade(request.headers()) {
        return Err(Status::bad_request("Upgrade request required"));
    }
    let target = context.nodes.target(&node).map_err(|e| unforeseen(&e))?;
    let onward = onward(call, &target, &path, &query)?;
    let backend = context.nodes.connect(&to_kubelet(call, &node), &target, false).await;
    let backend =
        backend.map_err(|error| Status::failure(Reason::Unknown, format!("error dialing backend: {error}")))?;
    upgrade(request, backend, onward, context.shutdown.clone()).await
}

/// The client's request as the kubelet gets it.
fn onward(call: &Permitted<Call>, target: &Target, path: &str, query: &str) -> status::Result<Request<Body>> {
    let mark = if query.is_empty() { "" } else { "?" };
    let wrong = |error: http::Error| Status::bad_request(error.to_string());
    let built = Request::builder().method(&call.method).uri(format!("{path}{mark}{query}")).body(Body::empty());
    let mut onward = built.map_err(wrong)?;
    *onward.headers_mut() = inward(&call.headers, &call.peer);
    onward.headers_mut().remove(http::header::CONTENT_LENGTH);
    let host = HeaderValue::from_str(&target.authority()).map_err(|error| wrong(error.into()))?;
    onward.headers_mut().insert(HOST, host);
    Ok(onward)
}

/// The parameters of exec and attach, as kubelets name them.
fn command_query(query: &Query, kind: &str) -> String {
    let mut pairs = Vec::new();
    if kind == "exec" {
        pairs.extend(
            query.all("command").map(|word| format!("command={}", utf8_percent_encode(word, NON_ALPHANUMERIC))),
        );
    }
    for (ours, kubelets) in [("stderr", "error"), ("stdin", "input"), ("stdout", "output"), ("tty", "tty")] {
        if query.flag(ours) {
            pairs.push(format!("{kubelets}=1"));
        }
    }
    pairs.join("&")
}

/// The ports of a WebSocket's port-forward; SPDY's streams name their own.
fn port_query(query: &Query) -> String {
    let ports: Vec<String> =
        query.all("ports").map(|ports| utf8_percent_encode(ports, NON_ALPHANUMERIC).to_string()).collect();
    if ports.is_empty() { String::new() } else { format!("port={}", ports.join("%2C")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_get_the_kubelets_names() {
        let query =
            Query::parse("command=sh&command=-c&command=echo%20%26&stdin=true&stdout=1&stderr=false&tty=0&container=c");
        assert_eq!(command_query(&query, "exec"), "command=sh&command=%2Dc&command=echo%20%26&input=1&output=1");
        assert_eq!(command_query(&query, "attach"), "input=1&output=1");
        assert_eq!(port_query(&Query::parse("ports=80&ports=81")), "port=80%2C81");
        assert_eq!(port_query(&Query::parse("")), "");
    }
}
