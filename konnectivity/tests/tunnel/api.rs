//! As much of an API server as the tunnel's ends ask: whose a token is, and the leases of servers.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tinyplane_wire::net::{Sources, bind};
use tokio_util::task::AbortOnDropHandle;

/// For whom agents' tokens are meant.
pub(crate) const AUDIENCE: &str = "system:konnectivity-server";

/// The token of the agents' service account.
pub(crate) const TOKEN: &str = "the-agents-token";

/// The token of another one.
pub(crate) const STRANGERS_TOKEN: &str = "a-strangers-token";

const REVIEWS: &str = "authentication.k8s.io/v1";

type Leases = Arc<Mutex<BTreeMap<String, Value>>>;

pub(crate) struct Api {
    pub(crate) leases: Leases,
    _serving: AbortOnDropHandle<()>,
}

impl Api {
    /// Serves, and writes a kubeconfig that leads here.
    pub(crate) fn start(kubeconfig: &Path) -> Self {
        let bound = bind(SocketAddr::new(crate::rig::place(4), 0), Sources::any()).unwrap();
        std::fs::write(kubeconfig, config(bound.address)).unwrap();
        let leases = Leases::default();
        let served = Arc::clone(&leases);
        let serving = tokio::spawn(async move {
            loop {
                let stream = TokioIo::new(bound.listener.accept().await.stream);
                let leases = Arc::clone(&served);
                let service = service_fn(move |request| answer(Arc::clone(&leases), request));
                tokio::spawn(async move {
                    drop(hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await);
                });
            }
        });
        Self { leases, _serving: AbortOnDropHandle::new(serving) }
    }
}

fn config(at: SocketAddr) -> String {
    json!({
        "current-context": "c",
        "clusters": [{"name": "k", "cluster": {"server": format!("http://{at}"), "insecure-skip-tls-verify": true}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
    })
    .to_string()
}

async fn answer(leases: Leases, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
    let query = head.uri.query().unwrap_or_default();
    let (code, told) = match head.uri.path().split("/leases").collect::<Vec<_>>()[..] {
        [path] if path.ends_with("/tokenreviews") => (StatusCode::CREATED, review(&sent)),
        // A watch that ends at once: the client lists again.
        [_, ""] if query.contains("watch=1") => (StatusCode::OK, Value::Null),
        [_, ""] if head.method == Method::POST => {
            let name = sent["metadata"]["name"].as_str().unwrap().to_owned();
            leases.lock().unwrap().insert(name, sent.clone());
            (StatusCode::CREATED, sent)
        }
        [_, ""] => {
            let items: Vec<_> = leases.lock().unwrap().values().cloned().collect();
            (StatusCode::OK, json!({"kind": "LeaseList", "metadata": {"resourceVersion": "1"}, "items": items}))
        }
        [_, name] => one(&leases, &head.method, name.trim_start_matches('/'), sent),
        _ => (StatusCode::NOT_FOUND, failure(404, "NotFound")),
    };
    let text = if told.is_null() { Bytes::new() } else { Bytes::from(told.to_string()) };
    let mut response = Response::new(Full::new(text));
    *response.status_mut() = code;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    Ok(response)
}

fn one(leases: &Leases, method: &Method, name: &str, sent: Value) -> (StatusCode, Value) {
    let mut leases = leases.lock().unwrap();
    if !leases.contains_key(name) {
        return (StatusCode::NOT_FOUND, failure(404, "NotFound"));
    }
    match *method {
        Method::PUT => drop(leases.insert(name.to_owned(), sent)),
        Method::DELETE => drop(leases.remove(name)),
        _ => {}
    }
    (StatusCode::OK, leases.get(name).cloned().unwrap_or_else(|| json!({"kind": "Status", "status": "Success"})))
}

fn failure(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": reason, "reason": reason, "code": code})
}

fn review(sent: &Value) -> Value {
    let user = match sent["spec"]["token"].as_str() {
        Some(TOKEN) => "system:serviceaccount:kube-system:konnectivity-agent",
        Some(STRANGERS_TOKEN) => "system:serviceaccount:default:default",
        _ => return json!({"apiVersion": REVIEWS, "kind": "TokenReview", "status": {"authenticated": false}}),
    };
    let audiences = &sent["spec"]["audiences"];
    json!({
        "apiVersion": REVIEWS,
        "kind": "TokenReview",
        "status": {"authenticated": true, "audiences": audiences, "user": {"username": user}},
    })
}
